//! The users that a node may serve.

use uuid::Uuid;

/// The number of the user who stands in for an empty list. No user has this number.
pub const DECOY_NUMBER: i32 = i32::MAX;

/// A user in the list of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ListedUser {
    /// The number by which node software knows the user, at least 1.
    pub number: i32,
    /// The user's secret, a random UUID (version 4). It is the user's password on the node.
    pub secret: Uuid,
    /// Speed limit in Mbit/s. `None` if there is none.
    pub speed_limit_mbps: Option<i32>,
    /// Maximum number of addresses at the same time. 0 if there is no limit.
    pub device_limit: i32,
}

/// Omits the secret, because `Debug` output ends up in the log.
impl std::fmt::Debug for ListedUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListedUser")
            .field("number", &self.number)
            .field("speed_limit_mbps", &self.speed_limit_mbps)
            .field("device_limit", &self.device_limit)
            .finish_non_exhaustive()
    }
}

impl ListedUser {
    /// A user who does not exist. `secret` is random, and no client has it.
    fn decoy(secret: Uuid) -> Self {
        Self {
            number: DECOY_NUMBER,
            secret,
            speed_limit_mbps: None,
            device_limit: 0,
        }
    }
}

/// Iterates over the users, or over one decoy with the secret `decoy` if there are none. Node
/// software takes an empty list for an error or for no change, and would keep serving its previous
/// users.
pub(super) fn never_empty(users: &[ListedUser], decoy: Uuid) -> impl Iterator<Item = ListedUser> {
    let decoy = users.is_empty().then(|| ListedUser::decoy(decoy));
    users.iter().copied().chain(decoy)
}
