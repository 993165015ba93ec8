//! The function that a deployment waits for. CloudFormation invokes it as a custom resource and
//! continues when the function has sent its result to a URL. An operator may also invoke it as a
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

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a job at each deployment that changes the properties of the resource. Deleting the stack
/// does nothing, because the data does not belong to the deployment.
pub async fn run<S>() -> Result<(), BoxError>
where
    S: FromApp + Processor<Run>,
    S::Output: Serialize,
{
    serve(handle::<S>).await
}

/// Handles one invocation and, if CloudFormation invoked it, sends the result there. If that fails,
/// the invocation fails and Lambda repeats it. The job then finds nothing left to do.
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
    let result = match &request {
        Some(Request::Delete(_)) => Ok(Value::Null),
        _ => {
            before_deadline(
                &context,
                schedule::handle(service, Run::within(time_left(&context))),
            )
            .await
        }
    };
    let Some(request) = request else {
        return result;
    };
    respond(request, result.as_ref().err()).await?;
    Ok(result.unwrap_or_default())
}

/// Sends the result to the URL in the request. It is an S3 URL, signed for a body without a content
/// type.
async fn respond(request: Request, error: Option<&Error>) -> Result<(), Error> {
    let (url, response) = response(request, error);
    let body = serde_json::to_string(&response).map_err(Error::internal)?;
    let client = reqwest::Client::builder()
        .timeout(RESPONSE_TIMEOUT)
        .build()
        .map_err(Error::internal)?;
    let sent = client
        .put(url)
        .body(body)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status);
    // The URL grants access, so it must not be logged.
    sent.map_err(|error| Error::unavailable(error.without_url()))
        .map(drop)
}

fn response(request: Request, error: Option<&Error>) -> (String, Response) {
    let mut response = Response::default();
    if let Some(error) = error {
        response.status = Status::Failed;
        response.reason = Some(format!(
            "{error} The log of the function contains the cause."
        ));
    }
    macro_rules! of {
        ($request:ident) => {{
            (response.stack_id, response.request_id) = ($request.stack_id, $request.request_id);
            // The id is constant, because CloudFormation deletes the old resource if it changes.
            response.physical_resource_id = format!("{}-schema", $request.logical_resource_id);
            response.logical_resource_id = $request.logical_resource_id;
            $request.response_url
        }};
    }
    let url = match request {
        Request::Create(request) => of!(request),
        Request::Update(request) => of!(request),
        Request::Delete(request) => of!(request),
        _ => String::new(),
    };
    (url, response)
}
