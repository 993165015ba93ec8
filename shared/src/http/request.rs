//! Parsing of requests. Paths must match exactly, and each parameter must be known and be given at
//! most once.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use lambda_http::{Body, Request, RequestExt};
use serde::de::DeserializeOwned;
use strum::VariantNames;
use uuid::Uuid;

use super::Endpoint;
use super::parameter::{Kind, Parameter};
use crate::auth::Principal;
use crate::domain::audit::Actor;
use crate::domain::time_range::in_years;
use crate::error::Error;
use crate::services::change::Requested;
use crate::{domain, events};

/// A request to an endpoint by an authenticated caller.
#[derive(Debug)]
pub struct ApiRequest<'r> {
    principal: &'r Principal,
    id: Option<&'r str>,
    id_kind: Kind,
    parameters: &'static [Parameter],
    values: Vec<(String, String)>,
    body: &'r Body,
}

impl<'r> ApiRequest<'r> {
    /// Parses a request to `E`. An unknown or repeated parameter is an error, so that a typing
    /// mistake does not silently select the default.
    pub fn read<E: Endpoint>(
        request: &'r Request,
        principal: &'r Principal,
    ) -> Result<Self, Error> {
        let id = path_id(E::PATH, request.raw_http_path())?;
        let query = request.query_string_parameters_ref();
        let values: Vec<(String, String)> = query
            .map(|query| {
                query
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect()
            })
            .unwrap_or_default();
        check_names(E::PARAMETERS, &values)?;
        Ok(Self {
            principal,
            id,
            id_kind: E::ID,
            parameters: E::PARAMETERS,
            values,
            body: request.body(),
        })
    }

    /// Id of the caller.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        self.principal.user_id
    }

    /// The caller, for the audit log.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.principal.actor()
    }

    /// A change that the caller requests.
    #[must_use]
    pub fn change<C>(&self, change: C) -> Requested<C> {
        self.principal.request(change)
    }

    /// The id in the path.
    pub fn id<T: FromStr>(&self) -> Result<T, Error> {
        self.id
            .filter(|id| self.id_kind.allows(id))
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Error::parameter("id", &self.id_kind.accepted()))
    }

    /// The body, parsed as JSON.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let text = std::str::from_utf8(self.body.as_ref());
        events::parse(text.map_err(|_| Error::invalid("malformed_json", ".", "is not UTF-8"))?)
    }

    /// The parsed value of a parameter. `None` if it was not given.
    pub fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let known = self
            .parameters
            .iter()
            .find(|parameter| parameter.name == name);
        let allowed = known.is_some_and(|parameter| parameter.kind.allows(text));
        let value = text.parse().ok().filter(|_| allowed);
        value.map(Some).ok_or_else(|| {
            Error::parameter(
                name,
                &known
                    .map(|parameter| parameter.kind.accepted())
                    .unwrap_or_default(),
            )
        })
    }

    /// The value of a timestamp parameter. `None` if it was not given.
    pub fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Error> {
        let read = |text: String| text.parse().ok().and_then(in_years);
        let invalid = || Error::parameter(name, &Kind::Time.accepted());
        self.text_with_plus(name)
            .map(|text| read(text).ok_or_else(invalid))
            .transpose()
    }

    /// The value of a parameter whose accepted values contain no space. `None` if it was not given.
    ///
    /// Queries are decoded as forms, so a plus sign, as in a UTC offset, may arrive as a space.
    #[must_use]
    pub fn text_with_plus(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.replace(' ', "+"))
    }

    /// The value of a parameter that names a variant of `T`. `None` if it was not given.
    pub fn one_of<T: FromStr + VariantNames>(&self, name: &str) -> Result<Option<T>, Error> {
        self.text(name)
            .map(|text| domain::one_of(name, text))
            .transpose()
    }

    /// The value of a required parameter that names a variant of `T`. [`Self::read`] rejects a
    /// request without it.
    pub fn one_of_required<T: FromStr + VariantNames>(&self, name: &str) -> Result<T, Error> {
        domain::one_of(name, self.text(name).unwrap_or_default())
    }

    /// The value of a parameter as text. `None` if it was not given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }
}

fn check_names(known: &[Parameter], values: &[(String, String)]) -> Result<(), Error> {
    for (index, (name, _)) in values.iter().enumerate() {
        if !known.iter().any(|parameter| parameter.name == name) {
            let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
            return Err(Error::unknown_parameter(name, &names));
        }
        if values
            .iter()
            .take(index)
            .any(|(earlier, _)| earlier == name)
        {
            return Err(Error::invalid(
                "repeated_parameter",
                name,
                "is given more than once",
            ));
        }
    }
    let missing = known.iter().find(|parameter| {
        parameter.required && !values.iter().any(|(name, _)| name == parameter.name)
    });
    match missing {
        Some(Parameter { name, kind, .. }) => Err(Error::invalid(
            "missing_parameter",
            *name,
            format!("is missing; expected {}", kind.accepted()),
        )),
        None => Ok(()),
    }
}

/// Compares a raw path with the template of an endpoint and returns the segment in place of `{id}`.
/// A path that differs in case, or has an escape, a dot segment or an additional slash, is not
/// found.
fn path_id<'p>(template: &str, path: &'p str) -> Result<Option<&'p str>, Error> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut id = None;
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Ok(id),
            (Some("{id}"), Some(segment)) if !segment.is_empty() => id = Some(segment),
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return Err(Error::not_found("The path")),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/v1/nodes", "/v1/nodes", Some(""))]
    #[case("/v1/a/{id}", "/v1/a/7", Some("7"))]
    #[case("/v1/a/{id}", "/v1/a/%37", Some("%37"))]
    #[case("/v1/a/{id}", "/v1/a/", None)]
    #[case("/v1/a/{id}", "/v1/a/7/", None)]
    #[case("/v1/nodes", "/v1/nodes/", None)]
    #[case("/v1/nodes", "/v1//nodes", None)]
    #[case("/v1/nodes", "/V1/nodes", None)]
    #[case("/v1/nodes", "/v1/x/../nodes", None)]
    #[case("/v1/nodes", "/v1/x/%2e%2e/nodes", None)]
    #[case("/v1/nodes", "/v1%2fnodes", None)]
    fn a_path_must_match_its_template_exactly(
        #[case] template: &str,
        #[case] path: &str,
        #[case] id: Option<&str>,
    ) {
        assert_eq!(
            path_id(template, path).ok().map(Option::unwrap_or_default),
            id
        );
    }
}
