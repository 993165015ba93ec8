//! Doubtful pushes as administrators see and decide them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, from_row, statements, stored};
use crate::domain::doubtful_push::{DoubtfulPush, Filter, PAGES, PushDecision};
use crate::domain::page::Page;
use crate::domain::traffic::Factor;
use crate::error::Error;

/// A page of doubtful pushes, newest first, and the number of matching ones, counted up to the
/// greatest offset of [`PAGES`].
pub async fn list(
    connection: &mut Connection,
    filter: Filter,
    page: Page,
) -> Result<(Vec<DoubtfulPush>, i64), Error> {
    let found = find(connection, filter, page).await?;
    Ok((show(connection, &found.ids).await?, found.total))
}

struct Found {
    total: i64,
    ids: Vec<i64>,
}

statements! {
    /// Only the arm of the union for the filter reads rows. The arms without a client and a server
    /// read each doubt separately and in order, at most as many as are counted. They use `between`,
    /// because with `=` the planner might read all rows by primary key.
    fn find(filter: Filter, page: Page) -> Row<Found> {
        r#"/* doubtful_push.find */
        with doubt as (
            select d from unnest(enum_range(null::telecom.doubt)) d
            where $3::text is null or d = $3::text::telecom.doubt
        ), match as materialized (
            select id from (
                (select p.id from telecom.doubtful_push p
                where p.node_client_id between $2::int and $2::int
                    and ($1::int is null or p.node_server_id = $1)
                    and p.doubt in (select d from doubt)
                    and ($4::text is null or ($4 = 'open') = (p.decision is null))
                order by p.node_client_id desc, p.id desc limit $5)
                union all
                (select p.id from telecom.doubtful_push p
                where $2::int is null and p.node_server_id between $1::int and $1::int
                    and p.doubt in (select d from doubt)
                    and ($4::text is null or ($4 = 'open') = (p.decision is null))
                order by p.node_server_id desc, p.id desc limit $5)
                union all
                select p.id from doubt
                cross join lateral (
                    select id from telecom.doubtful_push p
                    where p.doubt between d and d and p.decision is null
                    order by p.doubt desc, p.id desc limit $5
                ) p
                where $1::int is null and $2::int is null and $4::text = 'open'
                union all
                select p.id from doubt
                cross join lateral (
                    select id from telecom.doubtful_push p
                    where p.doubt between d and d and ($4::text is null or p.decision is not null)
                    order by p.doubt desc, p.id desc limit $5
                ) p
                where $1::int is null and $2::int is null and $4::text is distinct from 'open'
            ) p
            order by id desc
            limit $5
        )
        select (select count(*) from match) as "total!",
            array(select id from match order by id desc limit $6 offset $7) as "ids!""#,
        filter.server_id as Option<i32>,
        filter.node_client_id as Option<i32>,
        filter.doubt.map(<&str>::from),
        filter.state.map(<&str>::from),
        PAGES.max_offset,
        page.limit,
        page.offset
    }
}

/// Doubtful pushes by id, newest first.
pub async fn show(connection: &mut Connection, ids: &[i64]) -> Result<Vec<DoubtfulPush>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* doubtful_push.show */
        select id, doubt::text as "doubt!", evidence, push_id, previous_push_id,
            node_access_id as access_id, node_server_id as server_id, node_client_id, arrived_at,
            cardinality(user_numbers) as "users!", total_bytes as bytes,
            traffic_factor is not null as "billed!", unreadable_rows,
            jsonb_path_query_array(unreadable, '$[0 to 9]') as "unreadable!", decision::text,
            decided_at
        from telecom.doubtful_push where id = any($1) order by id desc"#,
            ids
        ),
        connection,
    )
    .await?;
    let pushes = rows.into_iter().map(|row| {
        Ok(from_row!(row => DoubtfulPush {
            id, evidence, push_id, previous_push_id, access_id, server_id, node_client_id,
            arrived_at, users, bytes, billed, unreadable_rows, decided_at;
            doubt: stored(&row.doubt)?,
            unreadable: serde_json::from_value(row.unreadable).map_err(Error::internal)?,
            decision: row.decision.map(|decision| stored(&decision)).transpose()?
        }))
    });
    pushes.collect()
}

/// A row at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowAtStake {
    /// Id of the user.
    pub user_id: Uuid,
    /// Bytes sent by the user.
    pub upload_bytes: i64,
    /// Bytes received by the user.
    pub download_bytes: i64,
    /// With which factor the row is billed. `None` if it is not.
    pub traffic_factor: Option<Factor>,
}

statements! {
    /// Locks a doubtful push until the transaction ends. Returns its id, or nothing if there is no
    /// such push.
    pub fn lock(id: i64) -> FirstValue<i64> {
        "/* doubtful_push.lock */
        select id from telecom.doubtful_push where id = $1 for no key update"
    }

    /// The rows at stake of existing users, by user.
    pub fn rows_at_stake(id: i64) -> Rows<RowAtStake> {
        r#"/* doubtful_push.rows_at_stake */
        select u.user_id, r.upload_bytes as "upload_bytes!", r.download_bytes as "download_bytes!",
            p.traffic_factor as "traffic_factor: Factor"
        from telecom.doubtful_push p
        cross join lateral unnest(p.user_numbers, p.upload_bytes, p.download_bytes)
            as r (user_number, upload_bytes, download_bytes)
        join telecom.node_user u on u.number = r.user_number
        where p.id = $1
        order by u.user_id"#
    }

    /// Stores the decision about a push that [`lock`] locked in this transaction.
    pub fn decide(id: i64, decision: PushDecision, at: DateTime<Utc>) -> Done {
        "/* doubtful_push.decide */
        update telecom.doubtful_push
        set decision = $2::text::telecom.doubt_decision, decided_at = $3
        where id = $1",
        id,
        <&str>::from(decision),
        at
    }
}
