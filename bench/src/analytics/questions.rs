//! The measured requests, and what the responses must contain.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::auth::Access;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::history::{HOURLY_DAYS, History};
use crate::api::calls::Rpc;
use crate::results::Limit;

/// A kind of request.
#[derive(Debug)]
pub struct Question {
    pub name: &'static str,
    /// The bar of the median, in milliseconds. `None` if the median is only reported.
    pub bar: Option<Limit>,
    /// Requests that differ in their user or node.
    pub requests: Vec<Request>,
}

/// A request and the expected response.
#[derive(Debug)]
pub struct Request {
    pub rpc: Rpc,
    expected: Vec<Expected>,
}

/// JSON pointer to a number or an array, and that number or the length of the array.
type Expected = (&'static str, i64);

/// Bytes of some usage.
#[derive(Debug, Clone, Copy, FromRow)]
struct Sums {
    raw_upload: i64,
    raw_download: i64,
    billed_upload: i64,
    billed_download: i64,
}

/// Usage of a user.
#[derive(Debug, FromRow)]
struct OfUser {
    user_id: Uuid,
    #[sqlx(flatten)]
    sums: Sums,
}

/// The node with the most billed traffic.
#[derive(Debug, FromRow)]
struct TopNode {
    id: i32,
    #[sqlx(flatten)]
    sums: Sums,
}

const SUMS: &str = "sum(raw_upload_bytes)::bigint as raw_upload,
    sum(raw_download_bytes)::bigint as raw_download,
    sum(billed_upload_bytes)::bigint as billed_upload,
    sum(billed_download_bytes)::bigint as billed_download";

/// Usage of nodes, without the total rows of hours, which the requests for all nodes read.
const OF_NODES: &str = "(
    select * from telecom.node_usage_hourly where node_server_id is not null
    union all select * from telecom.node_usage_delta
) node_usage where bucket_start >= $1";

/// Creates the requests, and computes what they must return from other tables than the operations
/// read, where there are others.
pub struct Questions<'a> {
    history: &'a History,
    connection: &'a mut PgConnection,
    /// Start of the 400 days that end with today.
    start: DateTime<Utc>,
    /// Start of the month of the lists.
    month: DateTime<Utc>,
}

impl<'a> Questions<'a> {
    pub fn new(history: &'a History, connection: &'a mut PgConnection) -> Self {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        Self {
            start: midnight(history.first_hourly_day()),
            month: midnight(history.days_ago(29)),
            history,
            connection,
        }
    }

    /// All questions. Those about one user are asked for `users` different ones.
    pub async fn all(mut self, users: i64) -> Result<Vec<Question>> {
        let of_user = self.users(users, "UTC").await?;
        let in_berlin = self.users(users, "Europe/Berlin").await?;
        let question = |name, bar, requests| Question {
            name,
            bar,
            requests,
        };
        let (ten, fifty) = (Some(Limit::Below(10.0)), Some(Limit::Below(50.0)));
        let hundred = Some(Limit::Below(100.0));
        Ok(vec![
            question("GetTrafficUsage, 400 days of a user", ten, of_user),
            question("the same by days of Berlin", None, in_berlin),
            question(
                "GetTrafficUsage, 400 days of all",
                hundred,
                self.fleet().await?,
            ),
            question(
                "GetTrafficUsage, 400 days of a client",
                None,
                self.client().await?,
            ),
            question("ListTopUsers of 30 days", hundred, self.top_users().await?),
            question(
                "ListTopNodes of 30 days, clients",
                hundred,
                self.top_nodes(true).await?,
            ),
            question(
                "ListTopNodes of 30 days, servers",
                hundred,
                self.top_nodes(false).await?,
            ),
            question("GetFleetOverview", fifty, self.overview().await?),
        ])
    }

    /// 400 days of users with usage on all days. The hourly usage has the same sums.
    async fn users(&mut self, users: i64, zone: &str) -> Result<Vec<Request>> {
        let sql = format!(
            "select user_id, {SUMS} from telecom.user_package_usage
            where bucket_start >= $1 and user_id in (
                select user_id from bench_user where consumed_item is not null
                order by md5(user_id::text) limit $2
            ) group by user_id order by md5(user_id::text)"
        );
        let found: Vec<OfUser> = sqlx::query_as(&sql)
            .bind(self.start)
            .bind(users)
            .fetch_all(&mut *self.connection)
            .await?;
        let request = |user: OfUser| {
            let message = json!({ "user": user.user_id, "time_zone": zone });
            let mut expected = user.sums.expected();
            // The days of another zone begin before the range and end after it.
            let other_zone = i64::from(zone != "UTC");
            expected.push(("/usage", HOURLY_DAYS + other_zone));
            Request::new("GetTrafficUsage", self.days(message)?, expected)
        };
        found.into_iter().map(request).collect()
    }

    /// Adds the 400 days to a request.
    fn days(&self, mut message: Value) -> Result<Value> {
        let fields = message.as_object_mut().context("not an object")?;
        let end = self.start + TimeDelta::days(HOURLY_DAYS);
        fields.insert("start".to_owned(), json!(self.start));
        fields.insert("end".to_owned(), json!(end));
        fields.insert("interval".to_owned(), json!("USAGE_INTERVAL_DAY"));
        Ok(message)
    }

    async fn sums_of_nodes(&mut self, since: DateTime<Utc>, condition: &str) -> Result<Sums> {
        let sql = format!("select {SUMS} from {OF_NODES} and {condition}");
        let sums = sqlx::query_as(&sql).bind(since);
        Ok(sums.fetch_one(&mut *self.connection).await?)
    }

