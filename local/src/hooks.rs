//! What fills the system with life: keys and tokens, the demo fleet, the simulator, and the check
//! of it all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use shared::clock::{Clock, System};
use sqlx::PgPool;
use uuid::Uuid;

use crate::demo::background::Running;
use crate::demo::fleet::{self, ADMIN, DEMO_USER, Fleet};
use crate::demo::script::Load;
use crate::demo::simulator::{Options, Pace};
use crate::demo::token::{AUDIENCE, ISSUER, Issuer, Role};
use crate::demo::verify::{self, Api, Outcome};
use crate::progress::{note, step};
use crate::settings::Settings;
use crate::stack::Endpoints;

/// The seed of the demo fleet and of what its collectors send.
pub const SEED: u64 = 1;
/// Validity of the printed tokens.
const TOKEN_TTL: Duration = Duration::from_hours(24);

/// Something that runs beside the stack until it is stopped.
pub trait Workload {
    /// An error if it has ended by itself.
    fn check_alive(&mut self) -> Result<()>;
    /// Stops it and waits until it has stopped.
    fn stop(&mut self);
}

/// The local issuer, its key kept in the state folder.
pub fn issuer(settings: &Settings) -> Result<Issuer> {
    Issuer::open(&settings.state.join("keys"))
}

/// The template parameters `AuthIssuer`, `AuthAudience` and `AuthJwks`.
pub fn auth_parameters(settings: &Settings) -> Result<BTreeMap<String, String>> {
    let jwks = issuer(settings)?.jwks()?;
    let parameters = [
        ("AuthIssuer", ISSUER.to_owned()),
        ("AuthAudience", AUDIENCE.to_owned()),
        ("AuthJwks", jwks),
    ];
    Ok(parameters
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// Loads the demo fleet into the migrated database; leaves existing data alone.
pub fn seed(endpoints: &Endpoints) -> Result<Fleet> {
    step("Loading the demo fleet", || {
        block_on(async {
            let pool = PgPool::connect(&endpoints.database_url).await?;
            fleet::seed(&pool, SEED, System.now()).await
        })
    })
}

/// Starts the simulator.
pub fn simulate(
    settings: &Settings,
    endpoints: &Endpoints,
    fleet: Fleet,
    load: Load,
) -> Result<Box<dyn Workload>> {
    let options = Options {
        load,
        duration: None,
        pace: Pace::RealTime,
    };
    let queue = endpoints.output("UsageReportQueueUrl")?.to_owned();
    let running = Running::start(
        fleet,
        options,
        &account(settings),
        queue,
        endpoints.aws.clone(),
    )?;
    note("The simulator sends usage reports, with repeats, late ones and heartbeats among them.");
    Ok(Box::new(running))
}

impl Workload for Running {
    fn check_alive(&mut self) -> Result<()> {
        if self.has_ended() {
            let totals = Self::stop(self)?;
            bail!("The simulator has ended by itself: {totals}");
        }
        Ok(())
    }

    fn stop(&mut self) {
        match step("Stopping the simulator", || Self::stop(self)) {
            Ok(totals) => note(&totals.to_string()),
            Err(error) => note(&format!("The simulator failed: {error:#}")),
        }
    }
}

/// Compares what was sent with what was recorded, billed and shown.
pub fn verify(
    settings: &Settings,
    endpoints: &Endpoints,
    wait: Duration,
    users: usize,
) -> Result<Outcome> {
    let api = Api {
        base_url: endpoints.api.clone(),
        issuer: issuer(settings)?,
        users,
    };
    let question = verify::Settings {
        account: account(settings),
        wait,
        others_allowed: true,
        api: Some(api),
    };
    block_on(async {
        let pool = PgPool::connect(&endpoints.database_url).await?;
        verify::verify(&pool, &question, &System, note).await
    })
}

/// A token; for the demo user, or the administrator, unless another user is named.
pub fn token(settings: &Settings, user: Option<Uuid>, role: Role) -> Result<String> {
    let user = user.unwrap_or(if role == Role::User { DEMO_USER } else { ADMIN });
    issuer(settings)?.issue(user, role, TOKEN_TTL, System.now())
}

/// Lines for the end of the banner: tokens, and commands to copy.
pub fn banner(settings: &Settings, endpoints: &Endpoints) -> Result<Vec<String>> {
    let lines = [
        String::new(),
        format!("  The demo user is {DEMO_USER}. Her token, valid for a day:"),
        format!("    {}", token(settings, None, Role::User)?),
        "  An administrator's:".to_owned(),
        format!("    {}", token(settings, None, Role::Admin)?),
        String::new(),
        "  Try (the first bills are written at the next full minute):".to_owned(),
        format!(
            "    curl -sH \"authorization: Bearer $(make -s token)\" \
             '{}/v1/traffic-usage?range=day'",
            endpoints.api
        ),
        format!(
            "    curl -sH \"authorization: Bearer $(make -s token ARGS=--admin)\" \
             '{}/v1/admin/node-servers?limit=3'",
            endpoints.api
        ),
        format!(
            "    psql '{}' -c \"select status, upload_bytes, download_bytes \
             from telecom.package_queue where user_id = '{DEMO_USER}' order by id\"",
            endpoints.database_url
        ),
        "    make verify      compares what the simulator sent with what was recorded and billed, \
         to the byte"
            .to_owned(),
    ];
    Ok(lines.to_vec())
}

fn account(settings: &Settings) -> PathBuf {
    settings.state.join("simulator").join("account.jsonl")
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("Cannot start a runtime")?.block_on(work)
}
