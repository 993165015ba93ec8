//! Two years of usage of 100,000 users on 5 node clients a day, as far as the measured operations
//! can tell it from the real one.
//!
//! All of it would be 365 million rows of users' days alone, in about 55 GB. Smaller here:
//!
//! - All users have usage on the last 31 days, which are all that lists of the top users and nodes
//!   and the overview read. Only one user in 50 has usage on all earlier days. The measured
//!   requests of one user are for these. They read as many rows as in the full tables, on as many
//!   pages, because the rows of a table lie in the order of days. The index has at most one level
//!   less. But these pages stay in memory here. Those of the full tables would not fit into it, and
//!   the first request of a user would read them from a disk.
//! - A user uses a client for one hour a day. More hours add rows to requests for days of a time
//!   zone other than UTC, which read hourly rows, and to no other request. Hourly rows are kept for
//!   400 days, the default.
//! - The usage of nodes is complete: all clients in all hours of two years. In the last 31 days it
//!   is the sum of the users' usage. Before that, it contains the usage of users whose rows are
//!   left out, so that a reconciliation would find differences there.
//! - Indexes of hourly usage are created after the rows, and so have fewer half-empty pages than
//!   those that grew. The job itself sums the recent days of users, into a table with its indexes.
//! - Tables that the operations do not read are empty: raw usage, billing, outbox.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, DurationRound, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use shared::clock::{Clock as _, Context, System};
use shared::config::TelecomConfig;
use shared::services::Processor;
use shared::services::cron::summarize_usage::SummarizeUsageJob;
use shared::services::cron::{Run, TelecomCronExecutor};
use sqlx::PgConnection;

use super::indexes::Dropped;
use super::sums;
use crate::database::{Database, checkpoint, fault, run, run_all};
use crate::messaging::Messaging;
use crate::progress::step;

/// Days on which all users have usage, including today. A month and the day before it.
const RECENT_DAYS: i64 = 31;
/// Days for which hourly usage of users is kept, including today. The default of
/// `TELECOM_USAGE_RETENTION_DAYS`, and the longest range of a request.
pub const HOURLY_DAYS: i64 = 400;
/// Number of node clients, two on each server.
const CLIENTS: i64 = 1_000;
/// Days of the usage of nodes that one statement inserts.
const CHUNK_DAYS: i64 = 30;

/// How much usage there is.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scale {
    pub users: i64,
    /// Number of users for each one with usage on all days.
    pub users_per_daily_user: i64,
    /// Days of the history, including today.
    pub days: i64,
}

impl Scale {
    pub fn new(quick: bool) -> Self {
        if quick {
            Self {
                users: 10_000,
                users_per_daily_user: 10,
                days: HOURLY_DAYS + 30,
            }
        } else {
            Self {
                users: 100_000,
                users_per_daily_user: 50,
                days: 2 * 365,
            }
        }
    }
}

/// The history in a database.
#[derive(Debug, Clone, Copy)]
pub struct History {
    pub scale: Scale,
    /// The UTC day on which it ends.
    pub today: NaiveDate,
    /// The end of the current hour, which has usage, too.
    until: DateTime<Utc>,
}

/// Servers, clients with all kinds of factors, users with an active item for the recent days, and
/// what a running fleet leaves behind: connected users, and reports that wait for the next billing.
const FLEET: &str = "
insert into telecom.node_server (id, name, compatibility, status)
select n, 'server ' || n, 'new_v2b',
    (case when n % 50 = 0 then 'offline' else 'online' end)::telecom.node_server_status
from generate_series(1, CLIENTS / 2) n;
insert into telecom.node_client (id, node_server_id, name, traffic_factor, country)
select n, (n - 1) / 2 + 1, 'client ' || n, ((n - 1) % 5) * 0.5, 'DE'
from generate_series(1, CLIENTS) n;
insert into telecom.package
    (id, series, version, is_master, name, available_group, max_client_number,
    expire_duration_seconds, traffic_limit_bytes)
values (1, gen_random_uuid(), 1, true, 'package', 1, 3, 730 * 86400, 1024::bigint ^ 5);
insert into telecom.package_queue
    (user_id, package_id, status, created_at, activated_at, expires_at)
select md5('user ' || n)::uuid, 1, 'active', timestamptz 'RECENT', timestamptz 'RECENT',
    timestamptz 'RECENT' + interval '730 days'
from generate_series(1, USERS) n;
insert into telecom.package_queue
    (user_id, package_id, status, end_reason, created_at, activated_at, expires_at, ended_at)
select user_id, 1, 'consumed', 'time', timestamptz 'FIRST', timestamptz 'FIRST',
    timestamptz 'RECENT', timestamptz 'RECENT'
