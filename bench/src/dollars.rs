//! What AWS bills for a million usage rows, from counted requests and bytes.
//!
//! Prices are in US dollars: us-east-1, on demand, without the free tier, as of June 2026.

use serde::Serialize;

use crate::pipeline::Totals;
use crate::table::Table;

/// A request to a standard queue.
const SQS_REQUEST: f64 = 0.40 / 1e6;
const LAMBDA_REQUEST: f64 = 0.20 / 1e6;
/// A GB-second on arm64, the default `Architecture` of template.yaml.
const LAMBDA_GB_SECOND: f64 = 13.3334 / 1e6;
const AURORA_IO: f64 = 0.20 / 1e6;

/// Requests per message without batches: send, receive, delete.
const REQUESTS_PER_MESSAGE: f64 = 3.0;
/// `MemorySize` of all functions in template.yaml.
const MEMORY_MB: u32 = 256;
/// Size of the log that Aurora bills as one I/O.
const IO_BYTES: f64 = 4096.0;

/// A billed quantity per million usage rows.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Amount {
    pub number: f64,
    pub dollars: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Line {
    pub what: &'static str,
    pub pipeline: Amount,
    /// With a message, and an invocation of 1 ms, per usage row and per billing event.
    pub unbatched: Amount,
}

/// The bill for a million usage rows.
#[derive(Debug, Clone, Serialize)]
pub struct Dollars {
    pub lines: Vec<Line>,
    /// Sum of the lines for the pipeline.
    pub pipeline: f64,
    /// Sum of the lines without batches.
    pub unbatched: f64,
    /// Estimated write I/Os of Aurora Standard, which are not part of the sums.
    pub aurora: Amount,
}

impl Dollars {
    #[expect(
        clippy::as_conversions,
        clippy::cast_precision_loss,
        reason = "counts far below 2^52"
    )]
    pub fn per_million_rows(totals: &Totals) -> Self {
        let amount = |number: f64, price: f64| {
            let number = number * 1e6 / totals.rows as f64;
            Amount {
                number,
                dollars: number * price,
            }
        };
        let line = |what, price, pipeline, unbatched| Line {
            what,
            pipeline: amount(pipeline, price),
            unbatched: amount(unbatched, price),
        };
        let sqs = |what, requests: usize, messages: f64| {
            let unbatched = REQUESTS_PER_MESSAGE * messages;
            line(what, SQS_REQUEST, requests as f64, unbatched)
        };
        let gb_seconds = |milliseconds: f64| milliseconds / 1e3 * f64::from(MEMORY_MB) / 1024.0;
        let (rows, events) = (totals.rows as f64, totals.events as f64);
        let (number, unbatched) = (totals.invocations.number as f64, rows + events);
        let time = totals.invocations.milliseconds as f64;
        let lines = vec![
            sqs("SQS requests, reports", totals.report_requests, rows),
            sqs("SQS requests, events", totals.billing_requests, events),
            line("Lambda invocations", LAMBDA_REQUEST, number, unbatched),
            line(
                "Lambda GB-seconds",
                LAMBDA_GB_SECOND,
                gb_seconds(time),
                gb_seconds(unbatched),
            ),
        ];
        Self {
            pipeline: lines.iter().map(|line| line.pipeline.dollars).sum(),
            unbatched: lines.iter().map(|line| line.unbatched.dollars).sum(),
            aurora: amount(totals.cost().wal_bytes as f64 / IO_BYTES, AURORA_IO),
            lines,
        }
    }

    pub fn text(&self, markdown: bool) -> String {
        let mut table = Table::new(&[
            "dollars per million usage rows",
            "number",
            "US$",
            "unbatched",
            "US$",
        ]);
        let dollars = |dollars: f64| format!("{dollars:.4}");
        for line in &self.lines {
            table.push(vec![
                line.what.to_owned(),
                count(line.pipeline.number),
                dollars(line.pipeline.dollars),
                count(line.unbatched.number),
                dollars(line.unbatched.dollars),
            ]);
        }
        table.push(vec![
            "SQS and Lambda".to_owned(),
            String::new(),
            dollars(self.pipeline),
            String::new(),
            dollars(self.unbatched),
        ]);
        table.push(vec![
            "Aurora Standard, write I/Os (estimate)".to_owned(),
            count(self.aurora.number),
            dollars(self.aurora.dollars),
            String::new(),
            String::new(),
        ]);
        format!("{}\n", table.write(markdown))
    }
}

fn count(number: f64) -> String {
    let decimals = usize::from(number < 100.0);
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::Invocations;

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    fn half_a_million_rows() -> Totals {
        let mut totals = Totals {
            rows: 500_000,
            events: 250_000,
            report_requests: 1_000,
            billing_requests: 500,
            invocations: Invocations {
                number: 50,
                milliseconds: 8_000,
            },
            ..Totals::default()
        };
        totals.apply_cost.wal_bytes = 4096 * 1_000;
        totals
    }

    #[test]
    fn numbers_are_those_of_a_million_rows() {
        let dollars = Dollars::per_million_rows(&half_a_million_rows());
        let numbers = dollars.lines.iter().map(|line| line.pipeline.number);
        let expected = [2_000.0, 1_000.0, 100.0, 4.0];
        assert!(numbers.zip(expected).all(|(one, other)| close(one, other)));
        assert!(close(dollars.aurora.number, 2_000.0));
    }

    #[test]
    fn without_batches_each_row_and_each_event_is_a_message() {
        let dollars = Dollars::per_million_rows(&half_a_million_rows());
        let numbers = dollars.lines.iter().map(|line| line.unbatched.number);
        let expected = [3_000_000.0, 1_500_000.0, 1_500_000.0, 375.0];
        assert!(numbers.zip(expected).all(|(one, other)| close(one, other)));
    }

    #[test]
    fn sums_contain_sqs_and_lambda_at_their_prices() {
        let dollars = Dollars::per_million_rows(&half_a_million_rows());
        let pipeline = 3_000.0 * 0.40e-6 + 100.0 * 0.20e-6 + 4.0 * 13.3334e-6;
        let unbatched = 4.5 * 0.40 + 1.5 * 0.20 + 375.0 * 13.3334e-6;
        assert!(close(dollars.pipeline, pipeline));
        assert!(close(dollars.unbatched, unbatched));
        assert!(close(dollars.aurora.dollars, 2_000.0 * 0.20e-6));
    }

    #[test]
    fn all_functions_have_the_memory_and_processor_of_the_template() {
        const TEMPLATE: &str = include_str!("../../template.yaml");
        assert_eq!(TEMPLATE.matches("MemorySize:").count(), 1);
        assert!(TEMPLATE.contains(&format!("MemorySize: {MEMORY_MB}\n")));
        assert!(TEMPLATE.contains("Architectures: [!Ref Architecture]\n"));
        assert!(TEMPLATE.contains("  Architecture:\n    Type: String\n    Default: arm64\n"));
    }
}
