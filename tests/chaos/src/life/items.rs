//! Orders, cancels and deletes package items and changes their quota.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use shared::clock::Clock as _;
use uuid::Uuid;

use super::HOT_USERS;
use crate::random::Random;
use crate::run::Run;

/// First id of the ordered items.
const FIRST_ITEM: i64 = 1_000_000;

/// Orders items for users with few items until the storm is over.
pub async fn order(run: Arc<Run>, mut random: Random) -> Result<()> {
    let mut next = FIRST_ITEM;
    while run.is_storm() {
        let mut orders = Orders::default();
        for user in users_with_few(&run).await? {
            // Some users get no item.
            if random.chance(600) {
                let package = random.int(1..=20);
                for _ in 0..random.int(1..=3) {
                    orders.add(next, user, package);
                    next += 1;
                }
            }
        }
        orders.place(&run).await?;
        run.set_last_item(next - 1);
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    Ok(())
}

/// Items that are ordered together.
#[derive(Debug, Default)]
struct Orders {
    ids: Vec<i64>,
    users: Vec<Uuid>,
    packages: Vec<i64>,
}

impl Orders {
    fn add(&mut self, id: i64, user: Uuid, package: i64) {
        self.ids.push(id);
        self.users.push(user);
        self.packages.push(package);
    }

    async fn place(&self, run: &Run) -> Result<()> {
        let created_at = run.clock.now();
        run.operator
            .until_done(async |connection| {
                sqlx::query(
                    "insert into telecom.package_queue (id, user_id, package_id, created_at)
                     select *, $4::timestamptz from unnest($1::bigint[], $2::uuid[], $3::bigint[])
                     on conflict (id) do nothing",
                )
                .bind(&self.ids)
                .bind(&self.users)
                .bind(&self.packages)
                .bind(created_at)
                .execute(connection)
                .await
            })
            .await?;
        run.count_more("items ordered", self.ids.len());
        Ok(())
    }
}

async fn users_with_few(run: &Run) -> Result<Vec<Uuid>> {
    let users = run.cast().users;
    let wanted: Vec<i64> = (0..users.len())
        .map(|index| if index < HOT_USERS { 4 } else { 2 })
        .collect();
    run.operator
        .until_done(async |connection| {
            sqlx::query_scalar(
                "select u.id from unnest($1::uuid[], $2::bigint[]) as u (id, wanted)
                 left join telecom.package_queue q on q.user_id = u.id
                 and q.status in ('in_queue', 'active')
                 group by u.id, u.wanted having count(q.id) < u.wanted order by u.id limit 300",
            )
            .bind(&users)
            .bind(&wanted)
            .fetch_all(connection)
            .await
        })
        .await
}

/// Cancels and deletes items and changes their quota, until the storm is over.
pub async fn change(run: Arc<Run>, mut random: Random) -> Result<()> {
    while run.is_storm() {
        tokio::time::sleep(random.millis(50..=350)).await;
        if random.chance(20) {
            let user = run.cast().user(&mut random);
            leave(&run, user).await?;
            continue;
        }
        // The statements choose the first active or waiting item from this id on.
        let from = random.int(FIRST_ITEM..=run.last_item().max(FIRST_ITEM));
        let what = match random.int(0..=9) {
            0..=1 => CANCELLED,
            2 => DELETED,
            _ => ADJUSTED,
        };
        let amount = random.int(-40..=40) * 1_000_000;
        let now = run.clock.now();
        run.operator
            .until_done(async |connection| {
                let statement = match what {
                    CANCELLED => sqlx::query(CANCEL).bind(from).bind(now),
                    DELETED => sqlx::query(DELETE).bind(from),
                    _ => sqlx::query(ADJUST).bind(from).bind(amount),
                };
                statement.execute(connection).await
            })
            .await?;
        run.count(what);
    }
    Ok(())
}

/// Cancels all items of a user who leaves. The active item is first, in the order in which the
/// functions lock items.
async fn leave(run: &Run, user: Uuid) -> Result<()> {
    let now = run.clock.now();
    run.operator
        .until_done(async |connection| {
            for status in ["active", "in_queue"] {
                sqlx::query(
                    "update telecom.package_queue set status = 'cancelled',
                    end_reason = 'cancelled', ended_at = $2
                     where user_id = $1 and status = $3::telecom.package_queue_status",
                )
                .bind(user)
                .bind(now)
                .bind(status)
                .execute(&mut *connection)
                .await?;
            }
            Ok(())
        })
        .await?;
    run.count("users who left");
    Ok(())
}

const CANCELLED: &str = "items cancelled";
const DELETED: &str = "items deleted";
const ADJUSTED: &str = "quotas changed";

const CANCEL: &str =
    "update telecom.package_queue set status = 'cancelled', end_reason = 'cancelled', ended_at = $2
    where status in ('in_queue', 'active') and id = (
        select id from telecom.package_queue
        where id >= $1 and status in ('in_queue', 'active') order by id limit 1)";

/// Deletes a waiting item only. Deleting an item that was active would lose history.
const DELETE: &str = "delete from telecom.package_queue where status = 'in_queue' and id = (
    select id from telecom.package_queue where id >= $1 and status = 'in_queue' order by id
    limit 1)";

const ADJUST: &str = "update telecom.package_queue set adjust_quota_bytes = adjust_quota_bytes + $2
    where status in ('in_queue', 'active') and id = (
        select id from telecom.package_queue
        where id >= $1 and status in ('in_queue', 'active') order by id limit 1)";
