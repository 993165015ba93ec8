//! The command `read`: asks the running collector to read now, and waits until it has.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::config::Config;
use crate::spool::{Lock, Spool};

const WAIT: Duration = Duration::from_secs(10);

pub fn read_now(config: &Config) -> Result<()> {
    let holder = Lock::holder(&config.spool)?.and_then(Pid::from_raw);
    let holder = holder.context("No collector is running")?;
    let rounds = rounds(config)?;
    kill_process(holder, Signal::USR1).context("Cannot signal the collector")?;
    let until = Instant::now() + WAIT;
    // A round that was under way may have read before the signal, so two must end.
    while rounds_since(config, rounds)? < 2 {
        if Instant::now() >= until {
            bail!(
                "The collector did not read within {} seconds",
                WAIT.as_secs()
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn rounds(config: &Config) -> Result<i64> {
    let spool = Spool::open_read_only(&config.spool, config.server_id)?;
    let spool = spool.context("The collector has not stored anything yet")?;
    spool.rounds()
}

fn rounds_since(config: &Config, before: i64) -> Result<i64> {
    Ok(rounds(config)? - before)
}