    async fn fleet(&mut self) -> Result<Vec<Request>> {
        let mut expected = self.sums_of_nodes(self.start, "true").await?.expected();
        expected.push(("/usage", HOURLY_DAYS));
        let message = self.days(json!({}))?;
        Ok(vec![Request::new("GetTrafficUsage", message, expected)?])
    }

    async fn client(&mut self) -> Result<Vec<Request>> {
        let condition = "node_client_id = 77";
        let mut expected = self.sums_of_nodes(self.start, condition).await?.expected();
        expected.push(("/usage", HOURLY_DAYS));
        let message = self.days(json!({ "node_client_id": 77 }))?;
        Ok(vec![Request::new("GetTrafficUsage", message, expected)?])
    }

    /// The user in the first place must have that usage in the hourly rows.
    async fn top_users(&mut self) -> Result<Vec<Request>> {
        let sql = format!(
            "select {SUMS} from telecom.user_package_usage where bucket_start >= $1
            group by user_id order by sum(billed_upload_bytes + billed_download_bytes) desc,
                sum(raw_upload_bytes + raw_download_bytes) desc, user_id limit 1"
        );
        let first: Sums = sqlx::query_as(&sql)
            .bind(self.month)
            .fetch_one(&mut *self.connection)
            .await?;
        let message = json!({ "range": "RECENT_RANGE_MONTH" });
        let expected = vec![
            ("/users", 20),
            ("/total", self.history.scale.users),
            ("/users/0/raw_download", first.raw_download),
            ("/users/0/billed_download", first.billed_download),
        ];
        Ok(vec![Request::new("ListTopUsers", message, expected)?])
    }

    async fn top_nodes(&mut self, clients: bool) -> Result<Vec<Request>> {
        let (column, kind, pointer) = if clients {
            (
                "node_client_id",
                "TOP_NODE_KIND_CLIENT",
                "/nodes/0/node_client_id",
            )
        } else {
            (
                "node_server_id",
                "TOP_NODE_KIND_SERVER",
                "/nodes/0/server_id",
            )
        };
        let sql = format!(
            "select {column} as id, {SUMS} from {OF_NODES} group by {column}
            order by sum(billed_upload_bytes + billed_download_bytes) desc,
                sum(raw_upload_bytes + raw_download_bytes) desc, {column} limit 1"
        );
        let first: TopNode = sqlx::query_as(&sql)
            .bind(self.month)
            .fetch_one(&mut *self.connection)
            .await?;
        let message = json!({ "range": "LONG_RANGE_MONTH", "kind": kind });
        let expected = vec![
            ("/nodes", 20),
            (pointer, first.id.into()),
            ("/nodes/0/raw_upload", first.sums.raw_upload),
            ("/nodes/0/billed_upload", first.sums.billed_upload),
        ];
        Ok(vec![Request::new("ListTopNodes", message, expected)?])
    }

    async fn overview(&mut self) -> Result<Vec<Request>> {
        let month = self.sums_of_nodes(self.month, "true").await?;
        let users = self.history.scale.users;
        let expected = vec![
            ("/hours", 24),
            ("/top_users", 5),
            ("/top_nodes", 5),
            ("/counts/active_packages", users),
            ("/counts/online_users", users / 4),
            ("/last_30_days/raw_download", month.raw_download),
            ("/last_30_days/billed_download", month.billed_download),
        ];
        Ok(vec![Request::new("GetFleetOverview", json!({}), expected)?])
    }
}

impl Sums {
    /// The expected sum of a response with traffic.
    fn expected(self) -> Vec<Expected> {
        vec![
            ("/sum/raw_upload", self.raw_upload),
            ("/sum/raw_download", self.raw_download),
            ("/sum/billed_upload", self.billed_upload),
            ("/sum/billed_download", self.billed_download),
        ]
    }
}

impl Request {
    fn new(rpc: &'static str, message: Value, expected: Vec<Expected>) -> Result<Self> {
        Ok(Self {
            rpc: Rpc::new(rpc, Access::AdminRead, message)?,
            expected,
        })
    }

    /// Fails unless the response is the expected one, and its buckets add up to its sum.
    pub fn check(&self, response: &[u8]) -> Result<()> {
        let response = self.rpc.decode(response)?;
        for &(pointer, expected) in &self.expected {
            let found = response.pointer(pointer).and_then(number);
            ensure!(
                found == Some(expected) && expected > 0,
                "{}: {pointer} is {found:?}, not {expected}.",
                self.rpc.name
            );
        }
        let Some(Value::Array(buckets)) = response.pointer("/usage") else {
            return Ok(());
        };
        for field in [
            "raw_upload",
            "raw_download",
            "billed_upload",
            "billed_download",
        ] {
            let of_bucket = |bucket: &Value| bucket.get(field).and_then(Value::as_i64);
            let sum: Option<i64> = buckets.iter().map(of_bucket).sum();
            let expected = response.pointer("/sum").and_then(of_bucket);
            ensure!(
                sum.is_some() && sum == expected,
                "{}: {field} of the buckets adds up to {sum:?}, not {expected:?}.",
                self.rpc.name
            );
        }
        Ok(())
    }
}

/// A number, or the length of an array.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Array(items) => i64::try_from(items.len()).ok(),
        other => other.as_i64(),
    }
}
