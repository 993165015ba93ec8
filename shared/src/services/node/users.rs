//! The users that a node may serve.

use crate::db::user_list::{self, Node};
use crate::db::{self, Connection, online_address};
use crate::error::Error;
use crate::node_protocol::etag::Tag;
use crate::node_protocol::users::ListedUser;
use crate::services::node::NodeService;

/// The tag of a node's list of users. It depends on everything in the list, and is known before the
/// list is read.
#[must_use]
pub fn users_tag(node: &Node) -> Tag {
    let Node {
        id,
        access_groups,
        speed_limit_bits_per_second,
        changes,
        overdue,
        ..
    } = node;
    let content =
        format!("{id} {access_groups:?} {speed_limit_bits_per_second:?} {changes} {overdue}");
    Tag::of(content.as_bytes())
}

impl NodeService {
    /// Returns the users that may use a node now, by number.
    pub async fn users(&self, node: &Node) -> Result<Vec<ListedUser>, Error> {
        let now = self.now();
        let read = async |connection: &mut Connection| {
            user_list::users(connection, &node.access_groups, now).await
        };
        let users = db::on_connection(&self.pool, read).await?;
        let speed_limit_mbps = speed_limit_mbps(node);
        let listed = |user: user_list::ListedUser| ListedUser {
            number: user.number,
            secret: user.secret,
            speed_limit_mbps,
            device_limit: user.device_limit,
        };
        Ok(users.into_iter().map(listed).collect())
    }

    /// Counts the addresses from which the users of a node are connected, on all nodes together.
    pub async fn online(&self, node: &Node) -> Result<Vec<(i32, i64)>, Error> {
        let now = self.now();
        let read = async |connection: &mut Connection| {
            online_address::counts(connection, &node.access_groups, now).await
        };
        let counts = db::on_connection(&self.pool, read).await?;
        Ok(counts
            .into_iter()
            .map(|online| (online.user_number, online.addresses))
            .collect())
    }
}

/// Speed limit of each user of a node, in Mbit/s. `None` if there is none.
#[must_use]
pub fn speed_limit_mbps(node: &Node) -> Option<i32> {
    node.speed_limit_bits_per_second.map(megabits)
}

/// A speed limit in Mbit/s, rounded up, because 0 stands for no limit.
fn megabits(bits_per_second: i64) -> i32 {
    const MEGABIT: i64 = 1_000_000;
    let whole = bits_per_second.saturating_add(MEGABIT - 1) / MEGABIT;
    i32::try_from(whole.max(1)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(1, 1)]
    #[case(1_000_000, 1)]
    #[case(1_000_001, 2)]
    #[case(100_000_000, 100)]
    #[case(i64::MAX, i32::MAX)]
    fn a_speed_limit_is_rounded_up_to_megabits(#[case] bits: i64, #[case] megabits_: i32) {
        assert_eq!(megabits(bits), megabits_);
    }
}
