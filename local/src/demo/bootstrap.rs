//! Fills a running system with demo data: keys and tokens, the demo fleet, the simulator, and the
//! verification of its results.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use shared::clock::{Clock, System};
use sqlx::PgPool;
use uuid::Uuid;

use crate::demo::background::{Reporters, Running};
use crate::demo::collector::SqsSink;
use crate::demo::fleet::{self, ADMIN, DEMO_USER, Fleet};
use crate::demo::node::{self, Accesses, HttpPanel};
use crate::demo::past;
use crate::demo::script::Load;
use crate::demo::sign_in::{self, SignIn};
use crate::demo::simulator::{Options, Pace};
use crate::demo::token::{AUDIENCE, ISSUER, Issuer, Role, TOKEN_TTL};
use crate::demo::verify::{self, Outcome};
use crate::demo::visitor::{self, StatusFile};
use crate::emulator::client::sqs;
use crate::fleet::api::Api;
use crate::progress::{note, step};
use crate::settings::Settings;
use crate::stack::Endpoints;

/// Seed of the demo fleet and of its reports.
pub const SEED: u64 = 1;

/// The local token issuer. Its key is in the state folder.
pub fn issuer(settings: &Settings) -> Result<Issuer> {
    Issuer::open(&settings.state.join("keys"))
}

/// The template parameters about tokens and about the sign-in to the console.
pub fn auth_parameters(settings: &Settings) -> Result<BTreeMap<String, String>> {
    let jwks = issuer(settings)?.jwks()?;
    Ok(BTreeMap::from([
        ("AuthIssuer".to_owned(), ISSUER.to_owned()),
        ("AuthAudience".to_owned(), AUDIENCE.to_owned()),
        ("AuthJwks".to_owned(), jwks),
        ("ConsoleClientId".to_owned(), sign_in::CLIENT_ID.to_owned()),
        (
            "ConsoleIssuer".to_owned(),
            sign_in::url(settings.sign_in_port),
        ),
    ]))
}

/// Starts the page on which people sign in to the console.
pub fn sign_in(settings: &Settings) -> Result<SignIn> {
    SignIn::start(
        settings.sign_in_port,
        issuer(settings)?,
        settings.console_url(),
    )
}

/// Loads the demo fleet and its past into the migrated database. Existing data is not changed.
pub fn seed(endpoints: &Endpoints) -> Result<Fleet> {
    step("Loading the demo fleet", || {
        block_on(async {
            let pool = PgPool::connect(&endpoints.database_url).await?;
            fleet::seed(&pool, SEED, System.now(), past::DAYS).await
        })
    })
}

/// Issues accesses to the nodes of the demo fleet, unless an earlier run did.
pub fn node_access(settings: &Settings, endpoints: &Endpoints, fleet: &Fleet) -> Result<Accesses> {
    step("Issuing accesses for the demo nodes", || {
        let token = token(settings, None, Role::Admin)?;
        let api = Api::new(&endpoints.api, &token, thread::sleep)?;
        node::issue(&api, fleet, &access_file(settings))
    })
}

pub fn simulate(
    settings: &Settings,
    endpoints: &Endpoints,
    fleet: Fleet,
    accesses: Accesses,
    load: Load,
) -> Result<Running> {
    let options = Options {
        load,
        duration: None,
        pace: Pace::RealTime,
    };
    let sink = SqsSink {
        client: sqs(&endpoints.aws),
        queue_url: endpoints.output("UsageReportQueueUrl")?.to_owned(),
    };
    let status_file = StatusFile::create(&visitor_folder(settings), &endpoints.api, &accesses)?;
    let running = Running::start(Reporters {
        fleet,
        status_file,
        options,
        sink,
        panel: HttpPanel::new(&endpoints.api),
        accesses,
        account: account(settings),
        node_account: node_account(settings),
    })?;
    note(
        "The simulator sends usage reports of collectors, with duplicates, late reports and \
         heartbeats, and pushes of nodes, with lost requests and responses.",
    );
    Ok(running)
}

/// Compares the reports that the simulator sent with the recorded usage, the bills and the API's
/// responses.
pub fn verify(
    settings: &Settings,
    endpoints: &Endpoints,
    wait: Duration,
    users: usize,
) -> Result<Outcome> {
    let api = verify::Api {
        base_url: endpoints.api.clone(),
        issuer: issuer(settings)?,
        users,
    };
    let settings = verify::Settings {
        account: account(settings),
        node_account: node_account(settings),
        wait,
        others_allowed: true,
        api: Some(api),
    };
    block_on(async {
        let pool = PgPool::connect(&endpoints.database_url).await?;
        verify::verify(&pool, &settings, &System, note).await
    })
}

/// Issues a token to `user`. If `None`, the user is the demo user or the administrator.
pub fn token(settings: &Settings, user: Option<Uuid>, role: Role) -> Result<String> {
    let user = user.unwrap_or(if role == Role::User { DEMO_USER } else { ADMIN });
    issuer(settings)?.issue(user, role, TOKEN_TTL, System.now())
}

/// The end of the banner: tokens, and example commands.
pub fn banner(settings: &Settings, endpoints: &Endpoints) -> Result<Vec<String>> {
    let lines = [
        String::new(),
        format!("  Token of the demo user ({DEMO_USER}), valid for a day:"),
        format!("    {}", token(settings, None, Role::User)?),
        "  Token of an administrator:".to_owned(),
        format!("    {}", token(settings, None, Role::Admin)?),
        String::new(),
        "  Examples (the first bills are written at the next full minute):".to_owned(),
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
        "    make verify      compares, to the byte, the reports that the simulator sent with the \
         recorded usage and the bills"
            .to_owned(),
    ];
    let (fleet, accesses) = (Fleet::plan(SEED), Accesses::read(&access_file(settings))?);
    let folder = visitor_folder(settings);
    let commands = visitor::commands(&endpoints.api, &fleet, &accesses, &folder);
    Ok(lines.into_iter().chain(commands).collect())
}

fn access_file(settings: &Settings) -> PathBuf {
    settings.state.join("keys").join("node-access.json")
}

fn visitor_folder(settings: &Settings) -> PathBuf {
    settings.state.join("collector")
}

fn account(settings: &Settings) -> PathBuf {
    settings.state.join("simulator").join("account.jsonl")
}

fn node_account(settings: &Settings) -> PathBuf {
    settings.state.join("simulator").join("nodes.jsonl")
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("Cannot start a runtime")?.block_on(work)
}
