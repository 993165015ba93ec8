//! Lets Docker containers reach services on this machine's loopback address.
//!
//! PostgreSQL and the emulator listen on 127.0.0.1. While a command needs them, their ports are
//! also open on the address of Docker's bridge, which is not reachable from outside the machine.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::loopback::{Background, background};
use crate::process::{output, succeeds};

/// The name by which Docker Desktop's containers reach the loopback address of their host.
const DESKTOP_HOST: &str = "host.docker.internal";

/// Returns an error that says what to do if no Docker engine is running.
pub fn check_engine() -> Result<()> {
    let mut info = Command::new("docker");
    info.args(["info", "--format", "{{.ServerVersion}}"]);
    output(&mut info, "reach the Docker engine").context(
        "Docker is not running, and functions in containers need it. Start it (`sudo systemctl \
         start docker`), or use `make up`, which does not need Docker.",
    )?;
    Ok(())
}

/// Whether the engine has already pulled an image.
#[must_use]
pub fn has_image(name: &str) -> bool {
    succeeds(Command::new("docker").args(["image", "inspect", name]))
}

/// Access from containers to ports of the loopback address. Dropping it closes the access.
#[derive(Debug)]
pub struct HostAccess {
    /// Host name or address of this machine for containers.
    pub host: String,
    _runtime: Background,
}

impl HostAccess {
    /// Opens `ports` to the containers of the default bridge.
    pub fn open(ports: &[u16]) -> Result<Self> {
        let bridge = bridge_address()?;
        let runtime = background()?;
        for port in ports {
            let address = SocketAddr::from((bridge, *port));
            match runtime.block_on(TcpListener::bind(address)) {
                Ok(listener) => drop(runtime.spawn(forward(listener, *port))),
                // With Docker Desktop, the bridge is inside a virtual machine.
                Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                    return Ok(Self {
                        host: DESKTOP_HOST.to_owned(),
                        _runtime: runtime,
                    });
                }
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("Cannot listen on {address} for containers"));
                }
            }
        }
        Ok(Self {
            host: bridge.to_string(),
            _runtime: runtime,
        })
    }
}

async fn forward(listener: TcpListener, port: u16) {
    while let Ok((mut outside, _)) = listener.accept().await {
        tokio::spawn(async move {
            if let Ok(mut inside) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                // Either end may close the connection at any time.
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            }
        });
    }
}

/// This machine's address on Docker's default bridge.
fn bridge_address() -> Result<Ipv4Addr> {
    let mut inspect = Command::new("docker");
    inspect.args(["network", "inspect", "bridge"]);
    inspect.args(["--format", "{{json .IPAM.Config}}"]);
    let networks = output(&mut inspect, "inspect Docker's default network")?;
    address_of(&networks).with_context(|| {
        format!(
            "Docker's default network has no address: {}",
            networks.trim()
        )
    })
}

/// Returns the gateway. If it is missing, returns the first address of the network, which Docker
/// uses as the gateway.
fn address_of(networks: &str) -> Result<Ipv4Addr> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Network {
        gateway: Option<String>,
        subnet: Option<String>,
    }
    let address = |network: &Network| {
        let gateway = network.gateway.as_ref().and_then(|ip| ip.parse().ok());
        gateway.or_else(|| {
            let (subnet, _) = network.subnet.as_ref()?.split_once('/')?;
            let subnet: Ipv4Addr = subnet.parse().ok()?;
            Some(Ipv4Addr::from_bits(subnet.to_bits().saturating_add(1)))
        })
    };
    let networks: Vec<Network> = serde_json::from_str(networks)?;
    let found = networks.iter().find_map(address);
    found.context("there is no IPv4 network")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_address_is_the_gateway_or_the_first_of_the_subnet() {
        let with_gateway = r#"[{"Subnet":"172.17.0.0/16","Gateway":"172.17.0.5"}]"#;
        assert_eq!(address_of(with_gateway).unwrap().to_string(), "172.17.0.5");
        let without_gateway = r#"[{"Subnet":"fd00::/80"},{"Subnet":"172.18.0.0/16"}]"#;
        assert_eq!(
            address_of(without_gateway).unwrap().to_string(),
            "172.18.0.1"
        );
        assert!(address_of("[]").is_err());
    }
}
