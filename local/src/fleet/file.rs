//! Files of an export and an import: one JSON document, or one CSV table of each kind.

use anyhow::{Context, Result, bail};
use csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use serde_json::{Number, Value, json};

use super::{Existing, Fields, Fleet, Kind};

/// Columns of the API's tables that an import ignores, because they cannot be set.
const IGNORED: [&str; 8] = [
    "status",
    "last_online_at",
    "client_count",
    "last_traffic_at",
    "revision",
    "created_at",
    "updated_at",
    "archived_at",
];

/// A server or a client of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where the row is, such as `servers.csv row 3`.
    pub source: String,
    /// The fields that the file has. A field that is missing stays as it is.
    pub fields: Fields,
}

impl Row {
    /// The text of a field. `None` if it is missing or empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let text = self.fields.get(name).and_then(Value::as_str);
        text.filter(|text| !text.trim().is_empty())
    }

    /// The value of a field. `None` if it is missing or `null`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    #[must_use]
    pub fn is_archived(&self) -> bool {
        self.text("archived_at").is_some()
    }

    /// A field that no server or client has, depending on `kind`.
    #[must_use]
    pub fn unknown_field(&self, kind: Kind) -> Option<&str> {
        let mut names = self.fields.keys().map(String::as_str);
        names.find(|name| !is_known(kind, name))
    }
}

fn is_known(kind: Kind, name: &str) -> bool {
    kind.columns().contains(&name) || IGNORED.contains(&name)
}

/// The content of the files of an import. A kind that the files do not have stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    pub servers: Option<Vec<Row>>,
    pub clients: Option<Vec<Row>>,
}

impl Document {
    /// Parses a JSON document. `file` is the name for messages.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        let document: Fields =
            serde_json::from_str(text).with_context(|| format!("{file} is not a JSON object"))?;
        let lists = Kind::ALL.map(Kind::list);
        if let Some(unknown) = document.keys().find(|key| !lists.contains(&key.as_str())) {
            bail!("{file}: unknown field \"{unknown}\"; expected servers and clients");
        }
        let rows = |kind: Kind| {
            let list = document.get(kind.list());
            list.map(|list| rows_of(file, kind, list)).transpose()
        };
        Ok(Self {
            servers: rows(Kind::Server)?,
            clients: rows(Kind::Client)?,
        })
    }

    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<&[Row]> {
        match kind {
            Kind::Server => self.servers.as_deref(),
            Kind::Client => self.clients.as_deref(),
        }
    }
}

fn rows_of(file: &str, kind: Kind, list: &Value) -> Result<Vec<Row>> {
    let name = kind.list();
    let list = list
        .as_array()
        .with_context(|| format!("{file}: {name} is not a list"))?;
    let row = |(index, value): (usize, &Value)| {
        let source = format!("{file} {name}[{index}]");
        let fields = value
            .as_object()
            .with_context(|| format!("{source} is not an object"))?;
        Ok(Row {
            source,
            fields: fields.clone(),
        })
    };
    list.iter().enumerate().map(row).collect()
}

/// Parses a table of servers or clients. `file` is the name for messages.
pub fn rows_from_csv(file: &str, kind: Kind, text: &str) -> Result<Vec<Row>> {
    // Spreadsheets begin a file with this mark.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = ReaderBuilder::new().from_reader(text.as_bytes());
    let header = reader.headers().with_context(|| file.to_owned())?.clone();
    if let Some(unknown) = header.iter().find(|column| !is_known(kind, column)) {
        let known = kind.columns().join(", ");
        bail!("{file} row 1: unknown column \"{unknown}\"; expected some of: {known}");
    }
    let row = |(index, record): (usize, Result<StringRecord, csv::Error>)| {
        let record = record.with_context(|| file.to_owned())?;
        // As spreadsheets number rows: from 1, and the header is the first.
        let number = index.saturating_add(2);
        let cells = header.iter().zip(&record);
        let fields = cells
            .filter_map(|(column, cell)| Some((column.to_owned(), value_of(column, cell)?)))
            .collect();
        Ok(Row {
            source: format!("{file} row {number}"),
            fields,
        })
    };
    reader.records().enumerate().map(row).collect()
}

