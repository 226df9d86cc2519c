//! Resolves host names to addresses that may be called, and to nothing else.
//!
//! The client connects to the very addresses that were checked: a name that leads somewhere else a moment later is
//! checked a moment later.

use core::net::{IpAddr, SocketAddr};
use std::io;
use std::sync::Arc;

use evenstock_domain::{Forbidden, Guard};
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Asks for the addresses of a name.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a host.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// Asks the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// A resolver that refuses a name as soon as one of its addresses is not to be called.
#[derive(Clone)]
pub(crate) struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    guard: Guard,
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the host cannot be resolved")]
    Unresolved(#[source] io::Error),
    #[error("the host has no address")]
    NoAddress,
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

impl GuardedResolver {
    pub(crate) fn new(lookup: Arc<dyn Lookup>, guard: Guard) -> Self {
        Self { lookup, guard }
    }

    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let addresses = self.lookup.lookup(host.to_owned()).await.map_err(ResolveError::Unresolved)?;
        if addresses.is_empty() {
            return Err(ResolveError::NoAddress);
        }
        addresses.iter().try_for_each(|address| self.guard.check(*address))?;
        Ok(addresses)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            // Port 0 stands for the port of the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
