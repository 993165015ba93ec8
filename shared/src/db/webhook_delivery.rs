//! Deliveries of facts to webhooks: the log, and the work of `deliver-webhooks`.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Connection, column, from_row, statements, stored};
use crate::domain::page::Page;
use crate::domain::webhook::{DELIVERY_PAGES, DeliveryFailure, DeliveryStatus, WebhookDelivery};
use crate::error::Error;
use crate::events::webhook::fact::WebhookFact;

/// A delivery that this run alone may attempt, with what its request needs.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Id of the delivery.
    pub id: i64,
    /// Id of the webhook.
    pub webhook_id: Uuid,
    /// Id of the fact.
    pub event_id: Uuid,
    /// Body of the request.
    pub body: String,
    /// Number of attempts so far.
    pub attempts: i32,
    /// After this time, a failed attempt is the last one.
    pub retry_until: DateTime<Utc>,
    /// URL of the receiver.
    pub url: String,
    /// The encrypted secret of the webhook.
    pub sealed_secret: Vec<u8>,
    /// The encrypted secret before the last rotation.
    pub sealed_previous_secret: Option<Vec<u8>>,
    /// Until when the request is also signed with the secret before the last rotation.
    pub previous_secret_until: Option<DateTime<Utc>>,
}

/// Open requests to one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// Id of the webhook.
    pub webhook_id: Uuid,
    /// Number of open requests.
    pub requests: i64,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// Id of the delivery.
    pub id: i64,
    /// State after the attempt.
    pub status: DeliveryStatus,
    /// When the attempt ended.
    pub at: DateTime<Utc>,
    /// When the next attempt is due.
    pub due_at: DateTime<Utc>,
    /// Until when this run had claimed the delivery.
    pub claimed_until: DateTime<Utc>,
    /// HTTP status of the response.
    pub response_status: Option<i32>,
    /// Why the attempt failed.
    pub failure: Option<DeliveryFailure>,
}

/// A row of `webhook_delivery`, without the body.
struct Row {
    id: i64,
    webhook_id: Uuid,
    event_id: Uuid,
    event_type: String,
    status: String,
    attempts: i32,
    created_at: DateTime<Utc>,
    last_attempt_at: Option<DateTime<Utc>>,
    due_at: DateTime<Utc>,
    response_status: Option<i32>,
    failure: Option<String>,
}

impl TryFrom<Row> for WebhookDelivery {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let status: DeliveryStatus = stored(&row.status)?;
        Ok(from_row!(row => WebhookDelivery {
            id, webhook_id, event_id, event_type, attempts, created_at, last_attempt_at,
            response_status;
            status: status,
            next_attempt_at: (status == DeliveryStatus::Pending).then_some(row.due_at),
            failure: row.failure.as_deref().map(stored).transpose()?
        }))
    }
}

struct Found {
    total: i64,
    ids: Vec<i64>,
}

