//! No message and no metadata causes an error of the server.

use std::sync::OnceLock;

use proptest::prelude::*;
use telecom_tests::World;
use telecom_tests::api::OPERATIONS;
use telecom_tests::grpc::{GrpcServer, call_raw, config};
use telecom_tests::token::Issuer;
use tokio::runtime::Runtime;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{TRAFFIC, of_admin};

/// A server whose database is unreachable, so that every accepted call ends as UNAVAILABLE.
fn server() -> (&'static Runtime, &'static Channel, &'static Issuer) {
    static SERVER: OnceLock<(Runtime, Channel, Issuer, GrpcServer)> = OnceLock::new();
    let (runtime, channel, issuer, _) = SERVER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let issuer = Issuer::default();
        let (server, channel) = runtime.block_on(async {
            let server = GrpcServer::start(&World::offline(), &issuer, config()).await;
            let channel = server.connect().await;
            (server, channel)
        });
        (runtime, channel, issuer, server)
    });
    (runtime, channel, issuer)
}

/// Fails if an outcome is an error of the server.
fn check(outcome: Result<Vec<u8>, Status>) -> Result<(), TestCaseError> {
    const EXPECTED: [Code; 8] = [
        Code::InvalidArgument,
        Code::FailedPrecondition,
        Code::Unauthenticated,
        Code::Unavailable,
        Code::Unimplemented,
        Code::ResourceExhausted,
        // Caused by a random `grpc-timeout`.
        Code::DeadlineExceeded,
        Code::Cancelled,
    ];
    if let Err(status) = outcome {
        prop_assert!(EXPECTED.contains(&status.code()), "{:?}", status);
    }
    Ok(())
}

/// Random bytes, and random fields that a message may have.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let field = (0_u8..8, any::<u64>()).prop_map(|(field, value)| {
        let mut bytes = vec![field << 3];
        let mut rest = value;
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
        bytes
    });
    let text = (
        0_u8..8,
        prop_oneof![any::<Vec<u8>>(), ".{0,40}".prop_map(String::into_bytes)],
    )
        .prop_map(|(field, text)| {
            let text: Vec<u8> = text.into_iter().take(100).collect();
            [
                vec![field << 3 | 2, u8::try_from(text.len()).unwrap()],
                text,
            ]
            .concat()
        });
    prop_oneof![
        any::<Vec<u8>>(),
        prop::collection::vec(prop_oneof![field, text], 0..6).prop_map(|fields| fields.concat())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 768, failure_persistence: None,
        ..ProptestConfig::default() })]

    #[test]
    fn no_message_causes_an_internal_error(operation in 0..OPERATIONS.len(), message in message()) {
        let (runtime, channel, issuer) = server();
        check(runtime.block_on(call_raw(channel, OPERATIONS[operation].method, of_admin(issuer,
            message))))?;
    }

    #[test]
    fn no_metadata_causes_an_internal_error(
        name in prop_oneof![
            Just("authorization"), Just("grpc-timeout"), Just("grpc-encoding"),
                Just("grpc-accept-encoding"),
            Just("x-request-id"), Just("traceparent"), Just("x"),
        ],
        value in prop_oneof!["[ -~]{0,200}", "[0-9]{1,9}[HMSmun]", "Bearer [A-Za-z0-9_.-]{0,80}"],
    ) {
        let (runtime, channel, issuer) = server();
        let mut request = of_admin(issuer, vec![]);
        request.metadata_mut().insert(name, MetadataValue::try_from(value).unwrap());
        check(runtime.block_on(call_raw(channel, TRAFFIC, request)))?;
    }
}
