//! Requests that are chosen by hand, as examples of every operation.

use serde_json::{Value, json};
use telecom_tests::World;
use uuid::Uuid;

use super::generated::{QUEUE_STATUS, SERVER_STATUS};
use super::{Question, column, question};

/// A list, and the function of the oracle that returns it.
struct List {
    path: &'static str,
    method: &'static str,
    oracle: &'static str,
}

const NODES: List = List {
    path: "/v1/nodes",
    method: "Telecom/ListNodes",
    oracle: "nodes",
};
const OWN_PACKAGES: List = List {
    path: "/v1/packages",
    method: "Telecom/ListPackages",
    oracle: "own_packages",
};
const SERVERS: List = List {
    path: "/v1/admin/node-servers",
    method: "NodeServerManage/ListNodeServers",
    oracle: "servers",
};
const CLIENTS: List = List {
    path: "/v1/admin/node-clients",
    method: "NodeClientManage/ListNodeClients",
    oracle: "clients",
};
const PACKAGES: List = List {
    path: "/v1/admin/package-queue",
    method: "PackageQueueManage/ListQueuedPackages",
    oracle: "packages",
};

impl List {
    fn page(&self, limit: &str, offset: &str) -> Question {
        self.filtered(limit, offset, "", json!({}))
    }

    /// A page of the items for which `filter` holds. `message` has the same filter over gRPC.
    fn filtered(&self, limit: &str, offset: &str, filter: &str, mut message: Value) -> Question {
        message["limit"] = json!(limit.parse::<i64>().unwrap());
        message["offset"] = json!(offset);
        let separator = if filter.is_empty() { "" } else { "&" };
        let query = format!("limit={limit}&offset={offset}{separator}{filter}");
        let (name, value) = filter.split_once('=').unwrap_or_default();
        let filters = json!({ name: value }).to_string();
        question(self.path, &query, self.method, message, self.oracle)
            .with_arguments([limit, offset, value, &filters])
    }
}

fn queue_status(status: &str) -> Value {
    json!({ "status": format!("PACKAGE_QUEUE_STATUS_{}", status.to_uppercase()) })
}

pub fn user_questions() -> Vec<Question> {
    let mut questions = traffic();
    questions.extend(history());
    for limit in ["20", "3"] {
        let used = question(
            "/v1/usually-used-nodes",
            &format!("limit={limit}"),
            "Telecom/ListUsuallyUsedNodes",
            json!({ "limit": limit.parse::<i32>().unwrap() }),
            "used",
        );
        questions.push(used.with_arguments([limit]));
    }
    questions.push(question(
        "/v1/online-devices",
        "",
        "Telecom/GetOnlineDevices",
        json!({}),
        "devices",
    ));
    questions.push(NODES.page("1000", "0"));
    questions.push(NODES.page("4", "2"));
    questions.push(OWN_PACKAGES.page("2", "1"));
    for status in QUEUE_STATUS {
        let (filter, message) = (format!("status={status}"), queue_status(status));
        questions.push(OWN_PACKAGES.filtered("2", "1", &filter, message));
    }
    questions
}

/// The traffic of each range in time zones with whole and with half hours.
fn traffic() -> Vec<Question> {
    let mut questions = Vec::new();
    for (range, step, count) in [
        ("day", "hour", "24"),
        ("week", "day", "7"),
        ("month", "day", "30"),
    ] {
        for zone in ["UTC", "Europe/Berlin", "America/St_Johns"] {
            let traffic = question(
                "/v1/traffic-usage",
                &format!("range={range}&time_zone={zone}"),
                "Telecom/GetRecentTrafficUsage",
                json!({ "range": format!("RECENT_RANGE_{}", range.to_uppercase()),
                    "time_zone": zone }),
                "traffic",
            );
            questions.push(traffic.with_arguments([range, step, count, zone]));
        }
    }
    questions
}

