//! The function that a deployment waits for: CloudFormation invokes it as a custom resource, and
//! goes on when it has said at a URL how it went. A person may invoke it, too, as a
//! [job](super::schedule).

use std::time::Duration;

use aws_lambda_events::cloudformation::{
    CloudFormationCustomResourceRequest as Request,
    CloudFormationCustomResourceResponse as Response,
    CloudFormationCustomResourceResponseStatus as Status,
};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;

use super::{BoxError, before_deadline, schedule, serve, time_left};
use crate::app::FromApp;
use crate::error::Error;
use crate::events;
use crate::services::Processor;
use crate::services::cron::Run;

const TELL_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a job at each deployment that changes the resource's properties. When the stack is deleted
/// nothing is done: data is not the deployment's.
pub async fn run<S>() -> Result<(), BoxError>
where
    S: FromApp + Processor<Run>,
    S::Output: Serialize,
{
    serve(handle::<S>).await
}

/// Handles one invocation, and tells CloudFormation of it if that asks. An answer that cannot be
/// told fails the invocation: Lambda repeats it, and the job finds nothing left to do.
pub async fn handle<S>(service: &S, event: LambdaEvent<Value>) -> Result<Value, Error>
where
    S: Processor<Run>,
    S::Output: Serialize,
{
    let LambdaEvent { payload, context } = event;
    let request = payload
        .get("RequestType")
        .is_some()
        .then(|| events::parse(&payload.to_string()));
    let request: Option<Request> = request.transpose()?;
    let done = match &request {
        Some(Request::Delete(_)) => Ok(Value::Null),
        _ => {
            before_deadline(
                &context,
                schedule::handle(service, Run::within(time_left(&context))),
            )
            .await
        }
    };
    let Some(request) = request else { return done };
    tell(request, done.as_ref().err()).await?;
    Ok(done.unwrap_or_default())
}

/// Says how it went at the URL that the request names: one of S3, signed for a body without a type.
async fn tell(request: Request, error: Option<&Error>) -> Result<(), Error> {
    let (url, answer) = answer(request, error);
    let body = serde_json::to_string(&answer).map_err(Error::internal)?;
    let client = reqwest::Client::builder()
        .timeout(TELL_TIMEOUT)
        .build()
        .map_err(Error::internal)?;
    let told = client
        .put(url)
        .body(body)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status);
    // The URL is as good as a password.
    told.map_err(|error| Error::unavailable(error.without_url()))
        .map(drop)
}

fn answer(request: Request, error: Option<&Error>) -> (String, Response) {
    let mut answer = Response::default();
    if let Some(error) = error {
        answer.status = Status::Failed;
        answer.reason = Some(format!(
            "{error} The log of the function contains the cause."
        ));
    }
    macro_rules! of {
        ($request:ident) => {{
            (answer.stack_id, answer.request_id) = ($request.stack_id, $request.request_id);
            // One schema a stack: another id would have CloudFormation delete the former.
            answer.physical_resource_id = format!("{}-schema", $request.logical_resource_id);
            answer.logical_resource_id = $request.logical_resource_id;
            $request.response_url
        }};
    }
    let url = match request {
        Request::Create(request) => of!(request),
        Request::Update(request) => of!(request),
        Request::Delete(request) => of!(request),
        _ => String::new(),
    };
    (url, answer)
}