from telecom.node_user where number % EVERY = 0;
insert into telecom.online_address (user_number, node_client_id, address_hash, seen_at)
select number, (number * 37 + device * 201) % CLIENTS + 1,
    decode(md5(number || ' ' || device), 'hex'), now() + interval '1 day'
from telecom.node_user, generate_series(0, 1) device
where number % 4 = 0 and (device = 0 or number % 12 = 0);
insert into telecom.usage_report
    (report_id, node_server_id, period_start, period_end, payload_hash, line_count, received_at)
select gen_random_uuid(), n, now() - interval '1 minute', now(), decode('00', 'hex'), 50, now()
from generate_series(1, CLIENTS / 2) n;
update telecom.usage_summary
set days_closed_before = date 'MONTH', days_summed_before = date 'MONTH';
create table bench_user as
select u.user_id, u.number::bigint as number, a.id as item, c.id as consumed_item
from telecom.node_user u
join telecom.package_queue a on a.user_id = u.user_id and a.status = 'active'
left join telecom.package_queue c on c.user_id = u.user_id and c.status = 'consumed';
analyze bench_user";

/// The usage of a day of every n-th user. A user uses clients with all five factors, each in
/// another hour. The numbers 37, 201, 1009 and so on are coprime to the numbers of clients and
/// hours, so that users spread over both.
const USAGE_OF_DAY: &str = "
create function bench_usage(of_day date, each bigint) returns table (
    user_id uuid, item bigint, consumed_item bigint, bucket_start timestamptz,
    node_server_id integer, node_client_id integer, raw_upload bigint, raw_download bigint,
    billed_upload bigint, billed_download bigint
) language sql stable as $$
    select user_id, item, consumed_item,
        $1::timestamp at time zone 'UTC' + hour * interval '1 hour',
        ((client - 1) / 2 + 1)::integer, client::integer, bytes, bytes * 9,
        bytes * ((client - 1) % 5) / 2, bytes * 9 * ((client - 1) % 5) / 2
    from (
        select u.*, (number * 37 + n + place * 201) % CLIENTS + 1 as client,
            ((number * 5 + place) * 7919 / 1009 + n) % 24 as hour,
            ((number * 7919 + n * 104729 + place * 1299709) % 100000 + 1) * 1000 as bytes
        from bench_user u, generate_series(0::bigint, 4) place,
            lateral (select ($1 - date '2000-01-01')::bigint) since (n)
        where number % $2 = 0
    ) used
$$";

/// Hourly usage of a day, in the order in which charges insert it. On recent days, the usage of
/// nodes is its sum.
const FILL_HOURS: &str = "
with usage as materialized (
    select * from bench_usage($1, $2) where bucket_start < $3 order by bucket_start, user_id
), hourly as (
    insert into telecom.user_package_usage (
        user_id, bucket_start, node_server_id, node_client_id, package_queue_id, raw_upload_bytes,
        raw_download_bytes, billed_upload_bytes, billed_download_bytes
    )
    select user_id, bucket_start, node_server_id, node_client_id,
        case when $4 then item else consumed_item end, raw_upload, raw_download, billed_upload,
        billed_download
    from usage
)
insert into telecom.node_usage_hourly
select bucket_start, node_server_id, node_client_id, sum(raw_upload), sum(raw_download),
    sum(billed_upload), sum(billed_download)
from usage
where $4
group by grouping sets ((bucket_start, node_server_id, node_client_id), (bucket_start))
order by bucket_start, node_server_id, node_client_id";

/// Usage of nodes from one day to another, with about as many bytes as the users of a client have
/// in an hour. The total of an hour lies next to its clients, as where the job inserts both.
const FILL_NODES: &str = "
with usage as (
    select hour as bucket_start, client, (
        (extract(epoch from hour)::bigint / 3600 * 31 + client * 7919) % 1000 + 500
    ) * 1000000 as bytes
    from generate_series(
        $1::timestamp at time zone 'UTC', $2::timestamp at time zone 'UTC' - interval '1 hour',
        interval '1 hour'
    ) hour, generate_series(1, CLIENTS) client
)
insert into telecom.node_usage_hourly
select bucket_start, (client - 1) / 2 + 1, client, sum(bytes), sum(bytes * 9),
    sum(bytes * ((client - 1) % 5) / 2), sum(bytes * 9 * ((client - 1) % 5) / 2)
from usage
group by grouping sets ((bucket_start, (client - 1) / 2 + 1, client), (bucket_start))
order by 1, 2, 3";

