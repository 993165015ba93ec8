//! Pushes of node software: those that the next ones are compared with, and doubts about them.

use std::collections::HashMap;
use std::fmt::Display;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::statement::all_rows;
use super::{Connection, column, statements};
use crate::domain::doubtful_push::PushDoubt;
use crate::domain::node_push::{LastPush, PushRow, PushSource, RepeatedPush};
use crate::domain::traffic::Factor;
use crate::error::Error;

/// Client of a source that names none, in columns that may not be null.
const NO_CLIENT: i32 = 0;

fn client(source: PushSource) -> i32 {
    source.node_client_id.unwrap_or(NO_CLIENT)
}

fn source(access_id: i64, node_client_id: i32, part: i32) -> PushSource {
    PushSource {
        access_id,
        node_client_id: Some(node_client_id).filter(|client| *client != NO_CLIENT),
        part,
    }
}

/// Locks sources until the transaction ends, and returns their last pushes. `sources` is sorted and
/// contains each source once.
pub async fn lock_sources(
    connection: &mut Connection,
    sources: &[PushSource],
) -> Result<HashMap<PushSource, LastPush>, Error> {
    insert_missing(connection, sources).await?;
    let rows = lock(connection, sources).await?;
    if rows.len() < sources.len() {
        // A row that was about to be locked was deleted, because the source had long been silent.
        return Err(Error::conflict());
    }
    let last = |row: LastRow| {
        let source = source(row.node_access_id, row.node_client_id, row.part);
        let last = LastPush {
            push_id: row.push_id?,
            arrived_at: row.arrived_at,
            was_late: row.was_late,
            was_repeated: row.was_repeated,
            factor: row.traffic_factor,
            rows: push_rows(row.user_numbers, row.upload_bytes, row.download_bytes),
        };
        Some((source, last))
    };
    Ok(rows.into_iter().filter_map(last).collect())
}

struct LastRow {
    node_access_id: i64,
    node_client_id: i32,
    part: i32,
    push_id: Option<Uuid>,
    arrived_at: DateTime<Utc>,
    was_late: bool,
    was_repeated: bool,
    traffic_factor: Option<Factor>,
    user_numbers: Vec<i32>,
    upload_bytes: Vec<i64>,
    download_bytes: Vec<i64>,
}

statements! {
    fn insert_missing(sources: &[PushSource]) -> Done {
        r#"/* node_push.insert_missing_sources */
        insert into telecom.last_node_push (node_access_id, node_client_id, part)
        select * from unnest($1::bigint[], $2::int[], $3::int[])
        on conflict (node_access_id, node_client_id, part) do nothing"#,
        &column(sources, |source| source.access_id),
        &column(sources, |source| client(*source)),
        &column(sources, |source| source.part)
    }

    /// The time of a source without a push, minus infinity, is replaced by one that can be read.
    fn lock(sources: &[PushSource]) -> Rows<LastRow> {
        r#"/* node_push.lock_sources */
        select p.node_access_id, p.node_client_id, p.part, p.push_id,
            greatest(p.arrived_at, '2000-01-01Z') as "arrived_at!", p.was_late, p.was_repeated,
            p.traffic_factor as "traffic_factor: Factor", p.user_numbers, p.upload_bytes,
            p.download_bytes
        from unnest($1::bigint[], $2::int[], $3::int[])
            as s (node_access_id, node_client_id, part)
        join telecom.last_node_push p using (node_access_id, node_client_id, part)
        order by p.node_access_id, p.node_client_id, p.part
        for no key update of p"#,
        &column(sources, |source| source.access_id),
        &column(sources, |source| client(*source)),
        &column(sources, |source| source.part)
    }
}

fn push_rows(numbers: Vec<i32>, uploads: Vec<i64>, downloads: Vec<i64>) -> Vec<PushRow> {
    let bytes = uploads.into_iter().zip(downloads);
    let row = |(number, (upload, download))| PushRow::from((number, upload, download));
    numbers.into_iter().zip(bytes).map(row).collect()
}

/// The last push of a locked source.
#[derive(Debug, Clone, Copy)]
pub struct SourceLast<'l> {
    /// Where the push came from.
    pub source: PushSource,
    /// Its last push so far.
    pub last: &'l LastPush,
}

