//! The shop's orders and their cancellations: by the queue, by calls, and by hand.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use shared::clock::Clock as _;
use uuid::Uuid;

use super::HOT_USERS;
use crate::asked::{Asked, NewOrder};
use crate::calls::Call;
use crate::cloud::queue::Origin;
use crate::ledger::Order;
use crate::random::Random;
use crate::run::{After, Run};

/// First id of the items that are inserted by hand.
const FIRST_BY_HAND: i64 = 1_000_000;
/// How long an order of a user may be underway before the user orders again.
const UNDERWAY: Duration = Duration::from_secs(3);

/// Orders packages for users with few items, and cancels some of the orders, until the storm is
/// over.
pub async fn order(run: Arc<Run>, mut random: Random) -> Result<()> {
    let mut shop = Shop::default();
    let mut by_hand = ByHand::default();
    while run.is_storm() {
        for user in users_with_few(&run).await? {
            // Some users get no item.
            if !random.chance(600) || shop.is_underway(user) {
                continue;
            }
            if random.chance(80) {
                by_hand.add(user, &mut random);
            } else {
                shop.order(&run, user, &mut random).await;
            }
        }
        by_hand.insert(&run).await?;
        plant_poison(&run, &mut random);
        shop.go_on(&run, &mut random, Instant::now()).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let end = Instant::now() + Duration::from_mins(1);
    shop.go_on(&run, &mut random, end).await;
    Ok(())
}

/// What the shop does later.
#[derive(Debug, Clone, Copy)]
enum Later {
    Send(Uuid),
    Deliver(Uuid),
    SendCancellation(Uuid),
    Cancel(Uuid),
}

/// The shop, which repeats some messages and mixes up their order.
#[derive(Debug, Default)]
struct Shop {
    later: Vec<(Instant, Later)>,
    ordered: HashMap<Uuid, Instant>,
}

impl Shop {
    fn is_underway(&self, user: Uuid) -> bool {
        let ordered = self.ordered.get(&user);
        ordered.is_some_and(|ordered| ordered.elapsed() < UNDERWAY)
    }

    async fn order(&mut self, run: &Run, user: Uuid, random: &mut Random) {
        self.ordered.insert(user, Instant::now());
        let cast = run.cast();
        let Some(&series) = random.pick(&cast.series) else {
            return;
        };
        let (id, amount) = (random.uuid(), random.int(1..=3));
        let order = NewOrder {
            user,
            series,
            amount,
        };
        let books = Order {
            what: order,
            accepted: None,
            cancelled: None,
        };
        run.ledger.open().orders.insert(id, books);
        run.count("orders");
        match random.int(0..=99) {
            0..=4 => {
                // The cancellation overtakes the order.
                self.do_now(run, random, Later::SendCancellation(id)).await;
                self.add(Later::Send(id), random);
            }
            5..=19 => self.do_now(run, random, Later::Deliver(id)).await,
            _ => self.do_now(run, random, Later::Send(id)).await,
        }
        self.plan(run, id, random);
    }

    /// Plans repeats and the cancellation of an order.
    fn plan(&mut self, run: &Run, id: Uuid, random: &mut Random) {
        match random.int(0..=99) {
            0..=4 => self.add(Later::Send(id), random),
            5..=6 => self.add(Later::Deliver(id), random),
            7..=10 => self.add(Later::SendCancellation(id), random),
            11..=14 => self.add(Later::Cancel(id), random),
            15 => {
                self.add(Later::SendCancellation(id), random);
                self.add(Later::Cancel(id), random);
            }
            16 => plant_other_order(run, id),
            _ => {}
        }
    }

    fn add(&mut self, what: Later, random: &mut Random) {
        let due = Instant::now() + random.millis(0..=4_000);
        self.later.push((due, what));
    }

    /// Does what is due at `now`.
    async fn go_on(&mut self, run: &Run, random: &mut Random, now: Instant) {
        let (due, later) = self.later.iter().partition(|(at, _)| *at <= now);
        self.later = later;
        let due: Vec<(Instant, Later)> = due;
        for (_, what) in due {
            self.do_now(run, random, what).await;
        }
    }

    async fn do_now(&mut self, run: &Run, random: &mut Random, what: Later) {
        match what {
            Later::Send(id) => send_order(run, id),
            Later::Deliver(id) => deliver(run, id, random).await,
            Later::SendCancellation(id) => {
                run.ledger.order_cancelled(id);
                let body = json!({"type": "package.order_cancelled.v1", "order_id": id});
                send(run, &body, Origin::Cancellation);
                run.count("cancellations of orders sent");
            }
            Later::Cancel(id) => {
                run.ledger.order_cancelled(id);
                let call = Call::new(Asked::CancelOrder(id), random);
                call.make(run, random).await;
            }
        }
    }
}

fn ordered(run: &Run, id: Uuid) -> Option<NewOrder> {
    run.ledger.open().orders.get(&id).map(|order| order.what)
}

fn message(id: Uuid, order: NewOrder) -> Value {
    json!({"type": "package.order.v1", "order_id": id, "user": order.user, "series": order.series,
        "amount": order.amount})
}

fn send_order(run: &Run, id: Uuid) {
    if let Some(order) = ordered(run, id) {
        send(run, &message(id, order), Origin::Order(id));
        run.count("orders sent");
    }
}

fn send(run: &Run, body: &Value, origin: Origin) {
    let now = run.clock.now();
    run.cloud.orders.send(body.to_string(), origin, true, now);
}

async fn deliver(run: &Run, id: Uuid, random: &mut Random) {
    let Some(order) = ordered(run, id) else {
        return;
    };
    let call = Call::new(Asked::DeliverOrder { id, order }, random);
    if !call.make(run, random).await.is_success() {
        return;
    }
    run.ledger.order_accepted(id);
    if random.chance(100) {
        // The id of the order is used again. This must be refused.
        let amount = order.amount + 1;
        let order = NewOrder { amount, ..order };
        let call = Call::new(Asked::DeliverOrder { id, order }, random);
        call.make(run, random).await;
    }
}

/// Plants the same id with another amount, to be sent after the order was accepted.
fn plant_other_order(run: &Run, id: Uuid) {
    let Some(order) = ordered(run, id) else {
        return;
    };
    // An order that was cancelled before it arrived is not compared.
    let mut books = run.ledger.open();
    if books
        .orders
        .get(&id)
        .is_none_or(|order| order.cancelled.is_some())
    {
        return;
    }
    let amount = order.amount + 1;
    let body = message(id, NewOrder { amount, ..order }).to_string();
    books.poison.insert(body.clone(), "order id used again");
    drop(books);
    run.plant_after(After::Order(id), body);
    run.count("poison messages");
}

fn plant_poison(run: &Run, random: &mut Random) {
    if !random.chance(100) {
        return;
    }
    let (id, cast) = (random.uuid(), run.cast());
    let order = NewOrder {
        user: cast.user(random),
        series: random.pick(&cast.series).copied().unwrap_or_default(),
        amount: 1,
    };
    let series = random.uuid();
    let (what, body) = match random.int(0..=3) {
        0 => (
            "series not sold",
            message(id, NewOrder { series, ..order }).to_string(),
        ),
        1 => (
            "no items",
            message(id, NewOrder { amount: 0, ..order }).to_string(),
        ),
        2 => (
            "another type",
            json!({"type": "package.order.v9", "order_id": id}).to_string(),
        ),
        _ => ("no JSON", format!("{{\"{id}")),
    };
    run.ledger.open().poison.insert(body.clone(), what);
    let now = run.clock.now();
    run.cloud
        .orders
        .send(body, Origin::Poison(what), false, now);
    run.count("poison messages");
}

/// Items that are inserted by hand.
#[derive(Debug, Default)]
struct ByHand {
    ids: Vec<i64>,
    users: Vec<Uuid>,
    packages: Vec<i64>,
    inserted: i64,
}

impl ByHand {
    fn add(&mut self, user: Uuid, random: &mut Random) {
        self.ids.push(FIRST_BY_HAND + self.inserted);
        self.users.push(user);
        self.packages.push(random.int(1..=20));
        self.inserted += 1;
    }

    async fn insert(&mut self, run: &Run) -> Result<()> {
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
        run.count_more("items inserted by hand", self.ids.len());
        for list in [&mut self.ids, &mut self.packages] {
            list.clear();
        }
        self.users.clear();
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
