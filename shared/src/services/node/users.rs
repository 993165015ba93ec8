//! The users that a node may serve.

use std::sync::Arc;

use super::{NodeService, not_allowed};
use crate::db::user_list::{self, Node};
use crate::db::{self, Connection, online_address};
use crate::error::Error;
use crate::node_protocol::etag::Tag;
use crate::node_protocol::users::ListedUser;

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
    /// Returns the users that may use a node now, by number, and the node with the version of this
    /// list. Both are read at one instant, so that the list may be kept under its version.
    pub async fn users(&self, node: Node) -> Result<(Node, Vec<ListedUser>), Error> {
        let now = self.now();
        let read = async |tx: &mut Connection| {
            let current = user_list::node(tx, node.id, now).await?;
            let current = current.filter(|found| found.node_server_id == node.node_server_id);
            let current = current.ok_or_else(not_allowed)?;
            let users = user_list::users(tx, &current.access_groups, now).await?;
            Ok((current, users))
        };
        let (current, users) = db::read_tx(&self.pool, read).await?;
        let speed_limit_mbps = speed_limit_mbps(current.speed_limit_bits_per_second);
        let listed = |user: user_list::ListedUser| ListedUser {
            number: user.number,
            secret: user.secret,
            speed_limit_mbps,
            device_limit: user.device_limit,
        };
        Ok((current, users.into_iter().map(listed).collect()))
    }

    /// The compressed list of a node that [`Self::keep_list`] kept, if it has the version of the
    /// tag. It makes up for the list's reading and compression, which take 0.1 s for 30,000 users.
    #[must_use]
    pub fn kept_list(&self, node_client_id: i32, tag: &Tag) -> Option<Arc<[u8]>> {
        self.lists.get(node_client_id, tag)
    }

    /// Keeps the compressed list of a node in memory. The tag must be that of the list's version.
    pub fn keep_list(&self, node_client_id: i32, tag: Tag, body: Arc<[u8]>) {
        self.lists.put(node_client_id, tag, body);
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

/// A speed limit in Mbit/s. `None` if there is none.
#[must_use]
pub fn speed_limit_mbps(bits_per_second: Option<i64>) -> Option<i32> {
    bits_per_second.map(megabits)
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
