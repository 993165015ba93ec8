//! The log of a server's statuses: an interval after the other, and how it is mended when reports
//! come late.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::node::NodeServerStatus;
use super::node_status::Silence;
use NodeServerStatus::{Offline, Online};

/// Who changed a status by hand, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// The administrator.
    pub actor: Uuid,
    /// In their words.
    pub reason: String,
}

/// An interval in which a server had one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spell {
    /// As it is stored; none: it is not.
    pub id: Option<i64>,
    /// The status before; none: nothing is known of it.
    pub from: Option<NodeServerStatus>,
    /// The status.
    pub to: NodeServerStatus,
    /// Inclusive.
    pub since: DateTime<Utc>,
    /// Exclusive; none: it lasts.
    pub until: Option<DateTime<Utc>>,
    /// When that was noticed.
    pub detected_at: DateTime<Utc>,
    /// Whose doing it was; none: it was noticed.
    pub by: Option<ByHand>,
}

/// Signs of life, none further from the next than the timeout: of the first and of the last.
pub type Signs = (DateTime<Utc>, DateTime<Utc>);

/// The latest part of a server's log, or all of it, in order of time; only the last interval may be
/// open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerLog {
    /// The server.
    pub node_server_id: i32,
    /// Its intervals.
    pub spells: Vec<Spell>,
}

impl ServerLog {
    /// Ends the open interval and begins the next, at the earliest when that one did. `from` is
    /// what the server really was: it may have been changed past the log.
    pub fn change(
        &mut self,
        (from, to): (NodeServerStatus, NodeServerStatus),
        since: DateTime<Utc>,
        detected_at: DateTime<Utc>,
        by: Option<ByHand>,
    ) {
        let open = self.spells.last_mut().filter(|spell| spell.until.is_none());
        let since = open.as_ref().map_or(since, |open| open.since.max(since));
        let from = open.map(|open| {
            open.until = Some(since);
            from
        });
        self.spells.push(Spell {
            id: None,
            from,
            to,
            since,
            until: None,
            detected_at,
            by,
        });
    }

    /// Corrects outages by `signs` of life, ascending, that fell into them and came later: a server
    /// was offline only between two signs further apart than `timeout`. What an administrator did
    /// stays as it is.
    pub fn mend(&mut self, signs: &[Signs], timeout: TimeDelta, now: DateTime<Utc>) {
        let mut mended: Vec<Spell> = Vec::with_capacity(self.spells.len());
        let mut spells = std::mem::take(&mut self.spells).into_iter().peekable();
        while let Some(spell) = spells.next() {
            if spell.to == Offline {
                let ends_with = spells.peek().map(|next| next.to);
                mend_outage(&mut mended, &spell, ends_with, signs, timeout, now);
            } else {
                push(&mut mended, spell);
            }
        }
        self.spells = mended;
    }

    /// Adds outages that nobody judged: `silences`, ascending, where the log says online for longer
    /// than `timeout`.
    pub fn add_outages(&mut self, silences: &[Silence], timeout: TimeDelta, now: DateTime<Utc>) {
        let mut spells = Vec::with_capacity(self.spells.len());
        for mut spell in std::mem::take(&mut self.spells) {
            let silences = if spell.to == Online { silences } else { &[] };
            for &(since, until) in silences {
                let since = since.max(spell.since);
                let until = spell.until.map_or(until, |end| end.min(until));
                if until - since > timeout {
                    let noticed = Spell {
                        id: None,
                        detected_at: now,
                        by: None,
                        ..spell.clone()
                    };
                    spells.push(Spell {
                        until: Some(since),
                        ..spell
                    });
                    spells.push(Spell {
                        from: Some(Online),
                        to: Offline,
                        since,
                        until: Some(until),
                        ..noticed.clone()
                    });
                    spell = Spell {
                        from: Some(Offline),
                        since: until,
                        ..noticed
                    };
                }
            }
            spells.push(spell);
        }
        self.spells = spells;
    }

    /// The latest interval.
    #[must_use]
    pub fn last(&self) -> Option<&Spell> {
        self.spells.last()
    }
}

