//! Webhooks.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Connection, from_row, statements, stored};
use crate::domain::page::Page;
use crate::domain::webhook::{Webhook, WebhookEnd, WebhookSettings};
use crate::error::Error;

/// A row of `webhook`, without the secrets.
struct Row {
    id: Uuid,
    url: String,
    description: String,
    event_types: Vec<String>,
    created_at: DateTime<Utc>,
    previous_secret_until: Option<DateTime<Utc>>,
    disabled_at: Option<DateTime<Utc>>,
    disabled_by: Option<String>,
}

impl TryFrom<Row> for Webhook {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(from_row!(row => Webhook {
            id, url, description, event_types, created_at, previous_secret_until, disabled_at;
            disabled_by: row.disabled_by.as_deref().map(stored).transpose()?
        }))
    }
}

statements! {
    /// Lets one transaction at a time create webhooks, so that their number is right.
    pub fn lock_number() -> Done {
        "/* webhook.lock_number */ select pg_advisory_xact_lock(hashtextextended('webhook', 0))"
    }

    /// Number of webhooks that are not disabled.
    pub fn count_enabled() -> Value<i64> {
        r#"/* webhook.count_enabled */
        select count(*) as "count!" from telecom.webhook where disabled_at is null"#
    }

    /// Stores a webhook with its encrypted secret.
    pub fn insert(
        id: Uuid,
        settings: &WebhookSettings,
        sealed_secret: &[u8],
        now: DateTime<Utc>,
    ) -> Done {
        "/* webhook.insert */
        insert into telecom.webhook (id, url, description, event_types, sealed_secret, created_at)
        values ($1, $2, $3, $4, $5, $6)",
        id, settings.url, settings.description, &settings.event_types, sealed_secret, now
    }

    /// Replaces the encrypted secret of a webhook, and keeps the previous one until a time.
    pub fn rotate(id: Uuid, sealed_secret: &[u8], previous_until: DateTime<Utc>) -> Done {
        "/* webhook.rotate */
        update telecom.webhook set sealed_previous_secret = sealed_secret, sealed_secret = $2,
            previous_secret_until = $3
        where id = $1"
    }

    /// Disables those of the webhooks that are not disabled.
    pub fn disable(ids: &[Uuid], now: DateTime<Utc>, by: WebhookEnd) -> Done {
        "/* webhook.disable */
        update telecom.webhook
        set disabled_at = $2, disabled_by = $3::text::telecom.webhook_end
        where id = any($1) and disabled_at is null",
        ids, now, <&str>::from(by)
    }

    fn lock_row(id: Uuid) -> FirstRow<Row> {
        r#"/* webhook.lock */
        select id, url, description, event_types, created_at, previous_secret_until, disabled_at,
            disabled_by::text
        from telecom.webhook where id = $1
        for no key update"#
    }

    fn show_row(id: Uuid) -> FirstRow<Row> {
        r#"/* webhook.show */
        select id, url, description, event_types, created_at, previous_secret_until, disabled_at,
            disabled_by::text
        from telecom.webhook where id = $1"#
    }

    fn list_rows(include_disabled: bool, page: Page) -> Rows<Row> {
        r#"/* webhook.list */
        select id, url, description, event_types, created_at, previous_secret_until, disabled_at,
            disabled_by::text
        from telecom.webhook
        where $1 or disabled_at is null
        order by created_at desc, id desc
        limit $2 offset $3"#,
        include_disabled, page.limit, page.offset
    }

    fn count(include_disabled: bool) -> Value<i64> {
        r#"/* webhook.count */
        select count(*) as "total!" from telecom.webhook where $1 or disabled_at is null"#
    }

    /// Whether a webhook exists.
    pub fn exists(id: Uuid) -> Value<bool> {
        r#"/* webhook.exists */
        select exists (select from telecom.webhook where id = $1) as "exists!""#
    }
}

/// Returns a webhook, and locks it until the transaction ends. `None` if it does not exist.
pub async fn lock(connection: &mut Connection, id: Uuid) -> Result<Option<Webhook>, Error> {
    let row = lock_row(connection, id).await?;
    row.map(Webhook::try_from).transpose()
}

/// Returns a webhook, without a lock. `None` if it does not exist.
pub async fn show(connection: &mut Connection, id: Uuid) -> Result<Option<Webhook>, Error> {
    let row = show_row(connection, id).await?;
    row.map(Webhook::try_from).transpose()
}

/// A page of webhooks, newest first, and the number of all of them.
pub async fn list(
    connection: &mut Connection,
    include_disabled: bool,
    page: Page,
) -> Result<(Vec<Webhook>, i64), Error> {
    let total = count(connection, include_disabled).await?;
    let rows = list_rows(connection, include_disabled, page).await?;
    let webhooks = rows.into_iter().map(Webhook::try_from);
    Ok((webhooks.collect::<Result<_, _>>()?, total))
}
