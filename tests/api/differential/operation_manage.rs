//! Requests for the audit log, for runs of jobs, for dead letters, for parked events, for doubtful
//! pushes, for drifts, for the quarantine, for accesses of nodes and for users who are connected.

use chrono::{DateTime, FixedOffset};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use uuid::Uuid;

use super::generated::{Known, paged};
use super::given::{self, Given, filter_id, limit, number, offset, optional_time, word};
use super::{Question, question};

const AUDIT: (&str, &str) = (
    "/v1/admin/audit-entries",
    "OperationManage/ListAuditEntries",
);
const PARKED: (&str, &str) = (
    "/v1/admin/parked-events",
    "OperationManage/ListParkedEvents",
);
const CORRECTIONS: (&str, &str) = (
    "/v1/admin/usage-corrections",
    "UsageManage/ListUsageCorrections",
);
const RUNS: (&str, &str) = ("/v1/admin/job-runs", "OperationManage/ListJobRuns");
const DOUBTFUL: (&str, &str) = (
    "/v1/admin/doubtful-pushes",
    "UsageManage/ListDoubtfulPushes",
);
const DRIFTS: (&str, &str) = ("/v1/admin/usage-drifts", "UsageManage/ListUsageDrifts");
const QUARANTINE: (&str, &str) = (
    "/v1/admin/quarantined-reports",
    "UsageManage/ListQuarantinedReports",
);
const ACCESSES: (&str, &str) = ("/v1/admin/node-access", "NodeServerManage/ListNodeAccess");
const ONLINE: (&str, &str) = ("/v1/admin/online-users", "UsageManage/GetOnlineUsers");
const DOUBTS: [&str; 3] = ["contains_previous", "unknown_users", "unreadable_rows"];
const QUARANTINE_REASONS: [&str; 2] = ["implausible_bytes", "unknown_node_client"];
const DRIFT_KINDS: [&str; 8] = [
    "hour",
    "uncharged",
    "item",
    "run",
    "applied",
    "node_hour",
    "node_day",
    "user_day",
];
/// Kinds of targets and actions in the data.
const KINDS: [&str; 3] = ["node_server", "package_item", "order"];
const ACTIONS: [&str; 4] = [
    "AdjustQuota",
    "CancelOrder",
    "RevealSecrets",
    "NothingLikeThis",
];

/// Jobs with and without runs in the data.
const JOBS: [&str; 4] = [
    "bill-traffic",
    "sweep-outbox",
    "maintain-storage",
    "expire-packages",
];
const OUTCOMES: [&str; 5] = ["running", "completed", "incomplete", "failed", "lost"];