/// Takes an outage apart at the signs of life within it. Whether its ends are signs, too, its
/// neighbours say.
fn mend_outage(
    log: &mut Vec<Spell>,
    outage: &Spell,
    ends_with: Option<NodeServerStatus>,
    signs: &[Signs],
    timeout: TimeDelta,
    now: DateTime<Utc>,
) {
    let mut offline = outage.clone();
    let mut at = outage.since;
    let mut is_sign = log
        .last()
        .is_some_and(|before| before.to == Online && before.until == Some(at));
    let is_within =
        |sign: DateTime<Utc>| sign > outage.since && outage.until.is_none_or(|until| sign < until);
    let alive = |since, until| Spell {
        id: None,
        from: None,
        to: Online,
        since,
        until: Some(until),
        detected_at: now,
        by: None,
    };
    for &(first, last) in signs.iter().filter(|(first, _)| is_within(*first)) {
        if is_sign && first - at <= timeout {
            push(log, alive(at, first));
        } else {
            push(
                log,
                Spell {
                    since: at,
                    until: Some(first),
                    ..offline.clone()
                },
            );
            offline.id = None;
        }
        push(log, alive(first, last));
        (at, is_sign) = (last, true);
    }
    match outage.until {
        // A silence that was no longer is none, whatever ended it.
        Some(until) if ends_with.is_some() && is_sign && until - at <= timeout => {
            push(log, alive(at, until))
        }
        until => push(
            log,
            Spell {
                since: at,
                until,
                ..offline
            },
        ),
    }
}

