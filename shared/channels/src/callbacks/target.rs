//! Which URLs callbacks may go to, as far as the text says it. Host names are for the resolver to judge.

use core::net::IpAddr;

use evenstock_app::InvalidTarget;
use evenstock_domain::Guard;
use reqwest::Url;

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// The greatest port that belongs to a service of the system.
const SYSTEM_PORT_MAX: u16 = 1023;

/// A URL that may be called, if its host may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// Reads a URL. Addresses in it, in whatever notation, are judged at once.
    ///
    /// # Errors
    /// [`InvalidTarget`].
    pub fn parse(text: &str, guard: Guard) -> Result<Self, InvalidTarget> {
        if text.len() > URL_BYTES_MAX {
            return Err(InvalidTarget::TooLong);
        }
        let url = Url::parse(text).map_err(|_| InvalidTarget::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(InvalidTarget::NotHttp);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTarget::Credentials);
        }
        if url.fragment().is_some() {
            return Err(InvalidTarget::Fragment);
        }
        match url.port_or_known_default() {
            Some(80 | 443) => {}
            Some(port) if port > SYSTEM_PORT_MAX => {}
            _ => return Err(InvalidTarget::Port),
        }
        let target = Self(url);
        match target.address() {
            Some(address) => guard.check(address).map(|()| target).map_err(|_| InvalidTarget::Forbidden),
            None => Ok(target),
        }
    }

    /// The URL as it is called.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// The name to resolve; `None` when the host is an address.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.host_str().filter(|_| self.address().is_none())
    }

    /// The address that stands for the host. The URL's own rules have already turned `0x7f.1` and `2130706433` into
    /// `127.0.0.1`.
    fn address(&self) -> Option<IpAddr> {
        let host = self.0.host_str()?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        bare.parse().ok()
    }
}
