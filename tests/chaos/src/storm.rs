//! Causes the faults: cuts connections, kills processes and interrupts PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use strum::IntoEnumIterator as _;

use crate::cluster::{Cluster, Interruption};
use crate::proxy::{Armed, Fault, Link};
use crate::random::Random;
use crate::run::Run;

/// Prefix of the counts of faults of connections and processes.
pub const FAULT: &str = "fault: ";
/// Prefix of the counts of interruptions of PostgreSQL.
pub const RESTART: &str = "postgres: ";

/// Arms faults of random workers until the storm is over.
pub async fn cut_and_kill(run: Arc<Run>, links: Vec<Arc<Link>>, mut random: Random) -> Result<()> {
    let faults: Vec<Fault> = Fault::iter().collect();
    while run.is_storm() {
        tokio::time::sleep(run.plan.fault_every).await;
        for link in &links {
            tally(&run, link);
        }
        let Some(link) = random.pick(&links) else {
            continue;
        };
        if random.chance(50) {
            // This kill can happen at any time, not only between statements.
            link.kill();
            run.count(&format!("{FAULT}kill_any_time"));
        } else if !link.is_armed() {
            link.arm(random.pick(&faults).map(|&fault| armed(fault, &mut random)));
        }
    }
    for link in &links {
        link.arm(None);
        tally(&run, link);
    }
    Ok(())
}

fn armed(fault: Fault, random: &mut Random) -> Armed {
    let passes = if fault.is_at_boundary() {
        random.int(0..=1)
    } else {
        random.int(0..=14)
    };
    Armed {
        fault,
        passes: u32::try_from(passes).unwrap_or_default(),
        bytes: random.index(0..=100_000),
        stall: random.millis(100..=2_500),
    }
}

fn tally(run: &Run, link: &Link) {
    for fault in link.take_fired() {
        run.count(&format!("{FAULT}{fault}"));
    }
}

/// Number of kills and cuts so far.
pub fn cuts(run: &Run) -> u64 {
    let stalls: Vec<String> = Fault::iter()
        .filter(|fault| fault.is_stall())
        .map(|fault| format!("{FAULT}{fault}"))
        .collect();
    let counts = run.counts().into_iter();
    counts
        .filter(|(what, _)| what.starts_with(FAULT) && !stalls.contains(what))
        .map(|(_, count)| count)
        .sum()
}

/// Number of interruptions of PostgreSQL so far.
pub fn restarts(run: &Run) -> u64 {
    run.counts()
        .iter()
        .filter(|(what, _)| what.starts_with(RESTART))
        .map(|(_, count)| count)
        .sum()
}

/// Interrupts PostgreSQL until the storm is over. If the plan has failovers, every fourth
/// interruption is one.
pub async fn interrupt(run: Arc<Run>, cluster: Arc<Cluster>, mut random: Random) -> Result<()> {
    let mut standbys = 1;
    let mut has_standby = false;
    let mut rounds = 0_u32;
    loop {
        if run.plan.failovers && !has_standby && rounds % 4 == 1 {
            standbys += 1;
            let (cluster, number) = (Arc::clone(&cluster), standbys);
            tokio::task::spawn_blocking(move || cluster.add_standby(number)).await??;
            has_standby = true;
        }
        let pause = run
            .plan
            .restart_every
            .mul_f64(f64::from(u32::try_from(random.int(60..=140))?) / 100.0);
        wait(&run, pause).await;
        if !run.is_storm() {
            return Ok(());
        }
        let how = match random.int(0..=2) {
            _ if has_standby && rounds % 4 == 3 => Interruption::Failover,
            0 => Interruption::Fast,
            1 => Interruption::Immediate,
            _ => Interruption::Kill,
        };
        has_standby &= how != Interruption::Failover;
        run.outage_begins();
        let interrupted = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || interrupted.interrupt(how)).await??;
        run.outage_ends();
        run.count(&format!("{RESTART}{how}"));
        rounds += 1;
    }
}

async fn wait(run: &Run, pause: Duration) {
    let end = tokio::time::Instant::now() + pause;
    while run.is_storm() && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
