//! What an import would change, or has changed.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Kind;

/// A field before and after a change. Secrets are masked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldChange {
    pub field: String,
    pub before: Value,
    pub after: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Update,
    Archive,
    Unchanged,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// Nothing was sent: a dry run, or an invalid row in the file.
    Planned,
    /// Nothing was to be done.
    Unchanged,
    Applied,
    /// The API refused the change, or did not respond.
    Refused {
        error: String,
    },
    /// The change was not sent.
    NotSent {
        error: String,
    },
}

/// A row of the file, or a server or client that the file does not have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowReport {
    pub kind: &'static str,
    /// Place in the file. `None` if the file does not have it.
    pub source: Option<String>,
    /// `None` before it is created.
    pub id: Option<i32>,
    pub name: String,
    pub action: Action,
    pub changes: Vec<FieldChange>,
    /// Masked fields of the file, which a new server or client does not get.
    pub left_out: Vec<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A row that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invalid {
    pub kind: &'static str,
    pub source: String,
    pub field: String,
    /// The problem and what is accepted.
    pub message: String,
}

/// Number of rows of one kind by action, and of those that were not applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub create: usize,
    pub update: usize,
    pub archive: usize,
    pub unchanged: usize,
    /// Rows that the API refused or that were not sent. They are counted as their action, too.
    pub refused: usize,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub dry_run: bool,
    pub servers: Counts,
    pub clients: Counts,
    /// Archived rows of the file, which are ignored.
    pub ignored: usize,
    pub invalid: Vec<Invalid>,
    pub rows: Vec<RowReport>,
}

impl Report {
    #[must_use]
    pub fn new(dry_run: bool, ignored: usize, invalid: Vec<Invalid>, rows: Vec<RowReport>) -> Self {
        let counts = |kind: Kind| {
            let mut counts = Counts::default();
            rows.iter()
                .filter(|row| row.kind == kind.name())
                .for_each(|row| counts.add(row));
            counts
        };
        Self {
            dry_run,
            servers: counts(Kind::Server),
            clients: counts(Kind::Client),
            ignored,
            invalid,
            rows,
        }
    }

    /// Number of rows that were not applied although they should have been.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.servers.refused.saturating_add(self.clients.refused)
    }
}

impl Outcome {
    /// Whether it is that of a change which should have been made.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NotSent { .. })
    }
}

/// A line below the change that was not made. Empty for others.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned | Self::Unchanged | Self::Applied => Ok(()),
            Self::Refused { error } => write!(f, "\n            refused: {error}"),
            Self::NotSent { error } => write!(f, "\n            not sent: {error}"),
        }
    }
}

impl Counts {
    fn add(&mut self, row: &RowReport) {
        let count = match row.action {
            Action::Create => &mut self.create,
            Action::Update => &mut self.update,
            Action::Archive => &mut self.archive,
            Action::Unchanged => &mut self.unchanged,
        };
        *count = count.saturating_add(1);
        if row.outcome.is_refused() {
            self.refused = self.refused.saturating_add(1);
        }
    }
}

impl fmt::Display for RowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Create => "create",
            Action::Update => "update",
            Action::Archive => "archive",
            Action::Unchanged => "unchanged",
        };
        write!(f, "{action:9} {}", self.kind)?;
        if let Some(id) = self.id {
            write!(f, " {id}")?;
        }
        write!(f, " {:?}", self.name)?;
        if let Some(source) = &self.source {
            write!(f, " ({source})")?;
        }
        for FieldChange {
            field,
            before,
            after,
        } in &self.changes
        {
            write!(f, "\n            {field}: {before} -> {after}")?;
        }
        for field in &self.left_out {
            write!(
                f,
                "\n            {field}: masked in the file, so it is left out"
            )?;
        }
        write!(f, "{}", self.outcome)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            source,
            field,
            message,
        } = self;
        write!(
            f,
            "invalid   {kind} ({source})\n            {field}: {message}"
        )
    }
}

/// The invalid rows and the summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for invalid in &self.invalid {
            writeln!(f, "{invalid}")?;
        }
        let planned = self.dry_run || !self.invalid.is_empty();
        for (name, counts) in [("Servers", self.servers), ("Clients", self.clients)] {
            let Counts {
                create,
                update,
                archive,
                unchanged,
                refused,
            } = counts;
            if planned {
                writeln!(
                    f,
                    "{name}: {create} to create, {update} to update, {archive} to archive, \
                     {unchanged} unchanged"
                )?;
            } else {
                writeln!(
                    f,
                    "{name}: {create} create, {update} update, {archive} archive, \
                     {unchanged} unchanged; {refused} of them refused"
                )?;
            }
        }
        if self.ignored > 0 {
            writeln!(f, "Ignored: {} archived rows of the file", self.ignored)?;
        }
        match (self.invalid.len(), self.dry_run) {
            (0, true) => write!(f, "Dry run: nothing was sent."),
            (0, false) => write!(f, "Refused: {} rows", self.refused()),
            (rows, _) => write!(f, "Invalid: {rows} rows. Nothing was sent."),
        }
    }
}
