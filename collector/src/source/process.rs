//! The start of a process of this machine.

use std::fs;

use crate::clock::Now;
use crate::start::Start;

/// The start of the only process with this name. Unknown if there is none, or more than one.
pub fn start_of(name: &str) -> Start {
    let mut starts = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut starts = starts
        .by_ref()
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter_map(|stat| ticks(&stat, name));
    match (starts.next(), starts.next()) {
        (Some(ticks), None) => Start::Process {
            boot: Now::read().boot,
            ticks,
        },
        _ => Start::Unknown,
    }
}

/// The start in a line of `/proc/PID/stat`: `pid (name) state …`, the start being field 22.
fn ticks(stat: &str, name: &str) -> Option<u64> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, found) = before.split_once('(')?;
    // The kernel keeps 15 bytes of a name.
    let kept = name.get(..15).unwrap_or(name);
    if found != kept {
        return None;
    }
    after.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_read_behind_a_name_with_blanks_and_brackets() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        assert_eq!(ticks(stat, "a) b (c"), Some(4711));
        assert_eq!(ticks(stat, "a"), None);
    }

    #[test]
    fn a_process_that_does_not_exist_has_no_start() {
        assert_eq!(start_of("no-such-process"), Start::Unknown);
    }
}
