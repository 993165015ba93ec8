//! Generated requests, with the parameters that the documentation refuses.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use telecom_tests::{NOW, at};
use uuid::Uuid;

use super::{Question, question};

/// Existing ids that requests may name, and time zones.
pub struct Known {
    pub users: Vec<Uuid>,
    pub orders: Vec<Uuid>,
    /// Time zones that both the code and the database know.
    pub zones: Vec<String>,
}

/// A user, an administrator, or an administrator who may see secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    User,
    Admin,
    Keeper,
}

impl Caller {
    pub fn scope(self) -> &'static str {
        match self {
            Self::User => "",
            Self::Admin => "telecom:admin",
            Self::Keeper => "telecom:secrets telecom:admin",
        }
    }
}

/// A request with its caller and time.
#[derive(Debug)]
pub struct Call {
    pub caller: Caller,
    pub user: Uuid,
    pub now: DateTime<Utc>,
    pub question: Question,
}

/// A parameter on both transports; `None` and `Null` if it is not given.
#[derive(Debug, Clone)]
struct Given {
    http: Option<String>,
    grpc: Value,
    accepted: bool,
    /// Value for the oracle, with the default applied; empty if there is none.
    word: String,
}

impl Given {
    fn nothing(default: &str) -> Self {
        Self {
            http: None,
            grpc: Value::Null,
            accepted: true,
            word: default.to_owned(),
        }
    }

    fn new(http: &impl ToString, grpc: impl Into<Value>, accepted: bool) -> Self {
        let http = http.to_string();
        Self {
            word: http.clone(),
            http: Some(http),
            grpc: grpc.into(),
            accepted,
        }
    }
}

impl Question {
    /// Adds a parameter, which may have another name over gRPC.
    fn given(mut self, name: &'static str, grpc_name: &'static str, given: &Given) -> Self {
        if let Some(text) = &given.http {
            let escaped: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let separator = if self.query.is_empty() { "" } else { "&" };
            self.query = format!(
                "{}{separator}{name}={}",
                self.query,
                escaped.replace('+', "%20")
            );
        }
        if !given.grpc.is_null() {
            self.message[grpc_name] = given.grpc.clone();
        }
        if !given.accepted {
            self.faults.push((name, grpc_name));
        }
        self
    }
}

/// An integer, of which `least` to `most` are accepted. A `limit` of 0 is not generated, since it
/// means the default over gRPC.
fn number(
    least: i64,
    most: i64,
    default: &'static str,
    bad: &[i64],
) -> impl Strategy<Value = Given> + use<> {
    let few = least..=least.saturating_add(30).min(most);
    let numbers = prop_oneof![6 => few, 1 => select(vec![least, most]), 3 => select(bad.to_vec())];
    let given = numbers.prop_map(move |n| Given::new(&n, n, (least..=most).contains(&n)));
    prop_oneof![2 => Just(Given::nothing(default)), 5 => given]
}

fn limit(most: i64, default: &'static str) -> impl Strategy<Value = Given> {
    number(
        1,
        most,
        default,
        &[-1, most + 1, i32::MAX.into(), i32::MIN.into()],
    )
}

fn offset(most: i64) -> impl Strategy<Value = Given> {
    number(0, most, "0", &[-1, most + 1, i64::MAX, i64::MIN])
}

/// The id of a server or a client, mostly an existing one.
fn id(there: std::ops::RangeInclusive<i64>) -> impl Strategy<Value = Given> {
    let ids = prop_oneof![8 => there, 1 => select(vec![404, i32::MAX.into()]), 1 => select(vec![0,
        -1, i32::MIN.into()])];
    ids.prop_map(|id| Given::new(&id, id, id > 0))
}