fn history() -> [Question; 2] {
    [
        ("2026-03-08T03:30:00Z", "2026-03-10T10:00:00Z"),
        ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
    ]
    .map(|(start, end)| {
        question(
            "/v1/node-status-history",
            &format!("start={start}&end={end}"),
            "Telecom/ListNodeStatusHistory",
            json!({ "start": start, "end": end }),
            "history",
        )
        .with_arguments(["", start, end])
    })
}

pub async fn admin_questions(world: &World) -> Vec<Question> {
    let mut questions = vec![
        question(
            "/v1/admin/package-queue/counts",
            "",
            "PackageQueueManage/CountQueuedPackages",
            json!({}),
            "counts",
        ),
        SERVERS.page("50", "0"),
        SERVERS.page("5", "7"),
        CLIENTS.page("200", "0"),
        CLIENTS.page("6", "11"),
        CLIENTS.filtered("50", "0", "server_id=3", json!({ "server_id": 3 })),
        PACKAGES.page("50", "0"),
        PACKAGES.page("7", "13"),
    ];
    for status in SERVER_STATUS {
        let message =
            json!({ "filter_status": format!("NODE_SERVER_STATUS_{}", status.to_uppercase()) });
        questions.push(SERVERS.filtered("3", "1", &format!("status={status}"), message));
    }
    for status in QUEUE_STATUS {
        let (filter, message) = (format!("status={status}"), queue_status(status));
        questions.push(PACKAGES.filtered("5", "0", &filter, message));
    }
    questions.extend(packages_of_one(world).await);
    questions.extend(with_secrets(world).await);
    questions.extend(of_server(
        "availability",
        "NodeServerManage/GetNodeServerAvailability",
    ));
    questions.extend(of_server(
        "metrics",
        "NodeServerManage/GetNodeServerMetrics",
    ));
    questions
}

/// Packages of a user, of an order, and of each product.
async fn packages_of_one(world: &World) -> Vec<Question> {
    let users = "select user_id from oracle.users order by n offset 3 limit 1";
    let orders = "select by_order from telecom.package_queue where by_order is not null limit 1";
    let user = column::<Uuid>(world, users).await.remove(0);
    let order = column::<Uuid>(world, orders).await.remove(0);
    let mut questions = vec![
        PACKAGES.filtered("50", "0", &format!("user={user}"), json!({ "user": user })),
        PACKAGES.filtered(
            "50",
            "0",
            &format!("order={order}"),
            json!({ "order": order }),
        ),
    ];
    for id in column::<i64>(world, "select id from telecom.package order by id").await {
        let (filter, message) = (format!("package={id}"), json!({ "package": id }));
        questions.push(PACKAGES.filtered("4", "1", &filter, message));
    }
    questions
}

/// Servers and clients with their secrets.
async fn with_secrets(world: &World) -> Vec<Question> {
    let one = |list: &List, id: i32, method, oracle| {
        question(
            &format!("{}/{id}", list.path),
            "reveal_secrets=true",
            method,
            json!({ "id": id, "reveal_secrets": true }),
            oracle,
        )
        .with_arguments([&id.to_string(), "true"])
    };
    let clients = "select id from telecom.node_client order by id limit 10";
    let clients = column::<i32>(world, clients).await.into_iter();
    let clients = clients.map(|id| one(&CLIENTS, id, "NodeClientManage/ShowNodeClient", "client"));
    let servers = (1..=12).map(|id| one(&SERVERS, id, "NodeServerManage/ShowNodeServer", "server"));
    servers.chain(clients).collect()
}

/// What servers did in a range of time.
fn of_server(oracle: &'static str, method: &'static str) -> [Question; 2] {
    [
        ("1", "2026-03-01T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("5", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
    ]
    .map(|(id, start, end)| {
        question(
            &format!("{}/{id}/{oracle}", SERVERS.path),
            &format!("start={start}&end={end}"),
            method,
            json!({ "id": id.parse::<i32>().unwrap(), "start": start, "end": end }),
            oracle,
        )
        .with_arguments([id, start, end])
    })
}
