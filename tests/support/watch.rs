//! A monitored fleet. A test decides when servers report, and the job runs every minute. Times are
//! seconds after [`NOW`].

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use shared::db;
use shared::db::node_status_history::{Servers, status_times};
use shared::services::Processor;
use shared::services::cron::Run;
use shared::services::cron::refresh_server_status::{RefreshServerStatus, Refreshed};
use sqlx::PgPool;
use uuid::Uuid;

use crate::report::report_of;
use crate::{NOW, World, at};

/// The time `seconds` after [`NOW`].
#[must_use]
pub fn after(seconds: i64) -> DateTime<Utc> {
    at(NOW) + TimeDelta::seconds(seconds)
}

#[derive(Debug)]
pub struct Watch {
    pub world: World,
}

impl Watch {
    /// Servers 1 to `servers`, none of which has reported yet.
    pub async fn over(pool: PgPool, servers: i32) -> Self {
        let world = World::new(pool).await;
        for server in 2..=servers {
            world.server(server, &[]).await;
        }
        Self { world }
    }

    /// Like [`Self::over`], with all servers online from the beginning.
    pub async fn online(pool: PgPool, servers: i32) -> Self {
        let watch = Self::over(pool, servers).await;
        watch.beat(&(1..=servers).collect::<Vec<_>>(), 0).await;
        watch.refresh(0).await;
        watch
    }

    /// Delivers heartbeats now, for periods that ended at `end`.
    pub async fn beat(&self, servers: &[i32], end: i64) {
        let bodies: Vec<String> = servers
            .iter()
            .map(|&server| heartbeat(server, end))
            .collect();
        self.world.assert_reports_accepted(&bodies).await;
    }

    /// Sets the clock to `seconds` and delivers heartbeats for periods that end then.
    pub async fn beat_at(&self, servers: &[i32], seconds: i64) {
        self.world.clock.set(after(seconds));
        self.beat(servers, seconds).await;
    }

    /// Delivers a heartbeat now that the queue received at `sent`.
    pub async fn beat_sent(&self, server: i32, end: i64, sent: i64) {
        let message = (heartbeat(server, end), after(sent));
        let failed = self.world.report_sent(&[message]).await;
        assert_eq!(failed, Vec::<String>::new());
    }

    /// Runs the job every minute since its last run, and at `seconds`. Returns the result of the
    /// last run.
    pub async fn refresh(&self, seconds: i64) -> Refreshed {
        let last = "select extract(epoch from ran_at)::bigint from telecom.node_status_watch";
        let last: Option<i64> = sqlx::query_scalar(last)
            .fetch_one(&self.world.pool)
            .await
            .unwrap();
        let mut next = last.map_or(seconds, |last| last - at(NOW).timestamp() + 60);
        while next < seconds {
            self.run(next).await;
            next += 60;
        }
        self.run(seconds).await
    }

    /// Runs the job at `seconds`, regardless of its last run.
    pub async fn run(&self, seconds: i64) -> Refreshed {
        self.world.clock.set(after(seconds));
        self.world
            .cron()
            .process(RefreshServerStatus(Run::default()))
            .await
            .unwrap()
    }

    /// Statuses in the order of the server ids.
    pub async fn statuses(&self) -> Vec<String> {
        let statuses = "select status::text from telecom.node_server order by id";
        sqlx::query_scalar(statuses)
            .fetch_all(&self.world.pool)
            .await
            .unwrap()
    }

    /// The log of a server: its statuses and the second at which each begins. Asserts that the log
    /// has no gap and that only its last interval is open.
    pub async fn log(&self, server: i32) -> Vec<(String, i64)> {
        let log: Vec<(String, DateTime<Utc>, Option<DateTime<Utc>>)> = sqlx::query_as(
            "select to_status::text, since, until from telecom.node_status_transition
            where node_server_id = $1
             order by since, until nulls last, id",
        )
        .bind(server)
        .fetch_all(&self.world.pool)
        .await
        .unwrap();
        assert!(
            log.windows(2).all(|pair| pair[0].2 == Some(pair[1].1)),
            "{log:?}"
        );
        assert!(log.last().is_none_or(|last| last.2.is_none()), "{log:?}");
        log.into_iter()
            .map(|(to, since, _)| (to, (since - at(NOW)).num_seconds()))
            .collect()
    }

    /// Outages of the collection that have ended, as `(since, until)`.
    pub async fn collection_outages(&self) -> Vec<(i64, i64)> {
        let outages =
            "select extract(epoch from since - $1)::bigint, extract(epoch from until - $1)::bigint
             from telecom.collection_outage where until is not null order by since";
        sqlx::query_as(outages)
            .bind(at(NOW))
            .fetch_all(&self.world.pool)
            .await
            .unwrap()
    }

    /// Seconds online and seconds unknown of a server between two times.
    pub async fn online_and_unknown_seconds(
        &self,
        server: i32,
        start: i64,
        end: i64,
    ) -> (i64, i64) {
        let times = db::on_connection(&self.world.pool, async |connection| {
            let server = Servers::One(server);
            status_times(connection, server, after(start), after(end)).await
        })
        .await
        .unwrap();
        let (_, times) = times.first().unwrap();
        (times.online_seconds, times.unknown_seconds)
    }

    /// Types of the facts in the outbox, in order.
    pub async fn fact_kinds(&self) -> Vec<String> {
        self.world
            .facts()
            .await
            .into_iter()
            .map(|(kind, _)| kind)
            .collect()
    }
}

/// A log in the form that [`Watch::log`] returns.
#[must_use]
pub fn log_of(intervals: &[(&str, i64)]) -> Vec<(String, i64)> {
    intervals
        .iter()
        .map(|&(to, since)| (to.to_owned(), since))
        .collect()
}

/// A report without usage for a period that ended at `end`.
#[must_use]
pub fn heartbeat(server: i32, end: i64) -> String {
    let mut body = report_of(0, server, after(end), &[]);
    body["report_id"] = json!(Uuid::new_v4());
    body.to_string()
}
