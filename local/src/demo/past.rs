//! The past of a new demo fleet: hourly usage, packages that were used up, the ledger, sums, and
//! the statuses and metrics of servers, of the days before the fleet was seeded.
//!
//! The rows follow the rules of the functions, so that `reconcile-usage` finds no drift in them:
//! usage is on nodes that the user's package opens, while they were up and an item was active, and
//! is billed by the factor of the client. The same seed yields the same past. It ends with the last
//! full hour, and the simulator goes on from there. Raw reports are not part of it.

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::{Executor, Postgres, Transaction};
use uuid::Uuid;

/// Number of days that the demo fleet is old.
pub(super) const DAYS: u16 = 30;

/// What is written, in this order.
const PARTS: [&str; 4] = [
    include_str!("past/plan.sql"),
    include_str!("past/usage.sql"),
    include_str!("past/sums.sql"),
    include_str!("past/servers.sql"),
];

/// A past to write for a fleet.
pub(super) struct Past<'f> {
    pub seed: u64,
    pub now: DateTime<Utc>,
    pub days: u16,
    /// How many servers the fleet has.
    pub servers: usize,
    pub users: &'f [Uuid],
    /// The series of packages, from the shortest to the longest.
    pub series: Vec<Uuid>,
    /// Who set servers into maintenance and corrected usage.
    pub admin: Uuid,
}

impl Past<'_> {
    /// Reserves the ids of more items than a past has, so that later items have greater ids.
    /// Returns the id before them, or `None` if the database has usage or servers that are not the
    /// fleet's. No past can be added to these.
    pub async fn reserve_ids(
        &self,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<Option<i64>> {
        let statement = "/* demo.reserve_ids */
            select setval(seq, nextval(seq) + 40000) - 40001
            from pg_get_serial_sequence('telecom.package_queue', 'id') seq
            where not exists (select from telecom.user_package_usage)
                and (select count(*) from telecom.node_server) = $1";
        let query = sqlx::query_scalar(statement).bind(i64::try_from(self.servers)?);
        Ok(query.fetch_optional(&mut **tx).await?)
    }

    /// Writes the past of a fleet whose items have been inserted. Items of the past get ids above
    /// `reserved_from`.
    pub async fn write(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        reserved_from: i64,
    ) -> Result<()> {
        let create = "/* demo.create_past */
            create temp table demo_past (
                seed bigint, now timestamptz, starts timestamptz, ends timestamptz, days int,
                admin uuid, users uuid[], series uuid[], reserved_from bigint
            ) on commit drop";
        sqlx::query(create).execute(&mut **tx).await?;
        let set = "/* demo.set_past */
            insert into demo_past
            select $1, $2, date_trunc('hour', $2, 'UTC') - make_interval(hours => $3 * 24),
                date_trunc('hour', $2, 'UTC'), $3, $4, $5, $6, $7";
        sqlx::query(set)
            // What a number is drawn for is added to it, and is below 1,000.
            .bind(i64::try_from(self.seed)?.wrapping_mul(1_000))
            .bind(self.now)
            .bind(i32::from(self.days))
            .bind(self.admin)
            .bind(self.users)
            .bind(&self.series)
            .bind(reserved_from)
            .execute(&mut **tx)
            .await?;
        for part in PARTS {
            tx.execute(sqlx::raw_sql(part)).await?;
        }
        Ok(())
    }
}
