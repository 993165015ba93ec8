//! The accesses of nodes, read from the database and kept for a short time.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use lru::LruCache;

use super::{NodeService, token_invalid};
use crate::db::{self, node_access};
use crate::domain::node_access::{NodeAccess, NodeProtocol, NodeToken};
use crate::error::Error;

/// How long an access is used without being read again, so how long a revoked one is still valid.
const FRESH: TimeDelta = TimeDelta::seconds(30);
/// How long an access is used while the database cannot be read. Some node software sends a push
/// only once.
const USABLE: TimeDelta = TimeDelta::minutes(10);
/// Maximum number of accesses that are kept.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

#[derive(Debug, Clone)]
struct Known {
    access: Arc<NodeAccess>,
    read_at: DateTime<Utc>,
}

/// Accesses by the hash of their tokens.
#[derive(Debug)]
pub(super) struct Accesses(Mutex<LruCache<[u8; 32], Known>>);

impl Default for Accesses {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl Accesses {
    fn get(&self, hash: &[u8; 32]) -> Option<Known> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).cloned()
    }

    fn put(&self, hash: [u8; 32], known: Option<Known>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some(known) => all.put(hash, known),
            None => all.pop(&hash),
        };
    }
}

impl NodeService {
    /// The access with a token, if it is valid for a protocol and for the address of the request.
    /// A revoked one is refused after at most 30 seconds, and after at most ten minutes while the
    /// database cannot be read.
    pub async fn admit(
        &self,
        token: &NodeToken,
        protocol: NodeProtocol,
        address: Option<IpAddr>,
    ) -> Result<Arc<NodeAccess>, Error> {
        let access = self.access(token.hash()).await?;
        access
            .filter(|access| access.protocol == protocol && access.allows(address))
            .ok_or_else(token_invalid)
    }

    async fn access(&self, hash: [u8; 32]) -> Result<Option<Arc<NodeAccess>>, Error> {
        let now = self.now();
        let known = self.accesses.get(&hash);
        let younger = |than: TimeDelta| {
            let known = known.as_ref().filter(|known| now - known.read_at < than);
            known.map(|known| Arc::clone(&known.access))
        };
        if let Some(access) = younger(FRESH) {
            return Ok(Some(access));
        }
        let find = async |connection: &mut db::Connection| {
            node_access::find(connection, &hash).await
        };
        match db::on_connection(&self.pool, find).await {
            Ok(found) => {
                let access = found.map(Arc::new);
                let known = access.clone().map(|access| Known { access, read_at: now });
                self.accesses.put(hash, known);
                Ok(access)
            }
            Err(error) => younger(USABLE).map(Some).ok_or(error),
        }
    }
}
