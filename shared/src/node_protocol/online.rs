//! The addresses from which users are connected to a node.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address from which a user is connected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OnlineAddress {
    /// The number by which node software knows the user, at least 1.
    pub number: i32,
    /// The address. An IPv4 address is never written as an IPv6 address.
    pub address: IpAddr,
}

/// Omits the address, because `Debug` output ends up in the log.
impl fmt::Debug for OnlineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnlineAddress")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// The addresses that a node reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Online {
    /// Each address of each user once, by number and address.
    pub addresses: Vec<OnlineAddress>,
    /// Number of addresses that were not readable or named no user.
    pub rejected_count: usize,
}

impl Online {
    /// Number of users with an address.
    #[must_use]
    pub fn users(&self) -> usize {
        self.addresses
            .chunk_by(|first, second| first.number == second.number)
            .count()
    }

    /// Adds an address, or counts it as rejected.
    pub(super) fn add(&mut self, number: Option<i32>, address: Option<IpAddr>) {
        match (number, address) {
            (Some(number), Some(address)) => {
                self.addresses.push(OnlineAddress { number, address });
            }
            _ => self.rejected_count = self.rejected_count.saturating_add(1),
        }
    }

    pub(super) fn finish(mut self) -> Self {
        self.addresses.sort_unstable();
        self.addresses.dedup();
        self
    }
}

/// The address in a text: an address alone, with a port, or followed by `_` and the id of a node.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.split('_').next().unwrap_or_default().trim();
    let with_port = || text.parse::<SocketAddr>().map(|socket| socket.ip());
    let address = text.parse::<IpAddr>().or_else(|_| with_port()).ok()?;
    Some(address.to_canonical())
}
