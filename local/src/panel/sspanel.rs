//! Nodes of `SSPanel`, and the access groups that stand for its classes and groups.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::table::{Fault, Row};
use super::uniproxy::Config;

/// Greatest class. The access group of a user is the group times 1000 plus the class.
const MAX_CLASS: i32 = 999;
/// Greatest group, so that the number of the access group fits.
const MAX_GROUP: i32 = 2_000_000;

/// The class and the group of a user, which together say what they may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level {
    pub class: i32,
    pub group: i32,
}

impl Level {
    /// The level in the columns of a user.
    pub fn of_user(row: &Row) -> Result<Self, Fault> {
        Self::read(row, "class", "node_group")
    }

    fn read(row: &Row, class: &str, group: &str) -> Result<Self, Fault> {
        let limited = |column: &str, most: i32| {
            let number = row.small(column)?.unwrap_or_default();
            let message = format!("expected a whole number from 0 to {most}");
            let is_valid = (0..=most).contains(&number);
            is_valid
                .then_some(number)
                .ok_or_else(|| Fault::new(column, message))
        };
        Ok(Self {
            class: limited(class, MAX_CLASS)?,
            group: limited(group, MAX_GROUP)?,
        })
    }

    /// The access group of the packages of these users.
    #[must_use]
    pub fn access_group(self) -> i32 {
        let step = MAX_CLASS.saturating_add(1);
        self.group.saturating_mul(step).saturating_add(self.class)
    }
}

/// The access groups of a node: those of the users' levels that the panel would let use it.
pub fn access_groups(row: &Row, users: &BTreeSet<Level>) -> Result<Vec<i32>, Fault> {
    let node = Level::read(row, "node_class", "node_group")?;
    let may_use =
        |user: &&Level| user.class >= node.class && (node.group == 0 || user.group == node.group);
    let groups = users.iter().filter(may_use);
    Ok(groups.map(|level| level.access_group()).collect())
}

/// The configuration of a row of `node`, as the panel sends it.
pub fn config(row: &Row) -> Result<Config, Fault> {
    let custom = row.json("custom_config")?;
    let Some(Value::Object(custom)) = custom else {
        let message = "is not a JSON object; nodes whose settings are in the address, as before \
            SSPanel-UIM 2022, cannot be moved";
        return Err(Fault::new("custom_config", message));
    };
    let mut config = Map::from_iter([
        ("sort".to_owned(), json!(row.required_whole("sort")?)),
        ("server".to_owned(), json!(row.required("server")?)),
        ("custom_config".to_owned(), Value::Object(custom)),
    ]);
    if let Some(limit) = row.decimal("node_speedlimit")?.filter(|limit| *limit > 0.0) {
        // A limit with decimal places stays as it is, and is refused by the check.
        let whole = serde_json::from_str(&limit.to_string()).unwrap_or(json!(limit));
        config.insert("node_speedlimit".to_owned(), whole);
    }
    Ok(config)
}

/// What is not moved of a node.
#[must_use]
pub fn notes(row: &Row) -> Vec<String> {
    let mut notes = Vec::new();
    if matches!(row.whole("sort"), Ok(Some(0..=2))) {
        notes.push(
            "its users' passwords were passwd, which is no UUID; here they are the users' secrets, \
             so apps need a new configuration for this node"
                .to_owned(),
        );
    }
    if matches!(row.flag("is_dynamic_rate"), Ok(true)) {
        notes.push("its rate changes with the hour; only traffic_rate is moved".to_owned());
    }
    if matches!(row.decimal("node_bandwidth_limit"), Ok(Some(limit)) if limit > 0.0) {
        notes.push("its own traffic limit (node_bandwidth_limit) is not moved".to_owned());
    }
    notes
}
