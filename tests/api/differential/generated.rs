//! Generated requests, valid and invalid.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use telecom_tests::{NOW, at};
use uuid::Uuid;

use super::analytics::analytics;
use super::explanations::explanations;
use super::given::{self, Given, id, limit, number, offset, range, time_near_data, word, zone};
use super::operation_manage::{
    accesses, audit_entries, dead_letters, doubtful_pushes, job_runs, of_users, online_users,
    quarantined_reports, usage_drifts,
};
use super::webhooks::{deliveries, shown_webhook, webhooks};
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
    // Boxed, because the trees of all questions together would not fit the stack of a test.
    let questions = (
        users_question(known).boxed(),
        admins_question(known).boxed(),
    );
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
    let devices = Just(()).prop_map(|()| {
        let method = "Telecom/GetOnlineDevices";
        question("/v1/online-devices", "", method, json!({}), "devices")
    });
    prop_oneof![traffic, history, used, nodes, devices]
}

pub fn paged(
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

pub const SERVER_STATUS: [&str; 3] = ["online", "offline", "maintenance"];
pub const QUEUE_STATUS: [&str; 4] = ["in_queue", "active", "consumed", "cancelled"];

fn admins_question(known: &Known) -> impl Strategy<Value = Question> + use<> {
    let optional =
        |given: BoxedStrategy<Given>| prop_oneof![2 => Just(Given::nothing("")), 3 => given];
    let status = optional(word("NODE_SERVER_STATUS_", &SERVER_STATUS).boxed());
    let archived = || {
        optional(
            any::<bool>()
                .prop_map(|all| Given::new(&all, all, true))
                .boxed(),
        )
    };
    let page = || (limit(200, "50"), offset(1_000_000));
    let servers = (page(), status, archived()).prop_map(|(page, status, archived)| {
        paged(
            "/v1/admin/node-servers",
            "NodeServerManage/ListNodeServers",
            "servers",
            &page,
            &status.word,
        )
        .given("status", "filter_status", &status)
        .with_archived(&archived)
    });
    let server = optional(id(1..=22).boxed());
    let clients = (page(), server, archived()).prop_map(|(page, server, archived)| {
        paged(
            "/v1/admin/node-clients",
            "NodeClientManage/ListNodeClients",
            "clients",
            &page,
            &server.word,
        )
        .given("server_id", "server_id", &server)
        .with_archived(&archived)
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
    prop_oneof![
        3 => servers.boxed(),
        3 => clients.boxed(),
        4 => of_server().boxed(),
        4 => prop_oneof![counts, Just(dead_letters())].boxed(),
        5 => packages(known).boxed(),
        6 => shown().boxed(),
        3 => audit_entries(known).boxed(),
        6 => of_users(known).boxed(),
        3 => doubtful_pushes().boxed(),
        3 => usage_drifts().boxed(),
        4 => quarantined_reports().boxed(),
        2 => accesses().boxed(),
        3 => online_users(known).boxed(),
        16 => analytics(known).boxed(),
        7 => explanations(known).boxed(),
        4 => job_runs().boxed(),
        10 => prop_oneof![
            4 => webhooks().boxed(),
            4 => deliveries().boxed(),
            2 => shown_webhook().boxed(),
        ].boxed(),
    ]
}

fn by_id(path: &str, method: &'static str, oracle: &'static str, id: &Given) -> Question {
    let mut question =
        question(path, "", method, json!({ "id": id.grpc }), oracle).with_arguments([&id.word]);
    question
        .faults
        .extend((!id.accepted).then_some(("id", "id")));
    question
}

/// The availability or the metrics of a server.
fn of_server() -> impl Strategy<Value = Question> {
    let oracles = select(vec![
        ("availability", "NodeServerManage/GetNodeServerAvailability"),
        ("metrics", "NodeServerManage/GetNodeServerMetrics"),
    ]);
    (oracles, id(1..=22), range()).prop_map(|((oracle, method), id, range)| {
        let path = format!("/v1/admin/node-servers/{}/{oracle}", id.word);
        by_id(&path, method, oracle, &id).with_range(range)
    })
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
        given::uuid(&known.users),
        given::uuid(&known.orders),
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
