//! The credentials that a node sends: in the query, in the body, or in both.

use std::borrow::Cow;
use std::fmt;

use super::json::{each_field, scalar, text};
use crate::error::{Error, ErrorKind};

/// The secret of a node. `Debug` omits it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The secret, to be hashed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The protocol of a node, by which it calls itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeType {
    /// Also called `v2ray` by some nodes.
    Vmess,
    /// Named `vless` by all nodes.
    Vless,
    /// Named `trojan` by all nodes.
    Trojan,
    /// Named `shadowsocks` by all nodes.
    Shadowsocks,
    /// Also called `hysteria2` by some nodes.
    Hysteria,
    /// Named `tuic` by all nodes.
    Tuic,
    /// Named `anytls` by all nodes.
    Anytls,
    /// A type that is not known here.
    Other,
}

impl NodeType {
    /// The type that a name stands for. `None` for `v2node`, which has no type of its own.
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "" | "v2node" => return None,
            "vmess" | "v2ray" => Self::Vmess,
            "vless" => Self::Vless,
            "trojan" => Self::Trojan,
            "shadowsocks" => Self::Shadowsocks,
            "hysteria" | "hysteria2" => Self::Hysteria,
            "tuic" => Self::Tuic,
            "anytls" => Self::Anytls,
            _ => Self::Other,
        })
    }
}

/// The credentials of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The secret of the node.
    pub token: Token,
    /// The node that the request names. `None` if it names none.
    pub node_id: Option<i64>,
    /// The machine that the request names. `None` if it names none.
    pub machine_id: Option<i64>,
    /// The protocol that the node has. `None` if it does not say.
    pub node_type: Option<NodeType>,
}

/// Finds the credentials of a `UniProxy` request in its query, whose values are decoded, and in its
/// body. A body that is not a JSON object contains none.
///
/// Fails if there is no token, if an id is not a number, or if a value is given twice and differs.
pub fn uniproxy<'a>(
    query: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) -> Result<Presented, Error> {
    let mut found = Found::default();
    for (name, value) in query {
        found.add(name, value);
    }
    // What cannot be read here has no credentials.
    let _ = text(body).and_then(|body| {
        each_field(body, |name, value| {
            if is_credential(name) {
                found.add(name, &scalar(value).unwrap_or(Cow::Borrowed("")));
            }
        })
    });
    found.presented()
}

/// Finds the credentials of a `mod_mu` request in its query, whose values are decoded, and in the
/// id of its path.
///
/// Fails if there is no key, if an id is not a number, or if a value is given twice and differs.
pub fn mod_mu<'a>(
    query: impl IntoIterator<Item = (&'a str, &'a str)>,
    path_id: Option<&'a str>,
) -> Result<Presented, Error> {
    let mut found = Found::default();
    for (name, value) in query {
        match name {
            "key" | "muKey" => found.add("token", value),
            "node_id" => found.add(name, value),
            _ => {}
        }
    }
    found.add("node_id", path_id.unwrap_or_default());
    found.presented()
}

fn is_credential(name: &str) -> bool {
    matches!(name, "token" | "node_id" | "machine_id" | "node_type")
}

/// The values that were found. An empty value is none.
#[derive(Default)]
struct Found {
    token: Option<String>,
    node_id: Option<String>,
    machine_id: Option<String>,
    node_type: Option<NodeType>,
    differs: bool,
}

impl Found {
    fn add(&mut self, name: &str, value: &str) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        let slot = match name {
            "token" => &mut self.token,
            "node_id" => &mut self.node_id,
            "machine_id" => &mut self.machine_id,
            "node_type" => {
                let named = NodeType::named(value);
                self.differs |= matches!((self.node_type, named), (Some(a), Some(b)) if a != b);
                self.node_type = self.node_type.or(named);
                return;
            }
            _ => return,
        };
        self.differs |= slot.as_deref().is_some_and(|known| known != value);
        slot.get_or_insert_with(|| value.to_owned());
    }

    fn presented(self) -> Result<Presented, Error> {
        let refused = |code, message| Err(Error::new(ErrorKind::Unauthenticated, code, message));
        if self.differs {
            return refused(
                "credentials_differ",
                "The request contains two different credentials.",
            );
        }
        let Some(token) = self.token else {
            return refused("token_missing", "The token of the node is missing.");
        };
        Ok(Presented {
            token: Token(token),
            node_id: id("node_id", self.node_id)?,
            machine_id: id("machine_id", self.machine_id)?,
            node_type: self.node_type,
        })
    }
}

fn id(field: &str, text: Option<String>) -> Result<Option<i64>, Error> {
    text.map(|text| text.parse())
        .transpose()
        .map_err(|_| Error::parameter(field, "a whole number"))
}
