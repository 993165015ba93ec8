//! The facts that reached the event bus.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// A fact as subscribers received it.
#[derive(Debug, Clone)]
pub struct Fact {
    pub kind: String,
    pub detail: Value,
    pub deliveries: u64,
}

/// Facts by event id.
#[derive(Debug, Default)]
pub struct Bus(Mutex<Received>);

#[derive(Debug, Default)]
struct Received {
    facts: HashMap<String, Fact>,
    changed: Vec<String>,
}

impl Bus {
    pub fn receive(&self, kind: String, detail: Value) {
        let mut received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = detail
            .get("event_id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        match received.facts.get_mut(&id) {
            Some(fact) if fact.kind == kind && fact.detail == detail => fact.deliveries += 1,
            Some(_) => received.changed.push(id),
            None => drop(received.facts.insert(
                id,
                Fact {
                    kind,
                    detail,
                    deliveries: 1,
                },
            )),
        }
    }

    pub fn facts(&self) -> Vec<Fact> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .facts
            .values()
            .cloned()
            .collect()
    }

    /// Event ids that arrived with different contents.
    pub fn ambiguous_ids(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .changed
            .clone()
    }
}
