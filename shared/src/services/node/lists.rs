//! Compressed lists of users, kept in the memory of a function.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::node_protocol::etag::Tag;

/// Maximum size of all kept lists together. A list of 30,000 users has about 700 KB.
const CAPACITY_BYTES: usize = 8 << 20;

/// The newest list of each node client. Lists that were not used for the longest time are dropped.
pub(super) struct Lists(Mutex<Kept>);

struct Kept {
    lists: LruCache<i32, List>,
    bytes: usize,
}

struct List {
    tag: Tag,
    body: Arc<[u8]>,
}

impl Default for Lists {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            lists: LruCache::unbounded(),
            bytes: 0,
        }))
    }
}

/// Omits the lists, because `Debug` output ends up in the log.
impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").finish_non_exhaustive()
    }
}

impl Lists {
    /// The list of a client, if its version is that of the tag.
    pub(super) fn get(&self, node_client_id: i32, tag: &Tag) -> Option<Arc<[u8]>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = kept.lists.get(&node_client_id)?;
        (list.tag == *tag).then(|| Arc::clone(&list.body))
    }

    /// Keeps the list of a client instead of the one before.
    pub(super) fn put(&self, node_client_id: i32, tag: Tag, body: Arc<[u8]>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let added = body.len();
        let replaced = kept.lists.put(node_client_id, List { tag, body });
        let removed = replaced.map_or(0, |list| list.body.len());
        kept.bytes = kept.bytes.saturating_add(added).saturating_sub(removed);
        while kept.bytes > CAPACITY_BYTES
            && let Some((_, oldest)) = kept.lists.pop_lru()
        {
            kept.bytes = kept.bytes.saturating_sub(oldest.body.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: usize) -> Arc<[u8]> {
        vec![0; bytes].into()
    }

    #[test]
    fn a_list_is_kept_until_its_client_has_another_version() {
        let (lists, old, new) = (Lists::default(), Tag::of(b"old"), Tag::of(b"new"));
        lists.put(1, old.clone(), body(5));
        assert_eq!(lists.get(1, &old), Some(body(5)));
        assert_eq!((lists.get(1, &new), lists.get(2, &old)), (None, None));
        lists.put(1, new.clone(), body(7));
        assert_eq!(lists.get(1, &new), Some(body(7)));
        assert_eq!(lists.get(1, &old), None);
    }

    #[test]
    fn lists_that_were_not_used_for_the_longest_time_make_room() {
        let (lists, tag) = (Lists::default(), Tag::of(b"tag"));
        for id in 1..=4 {
            lists.put(id, tag.clone(), body(CAPACITY_BYTES / 4));
        }
        assert!(lists.get(1, &tag).is_some());
        lists.put(5, tag.clone(), body(1));
        let kept = |id| lists.get(id, &tag).is_some();
        assert_eq!([1, 2, 3, 4, 5].map(kept), [true, false, true, true, true]);
    }

    #[test]
    fn replaced_lists_take_no_room() {
        let (lists, tag) = (Lists::default(), Tag::of(b"tag"));
        for _ in 0..9 {
            lists.put(1, tag.clone(), body(CAPACITY_BYTES / 2));
        }
        lists.put(2, tag.clone(), body(CAPACITY_BYTES / 2));
        assert!(lists.get(1, &tag).is_some() && lists.get(2, &tag).is_some());
    }

    #[test]
    fn a_list_that_is_larger_than_the_memory_is_not_kept() {
        let (lists, tag) = (Lists::default(), Tag::of(b"tag"));
        lists.put(1, tag.clone(), body(CAPACITY_BYTES + 1));
        assert_eq!(lists.get(1, &tag), None);
    }
}
