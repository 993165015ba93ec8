//! The operations that write, as data. A name such as `$SERVER` stands for a target
//! (`targets.rs`).

use shared::domain::condition::Accepts;
use shared::http::{Registered, endpoints};
use telecom_tests::transport::Request;
use tonic::Code;

use super::targets::Targets;

/// An operation that writes.
#[derive(Debug, Clone, Copy)]
pub struct Write {
    pub rpc: &'static str,
    /// The id in the path. Empty if the path has none.
    pub id: &'static str,
    /// A body that changes something.
    pub body: &'static str,
    /// Another body that is accepted.
    pub other: &'static str,
    /// Kinds of the objects that the entries in the audit log name, in the order of their names.
    pub audited: &'static [&'static str],
    /// What the operation does if its target is out of use.
    pub ended: &'static [Ended],
}

#[derive(Debug)]
pub struct Ended {
    pub by: By,
    pub then: Then,
}

/// What puts a target out of use.
#[derive(Debug, Clone, Copy)]
pub enum By {
    /// An operation of the table, with its id.
    Write(&'static str, &'static str),
    /// A change that a job makes.
    Sql(&'static str),
}

/// What a call does to a target that is out of use.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// It is refused, and nothing changes.
    Refused(Refused),
    /// It succeeds, and nothing changes but that its key is used.
    Nothing,
    /// It succeeds, and the response has this number at a JSON pointer.
    Returns(&'static str, i64),
}

/// HTTP status, gRPC code and stable code of a refusal.
#[derive(Debug, Clone, Copy)]
pub struct Refused(pub u16, pub Code, pub &'static str);

const ARCHIVED: Then = Then::Refused(Refused(409, Code::AlreadyExists, "archived"));
const ITEM_ENDED: Then = Then::Refused(Refused(409, Code::AlreadyExists, "item_ended"));
const RETIRED: Then = Then::Refused(Refused(409, Code::AlreadyExists, "package_retired"));
const NOT_FOUND: Then = Then::Refused(Refused(404, Code::NotFound, "not_found"));
const NOT_SOLD: Then = Then::Refused(Refused(400, Code::InvalidArgument, "series_not_sold"));

const CONSUMED: By = By::Sql(
    "update telecom.package_queue set status = 'consumed', ended_at = activated_at,
        end_reason = 'time' where status = 'active'",
);
const NO_DOUBT: By = By::Sql("delete from telecom.doubtful_push");
const DECIDED: Then = Then::Refused(Refused(409, Code::AlreadyExists, "push_decided"));
const NO_QUARANTINE: By = By::Sql("delete from telecom.quarantined_report");
const RELEASED: Then = Then::Refused(Refused(409, Code::AlreadyExists, "report_released"));
const WEBHOOK_DISABLED: Then = Then::Refused(Refused(409, Code::AlreadyExists, "webhook_disabled"));
const NO_DELIVERY: By = By::Sql("delete from telecom.webhook_delivery");
const CHARGED: By = By::Sql("delete from telecom.parked_event");

const fn after(by: By, then: Then) -> Ended {
    Ended { by, then }
}

const fn after_write(rpc: &'static str, id: &'static str, then: Then) -> Ended {
    after(By::Write(rpc, id), then)
}

pub static TABLE: [Write; 29] = [
    Write {
        rpc: "CreateNodeServer",
        id: "",
        body: r#"{ "name": "new", "compatibility": "ssp", "server_config": { "server": "a" } }"#,
        other: r#"{ "name": "new", "compatibility": "new_v2b" }"#,
        audited: &["node_server"],
        ended: &[],
    },
    Write {
        rpc: "UpdateNodeServer",
        id: "$SERVER",
        body: r#"{ "name": "renamed", "server_config": { "server_port": 443 } }"#,
        other: r#"{ "name": "renamed again" }"#,
        audited: &["node_server"],
        ended: &[after_write("ArchiveNodeServer", "$SERVER", ARCHIVED)],
    },
    Write {
        rpc: "ArchiveNodeServer",
        id: "$SERVER",
        body: r#"{ "reason": "sold" }"#,
        other: r#"{ "reason": "broken" }"#,
        audited: &["node_client", "node_server"],
        ended: &[after_write("ArchiveNodeServer", "$SERVER", Then::Nothing)],
    },
    Write {
        rpc: "SetNodeServerMaintenance",
        id: "$SERVER",
        body: r#"{ "maintenance": true, "reason": "new disk" }"#,
        other: r#"{ "maintenance": false, "reason": "new disk" }"#,
        audited: &["node_server"],
        ended: &[after_write("ArchiveNodeServer", "$SERVER", ARCHIVED)],
    },
    Write {
        rpc: "CreateNodeClient",
        id: "",
        body: r#"{ "server_id": $SERVER, "name": "new", "country": "DE", "access_groups": [1] }"#,
        other: r#"{ "server_id": $SERVER, "name": "new", "country": "FR", "access_groups": [1] }"#,
        audited: &["node_client"],
        ended: &[after_write("ArchiveNodeServer", "$SERVER", ARCHIVED)],
    },
    Write {
        rpc: "UpdateNodeClient",
        id: "$CLIENT",
        body: r#"{ "traffic_factor": 1.5, "client_config": { "port": 443 } }"#,
        other: r#"{ "traffic_factor": 2.5 }"#,
        audited: &["node_client"],
        ended: &[
            after_write("ArchiveNodeClient", "$CLIENT", ARCHIVED),
            after_write("ArchiveNodeServer", "$SERVER", ARCHIVED),
        ],
    },
    Write {
        rpc: "ArchiveNodeClient",
        id: "$CLIENT",
        body: r#"{ "reason": "sold" }"#,
        other: r#"{ "reason": "broken" }"#,
        audited: &["node_client"],
        ended: &[
            after_write("ArchiveNodeClient", "$CLIENT", Then::Nothing),
            after_write("ArchiveNodeServer", "$SERVER", Then::Nothing),
        ],
    },
    Write {
        rpc: "CreatePackage",
        id: "",
        body: r#"{ "series": "$SERIES", "name": "Month", "available_group": 1,
            "max_client_number": 3, "duration_seconds": 2592000, "traffic_limit": 2000,
            "make_master": true }"#,
        other: r#"{ "series": "$SERIES", "name": "Month", "available_group": 1,
            "max_client_number": 3, "duration_seconds": 2592000, "traffic_limit": 2001,
            "make_master": true }"#,
        audited: &["package"],
        ended: &[after_write(
            "RetirePackage",
            "$MASTER",
            Then::Returns("/package/version", 3),
        )],
    },
    Write {
        rpc: "SetMasterPackage",
        id: "$PACKAGE",
        body: r#"{ "reason": "larger" }"#,
        other: r#"{ "reason": "smaller" }"#,
        audited: &["package"],
        ended: &[after_write("RetirePackage", "$PACKAGE", RETIRED)],
    },
    Write {
        rpc: "RetirePackage",
        id: "$MASTER",
        body: r#"{ "reason": "old" }"#,
        other: r#"{ "reason": "too cheap" }"#,
        audited: &["package"],
        ended: &[after_write("RetirePackage", "$MASTER", Then::Nothing)],
    },
    Write {
        rpc: "DeliverOrder",
        id: "$NEW_ORDER",
        body: r#"{ "user": "$NEW_USER", "series": "$SERIES", "amount": 2 }"#,
        other: r#"{ "user": "$NEW_USER", "series": "$SERIES", "amount": 3 }"#,
        audited: &["order"],
        ended: &[
            after_write("RetirePackage", "$MASTER", NOT_SOLD),
            after_write("CancelOrder", "$NEW_ORDER", Then::Nothing),
        ],
    },
    Write {
        rpc: "CancelOrder",
        id: "$ORDER",
        body: r#"{ "reason": "refund" }"#,
        other: r#"{ "reason": "fraud" }"#,
        audited: &["order"],
        ended: &[after_write("CancelOrder", "$ORDER", Then::Nothing)],
    },
    Write {
        rpc: "CancelQueuedPackage",
        id: "$ITEM",
        body: r#"{ "reason": "refund" }"#,
        other: r#"{ "reason": "fraud" }"#,
        audited: &["package_item"],
        ended: &[
            after(CONSUMED, ITEM_ENDED),
            after_write("CancelQueuedPackage", "$ITEM", Then::Nothing),
            after_write("CancelOrder", "$ORDER", Then::Nothing),
        ],
    },
    Write {
        rpc: "AdjustQuota",
        id: "$ITEM",
        body: r#"{ "bytes": 5, "reason": "outage" }"#,
        other: r#"{ "bytes": -5, "reason": "outage" }"#,
        audited: &["package_item"],
        ended: &[
            after(CONSUMED, ITEM_ENDED),
            after_write("CancelQueuedPackage", "$ITEM", ITEM_ENDED),
            after_write("CancelOrder", "$ORDER", ITEM_ENDED),
        ],
    },
    Write {
        rpc: "SetPackageEnd",
        id: "$ITEM",
        body: r#"{ "expires_at": "2026-03-20T00:00:00Z", "reason": "moved" }"#,
        other: r#"{ "expires_at": "2026-03-21T00:00:00Z", "reason": "moved" }"#,
        audited: &["package_item"],
        ended: &[
            after(CONSUMED, ITEM_ENDED),
            after_write("CancelQueuedPackage", "$ITEM", ITEM_ENDED),
            after_write("CancelOrder", "$ORDER", ITEM_ENDED),
        ],
    },
    Write {
        rpc: "ExtendPackages",
        id: "",
        body: r#"{ "series": "$SERIES", "hours": 24, "reason": "outage" }"#,
        other: r#"{ "series": "$SERIES", "hours": 24, "reason": "outage", "dry_run": true }"#,
        audited: &["extension"],
        ended: &[
            after_write("RetirePackage", "$MASTER", Then::Returns("/items", 1)),
            after_write("CancelOrder", "$ORDER", Then::Returns("/items", 0)),
        ],
    },
    Write {
        rpc: "IssueNodeAccess",
        id: "",
        body: r#"{ "protocol": "uniproxy", "server_id": $SERVER, "node_client_id": $CLIENT }"#,
        other: r#"{ "protocol": "mod_mu", "server_id": $SERVER, "node_client_id": $CLIENT }"#,
        audited: &["node_access"],
        ended: &[
            after_write("ArchiveNodeServer", "$SERVER", ARCHIVED),
            after_write("ArchiveNodeClient", "$CLIENT", NOT_FOUND),
        ],
    },
    Write {
        rpc: "RevokeNodeAccess",
        id: "$ACCESS",
        body: r#"{ "reason": "stolen" }"#,
        other: r#"{ "reason": "sold" }"#,
        audited: &["node_access"],
        ended: &[after_write("RevokeNodeAccess", "$ACCESS", Then::Nothing)],
    },
    Write {
        rpc: "RotateUserNodeCredential",
        id: "$USER",
        body: r#"{ "reason": "published" }"#,
        other: r#"{ "reason": "stolen" }"#,
        audited: &["node_credential"],
        ended: &[],
    },
    Write {
        rpc: "SetUserNodeCredential",
        id: "$USER",
        body: r#"{ "secret": "$SECRET", "reason": "moved" }"#,
        other: r#"{ "secret": "$SECRET", "reason": "moved from the old panel" }"#,
        audited: &["node_credential"],
        ended: &[],
    },
    Write {
        rpc: "RotateNodeCredential",
        id: "",
        body: "{}",
        other: "{}",
        audited: &["node_credential"],
        ended: &[],
    },
    Write {
        rpc: "DecideDoubtfulPush",
        id: "$DOUBT",
        body: r#"{ "decision": "correct", "reason": "the answer was lost" }"#,
        other: r#"{ "decision": "keep", "reason": "two real periods" }"#,
        audited: &["doubtful_push", "package_item"],
        ended: &[
            after_write("DecideDoubtfulPush", "$DOUBT", DECIDED),
            after(NO_DOUBT, NOT_FOUND),
        ],
    },
    Write {
        rpc: "ReleaseQuarantinedReport",
        id: "$QUARANTINED",
        body: r#"{ "factor": 1.5, "reason": "the client was deleted too early" }"#,
        other: r#"{ "factor": 2, "reason": "the client was deleted too early" }"#,
        audited: &["quarantined_report"],
        ended: &[
            after_write("ReleaseQuarantinedReport", "$QUARANTINED", RELEASED),
            after(NO_QUARANTINE, NOT_FOUND),
        ],
    },
    Write {
        rpc: "CorrectUsage",
        id: "",
        body: r#"{ "user": "$USER", "hour": "2026-03-10T10:00:00Z", "server_id": $SERVER,
            "node_client_id": $CLIENT, "package_queue_id": $ITEM, "billed_download": 10,
            "reason": "reported too little" }"#,
        other: r#"{ "user": "$USER", "hour": "2026-03-10T10:00:00Z", "server_id": $SERVER,
            "billed_upload": 5, "reason": "reported too little" }"#,
        audited: &["package_item", "usage_correction"],
        ended: &[after(CONSUMED, Then::Returns("/usage/billed_download", 10))],
    },
    Write {
        rpc: "RetryParkedEvents",
        id: "",
        body: r#"{ "ids": [$EVENT], "reason": "the lock is gone" }"#,
        other: r#"{ "all": true, "reason": "the lock is gone" }"#,
        audited: &["parked_usage"],
        ended: &[
            after(CHARGED, Then::Nothing),
            after(CHARGED, Then::Returns("/retried", 0)),
        ],
    },
    Write {
        rpc: "CreateWebhook",
        id: "",
        body: r#"{ "url": "https://hooks.example.com/", "description": "shop" }"#,
        other: r#"{ "url": "https://hooks.example.com/", "description": "mailer" }"#,
        audited: &["webhook"],
        ended: &[],
    },
    Write {
        rpc: "RotateWebhookSecret",
        id: "$WEBHOOK",
        body: r#"{ "reason": "published" }"#,
        other: r#"{ "reason": "published", "overlap_seconds": 0 }"#,
        audited: &["webhook"],
        ended: &[after_write("DisableWebhook", "$WEBHOOK", WEBHOOK_DISABLED)],
    },
    Write {
        rpc: "DisableWebhook",
        id: "$WEBHOOK",
        body: r#"{ "reason": "moved" }"#,
        other: r#"{ "reason": "sold" }"#,
        audited: &["webhook"],
        ended: &[after_write("DisableWebhook", "$WEBHOOK", Then::Nothing)],
    },
    Write {
        rpc: "RedeliverWebhook",
        id: "$DELIVERY",
        body: r#"{ "reason": "repaired" }"#,
        other: r#"{ "reason": "lost" }"#,
        audited: &["webhook_delivery"],
        ended: &[
            after_write("DisableWebhook", "$WEBHOOK", WEBHOOK_DISABLED),
            after(NO_DELIVERY, NOT_FOUND),
        ],
    },
];

impl Write {
    fn endpoint(&self) -> Registered {
        let mut all = endpoints().into_iter();
        let found = all.find(|endpoint| endpoint.rpc == self.rpc);
        found.unwrap_or_else(|| panic!("there is no operation {}", self.rpc))
    }

    /// The conditions that the operation reads.
    pub fn accepts(&self) -> Accepts {
        self.endpoint().accepts
    }

    pub fn request(&self, targets: &Targets, body: &str, headers: &[(&str, &str)]) -> Request {
        let endpoint = self.endpoint();
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let body = targets.fill(body);
        Request {
            method: endpoint.method.to_string(),
            path: targets.fill(&endpoint.path.replace("{id}", self.id)),
            query: String::new(),
            headers: headers.iter().map(header).collect(),
            body: Some(serde_json::from_str(&body).unwrap()),
        }
    }
}
