//! Measures how long users wait for their next package when 100,000 packages end in the same
//! minute.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use shared::clock::Context;
use shared::config::TelecomConfig;
use shared::services::Processor;
use shared::services::cron::expire_packages::PackageExpiringJob;
use shared::services::cron::{Run, TelecomCronExecutor};
use shared::services::queue::handle_package_expiring::HandlePackageExpiring;
use tokio::task::JoinSet;

use crate::database::{Database, fault, run_all};
use crate::messaging::{EXPIRING, Messaging};
use crate::pipeline::consume;
use crate::progress::step;
use crate::results::{Bar, Limit};
use crate::workload::deliveries;

const USERS: i64 = 100_000;
/// `BatchSize` of the queue of expiring packages in template.yaml.
const EVENTS_PER_DELIVERY: usize = 100;
const CONSUMERS: usize = 2;
/// Time until the last user has the next package, in seconds.
const MAX_SECONDS: Limit = Limit::AtMost(60.0);

/// Each user has a package whose time is over, and another package in the queue.
const SEED: &str = "
insert into telecom.package
    (id, series, version, is_master, name, available_group, max_client_number,
    expire_duration_seconds, traffic_limit_bytes)
values (1, gen_random_uuid(), 1, true, 'package', 1, 3, 30 * 86400, 1024::bigint ^ 4);
insert into telecom.package_queue (user_id, package_id, status, activated_at, expires_at)
select md5('user ' || n)::uuid, 1, 'active', now() - interval '30 days', now()
from generate_series(1, USERS) n;
insert into telecom.package_queue (user_id, package_id)
select md5('user ' || n)::uuid, 1 from generate_series(1, USERS) n;
vacuum analyze telecom.package_queue";

#[derive(Debug, Serialize)]
pub struct Expiry {
    /// Number of users whose packages ended.
    pub users: i64,
    /// Seconds from the start of the job until the last user has the next package.
    pub seconds: f64,
}

impl Expiry {
    pub fn bar(&self) -> Bar {
        let name = format!("seconds until {} users have their next package", self.users);
        Bar::new(name, MAX_SECONDS, self.seconds, 1)
    }
}

/// Measures the job while the consumers process its events.
pub async fn measure(database: &Database) -> Result<Expiry> {
    step("Seeding the packages", seed(database)).await?;
    let messaging = Messaging::start().await?;
    let (context, publisher) = (Context::system(), messaging.publisher().await);
    let job = TelecomCronExecutor::new(
        database.pool(1),
        publisher.clone(),
        context.clone(),
        TelecomConfig::default(),
    );
    // Dropping the set stops the consumers.
    let mut consumers = JoinSet::new();
    for _ in 0..CONSUMERS {
        let handler =
            HandlePackageExpiring::new(database.pool(1), publisher.clone(), context.clone());
        consumers.spawn(consume_events(handler, messaging.clone()));
    }
    let began = Instant::now();
    let expire = async {
        while users_waiting(database).await? > 0 {
            let run = Run::within(Some(Duration::from_secs(55)));
            job.process(PackageExpiringJob(run)).await.map_err(fault)?;
        }
        anyhow::Ok(())
    };
    step("Expiring the packages", async {
        tokio::select! {
            done = expire => done,
            Some(failed) = consumers.join_next() => failed?,
        }
    })
    .await?;
    Ok(Expiry {
        users: USERS,
        seconds: began.elapsed().as_secs_f64(),
    })
}

async fn seed(database: &Database) -> Result<()> {
    let seed = SEED.replace("USERS", &USERS.to_string());
    run_all(&mut database.connect().await?, &seed).await
}

/// Counts users whose next package is not active yet.
async fn users_waiting(database: &Database) -> Result<i64> {
    let sql = "select count(*) from telecom.package_queue where status = 'in_queue'";
    Ok(sqlx::query_scalar(sql)
        .fetch_one(&mut database.connect().await?)
        .await?)
}

/// Consumes events until one fails.
async fn consume_events(handler: HandlePackageExpiring, messaging: Messaging) -> Result<()> {
    loop {
        let bodies = messaging.take(EXPIRING)?;
        for events in deliveries(&bodies, EVENTS_PER_DELIVERY)? {
            consume(&handler, &events).await?;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
