//! The sections `[[source]]`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::raw::{Kind, RawSource};

/// The default command for WireGuard. It shows the interfaces of this network namespace.
pub const WG_COMMAND: [&str; 4] = ["wg", "show", "all", "transfer"];

/// A source of counters.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// Identifies the stored counters.
    pub name: String,
    pub node_client_id: Option<i32>,
    pub ignore: Vec<String>,
    pub service: Service,
}

/// How a source is read.
#[derive(Clone, PartialEq, Eq)]
pub enum Service {
    Stats {
        address: String,
        /// The package of the service in gRPC: `v2ray.core` or `xray`.
        package: &'static str,
    },
    Hysteria {
        address: String,
        secret: Option<String>,
        process: Option<String>,
    },
    Wireguard {
        command: Vec<String>,
        interface: Option<String>,
    },
    Openvpn {
        path: PathBuf,
    },
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.identity())
    }
}

impl Service {
    /// What identifies the counters behind the name of a source. If it changes, the next reading is
    /// a first one.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Stats { address, .. } => format!("stats {address}"),
            Self::Hysteria { address, .. } => format!("hysteria2 {address}"),
            Self::Wireguard { command, interface } => {
                let interface = interface.as_deref().unwrap_or("all");
                format!("wireguard {interface} {}", command.join(" "))
            }
            Self::Openvpn { path } => format!("openvpn {}", path.display()),
        }
    }
}

impl RawSource {
    /// `number` counts the sections from 1.
    pub fn validate(self, number: usize) -> Result<SourceConfig> {
        let kind = self.kind.text();
        let name = self.name.clone().unwrap_or_else(|| kind.to_owned());
        let place = format!("[[source]] number {number} ({kind})");
        self.check_keys().with_context(|| place.clone())?;
        ensure!(
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)),
            "{place}: `name` is \"{name}\"; accepted: letters, digits, \"-\", \"_\" and \".\""
        );
        Ok(SourceConfig {
            name,
            node_client_id: self.node_client_id,
            ignore: self.ignore.clone(),
            service: self.service().with_context(|| place)?,
        })
    }

    fn check_keys(&self) -> Result<()> {
        let keys = [
            ("address", self.address.is_some()),
            ("secret", self.secret.is_some()),
            ("secret_file", self.secret_file.is_some()),
            ("process", self.process.is_some()),
            ("command", self.command.is_some()),
            ("interface", self.interface.is_some()),
            ("path", self.path.is_some()),
        ];
        let accepted = self.kind.keys();
        for (key, given) in keys {
            ensure!(
                !given || accepted.contains(&key),
                "`{key}` does not belong to this kind; accepted: name, node_client_id, ignore, {}",
                accepted.join(", ")
            );
        }
        Ok(())
    }

    fn service(self) -> Result<Service> {
        Ok(match self.kind {
            Kind::V2ray => Service::Stats {
                address: address(self.address)?,
                package: "v2ray.core",
            },
            Kind::Xray => Service::Stats {
                address: address(self.address)?,
                package: "xray",
            },
            Kind::Hysteria2 => Service::Hysteria {
                address: address(self.address)?,
                secret: secret(self.secret, self.secret_file)?,
                process: self.process,
            },
            Kind::Wireguard => Service::Wireguard {
                command: command(self.command)?,
                interface: self.interface,
            },
            Kind::Openvpn => Service::Openvpn {
                path: self.path.filter(|path| path.is_absolute()).context(
                    "`path` is missing or relative; expected the file of `status` in \
                              OpenVPN's configuration, such as /run/openvpn/status.log",
                )?,
            },
        })
    }
}

fn address(address: Option<String>) -> Result<String> {
    let example = "expected HOST:PORT, such as 127.0.0.1:10085";
    let address = address.with_context(|| format!("`address` is missing; {example}"))?;
    let parsed: Option<http::uri::Authority> = address.parse().ok();
    let port = parsed.as_ref().and_then(http::uri::Authority::port_u16);
    ensure!(
        port.is_some() && !address.contains('@'),
        "`address` is \"{address}\"; {example}"
    );
    Ok(address)
}

fn secret(text: Option<String>, file: Option<PathBuf>) -> Result<Option<String>> {
    let Some(file) = file else {
        return Ok(text);
    };
    ensure!(
        text.is_none(),
        "expected either `secret` or `secret_file`, not both"
    );
    let secret = fs::read_to_string(&file);
    let secret = secret.with_context(|| format!("`secret_file` {}", file.display()))?;
    Ok(Some(secret.trim().to_owned()))
}

fn command(command: Option<Vec<String>>) -> Result<Vec<String>> {
    let Some(command) = command else {
        return Ok(WG_COMMAND.map(str::to_owned).to_vec());
    };
    ensure!(
        command.first().is_some_and(|program| !program.is_empty()),
        "`command` is empty; expected a list such as [\"wg\", \"show\", \"all\", \"transfer\"]"
    );
    Ok(command)
}
