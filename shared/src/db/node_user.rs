//! Users as node software knows them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::statements;

/// The number and the secret of a user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NodeUser {
    /// Number by which nodes report the user's traffic.
    pub number: i32,
    /// The user's password on the nodes.
    pub secret: Uuid,
}

impl std::fmt::Debug for NodeUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.number;
        f.debug_struct("NodeUser")
            .field("number", &number)
            .finish_non_exhaustive()
    }
}

statements! {
    /// Gives a user a new random secret, and returns it. `None` if the user never had an item. A
    /// trigger counts the change of the lists that the user is in.
    pub fn rotate_secret(user_id: Uuid, now: DateTime<Utc>) -> FirstRow<NodeUser> {
        "/* node_user.rotate_secret */
        update telecom.node_user set secret = gen_random_uuid(), updated_at = $2
        where user_id = $1
        returning number, secret"
    }
}
