//! Every operation that writes is safe to repeat, and refuses what it must not change. The table
//! has a row for each of them.

mod lost_responses;
mod table;
mod targets;

use serde_json::{Value, json};
use shared::domain::condition::Accepts;
use shared::http::endpoints;
use sqlx::PgPool;
use telecom_tests::World;
use telecom_tests::api::Api;
use telecom_tests::snapshot::{Snapshot, without_ids};
use telecom_tests::token::Issuer;
use telecom_tests::transport::{Refusal, RefusalStatus, Request, TRANSPORTS, Transport};
use tonic::Code;

use lost_responses::LostResponses;
use table::{By, Ended, Refused, TABLE, Then, Write};
use targets::Targets;

const KEY: &str = "idempotency-key";
const KEY_REUSED: Refused = Refused(409, Code::AlreadyExists, "idempotency_key_reused");
const KEY_MISSING: Refused = Refused(400, Code::InvalidArgument, "idempotency_key_missing");
const REVISION_CHANGED: Refused = Refused(412, Code::Aborted, "revision_changed");
const IF_MATCH_MISSING: Refused = Refused(428, Code::FailedPrecondition, "if_match_missing");

/// Fields of responses that the response to a repeat lacks, because they are not stored.
const SHOWN_ONCE: [&str; 2] = ["token", "secret"];

/// How a caller makes repeats of a call safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By an idempotency key, and by the revision if the operation requires one.
    Keyed,
    /// By nothing, because the operation itself is idempotent. An update is of any revision.
    Bare,
}

impl Write {
    /// The ways in which a call of the operation can be repeated.
    fn ways(&self) -> &'static [Way] {
        match self.accepts() {
            Accepts::RequiredIdempotencyKey => &[Way::Keyed],
            _ => &[Way::Keyed, Way::Bare],
        }
    }

    fn requires_key(&self) -> bool {
        self.accepts() == Accepts::RequiredIdempotencyKey
    }

    fn requires_revision(&self) -> bool {
        self.accepts() == Accepts::RequiredRevision
    }

    fn headers(&self, way: Way) -> Vec<(&'static str, &'static str)> {
        let mut headers = Vec::new();
        if way == Way::Keyed {
            headers.push((KEY, "the-key"));
        }
        if self.requires_revision() {
            let revision = if way == Way::Keyed { "\"1\"" } else { "*" };
            headers.push(("if-match", revision));
        }
        headers
    }
}

/// An API with the targets of all operations.
struct Scenario {
    api: Api,
    targets: Targets,
}

impl Scenario {
    async fn new(pool: PgPool) -> Self {
        Self::of(World::new(pool).await).await
    }

    async fn of(world: World) -> Self {
        let api = Api::over_both(world, Issuer::default()).await;
        Self {
            api,
            targets: Targets::default(),
        }
    }

    /// Resets the targets, so that each call of a test finds the same ones.
    async fn reset(&self) {
        self.targets.reset(&self.api.world).await;
    }

    async fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.api.world.pool).await
    }

    async fn call(&self, write: &Write, transport: Transport, way: Way) -> Result<Value, Refusal> {
        let headers = write.headers(way);
        self.send(
            write.request(&self.targets, write.body, &headers),
            transport,
        )
        .await
    }

    async fn send(&self, request: Request, transport: Transport) -> Result<Value, Refusal> {
        let admin = self.api.issuer.admin();
        self.api.request(transport, &request, &admin).await
    }

    /// Sends the row's request with other headers or another body, and asserts that it is refused
    /// and changes nothing.
    async fn assert_refused(
        &self,
        (write, transport): (&Write, Transport),
        body: &str,
        headers: &[(&str, &str)],
        expected: Refused,
    ) {
        let before = self.snapshot().await;
        let request = write.request(&self.targets, body, headers);
        let refused = self.send(request, transport).await;
        let what = format!("{} over {transport:?}", write.rpc);
        assert_eq!(refused, Err(expected.over(transport)), "{what}");
        assert_eq!(
            before.changed_tables(&self.snapshot().await),
            [""; 0],
            "{what}"
        );
    }
}

impl Refused {
    fn over(self, transport: Transport) -> Refusal {
        let Self(http, grpc, code) = self;
        Refusal {
            status: match transport {
                Transport::Http => RefusalStatus::Http(http),
                Transport::Grpc => RefusalStatus::Grpc(grpc),
            },
            code: code.to_owned(),
        }
    }
}

/// All rows over all transports.
fn rows() -> impl Iterator<Item = (&'static Write, Transport)> {
    let over_both = |write| TRANSPORTS.map(|transport| (write, transport));
    TABLE.iter().flat_map(over_both)
}

/// The response without the field that tells a first call from its repeat.
fn without_changed(mut response: Value) -> (Value, Option<bool>) {
    let fields = response.as_object_mut().unwrap();
    let changed = fields.remove("changed").map(|changed| changed == true);
    (response, changed)
}

