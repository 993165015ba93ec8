//! Tables that a panel's database program exported, with the names of the columns in the first
//! line.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use csv::ReaderBuilder;
use serde_json::Value;

/// Texts that stand for no value, beside an empty cell.
const NULLS: [&str; 2] = ["NULL", "\\N"];

/// The column of a row that is at fault, and the problem with what is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub field: String,
    pub message: String,
}

impl Fault {
    #[must_use]
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        let field = field.to_owned();
        Self {
            field,
            message: message.into(),
        }
    }
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where the row is, such as `v2_user.csv row 3`.
    pub source: String,
    /// The cells that have a value.
    cells: BTreeMap<String, String>,
}

/// A table of a panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name of the file, for messages.
    pub file: String,
    columns: BTreeSet<String>,
    pub rows: Vec<Row>,
}

impl Table {
    /// Parses what `mysql --batch`, phpMyAdmin or a similar program wrote: cells separated by tabs
    /// with escapes, or CSV with commas or semicolons. The table must have the columns `required`.
    pub fn parse(file: &str, text: &str, required: &[&str]) -> Result<Self> {
        // Spreadsheets begin a file with this mark.
        let text = text.trim_start_matches('\u{feff}');
        let header = text.lines().next().unwrap_or_default();
        let mut lines = if header.contains('\t') {
            tab_separated(text)
        } else {
            let separator = if header.contains(';') { b';' } else { b',' };
            separated_by(separator, text).with_context(|| file.to_owned())?
        }
        .into_iter();
        let header: Vec<String> = lines.next().unwrap_or_default();
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let missing: Vec<&&str> = required
            .iter()
            .filter(|column| !header.iter().any(|name| name == **column))
            .collect();
        if !missing.is_empty() {
            bail!(
                "{file} row 1: missing columns {missing:?}; expected the names of the columns of \
                 the panel's table in the first line"
            );
        }
        let rows = lines.enumerate().map(|(index, cells)| {
            // As spreadsheets number rows: from 1, and the header is the first.
            let source = format!("{file} row {}", index.saturating_add(2));
            if cells.len() != header.len() {
                let (found, expected) = (cells.len(), header.len());
                bail!("{source}: {found} cells; expected {expected}");
            }
            let cells = header.iter().cloned().zip(cells);
            let cells = cells.filter(|(_, cell)| is_value(cell)).collect();
            Ok(Row { source, cells })
        });
        Ok(Self {
            file: file.to_owned(),
            rows: rows.collect::<Result<_>>()?,
            columns: header.into_iter().collect(),
        })
    }

    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains(column)
    }
}

fn is_value(cell: &str) -> bool {
    let cell = cell.trim();
    !cell.is_empty() && !NULLS.contains(&cell)
}

/// The cells of what `mysql --batch` writes, in which a backslash escapes tabs, line ends and
/// itself.
fn tab_separated(text: &str) -> Vec<Vec<String>> {
    let lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(|line| line.split('\t').map(unescaped).collect())
        .collect()
}

fn unescaped(cell: &str) -> String {
    // The null of `select … into outfile`, which is no escape.
    if cell == "\\N" {
        return cell.to_owned();
    }
    let mut letters = cell.chars();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('0') => '\0',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    text
}

fn separated_by(separator: u8, text: &str) -> Result<Vec<Vec<String>>> {
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let cells = |record: Result<csv::StringRecord, csv::Error>| {
        Ok(record?.iter().map(str::to_owned).collect())
    };
    reader.records().map(cells).collect()
}

impl Row {
    /// The text of a cell without the blanks around it. `None` if it has no value.
    #[must_use]
    pub fn text(&self, column: &str) -> Option<&str> {
        self.cells.get(column).map(|cell| cell.trim())
    }

    pub fn required(&self, column: &str) -> Result<&str, Fault> {
        self.text(column)
            .ok_or_else(|| Fault::new(column, "has no value"))
    }

    /// A whole number. `None` if the cell has no value.
    pub fn whole(&self, column: &str) -> Result<Option<i64>, Fault> {
        let read = |text: &str| {
            let read = text.parse::<i64>().ok();
            read.ok_or_else(|| Fault::new(column, "is not a whole number up to 2^63"))
        };
        self.text(column).map(read).transpose()
    }

    pub fn required_whole(&self, column: &str) -> Result<i64, Fault> {
        self.whole(column)?
            .ok_or_else(|| Fault::new(column, "has no value"))
    }

