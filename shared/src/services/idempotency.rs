//! Idempotency of queue consumers. Each key takes effect once, with the payload that came first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use crate::error::{Error, ErrorKind};

/// Messages by key, in ascending order. If several messages have the same key, the first one
/// counts.
pub(super) fn first_of_each_key<K: Ord, M>(
    messages: impl Iterator<Item = M>,
    key: impl Fn(&M) -> K,
) -> BTreeMap<K, M> {
    let mut first = BTreeMap::new();
    for message in messages {
        first.entry(key(&message)).or_insert(message);
    }
    first
}

/// Compares a message with the payload recorded under its key. A repeat with the same payload
/// succeeds. A different payload is a conflict with this code, and `what` begins the sentence.
pub(super) fn check_payload<K: Eq + Hash>(
    recorded: &HashMap<K, Vec<u8>>,
    key: &K,
    payload_hash: &[u8],
    code: &'static str,
    what: &str,
) -> Result<(), Error> {
    match recorded.get(key) {
        Some(hash) if hash == payload_hash => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::Conflict,
            code,
            format!(
                "{what} was already recorded with a different payload. A new message needs a new \
                 id."
            ),
        )),
        None => Err(Error::internal(format!("{what} was not recorded"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_of_a_key_counts() {
        let messages = [(2, "a"), (1, "b"), (2, "c")];
        let first = first_of_each_key(messages.into_iter(), |(key, _)| *key);
        let first: Vec<_> = first.into_values().collect();
        assert_eq!(first, [(1, "b"), (2, "a")]);
    }

    #[test]
    fn a_repeat_succeeds_and_another_payload_is_a_conflict() {
        let recorded = HashMap::from([(1, vec![7])]);
        let check = |key, payload: u8| check_payload(&recorded, &key, &[payload], "reused", "It");
        assert!(check(1, 7).is_ok());
        assert_eq!(check(1, 8).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(check(2, 7).unwrap_err().kind(), ErrorKind::Internal);
    }
}
