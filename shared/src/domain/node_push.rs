//! Pushes of node software: the traffic that a node counted for each user since its last push.

use serde::{Deserialize, Serialize};

/// Traffic of one user in a push. In JSON, it is a list of these three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i32, i64, i64)", into = "(i32, i64, i64)")]
pub struct PushRow {
    /// Number under which node software knows the user.
    pub user_number: i32,
    /// Bytes sent by the user.
    pub upload_bytes: i64,
    /// Bytes received by the user.
    pub download_bytes: i64,
}

impl From<(i32, i64, i64)> for PushRow {
    fn from((user_number, upload_bytes, download_bytes): (i32, i64, i64)) -> Self {
        Self {
            user_number,
            upload_bytes,
            download_bytes,
        }
    }
}

impl From<PushRow> for (i32, i64, i64) {
    fn from(row: PushRow) -> Self {
        (row.user_number, row.upload_bytes, row.download_bytes)
    }
}
