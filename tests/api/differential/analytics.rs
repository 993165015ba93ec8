//! Requests for traffic of any user or node, for those with the most traffic, and for the overview.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::json;
use telecom_tests::at;

use super::generated::Known;
use super::given::{self, Given, filter_id, limit, offset, time_near_data, word, zone};
use super::operation_manage::filtered;
use super::{Question, question};

const USAGE: (&str, &str) = ("/v1/admin/traffic-usage", "UsageManage/GetTrafficUsage");
const INTERVALS: [&str; 2] = ["hour", "day"];
const GROUPINGS: [&str; 3] = ["none", "server", "client"];
const RANGES: [&str; 3] = ["day", "week", "month"];
const LONG_RANGES: [&str; 5] = ["day", "week", "month", "quarter", "year"];
const MEASURES: [&str; 2] = ["billed", "raw"];
/// A user of the data.
const USER: &str = "bb9836f5-e2ce-756d-059b-9a4556283bc0";

/// Examples of these requests.
pub fn analytics_by_hand() -> Vec<Question> {
    let given = |text: &str| Given::new(&text, text, true);
    let page = (Given::new(&4_000, 4_000, true), Given::new(&0, 0, true));
    let usage = |zone: &str, grouping: &'static str, user: Given| {
        let filters = [
            ("start", given("2026-02-25T05:30:00Z")),
            ("end", given("2026-03-10T10:00:00Z")),
            ("interval", named("USAGE_INTERVAL_", "day")),
            ("time_zone", given(zone)),
            ("group_by", named("USAGE_GROUPING_", grouping)),
            ("user", user),
        ];
        filtered(USAGE, "usage", &page, &filters)
    };
    let mut questions = vec![overview()];
    for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata"] {
        for grouping in GROUPINGS {
            questions.push(usage(zone, grouping, Given::nothing("")));
            questions.push(usage(zone, grouping, given(USER)));
        }
    }
    for range in RANGES {
        for by in MEASURES {
            let (range, by) = (named("RECENT_RANGE_", range), named("TOP_MEASURE_", by));
            questions.push(top_users(&range, &by, &Given::new(&3, 3, true)));
        }
    }
    for range in LONG_RANGES {
        for by in MEASURES {
            for user in [Given::nothing(""), given(USER)] {
                let filters = [
                    ("range", named("LONG_RANGE_", range)),
                    ("by", named("TOP_MEASURE_", by)),
                    ("kind", named("TOP_NODE_KIND_", "server")),
                    ("user", user),
                ];
                questions.push(top_nodes(&Given::new(&3, 3, true), &filters));
            }
        }
    }
    questions
}

/// A word over HTTP, and the value of the enumeration over gRPC.
fn named(prefix: &str, word: &str) -> Given {
    Given::new(&word, format!("{prefix}{}", word.to_uppercase()), true)
}

fn overview() -> Question {
    let method = "UsageManage/GetFleetOverview";
    question("/v1/admin/overview", "", method, json!({}), "overview")
}

fn top_users(range: &Given, by: &Given, limit: &Given) -> Question {
    let method = "UsageManage/ListTopUsers";
    question("/v1/admin/top-users", "", method, json!({}), "top_users")
        .given("range", "range", range)
        .given("by", "by", by)
        .given("limit", "limit", limit)
        .with_arguments([&limit.word, &range.word, &by.word])
}

/// The oracle reads the filters as one JSON object.
fn top_nodes(limit: &Given, filters: &[(&'static str, Given)]) -> Question {
    let method = "UsageManage/ListTopNodes";
    let wanted = filters.iter().map(|(name, given)| (*name, &given.word));
    let wanted: BTreeMap<_, _> = wanted.collect();
    let question = question("/v1/admin/top-nodes", "", method, json!({}), "top_nodes")
        .given("limit", "limit", limit)
        .with_arguments([&limit.word, "", "", &json!(wanted).to_string()]);
    filters.iter().fold(question, |question, (name, given)| {
        question.given(name, name, given)
    })
}

/// A word, or nothing, which stands for `default`.
fn or_default(
    default: &'static str,
    given: impl Strategy<Value = Given> + 'static,
) -> impl Strategy<Value = Given> {
    prop_oneof![1 => Just(Given::nothing(default)), 3 => given]
}

/// A range of at most 400 days near the data, or one that is refused.
fn range() -> impl Strategy<Value = [Given; 2]> {
    let hours = prop_oneof![8 => 1..200_i64, 3 => 1..9_600_i64, 1 => -500..=0_i64,
        1 => 9_601..20_000_i64];
    (time_near_data(), hours).prop_map(|(start, hours)| {
        let end: DateTime<Utc> = start + TimeDelta::hours(hours);
        let given = |at: DateTime<Utc>| Given::new(&at.to_rfc3339(), at.to_rfc3339(), true);
        let start = Given {
            accepted: (1..=9_600).contains(&hours),
            ..given(start)
        };
        [start, given(end.max(at("2026-01-01T00:00:00Z")))]
    })
}

/// All these requests, with any combination of parameters.
pub fn analytics(known: &Known) -> impl Strategy<Value = Question> + use<> {
    let filters = (
        given::uuid(&known.users),
        filter_id(1..=16),
        filter_id(100..=146),
        range(),
        or_default("hour", word("USAGE_INTERVAL_", &INTERVALS)),
        zone(&known.zones),
        or_default("none", word("USAGE_GROUPING_", &GROUPINGS)),
    );
    let page = (limit(4_000, "1000"), offset(1_000_000));
    let usage = (page, filters).prop_map(
        |(page, (user, server, client, [start, end], interval, zone, grouping))| {
            let filters = [
                ("user", user),
                ("server_id", server),
                ("node_client_id", client),
                ("start", start),
                ("end", end),
                ("interval", interval),
                ("time_zone", zone),
                ("group_by", grouping),
            ];
            filtered(USAGE, "usage", &page, &filters)
        },
    );
    let measure = || or_default("billed", word("TOP_MEASURE_", &MEASURES));
    let range = or_default("day", word("RECENT_RANGE_", &RANGES));
    let users = (range, measure(), limit(1_000, "20"))
        .prop_map(|(range, by, limit)| top_users(&range, &by, &limit));
    let filters = (
        or_default("day", word("LONG_RANGE_", &LONG_RANGES)),
        measure(),
        or_default("client", word("TOP_NODE_KIND_", &["client", "server"])),
        given::uuid(&known.users),
    );
    let nodes = (limit(1_000, "20"), filters).prop_map(|(limit, (range, by, kind, user))| {
        let filters = [("range", range), ("by", by), ("kind", kind), ("user", user)];
        top_nodes(&limit, &filters)
    });
    prop_oneof![4 => usage, 2 => users, 2 => nodes, 1 => Just(()).prop_map(|()| overview())]
}
