//! Compares HTTP, gRPC and CSV with the documentation and with plain SQL.

use serde_json::{Value, json};
use telecom_tests::api::Api;
use telecom_tests::plain::plain;
use telecom_tests::token::claims;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::generated::{Call, Caller};
use super::table;

/// Documented outcome of a request.
enum Expected {
    Answer(Value),
    Fault(u16, Code, &'static str),
}

/// Compares HTTP, gRPC and CSV with the oracle. Returns whether the request succeeds.
pub async fn compare(api: &Api, call: &Call) -> bool {
    api.world.clock.set(call.now);
    let expected = expected(api, call).await;
    let mut claims = claims(call.user, call.caller.scope());
    claims["exp"] = json!(call.now.timestamp() + 600);
    let token = api.issuer.sign(&claims);
    let question = &call.question;
    let http = api.get(&question.path, &question.query, Some(&token)).await;
    let method = format!("telecom.v1.{}", question.method);
    let grpc = api
        .grpc(&method, question.message.clone(), Some(&token))
        .await;
    match expected {
        Expected::Answer(expected) => {
            assert_eq!(
                (http.0, plain(http.1)),
                (200, expected.clone()),
                "HTTP and SQL, {call:#?}"
            );
            let grpc = grpc.unwrap_or_else(|status| panic!("{status}, {call:#?}"));
            assert_eq!(plain(grpc), expected, "gRPC and SQL, {call:#?}");
            table::compare(api, &token, call, &expected).await;
            true
        }
        Expected::Fault(status, code, reason) => {
            assert_eq!(
                (http.0, &http.1["code"]),
                (status, &json!(reason)),
                "{call:#?}: {}",
                http.1
            );
            let refused = grpc.unwrap_err();
            assert_eq!(
                (refused.code(), error_reason(&refused)),
                (code, reason.to_owned()),
                "{call:#?}: {refused}"
            );
            if !question.faults.is_empty() && status == 400 {
                let at_fault = (
                    http.1["field"].as_str().unwrap_or_default(),
                    field(&refused),
                );
                let known = question.faults.iter().any(|(name, _)| *name == at_fault.0)
                    && question.faults.iter().any(|(_, name)| *name == at_fault.1);
                assert!(known, "unexpected field {at_fault:?}, {call:#?}");
            }
            false
        }
    }
}

/// Checks in the documented order: scope, parameters, scope for secrets, existence.
async fn expected(api: &Api, call: &Call) -> Expected {
    let Call {
        caller, question, ..
    } = call;
    if question.is_for_administrators() && *caller == Caller::User {
        return Expected::Fault(403, Code::PermissionDenied, "scope_missing");
    }
    if !question.faults.is_empty() {
        return Expected::Fault(400, Code::InvalidArgument, "invalid_parameter");
    }
    if question.secrets && *caller != Caller::Keeper {
        return Expected::Fault(403, Code::PermissionDenied, "scope_missing");
    }
    match oracle(api, call).await {
        Some(answer) => Expected::Answer(plain(answer)),
        None => Expected::Fault(404, Code::NotFound, "not_found"),
    }
}

/// The result of plain SQL; `None` if the resource does not exist.
async fn oracle(
    api: &Api,
    Call {
        user,
        now,
        question,
        ..
    }: &Call,
) -> Option<Value> {
    let [a, b, c, d] = &question.arguments;
    let sql = format!(
        "select oracle.{}($1, $2, $3, $4, $5, $6)::jsonb",
        question.oracle
    );
    let answer = sqlx::query_scalar(&sql)
        .bind(user)
        .bind(now)
        .bind(a)
        .bind(b)
        .bind(c)
        .bind(d);
    answer
        .fetch_one(&api.world.pool)
        .await
        .unwrap_or_else(|error| panic!("{error}, {question:#?}"))
}

fn error_reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

fn field(status: &Status) -> String {
    let violations = status
        .get_details_bad_request()
        .map(|request| request.field_violations)
        .unwrap_or_default();
    violations
        .into_iter()
        .next()
        .map(|violation| violation.field)
        .unwrap_or_default()
}