    /// A number that is kept in 32 bits. `None` if the cell has no value.
    pub fn small(&self, column: &str) -> Result<Option<i32>, Fault> {
        let read = |number: i64| {
            let read = i32::try_from(number);
            read.map_err(|_| Fault::new(column, "is not a whole number of 32 bits"))
        };
        self.whole(column)?.map(read).transpose()
    }

    pub fn decimal(&self, column: &str) -> Result<Option<f64>, Fault> {
        let read = |text: &str| {
            let read = text.parse::<f64>().ok().filter(|number| number.is_finite());
            read.ok_or_else(|| Fault::new(column, "is not a number"))
        };
        self.text(column).map(read).transpose()
    }

    /// Whether a cell has a number other than 0.
    pub fn flag(&self, column: &str) -> Result<bool, Fault> {
        Ok(self.whole(column)?.unwrap_or_default() != 0)
    }

    /// JSON in a cell. `None` if the cell has no value, or JSON's `null`.
    pub fn json(&self, column: &str) -> Result<Option<Value>, Fault> {
        let read = |text: &str| {
            let read = serde_json::from_str::<Value>(text);
            read.map_err(|_| Fault::new(column, "is not JSON"))
        };
        let value = self.text(column).map(read).transpose()?;
        Ok(value.filter(|value| !value.is_null()))
    }

    /// The whole numbers of a JSON list, which panels also write as texts.
    pub fn numbers(&self, column: &str) -> Result<Vec<i64>, Fault> {
        let Some(list) = self.json(column)? else {
            return Ok(Vec::new());
        };
        let number = |value: &Value| match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        let numbers = match &list {
            Value::Array(values) => values.iter().map(number).collect(),
            single => number(single).map(|number| vec![number]),
        };
        numbers.ok_or_else(|| Fault::new(column, "is not a list of whole numbers"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn table(text: &str) -> Table {
        Table::parse("t.csv", text, &["id"]).unwrap()
    }

    #[rstest]
    #[case::phpmyadmin("\"id\",\"name\",\"tls\"\n\"7\",\"a, \"\"b\"\"\",NULL\n")]
    #[case::semicolons("id;name;tls\r\n7;\"a, \"\"b\"\"\";\r\n")]
    #[case::batch("id\tname\ttls\n7\ta, \"b\"\tNULL\n")]
    #[case::outfile("id\tname\ttls\n7\ta, \"b\"\t\\N\n")]
    #[case::spreadsheet("\u{feff}id,name,tls\n7,\"a, \"\"b\"\"\",\n")]
    fn exports_of_all_programs_are_the_same_table(#[case] text: &str) {
        let table = table(text);
        let row = &table.rows[0];
        assert_eq!(row.whole("id"), Ok(Some(7)));
        assert_eq!(row.text("name"), Some("a, \"b\""));
        assert_eq!(row.text("tls"), None);
        assert_eq!(row.source, "t.csv row 2");
        assert!(table.has("tls") && !table.has("host"));
    }

    #[test]
    fn json_survives_both_forms() {
        let value = json!({ "path": "/a\\b", "list": ["1", 2] });
        let written = value.to_string().replace('/', "\\/");
        let batch = format!("id\tj\n1\t{}\n", written.replace('\\', "\\\\"));
        let quoted = format!("id,j\n1,\"{}\"\n", written.replace('"', "\"\""));
        for text in [batch, quoted] {
            assert_eq!(
                table(&text).rows[0].json("j"),
                Ok(Some(value.clone())),
                "{text}"
            );
        }
    }

    #[rstest]
    #[case("[\"1\",2]", Ok(vec![1, 2]))]
    #[case("3", Ok(vec![3]))]
    #[case("NULL", Ok(vec![]))]
    #[case("[\"a\"]", Err(Fault::new("ids", "is not a list of whole numbers")))]
    fn groups_are_numbers_or_texts(#[case] cell: &str, #[case] expected: Result<Vec<i64>, Fault>) {
        let table = table(&format!("id\tids\n1\t{cell}\n"));
        assert_eq!(table.rows[0].numbers("ids"), expected);
    }

    #[rstest]
    #[case("name\na\n", "missing columns [\"id\"]")]
    #[case("id,name\n1\n", "t.csv row 2: 1 cells; expected 2")]
    fn a_table_that_is_not_the_panels_is_refused(#[case] text: &str, #[case] reason: &str) {
        let error = Table::parse("t.csv", text, &["id"]).unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{error:#}");
    }
}
