//! Cancels items, adjusts their quota and extends their time, by calls and by hand.

use std::sync::Arc;

use anyhow::Result;
use shared::clock::Clock as _;
use uuid::Uuid;

use super::GROUP;
use crate::asked::{Asked, Extended};
use crate::calls::Call;
use crate::random::Random;
use crate::run::Run;

/// Cancels and deletes items and changes their quota, until the storm is over.
pub async fn change(run: Arc<Run>, mut random: Random) -> Result<()> {
    // It is the first change, so that a short run has one.
    let mut has_cancelled = false;
    while run.is_storm() {
        tokio::time::sleep(random.millis(50..=350)).await;
        if random.chance(20) {
            let user = run.cast().user(&mut random);
            leave(&run, user).await?;
            continue;
        }
        let has_ended = random.chance(40);
        let Some(item) = any_item(&run, has_ended, &mut random).await? else {
            continue;
        };
        let bytes = amount(&mut random);
        match random.int(0..=99) {
            choice if choice < 10 || !has_cancelled => {
                let call = Call::new(Asked::CancelItem(item), &mut random);
                has_cancelled |= call.make(&run, &mut random).await.is_success();
            }
            10..=13 => by_hand(&run, CANCELLED, item, bytes).await?,
            14..=19 => by_hand(&run, DELETED, item, bytes).await?,
            20..=29 => by_hand(&run, ADJUSTED, item, bytes).await?,
            _ => adjust(&run, item, bytes, &mut random).await,
        }
    }
    Ok(())
}

/// Bytes to add to a quota, which are never 0.
fn amount(random: &mut Random) -> i64 {
    let bytes = random.int(-40..=40) * 1_000_000;
    if bytes == 0 { 1 } else { bytes }
}

async fn adjust(run: &Run, item: i64, bytes: i64, random: &mut Random) {
    let call = Call::new(Asked::AdjustQuota { item, bytes }, random);
    let answer = call.make(run, random).await;
    if answer.is_success() && random.chance(30) {
        // The key belongs to another request, so this must be refused.
        let bytes = bytes.saturating_mul(2);
        let again = call.with_same_key(Asked::AdjustQuota { item, bytes });
        let answer = again.make(run, random).await;
        if answer.is_success() {
            run.finding("a key is accepted for two requests", || {
                format!("{again:?}")
            });
        }
    }
}

/// Extends the items of a series, or of the group to which most packages belong, until the storm is
/// over.
pub async fn extend(run: Arc<Run>, mut random: Random) -> Result<()> {
    while run.is_storm() {
        tokio::time::sleep(random.millis(1_000..=4_000)).await;
        let cast = run.cast();
        let series = random.pick(&cast.series).copied().unwrap_or_default();
        let what = if random.chance(150) {
            Extended::Group(GROUP)
        } else {
            Extended::Series(series)
        };
        let asked = Asked::Extend {
            what,
            hours: random.int(1..=3),
            dry_run: random.chance(150),
        };
        Call::new(asked, &mut random).make(&run, &mut random).await;
    }
    Ok(())
}

/// A random item that is waiting or active, or that has ended.
async fn any_item(run: &Run, has_ended: bool, random: &mut Random) -> Result<Option<i64>> {
    let salt = random.int(0..=i64::MAX).to_string();
    run.operator
        .until_done(async |connection| {
            sqlx::query_scalar(
                "select id from telecom.package_queue
                where (status in ('consumed', 'cancelled')) = $1
                order by md5(id::text || $2) limit 1",
            )
            .bind(has_ended)
            .bind(&salt)
            .fetch_optional(connection)
            .await
        })
        .await
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

const CANCELLED: &str = "items cancelled by hand";
const DELETED: &str = "items deleted by hand";
const ADJUSTED: &str = "quotas changed by hand";

async fn by_hand(run: &Run, what: &str, item: i64, bytes: i64) -> Result<()> {
    let now = run.clock.now();
    run.operator
        .until_done(async |connection| {
            let statement = match what {
                CANCELLED => sqlx::query(CANCEL).bind(item).bind(now),
                DELETED => sqlx::query(DELETE).bind(item),
                _ => sqlx::query(ADJUST).bind(item).bind(bytes),
            };
            statement.execute(connection).await
        })
        .await?;
    run.count(what);
    Ok(())
}

const CANCEL: &str = "update telecom.package_queue
    set status = 'cancelled', end_reason = 'cancelled', ended_at = $2
    where id = $1 and status in ('in_queue', 'active')";

/// Deletes a waiting item only. Deleting an item that was active would lose history.
const DELETE: &str = "delete from telecom.package_queue where id = $1 and status = 'in_queue'";

/// The audit sees each time that the statement takes effect.
const ADJUST: &str = "update telecom.package_queue set adjust_quota_bytes = adjust_quota_bytes + $2
    where id = $1 and status in ('in_queue', 'active')";
