//! What the operator asks of the APIs.

use serde_json::{Value, json};
use uuid::Uuid;

/// An order of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewOrder {
    pub user: Uuid,
    pub series: Uuid,
    pub amount: i64,
}

/// The items that an extension concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extended {
    Group(i32),
    Series(Uuid),
}

/// A call of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    DeliverOrder {
        id: Uuid,
        order: NewOrder,
    },
    CancelOrder(Uuid),
    CancelItem(i64),
    AdjustQuota {
        item: i64,
        bytes: i64,
    },
    Extend {
        what: Extended,
        hours: i64,
        dry_run: bool,
    },
    CreateServer {
        name: String,
    },
    UpdateServer {
        id: i32,
        name: String,
    },
    ArchiveServer(i32),
    CreateClient {
        server: i32,
        name: String,
        factor: i64,
    },
    UpdateClient {
        id: i32,
        factor: i64,
    },
    ArchiveClient(i32),
    ShowServer(i32),
    ShowClient(i32),
}

/// The variable parts of an HTTP request.
#[derive(Debug)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub body: Value,
}

impl Asked {
    /// Name of the operation, as it is in the audit log.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::DeliverOrder { .. } => "DeliverOrder",
            Self::CancelOrder(_) => "CancelOrder",
            Self::CancelItem(_) => "CancelQueuedPackage",
            Self::AdjustQuota { .. } => "AdjustQuota",
            Self::Extend { .. } => "ExtendPackages",
            Self::CreateServer { .. } => "CreateNodeServer",
            Self::UpdateServer { .. } => "UpdateNodeServer",
            Self::ArchiveServer(_) => "ArchiveNodeServer",
            Self::CreateClient { .. } => "CreateNodeClient",
            Self::UpdateClient { .. } => "UpdateNodeClient",
            Self::ArchiveClient(_) => "ArchiveNodeClient",
            Self::ShowServer(_) => "ShowNodeServer",
            Self::ShowClient(_) => "ShowNodeClient",
        }
    }

    /// Whether the operation only reads.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::ShowServer(_) | Self::ShowClient(_))
    }

    pub fn request(&self) -> Request {
        const ITEMS: &str = "/v1/admin/package-queue";
        const ORDERS: &str = "/v1/admin/orders";
        let reason = json!({"reason": "chaos"});
        let (method, path, body) = match self {
            Self::DeliverOrder { id, order } => (
                "PUT",
                format!("{ORDERS}/{id}"),
                json!({"user": order.user, "series": order.series, "amount": order.amount}),
            ),
            Self::CancelOrder(id) => ("PUT", format!("{ORDERS}/{id}/cancellation"), reason),
            Self::CancelItem(id) => ("PUT", format!("{ITEMS}/{id}/cancellation"), reason),
            Self::AdjustQuota { item, bytes } => (
                "POST",
                format!("{ITEMS}/{item}/quota-adjustments"),
                json!({"bytes": bytes, "reason": "chaos"}),
            ),
            Self::Extend { .. } => ("POST", format!("{ITEMS}/extensions"), self.extension()),
            _ => return self.node_request(),
        };
        Request { method, path, body }
    }

    fn node_request(&self) -> Request {
        const SERVERS: &str = "/v1/admin/node-servers";
        const CLIENTS: &str = "/v1/admin/node-clients";
        let reason = json!({"reason": "chaos"});
        let (method, path, body) = match self {
            Self::CreateServer { name } => (
                "POST",
                SERVERS.to_owned(),
                json!({"name": name, "compatibility": "new_v2b"}),
            ),
            Self::UpdateServer { id, name } => {
                ("PATCH", format!("{SERVERS}/{id}"), json!({"name": name}))
            }
            Self::ArchiveServer(id) => ("PUT", format!("{SERVERS}/{id}/archive"), reason),
            Self::CreateClient {
                server,
                name,
                factor,
            } => (
                "POST",
                CLIENTS.to_owned(),
                json!({"server_id": server, "name": name, "country": "DE",
                    "traffic_factor": decimal(*factor)}),
            ),
            Self::UpdateClient { id, factor } => (
                "PATCH",
                format!("{CLIENTS}/{id}"),
                json!({"traffic_factor": decimal(*factor)}),
            ),
            Self::ArchiveClient(id) => ("PUT", format!("{CLIENTS}/{id}/archive"), reason),
            Self::ShowServer(id) => ("GET", format!("{SERVERS}/{id}"), Value::Null),
            Self::ShowClient(id) => ("GET", format!("{CLIENTS}/{id}"), Value::Null),
            _ => return self.request(),
        };
        Request { method, path, body }
    }

    fn extension(&self) -> Value {
        let Self::Extend {
            what,
            hours,
            dry_run,
        } = self
        else {
            return Value::Null;
        };
        match what {
            Extended::Group(group) => json!({"available_group": group, "hours": hours,
                "dry_run": dry_run, "reason": "chaos"}),
            Extended::Series(series) => json!({"series": series, "hours": hours,
                "dry_run": dry_run, "reason": "chaos"}),
        }
    }
}

/// A factor in ten-thousandths as a decimal number.
fn decimal(factor: i64) -> f64 {
    f64::from(i32::try_from(factor).unwrap_or_default()) / 10_000.0
}
