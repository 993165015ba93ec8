//! Debian's V2Ray carries users' traffic, and the collector beside it is killed at random.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::killed::{Dice, kill_at_random};
use crate::support::collector::Place;
use crate::support::receiver::{Mode, Receiver, delivered};
use crate::support::stats::counters_of;
use crate::support::user;
use crate::support::v2ray::{Network, program};

/// How often the collector is killed, and for how long no request reaches the receiver.
/// `make chaos` sets the variable.
fn plan() -> (usize, Duration) {
    if std::env::var_os("TELECOM_LONG_TESTS").is_some() {
        (200, Duration::from_mins(2))
    } else {
        (20, Duration::from_secs(2))
    }
}

type Sums = HashMap<String, (i64, i64)>;

/// Carries traffic of both users until `work` is done. Returns the payload of each.
fn under_traffic(network: &Network, work: impl FnOnce()) -> [(i64, i64); 2] {
    let stopped = AtomicBool::new(false);
    let payload = Mutex::new([(0, 0); 2]);
    thread::scope(|scope| {
        for number in 0..2 {
            let (stopped, payload) = (&stopped, &payload);
            scope.spawn(move || {
                let mut dice = Dice::new(10 + u64::try_from(number).unwrap());
                while !stopped.load(Ordering::Relaxed) {
                    let (upload, download) = (dice.below(500_000), dice.below(3_000_000));
                    network.carry(number, upload, download);
                    let sum = &mut payload.lock().unwrap()[number];
                    sum.0 += i64::from(upload);
                    sum.1 += i64::from(download);
                }
            });
        }
        work();
        stopped.store(true, Ordering::Relaxed);
    });
    payload.into_inner().unwrap()
}

fn plus(first: &Sums, second: &Sums) -> Sums {
    let mut sums = first.clone();
    for (name, (upload, download)) in second {
        let sum = sums.entry(name.clone()).or_default();
        sum.0 += upload;
        sum.1 += download;
    }
    sums
}

#[test]
fn beside_debians_v2ray_every_byte_of_the_node_is_delivered_once() {
    let program = match program() {
        Ok(program) => program,
        Err(why) => {
            eprintln!("SKIPPED: Debian's package v2ray cannot be fetched: {why}");
            return;
        }
    };
    let (receiver, mut dice) = (Receiver::start(), Dice::new(2));
    let names = [user(1).to_string(), format!("{}|19", user(2))];
    let users = [
        (user(1).to_string(), names[0].clone()),
        (user(2).to_string(), names[1].clone()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut network = Network::start(program, folder.path(), &users);
    let source = format!(
        "[[source]]\nkind = \"v2ray\"\naddress = \"{}\"\n",
        network.api
    );
    let place = Place::new(&receiver.url(), &source);
    let first = place.start();
    receiver.wait("no heartbeat", |reports| !reports.is_empty());
    assert!(first.stop());

    let (kills, cut) = plan();
    let payload = under_traffic(&network, || {
        for _ in 0..kills {
            kill_at_random(&place, &receiver, &mut dice, None);
        }
        receiver.set(&[], Mode::Cut);
        let running = place.start();
        thread::sleep(cut);
        assert!(running.stop());
    });
    receiver.set(&[], Mode::Accept);
    let running = place.start();
    receiver.wait("not every byte is delivered", |reports| {
        delivered(reports) == counters_of(network.api)
    });
    let first_life = counters_of(network.api);
    for (name, (upload, download)) in names.iter().zip(payload) {
        let counted = first_life[name];
        assert!(
            download > 0 && counted.0 >= upload && counted.1 >= download,
            "{counted:?}"
        );
    }

    // All counters begin at zero, and soon exceed nothing, some or all of their last values.
    network.restart();
    under_traffic(&network, || {
        receiver.wait_requests(10, Duration::from_secs(5));
    });
    receiver.wait(
        "not every byte of the second life is delivered",
        |reports| delivered(reports) == plus(&first_life, &counters_of(network.api)),
    );
    assert!(running.stop(), "{}", place.log());
    let counted = plus(&first_life, &counters_of(network.api));
    assert_eq!(delivered(&receiver.reports()), counted);
    let (repeats, _) = receiver.figures();
    eprintln!("carried {payload:?}, delivered {counted:?}, {repeats} reports sent again");
}
