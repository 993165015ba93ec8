//! What an import from a panel would do, or has done.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::table::{Fault, Row};
use crate::fleet::{self, Outcome};

/// A row that cannot be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmapped {
    pub kind: &'static str,
    pub source: String,
    pub field: String,
    /// The problem and what is accepted.
    pub message: String,
}

impl Unmapped {
    #[must_use]
    pub fn of(kind: &'static str, row: &Row, fault: Fault) -> Self {
        Self {
            kind,
            source: row.source.clone(),
            field: fault.field,
            message: fault.message,
        }
    }
}

/// What is not moved of a row that is moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub kind: &'static str,
    pub source: String,
    pub text: String,
}

impl Note {
    #[must_use]
    pub fn of(kind: &'static str, row: &Row, text: String) -> Self {
        let source = row.source.clone();
        Self { kind, source, text }
    }
}

/// A series that users are moved to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageReport {
    pub name: String,
    /// `None` before it is created.
    pub series: Option<Uuid>,
    pub is_new: bool,
    /// Number of users of the tables who are moved to it.
    pub users: usize,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Why a user is not moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    Banned,
    Deleted,
    NoPackage,
    Expired,
    UsedUp,
    NoUserId,
}

impl Skipped {
    fn reason(self) -> &'static str {
        match self {
            Self::Banned => "banned",
            Self::Deleted => "deleted",
            Self::NoPackage => "without a package",
            Self::Expired => "expired",
            Self::UsedUp => "used up",
            Self::NoUserId => "without a user id in --user-ids",
        }
    }
}

/// What is done for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UserAction {
    /// The user gets an item, or what a part of the import left out.
    Move,
    /// The user of an ended package gets the secret alone.
    SetSecret,
    /// Everything is as in the tables.
    Unchanged,
    /// The item has changed here since it was moved, or has ended. It stays as it is.
    Differs,
    Skip,
}

/// What became of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserReport {
    pub source: String,
    pub panel_id: i64,
    pub user: Option<Uuid>,
    pub action: UserAction,
    pub skipped: Option<Skipped>,
    /// What is left of the traffic in the panel.
    pub quota_left_bytes: i64,
    pub expires_at: Option<DateTime<Utc>>,
    /// The steps that are needed, in order.
    pub steps: Vec<String>,
    pub notes: Vec<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Number of users by what is done for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub moved: usize,
    pub secrets: usize,
    pub unchanged: usize,
    pub differing: usize,
    pub skipped: BTreeMap<Skipped, usize>,
    /// Users whose steps were refused or not sent. They are counted as their action, too.
    pub refused: usize,
    /// Traffic that is left of the users who are moved or unchanged.
    pub quota_left_bytes: i64,
    /// Users who are moved, but whose apps need a new configuration.
    pub new_secrets: usize,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub dry_run: bool,
    pub fleet: Option<fleet::Report>,
    pub packages: Vec<PackageReport>,
    pub users: Vec<UserReport>,
    pub totals: Totals,
    pub notes: Vec<Note>,
    pub unmapped: Vec<Unmapped>,
    /// Whether nothing was sent because of unmapped rows.
    pub is_stopped: bool,
}

impl Totals {
    pub fn add(&mut self, user: &UserReport, has_new_secret: bool) {
        let count = match user.action {
            UserAction::Move => &mut self.moved,
            UserAction::SetSecret => &mut self.secrets,
            UserAction::Unchanged => &mut self.unchanged,
            UserAction::Differs => &mut self.differing,
            UserAction::Skip => {
                let skipped = user.skipped.unwrap_or(Skipped::NoPackage);
                self.skipped.entry(skipped).or_default()
            }
        };
        *count = count.saturating_add(1);
        self.refused = self
            .refused
            .saturating_add(user.outcome.is_refused().into());
        if matches!(user.action, UserAction::Move | UserAction::Unchanged) {
            self.quota_left_bytes = self.quota_left_bytes.saturating_add(user.quota_left_bytes);
            self.new_secrets = self.new_secrets.saturating_add(has_new_secret.into());
        }
    }
}

impl Report {
    /// Number of changes that were not made although they should have been.
    #[must_use]
    pub fn refused(&self) -> usize {
        let packages = self.packages.iter();
        let packages = packages.filter(|package| package.outcome.is_refused());
        let fleet = self.fleet.as_ref().map_or(0, fleet::Report::refused);
        fleet
            .saturating_add(packages.count())
            .saturating_add(self.totals.refused)
    }
}

impl fmt::Display for Unmapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            source,
            field,
            message,
        } = self;
        write!(
            f,
            "not moved {kind} ({source})\n            {field}: {message}"
        )
    }
}

impl fmt::Display for PackageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = if self.is_new { "create" } else { "unchanged" };
        write!(
            f,
            "{action:9} package {:?}: {} users",
            self.name, self.users
        )?;
        write!(f, "{}", self.outcome)
    }
}

impl fmt::Display for UserReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            UserAction::Move => "move",
            UserAction::SetSecret => "secret",
            UserAction::Unchanged => "unchanged",
            UserAction::Differs => "differs",
            UserAction::Skip => "skip",
        };
        write!(f, "{action:9} user {} ({})", self.panel_id, self.source)?;
        if let Some(user) = self.user {
            write!(f, " = {user}")?;
        }
        if let Some(skipped) = self.skipped {
            write!(f, ": {}", skipped.reason())?;
        }
        for line in self.steps.iter().chain(&self.notes) {
            write!(f, "\n            {line}")?;
        }
        write!(f, "{}", self.outcome)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Users: {} to move, {} with the secret alone, {} unchanged, {} that differ; \
             {} bytes left",
            self.moved, self.secrets, self.unchanged, self.differing, self.quota_left_bytes
        )?;
        for (skipped, users) in &self.skipped {
            writeln!(f, "Skipped: {users} users {}", skipped.reason())?;
        }
        if self.new_secrets > 0 {
            writeln!(
                f,
                "New secrets: {} users, whose apps need a new configuration",
                self.new_secrets
            )?;
        }
        Ok(())
    }
}

/// The notes, the unmapped rows and the summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Note { kind, source, text } in &self.notes {
            writeln!(f, "note      {kind} ({source})\n            {text}")?;
        }
        for unmapped in &self.unmapped {
            writeln!(f, "{unmapped}")?;
        }
        if let Some(fleet) = &self.fleet {
            writeln!(f, "{fleet}")?;
        }
        write!(f, "{}", self.totals)?;
        match (self.unmapped.len(), self.is_stopped, self.dry_run) {
            (0, _, true) => write!(f, "Dry run: nothing was sent."),
            (rows, _, true) => write!(f, "Not moved: {rows} rows. Dry run: nothing was sent."),
            (rows, true, false) => write!(
                f,
                "Not moved: {rows} rows. Nothing was sent. --skip-unmapped moves the others."
            ),
            (rows, false, false) => {
                write!(
                    f,
                    "Not moved: {rows} rows. Refused: {} changes",
                    self.refused()
                )
            }
        }
    }
}
