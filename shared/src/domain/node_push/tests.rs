use proptest::prelude::*;
use rstest::rstest;

use super::*;

const INTERVAL_SECONDS: i64 = 60;

/// A push, with its time in seconds.
#[derive(Debug, Clone)]
struct Sent {
    id: u128,
    at: f64,
    rows: Vec<PushRow>,
    resends_larger: bool,
    was_late: bool,
}

fn sent(id: u128, at: f64, rows: &[(i32, i64, i64)]) -> Sent {
    Sent {
        id,
        at,
        rows: rows.iter().copied().map(PushRow::from).collect(),
        resends_larger: true,
        was_late: false,
    }
}

fn time(seconds: f64) -> DateTime<Utc> {
    let since = std::time::Duration::from_secs_f64(seconds);
    DateTime::UNIX_EPOCH + TimeDelta::from_std(since).unwrap()
}

impl PushHistory {
    fn take(&mut self, sent: &Sent) -> Arrival {
        let body_hash = format!("{:?}", sent.rows);
        self.arrive(&ArrivedPush {
            push_id: Uuid::from_u128(sent.id),
            arrived_at: time(sent.at),
            interval: TimeDelta::seconds(INTERVAL_SECONDS),
            resends_larger: sent.resends_larger,
            was_late: sent.was_late,
            body_hash: body_hash.as_bytes(),
            rows: &sent.rows,
            factor: Some(Factor::ONE),
        })
    }

    /// The bytes of the pushes that are recorded.
    fn bytes(&mut self, pushes: &[Sent]) -> i64 {
        let recorded = pushes
            .iter()
            .filter(|push| matches!(self.take(push), Arrival::New(_)));
        recorded
            .flat_map(|push| &push.rows)
            .map(|row| row.upload_bytes + row.download_bytes)
            .sum()
    }

    fn doubt(&mut self, push: &Sent) -> Option<Containment> {
        match self.take(push) {
            Arrival::New(doubt) => doubt,
            other => panic!("{other:?}"),
        }
    }
}

const ROWS: &[(i32, i64, i64)] = &[(1, 10, 20), (2, 0, 5)];

#[rstest]
#[case::connections_cut(&[0.0, 0.1, 0.3, 0.45], 1)]
#[case::time_outs_of_three_seconds(&[0.0, 3.1, 6.2, 9.6], 1)]
#[case::time_outs_of_thirty_seconds(&[0.0, 32.0, 64.0, 96.0], 1)]
#[case::just_under_the_limit(&[0.0, 44.999], 1)]
#[case::at_the_limit(&[0.0, 45.0], 2)]
#[case::two_periods(&[0.0, 60.0], 2)]
#[case::two_periods_with_repeats(&[0.0, 3.0, 60.0, 63.0], 2)]
#[case::the_newest_first(&[9.6, 6.2, 3.1, 0.0], 1)]
#[case::the_second_period_first(&[60.0, 63.0, 0.0, 3.0], 2)]
fn equal_pushes_count_once_in_each_period(#[case] times: &[f64], #[case] counted: i64) {
    let pushes: Vec<Sent> = times
        .iter()
        .zip(1..)
        .map(|(at, id)| sent(id, *at, ROWS))
        .collect();
    assert_eq!(PushHistory::default().bytes(&pushes), 35 * counted);
}

#[test]
fn a_repeat_of_an_old_push_that_comes_late_is_no_push_of_its_own() {
    let mut history = PushHistory::default();
    let bytes = history.bytes(&[sent(1, 0.0, ROWS), sent(2, 60.0, ROWS), sent(3, 3.0, ROWS)]);
    assert_eq!(bytes, 70);
}

#[test]
fn a_message_delivered_again_counts_as_no_arrival() {
    let mut history = PushHistory::default();
    let push = sent(1, 0.0, ROWS);
    history.take(&push);
    let before = history.clone();
    assert_eq!(history.take(&push), Arrival::Redelivered);
    assert_eq!(history, before);
}

#[test]
fn an_older_push_does_not_replace_the_last_one() {
    let mut history = PushHistory::default();
    history.take(&sent(2, 60.0, ROWS));
    history.take(&sent(1, 0.0, &[(3, 1, 1)]));
    assert_eq!(history.last.unwrap().push_id, Uuid::from_u128(2));
}