/// The response without the fields that are shown once.
fn without_secrets(response: &Value) -> Value {
    let mut response = response.clone();
    for field in SHOWN_ONCE {
        response.as_object_mut().unwrap().remove(field);
    }
    response
}

/// Asserts that the response to a repeat is that of the first call. If nothing but the operation
/// itself makes the repeat safe, `changed` is false.
fn assert_same_response(what: &str, way: Way, first: &Value, repeated: &Value) {
    match way {
        Way::Keyed => {
            let (first, repeated) = (without_secrets(first), without_secrets(repeated));
            assert_eq!(first, repeated, "{what}");
        }
        Way::Bare => {
            let (first, changed) = without_changed(first.clone());
            let (repeated, changed_again) = without_changed(repeated.clone());
            assert_eq!(first, repeated, "{what}");
            assert_eq!(changed_again, changed.map(|_| false), "{what}");
        }
    }
}

#[test]
fn the_table_has_one_row_for_each_operation_that_writes() {
    let mut writing: Vec<&str> = endpoints()
        .iter()
        .filter(|endpoint| endpoint.accepts != Accepts::Nothing || endpoint.method != "GET")
        .map(|endpoint| endpoint.rpc)
        .collect();
    let mut rows: Vec<&str> = TABLE.iter().map(|write| write.rpc).collect();
    writing.sort_unstable();
    rows.sort_unstable();
    assert_eq!(rows, writing);
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_repeated_write_has_one_effect_and_the_first_response(pool: PgPool) {
    let scenario = Scenario::new(pool).await;
    for (write, transport) in rows() {
        for &way in write.ways() {
            let what = format!("{} {way:?}, first over {transport:?}", write.rpc);
            scenario.reset().await;
            let before = scenario.snapshot().await;
            let first = scenario.call(write, transport, way).await.expect(&what);
            let after = scenario.snapshot().await;
            let mut audited = after.audited(write.rpc);
            audited.sort_unstable();
            assert_eq!(audited, write.audited, "{what}");
            let changed = before.changed_tables(&after);
            let is_effect = |table: &&str| !["answered_call", "audit_entry"].contains(table);
            assert!(changed.iter().any(is_effect), "{what}: {changed:?}");
            for repeated_over in TRANSPORTS {
                let repeated = scenario.call(write, repeated_over, way).await.expect(&what);
                assert_same_response(&what, way, &first, &repeated);
            }
            assert_eq!(
                after.changed_tables(&scenario.snapshot().await),
                [""; 0],
                "{what}"
            );
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn concurrent_calls_have_the_effect_of_one(pool: PgPool) {
    let scenario = Scenario::new(pool).await;
    for (write, transport) in rows() {
        for &way in write.ways() {
            let what = format!("{} {way:?} over {transport:?}", write.rpc);
            scenario.reset().await;
            scenario.call(write, transport, way).await.expect(&what);
            let once = scenario.snapshot().await.effect();
            for other in TRANSPORTS {
                scenario.reset().await;
                let (one, two) = tokio::join!(
                    scenario.call(write, transport, way),
                    scenario.call(write, other, way)
                );
                let (one, two) = (one.expect(&what), two.expect(&what));
                let effect = scenario.snapshot().await.effect();
                assert_eq!(once.differences(&effect), [""; 0], "{what}");
                // Either of the two may have come first.
                let is_second = one.get("changed") == Some(&json!(false));
                let (first, repeated) = if is_second {
                    (&two, &one)
                } else {
                    (&one, &two)
                };
                assert_same_response(&what, way, first, repeated);
            }
        }
    }
}

/// Loses the response of a call at each response that the call gets from the database, the last of
/// which is that of the commit. A repeat must then have the effect of one call.
async fn lose_responses(pool: PgPool, transport: Transport) {
    let mut world = World::new(pool).await;
    let responses = LostResponses::of(&mut world).await;
    let scenario = Scenario::of(world).await;
    for write in &TABLE {
        for &way in write.ways() {
            scenario.reset().await;
            let first = scenario.call(write, transport, way).await.unwrap();
            let once = scenario.snapshot().await.effect();
            let mut lost = 0;
            loop {
                let what = format!("{} {way:?} over {transport:?}, lost {lost}", write.rpc);
                scenario.reset().await;
                let call = scenario.call(write, transport, way);
                if responses.lose(lost, call).await.is_some() {
                    break;
                }
                let repeated = scenario.call(write, transport, way).await.expect(&what);
                let effect = scenario.snapshot().await.effect();
                assert_eq!(once.differences(&effect), [""; 0], "{what}");
                let (repeated, _) = without_changed(without_ids(repeated));
                let (first, _) = without_changed(without_ids(first.clone()));
                assert_eq!(repeated, first, "{what}");
                lost += 1;
            }
            assert!(
                (4..60).contains(&lost),
                "{} got {lost} responses",
                write.rpc
            );
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_write_whose_response_was_lost_over_http_is_repeated_safely(pool: PgPool) {
    lose_responses(pool, Transport::Http).await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_write_whose_response_was_lost_over_grpc_is_repeated_safely(pool: PgPool) {
    lose_responses(pool, Transport::Grpc).await;
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_key_stands_for_one_request(pool: PgPool) {
    let scenario = Scenario::new(pool).await;
    // A request without an input is always the same.
    for (write, transport) in rows().filter(|(write, _)| write.body != "{}") {
        scenario.reset().await;
        scenario.call(write, transport, Way::Keyed).await.unwrap();
        let headers = write.headers(Way::Keyed);
        for repeated_over in TRANSPORTS {
            let call = (write, repeated_over);
            scenario
                .assert_refused(call, write.other, &headers, KEY_REUSED)
                .await;
        }
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_token_or_a_secret_is_in_the_first_response_only(pool: PgPool) {
    let scenario = Scenario::new(pool).await;
    let shown = |response: &Value| {
        let given = SHOWN_ONCE.iter().find_map(|field| response[field].as_str());
        given.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    for (write, transport) in rows() {
        scenario.reset().await;
        let first = scenario.call(write, transport, Way::Keyed).await.unwrap();
        let repeated = scenario.call(write, transport, Way::Keyed).await.unwrap();
        let Some(secret) = shown(&first) else {
            continue;
        };
        assert_eq!(shown(&repeated), None, "{}", write.rpc);
        let world = &scenario.api.world;
        let stored = "select count(*) from telecom.answered_call where answer::text like $1";
        let stored: i64 = sqlx::query_scalar(stored)
            .bind(format!("%{secret}%"))
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert_eq!(stored, 0, "{}", write.rpc);
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_operation_that_requires_a_key_is_refused_without_one(pool: PgPool) {
    let scenario = Scenario::new(pool).await;
    for call in rows().filter(|(write, _)| write.requires_key()) {
        scenario.reset().await;
        scenario
            .assert_refused(call, call.0.body, &[], KEY_MISSING)
            .await;
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn an_update_of_another_revision_or_of_none_is_refused(pool: PgPool) {
    let scenario = Scenario::new(pool).await;
    for call in rows().filter(|(write, _)| write.requires_revision()) {
        let (write, transport) = call;
        scenario.reset().await;
        scenario
            .assert_refused(call, write.body, &[], IF_MATCH_MISSING)
            .await;
        scenario
            .assert_refused(call, write.body, &[(KEY, "k")], IF_MATCH_MISSING)
            .await;
        scenario.call(write, transport, Way::Keyed).await.unwrap();
        let stale = [("if-match", "\"1\"")];
        scenario
            .assert_refused(call, write.body, &stale, REVISION_CHANGED)
            .await;
        scenario
            .assert_refused(call, write.other, &stale, REVISION_CHANGED)
            .await;
        let keyed = [stale[0], (KEY, "another-key")];
        scenario
            .assert_refused(call, write.other, &keyed, REVISION_CHANGED)
            .await;
    }
}

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn a_write_of_a_target_out_of_use_does_what_is_documented(pool: PgPool) {
    let scenario = Scenario::new(pool).await;
    for call in rows() {
        for ended in call.0.ended {
            scenario.reset().await;
            end(&scenario, ended.by).await;
            assert_then(&scenario, call, ended).await;
        }
    }
}

/// Puts a target out of use.
async fn end(scenario: &Scenario, by: By) {
    match by {
        By::Sql(statement) => scenario.api.world.sql(statement).await,
        By::Write(rpc, id) => {
            let write = TABLE.iter().find(|write| write.rpc == rpc).unwrap();
            let write = Write { id, ..*write };
            let way = if write.requires_key() {
                Way::Keyed
            } else {
                Way::Bare
            };
            let ended = scenario.call(&write, Transport::Http, way).await;
            ended.unwrap();
        }
    }
}

async fn assert_then(scenario: &Scenario, call: (&Write, Transport), ended: &Ended) {
    let (write, transport) = call;
    let headers: Vec<_> = match write.accepts() {
        Accepts::RequiredIdempotencyKey => vec![(KEY, "later")],
        _ => write.headers(Way::Bare),
    };
    let before = scenario.snapshot().await;
    let request = write.request(&scenario.targets, write.body, &headers);
    let what = format!("{} after {:?} over {transport:?}", write.rpc, ended.by);
    match ended.then {
        Then::Refused(expected) => {
            scenario
                .assert_refused(call, write.body, &headers, expected)
                .await;
        }
        Then::Nothing => {
            scenario.send(request, transport).await.expect(&what);
            let mut changed = before.changed_tables(&scenario.snapshot().await);
            changed.retain(|table| *table != "answered_call");
            assert_eq!(changed, [""; 0], "{what}");
        }
        Then::Returns(pointer, expected) => {
            let response = scenario.send(request, transport).await.expect(&what);
            assert_eq!(response.pointer(pointer), Some(&json!(expected)), "{what}");
        }
    }
}
