//! Requests for webhooks and for their deliveries.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use uuid::Uuid;

use super::given::{Given, limit, offset, word};
use super::operation_manage::filtered;
use super::{Question, question};

const WEBHOOKS: (&str, &str) = ("/v1/admin/webhooks", "WebhookManage/ListWebhooks");
const DELIVERIES: &str = "WebhookManage/ListWebhookDeliveries";
const STATUS: [&str; 3] = ["pending", "delivered", "failed"];
/// Ids of webhooks in the data: `md5('webhook ' || n)` of 1, 2 and 3. The last one has no delivery.
const IDS: [Uuid; 3] = [
    Uuid::from_u128(0x581b_298b_c540_e158_be2a_fde8_f164_33f6),
    Uuid::from_u128(0xa9db_05d9_f8a6_d7ec_2022_982e_f4e3_b0d9),
    Uuid::from_u128(0x81e2_c034_b4a1_8065_f0c0_60df_ecc0_1b8a),
];

/// Examples of these lists.
pub fn webhooks_by_hand() -> Vec<Question> {
    let given = |number: i64| Given::new(&number, number, true);
    let page = |limit: i64, offset: i64| (given(limit), given(offset));
    let all = Given::new(&true, true, true);
    let failed = Given::new(&"failed", "DELIVERY_STATUS_FAILED", true);
    let none = || Given::nothing("");
    vec![
        filtered(WEBHOOKS, "webhooks", &page(50, 0), &[]),
        filtered(
            WEBHOOKS,
            "webhooks",
            &page(4, 3),
            &[("include_disabled", all)],
        ),
        shown(IDS[0]),
        shown(IDS[2]),
        of_webhook(IDS[0], &page(50, 0), none()),
        of_webhook(IDS[1], &page(7, 20), none()),
        of_webhook(IDS[1], &page(50, 0), failed),
        of_webhook(IDS[2], &page(50, 0), none()),
    ]
}

fn of_webhook(id: Uuid, page: &(Given, Given), status: Given) -> Question {
    let path = format!("/v1/admin/webhooks/{id}/deliveries");
    let list = (path.as_str(), DELIVERIES);
    let mut question = filtered(list, "deliveries", page, &[("status", status)]);
    question.message["id"] = json!(id);
    question.arguments[2] = id.to_string();
    question
}

/// One webhook by its id.
fn shown(id: Uuid) -> Question {
    let path = format!("/v1/admin/webhooks/{id}");
    let message = json!({ "id": id });
    let question = question(&path, "", "WebhookManage/ShowWebhook", message, "webhook");
    question.with_arguments([&id.to_string()])
}

/// Webhooks with or without the disabled ones.
pub fn webhooks() -> impl Strategy<Value = Question> {
    let flag = any::<bool>().prop_map(|all| Given::new(&all, all, true));
    let disabled = prop_oneof![Just(Given::nothing("")), flag];
    let page = (limit(200, "50"), offset(10_000));
    (page, disabled).prop_map(|(page, disabled)| {
        filtered(
            WEBHOOKS,
            "webhooks",
            &page,
            &[("include_disabled", disabled)],
        )
    })
}

/// One webhook, or an id that no webhook has.
pub fn shown_webhook() -> impl Strategy<Value = Question> {
    let unknown = any::<u128>().prop_map(Uuid::from_u128);
    prop_oneof![3 => select(IDS.to_vec()), 1 => unknown].prop_map(shown)
}

/// The deliveries of a webhook in any state.
pub fn deliveries() -> impl Strategy<Value = Question> {
    let status = prop_oneof![Just(Given::nothing("")), word("DELIVERY_STATUS_", &STATUS)];
    let page = (limit(200, "50"), offset(10_000));
    (page, select(IDS.to_vec()), status)
        .prop_map(|(page, id, status)| of_webhook(id, &page, status))
}