/// The value of a cell. A cell with the wrong form stays a text, which the check of the row
/// refuses. `None` if an empty cell means that the field is not given.
fn value_of(column: &str, cell: &str) -> Option<Value> {
    let number = |text: &str| text.parse::<Number>().map_or(json!(text), Value::Number);
    let value = match (column, cell.trim()) {
        ("speed_limit", "") => Value::Null,
        ("access_groups", groups) => groups.split_whitespace().map(number).collect(),
        ("location" | "route_class", _) => json!(plain(cell)),
        (_, "") => return None,
        ("id" | "server_id" | "traffic_factor" | "display_order" | "speed_limit", text) => {
            number(text)
        }
        ("server_config" | "client_config", text) => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        _ => json!(plain(cell)),
    };
    Some(value)
}

/// The fleet as a JSON document.
pub fn to_json(fleet: &Fleet) -> Result<String> {
    let list = |kind| -> Vec<&Fields> { fleet.of(kind).iter().map(|item| &item.fields).collect() };
    let document = json!({ "servers": list(Kind::Server), "clients": list(Kind::Client) });
    Ok(format!("{}\n", serde_json::to_string_pretty(&document)?))
}

/// The servers or clients as CSV (RFC 4180).
pub fn to_csv(kind: Kind, items: &[Existing]) -> Result<String> {
    let columns = kind.columns();
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(&columns)?;
    for item in items {
        let cell = |column: &&str| item.fields.get(*column).map(cell_of).unwrap_or_default();
        writer.write_record(columns.iter().map(cell))?;
    }
    let bytes = writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8(bytes)?)
}

fn cell_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            values.join(" ")
        }
        other => other.to_string(),
    }
}

/// Whether a spreadsheet would read a text as a formula, or hide that it begins with an apostrophe.
fn is_formula(text: &str) -> bool {
    let formula = text.trim_start_matches('\'');
    formula.starts_with(['=', '+', '-', '@', '\t', '\r'])
        && (formula != text || text.parse::<f64>().is_err())
}

/// Prefixes a text that a spreadsheet would read as a formula with an apostrophe, as the API does.
fn harmless(text: &str) -> String {
    if is_formula(text) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// Removes the apostrophe of [`harmless`].
fn plain(cell: &str) -> &str {
    let text = cell.strip_prefix('\'');
    text.filter(|text| is_formula(text)).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn rows(kind: Kind, text: &str) -> Vec<Row> {
        rows_from_csv("f.csv", kind, text).unwrap()
    }

    #[rstest]
    #[case("plain")]
    #[case("=1+1")]
    #[case("'=1+1")]
    #[case("''=1+1")]
    #[case("-5")]
    #[case("'-5")]
    #[case("'quoted'")]
    #[case("@a")]
    #[case("a,\"b\"\nc")]
    fn a_text_survives_the_table(#[case] name: &str) {
        let server = Existing {
            id: 1,
            name: name.to_owned(),
            revision: 1,
            is_archived: false,
            fields: Fields::from_iter([("name".to_owned(), json!(name))]),
        };
        let table = to_csv(Kind::Server, &[server]).unwrap();
        assert_eq!(
            rows(Kind::Server, &table)[0].text("name"),
            Some(name),
            "{table}"
        );
    }

    #[test]
    fn cells_have_the_types_of_their_columns() {
        let table = "id,name,speed_limit,access_groups,location,client_config,display_order\r\n\
            7,5,,1 2,,\"{\"\"port\"\":443}\",\r\n";
        let row = &rows(Kind::Client, table)[0];
        let expected = json!({ "id": 7, "name": "5", "speed_limit": null, "access_groups": [1, 2],
            "location": "", "client_config": { "port": 443 } });
        assert_eq!(Value::Object(row.fields.clone()), expected);
        assert_eq!(row.source, "f.csv row 2");
    }

    #[test]
    fn a_table_of_a_spreadsheet_begins_with_a_mark() {
        assert_eq!(
            rows(Kind::Server, "\u{feff}name\na\n")[0].text("name"),
            Some("a")
        );
    }

    #[rstest]
    #[case("name,colour\na,red\n", "unknown column \"colour\"")]
    #[case("name,compatibility\na\n", "line: 2")]
    fn a_malformed_table_is_refused(#[case] table: &str, #[case] reason: &str) {
        let error = rows_from_csv("f.csv", Kind::Server, table).unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{error:#}");
    }

    #[rstest]
    #[case("[]", "not a JSON object")]
    #[case(r#"{"server":[]}"#, "unknown field \"server\"")]
    #[case(r#"{"servers":{}}"#, "not a list")]
    #[case(r#"{"clients":[1]}"#, "clients[0] is not an object")]
    fn a_malformed_document_is_refused(#[case] text: &str, #[case] reason: &str) {
        let error = Document::from_json("f.json", text).unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{error:#}");
    }
}
