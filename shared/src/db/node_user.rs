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
    /// Gives a user a new random secret, and returns it. A user without an item gets a number, too.
    /// A trigger counts the change of the lists that the user is in.
    pub fn rotate_secret(user_id: Uuid, now: DateTime<Utc>) -> Row<NodeUser> {
        "/* node_user.rotate_secret */
        insert into telecom.node_user (user_id, updated_at) values ($1, $2)
        on conflict (user_id) do update
        set secret = gen_random_uuid(), updated_at = excluded.updated_at
        returning number, secret"
    }
}
