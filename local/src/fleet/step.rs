//! One row of an import, and what is sent for it.

use super::report::RowReport;
use super::{Existing, Fields, Kind, Row};

/// A field that is at fault, and the problem with what is accepted.
pub type Fault = (String, String);

pub fn fault(field: &str, message: &str) -> Fault {
    (field.to_owned(), message.to_owned())
}

/// The server of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Exists(i32),
    /// The server that this row of the file creates.
    New(usize),
}

/// A row of the file with what it stands for.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    pub kind: Kind,
    /// Index of the row in its file.
    pub index: usize,
    pub row: &'a Row,
    /// `None` if the row is new.
    pub existing: Option<&'a Existing>,
    /// Server that the row of a client names.
    pub place: Option<Place>,
}

/// What is sent for a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Send {
    Nothing,
    /// A request body, for the new server or client of the row with this index.
    Create(Fields, usize),
    /// A merge patch of a revision.
    Update(Fields, i64),
    Archive,
}

/// A row with what is sent for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub row: RowReport,
    pub kind: Kind,
    pub send: Send,
    /// The new server that the request must name. `None` if it names one that exists, or none.
    pub new_server: Option<usize>,
}
