//! Requests for explanations of usage.

use proptest::prelude::*;
use proptest::sample::select;

use super::Question;
use super::generated::{Known, paged};
use super::given::{self, Given, limit, number, offset};
use super::operation_manage::filtered;

const HOUR: (&str, &str) = ("/v1/admin/usage-explanation", "UsageManage/ExplainUsage");
const ITEM: &str = "UsageManage/ExplainPackageUsage";
/// Ids of package items in the data.
const ITEMS: std::ops::RangeInclusive<i64> = 1..=40;

fn explained(user: Given, hour: Given, page: &(Given, Given)) -> Question {
    filtered(HOUR, "explained", page, &[("user", user), ("hour", hour)])
}

fn explained_item(id: &Given, page: &(Given, Given)) -> Question {
    let path = format!("/v1/admin/package-queue/{}/usage-explanation", id.word);
    let mut question = paged(&path, ITEM, "explained_item", page, &id.word);
    question.message["id"] = id.grpc.clone();
    question
        .faults
        .extend((!id.accepted).then_some(("id", "id")));
    question
}

/// Examples of these requests.
pub fn explanations_by_hand() -> Vec<Question> {
    let given = |text: &str| Given::new(&text, text, true);
    let page = || (Given::new(&100, 100, true), Given::new(&0, 0, true));
    let user = "bb9836f5-e2ce-756d-059b-9a4556283bc0";
    let hours = (0..24).map(|hour| format!("2026-03-09T{hour:02}:15:00Z"));
    let hours = hours.map(|hour| explained(given(user), given(&hour), &page()));
    let items = ITEMS.map(|id| explained_item(&Given::new(&id, id.to_string(), true), &page()));
    hours.chain(items).collect()
}

/// These requests, with any parameters.
pub fn explanations(known: &Known) -> impl Strategy<Value = Question> + use<> {
    let page = || (limit(500, "100"), offset(100_000));
    // Neither parameter may be missing, and a missing one is a fault by another name over gRPC.
    let user = given::uuid(&known.users).prop_filter("required", |user| !user.word.is_empty());
    let hour = (0..60_i64, select(vec![0, 1_799, 3_599])).prop_map(|(hours, seconds)| {
        let at = telecom_tests::at("2026-03-10T10:00:00Z") - chrono::TimeDelta::hours(hours)
            + chrono::TimeDelta::seconds(seconds);
        Given::new(&at.to_rfc3339(), at.to_rfc3339(), true)
    });
    let hours = (page(), user, hour).prop_map(|(page, user, hour)| explained(user, hour, &page));
    let id = number(1, i64::MAX, "", &[0, -1]).prop_filter("required", |id| !id.word.is_empty());
    let items = (page(), id).prop_map(|(page, id)| explained_item(&id, &page));
    prop_oneof![2 => hours, 1 => items]
}
