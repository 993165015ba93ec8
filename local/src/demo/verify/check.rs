//! Comparisons, and their table.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;

/// Maximum number of differing keys per comparison that are listed.
const NAMED: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub what: String,
    /// Expected according to the account.
    pub expected: i128,
    /// Found in the system.
    pub found: i128,
    /// Number of values that differ. Values may differ although their sums are equal.
    pub differing: usize,
    /// The first of these, up to a limit.
    pub first: Vec<String>,
}

impl Check {
    pub(super) fn equal(what: &str, expected: i128, found: i128) -> Self {
        let differing = usize::from(expected != found);
        Self {
            what: what.to_owned(),
            expected,
            found,
            differing,
            first: Vec::new(),
        }
    }

    /// A comparison of things of which `found` exist and `missing` do not.
    pub(super) fn some_missing(what: &str, found: i128, mut missing: Vec<String>) -> Self {
        missing.sort_unstable();
        let differing = missing.len();
        missing.truncate(NAMED);
        Self {
            differing,
            first: missing,
            ..Self::equal(what, found + count(differing), found)
        }
    }

    /// Counts the missing things among those found.
    pub(super) fn out_of_found(self) -> Self {
        Self {
            expected: self.found,
            found: self.found - count(self.differing),
            ..self
        }
    }

    /// A comparison that failed.
    pub(super) fn failed(what: &str, why: String) -> Self {
        Self {
            first: vec![why],
            ..Self::equal(what, 1, 0)
        }
    }

    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differing == 0 && self.expected == self.found
    }
}

pub(super) fn count(things: usize) -> i128 {
    i128::try_from(things).unwrap_or(i128::MAX)
}

/// Adds each value to the sum at the same position.
pub(super) fn add<const N: usize>(sums: &mut [i128; N], values: [i128; N]) {
    sums.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += value);
}

/// Compares the values of each key. There are N values per key, and a comparison for each of them.
/// The values of a missing key are zero.
pub(super) fn keys<K: Eq + Hash + Ord, const N: usize>(
    names: [&str; N],
    expected: &HashMap<K, [i128; N]>,
    found: &HashMap<K, [i128; N]>,
    label: impl Fn(&K) -> String,
) -> Vec<Check> {
    let mut checks = names.map(|name| Check::equal(name, 0, 0));
    add_keys(&mut checks, expected, found, label);
    checks.into()
}

/// As [`keys`], for a part of the keys. Adds the differences to those of other parts.
pub(super) fn add_keys<K: Eq + Hash + Ord, const N: usize>(
    checks: &mut [Check; N],
    expected: &HashMap<K, [i128; N]>,
    found: &HashMap<K, [i128; N]>,
    label: impl Fn(&K) -> String,
) {
    // Sorted, so that the first differing keys are the same in every run.
    let all: BTreeSet<&K> = expected.keys().chain(found.keys()).collect();
    for key in all {
        let [expected, found] =
            [expected, found].map(|values| values.get(key).copied().unwrap_or([0; N]));
        for (check, (expected, found)) in checks.iter_mut().zip(expected.into_iter().zip(found)) {
            check.expected += expected;
            check.found += found;
            if expected != found {
                check.differing += 1;
                if check.first.len() < NAMED {
                    let label = label(key);
                    let line = format!("{label}: expected {expected}, found {found}");
                    check.first.push(line);
                }
            }
        }
    }
}

/// Writes a table. The first differing keys of a comparison are listed below it.
pub(super) fn table(f: &mut fmt::Formatter<'_>, checks: &[Check]) -> fmt::Result {
    writeln!(
        f,
        "{:<44}{:>24}{:>24}{:>20}",
        "check", "expected", "found", "difference"
    )?;
    for check in checks {
        let mark = if check.agrees() { " " } else { "!" };
        let difference = grouped(check.found - check.expected);
        writeln!(
            f,
            "{mark} {:<42}{:>24}{:>24}{difference:>20}",
            check.what,
            grouped(check.expected),
            grouped(check.found)
        )?;
        for key in &check.first {
            writeln!(f, "      {key}")?;
        }
        if check.differing > check.first.len() {
            writeln!(f, "      number of differences: {}", check.differing)?;
        }
    }
    Ok(())
}

/// Groups digits by three, separated by commas.
pub(super) fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_that_cancel_out_in_the_sum_are_still_differences() {
        let expected = HashMap::from([("a", [1]), ("b", [2])]);
        let found = HashMap::from([("a", [2]), ("b", [1])]);
        let checks = keys(["bytes"], &expected, &found, |key| (*key).to_owned());
        assert_eq!(
            (checks[0].expected, checks[0].found, checks[0].differing),
            (3, 3, 2)
        );
        assert_eq!(
            checks[0].first,
            ["a: expected 1, found 2", "b: expected 2, found 1"]
        );
        assert!(!checks[0].agrees());
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(
            [0, 999, -1_000, 1_234_567].map(grouped),
            ["0", "999", "-1,000", "1,234,567"]
        );
    }
}
