//! Query parameters: each known, each at most once.

use lambda_http::{Request, RequestExt};

use crate::error::Error;

/// A request's query, held to the parameters that the endpoint knows.
#[derive(Debug)]
pub struct Query {
    values: Vec<(String, String)>,
}

impl Query {
    /// Reads the query; a parameter that is not `known`, or comes twice, is an error: a typing mistake must not
    /// silently mean the default.
    pub fn read(request: &Request, known: &[&str]) -> Result<Self, Error> {
        let values: Vec<(String, String)> =
            request.query_string_parameters().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (index, (name, _)) in values.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let message = format!("is no parameter; accepted are {}", known.join(", "));
                return Err(Error::invalid("unknown_parameter", name, message));
            }
            if values.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(Error::invalid("repeated_parameter", name, "is given more than once"));
            }
        }
        Ok(Self { values })
    }

    /// A parameter's value, if it was given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that must be given.
    pub fn required(&self, name: &str, accepted: &str) -> Result<&str, Error> {
        self.get(name)
            .ok_or_else(|| Error::invalid("missing_parameter", name, format!("is missing; accepted are {accepted}")))
    }
}
