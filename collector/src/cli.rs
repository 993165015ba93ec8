//! The command line.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use uuid::Uuid;

use crate::check::check;
use crate::clock::Now;
use crate::config::Config;
use crate::read_now::read_now;
use crate::run::run;
use crate::spool::Spool;
use crate::status::status;

/// Reads the traffic counters of a node and reports each byte exactly once.
///
/// The collector reads V2Ray, Xray, Hysteria 2, WireGuard and OpenVPN without resetting their
/// counters. It stores what they counted in a spool on this machine, and sends reports to the
/// telecom system until each is accepted. It may be killed at any time.
#[derive(Debug, Parser)]
#[command(name = "telecom-collector", version, after_long_help = HELP)]
pub struct Cli {
    /// The configuration file to read.
    #[arg(
        long,
        global = true,
        default_value = "/etc/telecom-collector/config.toml"
    )]
    config: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read and send until SIGTERM or SIGINT. SIGUSR1 reads at once.
    Run,
    /// Read the sources once and print what would be reported. Changes nothing.
    Check,
    /// Print the state of the spool, the sources and the sending.
    Status {
        /// Print JSON. Instants are milliseconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Ask the running collector to read now, and wait until it has stored the reading. Meant for
    /// the `ExecStop=` of the node software, whose counters end with it.
    Read,
    /// Queue reports that the receiver refused again, unchanged: one, or all.
    Requeue {
        /// The report, as `status` prints it.
        report_id: Option<Uuid>,
    },
}

const HELP: &str = r#"Configuration:
  server_id = 7                      # required: the id of this node server
  spool = "/var/lib/telecom-collector"
  spool_max_mib = 512                # when full, nothing is read; counters go on counting
  read_seconds = 10                  # 0.05 to 60
  report_seconds = 60                # read_seconds to 3600
  metrics_listen = "127.0.0.1:9464"  # Prometheus; off by default
  log = "info"                       # error, warn, info, debug
  users_file = "/etc/telecom-collector/users.csv"  # name,user[,node_client_id]

  [sink]
  url = "https://telecom.example"    # POST {url}/v1/usage-reports
  token_file = "/etc/telecom-collector/token"      # or: token = "..."
  ca_file = "/etc/telecom-collector/ca.pem"        # instead of the public authorities
  # queue_url = "https://sqs..."     # instead of url; only if built with the feature sqs

  [users]                            # for names that are not a user's UUID or UUID|CLIENT
  "alice" = "7d0f3a52-7c52-4c0e-8f5a-0d3f6f1f0a01|19"

  [[source]]                         # one section per source
  kind = "xray"                      # v2ray, xray: address
  address = "127.0.0.1:10085"        # hysteria2: address, secret or secret_file, process
  name = "xray"                      # wireguard: command, interface
  node_client_id = 19                # openvpn: path
  ignore = ["probe@example"]         # names that are never reported

Exit codes:
  0  success; of check and status also: nothing needs attention
  1  failure
  2  wrong arguments
  3  of check and status: a source cannot be read, a name is unknown, a report was refused, nothing
     can be sent, or the collector is not running"#;

/// The exit code if something needs attention.
const ATTENTION: u8 = 3;

impl Cli {
    pub fn execute(self) -> Result<ExitCode> {
        let config = Config::read(&self.config)?;
        let mut out = io::stdout().lock();
        let well = match self.command {
            Command::Run => {
                drop(out);
                log(&config);
                run(config, &self.config)?;
                true
            }
            Command::Check => check(config, &mut out)?,
            Command::Status { json } => status(&config, json, &mut out)?,
            Command::Read => {
                read_now(&config)?;
                true
            }
            Command::Requeue { report_id } => {
                let mut spool = Spool::open(&config.spool, config.server_id)?;
                let queued = spool.requeue(report_id, Now::read().wall_ms)?;
                writeln!(out, "{queued} reports are queued again")?;
                true
            }
        };
        Ok(if well {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(ATTENTION)
        })
    }
}

/// Logs to standard error. The journal adds the time.
fn log(config: &Config) {
    tracing_subscriber::fmt()
        .with_max_level(config.log)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
}