/// Stores the last pushes of locked sources.
pub async fn save_last(connection: &mut Connection, lasts: &[SourceLast<'_>]) -> Result<(), Error> {
    sqlx::query!(
        r#"/* node_push.save_last */
        update telecom.last_node_push p set
            push_id = l.push_id, arrived_at = l.arrived_at, was_late = l.was_late,
            was_repeated = l.was_repeated, traffic_factor = l.factor_units / 10000.0,
            user_numbers = l.numbers::int[], upload_bytes = l.uploads::bigint[],
            download_bytes = l.downloads::bigint[]
        from unnest(
            $1::bigint[], $2::int[], $3::int[], $4::uuid[], $5::timestamptz[], $6::boolean[],
            $7::boolean[], $8::int[], $9::text[], $10::text[], $11::text[]
        ) as l (
            node_access_id, node_client_id, part, push_id, arrived_at, was_late, was_repeated,
            factor_units, numbers, uploads, downloads
        )
        where p.node_access_id = l.node_access_id and p.node_client_id = l.node_client_id
            and p.part = l.part"#,
        &column(lasts, |l| l.source.access_id),
        &column(lasts, |l| client(l.source)),
        &column(lasts, |l| l.source.part),
        &column(lasts, |l| l.last.push_id),
        &column(lasts, |l| l.last.arrived_at),
        &column(lasts, |l| l.last.was_late),
        &column(lasts, |l| l.last.was_repeated),
        &column(lasts, |l| l.last.factor.map(Factor::units)) as &[Option<i32>],
        &column(lasts, |l| array(&l.last.rows, |row| row.user_number)),
        &column(lasts, |l| array(&l.last.rows, |row| row.upload_bytes)),
        &column(lasts, |l| array(&l.last.rows, |row| row.download_bytes))
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A column of rows as the text of an array, because `unnest` flattens arrays of arrays.
fn array<T: Display>(rows: &[PushRow], field: impl Fn(&PushRow) -> T) -> String {
    let values: Vec<String> = rows.iter().map(|row| field(row).to_string()).collect();
    format!("{{{}}}", values.join(","))
}

/// A source and the hash of a content that it pushed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentKey {
    /// Where the push came from.
    pub source: PushSource,
    /// Hash of the content.
    pub body_hash: Vec<u8>,
}

/// The times in which pushes with a content are of interest, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Before the first arrival.
    pub after: DateTime<Utc>,
    /// After the last arrival.
    pub before: DateTime<Utc>,
}

/// The pushes of locked sources with the given contents and times.
pub async fn of_content(
    connection: &mut Connection,
    wanted: &[(&ContentKey, Times)],
) -> Result<Vec<(ContentKey, RepeatedPush)>, Error> {
    let rows = all_rows(
        sqlx::query!(
            r#"/* node_push.of_content */
        select p.node_access_id, p.node_client_id, k.part as "part!", p.body_hash, p.push_id,
            p.first_arrived_at, p.last_arrived_at, p.arrivals
        from unnest(
            $1::bigint[], $2::int[], $3::int[], $4::bytea[], $5::timestamptz[], $6::timestamptz[]
        ) as k (node_access_id, node_client_id, part, body_hash, after, before)
        join telecom.node_push p using (node_access_id, node_client_id, body_hash)
        where p.last_arrived_at > k.after and p.first_arrived_at < k.before
        order by p.first_arrived_at, p.push_id"#,
            &column(wanted, |(key, _)| key.source.access_id),
            &column(wanted, |(key, _)| client(key.source)),
            &column(wanted, |(key, _)| key.source.part),
            &column(wanted, |(key, _)| key.body_hash.clone()),
            &column(wanted, |(_, times)| times.after),
            &column(wanted, |(_, times)| times.before)
        ),
        connection,
    )
    .await?;
    let found = rows.into_iter().map(|row| {
        let key = ContentKey {
            source: source(row.node_access_id, row.node_client_id, row.part),
            body_hash: row.body_hash,
        };
        let push = RepeatedPush {
            push_id: row.push_id,
            first_arrived_at: row.first_arrived_at,
            last_arrived_at: row.last_arrived_at,
            arrivals: row.arrivals,
        };
        (key, push)
    });
    Ok(found.collect())
}

/// A push of a locked source with its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentPush<'c> {
    /// Where the push came from.
    pub source: PushSource,
    /// Hash of the content.
    pub body_hash: &'c [u8],
    /// The push to be recorded.
    pub push: RepeatedPush,
}

statements! {
    /// Stores pushes of locked sources with their contents.
    pub fn save_content(pushes: &[ContentPush<'_>]) -> Done {
        r#"/* node_push.save_content */
        insert into telecom.node_push (
            push_id, node_access_id, node_client_id, body_hash, first_arrived_at, last_arrived_at,
            arrivals
        )
        select * from unnest(
            $1::uuid[], $2::bigint[], $3::int[], $4::bytea[], $5::timestamptz[], $6::timestamptz[],
            $7::int[])
        on conflict (push_id) do update set
            first_arrived_at = excluded.first_arrived_at,
            last_arrived_at = excluded.last_arrived_at, arrivals = excluded.arrivals"#,
        &column(pushes, |p| p.push.push_id),
        &column(pushes, |p| p.source.access_id),
        &column(pushes, |p| client(p.source)),
        &column(pushes, |p| p.body_hash.to_vec()),
        &column(pushes, |p| p.push.first_arrived_at),
        &column(pushes, |p| p.push.last_arrived_at),
        &column(pushes, |p| p.push.arrivals)
    }
}

/// A user and the number under which node software knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberedUser {
    /// The number of the user.
    pub number: i32,
    /// Id of the user.
    pub user_id: Uuid,
}