/// One of `words` (`PREFIX_WORD` over gRPC), or an unknown word.
fn word(prefix: &'static str, words: &'static [&'static str]) -> impl Strategy<Value = Given> {
    let known = select(words)
        .prop_map(move |word| Given::new(&word, format!("{prefix}{}", word.to_uppercase()), true));
    let unknown = select(vec![
        ("unspecified", -1),
        ("Active", 99),
        ("up\0", i32::MAX),
        ("-", i32::MIN),
    ]);
    prop_oneof![7 => known, 1 => unknown.prop_map(|(text, number)| Given::new(&text, number,
        false))]
}

/// A UUID in any of its textual forms, an invalid text, or nothing.
fn uuid(known: &[Uuid]) -> impl Strategy<Value = Given> + use<> {
    let ids =
        prop_oneof![6 => select(known.to_vec()), 1 => any::<u128>().prop_map(Uuid::from_u128)];
    let written = (ids, 0..3).prop_map(|(id, way)| match way {
        0 => id.to_string(),
        1 => id.to_string().to_uppercase(),
        _ => id.simple().to_string(),
    });
    let nonsense = prop_oneof![
        ".{1,60}",
        "[0-9a-f-]{1,35}",
        Just("\0".to_owned()),
        Just("ü".repeat(2_000))
    ];
    let nonsense = nonsense.prop_filter("a UUID", |text| text.parse::<Uuid>().is_err());
    prop_oneof![
        2 => Just(Given::nothing("")),
        4 => written.prop_map(|text| Given::new(&text, text.clone(), true)),
        1 => nonsense.prop_map(|text| Given::new(&text, text.clone(), false)),
    ]
}

fn zone(known: &[String]) -> impl Strategy<Value = Given> + use<> {
    let nonsense = prop_oneof![
        Just("Mars/Olympus".to_owned()),
        Just("UTC\0".to_owned()),
        "\\PC{1,20}",
        "[+-][0-9]{1,4}"
    ];
    let nonsense = nonsense.prop_filter("a zone", |text| text.parse::<chrono_tz::Tz>().is_err());
    prop_oneof![
        1 => Just(Given::nothing("UTC")),
        6 => select(known.to_vec()).prop_map(|name| Given::new(&name, name.clone(), true)),
        1 => nonsense.prop_map(|text| Given::new(&text, text.clone(), false)),
    ]
}

/// A full second, hour or day near the data, before and after changes of clocks.
fn time_near_data() -> impl Strategy<Value = DateTime<Utc>> {
    let begin = at("2026-02-20T00:00:00Z");
    (0..50_i64 * 86_400, select(vec![1, 3_600, 86_400]))
        .prop_map(move |(seconds, step)| begin + TimeDelta::seconds(seconds - seconds % step))
}

/// A time in a request, with any UTC offset: mostly near the data, sometimes at the limits of the
/// accepted range, or nothing.
fn optional_time() -> impl Strategy<Value = Option<DateTime<FixedOffset>>> {
    let ends = select(vec![
        at("0001-01-01T00:00:00Z"),
        at("0001-01-01T00:00:01Z"),
        at("9999-12-31T23:59:59Z"),
    ]);
    let offset = (-56..=56_i32).prop_map(|quarters| FixedOffset::east_opt(quarters * 900).unwrap());
    let near = (time_near_data(), offset).prop_map(|(at, offset)| Some(at.with_timezone(&offset)));
    prop_oneof![2 => Just(None), 9 => near, 1 => ends.prop_map(|at| Some(at.fixed_offset()))]
}

/// A range that mostly spans some hours or days.
fn range() -> impl Strategy<Value = [Option<DateTime<FixedOffset>>; 2]> {
    let length =
        prop_oneof![6 => 1..100 * 3_600_i64, 2 => 0..200 * 86_400_i64, 1 => -100_000..=0_i64];
    let named = at("0001-01-01T00:00:00Z")..=at("9999-12-31T23:59:59Z");
    (
        optional_time(),
        optional_time(),
        length,
        prop::bool::weighted(0.7),
    )
        .prop_map(move |(start, end, seconds, by_length)| {
            let after = |start: DateTime<FixedOffset>| {
                start.checked_add_signed(TimeDelta::seconds(seconds))
            };
            let after = start
                .and_then(after)
                .filter(|end| named.contains(&end.to_utc()));
            let end = if by_length { after } else { end };
            [start, end]
        })
}

impl Question {
    /// Adds the range, if there is one. `start` must be before `end`, by 92 days at most.
    fn between(self, now: DateTime<Utc>) -> Self {
        let Some([start, end]) = self.range else {
            return self;
        };
        let until = end.map_or(now, |end| end.to_utc());
        let length = start.map_or(TimeDelta::hours(24), |start| until - start.to_utc());
        let named = start.is_some() || until >= at("0001-01-02T00:00:00Z");
        let accepted = named && length > TimeDelta::zero() && length <= TimeDelta::days(92);
        let given = |time: Option<DateTime<FixedOffset>>, accepted| match time {
            Some(time) => Given::new(&time.to_rfc3339(), time.to_utc().to_rfc3339(), accepted),
            None => Given {
                accepted,
                ..Given::nothing("")
            },
        };
        let (from, to) = (given(start, accepted), given(end, true));
        let words = self.arguments[0].clone();
        let question = self.given("start", "start", &from).given("end", "end", &to);
        let utc = |time: Option<DateTime<FixedOffset>>| {
            time.map_or(String::new(), |at| at.to_utc().to_rfc3339())
        };
        question.with_arguments([&words, &utc(start), &utc(end)])
    }
}

/// A request of any caller at any time.
pub fn calls(known: &Known) -> impl Strategy<Value = Call> + use<> {
    let caller = select(vec![
        Caller::User,
        Caller::Admin,
        Caller::Admin,
        Caller::Keeper,
        Caller::Keeper,
    ]);
    let user =
        prop_oneof![9 => select(known.users.clone()), 1 => any::<u128>().prop_map(Uuid::from_u128)];
    let now = prop_oneof![1 => Just(at(NOW)), 2 => time_near_data()];
    let questions = (users_question(known), admins_question(known));
    (caller, user, now, questions, prop::bool::weighted(0.6)).prop_map(
        |(caller, user, now, (of_user, of_admin), admin)| {
            let question = if admin { of_admin } else { of_user };
            let question = question.between(now);
            Call {
                caller,
                user,
                now,
                question,
            }
        },
    )
}

fn users_question(known: &Known) -> impl Strategy<Value = Question> + use<> {
    let traffic = (
        word("RECENT_RANGE_", &["day", "week", "month"]),
        zone(&known.zones),
    )
        .prop_map(|(range, zone)| {
            let (step, count) = match range.word.as_str() {
                "day" => ("hour", "24"),
                "week" => ("day", "7"),
                _ => ("day", "30"),
            };
            question(
                "/v1/traffic-usage",
                "",
                "Telecom/GetRecentTrafficUsage",
                json!({}),
                "traffic",
            )
            .given("range", "range", &range)
            .given("time_zone", "time_zone", &zone)
            .with_arguments([&range.word, step, count, &zone.word])
        });
    let history = range().prop_map(|range| {
        question(
            "/v1/node-status-history",
            "",
            "Telecom/ListNodeStatusHistory",
            json!({}),
            "history",
        )
        .with_range(range)
    });
    let used = limit(100, "20").prop_map(|limit| {
        question(
            "/v1/usually-used-nodes",
            "",
            "Telecom/ListUsuallyUsedNodes",
            json!({}),
            "used",
        )
        .given("limit", "limit", &limit)
        .with_arguments([&limit.word])
    });
    let nodes = (limit(1_000, "1000"), offset(1_000_000))
        .prop_map(|page| paged("/v1/nodes", "Telecom/ListNodes", "nodes", &page, ""));
    prop_oneof![traffic, history, used, nodes]
}

fn paged(
    path: &str,
    method: &'static str,
    oracle: &'static str,
    (limit, offset): &(Given, Given),
    wanted: &str,
) -> Question {
    question(path, "", method, json!({}), oracle)
        .given("limit", "limit", limit)
        .given("offset", "offset", offset)
        .with_arguments([&limit.word, &offset.word, wanted])
}

const SERVER_STATUS: [&str; 3] = ["online", "offline", "maintenance"];
const QUEUE_STATUS: [&str; 4] = ["in_queue", "active", "consumed", "cancelled"];

fn admins_question(known: &Known) -> impl Strategy<Value = Question> + use<> {
    let optional =
        |given: BoxedStrategy<Given>| prop_oneof![2 => Just(Given::nothing("")), 3 => given];
    let status = optional(word("NODE_SERVER_STATUS_", &SERVER_STATUS).boxed());
    let servers = ((limit(200, "50"), offset(1_000_000)), status).prop_map(|(page, status)| {
        paged(
            "/v1/admin/node-servers",
            "NodeServerManage/ListNodeServers",
            "servers",
            &page,
            &status.word,
        )
        .given("status", "filter_status", &status)
    });
    let server = optional(id(1..=22).boxed());
    let clients = ((limit(200, "50"), offset(1_000_000)), server).prop_map(|(page, server)| {
        paged(
            "/v1/admin/node-clients",
            "NodeClientManage/ListNodeClients",
            "clients",
            &page,
            &server.word,
        )
        .given("server_id", "server_id", &server)
    });
    let availability = (id(1..=22), range()).prop_map(|(id, range)| {
        let path = format!("/v1/admin/node-servers/{}/availability", id.word);
        by_id(
            &path,
            "NodeServerManage/GetNodeServerAvailability",
            "availability",
            &id,
        )
        .with_range(range)
    });
    let counts = Just(()).prop_map(|()| {
        let method = "PackageQueueManage/CountQueuedPackages";
        question(
            "/v1/admin/package-queue/counts",
            "",
            method,
            json!({}),
            "counts",
        )
    });
    prop_oneof![3 => servers, 3 => clients, 4 => availability, 1 => counts, 5 => packages(known),
        6 => shown()]
}

fn by_id(path: &str, method: &'static str, oracle: &'static str, id: &Given) -> Question {
    let mut question =
        question(path, "", method, json!({ "id": id.grpc }), oracle).with_arguments([&id.word]);
    question
        .faults
        .extend((!id.accepted).then_some(("id", "id")));
    question
}

/// One server or one client, with or without its secrets.
fn shown() -> impl Strategy<Value = Question> {
    let server = id(1..=20).prop_map(|id| {
        by_id(
            &format!("/v1/admin/node-servers/{}", id.word),
            "NodeServerManage/ShowNodeServer",
            "server",
            &id,
        )
    });
    let client = id(101..=140).prop_map(|id| {
        by_id(
            &format!("/v1/admin/node-clients/{}", id.word),
            "NodeClientManage/ShowNodeClient",
            "client",
            &id,
        )
    });
    let flag = prop_oneof![
        Just(Given::nothing("false")),
        any::<bool>().prop_map(|reveal| Given::new(&reveal, reveal, true))
    ];
    (prop_oneof![server, client], flag).prop_map(|(question, reveal)| {
        let id = question.arguments[0].clone();
        let secrets = reveal.word == "true";
        let question = question
            .given("reveal_secrets", "reveal_secrets", &reveal)
            .with_arguments([&id, &reveal.word]);
        Question {
            secrets,
            ..question
        }
    })
}

/// Queued packages with any combination of filters.
fn packages(known: &Known) -> impl Strategy<Value = Question> + use<> {
    let optional =
        |given: BoxedStrategy<Given>| prop_oneof![3 => Just(Given::nothing("")), 2 => given];
    let package =
        number(1, i64::MAX, "", &[0, -1, i64::MIN]).prop_map(|given| match given.grpc.as_i64() {
            // There are twelve packages.
            Some(id @ 13..=31) => Given::new(&(id % 12 + 1), id % 12 + 1, true),
            _ => given,
        });
    let filters = (
        uuid(&known.users),
        uuid(&known.orders),
        optional(package.boxed()),
        optional(word("PACKAGE_QUEUE_STATUS_", &QUEUE_STATUS).boxed()),
    );
    ((limit(200, "50"), offset(10_000)), filters).prop_map(
        |(page, (user, order, package, status))| {
            let filters = [
                ("user", user),
                ("order", order),
                ("package", package),
                ("status", status),
            ];
            let wanted: Value = filters
                .iter()
                .map(|(name, given)| (name.to_string(), json!(given.word)))
                .collect();
            let question = paged(
                "/v1/admin/package-queue",
                "PackageQueueManage/ListQueuedPackages",
                "packages",
                &page,
                "",
            );
            let [limit, offset, ..] = question.arguments.clone();
            let question = question.with_arguments([&limit, &offset, "", &wanted.to_string()]);
            filters.iter().fold(question, |question, (name, given)| {
                question.given(name, name, given)
            })
        },
    )
}