/// Examples of these lists.
pub fn operations_by_hand() -> Vec<Question> {
    let page = |limit: &str, offset: &str| {
        let given = |text: &str| Given::new(&text, text.parse::<i64>().unwrap(), true);
        (given(limit), given(offset))
    };
    let audit = |page: (Given, Given), filters: &[(&'static str, &str)]| {
        let filters: Vec<_> = filters
            .iter()
            .map(|(name, text)| (*name, Given::new(text, *text, true)))
            .collect();
        filtered(AUDIT, "audit", &page, &filters)
    };
    vec![
        audit(page("50", "0"), &[]),
        audit(page("3", "7"), &[("action", "AdjustQuota")]),
        audit(
            page("50", "0"),
            &[("target_kind", "node_server"), ("target_id", "2")],
        ),
        audit(
            page("50", "0"),
            &[
                ("start", "2026-03-09T12:00:00Z"),
                ("end", "2026-03-10T00:00:00Z"),
            ],
        ),
        dead_letters(),
        filtered(RUNS, "runs", &page("50", "0"), &[]),
        filtered(RUNS, "runs", &page("3", "5"), &[]),
        filtered(PARKED, "parked", &page("50", "0"), &[]),
        filtered(PARKED, "parked", &page("4", "6"), &[]),
        filtered(CORRECTIONS, "corrections", &page("50", "0"), &[]),
        filtered(CORRECTIONS, "corrections", &page("3", "2"), &[]),
        filtered(DOUBTFUL, "doubtful", &page("50", "0"), &[]),
        filtered(DOUBTFUL, "doubtful", &page("3", "5"), &[]),
        filtered(DRIFTS, "drifts", &page("50", "0"), &[]),
        filtered(DRIFTS, "drifts", &page("3", "5"), &[]),
        filtered(QUARANTINE, "quarantine", &page("50", "0"), &[]),
        filtered(QUARANTINE, "quarantine", &page("3", "5"), &[]),
        filtered(ACCESSES, "accesses", &page("50", "0"), &[]),
        filtered(
            ACCESSES,
            "accesses",
            &page("4", "3"),
            &[("include_revoked", Given::new(&true, true, true))],
        ),
        filtered(
            ACCESSES,
            "accesses",
            &page("50", "0"),
            &[("server_id", Given::new(&3, 3, true))],
        ),
        filtered(ONLINE, "online", &page("50", "0"), &[]),
        filtered(ONLINE, "online", &page("3", "2"), &[]),
        filtered(
            ONLINE,
            "online",
            &page("50", "0"),
            &[("node_client_id", Given::new(&103, 103, true))],
        ),
    ]
}

/// A page of a list with filters, which the oracle reads as one JSON object.
pub fn filtered(
    (path, method): (&str, &'static str),
    oracle: &'static str,
    page: &(Given, Given),
    filters: &[(&'static str, Given)],
) -> Question {
    let wanted: Value = filters
        .iter()
        .map(|(name, given)| (name.to_string(), json!(given.word)))
        .collect();
    let question = paged(path, method, oracle, page, "");
    let [limit, offset, ..] = question.arguments.clone();
    let question = question.with_arguments([&limit, &offset, "", &wanted.to_string()]);
    filters.iter().fold(question, |question, (name, given)| {
        question.given(name, name, given)
    })
}

/// Audit entries with any combination of filters.
pub fn audit_entries(known: &Known) -> impl Strategy<Value = Question> + use<> {
    let bad = select(vec!["no-such-action", "Adjust Quota", "\0", "ü"]);
    let action = prop_oneof![
        10 => Just(Given::nothing("")),
        10 => select(ACTIONS.to_vec()).prop_map(|name| Given::new(&name, name, true)),
        1 => bad.prop_map(|name| Given::new(&name, name, false)),
    ];
    let older_than = prop_oneof![8 => Just(Given::nothing("")),
        1 => number(1, i64::MAX, "", &[0, -1, i64::MIN])];
    let filters = (
        given::uuid(&known.users),
        action,
        target(known),
        range(),
        older_than,
    );
    let page = (limit(200, "50"), offset(10_000));
    (page, filters).prop_map(
        |(page, (actor, action, [kind, id], [start, end], older_than))| {
            let filters = [
                ("actor", actor),
                ("action", action),
                ("target_kind", kind),
                ("target_id", id),
                ("start", start),
                ("end", end),
                ("older_than", older_than),
            ];
            filtered(AUDIT, "audit", &page, &filters)
        },
    )
}

/// The kind and the id of a target, neither, or one of them, which is not accepted.
fn target(known: &Known) -> impl Strategy<Value = [Given; 2]> + use<> {
    let kind = select(KINDS.to_vec()).prop_map(|kind| Given::new(&kind, kind, true));
    let number = (1..9_i64).prop_map(|id| id.to_string());
    let order = select(known.orders.clone()).prop_map(|id: Uuid| id.simple().to_string());
    let id = prop_oneof![number, order].prop_map(|id| Given::new(&id, id.clone(), true));
    let refused = |given: Given| Given {
        accepted: false,
        ..given
    };
    (kind, id, 0..30).prop_map(move |(kind, id, way)| match way {
        0..=19 => [Given::nothing(""), Given::nothing("")],
        20 => [kind, refused(Given::nothing(""))],
        21 => [refused(Given::nothing("")), id],
        _ => [kind, id],
    })
}

/// A range of any length. `start` must be before `end`.
fn range() -> impl Strategy<Value = [Given; 2]> {
    let given = |time: Option<DateTime<FixedOffset>>| match time {
        Some(time) => Given::new(&time.to_rfc3339(), time.to_utc().to_rfc3339(), true),
        None => Given::nothing(""),
    };
    (optional_time(), optional_time()).prop_map(move |(start, end)| {
        let reversed = start.zip(end).is_some_and(|(start, end)| start >= end);
        let start = Given {
            accepted: !reversed,
            ..given(start)
        };
        [start, given(end)]
    })
}

/// Parked events or corrections of all users or of one.
pub fn of_users(known: &Known) -> impl Strategy<Value = Question> + use<> {
    let lists = select(vec![(PARKED, "parked"), (CORRECTIONS, "corrections")]);
    let page = (limit(200, "50"), offset(10_000));
    (lists, page, given::uuid(&known.users))
        .prop_map(|((list, oracle), page, user)| filtered(list, oracle, &page, &[("user", user)]))
}

/// Doubtful pushes with any combination of filters.
pub fn doubtful_pushes() -> impl Strategy<Value = Question> {
    let optional =
        |given: BoxedStrategy<Given>| prop_oneof![2 => Just(Given::nothing("")), 1 => given];
    let filters = (
        filter_id(1..=16),
        filter_id(100..=110),
        optional(word("PUSH_DOUBT_", &DOUBTS).boxed()),
        optional(word("DOUBT_STATE_", &["open", "decided"]).boxed()),
    );
    let page = (limit(200, "50"), offset(10_000));
    (page, filters).prop_map(|(page, (server, client, doubt, state))| {
        let filters = [
            ("server_id", server),
            ("node_client_id", client),
            ("doubt", doubt),
            ("state", state),
        ];
        filtered(DOUBTFUL, "doubtful", &page, &filters)
    })
}

/// Usage drifts of all kinds or of one.
pub fn usage_drifts() -> impl Strategy<Value = Question> {
    let kind = prop_oneof![Just(Given::nothing("")), word("DRIFT_KIND_", &DRIFT_KINDS)];
    let page = (limit(200, "50"), offset(10_000));
    (page, kind).prop_map(|(page, kind)| filtered(DRIFTS, "drifts", &page, &[("kind", kind)]))
}

/// Reports in quarantine with any combination of filters.
pub fn quarantined_reports() -> impl Strategy<Value = Question> {
    let optional =
        |given: BoxedStrategy<Given>| prop_oneof![2 => Just(Given::nothing("")), 1 => given];
    let filters = (
        filter_id(1..=16),
        optional(word("QUARANTINE_REASON_", &QUARANTINE_REASONS).boxed()),
        optional(word("QUARANTINE_STATE_", &["waiting", "released"]).boxed()),
    );
    let page = (limit(100, "50"), offset(10_000));
    (page, filters).prop_map(|(page, (server, reason, state))| {
        let filters = [("server_id", server), ("reason", reason), ("state", state)];
        filtered(QUARANTINE, "quarantine", &page, &filters)
    })
}

/// Accesses of nodes with any combination of filters.
pub fn accesses() -> impl Strategy<Value = Question> {
    let flag = any::<bool>().prop_map(|all| Given::new(&all, all, true));
    let revoked = prop_oneof![Just(Given::nothing("")), flag];
    let page = (limit(200, "50"), offset(1_000_000));
    (page, filter_id(1..=16), revoked).prop_map(|(page, server, revoked)| {
        let filters = [("server_id", server), ("include_revoked", revoked)];
        filtered(ACCESSES, "accesses", &page, &filters)
    })
}

/// Users who are connected, with any combination of filters.
pub fn online_users(known: &Known) -> impl Strategy<Value = Question> + use<> {
    let page = (limit(200, "50"), offset(1_000_000));
    let filters = (given::uuid(&known.users), filter_id(100..=113));
    (page, filters).prop_map(|(page, (user, client))| {
        let filters = [("user", user), ("node_client_id", client)];
        filtered(ONLINE, "online", &page, &filters)
    })
}

/// The dead letters of all queues.
pub fn dead_letters() -> Question {
    let method = "OperationManage/ListDeadLetters";
    question("/v1/admin/dead-letters", "", method, json!({}), "dead")
}

/// Runs of jobs with any combination of filters.
pub fn job_runs() -> impl Strategy<Value = Question> {
    let optional =
        |given: BoxedStrategy<Given>| prop_oneof![2 => Just(Given::nothing("")), 3 => given];
    let job = select(JOBS.to_vec()).prop_map(|job| Given::new(&job, job, true));
    let no_job = select(vec!["bill-traffi", "bill_traffic", "\0"])
        .prop_map(|text| Given::new(&text, text, false));
    let filters = (
        optional(prop_oneof![9 => job, 1 => no_job].boxed()),
        optional(word("JOB_OUTCOME_", &OUTCOMES).boxed()),
        range(),
    );
    let page = (limit(200, "50"), offset(10_000));
    (page, filters).prop_map(|(page, (job, outcome, [start, end]))| {
        let filters = [
            ("job", job),
            ("outcome", outcome),
            ("start", start),
            ("end", end),
        ];
        filtered(RUNS, "runs", &page, &filters)
    })
}
