//! The simulator beside a program that knows nothing of async: a thread with a runtime of its own.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use shared::clock::System;
use tokio::sync::watch;

use super::account::Account;
use super::collector::SqsSink;
use super::fleet::Fleet;
use super::simulator::{Options, Simulator, Totals};

/// A simulator at work.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    totals: Arc<Mutex<Totals>>,
    thread: Option<JoinHandle<Result<Totals>>>,
}

impl Running {
    /// Starts it: opens the account at `account`, then sends to the queue of an emulator at
    /// `endpoint`.
    pub fn start(
        fleet: Fleet,
        options: Options,
        account: &Path,
        queue_url: String,
        endpoint: String,
    ) -> Result<Self> {
        let account = Account::open(account)?;
        let (stop, stopped) = watch::channel(false);
        let totals = Arc::new(Mutex::new(Totals::default()));
        let shown = Arc::clone(&totals);
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let sink = SqsSink::emulator(queue_url, &endpoint);
            let simulator = Simulator::new(options, account, sink, &System, stopped);
            let progress =
                |totals: &Totals| *shown.lock().unwrap_or_else(PoisonError::into_inner) = *totals;
            runtime.block_on(simulator.run(&fleet, progress))
        };
        let thread = std::thread::Builder::new()
            .name("simulator".to_owned())
            .spawn(work)?;
        Ok(Self {
            stop,
            totals,
            thread: Some(thread),
        })
    }

    /// What was done so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has ended, by itself or because it was stopped.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Tells it to stop, waits until what is under way is finished, and answers what was done.
    pub fn stop(&mut self) -> Result<Totals> {
        // Nobody listens any more: it has ended.
        let _ = self.stop.send(true);
        let thread = self
            .thread
            .take()
            .context("the simulator was stopped before")?;
        thread
            .join()
            .map_err(|_| anyhow!("the simulator panicked"))?
    }
}
