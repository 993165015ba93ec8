//! Runs the simulator in the background of a synchronous program: in a thread with its own runtime.

use std::fmt;
use std::path::PathBuf;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail};
use shared::clock::System;
use tokio::sync::watch;

use super::account::Account;
use super::collector::SqsSink;
use super::fleet::Fleet;
use super::node::{self, Accesses, HttpPanel, Network, Nodes};
use super::simulator::{self, Options, Simulator};
use super::visitor::StatusFile;
use crate::progress::{note, step};

/// Of a hundred pushes of nodes, how many lose the request. As many lose the response.
const LOST_PERCENT: u32 = 3;

/// What reports usage: collectors over the queue, and nodes over HTTP.
pub struct Reporters {
    pub fleet: Fleet,
    pub options: Options,
    pub sink: SqsSink,
    pub panel: HttpPanel,
    pub accesses: Accesses,
    pub status_file: StatusFile,
    pub account: PathBuf,
    pub node_account: PathBuf,
}

/// What collectors and nodes sent until the simulator was stopped.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    collectors: simulator::Totals,
    nodes: node::Totals,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. Nodes: {}", self.collectors, self.nodes)
    }
}

impl Reporters {
    fn run(self, stop: &watch::Receiver<bool>) -> Result<Totals> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let account = Account::open(&self.account)?;
        let collectors = Simulator::new(self.options, account, self.sink, &System, stop.clone());
        let way = (self.panel, Network::new(self.fleet.seed, LOST_PERCENT));
        let token = |server| self.accesses.token(server).map(str::to_owned);
        let nodes = Nodes::open(&self.fleet, token, &self.node_account, way, &System)?;
        runtime.block_on(async {
            let (collectors, nodes, ()) = tokio::try_join!(
                collectors.run(&self.fleet),
                nodes.run(stop.clone()),
                self.status_file.grow(stop.clone())
            )?;
            Ok(Totals { collectors, nodes })
        })
    }
}

#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Result<Totals>>>,
}

impl Running {
    /// Opens the accounts and starts to send.
    pub fn start(reporters: Reporters) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("simulator".to_owned())
            .spawn(move || reporters.run(&stopped))?;
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
