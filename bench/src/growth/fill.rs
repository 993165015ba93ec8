//! A month of history of half a million users: their raw usage, hourly usage and consumed packages.
//! The users of the fleet have such packages, too, but no such usage, so that the calls of the
//! comparison return the same rows.
//!
//! What neither the pipeline nor the measured operations read is left out: sums of nodes and of
//! days, statuses, and the audit log. The reports are billed, but their sums are not those of the
//! hourly rows, so that a reconciliation would find differences.

use anyhow::Result;
use serde::Serialize;
use sqlx::PgConnection;

use crate::analytics::indexes::Dropped;
use crate::database::{Database, checkpoint, run, run_all};
use crate::fleet;
use crate::progress::step;

/// Days of the history, until yesterday.
const DAYS: i64 = 30;
/// Consumed packages of a user.
const ITEMS_PER_USER: i64 = 10;
/// Hourly rows of a user.
const HOURS_PER_USER: i64 = 100;
/// Raw rows of a user.
const LINES_PER_USER: i64 = 200;
/// Lines of a report.
const LINES_PER_REPORT: i64 = 100;

/// Number of rows of a history.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scale {
    pub users: i64,
    pub raw_rows: i64,
    pub hourly_rows: i64,
    pub items: i64,
}

impl Scale {
    pub fn new(users: u32) -> Self {
        let users = i64::from(users);
        Self {
            users,
            raw_rows: users * LINES_PER_USER,
            hourly_rows: users * HOURS_PER_USER,
            items: users * ITEMS_PER_USER,
        }
    }
}

/// The users of the fleet come first. The items of user `n` have the ids from `n * 10` after
/// `FIRST_ITEM` on.
const USERS_AND_ITEMS: &str = "
create table bench_user (number bigint primary key, user_id uuid not null);
insert into bench_user select n - 1, id from unnest($1::uuid[]) with ordinality as u (id, n)
where n <= USERS;
insert into bench_user select n, md5('user ' || n)::uuid
from generate_series((select count(*) from bench_user), USERS - 1) n;
analyze bench_user;
insert into telecom.package_queue
    (id, user_id, package_id, status, end_reason, created_at, activated_at, expires_at, ended_at)
select 10000000 + number * ITEMS + item, user_id, number % 4 + 1, 'consumed', 'time',
    now() - interval '400 days', now() - interval '400 days' + item * interval '30 days',
    now() - interval '370 days' + item * interval '30 days',
    now() - interval '370 days' + item * interval '30 days'
from generate_series(0, ITEMS - 1) item, bench_user
";

/// Hourly usage of a day, in the order in which charges insert it. A user uses a client for an
/// hour. The users of the fleet, who have active packages, have none.
const HOURS: &str = "
insert into telecom.user_package_usage (
    user_id, bucket_start, node_server_id, node_client_id, package_queue_id, raw_upload_bytes,
    raw_download_bytes, billed_upload_bytes, billed_download_bytes
)
select user_id, $1::timestamptz + hour * interval '1 hour', client / 5 + 1, client + 1,
    10000000 + number * ITEMS + ITEMS - 1, 1000, 9000, 500 * (client % 5), 4500 * (client % 5)
from (
    select number, user_id, (number * 7 + row * 5 + $2) % 24 as hour,
        ((number * 37 + row * 211 + $2) % 1000)::integer as client
    from generate_series($2 * HOURS / DAYS, ($2 + 1) * HOURS / DAYS - 1) row, bench_user
    where number >= (select count(*) from telecom.package_queue where status = 'active')
) usage
order by hour, number
";

/// Reports of a day, with ids of version 7, and their lines in the order of arrival.
const REPORTS: &str = "
select telecom.create_traffic_usage_partitions(($1::timestamptz at time zone 'UTC')::date, 1);
with report as (
    insert into telecom.usage_report (
        report_id, node_server_id, period_start, period_end, payload_hash, line_count,
        received_at, billing_run_id
    )
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7'
            || left(md5(n::text), 3) || '8' || right(md5(n::text), 15))::uuid,
        (n % 200 + 1)::integer, at - interval '1 minute', at,
        decode(md5(n::text) || md5(n::text), 'hex'), LINES, at, RUN
    from (
        select n, $1::timestamptz + n * interval '1 day' / REPORTS_PER_DAY as at
        from generate_series(0, REPORTS_PER_DAY - 1) n
    ) times
    returning seq, node_server_id, received_at
)
insert into telecom.traffic_usage (
    usage_report_seq, received_at, upload_bytes, download_bytes, user_id, node_client_id,
    traffic_factor
)
select seq, received_at, 1000, 9000, user_id, (node_server_id - 1) * 5 + line % 5 + 1,
    (line % 5) * 0.5
from report, generate_series(0, LINES - 1) line
join bench_user on number = (line * 7919) % USERS
";

/// Fills a database that has the fleet.
pub async fn fill(database: &Database, scale: Scale) -> Result<()> {
    let mut connection = database.connect().await?;
    let replaced = |sql: &str| {
        let per_day = scale.raw_rows / LINES_PER_REPORT / DAYS;
        [
            ("REPORTS_PER_DAY", per_day),
            ("USERS", scale.users),
            ("ITEMS", ITEMS_PER_USER),
            ("HOURS", HOURS_PER_USER),
            ("LINES", LINES_PER_REPORT),
            ("DAYS", DAYS),
        ]
        .iter()
        .fold(sql.to_owned(), |sql, (word, value)| {
            sql.replace(word, &value.to_string())
        })
    };
    let users = users_and_items(&mut connection, replaced(USERS_AND_ITEMS));
    step("History: users and packages", users).await?;
    let indexes = Dropped::of(&mut connection, "telecom.user_package_usage").await?;
    let hours = days(&mut connection, replaced(HOURS));
    step("History: hourly usage", hours).await?;
    step("History: indexes", indexes.create(&mut connection)).await?;
    let reports = days(&mut connection, replaced(REPORTS));
    step("History: reports", reports).await?;
    step("History: vacuum", run(&mut connection, "vacuum analyze")).await?;
    checkpoint(&mut connection).await
}

async fn users_and_items(connection: &mut PgConnection, sql: String) -> Result<()> {
    for statement in sql.split(';') {
        if statement.contains("$1") {
            sqlx::query(statement)
                .bind(fleet::user_ids())
                .execute(&mut *connection)
                .await?;
        } else {
            run(connection, statement).await?;
        }
    }
    Ok(())
}

/// Runs statements for each day, with its start as `$1` and its number as `$2`. All its reports
/// belong to one billing run.
async fn days(connection: &mut PgConnection, sql: String) -> Result<()> {
    for day in 0..DAYS {
        let start = format!(
            "(date_trunc('day', now(), 'UTC') - interval '{} days')",
            DAYS - day
        );
        let sql = sql
            .replace("$1", &start)
            .replace("$2", &day.to_string())
            .replace("RUN", &format!("md5('run {day}')::uuid"));
        run_all(connection, &sql).await?;
    }
    Ok(())
}