#[rstest]
#[case::more(&[(1, 11, 20), (2, 0, 5), (3, 1, 1)], true)]
#[case::equal(ROWS, true)]
#[case::less_down(&[(1, 11, 19), (2, 0, 5)], false)]
#[case::a_user_is_missing(&[(1, 11, 20), (3, 9, 9)], false)]
#[case::nothing(&[], false)]
fn a_push_is_doubtful_if_it_may_contain_the_one_before(
    #[case] rows: &[(i32, i64, i64)],
    #[case] doubtful: bool,
) {
    let mut history = PushHistory::default();
    history.take(&sent(1, 0.0, ROWS));
    let doubt = history.doubt(&sent(2, 60.0, rows));
    assert_eq!(doubt.is_some(), doubtful);
    if let Some(doubt) = doubt {
        assert_eq!(doubt.push_id, Uuid::from_u128(2));
        assert_eq!(doubt.rows, sent(1, 0.0, ROWS).rows);
        assert_eq!(doubt.evidence, [Evidence::Larger]);
    }
}

#[rstest]
#[case::repeated(true, false, 60.0, &[Evidence::Repeated, Evidence::Larger])]
#[case::answered_late(false, true, 60.0, &[Evidence::AnsweredLate, Evidence::Larger])]
#[case::after_a_pause(false, false, 90.1, &[Evidence::Gap, Evidence::Larger])]
#[case::on_time(false, false, 90.0, &[Evidence::Larger])]
fn a_doubt_has_its_evidence(
    #[case] repeated: bool,
    #[case] was_late: bool,
    #[case] at: f64,
    #[case] evidence: &[Evidence],
) {
    let mut history = PushHistory::default();
    let first = sent(1, 0.0, ROWS);
    history.take(&Sent { was_late, ..first });
    if repeated {
        history.take(&sent(2, 3.0, ROWS));
    }
    let doubt = history.doubt(&sent(3, at, &[(1, 30, 30), (2, 30, 30)]));
    assert_eq!(doubt.unwrap().evidence, evidence);
}

#[rstest]
#[case::larger(&[(1, 30, 30), (2, 30, 30)], true, false)]
#[case::equal_after_a_late_answer(ROWS, true, true)]
#[case::equal_after_an_answer_in_time(ROWS, false, false)]
fn software_that_sends_nothing_larger_is_in_doubt_only_for_the_same_push(
    #[case] rows: &[(i32, i64, i64)],
    #[case] was_late: bool,
    #[case] doubtful: bool,
) {
    let mut history = PushHistory::default();
    let clears_first = |push: Sent| Sent {
        resends_larger: false,
        ..push
    };
    history.take(&clears_first(Sent {
        was_late,
        ..sent(1, 0.0, ROWS)
    }));
    let doubt = history.doubt(&clears_first(sent(2, 60.0, rows)));
    assert_eq!(doubt.is_some(), doubtful);
}

#[test]
fn an_older_push_that_comes_late_is_compared_with_the_last_one() {
    let mut history = PushHistory::default();
    history.take(&sent(2, 60.0, &[(1, 30, 30), (2, 30, 30)]));
    let doubt = history.doubt(&sent(1, 0.0, ROWS)).unwrap();
    assert_eq!(
        [doubt.push_id, doubt.previous_push_id],
        [2, 1].map(Uuid::from_u128)
    );
    assert_eq!(doubt.rows, sent(1, 0.0, ROWS).rows);
}

/// Periods in which the same or another push arrives one to four times, at most ten seconds apart.
fn periods() -> impl Strategy<Value = Vec<(bool, u8)>> {
    prop::collection::vec((any::<bool>(), 1..=4_u8), 1..6)
}

fn pushes(periods: &[(bool, u8)]) -> Vec<Sent> {
    let mut all = Vec::new();
    for (period, (other, attempts)) in (0_u32..).zip(periods) {
        for attempt in 0..*attempts {
            let at = f64::from(period) * 80.0 + f64::from(attempt) * 9.0;
            let rows = [(1, 100 + i64::from(*other), 7)];
            all.push(sent(u128::try_from(all.len()).unwrap() + 1, at, &rows));
        }
    }
    all
}

proptest! {
    #[test]
    fn each_period_counts_once_in_any_order_of_delivery(
        (sorted, shuffled) in periods().prop_map(|p| pushes(&p)).prop_flat_map(|sorted| {
            (Just(sorted.clone()), Just(sorted).prop_shuffle())
        }),
    ) {
        let bytes = PushHistory::default().bytes(&sorted);
        prop_assert_eq!(PushHistory::default().bytes(&shuffled), bytes);
    }

    #[test]
    fn messages_delivered_again_count_nothing(
        (first, again) in periods().prop_map(|p| pushes(&p)).prop_flat_map(|sorted| {
            (Just(sorted.clone()).prop_shuffle(), prop::sample::subsequence(sorted.clone(),
                0..=sorted.len()).prop_shuffle())
        }),
    ) {
        let mut history = PushHistory::default();
        history.bytes(&first);
        prop_assert_eq!(history.bytes(&again), 0);
    }
}
