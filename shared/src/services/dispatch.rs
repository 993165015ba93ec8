//! The handling of a call, the same for every transport.

use http::HeaderMap;

use super::{Operation, Processor};
use crate::auth::{Authenticator, Principal};
use crate::error::Error;

/// Authenticates the caller, checks access, reads the input, and processes it.
///
/// Access is checked before the request is read, so that an unauthorized caller learns nothing
/// about its format. It is checked again after it was read, because an input may need more (see
/// [`Operation::access`]).
pub async fn dispatch<I, S>(
    authenticator: &Authenticator,
    headers: &HeaderMap,
    service: &S,
    read: impl FnOnce(&Principal) -> Result<I, Error> + Send,
) -> Result<S::Output, Error>
where
    I: Operation + Send,
    S: Processor<I> + Sync + ?Sized,
{
    let principal = authenticator.authenticate(headers).await?;
    principal.authorize(I::ACCESS)?;
    let input = read(&principal)?;
    principal.authorize(input.access())?;
    service.process(input).await
}
