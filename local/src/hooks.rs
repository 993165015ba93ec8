//! Where the parts that fill the system with life are called: keys and tokens, the demo fleet, the simulator.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::settings::Settings;
use crate::stack::Endpoints;

/// Something that runs beside the stack until it is stopped.
pub trait Workload {
    /// An error if it has ended by itself.
    fn check_alive(&mut self) -> Result<()>;
    /// Stops it and waits until it has stopped.
    fn stop(&mut self);
}

/// The template parameters `AuthIssuer`, `AuthAudience` and `AuthJwks`.
///
/// HOOK: the token maker replaces the empty key set by its own public key.
pub fn auth_parameters(_settings: &Settings) -> Result<BTreeMap<String, String>> {
    let parameters =
        [("AuthIssuer", "http://127.0.0.1/telecom"), ("AuthAudience", "telecom"), ("AuthJwks", r#"{"keys":[]}"#)];
    Ok(parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Loads the demo fleet into the migrated database. Called at every start: must leave existing data alone.
///
/// HOOK: nothing is loaded yet.
pub fn seed(_endpoints: &Endpoints) -> Result<()> {
    Ok(())
}

/// Starts the simulator.
///
/// HOOK: there is none yet.
pub fn simulate(_endpoints: &Endpoints) -> Result<Option<Box<dyn Workload>>> {
    Ok(None)
}

/// Lines for the end of the banner: tokens, and commands to copy.
///
/// HOOK: there are none yet.
pub fn banner(_endpoints: &Endpoints) -> Result<Vec<String>> {
    Ok(Vec::new())
}