statements! {
    /// The users with the given numbers.
    pub fn users(numbers: &[i32]) -> Rows<NumberedUser> {
        "/* node_push.users */
        select number, user_id from telecom.node_user where number = any($1)"
    }
}

/// A doubt to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDoubt {
    /// The push that is doubtful.
    pub push_id: Uuid,
    /// What is doubtful about it.
    pub doubt: PushDoubt,
    /// Where the push came from.
    pub source: PushSource,
    /// The server of the push.
    pub node_server_id: i32,
    /// When the push arrived.
    pub arrived_at: DateTime<Utc>,
    /// The push that may be contained. `None` for other doubts.
    pub previous_push_id: Option<Uuid>,
    /// Names of what speaks for the doubt.
    pub evidence: Vec<&'static str>,
    /// The rows at stake.
    pub rows: Vec<PushRow>,
    /// With which factor these rows are billed. `None` if they are not.
    pub factor: Option<Factor>,
    /// Keys and reasons of unreadable rows.
    pub unreadable: Value,
    /// Number of unreadable rows.
    pub unreadable_rows: i32,
}

impl NewDoubt {
    fn total_bytes(&self) -> i64 {
        let sum = |total: i64, row: &PushRow| {
            total
                .saturating_add(row.upload_bytes)
                .saturating_add(row.download_bytes)
        };
        self.rows.iter().fold(0, sum)
    }
}

statements! {
    /// Records doubts, each once.
    pub fn insert_doubts(doubts: &[NewDoubt]) -> Changed {
        r#"/* node_push.insert_doubts */
        insert into telecom.doubtful_push (
            push_id, doubt, node_access_id, node_server_id, node_client_id, arrived_at,
            previous_push_id, evidence, user_numbers, upload_bytes, download_bytes, total_bytes,
            traffic_factor, unreadable, unreadable_rows
        )
        select d.push_id, d.doubt::telecom.doubt, d.node_access_id, d.node_server_id,
            d.node_client_id, d.arrived_at, d.previous_push_id, d.evidence::text[],
            d.numbers::int[], d.uploads::bigint[], d.downloads::bigint[], d.total_bytes,
            d.factor_units / 10000.0, d.unreadable, d.unreadable_rows
        from unnest(
            $1::uuid[], $2::text[], $3::bigint[], $4::int[], $5::int[], $6::timestamptz[],
            $7::uuid[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[],
            $13::int[], $14::jsonb[], $15::int[]
        ) as d (
            push_id, doubt, node_access_id, node_server_id, node_client_id, arrived_at,
            previous_push_id, evidence, numbers, uploads, downloads, total_bytes, factor_units,
            unreadable, unreadable_rows
        )
        on conflict (push_id, doubt) do nothing"#,
        &column(doubts, |d| d.push_id),
        &column(doubts, |d| <&str>::from(d.doubt)) as &[&str],
        &column(doubts, |d| d.source.access_id),
        &column(doubts, |d| d.node_server_id),
        &column(doubts, |d| d.source.node_client_id) as &[Option<i32>],
        &column(doubts, |d| d.arrived_at),
        &column(doubts, |d| d.previous_push_id) as &[Option<Uuid>],
        &column(doubts, |d| format!("{{{}}}", d.evidence.join(","))),
        &column(doubts, |d| array(&d.rows, |row| row.user_number)),
        &column(doubts, |d| array(&d.rows, |row| row.upload_bytes)),
        &column(doubts, |d| array(&d.rows, |row| row.download_bytes)),
        &column(doubts, NewDoubt::total_bytes),
        &column(doubts, |d| d.factor.map(Factor::units)) as &[Option<i32>],
        &column(doubts, |d| d.unreadable.clone()),
        &column(doubts, |d| d.unreadable_rows)
    }

    /// Deletes at most about `limit` pushes whose newest repeat arrived before `before`. Returns
    /// the number of rows.
    pub fn delete(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* node_push.delete */
        delete from telecom.node_push where ctid = any(array(
            select ctid from telecom.node_push where last_arrived_at < $1 limit $2
        ))"#
    }

    /// Deletes at most about `limit` last pushes that arrived before `before`. Returns the number
    /// of rows.
    pub fn delete_last(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* node_push.delete_last */
        delete from telecom.last_node_push where ctid = any(array(
            select ctid from telecom.last_node_push where arrived_at < $1 limit $2
            for update skip locked
        ))"#
    }

    /// Deletes at most about `limit` doubts about pushes that arrived before `before`. Returns the
    /// number of rows.
    pub fn delete_doubts(before: DateTime<Utc>, limit: i64) -> Changed {
        r#"/* node_push.delete_doubts */
        delete from telecom.doubtful_push where ctid = any(array(
            select ctid from telecom.doubtful_push where arrived_at < $1 limit $2
        ))"#
    }
}
