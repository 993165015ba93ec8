//! Plain rows of the database, and their comparison with the expected values.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::billing::{Amounts, HourKey, hour_of, hour_text};
use super::check::{self, Check, add};
use super::past::{self, Past};
use crate::demo::report::Report;

#[derive(Debug, FromRow)]
pub(super) struct ReportRow {
    pub report_id: Uuid,
    /// Number in the order of arrival. The report's raw rows refer to it.
    pub seq: i64,
    pub node_server_id: i32,
    pub period_start: DateTime<Utc>,
    pub period_end: DateTime<Utc>,
    pub line_count: i32,
    pub received_at: DateTime<Utc>,
    /// Billing run of the report. `None` if it is not billed yet.
    #[sqlx(rename = "billing_run_id")]
    pub run: Option<Uuid>,
}

impl ReportRow {
    pub fn is_of(&self, report: &Report) -> bool {
        (self.node_server_id, self.period_start, self.period_end)
            == (report.server, report.start, report.end)
            && usize::try_from(self.line_count).is_ok_and(|lines| lines == report.lines.len())
    }
}

#[derive(Debug, FromRow)]
struct UsageRow {
    user_id: Uuid,
    bucket_start: DateTime<Utc>,
    node_server_id: i32,
    node_client_id: Option<i32>,
    package_queue_id: Option<i64>,
    raw_upload_bytes: i64,
    raw_download_bytes: i64,
    billed_upload_bytes: i64,
    billed_download_bytes: i64,
}

#[derive(Debug, FromRow)]
struct ItemRow {
    id: i64,
    user_id: Uuid,
    upload_bytes: i64,
    download_bytes: i64,
}

/// Everything that is compared, except for the raw rows.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub reports: HashMap<Uuid, ReportRow>,
    /// Clients, and their factors in ten-thousandths, of each server. In ascending order of ids.
    pub clients: HashMap<i32, Vec<(i32, i64)>>,
    pub outbox: i128,
    /// Number of usage rows without a package item although the user had an active or a waiting one
    /// at that time.
    pub uncharged: i128,
    /// Usage of hours that are not in the past.
    usage: Vec<UsageRow>,
    past: Past,
    items: Vec<ItemRow>,
}

pub(super) async fn read(tx: &mut Transaction<'static, Postgres>) -> Result<Snapshot> {
    let reports: Vec<ReportRow> = sqlx::query_as(
        "/* verify.reports */ select report_id, seq, node_server_id, period_start, period_end,
        line_count, received_at,
            billing_run_id
        from telecom.usage_report",
    )
    .fetch_all(&mut **tx)
    .await?;
    let clients: Vec<(i32, i32, i64)> = sqlx::query_as(
        "/* verify.clients */ select node_server_id, id, (traffic_factor * 10000)::bigint
        from telecom.node_client order by id",
    )
    .fetch_all(&mut **tx)
    .await?;
    let usage = sqlx::query_as(
        "/* verify.usage */ select * from telecom.user_package_usage
        where bucket_start not in (
            select bucket_start from telecom.accepted_usage where billing_run_id is null
        )",
    )
    .fetch_all(&mut **tx)
    .await?;
    let past = past::read(tx).await?;
    let items = sqlx::query_as(
        "/* verify.items */ select id, user_id, upload_bytes, download_bytes \
         from telecom.package_queue",
    )
    .fetch_all(&mut **tx)
    .await?;
    let outbox: i64 = sqlx::query_scalar("/* verify.outbox */ select count(*) from telecom.outbox")
        .fetch_one(&mut **tx)
        .await?;
    // The tolerance is two seconds, because other processes write the items, with their own clocks.
    let uncharged: i64 = sqlx::query_scalar(
        "/* verify.uncharged */ select count(*) from telecom.user_package_usage u
        where u.package_queue_id is null and exists (
            select from telecom.package_queue q
            where q.user_id = u.user_id and q.created_at < u.uncharged_at - interval '2 seconds'
                and (q.ended_at is null or q.ended_at > u.uncharged_at + interval '2 seconds')
        )",
    )
    .fetch_one(&mut **tx)
    .await?;
    let reports = reports
        .into_iter()
        .map(|row| (row.report_id, row))
        .collect();
    let (outbox, uncharged) = (outbox.into(), uncharged.into());
    Ok(Snapshot {
        reports,
        clients: by_server(clients),
        outbox,
        uncharged,
        usage,
        past,
        items,
    })
}

