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

    /// Gives a user this secret, and returns the user's number. `None` if the user has it already.
    pub fn set_secret(user_id: Uuid, secret: Uuid, now: DateTime<Utc>) -> FirstValue<i32> {
        "/* node_user.set_secret */
        insert into telecom.node_user as u (user_id, secret, updated_at) values ($1, $2, $3)
        on conflict (user_id) do update
        set secret = excluded.secret, updated_at = excluded.updated_at
        where u.secret <> excluded.secret
        returning number"
    }

    /// The number of a user that exists.
    pub fn number(user_id: Uuid) -> Value<i32> {
        "/* node_user.number */
        select number from telecom.node_user where user_id = $1"
    }

    /// Whether a user other than `user_id` has this secret.
    pub fn is_secret_of_another(user_id: Uuid, secret: Uuid) -> Value<bool> {
        r#"/* node_user.is_secret_of_another */
        select exists (
            select from telecom.node_user where secret = $2 and user_id <> $1
        ) as "exists!""#
    }
}