/// Days until a month ago, in the order of the job: of days with all users, it sorts the rows. It
/// would not sort those of days with few users, and leave the rows of a user on more pages.
const FILL_OLD_DAYS: &str = "
insert into telecom.user_usage_daily
select user_id, day::date, node_server_id, node_client_id, raw_upload, raw_download,
    billed_upload, billed_download
from generate_series($1::timestamp, $2::timestamp - interval '1 day', interval '1 day') day,
    lateral bench_usage(day::date, $3)
order by day, user_id";

/// Each item has the counters of its usage.
const CHARGE_ITEMS: &str = "
update telecom.package_queue q
set upload_bytes = u.upload, download_bytes = u.download
from (
    select package_queue_id, sum(billed_upload_bytes) as upload,
        sum(billed_download_bytes) as download
    from telecom.user_package_usage group by 1
) u
where u.package_queue_id = q.id";

/// What was charged in the last minute is not added to the sums of nodes yet. In a minute, billing
/// runs six times, and usage of each client is charged in each.
const LAST_MINUTE: &str = "
insert into telecom.node_usage_delta
select bucket_start, node_server_id, node_client_id, raw_upload_bytes / 360,
    raw_download_bytes / 360, billed_upload_bytes / 360, billed_download_bytes / 360
from telecom.node_usage_hourly, generate_series(1, 6)
where bucket_start = timestamptz 'HOUR' and node_server_id is not null;
update telecom.node_usage_hourly h
set raw_upload_bytes = h.raw_upload_bytes - d.raw_upload,
    raw_download_bytes = h.raw_download_bytes - d.raw_download,
    billed_upload_bytes = h.billed_upload_bytes - d.billed_upload,
    billed_download_bytes = h.billed_download_bytes - d.billed_download
from (
    select node_server_id, node_client_id, sum(raw_upload_bytes) as raw_upload,
        sum(raw_download_bytes) as raw_download, sum(billed_upload_bytes) as billed_upload,
        sum(billed_download_bytes) as billed_download
    from telecom.node_usage_delta
    group by grouping sets ((node_server_id, node_client_id), ())
) d
where h.bucket_start = timestamptz 'HOUR'
    and (h.node_server_id, h.node_client_id)
        is not distinct from (d.node_server_id, d.node_client_id)";

/// Usage of nodes by day, which the job writes together with that by hour.
const SUM_NODE_DAYS: &str = "
insert into telecom.node_usage_daily
select (bucket_start at time zone 'UTC')::date, node_server_id, node_client_id,
    sum(raw_upload_bytes), sum(raw_download_bytes), sum(billed_upload_bytes),
    sum(billed_download_bytes)
from telecom.node_usage_hourly
where node_server_id is not null
group by 1, 2, 3
order by 1, 2, 3";

impl History {
    /// Fills an empty database with the history that ends now.
    pub async fn fill(database: &Database, scale: Scale) -> Result<Self> {
        let now = System.now();
        let hour = now.duration_trunc(TimeDelta::hours(1))?;
        let history = Self {
            scale,
            today: now.date_naive(),
            until: hour + TimeDelta::hours(1),
        };
        let (mut one, mut other) = (connect(database).await?, connect(database).await?);
        step("Fleet and users", history.fill_fleet(&mut one)).await?;
        let hours = Dropped::of(&mut one, "telecom.user_package_usage").await?;
        let nodes = Dropped::of(&mut one, "telecom.node_usage_hourly").await?;
        let old = async {
            tokio::try_join!(
                history.fill_old_hours(&mut one),
                history.fill_nodes(&mut other)
            )
        };
        step("Usage until a month ago", old).await?;
        step("Usage of the last month", history.fill_recent(&mut one)).await?;
        let indexes = async { tokio::try_join!(hours.create(&mut one), nodes.create(&mut other)) };
        step("Indexes", indexes).await?;
        let analyze = "analyze telecom.user_package_usage, telecom.node_usage_hourly";
        run(&mut one, analyze).await?;
        let job = history.sum_days(database);
        let rest = history.charge_and_add_old_days(&mut other);
        let summed = async { tokio::try_join!(job, rest) };
        step("Sums of days, by the job", summed).await?;
        let last_minute = history.replaced(LAST_MINUTE);
        run_all(&mut one, &last_minute).await?;
        step("Days of nodes", run(&mut one, SUM_NODE_DAYS)).await?;
        let (hourly, recent) = (history.first_hourly_day(), history.first_recent_day());
        let compared = sums::compare(&mut one, hourly, recent);
        step("Comparing the sums", compared).await?;
        step("Vacuum", run(&mut one, "vacuum analyze")).await?;
        checkpoint(&mut one).await?;
        Ok(history)
    }

