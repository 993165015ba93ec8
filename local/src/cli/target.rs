//! The deployment that a command calls, and the files that it reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use clap::Args;

use crate::demo::bootstrap;
use crate::demo::token::Role;
use crate::fleet::api::Api;
use crate::settings::Settings;

/// Exit status of an import with an invalid row.
pub(super) const INVALID: u8 = 3;
/// Exit status of an import with a row that was refused or not sent.
pub(super) const REFUSED: u8 = 4;

#[derive(Debug, Args)]
pub(super) struct Target {
    /// URL of the HTTP API [default: the running local system]
    #[arg(long, env = "TELECOM_URL")]
    url: Option<String>,
    /// File with the token of an administrator [default: the environment variable `TELECOM_TOKEN`;
    /// for the running local system, a new token]
    #[arg(long)]
    token_file: Option<PathBuf>,
}

impl Target {
    pub(super) fn api(&self, settings: impl FnOnce() -> Result<Settings>) -> Result<Api> {
        let token = match &self.token_file {
            Some(file) => Some(read(file)?),
            None => std::env::var("TELECOM_TOKEN").ok(),
        };
        let (url, token) = match (&self.url, token) {
            (Some(url), token) => {
                let missing = "The token is missing. Set TELECOM_TOKEN or --token-file.";
                (url.clone(), token.context(missing)?)
            }
            (None, token) => {
                let settings = settings()?;
                let url = super::running(&settings)?.api;
                let issued = || bootstrap::token(&settings, None, Role::Admin);
                (url, token.map_or_else(issued, Ok)?)
            }
        };
        Api::new(&url, &token, thread::sleep)
    }
}

pub(super) fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str());
    name.to_string_lossy().into_owned()
}

pub(super) fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("Cannot read {}", file.display()))
}
