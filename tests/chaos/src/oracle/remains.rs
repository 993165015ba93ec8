//! At the end, no message, unbilled report, parked usage or ended but active item may be left.

use std::collections::HashSet;

use anyhow::Result;
use chrono::TimeDelta;

use crate::cloud::queue::Origin;
use crate::ledger::Books;
use crate::run::Run;

/// Rules about leftovers, each with a query that must return 0 at the end.
const REMAINS: [(&str, &str); 9] = [
    (
        "messages left in the outbox",
        "select count(*) from telecom.outbox",
    ),
    (
        "reports left unbilled",
        "select count(*) from telecom.usage_report where billing_run_id is null and line_count > 0",
    ),
    (
        "usage left parked",
        "select count(*) from telecom.parked_event",
    ),
    (
        "extensions left incomplete",
        "select count(*) from telecom.package_extension where completed_at is null",
    ),
    (
        "users with two active items",
        "select count(*) from (select user_id from telecom.package_queue where status = 'active'
            group by user_id having count(*) > 1) twice",
    ),
    (
        "a count of items differs from the items",
        "select count(*) from (
            select package_id, status, count(*) as n from telecom.package_queue group by 1, 2
         ) q full join (
            select package_id, status, sum(items) as n from telecom.package_queue_count
            group by 1, 2 having sum(items) <> 0
         ) c using (package_id, status) where q.n is distinct from c.n",
    ),
    (
        "usage of a node differs from that of its users",
        "with usage as (
            select bucket_start, node_server_id, node_client_id, raw_upload_bytes up,
                billed_download_bytes down
            from telecom.node_usage_hourly
            union all
            select bucket_start, node_server_id, node_client_id, sum(raw_upload_bytes),
                sum(billed_download_bytes)
            from telecom.node_usage_delta
            group by grouping sets ((bucket_start, node_server_id, node_client_id), (bucket_start))
            union all
            select bucket_start, node_server_id, node_client_id, -sum(raw_upload_bytes),
                -sum(billed_download_bytes)
            from telecom.user_package_usage
            group by grouping sets ((bucket_start, node_server_id, node_client_id), (bucket_start))
         )
         select count(*) from (
            select from usage group by bucket_start, node_server_id, node_client_id
            having (sum(up), sum(down)) <> (0, 0)
         ) wrong",
    ),
    (
        "usage of a node on a day differs from that of its hours",
        "with usage as (
            select day, node_server_id, node_client_id, raw_upload_bytes up,
                billed_download_bytes down
            from telecom.node_usage_daily
            union all
            select (bucket_start at time zone 'UTC')::date, node_server_id, node_client_id,
                -raw_upload_bytes, -billed_download_bytes
            from telecom.node_usage_hourly where node_server_id is not null
         )
         select count(*) from (
            select from usage group by day, node_server_id, node_client_id
            having (sum(up), sum(down)) <> (0, 0)
         ) wrong",
    ),
    (
        "usage of a day differs from that of its hours",
        "with usage as (
            select user_id, day, node_client_id, raw_upload_bytes up, billed_download_bytes down
            from telecom.user_usage_daily
            union all
            select user_id, day, node_client_id, raw_upload_bytes, billed_download_bytes
            from telecom.late_user_usage
            where day < (select days_summed_before from telecom.usage_summary)
            union all
            select user_id, (bucket_start at time zone 'UTC')::date, node_client_id,
                -raw_upload_bytes, -billed_download_bytes
            from telecom.user_package_usage
            where (bucket_start at time zone 'UTC')::date
                < (select days_summed_before from telecom.usage_summary)
         )
         select count(*) from (
            select from usage group by user_id, day, node_client_id
            having (sum(up), sum(down)) <> (0, 0)
         ) wrong",
    ),
];

/// Rules about active items that should have ended before a time, each with a query that must
/// return 0. An item that is exhausted when it becomes active ends with the next run.
const ENDED: [(&str, &str); 2] = [
    (
        "exhausted items still active",
        "select count(*) from telecom.package_queue q join telecom.package p on p.id = q.package_id
         where q.status = 'active' and q.upload_bytes + q.download_bytes >= p.traffic_limit_bytes
         + q.adjust_quota_bytes and q.activated_at < $1",
    ),
    (
        "expired items still active",
        "select count(*) from telecom.package_queue where status = 'active' and expires_at < $1",
    ),
];

pub async fn check(run: &Run) -> Result<()> {
    // What became active or expired shortly before the jobs ended is ignored.
    let before = run.jobs_ended_at() - TimeDelta::minutes(3);
    let unbound = REMAINS.map(|rule| (rule, None));
    let bound = ENDED.map(|rule| (rule, Some(before)));
    for ((what, sql), before) in unbound.into_iter().chain(bound) {
        let count: i64 = run
            .operator
            .until_done(async |connection| {
                let query = sqlx::query_scalar(sql);
                let query = match before {
                    Some(before) => query.bind(before),
                    None => query,
                };
                query.fetch_one(connection).await
            })
            .await?;
        if count > 0 {
            run.findings_of(what, count.unsigned_abs(), || format!("{count}"));
        }
    }
    check_dead_letters(run);
    Ok(())
}

/// The dead letters must be exactly the planted messages, and reports of archived servers.
fn check_dead_letters(run: &Run) {
    let queues = run.cloud.queues();
    let books = run.ledger.open();
    let mut dead: HashSet<String> = HashSet::new();
    for message in queues.iter().flat_map(|queue| queue.dead_letters()) {
        if !books.poison.contains_key(&*message.body) && !is_refused(&books, &message.origin) {
            run.finding("dead letters that were not planted", || {
                format!(
                    "{:?} {}",
                    message.origin,
                    message.body.chars().take(200).collect::<String>()
                )
            });
        }
        dead.insert(message.body.to_string());
    }
    for (body, what) in books
        .poison
        .iter()
        .filter(|(body, _)| !dead.contains(*body))
    {
        run.finding("poison that is no dead letter", || {
            format!("{what}: {body}")
        });
    }
}

fn is_refused(books: &Books, origin: &Origin) -> bool {
    let Origin::Report(id) = origin else {
        return false;
    };
    let report = books.reports.get(id);
    report.is_some_and(|report| books.may_be_refused(report))
}