    /// The day `days` days before today.
    pub fn days_ago(&self, days: i64) -> NaiveDate {
        self.today - TimeDelta::days(days)
    }

    /// The first day of which hourly usage is kept.
    pub fn first_hourly_day(&self) -> NaiveDate {
        self.days_ago(HOURLY_DAYS - 1)
    }

    fn first_recent_day(&self) -> NaiveDate {
        self.days_ago(RECENT_DAYS - 1)
    }

    fn first_day(&self) -> NaiveDate {
        self.days_ago(self.scale.days - 1)
    }

    /// Replaces the words in capitals.
    fn replaced(&self, sql: &str) -> String {
        [
            ("CLIENTS", CLIENTS.to_string()),
            ("USERS", self.scale.users.to_string()),
            ("EVERY", self.scale.users_per_daily_user.to_string()),
            ("RECENT", format!("{}Z", self.first_recent_day())),
            ("FIRST", format!("{}Z", self.first_day())),
            ("MONTH", self.first_recent_day().to_string()),
            ("HOUR", (self.until - TimeDelta::hours(1)).to_rfc3339()),
        ]
        .iter()
        .fold(sql.to_owned(), |sql, (word, value)| {
            sql.replace(word, value)
        })
    }

    async fn fill_fleet(&self, connection: &mut PgConnection) -> Result<()> {
        run_all(connection, &self.replaced(FLEET)).await?;
        run(connection, &self.replaced(USAGE_OF_DAY)).await
    }

    /// Hourly usage of the users with usage on all days.
    async fn fill_old_hours(&self, connection: &mut PgConnection) -> Result<()> {
        for days in (RECENT_DAYS..HOURLY_DAYS).rev() {
            let every = self.scale.users_per_daily_user;
            self.fill_hours(connection, days, every, false).await?;
        }
        Ok(())
    }

    async fn fill_recent(&self, connection: &mut PgConnection) -> Result<()> {
        for days in (0..RECENT_DAYS).rev() {
            self.fill_hours(connection, days, 1, true).await?;
        }
        Ok(())
    }

    async fn fill_hours(
        &self,
        connection: &mut PgConnection,
        days_ago: i64,
        every: i64,
        recent: bool,
    ) -> Result<()> {
        sqlx::query(FILL_HOURS)
            .bind(self.days_ago(days_ago))
            .bind(every)
            .bind(self.until)
            .bind(recent)
            .execute(connection)
            .await
            .context("Cannot insert hourly usage.")?;
        Ok(())
    }

    /// Usage of nodes until a month ago, oldest first.
    async fn fill_nodes(&self, connection: &mut PgConnection) -> Result<()> {
        let (sql, mut day) = (self.replaced(FILL_NODES), self.first_day());
        while day < self.first_recent_day() {
            let end = (day + TimeDelta::days(CHUNK_DAYS)).min(self.first_recent_day());
            sqlx::query(&sql)
                .bind(day)
                .bind(end)
                .execute(&mut *connection)
                .await
                .context("Cannot insert usage of nodes.")?;
            day = end;
        }
        Ok(())
    }

    /// Runs the job that sums the hourly usage of users by day, and finds the top users.
    async fn sum_days(&self, database: &Database) -> Result<()> {
        let publisher = Messaging::start().await?.publisher().await;
        let config = TelecomConfig::default();
        let job = TelecomCronExecutor::new(database.pool(1), publisher, Context::system(), config);
        let run = SummarizeUsageJob(Run::within(None));
        let summed = job.process(run).await.map_err(fault)?;
        ensure!(
            summed.complete && i64::from(summed.days) >= RECENT_DAYS - 2 && summed.ranges == 3,
            "The job did not sum everything: {summed:?}."
        );
        Ok(())
    }

    /// Inserts what the job does not read.
    async fn charge_and_add_old_days(&self, connection: &mut PgConnection) -> Result<()> {
        run(connection, CHARGE_ITEMS).await?;
        sqlx::query(FILL_OLD_DAYS)
            .bind(self.first_day())
            .bind(self.first_recent_day())
            .bind(self.scale.users_per_daily_user)
            .execute(connection)
            .await
            .context("Cannot insert usage of old days.")?;
        Ok(())
    }
}

/// A connection that fills tables fast. A crash would lose the database anyway.
async fn connect(database: &Database) -> Result<PgConnection> {
    let mut connection = database.connect().await?;
    let fast = "set synchronous_commit = off; set work_mem = '256MB';
        set maintenance_work_mem = '1GB'";
    run(&mut connection, fast).await?;
    Ok(connection)
}
