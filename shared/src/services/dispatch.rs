//! The handling of a call, the same for every transport.

use http::HeaderMap;

use super::change::Requested;
use super::{Operation, Processor};
use crate::auth::{Admission, Principal};
use crate::domain::condition::{Accepts, Conditions, IDEMPOTENCY_KEY, IF_MATCH};
use crate::error::Error;

/// Authenticates the caller, limits the rate of the caller's calls, checks access, reads the input,
/// and processes it.
///
/// Access is checked before the request is read, so that an unauthorized caller learns nothing
/// about its format. It is checked again after it was read, because an input may need more (see
/// [`Operation::access`]).
pub async fn dispatch<I, S>(
    admission: &Admission,
    headers: &HeaderMap,
    service: &S,
    read: impl FnOnce(&Principal) -> Result<I, Error> + Send,
) -> Result<S::Output, Error>
where
    I: Operation + Send,
    S: Processor<I> + Sync + ?Sized,
{
    let mut principal = admission.admit(headers).await?;
    principal.authorize(I::ACCESS)?;
    principal.conditions = conditions(headers, I::ACCEPTS)?;
    let input = read(&principal)?;
    principal.authorize(input.access())?;
    service.process(input).await
}

/// Reads the conditions of a call from its headers, which are the metadata over gRPC.
fn conditions(headers: &HeaderMap, accepts: Accepts) -> Result<Conditions, Error> {
    let header = |name: &'static str| {
        let mut values = headers.get_all(name).iter();
        let value = values
            .next()
            .map(|value| value.to_str().unwrap_or_default());
        match values.next() {
            None => Ok(value),
            Some(_) => Err(Error::invalid(
                "repeated_parameter",
                name,
                "is given more than once",
            )),
        }
    };
    if accepts == Accepts::Nothing {
        return Ok(Conditions::default());
    }
    Conditions::parse(accepts, header(IDEMPOTENCY_KEY)?, header(IF_MATCH)?)
}

impl Principal {
    /// A change that the caller requests, under the conditions of the call.
    #[must_use]
    pub fn request<C>(&self, change: C) -> Requested<C> {
        Requested {
            change,
            actor: self.actor(),
            conditions: self.conditions.clone(),
        }
    }
}
