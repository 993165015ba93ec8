//! Runs the simulator in the background of a synchronous program: in a thread with its own runtime.

use std::path::Path;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail};
use shared::clock::System;
use tokio::sync::watch;

use super::account::Account;
use super::collector::SqsSink;
use super::fleet::Fleet;
use super::simulator::{Options, Simulator, Totals};
use crate::progress::{note, step};

#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Result<Totals>>>,
}

impl Running {
    /// Opens the account at `account` and starts to send to `sink`.
    pub fn start(fleet: Fleet, options: Options, account: &Path, sink: SqsSink) -> Result<Self> {
        let account = Account::open(account)?;
        let (stop, stopped) = watch::channel(false);
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let simulator = Simulator::new(options, account, sink, &System, stopped);
            runtime.block_on(simulator.run(&fleet))
        };
        let thread = std::thread::Builder::new()
            .name("simulator".to_owned())
            .spawn(work)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Returns an error if the simulator has ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            let totals = self.finish()?;
            bail!("The simulator has ended by itself: {totals}");
        }
        Ok(())
    }

    /// Stops the simulator, waits until the sends in progress are complete, and prints the totals.
    pub fn stop(&mut self) {
        match step("Stopping the simulator", || self.finish()) {
            Ok(totals) => note(&totals.to_string()),
            Err(error) => note(&format!("The simulator failed: {error:#}")),
        }
    }

    fn finish(&mut self) -> Result<Totals> {
        // Sending fails if the simulator has ended.
        let _ = self.stop.send(true);
        let thread = self
            .thread
            .take()
            .context("The simulator was already stopped")?;
        thread
            .join()
            .map_err(|_| anyhow!("The simulator panicked"))?
    }
}
