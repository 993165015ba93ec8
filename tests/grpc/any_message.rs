//! A server over a real database answers any message, or refuses it with a documented code.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::json;
use shared::domain::condition::IDEMPOTENCY_KEY;
use sqlx::PgPool;
use telecom_tests::World;
use telecom_tests::api::OPERATIONS;
use telecom_tests::grpc::{GrpcServer, call_raw, call_with, config, method_descriptor};
use telecom_tests::token::Issuer;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

const DATA: &str = include_str!("../api/differential.sql");
const DOCUMENTATION: &str = include_str!("../../docs/API.md");
const CALLS_EACH: usize = 120;

#[sqlx::test(migrator = "shared::db::MIGRATOR")]
async fn every_message_gets_a_documented_status_code(pool: PgPool) {
    let (world, issuer) = (World::new(pool).await, Issuer::default());
    sqlx::raw_sql(&format!("select setseed(0.5); {DATA}"))
        .execute(&world.pool)
        .await
        .unwrap();
    let server = GrpcServer::start(&world, &issuer, config()).await;
    let (channel, token) = (server.connect().await, issuer.admin_with_secrets());
    for operation in OPERATIONS.iter() {
        let mut runner = TestRunner::deterministic();
        let messages = message(&method_descriptor(operation.method).input());
        let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
        for number in 0..CALLS_EACH {
            let message = messages.new_tree(&mut runner).unwrap().current();
            let mut request = Request::new(message.encode_to_vec());
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {token}").parse().unwrap());
            for (name, value) in operation.headers {
                // Each call needs a key of its own.
                let value = match *name {
                    IDEMPOTENCY_KEY => format!("{value}-{number}"),
                    _ => (*value).to_owned(),
                };
                request.metadata_mut().insert(*name, value.parse().unwrap());
            }
            let outcome = call_raw(&channel, operation.method, request).await;
            let code = documented_code(&outcome)
                .unwrap_or_else(|fault| panic!("{fault}: {} {message:?}", operation.method));
            *codes.entry(code.into()).or_default() += 1;
        }
        assert!(
            operation.changes || operation.status != 200 || codes.contains_key(&0),
            "no message of {} was accepted: {codes:?}",
            operation.method
        );
    }
    for operation in OPERATIONS.iter() {
        let good = serde_json::from_str(operation.message).unwrap();
        let request = operation.call(good, Some(&token));
        let answer = call_with(&channel, operation.method, request).await;
        let code = answer.as_ref().err().map_or(Code::Ok, Status::code);
        assert_eq!(code, operation.code(), "{}: {answer:?}", operation.method);
    }
}

/// The code of a documented outcome, or a description of an undocumented one.
fn documented_code(outcome: &Result<Vec<u8>, Status>) -> Result<Code, String> {
    let Err(status) = outcome else {
        return Ok(Code::Ok);
    };
    let reason = status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default();
    let name = match status.code() {
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        _ => return Err(format!("{status:?}")),
    };
    let documented = DOCUMENTATION.lines().any(|line| {
        line.starts_with('|')
            && line.contains(&format!("`{name}`"))
            && line.contains(&format!("`{reason}`"))
    });
    documented
        .then_some(status.code())
        .ok_or_else(|| format!("{name} {reason:?} is not documented"))
}

/// Messages of a type, with some fields set to any value that the field can hold. Of many fields,
/// two are set on average, because one bad value is enough to refuse a message.
fn message(descriptor: &MessageDescriptor) -> BoxedStrategy<DynamicMessage> {
    let empty = Just(DynamicMessage::new(descriptor.clone())).boxed();
    let fields = f64::from(u32::try_from(descriptor.fields().len()).unwrap());
    let share = (2.0 / fields).min(0.6);
    descriptor.fields().fold(empty, |messages, field| {
        let given = prop::option::weighted(share, value(&field));
        let with = move |(mut message, value): (DynamicMessage, Option<Value>)| {
            if let Some(value) = value {
                message.set_field(&field, value);
            }
            message
        };
        (messages, given).prop_map(with).boxed()
    })
}

fn value(field: &FieldDescriptor) -> BoxedStrategy<Value> {
    if field.is_list() {
        let values = prop::collection::vec(single(field), 0..4);
        return values.prop_map(Value::List).boxed();
    }
    single(field)
}

/// A value of a field, or of an element if the field is a list.
fn single(field: &FieldDescriptor) -> BoxedStrategy<Value> {
    match field.kind() {
        Kind::Int32 => number().prop_map(clamped).prop_map(Value::I32).boxed(),
        Kind::Enum(_) => (-1..6).prop_map(Value::EnumNumber).boxed(),
        Kind::Int64 => number().prop_map(Value::I64).boxed(),
        Kind::Double => any::<f64>().prop_map(Value::F64).boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::String => text().prop_map(Value::String).boxed(),
        // It can contain itself, so a list of objects has to do.
        Kind::Message(inner) if inner.full_name() == "google.protobuf.Struct" => {
            object(inner).prop_map(Value::Message).boxed()
        }
        Kind::Message(inner) => message(&inner).prop_map(Value::Message).boxed(),
        other => panic!("no generator for fields of type {other:?}"),
    }
}

/// Objects of JSON with some of the names that settings have.
fn object(descriptor: MessageDescriptor) -> impl Strategy<Value = DynamicMessage> {
    let names = select(vec![
        "name",
        "country",
        "traffic_factor",
        "server_config",
        "other",
    ]);
    let leaves = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|flag| json!(flag)),
        number().prop_map(|number| json!(clamped(number))),
        text().prop_map(|text| json!(text)),
    ];
    let values = leaves.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|values| json!(values)),
            inner.prop_map(|value| json!({ "server": value })),
        ]
    });
    prop::collection::btree_map(names, values, 0..4).prop_map(move |fields| {
        DynamicMessage::deserialize(descriptor.clone(), json!(fields)).unwrap()
    })
}

fn clamped(number: i64) -> i32 {
    i32::try_from(number.clamp(i32::MIN.into(), i32::MAX.into())).unwrap()
}

/// Small numbers, the id of a client, timestamps of this year in seconds, and extreme values.
fn number() -> impl Strategy<Value = i64> {
    let ends = select(vec![
        i64::MIN,
        -1,
        i64::from(i32::MIN),
        i64::from(i32::MAX),
        i64::MAX,
    ]);
    let years = select(vec![
        -62_135_596_800,
        -62_135_596_801,
        253_402_300_799,
        253_402_300_800,
        999_999_999,
    ]);
    prop_oneof![4 => 0..25_i64, 1 => Just(11), 2 => 1_772_000_000..1_774_000_000_i64, 1 => ends,
        1 => years, 1 => any::<i64>()]
}

fn text() -> impl Strategy<Value = String> {
    let known = select(vec![
        "UTC",
        "Asia/Kathmandu",
        "de300000-0000-4000-8000-000000000001",
        "a good reason",
    ]);
    let odd = select(vec![
        "",
        " ",
        "\0",
        "UTC\0",
        "'; drop table telecom.node_server; --",
        "\u{feff}",
        "\u{202e}x",
        "%s%n",
    ]);
    let long = (1..20_000_usize, select(vec!["x", "ü", "😀"]))
        .prop_map(|(length, text)| text.repeat(length));
    prop_oneof![4 => known.prop_map(str::to_owned), 2 => odd.prop_map(str::to_owned), 1 => long,
        2 => any::<String>()]
}
