//! Text and Markdown tables.

use std::fmt::Write as _;

/// Rows of cells. The first row is the head.
pub struct Table(Vec<Vec<String>>);

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self(vec![head.iter().map(|&cell| cell.to_owned()).collect()])
    }

    pub fn push(&mut self, row: Vec<String>) {
        self.0.push(row);
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            self.0
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        (0..columns)
            .map(|column| width(column).unwrap_or_default())
            .collect()
    }

    /// The first column is left-aligned, the others are right-aligned.
    pub fn write(&self, markdown: bool) -> String {
        let widths = self.widths();
        let (start, between, end) = if markdown {
            ("| ", " | ", " |")
        } else {
            ("  ", "  ", "")
        };
        let mut text = String::new();
        for (number, row) in self.0.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| {
                    if column == 0 {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                })
                .collect();
            let _ = writeln!(text, "{start}{}{end}", cells.join(between).trim_end());
            if markdown && number == 0 {
                let rules: Vec<&str> = (0..widths.len())
                    .map(|column| if column == 0 { "---" } else { "--:" })
                    .collect();
                let _ = writeln!(text, "|{}|", rules.join("|"));
            }
        }
        text
    }
}
