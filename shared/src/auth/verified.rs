//! Tokens whose signature has been verified: a client sends the same one with every request until
//! it expires, and verifying it takes longer than most of what it asks for.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use sha2::{Digest, Sha256};

use super::Claims;
use super::keys::Key;

/// Tokens that are remembered, those used last: about half a megabyte.
const MOST_TOKENS: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// The claims of verified tokens. What changes with time is not remembered: who asks judges expiry,
/// and says which key is the issuer's now.
pub struct Verified(Mutex<Tokens>);

/// By the token's digest: what it was verified with, and what it says.
type Tokens = LruCache<[u8; 32], (Arc<Key>, Claims)>;

impl Default for Verified {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST_TOKENS)))
    }
}

impl Verified {
    /// The claims of `token`, if it was verified with this very `key`; otherwise those that
    /// `verify` finds.
    pub fn claims<E>(
        &self,
        token: &str,
        key: &Arc<Key>,
        verify: impl FnOnce() -> Result<Claims, E>,
    ) -> Result<Claims, E> {
        let digest = Sha256::digest(token).into();
        if let Some((_, claims)) = self
            .lock()
            .get(&digest)
            .filter(|(with, _)| Arc::ptr_eq(with, key))
        {
            return Ok(claims.clone());
        }
        let claims = verify()?;
        self.lock().put(digest, (Arc::clone(key), claims.clone()));
        Ok(claims)
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
