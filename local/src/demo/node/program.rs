//! The programs that nodes run: what each sends, and what it does with traffic whose push got no
//! response. `docs/NODES.md` names their versions.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A program for nodes, with its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    Xrayr,
    /// XrayR with the protocol of SSPanel.
    XrayrModMu,
    V2bx,
    V2node,
    XboardNode,
    XboardNodeRust,
    Ss22v2b,
}

/// What becomes of the counters of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counters {
    /// They are set to zero after the push was acknowledged, together with what users moved during
    /// the request.
    ZeroedAfterwards,
    /// They are cleared before the push, and restored if it was not acknowledged.
    Restored,
    /// They are cleared before the push. A push that is not acknowledged is not sent again.
    Cleared,
}

impl Program {
    pub const UNIPROXY: [Self; 6] = [
        Self::Xrayr,
        Self::V2bx,
        Self::V2node,
        Self::XboardNode,
        Self::XboardNodeRust,
        Self::Ss22v2b,
    ];

    pub const ALL: [Self; 7] = [
        Self::Xrayr,
        Self::XrayrModMu,
        Self::V2bx,
        Self::V2node,
        Self::XboardNode,
        Self::XboardNodeRust,
        Self::Ss22v2b,
    ];

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Xrayr => "XrayR",
            Self::XrayrModMu => "XrayR (mod_mu)",
            Self::V2bx => "V2bX",
            Self::V2node => "v2node",
            Self::XboardNode => "Xboard-Node",
            Self::XboardNodeRust => "xboard-node-rust",
            Self::Ss22v2b => "ss22v2b",
        }
    }

    /// Its name in the API.
    #[must_use]
    pub fn software(self) -> &'static str {
        match self {
            Self::Xrayr | Self::XrayrModMu => "xrayr",
            Self::V2bx => "v2bx",
            Self::V2node => "v2node",
            Self::XboardNode => "xboard_node",
            Self::XboardNodeRust => "xboard_node_rust",
            Self::Ss22v2b => "ss22v2b",
        }
    }

    /// Name of its protocol in the API.
    #[must_use]
    pub fn protocol(self) -> &'static str {
        match self {
            Self::XrayrModMu => "mod_mu",
            _ => "uniproxy",
        }
    }

    #[must_use]
    pub fn counters(self) -> Counters {
        match self {
            Self::Xrayr | Self::XrayrModMu => Counters::ZeroedAfterwards,
            Self::XboardNode => Counters::Restored,
            Self::V2bx | Self::V2node | Self::XboardNodeRust | Self::Ss22v2b => Counters::Cleared,
        }
    }

    /// How often it repeats a push that got no response at all.
    #[must_use]
    pub fn repeats(self) -> u32 {
        match self {
            Self::Xrayr | Self::XrayrModMu | Self::V2bx => 3,
            Self::V2node => 1,
            Self::XboardNode | Self::XboardNodeRust | Self::Ss22v2b => 0,
        }
    }

    /// How long it waits for a response.
    #[must_use]
    pub fn timeout(self) -> Duration {
        Duration::from_secs(if self == Self::V2node { 15 } else { 30 })
    }

    /// Whether it sends the rows of a push in the order of the users.
    #[must_use]
    pub fn sorts(self) -> bool {
        !matches!(self, Self::XboardNodeRust | Self::Ss22v2b)
    }

    /// Number of push intervals that it leaves out after `failures` pushes in a row failed.
    #[must_use]
    pub fn pause(self, failures: u32) -> u32 {
        match (self, failures) {
            (Self::XboardNode, 1..) => 1 << (failures - 1).min(3),
            _ => 0,
        }
    }

    /// Whether it takes a response for success.
    #[must_use]
    pub fn is_success(self, status: u16, body: &[u8]) -> bool {
        let json = || serde_json::from_slice::<Value>(body).ok();
        let says_one = |body: Value| body.get("ret").is_some_and(|ret| *ret == 1);
        match self {
            Self::Xrayr | Self::Ss22v2b => status <= 399 && json().is_some(),
            Self::XrayrModMu => status <= 399 && json().is_some_and(says_one),
            Self::V2bx => status < 400,
            Self::V2node => true,
            Self::XboardNode => status == 200,
            Self::XboardNodeRust => status == 200 && body == br#"{"data":true}"#,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_takes_other_responses_for_success() {
        let taken = |status, body: &str| -> Vec<&str> {
            let programs = Program::UNIPROXY.into_iter();
            let taken = programs.filter(|program| program.is_success(status, body.as_bytes()));
            taken.map(Program::software).collect()
        };
        assert_eq!(taken(200, r#"{"data":true}"#).len(), 6);
        assert_eq!(taken(503, "{}"), ["v2node"]);
        let other = ["xrayr", "v2bx", "v2node", "xboard_node", "ss22v2b"];
        assert_eq!(taken(200, r#"{"data":false}"#), other);
        assert_eq!(taken(204, ""), ["v2bx", "v2node"]);
        assert!(!Program::XrayrModMu.is_success(200, br#"{"ret":0}"#));
    }

    #[test]
    fn xboard_node_leaves_out_more_intervals_with_each_failure() {
        let pauses = (0..6).map(|failures| Program::XboardNode.pause(failures));
        assert_eq!(pauses.collect::<Vec<_>>(), [0, 1, 2, 4, 8, 8]);
        assert_eq!(Program::Xrayr.pause(5), 0);
    }
}
