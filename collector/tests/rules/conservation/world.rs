//! A node, a collector that can be killed, and a receiver that can fail, in simulated time.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;
use telecom_collector::clock::{Now, is_ahead};
use telecom_collector::counters::{Absent, Bytes, Counter, Reading};
use telecom_collector::names::Names;
use telecom_collector::sender::{Step as Sent, send_next};
use telecom_collector::sink::{Outcome, Sink};
use telecom_collector::source::Observed;
use telecom_collector::spool::{Entry, Round, Spool};
use telecom_collector::start::{Start, Uptime};
use tempfile::TempDir;

use super::{Answer, Step, USERS};
use crate::support::{json_of, user};

const SERVER: i32 = 7;
/// This user's name is mapped only at the end.
const LATE: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Says for how long it has run, as V2Ray does.
    Uptime,
    /// Its process is known, as that of Hysteria 2 can be.
    Process,
    /// Says nothing of its start.
    Silent,
    /// Has a counter for each connection, as OpenVPN does.
    Connections,
}

/// A counter of the node, and what the collector should know of it.
#[derive(Debug, Clone, Copy, Default)]
struct Truth {
    bytes: Bytes,
    seen: Bytes,
    since_ms: i64,
    number: u32,
}

pub struct World {
    kind: Kind,
    now: Now,
    boots: u32,
    started_ms: i64,
    starts: u64,
    added: Option<Now>,
    baseline: bool,
    counters: BTreeMap<u8, Truth>,
    connections: u32,
    /// What must be delivered.
    pub expected: BTreeMap<u8, Bytes>,
    folder: TempDir,
    spool: Option<Spool>,
    names: Names,
    receiver: Receiver,
}

#[derive(Default)]
struct Receiver {
    answers: VecDeque<Answer>,
    reports: HashMap<String, Value>,
}

impl Sink for Receiver {
    fn send(&mut self, entry: &Entry) -> Outcome {
        let answer = self.answers.pop_front().unwrap_or(Answer::Accepted);
        let failed = Outcome::Failed {
            reason: "test".to_owned(),
            token_rejected: false,
            retry_after: None,
        };
        if matches!(answer, Answer::Accepted | Answer::Lost) {
            let report = json_of(entry.compressed, &entry.content);
            let id = report["report_id"].as_str().unwrap().to_owned();
            let known = self.reports.entry(id).or_insert_with(|| report.clone());
            assert_eq!(*known, report, "an id was reused for another report");
        }
        match answer {
            Answer::Accepted => Outcome::Accepted,
            Answer::Lost | Answer::Failed => failed,
            Answer::Refused => Outcome::Refused {
                status: 422,
                reason: "test".to_owned(),
            },
        }
    }
}

fn names(late: bool) -> Names {
    let known = (0..USERS).filter(|number| late || *number != LATE);
    let table = known.map(|number| (format!("name{number}"), user(number).to_string()));
    Names::new(&table.collect(), None).unwrap()
}

