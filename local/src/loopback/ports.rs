//! The choice of ports on 127.0.0.1.

use std::io::ErrorKind;
use std::iter;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Context, Result, bail};

/// Ports that the kernel does not give to outgoing connections, so that none of them takes the port
/// before it is used.
const CANDIDATES: Range<u16> = 10_000..32_000;
const ATTEMPTS: usize = 100;

/// Returns a port that is free now. Another program may take it before it is used.
pub fn free_port() -> Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    iter::repeat_with(|| rand::random_range(CANDIDATES))
        .take(ATTEMPTS)
        .find(is_free)
        .with_context(|| format!("None of {ATTEMPTS} random ports of this machine is free"))
}

/// Returns an error that says what to do if `port` is not available. `used_for` is the purpose of
/// the port, `how` the options that change it.
pub fn check_port(port: u16, used_for: &str, how: &str) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!(
                "Port {port} on 127.0.0.1, needed for {used_for}, is in use by another program. \
                 Choose another one with {how}."
            )
        }
        Err(error) => bail!(
            "Port {port} on 127.0.0.1, needed for {used_for}, cannot be used ({error}). Choose \
             another one with {how}."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_about_a_port_names_the_option_that_changes_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
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
