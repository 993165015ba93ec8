//! What the database of a world contains.

use serde_json::Value;
use uuid::Uuid;

use crate::World;

impl World {
    /// The facts in the outbox as `(detail-type, detail)`, oldest first.
    pub async fn facts(&self) -> Vec<(String, Value)> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select detail_type, body from telecom.outbox where destination = 'event_bus' \
             order by created_at, id",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        rows.into_iter()
            .map(|(kind, body)| (kind, serde_json::from_str(&body).unwrap()))
            .collect()
    }

    /// A user's items by id as `(status, upload, download)`.
    pub async fn items(&self, user: Uuid) -> Vec<(String, i64, i64)> {
        sqlx::query_as(
            "select status::text, upload_bytes, download_bytes from telecom.package_queue \
             where user_id = $1 order by id",
        )
        .bind(user)
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// The statuses of a user's items, by id.
    pub async fn item_statuses(&self, user: Uuid) -> Vec<String> {
        let items = self.items(user).await;
        items.into_iter().map(|(status, ..)| status).collect()
    }

    /// A user's usage over all hours: `[raw up, raw down, billed up, billed down]`.
    pub async fn usage(&self, user: Uuid) -> [i64; 4] {
        let (a, b, c, d) = sqlx::query_as(
            "select coalesce(sum(raw_upload_bytes), 0)::bigint, coalesce(sum(raw_download_bytes),
            0)::bigint,
                coalesce(sum(billed_upload_bytes), 0)::bigint,
                coalesce(sum(billed_download_bytes), 0)::bigint
             from telecom.user_package_usage where user_id = $1",
        )
        .bind(user)
        .fetch_one(&self.pool)
        .await
        .unwrap();
        [a, b, c, d]
    }
}