impl World {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            now: Now {
                wall_ms: 1_795_168_800_000,
                monotonic_ms: 1_000_000,
                boot: "0".to_owned(),
            },
            boots: 0,
            started_ms: 500_000,
            starts: 0,
            added: None,
            baseline: false,
            counters: BTreeMap::new(),
            connections: 0,
            expected: BTreeMap::new(),
            folder: TempDir::new_in(memory()).unwrap(),
            spool: None,
            names: names(false),
            receiver: Receiver::default(),
        }
    }

    /// The spool, opened as at a start of the collector if it is not open.
    fn spool(&mut self) -> &mut Spool {
        let (folder, now) = (self.folder.path(), &self.now);
        let added = &mut self.added;
        self.spool.get_or_insert_with(|| {
            let mut spool = Spool::open(folder, SERVER).unwrap();
            let source = std::iter::once(("node", "identity".to_owned()));
            spool.add_sources(source, now).unwrap();
            added.get_or_insert_with(|| now.clone());
            spool
        })
    }

    fn pass(&mut self, ms: i64) {
        self.now.wall_ms += ms;
        self.now.monotonic_ms += ms;
    }

    pub fn apply(&mut self, step: &Step) {
        // The bound of what is recognised is two seconds.
        self.pass(3_123);
        match step {
            Step::Traffic {
                user,
                upload,
                download,
            } => self.carry(*user, *upload, *download),
            Step::Read { due } => self.read(*due),
            Step::Restart => self.restart(),
            Step::End { user } if self.kind == Kind::Connections => {
                self.counters.remove(user);
            }
            Step::End { .. } => {}
            Step::Crash => self.spool = None,
            Step::Reboot => self.reboot(),
            Step::Clock { seconds } => self.now.wall_ms += seconds * 1000,
            Step::Send(answer) => {
                self.send(*answer);
            }
        }
    }

    pub fn carry(&mut self, user: u8, upload: i64, download: i64) {
        let (connections, since_ms) = (&mut self.connections, self.now.wall_ms / 1000 * 1000);
        let counter = self.counters.entry(user).or_insert_with(|| {
            *connections += 1;
            Truth {
                since_ms,
                number: *connections,
                ..Truth::default()
            }
        });
        counter.bytes += Bytes { upload, download };
    }

    fn restart(&mut self) {
        self.counters.clear();
        self.started_ms = self.now.monotonic_ms;
        self.starts += 1;
        self.pass(3_000);
    }

    fn reboot(&mut self) {
        self.boots += 1;
        self.now.boot = self.boots.to_string();
        self.now.monotonic_ms = 5_000;
        self.spool = None;
        self.restart();
    }

    fn reading(&self) -> Reading {
        let start = match self.kind {
            Kind::Uptime => {
                let uptime = (self.now.monotonic_ms - self.started_ms) / 1000;
                let uptime = u32::try_from(uptime).unwrap();
                Start::Uptime(Uptime::new(uptime, &self.now, &self.now))
            }
            Kind::Process => Start::Process {
                boot: self.now.boot.clone(),
                ticks: self.starts,
            },
            Kind::Silent | Kind::Connections => Start::Unknown,
        };
        let connections = self.kind == Kind::Connections;
        let counter = |(user, truth): (&u8, &Truth)| Counter {
            key: if connections {
                format!("{}:{}", truth.number, truth.since_ms)
            } else {
                format!("name{user}")
            },
            name: format!("name{user}"),
            bytes: truth.bytes,
            since_ms: connections.then_some(truth.since_ms),
        };
        Reading {
            start,
            absent: match self.kind {
                Kind::Process | Kind::Silent => Absent::Restarted,
                Kind::Uptime | Kind::Connections => Absent::Ended,
            },
            counters: self.counters.iter().map(counter).collect(),
            warning: None,
        }
    }

    fn read(&mut self, due: bool) {
        let observed = [Observed {
            source: "node".to_owned(),
            reading: Ok(self.reading()),
        }];
        let now = self.now.clone();
        let trusted = self.spool().trusted().unwrap();
        let trusted = !is_ahead(&now, trusted.as_ref(), None);
        let names = std::mem::take(&mut self.names);
        let round = Round {
            now: &now,
            trusted,
            due,
            observed: &observed,
            names: &names,
            metrics: None,
        };
        self.spool().collect(&round).unwrap();
        self.names = names;
        self.expect();
    }

    /// What the reading adds to what must be delivered.
    fn expect(&mut self) {
        let added = self.added.as_ref().unwrap();
        let rebooted = self.now.boot != added.boot;
        let younger = match self.kind {
            Kind::Uptime => rebooted || self.started_ms > added.monotonic_ms,
            Kind::Process => rebooted,
            Kind::Silent | Kind::Connections => false,
        };
        for (user, truth) in &mut self.counters {
            let later = self.kind == Kind::Connections && truth.since_ms > added.wall_ms;
            if self.baseline || younger || later {
                *self.expected.entry(*user).or_default() += Bytes {
                    upload: truth.bytes.upload - truth.seen.upload,
                    download: truth.bytes.download - truth.seen.download,
                };
            }
            truth.seen = truth.bytes;
        }
        self.baseline = true;
    }

    fn send(&mut self, answer: Answer) -> Sent {
        let mut receiver = std::mem::take(&mut self.receiver);
        receiver.answers = VecDeque::from([answer]);
        let sent = send_next(self.spool(), &mut receiver).unwrap();
        self.receiver = receiver;
        sent
    }

    /// Everything is mapped, accepted and delivered.
    pub fn calm(&mut self) {
        self.names = names(true);
        self.pass(1);
        self.spool = None;
        // A clock that is ahead of the last one that was trusted waits until it is right again.
        if let Some(trusted) = self.spool().trusted().unwrap() {
            self.now.wall_ms = trusted.wall_ms;
        }
        let now_ms = self.now.wall_ms;
        self.read(true);
        // While many reports wait, no more are made.
        while self.send(Answer::Accepted) != Sent::Idle {}
        self.read(true);
        self.spool().requeue(None, now_ms).unwrap();
        while self.send(Answer::Accepted) != Sent::Idle {}
    }

    pub fn delivered(&self) -> BTreeMap<u8, Bytes> {
        let mut delivered = BTreeMap::new();
        for line in self
            .receiver
            .reports
            .values()
            .flat_map(|r| r["usage"].as_array().unwrap())
        {
            let number = (0..USERS).find(|number| line["user"] == user(*number).to_string());
            *delivered
                .entry(number.unwrap())
                .or_insert_with(Bytes::default) += Bytes {
                upload: line["upload"].as_i64().unwrap(),
                download: line["download"].as_i64().unwrap(),
            };
        }
        delivered
    }
}

/// A folder in memory, where a commit takes no time.
fn memory() -> &'static str {
    if std::path::Path::new("/dev/shm").is_dir() {
        "/dev/shm"
    } else {
        "/tmp"
    }
}