statements! {
    /// Records a delivery of each fact to each webhook whose filter it matches. Facts that were
    /// recorded before change nothing. Returns the number of new deliveries.
    pub fn record(
        facts: &[&WebhookFact],
        now: DateTime<Utc>,
        retry_until: DateTime<Utc>,
    ) -> Changed {
        "/* webhook_delivery.record */
        insert into telecom.webhook_delivery
            (webhook_id, event_id, event_type, body, created_at, due_at, retry_until)
        select w.id, f.event_id, f.event_type, f.body, $4, $4, $5
        from unnest($1::uuid[], $2::text[], $3::text[]) as f (event_id, event_type, body)
        join telecom.webhook w on w.disabled_at is null
            and (w.event_types = '{}' or f.event_type = any(w.event_types))
        order by w.id, f.event_id
        on conflict on constraint webhook_delivery_event_key do nothing",
        &column(facts, |fact| fact.event_id),
        &column(facts, |fact| fact.event_type.clone()),
        &column(facts, |fact| fact.body.clone()),
        now, retry_until
    }

    /// Claims the deliveries that are due and that no other run has claimed, the longest overdue
    /// first, up to `per_webhook` open requests of each webhook.
    pub fn claim(
        busy: &[Busy],
        per_webhook: i64,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Rows<Claimed> {
        r#"/* webhook_delivery.claim */
        with due as materialized (
            select d.id
            from telecom.webhook w
            left join unnest($1::uuid[], $2::bigint[]) as b (webhook_id, requests)
                on b.webhook_id = w.id
            cross join lateral (
                select d.id from telecom.webhook_delivery d
                where d.webhook_id = w.id and d.status = 'pending' and d.due_at <= $4
                    and (d.claimed_until is null or d.claimed_until <= $4)
                order by d.due_at
                limit greatest($3::bigint - coalesce(b.requests, 0), 0)
                for update skip locked
            ) d
            where w.disabled_at is null
        )
        update telecom.webhook_delivery d set claimed_until = $5
        from due, telecom.webhook w
        where d.id = due.id and w.id = d.webhook_id
        returning d.id, d.webhook_id, d.event_id, d.body, d.attempts, d.retry_until, w.url,
            w.sealed_secret, w.sealed_previous_secret, w.previous_secret_until"#,
        &column(busy, |busy| busy.webhook_id), &column(busy, |busy| busy.requests), per_webhook,
        now, until
    }

    /// Records attempts, except of deliveries that another run has claimed since.
    pub fn save(attempts: &[Attempted]) -> Changed {
        "/* webhook_delivery.save */
        update telecom.webhook_delivery d
        set status = a.status::telecom.webhook_delivery_status, attempts = d.attempts + 1,
            last_attempt_at = a.at, due_at = a.due_at, claimed_until = null,
            response_status = a.response_status, failure = a.failure
        from unnest(
            $1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],
            $6::int[], $7::text[]
        ) as a (id, status, at, due_at, claimed_until, response_status, failure)
        where d.id = a.id and d.claimed_until = a.claimed_until",
        &column(attempts, |one| one.id),
        &column(attempts, |one| <&str>::from(one.status).to_owned()),
        &column(attempts, |one| one.at),
        &column(attempts, |one| one.due_at),
        &column(attempts, |one| one.claimed_until),
        &column(attempts, |one| one.response_status) as &[Option<i32>],
        &column(attempts, |one| one.failure.map(|why| <&str>::from(why).to_owned()))
            as &[Option<String>]
    }

    /// Time since when the longest overdue delivery has been due. `None` if none is to be made.
    pub fn oldest_due() -> Value<Option<DateTime<Utc>>> {
        r#"/* webhook_delivery.oldest_due */
        select min(d.due_at) as oldest
        from telecom.webhook w
        cross join lateral (
            select d.due_at from telecom.webhook_delivery d
            where d.webhook_id = w.id and d.status = 'pending'
            order by d.due_at limit 1
        ) d
        where w.disabled_at is null"#
    }

    fn lock_row(id: i64) -> FirstRow<Row> {
        r#"/* webhook_delivery.lock */
        select id, webhook_id, event_id, event_type, status::text as "status!", attempts,
            created_at, last_attempt_at, due_at, response_status, failure
        from telecom.webhook_delivery where id = $1
        for no key update"#
    }

    /// Makes a delivery due, with attempts until a time.
    pub fn redeliver(id: i64, now: DateTime<Utc>, retry_until: DateTime<Utc>) -> Done {
        "/* webhook_delivery.redeliver */
        update telecom.webhook_delivery
        set status = 'pending', attempts = 0, due_at = $2, retry_until = $3
        where id = $1"
    }

    /// Each arm of the union reads one index in order, and only the one for the filter reads rows.
    fn find(webhook_id: Uuid, status: Option<DeliveryStatus>, page: Page) -> Row<Found> {
        r#"/* webhook_delivery.find */
        with match as materialized (
            (select id from telecom.webhook_delivery
            where webhook_id = $1 and $2::text is null
            order by webhook_id desc, id desc limit $3)
            union all
            (select id from telecom.webhook_delivery
            where webhook_id = $1 and status = $2::text::telecom.webhook_delivery_status
            order by webhook_id desc, status desc, id desc limit $3)
        )
        select (select count(*) from match) as "total!",
            array(select id from match order by id desc limit $4 offset $5) as "ids!""#,
        webhook_id, status.map(<&str>::from), DELIVERY_PAGES.max_offset, page.limit, page.offset
    }

    fn show(ids: &[i64]) -> Rows<Row> {
        r#"/* webhook_delivery.show */
        select id, webhook_id, event_id, event_type, status::text as "status!", attempts,
            created_at, last_attempt_at, due_at, response_status, failure
        from telecom.webhook_delivery where id = any($1)
        order by id desc"#
    }

    /// Deletes at most `limit` deliveries recorded before `before`. Returns their number.
    pub fn delete(before: DateTime<Utc>, limit: i64) -> Changed {
        "/* webhook_delivery.delete */
        delete from telecom.webhook_delivery where id = any(array(
            select id from telecom.webhook_delivery where created_at < $1 limit $2
        ))"
    }
}

/// Returns a delivery, and locks it until the transaction ends. `None` if it does not exist.
pub async fn lock(connection: &mut Connection, id: i64) -> Result<Option<WebhookDelivery>, Error> {
    let row = lock_row(connection, id).await?;
    row.map(WebhookDelivery::try_from).transpose()
}

/// A page of the deliveries of a webhook, newest first, and the number of matching ones, counted up
/// to the greatest offset of [`DELIVERY_PAGES`].
pub async fn list(
    connection: &mut Connection,
    webhook_id: Uuid,
    status: Option<DeliveryStatus>,
    page: Page,
) -> Result<(Vec<WebhookDelivery>, i64), Error> {
    let found = find(connection, webhook_id, status, page).await?;
    let rows = show(connection, &found.ids).await?;
    let deliveries = rows.into_iter().map(WebhookDelivery::try_from);
    Ok((deliveries.collect::<Result<_, _>>()?, found.total))
}
