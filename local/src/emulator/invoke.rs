//! Invokes deployed functions through the emulator.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Time limit of Lambda functions.
const LIMIT: Duration = Duration::from_mins(15);

/// Invokes the function `name` at `endpoint` with `payload` and returns its response. Returns an
/// error if the function fails.
pub fn invoke(endpoint: &str, name: &str, payload: &Value) -> Result<Value> {
    let url = format!("{endpoint}/2015-03-31/functions/{name}/invocations");
    let request = ureq::post(&url)
        .config()
        .timeout_global(Some(LIMIT))
        .http_status_as_error(false)
        .build();
    let mut response = request
        .send_json(payload)
        .with_context(|| format!("Cannot reach the function {name}"))?;
    let failed =
        response.headers().contains_key("x-amz-function-error") || !response.status().is_success();
    let answer = response
        .body_mut()
        .read_to_string()
        .with_context(|| format!("Cannot read the response of the function {name}"))?;
    if failed {
        bail!("The function {name} failed: {answer}");
    }
    serde_json::from_str(&answer)
        .with_context(|| format!("The response of the function {name} is not JSON: {answer}"))
}
