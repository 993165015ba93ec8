//! The memory of the program with many users.

use crate::support::collector::Place;
use crate::support::receiver::{Mode, Receiver};
use crate::support::stats::Node;
use crate::support::user;

const USERS: u32 = 10_000;
const LIMIT_KIB: u64 = 20 * 1024;

#[test]
fn ten_thousand_active_users_need_less_than_20_mib() {
    let (node, receiver) = (Node::start(), Receiver::start());
    receiver.set(&[], Mode::Accept);
    for number in 0..USERS {
        let base = user(0).as_u128() & !0xffff_ffff;
        let name = uuid::Uuid::from_u128(base + u128::from(number));
        node.carry(&name.to_string(), 1 << 30, 1 << 32);
    }
    node.grow(1_000_003);
    let source = format!(
        "[[source]]\nkind = \"v2ray\"\naddress = \"{}\"\n",
        node.address
    );
    let place = Place::new(&receiver.url(), &source);
    let running = place.start();
    let lines = |reports: &[serde_json::Value]| {
        let lines = reports
            .iter()
            .map(|report| report["usage"].as_array().unwrap().len());
        lines.sum::<usize>()
    };
    let enough = 3 * usize::try_from(USERS).unwrap();
    receiver.wait("too few lines", |reports| lines(reports) >= enough);
    let (peak, now) = (running.memory_kib("VmHWM"), running.memory_kib("VmRSS"));
    let own = running.memory_kib("RssAnon");
    eprintln!("{USERS} users: {now} KiB resident ({own} KiB of its own), at most {peak} KiB");
    assert!(receiver.figures().1 > 0, "no body was compressed");
    // Without optimisation the program itself is larger than it will be on a node.
    let measured = if cfg!(debug_assertions) { own } else { peak };
    assert!(measured < LIMIT_KIB, "{measured} KiB");
    assert!(running.stop());
}
