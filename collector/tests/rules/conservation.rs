//! For any sequence of readings, restarts and crashes, what is delivered is what was counted from
//! the baseline on, without what was counted between the last reading and the end of a counter.

mod world;

use proptest::collection::vec;
use proptest::prelude::*;
use telecom_collector::counters::Bytes;

use world::{Kind, World};

const USERS: u8 = 4;

#[derive(Debug, Clone)]
enum Step {
    Traffic {
        user: u8,
        upload: i64,
        download: i64,
    },
    Read {
        due: bool,
    },
    /// The node software ends and starts.
    Restart,
    /// A user's connection or peer ends. Only for sources whose counters end alone.
    End {
        user: u8,
    },
    /// The collector is killed.
    Crash,
    /// The machine starts again.
    Reboot,
    /// The wall clock is set.
    Clock {
        seconds: i64,
    },
    Send(Answer),
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Accepted,
    /// The receiver accepted the report, and the sender never gets to know it.
    Lost,
    Failed,
    Refused,
}

fn step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![
        4 => Just(Answer::Accepted),
        1 => Just(Answer::Lost),
        1 => Just(Answer::Failed),
        1 => Just(Answer::Refused),
    ];
    prop_oneof![
        8 => (0..USERS, 0..5_000_i64, 0..5_000_i64)
            .prop_map(|(user, upload, download)| Step::Traffic { user, upload, download }),
        8 => any::<bool>().prop_map(|due| Step::Read { due }),
        2 => Just(Step::Restart),
        1 => (0..USERS).prop_map(|user| Step::End { user }),
        2 => Just(Step::Crash),
        1 => Just(Step::Reboot),
        1 => (-4_000..4_000_i64).prop_map(|seconds| Step::Clock { seconds }),
        6 => answer.prop_map(Step::Send),
    ]
}

fn life(kind: Kind, steps: &[Step]) -> World {
    let mut world = World::new(kind);
    world.carry(0, 1_000, 1_000);
    for step in steps {
        world.apply(step);
    }
    world.calm();
    world.expected.retain(|_, bytes| !bytes.is_zero());
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_was_counted_is_delivered_exactly_once(
        steps in vec(step(), 1..80),
        kind in prop::sample::select(vec![Kind::Uptime, Kind::Process, Kind::Connections])
    ) {
        let world = life(kind, &steps);
        prop_assert_eq!(world.delivered(), world.expected);
    }

    #[test]
    fn a_node_that_says_nothing_of_its_start_is_never_billed_twice(
        steps in vec(step(), 1..80)
    ) {
        let world = life(Kind::Silent, &steps);
        for (user, delivered) in world.delivered() {
            let expected = world.expected.get(&user).copied().unwrap_or_default();
            prop_assert!(delivered.upload <= expected.upload);
            prop_assert!(delivered.download <= expected.download);
        }
    }
}

#[test]
fn a_crash_between_any_two_steps_changes_nothing() {
    let life_of = |crash: Option<usize>| {
        let steps = [
            Step::Read { due: false },
            Step::Traffic {
                user: 1,
                upload: 5,
                download: 7,
            },
            Step::Read { due: false },
            Step::Traffic {
                user: 2,
                upload: 1,
                download: 2,
            },
            Step::Read { due: true },
            Step::Send(Answer::Lost),
            Step::Traffic {
                user: 1,
                upload: 5,
                download: 7,
            },
            Step::Send(Answer::Failed),
            Step::Read { due: true },
            Step::Send(Answer::Accepted),
            Step::Send(Answer::Refused),
            Step::Read { due: true },
        ];
        let mut steps = steps.to_vec();
        if let Some(at) = crash {
            steps.insert(at, Step::Crash);
        }
        let world = life(Kind::Uptime, &steps);
        assert_eq!(world.delivered(), world.expected, "{crash:?}");
        world.delivered()
    };
    let undisturbed = life_of(None);
    assert_eq!(
        undisturbed[&1],
        Bytes {
            upload: 10,
            download: 14
        }
    );
    for at in 0..=12 {
        assert_eq!(life_of(Some(at)), undisturbed, "{at}");
    }
}
