//! Ports of this machine.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

/// A port nobody listens on now. Another program may still take it before it is used.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("This machine has no free port left")?;
    Ok(listener.local_addr()?.port())
}

/// An error that says what to do if `port` cannot be listened on. `used_for` is what it is wanted
/// for, `how` the way to choose another one.
pub fn check_port(port: u16, used_for: &str, how: &str) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!(
                "Port {port} on 127.0.0.1, wanted for {used_for}, is taken by another program. \
                 Choose another one with {how}."
            )
        }
        Err(error) => bail!(
            "Port {port} on 127.0.0.1, wanted for {used_for}, cannot be used ({error}). Choose \
             another one with {how}."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_way_out() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let message = check_port(port, "the database", "--pg-port")
            .unwrap_err()
            .to_string();
        assert!(message.contains(&port.to_string()), "{message}");
        assert!(message.contains("--pg-port"), "{message}");
    }

    #[test]
    fn a_free_port_can_be_used() {
        check_port(free_port().unwrap(), "anything", "--port").unwrap();
    }
}
