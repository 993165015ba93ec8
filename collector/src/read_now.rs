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
    let until = Instant::now() + WAIT;
    // The first round that ends may have read before the signal. The second one has not.
    for _ in 0..2 {
        let before = rounds(config)?;
        kill_process(holder, Signal::USR1).context("Cannot signal the collector")?;
        while rounds(config)? == before {
            if Instant::now() >= until {
                bail!(
                    "The collector did not read within {} seconds",
                    WAIT.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

fn rounds(config: &Config) -> Result<i64> {
    let spool = Spool::open_read_only(&config.spool, config.server_id)?;
    let spool = spool.context("The collector has not stored anything yet")?;
    spool.rounds()
}
