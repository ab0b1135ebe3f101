//! What a client can be told.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::BuildError;

/// How to reach the outside.
#[derive(Clone)]
pub struct Settings {
    /// What the far side is called in metrics; empty: it is not counted.
    pub name: String,
    /// The proxy for everything that leaves: `http://`, `https://` or `socks5://`, a user name and
    /// password in it where the proxy wants them. The environment's proxy variables have no say.
    pub proxy: Option<Url>,
    /// Hosts, domains and networks that are reached without the proxy: `.intern, 10.0.0.0/8`.
    pub no_proxy: String,
    /// PEM files with certificate authorities to trust beside the system's.
    pub extra_ca_files: Vec<PathBuf>,
    /// Whether the system's certificate authorities are trusted.
    pub system_roots: bool,
    /// The certificate that this client shows, and its key: PEM files.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Addresses for host names whose ordinary ones must not be used: a gate that stands in for
    /// the CRM's own host name would otherwise call itself.
    pub resolve: BTreeMap<String, Vec<SocketAddr>>,
    /// Which addresses host names may lead to; all of them without. An address that stands in a URL
    /// itself, and what a proxy reaches, are not looked at.
    pub may_reach: Option<fn(IpAddr) -> bool>,
    /// The time for name resolution, TCP and TLS together. What fails in it was not sent.
    pub connect_timeout: Duration,
    /// The time until the head of the answer has come, connecting included.
    pub timeout: Duration,
    /// How long an answer's body may stand still.
    pub body_idle_timeout: Duration,
    /// How long an unused connection is kept. Shorter than the far side's own limit, or writes
    /// meet connections that close under them and end as unknown.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept per host.
    pub pool_max_idle_per_host: usize,
    /// Whether HTTP/2 is offered. Off by default: on one shared connection a single reset makes
    /// the outcome of every write on it unknown.
    pub http2: bool,
    /// The `User-Agent` of requests that carry none.
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            proxy: None,
            no_proxy: String::new(),
            extra_ca_files: Vec::new(),
            system_roots: true,
            client_certificate: None,
            resolve: BTreeMap::new(),
            may_reach: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(100),
            body_idle_timeout: Duration::from_secs(60),
            pool_idle_timeout: Duration::from_secs(20),
            pool_max_idle_per_host: 256,
            http2: false,
            user_agent: concat!("crmgate/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        // A time-out can only be called "not sent" when connecting has its own, shorter limit.
        if self.connect_timeout >= self.timeout {
            return Err(BuildError::Setting {
                name: "connect_timeout",
                expected: format!("a time shorter than `timeout` ({:?})", self.timeout),
            });
        }
        for (name, value) in [
            ("connect_timeout", self.connect_timeout),
            ("body_idle_timeout", self.body_idle_timeout),
        ] {
            if value.is_zero() {
                return Err(BuildError::Setting {
                    name,
                    expected: "a time above zero".to_owned(),
                });
            }
        }
        if let Some(proxy) = &self.proxy
            && !matches!(proxy.scheme(), "http" | "https" | "socks5" | "socks5h")
        {
            return Err(BuildError::Setting {
                name: "proxy",
                expected: "a URL that begins with `http://`, `https://`, `socks5://` or \
                           `socks5h://`"
                    .to_owned(),
            });
        }
        Ok(())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's URL may hold its password.
        let proxy = self
            .proxy
            .as_ref()
            .map(|url| url.host_str().unwrap_or("?").to_owned());
        f.debug_struct("Settings")
            .field("proxy", &proxy)
            .field("no_proxy", &self.no_proxy)
            .field("extra_ca_files", &self.extra_ca_files)
            .field("system_roots", &self.system_roots)
            .field("resolve", &self.resolve)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("http2", &self.http2)
            .finish_non_exhaustive()
    }
}
