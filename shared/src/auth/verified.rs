//! Cache of verified tokens. A client sends the same token with every request until the token
//! expires, and verifying it takes longer than most requests.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use sha2::{Digest, Sha256};

use super::Claims;
use super::keys::Key;

/// Capacity of the cache, about half a megabyte. The least recently used token is evicted first.
const MAX_TOKENS: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// The claims of verified tokens. Nothing that changes with time is cached: the caller checks the
/// expiry and provides the current key of the issuer.
pub struct Verified(Mutex<Tokens>);

/// The verification key and the claims by the digest of the token.
type Tokens = LruCache<[u8; 32], (Arc<Key>, Claims)>;

impl Default for Verified {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_TOKENS)))
    }
}

impl Verified {
    /// The cached claims of `token` if it was verified with this `key`, otherwise the result of
    /// `verify`.
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
