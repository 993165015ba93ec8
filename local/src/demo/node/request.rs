//! The requests of each program, byte for byte as their sources write them.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::account::Rows;
use super::program::Program;

/// A request to the panel. `Debug` is missing, because it contains a token.
#[derive(Clone)]
pub struct Call {
    pub method: &'static str,
    /// Path of the call, with its query.
    pub target: String,
    /// The `ETag` of the version that the node has.
    pub tag: Option<String>,
    pub body: String,
}

/// Who sends the requests. `Debug` is missing, because of the token.
#[derive(Clone)]
pub struct Sender {
    pub program: Program,
    pub token: String,
    /// Id of the node client.
    pub node: i32,
}

/// What a node asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    Config,
    Users,
    Devices,
}

impl Sender {
    /// `None` if the program does not ask for it.
    #[must_use]
    pub fn pull(&self, pull: Pull, tag: Option<String>) -> Option<Call> {
        use Program::{V2bx, V2node, XboardNode, XboardNodeRust, XrayrModMu};
        let Self { program, node, .. } = self;
        let target = match (program, pull) {
            (XrayrModMu, Pull::Config) => format!("/mod_mu/nodes/{node}/info?{}", self.key()),
            (XrayrModMu, Pull::Users) => format!("/mod_mu/users?{}", self.key()),
            (V2bx | V2node | XboardNode | XboardNodeRust, Pull::Devices) => self.url("alivelist"),
            (_, Pull::Devices) => return None,
            (_, Pull::Config) => self.url("config"),
            (_, Pull::Users) => self.url("user"),
        };
        Some(Call {
            method: "GET",
            target,
            tag,
            body: String::new(),
        })
    }

    /// The push of rows, in an order of `rng` if the program does not sort them.
    pub fn push(&self, rows: &Rows, rng: &mut ChaCha8Rng) -> Call {
        let mut rows: Vec<(i32, [i64; 2])> = rows.iter().map(|(n, bytes)| (*n, *bytes)).collect();
        if !self.program.sorts() {
            rows.shuffle(rng);
        }
        if self.program == Program::XrayrModMu {
            let row = |(user, [u, d]): (i32, [i64; 2])| {
                format!(r#"{{"user_id":{user},"u":{u},"d":{d}}}"#)
            };
            return self.post_list("users/traffic", rows.into_iter().map(row));
        }
        if self.program == Program::XboardNode {
            // Its maps have texts as keys, which sort as texts.
            rows.sort_unstable_by_key(|(user, _)| user.to_string());
        }
        let row = |(user, [u, d]): (i32, [i64; 2])| format!(r#""{user}":[{u},{d}]"#);
        let rows: Vec<String> = rows.into_iter().map(row).collect();
        let rows = rows.join(",");
        if self.program == Program::XboardNode {
            let rest = format!(r#""status":{{{STATUS}}},"metrics":{METRICS}"#);
            return self.post("report", &format!(r#""traffic":{{{rows}}},{rest}"#));
        }
        self.post("push", &rows)
    }

    /// The addresses from which users are connected. `None` if the program does not report them.
    #[must_use]
    pub fn addresses(&self, users: &[(i32, String)]) -> Option<Call> {
        if users.is_empty() {
            return None;
        }
        let row = |(user, address): &(i32, String)| match self.program {
            Program::XrayrModMu => format!(r#"{{"user_id":{user},"ip":"{address}"}}"#),
            _ => format!(r#""{user}":["{address}"]"#),
        };
        let rows = users.iter().map(row);
        match self.program {
            Program::XrayrModMu => Some(self.post_list("users/aliveip", rows)),
            Program::Xrayr | Program::Ss22v2b => None,
            _ => Some(self.post("alive", &rows.collect::<Vec<_>>().join(","))),
        }
    }

    /// The server's metrics, for programs that send them on their own.
    #[must_use]
    pub fn status(&self) -> Option<Call> {
        match self.program {
            Program::V2node | Program::XboardNodeRust => Some(self.post("status", STATUS)),
            Program::XrayrModMu => Some(Call {
                method: "POST",
                target: format!("/mod_mu/nodes/{}/info?{}", self.node, self.key()),
                tag: None,
                body: r#"{"uptime":"3600","load":"0.12 0.30 0.40"}"#.to_owned(),
            }),
            _ => None,
        }
    }

    fn post_list(&self, path: &str, rows: impl Iterator<Item = String>) -> Call {
        Call {
            method: "POST",
            target: format!("/mod_mu/{path}?{}", self.key()),
            tag: None,
            body: format!(r#"{{"data":[{}]}}"#, rows.collect::<Vec<_>>().join(",")),
        }
    }

    /// A request with the members of a JSON object. Xboard-Node writes its credentials among them.
    fn post(&self, call: &str, members: &str) -> Call {
        let Self { node, token, .. } = self;
        let (target, body) = if self.program == Program::XboardNode {
            let credentials = format!(r#""node_id":{node},"node_type":"vless","token":"{token}""#);
            (self.path(call), format!("{{{members},{credentials}}}"))
        } else {
            (self.url(call), format!("{{{members}}}"))
        };
        Call {
            method: "POST",
            target,
            tag: None,
            body,
        }
    }

    fn path(&self, call: &str) -> String {
        let base = match self.program {
            Program::V2node | Program::XboardNode | Program::XboardNodeRust => "/api/v2/server",
            _ => "/api/v1/server/UniProxy",
        };
        format!("{base}/{call}")
    }

    fn url(&self, call: &str) -> String {
        let Self { node, token, .. } = self;
        let kind = match self.program {
            // Version 2 has no type.
            Program::V2node => "",
            Program::Ss22v2b => "&node_type=shadowsocks",
            _ => "&node_type=vless",
        };
        format!("{}?node_id={node}{kind}&token={token}", self.path(call))
    }

    fn key(&self) -> String {
        let Self { node, token, .. } = self;
        format!("key={token}&muKey={token}&node_id={node}")
    }
}

/// Members of a status, which Xboard-Node sends as an object among others.
const STATUS: &str = concat!(
    r#""cpu":12.5,"mem":{"total":8000000000,"used":3000000000},"#,
    r#""swap":{"total":0,"used":0},"disk":{"total":80000000000,"used":9000000000}"#
);
const METRICS: &str =
    r#"{"uptime":3600,"active_connections":9,"total_connections":120,"kernel_status":true}"#;
