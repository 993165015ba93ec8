//! The audit log of a world.

use serde_json::Value;

use crate::World;

impl World {
    /// Action, target, fields before and after, and reason of all audit entries, oldest first.
    pub async fn audited(&self) -> Vec<Value> {
        let entries = "select jsonb_build_array(action, target_kind, before, after, reason)
            from telecom.audit_entry order by id";
        sqlx::query_scalar(entries)
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }
}
