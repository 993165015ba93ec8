//! Metrics of servers per hour.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Connection, column, statements};
use crate::domain::node_metrics::{MetricSums, NodeServerMetricsHour, ServerHour, Values};
use crate::error::Error;

/// Adds metrics to those of their hours. The rows are locked in the order of servers, then hours.
/// Sends no statement if there are no metrics.
pub async fn add(
    connection: &mut Connection,
    sums: &BTreeMap<ServerHour, MetricSums>,
) -> Result<(), Error> {
    if sums.is_empty() {
        return Ok(());
    }
    let (servers, hours): (Vec<i32>, Vec<DateTime<Utc>>) = sums.keys().copied().unzip();
    let sums: Vec<MetricSums> = sums.values().copied().collect();
    let cpu = Columns::of(&sums, |sums| sums.cpu_percent);
    let memory = Columns::of(&sums, |sums| sums.memory_used);
    let disk = Columns::of(&sums, |sums| sums.disk_used);
    let load = Columns::of(&sums, |sums| sums.load1);
    let users = Columns::of(&sums, |sums| sums.online_users);
    let upload = Columns::of(&sums, |sums| sums.upload_rate);
    let download = Columns::of(&sums, |sums| sums.download_rate);
    sqlx::query_file!(
        "src/db/sql/node_metrics.add.sql",
        &servers,
        &hours,
        &column(&sums, |sums| sums.samples),
        &cpu.samples,
        &cpu.sums,
        &cpu.maxima as &[Option<f64>],
        &memory.samples,
        &memory.sums,
        &memory.maxima as &[Option<i64>],
        &column(&sums, |sums| sums.memory_total) as &[Option<i64>],
        &disk.samples,
        &disk.sums,
        &disk.maxima as &[Option<i64>],
        &column(&sums, |sums| sums.disk_total) as &[Option<i64>],
        &load.samples,
        &load.sums,
        &load.maxima as &[Option<f64>],
        &users.samples,
        &users.sums,
        &users.maxima as &[Option<i64>],
        &upload.samples,
        &upload.sums,
        &upload.maxima as &[Option<i64>],
        &download.samples,
        &download.sums,
        &download.maxima as &[Option<i64>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The values of one metric, as `unnest` expects them.
struct Columns<T> {
    samples: Vec<i64>,
    sums: Vec<f64>,
    maxima: Vec<Option<T>>,
}

impl<T: Copy> Columns<T> {
    fn of(sums: &[MetricSums], metric: impl Fn(&MetricSums) -> Values<T>) -> Self {
        Self {
            samples: column(sums, |sums| metric(sums).samples),
            sums: column(sums, |sums| metric(sums).sum),
            maxima: column(sums, |sums| metric(sums).max),
        }
    }
}

statements! {
    /// The metrics of a server in the hours that begin in `[start, end)`, by hour. Hours without
    /// metrics are left out.
    pub fn hours(server: i32, start: DateTime<Utc>, end: DateTime<Utc>)
        -> Rows<NodeServerMetricsHour>
    {
        "/* node_metrics.hours */
        select hour, samples,
            cpu_percent_sum / nullif(cpu_percent_samples, 0) as cpu_percent_mean, cpu_percent_max,
            memory_used_bytes_sum / nullif(memory_used_samples, 0) as memory_used_mean,
            memory_used_bytes_max as memory_used_max, memory_total_bytes_max as memory_total,
            disk_used_bytes_sum / nullif(disk_used_samples, 0) as disk_used_mean,
            disk_used_bytes_max as disk_used_max, disk_total_bytes_max as disk_total,
            load1_sum / nullif(load1_samples, 0) as load1_mean, load1_max,
            online_users_sum / nullif(online_users_samples, 0) as online_users_mean,
            online_users_max,
            upload_bytes_per_second_sum / nullif(upload_samples, 0) as upload_rate_mean,
            upload_bytes_per_second_max as upload_rate_max,
            download_bytes_per_second_sum / nullif(download_samples, 0) as download_rate_mean,
            download_bytes_per_second_max as download_rate_max
        from telecom.node_server_metrics_hourly
        where node_server_id = $1 and hour >= $2 and hour < $3
        order by hour"
    }

    /// Deletes at most `limit` hours before `before`. Returns their number.
    pub fn delete(before: DateTime<Utc>, limit: i64) -> Changed {
        "/* node_metrics.delete */
        delete from telecom.node_server_metrics_hourly where ctid = any(array(
            select ctid from telecom.node_server_metrics_hourly where hour < $1
            order by hour limit $2
        ))"
    }
}
