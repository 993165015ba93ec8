//! Sends the reports of the spool in order, until each is accepted or refused.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::clock::Now;
use crate::sink::{Outcome, Sink, SinkClock};
use crate::spool::Spool;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_mins(1);
/// How long to wait for a word that there is something to send.
const IDLE: Duration = Duration::from_mins(1);
/// How long sending may go on after the request to stop.
pub const LAST_SENDS: Duration = Duration::from_secs(10);

/// A word to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    Reports,
    /// Send what can be sent, and end.
    Stop,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Idle,
    Accepted,
    SetAside,
    Failed { retry_after: Option<Duration> },
}

/// Sends the report that waits longest, and stores what became of it.
pub fn send_next(spool: &mut Spool, sink: &mut dyn Sink) -> Result<Step> {
    let Some(entry) = spool.next_entry()? else {
        return Ok(Step::Idle);
    };
    let outcome = sink.send(&entry);
    let now_ms = Now::read().wall_ms;
    let id = entry.report_id;
    Ok(match outcome {
        Outcome::Accepted => {
            spool.accepted(&entry, now_ms)?;
            tracing::debug!(%id, lines = entry.lines, "the report was accepted");
            Step::Accepted
        }
        Outcome::Refused { status, reason } => {
            spool.set_aside(&entry, status, &reason, now_ms)?;
            tracing::error!(%id, reason, "the report was refused and set aside; see `status`");
            Step::SetAside
        }
        Outcome::Failed {
            reason,
            token_rejected,
            retry_after,
        } => {
            spool.failed(&reason, token_rejected, now_ms)?;
            if token_rejected {
                tracing::error!(reason, "the receiver rejects the token; nothing is sent");
            } else {
                tracing::warn!(reason, "cannot send; the report is kept");
            }
            Step::Failed { retry_after }
        }
    })
}

/// Sends until it is asked to stop.
#[derive(Debug)]
pub struct Sender<S: ?Sized> {
    pub spool: Spool,
    pub clock: SinkClock,
    pub wakes: Receiver<Wake>,
    /// When sending ends, once it was asked to.
    pub stop_at: Option<Instant>,
    pub sink: Box<S>,
}

/// How long to wait for the next step.
#[derive(Debug, Clone, Copy)]
struct Wait {
    time: Duration,
    /// Whether new reports end the wait.
    until_reports: bool,
}

impl Wait {
    fn after(step: Result<Step>, delay: &mut Duration) -> Self {
        let time = match step {
            Ok(Step::Failed { retry_after }) => retry_after.unwrap_or_default().max(*delay),
            Ok(_) => {
                *delay = FIRST_DELAY;
                return Self {
                    time: IDLE,
                    until_reports: true,
                };
            }
            Err(error) => {
                tracing::error!("cannot use the spool: {error:#}");
                *delay
            }
        };
        *delay = (*delay * 2).min(MAX_DELAY);
        Self {
            time,
            until_reports: false,
        }
    }
}

impl Sender<dyn Sink> {
    pub fn run(mut self) {
        let mut delay = FIRST_DELAY;
        while self.stop_at.is_none() {
            if self.clock.now_ms().is_none() {
                self.sink.probe();
            }
            let step = self.send_all();
            let wait = Wait::after(step, &mut delay);
            self.sleep(wait);
        }
        if let Err(error) = self.send_all() {
            tracing::error!("cannot use the spool: {error:#}");
        }
    }

    /// Sends until the spool is empty, a request fails or the time is over.
    fn send_all(&mut self) -> Result<Step> {
        loop {
            match send_next(&mut self.spool, &mut *self.sink)? {
                Step::Accepted | Step::SetAside => {}
                step => return Ok(step),
            }
            if self.wakes.try_iter().any(|wake| wake == Wake::Stop) {
                self.stop();
            }
            if self
                .stop_at
                .is_some_and(|stop_at| Instant::now() >= stop_at)
            {
                return Ok(Step::Idle);
            }
        }
    }

    fn sleep(&mut self, wait: Wait) {
        let until = Instant::now() + wait.time;
        while self.stop_at.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            match self.wakes.recv_timeout(left) {
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => self.stop(),
                Ok(Wake::Reports) if wait.until_reports => return,
                Ok(Wake::Reports) => {}
                Err(RecvTimeoutError::Timeout) => return,
            }
        }
    }

    fn stop(&mut self) {
        self.stop_at.get_or_insert(Instant::now() + LAST_SENDS);
    }
}
