//! Measures an extension of 100,000 packages, and how long charges wait meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;
use shared::clock::{Clock as _, Context, System};
use shared::config::TelecomConfig;
use shared::domain::audit::Actor;
use shared::services::Processor;
use shared::services::change::Requested;
use shared::services::cron::apply_package_extensions::ApplyPackageExtensionsJob;
use shared::services::cron::{Run, TelecomCronExecutor};
use shared::services::manage::{ExtendPackages, ManageService};
use shared::services::queue::apply_user_usage_billing::TelecomBillingHook;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::database::{Database, fault, run_all};
use crate::messaging::Messaging;
use crate::pipeline::consume;
use crate::progress::step;
use crate::results::{Bar, Limit};
use crate::workload::delivery;

/// Users of a delivery, one charge each.
const CHARGES: i64 = 1_000;
const IDLE_DELIVERIES: usize = 20;
/// Time until the last item is extended, in seconds.
const MAX_SECONDS: Limit = Limit::AtMost(60.0);

#[derive(Debug, Serialize)]
pub struct Extension {
    /// Number of extended items.
    pub items: i64,
    /// Seconds from the start of the job until the last item was extended.
    pub seconds: f64,
    /// Number of deliveries of 1,000 charges during the extension.
    pub deliveries: usize,
    /// Time of the slowest of these deliveries, in milliseconds.
    pub slowest_delivery_ms: f64,
    /// Time of the slowest delivery before the extension, in milliseconds.
    pub slowest_idle_delivery_ms: f64,
}

impl Extension {
    pub fn bar(&self) -> Bar {
        let name = format!("seconds until {} packages are extended", self.items);
        Bar::new(name, MAX_SECONDS, self.seconds, 1)
    }

    pub fn text(&self) -> String {
        format!(
            "The slowest of {} deliveries of {CHARGES} charges took {:.0} ms during the extension, \
             and {:.0} ms before it.",
            self.deliveries, self.slowest_delivery_ms, self.slowest_idle_delivery_ms
        )
    }
}

/// Extends all active items while their users are charged, 1,000 users per delivery.
pub async fn measure(database: &Database) -> Result<Extension> {
    let mut connection = database.connect().await?;
    let server = "insert into telecom.node_server (id, name, compatibility)
        values (1, 'server', 'new_v2b'); vacuum analyze telecom.package_queue";
    run_all(&mut connection, server).await?;
    let messaging = Messaging::start().await?;
    let (context, publisher) = (Context::system(), messaging.publisher().await);
    let config = TelecomConfig::default();
    let hook = TelecomBillingHook::new(database.pool(1), publisher.clone(), context.clone());
    let manage = ManageService::new(database.pool(1), context.clone(), config);
    let job = TelecomCronExecutor::new(database.pool(1), publisher, context, config);
    let mut slowest_idle = Duration::ZERO;
    for number in 0..IDLE_DELIVERIES {
        slowest_idle = slowest_idle.max(charge(&hook, &mut connection, number).await?);
    }
    let requested = manage.process(request()).await.map_err(fault)?;
    let began = Instant::now();
    let run = Run::within(Some(Duration::from_mins(2)));
    let (mut deliveries, mut slowest) = (0, Duration::ZERO);
    let extending = job.process(ApplyPackageExtensionsJob(run));
    let charging = async {
        loop {
            slowest = slowest.max(charge(&hook, &mut connection, deliveries).await?);
            deliveries += 1;
        }
    };
    let extended = step("Extending the packages", async {
        tokio::select! {
            extended = extending => extended.map_err(fault),
            failed = charging => failed,
        }
    })
    .await?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(
        extended.items == requested.items,
        "Only {} of {} packages were extended.",
        extended.items,
        requested.items
    );
    Ok(Extension {
        items: extended.items,
        seconds,
        deliveries,
        slowest_delivery_ms: slowest.as_secs_f64() * 1_000.0,
        slowest_idle_delivery_ms: slowest_idle.as_secs_f64() * 1_000.0,
    })
}

fn request() -> Requested<ExtendPackages> {
    let actor = Actor {
        user_id: Uuid::nil(),
        request_id: None,
    };
    Requested::by(
        actor,
        ExtendPackages {
            available_group: Some(1),
            series: None,
            hours: 24,
            reason: "benchmark".to_owned(),
            dry_run: false,
        },
    )
}

/// Charges a byte to 1,000 users who lie apart in the table, and returns how long it took.
async fn charge(
    hook: &TelecomBillingHook,
    connection: &mut PgConnection,
    number: usize,
) -> Result<Duration> {
    let users = "select user_id from telecom.package_queue
        where status = 'active' order by md5(user_id::text || $1) limit $2";
    let users: Vec<Uuid> = sqlx::query_scalar(users)
        .bind(number.to_string())
        .bind(CHARGES)
        .fetch_all(connection)
        .await?;
    let time = System.now().timestamp();
    let events: Vec<_> = users
        .iter()
        .map(|user| {
            json!({ "server_id": 1, "user": user, "billed_upload": 1, "billed_download": 0,
                "time": time })
        })
        .collect();
    let body = json!({ "batch_id": Uuid::new_v4(), "events": events }).to_string();
    let event = delivery(&[body])?;
    let began = Instant::now();
    consume(hook, &event).await?;
    Ok(began.elapsed())
}