/// A user's usage by hour, over all servers, clients and package items.
pub(super) async fn hours_of(pool: &PgPool, user: Uuid) -> Result<Vec<(i64, Amounts)>> {
    let statement = "/* verify.hours_of_user */ select * from telecom.user_package_usage
        where user_id = $1 order by bucket_start";
    let rows: Vec<UsageRow> = sqlx::query_as(statement).bind(user).fetch_all(pool).await?;
    let mut hours: BTreeMap<i64, Amounts> = BTreeMap::new();
    for row in rows {
        add(
            hours.entry(hour_of(row.bucket_start)).or_default(),
            row.amounts(),
        );
    }
    Ok(hours.into_iter().collect())
}

/// A client's id in the labels of differences.
pub(super) fn client_text(client: Option<i32>) -> String {
    client.map_or_else(|| "none".to_owned(), |id| id.to_string())
}

fn by_server(clients: Vec<(i32, i32, i64)>) -> HashMap<i32, Vec<(i32, i64)>> {
    let mut by_server: HashMap<i32, Vec<(i32, i64)>> = HashMap::new();
    for (server, client, factor) in clients {
        by_server.entry(server).or_default().push((client, factor));
    }
    by_server
}

impl Snapshot {
    /// Compares the hourly usage, summed over package items.
    pub fn compare_hours(&self, reported: &HashMap<HourKey, Amounts>) -> Vec<Check> {
        let expected: HashMap<HourKey, Amounts> = reported
            .iter()
            .filter(|((.., hour), _)| !self.past.contains(*hour))
            .map(|(key, amounts)| (*key, *amounts))
            .collect();
        let mut found: HashMap<HourKey, Amounts> = HashMap::new();
        for row in &self.usage {
            let key = (
                row.user_id,
                row.node_server_id,
                row.node_client_id,
                hour_of(row.bucket_start),
            );
            add(found.entry(key).or_default(), row.amounts());
        }
        let names = [
            "hourly raw upload",
            "hourly raw download",
            "hourly billed upload",
            "hourly billed download",
        ];
        let mut checks = check::keys(names, &expected, &found, |(user, server, client, hour)| {
            let client = client_text(*client);
            format!(
                "user {user} server {server} client {client} hour {}",
                hour_text(*hour)
            )
        });
        checks.extend(self.past.compare(reported));
        checks
    }

    /// Compares the counters of package items, and checks that these and the usage without a
    /// package add up to everything billed.
    pub fn compare_items(&self, hours: &HashMap<HourKey, Amounts>) -> Vec<Check> {
        let mut charged: HashMap<Option<i64>, [i128; 2]> = HashMap::new();
        for (_, item, amounts) in self.charges() {
            add(charged.entry(item).or_default(), amounts);
        }
        let unpaid: i128 = charged.remove(&None).unwrap_or_default().iter().sum();
        let counters = self.items.iter().map(|item| {
            (
                Some(item.id),
                [item.upload_bytes.into(), item.download_bytes.into()],
            )
        });
        let counters: HashMap<Option<i64>, [i128; 2]> = counters.collect();
        let names = ["packages' upload counters", "packages' download counters"];
        let mut checks = check::keys(names, &charged, &counters, |item| {
            format!("package item {}", item.unwrap_or_default())
        });
        let reported: i128 = hours
            .values()
            .map(|[_, _, upload, download]| upload + download)
            .sum();
        let paid: i128 = counters.values().flatten().sum();
        checks.push(Check::equal(
            "all counters and usage without package",
            reported + self.past.billed(),
            paid + unpaid,
        ));
        checks.push(self.paid_by_others());
        checks
    }

    /// Checks that users' own packages paid for their usage.
    fn paid_by_others(&self) -> Check {
        let owners: HashMap<i64, Uuid> = self
            .items
            .iter()
            .map(|item| (item.id, item.user_id))
            .collect();
        let foreign = |(user, item, _): &(Uuid, Option<i64>, [i128; 2])| {
            item.is_some_and(|id| owners.get(&id) != Some(user))
        };
        Check::equal(
            "usage paid by another user's package",
            0,
            check::count(self.charges().filter(foreign).count()),
        )
    }

    /// User, item, and the billed upload and download of all hourly rows. Those of the past are
    /// summed.
    fn charges(&self) -> impl Iterator<Item = (Uuid, Option<i64>, [i128; 2])> {
        let usage = self.usage.iter().map(|row| {
            let [_, _, upload, download] = row.amounts();
            (row.user_id, row.package_queue_id, [upload, download])
        });
        let past = self.past.charges.iter().map(|charge| {
            let billed = [charge.billed_upload, charge.billed_download];
            (
                charge.user_id,
                charge.package_queue_id,
                billed.map(i128::from),
            )
        });
        usage.chain(past)
    }
}

impl UsageRow {
    fn amounts(&self) -> Amounts {
        [
            self.raw_upload_bytes,
            self.raw_download_bytes,
            self.billed_upload_bytes,
            self.billed_download_bytes,
        ]
        .map(i128::from)
    }
}