/// Appends an interval; one that goes on where the last one ends, and says no more, is made one
/// with it.
fn push(log: &mut Vec<Spell>, mut spell: Spell) {
    if let Some(last) = log.last_mut() {
        if last.to == Online
            && spell.to == Online
            && last.until == Some(spell.since)
            && spell.by.is_none()
        {
            last.until = spell.until;
            return;
        }
        if last.to != spell.to {
            spell.from = Some(last.to);
        }
    }
    log.push(spell);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use NodeServerStatus::Maintenance;

    const TIMEOUT: TimeDelta = TimeDelta::minutes(5);

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    /// A log of `(status, since)`, the last one open, from its beginning.
    fn log(spells: &[(NodeServerStatus, i64)]) -> ServerLog {
        let mut log = ServerLog::default();
        let mut from = Offline;
        for &(to, since) in spells {
            log.change((from, to), at(since), at(since + 6), None);
            from = to;
        }
        log
    }

    fn said(log: &ServerLog) -> Vec<(NodeServerStatus, i64)> {
        log.spells
            .iter()
            .map(|spell| (spell.to, (spell.since - at(0)).num_minutes()))
            .collect()
    }

    fn signs(minutes: &[i64]) -> Vec<Signs> {
        minutes
            .iter()
            .map(|&minute| (at(minute), at(minute)))
            .collect()
    }

    const CUT_OFF: [(NodeServerStatus, i64); 3] = [(Online, 0), (Offline, 10), (Online, 40)];

    #[rstest]
    #[case::nothing_new(&CUT_OFF, &[], &CUT_OFF)]
    #[case::a_sign_elsewhere(&CUT_OFF, &[5, 10, 40, 45], &CUT_OFF)]
    #[case::it_was_never_gone(&CUT_OFF, &[15, 20, 25, 30, 35], &[(Online, 0)])]
    #[case::it_went_later(&CUT_OFF, &[12, 15], &[(Online, 0), (Offline, 15), (Online, 40)])]
    #[case::it_came_back_sooner(&CUT_OFF, &[31, 35], &[(Online, 0), (Offline, 10), (Online, 31)])]
    #[case::it_was_back_for_a_while(
        &CUT_OFF, &[20, 25, 28], &[(Online, 0), (Offline, 10), (Online, 20), (Offline, 28),
            (Online, 40)]
    )]
    #[case::a_lone_sign(&CUT_OFF, &[25], &[(Online, 0), (Offline, 10), (Online, 25), (Offline,
        25), (Online, 40)])]
    #[case::it_lasts_and_began_later(&CUT_OFF[..2], &[12], &[(Online, 0), (Offline, 12)])]
    #[case::it_lasts_and_there_was_a_sign(
        &CUT_OFF[..2], &[20], &[(Online, 0), (Offline, 10), (Online, 20), (Offline, 20)]
    )]
    #[case::before_maintenance_silence_within_the_timeout_is_none(
        &[(Online, 0), (Offline, 10), (Maintenance, 20)], &[13, 16], &[(Online, 0), (Maintenance,
            20)]
    )]
    #[case::maintenance_stays(
        &[(Maintenance, 0), (Offline, 10), (Maintenance, 20), (Online, 30)], &[12, 25],
        &[(Maintenance, 0), (Offline, 10), (Online, 12), (Offline, 12), (Maintenance, 20),
            (Online, 30)]
    )]
    #[case::a_fresh_edge_begins_with_the_first_sign(&[(Online, 0), (Offline, 10), (Online, 40)],
        &[38], &[(Online, 0), (Offline, 10), (Online, 38)])]
    fn late_signs_of_life_correct_the_log(
        #[case] before: &[(NodeServerStatus, i64)],
        #[case] late: &[i64],
        #[case] after: &[(NodeServerStatus, i64)],
    ) {
        let mut log = log(before);
        log.mend(&signs(late), TIMEOUT, at(50));
        assert_eq!(said(&log), after);
        let last = log.last().unwrap();
        assert!(
            last.until.is_none() && log.spells.iter().all(|spell| spell.from != Some(spell.to))
        );
        let mended = log.clone();
        log.mend(&signs(late), TIMEOUT, at(60));
        assert_eq!(log, mended, "a repeat changes nothing");
    }

    #[rstest]
    #[case::while_it_was_online(&[(10, 20)], &[(Online, 0), (Offline, 10), (Online, 20),
        (Maintenance, 40)])]
    #[case::twice(
        &[(10, 20), (30, 40)],
        &[(Online, 0), (Offline, 10), (Online, 20), (Offline, 30), (Online, 40), (Maintenance, 40)]
    )]
    #[case::until_something_else(&[(30, 50)], &[(Online, 0), (Offline, 30), (Online, 40),
        (Maintenance, 40)])]
    #[case::nearly_all_in_maintenance(&[(35, 60)], &[(Online, 0), (Maintenance, 40)])]
    fn a_silence_that_nobody_judged_is_an_outage(
        #[case] silences: &[(i64, i64)],
        #[case] after: &[(NodeServerStatus, i64)],
    ) {
        let mut log = log(&[(Online, 0), (Maintenance, 40)]);
        let silences: Vec<Silence> = silences
            .iter()
            .map(|&(since, until)| (at(since), at(until)))
            .collect();
        log.add_outages(&silences, TIMEOUT, at(50));
        assert_eq!(said(&log), after);
        assert!(
            log.spells.windows(2).all(
                |pair| pair[0].until == Some(pair[1].since) && pair[1].from == Some(pair[0].to)
            )
        );
        log.add_outages(&silences, TIMEOUT, at(60));
        assert_eq!(said(&log), after, "a repeat changes nothing");
    }

    #[test]
    fn a_change_that_the_log_did_not_know_is_logged_with_what_the_server_was() {
        let mut log = log(&[(Online, 0)]);
        let by = Some(ByHand {
            actor: Uuid::nil(),
            reason: "disk".into(),
        });
        log.change((Offline, Online), at(10), at(10), by.clone());
        let last = log.last().unwrap();
        assert_eq!((last.from, last.to, &last.by), (Some(Offline), Online, &by));
        log.mend(&[], TIMEOUT, at(20));
        assert_eq!(log.last().unwrap().by, by);
    }

    proptest! {
        /// However late, in whatever order and in however many deliveries reports come: in the end
        /// the log says what the server did.
        #[test]
        fn in_the_end_the_log_is_what_happened(
            alive in prop::collection::btree_set(1_i64..240, 1..60),
            order in any::<prop::sample::Index>(),
            deliveries in 1_usize..5,
        ) {
            let mut late: Vec<i64> = alive.iter().copied().collect();
            let len = late.len();
            late.rotate_left(order.index(len));
            let mut log = log(&[(Online, -10), (Offline, 0), (Online, 240)]);
            for delivery in late.chunks(len.div_ceil(deliveries)) {
                let mut minutes = delivery.to_vec();
                minutes.sort_unstable();
                log.mend(&signs(&minutes), TIMEOUT, at(300));
            }
            let ends: Vec<i64> =
                std::iter::once(0).chain(alive).chain(std::iter::once(240)).collect();
            let truth: Vec<(i64, i64)> = ends.windows(2).map(|w| (w[0], w[1])).filter(|(a,
                b)| b - a > 5).collect();
            let offline: Vec<(i64, i64)> = log.spells.iter().filter(|spell| spell.to == Offline)
                .map(|spell| ((spell.since - at(0)).num_minutes(),
                    (spell.until.unwrap() - at(0)).num_minutes())).collect();
            prop_assert_eq!(offline, truth);
        }
    }
}
