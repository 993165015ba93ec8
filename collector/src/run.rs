//! The command `run`: a thread reads, a thread sends, and a thread serves metrics.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender as Channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::config::Config;
use crate::metrics;
use crate::reader::{Reader, Settings};
use crate::sender::{LAST_SENDS, Sender, Wake};
use crate::sink::{SinkClock, TIMEOUT, open};
use crate::spool::{Lock, Spool};

/// A word to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Read,
    Stop,
}

/// Runs until SIGTERM or SIGINT.
pub fn run(config: Config, path: &Path) -> Result<()> {
    let Config {
        server_id, spool, ..
    } = &config;
    // Before anything else, so that no signal is missed. Ends with the process.
    let orders = orders()?;
    let database = Spool::open(spool, *server_id)?;
    let _lock = Lock::take(spool)?;
    if let Some(address) = config.metrics_listen {
        metrics::serve(address, path.to_owned())?;
    }
    let clock = SinkClock::default();
    let (wakes, sender) = start_sender(&config, clock.clone())?;
    let read_every = config.read_every;
    tracing::info!(server_id, sources = config.sources.len(), "started");
    let settings = Settings {
        sources: config.sources,
        names: config.names,
        report_every: config.report_every,
        max_bytes: config.spool_max_bytes,
        clock,
    };
    let mut reader = Reader::new(database, settings)?;
    read_until_stopped(&mut reader, read_every, &orders, &wakes, &sender)?;
    stop(&mut reader, &wakes, &sender);
    Ok(())
}

fn orders() -> Result<Receiver<Order>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1]).context("Cannot handle signals")?;
    let (send, orders) = mpsc::channel();
    let forward = move || {
        for signal in signals.forever() {
            let order = if signal == SIGUSR1 {
                Order::Read
            } else {
                Order::Stop
            };
            if send.send(order).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(forward)?;
    Ok(orders)
}

fn start_sender(config: &Config, clock: SinkClock) -> Result<(Channel<Wake>, JoinHandle<()>)> {
    let (wakes, receiver) = mpsc::channel();
    let sender = Sender {
        spool: Spool::open(&config.spool, config.server_id)?,
        sink: open(&config.sink, clock.clone())?,
        clock,
        wakes: receiver,
        stop_at: None,
    };
    let thread = thread::Builder::new().name("sender".to_owned());
    Ok((wakes, thread.spawn(move || sender.run())?))
}

fn read_until_stopped(
    reader: &mut Reader,
    every: Duration,
    orders: &Receiver<Order>,
    wakes: &Channel<Wake>,
    sender: &JoinHandle<()>,
) -> Result<()> {
    let mut next = Instant::now();
    loop {
        round(reader, wakes, false);
        if sender.is_finished() {
            bail!("the thread that sends has ended");
        }
        // A round that took longer than the interval is followed by the next one at once.
        next = (next + every).max(Instant::now());
        match orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Order::Read) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::Stop) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => bail!("the thread of the signals has ended"),
        }
    }
}

/// If a round fails, the last values are those of before, so the next round counts all the same.
fn round(reader: &mut Reader, wakes: &Channel<Wake>, last: bool) {
    match reader.round(last) {
        // The caller finds out if the sender has ended.
        Ok(true) => wakes.send(Wake::Reports).unwrap_or_default(),
        Ok(false) => {}
        Err(error) => tracing::error!("cannot store the readings: {error:#}"),
    }
}

/// Reads once more, and sends for a bounded time.
fn stop(reader: &mut Reader, wakes: &Channel<Wake>, sender: &JoinHandle<()>) {
    tracing::info!("stopping");
    round(reader, wakes, true);
    if wakes.send(Wake::Stop).is_err() {
        return;
    }
    // A request may be under way. What it sends is sent again at the next start.
    let until = Instant::now() + LAST_SENDS + TIMEOUT.min(Duration::from_secs(5));
    while !sender.is_finished() && Instant::now() < until {
        thread::park_timeout(Duration::from_millis(20));
    }
}
