//! Addresses of receivers. Each connection is made to an address that was checked, so a name that
//! changes its address afterwards makes no difference.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::webhook::address::is_public;
use crate::domain::webhook::url::Receivers;

/// A source of the addresses of a host.
#[async_trait]
pub trait Lookup: Send + Sync + std::fmt::Debug + 'static {
    /// Returns all addresses of a host.
    async fn addresses(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Why a host has no address for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// The name is not known.
    #[error("the host has no address")]
    Unknown,
    /// One of the addresses is not public.
    #[error("the host has an address that is not public")]
    Forbidden,
}

/// Resolves the hosts of receivers to addresses that the deployment allows.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Where the addresses of a host come from.
    pub lookup: Arc<dyn Lookup>,
    /// Which receivers are allowed.
    pub receivers: Receivers,
}

impl Addresses {
    /// Returns the addresses of a host. If one of them is forbidden, so are all, because an
    /// attacker could add a public one.
    pub async fn of(&self, host: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let found = self.lookup.addresses(host).await;
        let found = found.map_err(|_| NoAddress::Unknown)?;
        if found.is_empty() {
            return Err(NoAddress::Unknown);
        }
        let is_allowed = |address: &IpAddr| self.receivers == Receivers::Any || is_public(*address);
        if found.iter().all(is_allowed) {
            Ok(found)
        } else {
            Err(NoAddress::Forbidden)
        }
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone();
        Box::pin(async move {
            let found = addresses.of(name.as_str()).await?;
            // The client replaces the port by that of the URL.
            let found = found.into_iter().map(|address| SocketAddr::new(address, 0));
            let found: Addrs = Box::new(found);
            Ok(found)
        })
    }
}
