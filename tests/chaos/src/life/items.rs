//! Package items: ordered, cancelled, deleted, and given more or less quota.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use shared::clock::Clock as _;
use uuid::Uuid;

use super::HOT_USERS;
use crate::random::Random;
use crate::run::Run;

/// First id of the items that are ordered here.
const FIRST_ITEM: i64 = 1_000_000;

/// Orders items for users who have few, until the storm is over.
pub async fn order(run: Arc<Run>, mut random: Random) -> Result<()> {
    let mut next = FIRST_ITEM;
    while run.is_storm() {
        for user in users_with_few(&run).await? {
            // Some users are left without.
            if random.chance(600) {
                let items = random.int(1..=3);
                add(&run, user, next, items, &mut random).await?;
                next += items;
                run.set_last_item(next - 1);
            }
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    Ok(())
}

async fn users_with_few(run: &Run) -> Result<Vec<Uuid>> {
    let users = run.cast().users;
    let wanted: Vec<i64> = (0..users.len()).map(|index| if index < HOT_USERS { 4 } else { 2 }).collect();
    run.operator
        .until_done(async |connection| {
            sqlx::query_scalar(
                "select u.id from unnest($1::uuid[], $2::bigint[]) as u (id, wanted)
                 left join telecom.package_queue q on q.user_id = u.id and q.status in ('in_queue', 'active')
                 group by u.id, u.wanted having count(q.id) < u.wanted order by u.id limit 60",
            )
            .bind(&users)
            .bind(&wanted)
            .fetch_all(connection)
            .await
        })
        .await
}

async fn add(run: &Run, user: Uuid, first: i64, items: i64, random: &mut Random) -> Result<()> {
    let package = random.int(1..=20);
    let created_at = run.clock.now();
    run.operator
        .until_done(async |connection| {
            sqlx::query(
                "insert into telecom.package_queue (id, user_id, package_id, created_at)
                 select n, $1, $2, $3 from generate_series($4, $5) n on conflict (id) do nothing",
            )
            .bind(user)
            .bind(package)
            .bind(created_at)
            .bind(first)
            .bind(first + items - 1)
            .execute(connection)
            .await
        })
        .await?;
    run.count("orders");
    Ok(())
}

/// Cancels and deletes items and changes their quota, until the storm is over.
pub async fn change(run: Arc<Run>, mut random: Random) -> Result<()> {
    while run.is_storm() {
        tokio::time::sleep(random.millis(50..=350)).await;
        // Any that is alive; the hint makes it another one each time.
        let hint = random.int(FIRST_ITEM..=run.last_item().max(FIRST_ITEM));
        let (what, sql) = match random.int(0..=9) {
            0..=1 => ("cancellations", CANCEL),
            2 => ("items deleted", DELETE),
            _ => ("quota changes", ADJUST),
        };
        let amount = random.int(-40..=40) * 1_000_000;
        let now = run.clock.now();
        run.operator
            .until_done(async |connection| sqlx::query(sql).bind(hint).bind(now).bind(amount).execute(connection).await)
            .await?;
        run.count(what);
    }
    Ok(())
}

const CANCEL: &str = "update telecom.package_queue
    set status = 'cancelled', end_reason = 'cancelled', ended_at = $2::timestamptz + make_interval(secs => 0 * $3::bigint)
    where status in ('in_queue', 'active') and id = (
        select id from telecom.package_queue
        where id >= $1 and status in ('in_queue', 'active') order by id limit 1)";

/// One that waits: of one that was active, history would be lost.
const DELETE: &str = "delete from telecom.package_queue
    where status = 'in_queue' and $2::timestamptz is not null and $3::bigint is not null and id = (
        select id from telecom.package_queue where id >= $1 and status = 'in_queue' order by id limit 1)";

const ADJUST: &str = "update telecom.package_queue set adjust_quota_bytes = adjust_quota_bytes + $3
    where status in ('in_queue', 'active') and $2::timestamptz is not null and id = (
        select id from telecom.package_queue
        where id >= $1 and status in ('in_queue', 'active') order by id limit 1)";
