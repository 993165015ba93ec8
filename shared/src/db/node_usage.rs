//! Usage per node client: hourly as the sum of `node_usage_hourly` and `node_usage_delta`, daily as
//! the sum of `node_usage_daily` and `node_usage_delta`.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::user_package_usage::UsageToAdd;
use super::{Connection, column, statements};
use crate::domain::traffic::Traffic;
use crate::error::Error;

/// Start of the hour, node server and node client.
type Key = (DateTime<Utc>, i32, Option<i32>);

/// Appends what the usage of users adds to that of their nodes.
pub async fn add(connection: &mut Connection, usage: &[UsageToAdd]) -> Result<(), Error> {
    let deltas = deltas(usage)?;
    if deltas.is_empty() {
        return Ok(());
    }
    insert_deltas(connection, &deltas).await
}

/// Sums usage by hour and node client, in no order.
fn deltas(usage: &[UsageToAdd]) -> Result<Vec<(Key, Traffic)>, Error> {
    let mut sums: HashMap<Key, Traffic> = HashMap::new();
    for UsageToAdd { key, traffic, .. } in usage {
        let key = (key.bucket_start, key.node_server_id, key.node_client_id);
        let sum = sums.entry(key).or_default();
        *sum = sum.checked_add(*traffic).ok_or_else(Error::overflow)?;
    }
    Ok(sums.into_iter().collect())
}

statements! {
    fn insert_deltas(deltas: &[(Key, Traffic)]) -> Done {
        "/* node_usage.insert_deltas */
        insert into telecom.node_usage_delta (
            bucket_start, node_server_id, node_client_id, raw_upload_bytes, raw_download_bytes,
            billed_upload_bytes, billed_download_bytes
        )
        select * from unnest(
            $1::timestamptz[], $2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::bigint[]
        )",
        &column(deltas, |((bucket_start, ..), _)| *bucket_start),
        &column(deltas, |((_, server, _), _)| *server),
        &column(deltas, |((.., client), _)| *client) as &[Option<i32>],
        &column(deltas, |(_, traffic)| traffic.raw_upload),
        &column(deltas, |(_, traffic)| traffic.raw_download),
        &column(deltas, |(_, traffic)| traffic.billed_upload),
        &column(deltas, |(_, traffic)| traffic.billed_download)
    }

    /// Moves at most `limit` deltas into the hourly and daily rows of their clients and into the
    /// totals of their hours. Returns the number of deltas. Only one transaction may do so at a
    /// time.
    pub fn merge_deltas(limit: i64) -> Value<i64> {
        r#"/* node_usage.merge_deltas */
        with delta as (
            delete from telecom.node_usage_delta where ctid = any(array(
                select ctid from telecom.node_usage_delta limit $1
            ))
            returning *
        ), hourly as (
            insert into telecom.node_usage_hourly as u
            select bucket_start, node_server_id, node_client_id, sum(raw_upload_bytes)::bigint,
                sum(raw_download_bytes)::bigint, sum(billed_upload_bytes)::bigint,
                sum(billed_download_bytes)::bigint
            from delta
            group by grouping sets ((bucket_start, node_server_id, node_client_id), (bucket_start))
            on conflict on constraint node_usage_hourly_key do update set
                raw_upload_bytes = u.raw_upload_bytes + excluded.raw_upload_bytes,
                raw_download_bytes = u.raw_download_bytes + excluded.raw_download_bytes,
                billed_upload_bytes = u.billed_upload_bytes + excluded.billed_upload_bytes,
                billed_download_bytes = u.billed_download_bytes + excluded.billed_download_bytes
        ), daily as (
            insert into telecom.node_usage_daily as u
            select (bucket_start at time zone 'UTC')::date, node_server_id, node_client_id,
                sum(raw_upload_bytes)::bigint, sum(raw_download_bytes)::bigint,
                sum(billed_upload_bytes)::bigint, sum(billed_download_bytes)::bigint
            from delta
            group by 1, 2, 3
            on conflict on constraint node_usage_daily_key do update set
                raw_upload_bytes = u.raw_upload_bytes + excluded.raw_upload_bytes,
                raw_download_bytes = u.raw_download_bytes + excluded.raw_download_bytes,
                billed_upload_bytes = u.billed_upload_bytes + excluded.billed_upload_bytes,
                billed_download_bytes = u.billed_download_bytes + excluded.billed_download_bytes
        )
        select count(*) as "deltas!" from delta"#
    }

    /// Deletes at most `limit` hourly rows of hours before `before`. Returns their number.
    pub fn delete_hours(before: DateTime<Utc>, limit: i64) -> Changed {
        "/* node_usage.delete_hours */
        delete from telecom.node_usage_hourly where ctid = any(array(
            select ctid from telecom.node_usage_hourly where bucket_start < $1 limit $2
        ))"
    }

    /// Deletes at most `limit` rows of days before `before`. Returns their number.
    pub fn delete_days(before: NaiveDate, limit: i64) -> Changed {
        "/* node_usage.delete_days */
        delete from telecom.node_usage_daily where ctid = any(array(
            select ctid from telecom.node_usage_daily where day < $1 limit $2
        ))"
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::traffic::UsageKey;

    #[test]
    fn usage_of_all_users_of_a_client_is_one_delta() {
        let usage = |user, client, bytes| UsageToAdd {
            key: UsageKey {
                user_id: Uuid::from_u128(user),
                bucket_start: DateTime::UNIX_EPOCH,
                node_server_id: 1,
                node_client_id: client,
            },
            package_queue_id: None,
            traffic: Traffic {
                raw_upload: bytes,
                ..Traffic::default()
            },
        };
        let usage = [
            usage(1, Some(2), 3),
            usage(2, None, 5),
            usage(3, Some(2), 7),
        ];
        let deltas = deltas(&usage).unwrap();
        let mut sums: Vec<(Option<i32>, i64)> = deltas
            .iter()
            .map(|((.., client), traffic)| (*client, traffic.raw_upload))
            .collect();
        sums.sort_unstable();
        assert_eq!(sums, [(None, 5), (Some(2), 10)]);
    }
}
