//! The areas of the configuration that are not about one connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crmgate_enforce::SlowSettings;
use crmgate_listen::ForwardedHeaders;
use ipnet::IpNet;
use url::Url;

use super::loading::Loading;
use super::section::Section;
use super::{Bundles, secret, value};

/// How crmgate tells what it does.
#[derive(Debug)]
pub(crate) struct Logging {
    pub(crate) format: LogFormat,
    /// A level or `tracing` filters.
    pub(crate) level: String,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    #[default]
    Pretty,
    Json,
}

impl Logging {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let words = [("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];
        let format = section.need("format", |v| value::word(v, &words));
        let level = section.need("level", |v| {
            let level = value::text(v)?;
            match tracing_subscriber::EnvFilter::try_new(&level) {
                Ok(_) => Ok(level),
                Err(error) => Err(format!(
                    "expected a level such as \"info\" or filters such as \
                     \"info,crmgate_gateway=debug\": {error}"
                )),
            }
        });
        section.finish();
        Self { format, level }
    }
}

/// Where policies come from.
#[derive(Debug)]
pub(crate) struct Policies {
    pub(crate) dir: PathBuf,
    pub(crate) watch: bool,
    pub(crate) time_limit: Duration,
    pub(crate) loading: Loading,
    pub(crate) slow: SlowSettings,
    pub(crate) bundles: Bundles,
}

impl Policies {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let dir = section.path("dir").unwrap_or_default();
        let watch = section.need("watch", value::flag);
        let time_limit = section.need("time_limit", value::duration);
        let loading = Loading::read(&mut section);
        let slow = super::loading::slow(&mut section);
        let bundles = Bundles::read(&mut section);
        section.finish();
        Self {
            dir,
            watch,
            time_limit,
            loading,
            slow,
            bundles,
        }
    }
}

/// A certificate with its key, as files that are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl TlsFiles {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let mut section = section.section("tls")?;
        let certificate = section.path("certificate");
        let key = section.path("key");
        for (name, found) in [("certificate", &certificate), ("key", &key)] {
            if found.is_none() {
                section.fault(name, "expected the path of a PEM file");
            }
        }
        section.finish();
        Some(Self {
            certificate: certificate?,
            key: key?,
        })
    }
}

/// An address to listen on, and who may stand before it.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// In which headers those proxies say who calls.
    pub(crate) forwarded: ForwardedHeaders,
}

impl Listen {
    /// Reads `listen`, `tls` and `trusted_proxies`.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let tls = TlsFiles::read(section);
        Self::with_tls(section, tls)
    }

    /// Reads `listen` and `trusted_proxies`.
    pub(super) fn with_tls(section: &mut Section<'_>, tls: Option<TlsFiles>) -> Option<Self> {
        let address = section.get("listen", value::socket);
        let trusted_proxies = section
            .get("trusted_proxies", |v| value::list(v, network))
            .unwrap_or_default();
        let words = [
            ("x_forwarded", ForwardedHeaders::XForwarded),
            ("forwarded", ForwardedHeaders::Forwarded),
        ];
        let forwarded = section.get("forwarded", |v| value::word(v, &words));
        let address = address?;
        // Tokens would cross the network for everyone to read.
        if tls.is_none() && trusted_proxies.is_empty() && !address.ip().is_loopback() {
            section.fault(
                "listen",
                format!(
                    "`{address}` is open to other machines without TLS: expected `tls`, or the \
                     proxy in front of it in `trusted_proxies`"
                ),
            );
        }
        Some(Self {
            address,
            tls,
            trusted_proxies,
            forwarded: forwarded.unwrap_or_default(),
        })
    }
}

fn network(v: &::config::Value) -> Result<IpNet, String> {
    let text = value::text(v)?;
    let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or(address).map_err(|_| {
        format!("expected an address or a network such as `10.0.0.0/8`, found `{text}`")
    })
}

/// The control API.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) listen: Option<Listen>,
    pub(crate) open_probes: bool,
}

impl Control {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let listen = Listen::read(&mut section);
        let open_probes = section.need("open_probes", value::flag);
        section.finish();
        Self {
            listen,
            open_probes,
        }
    }
}

/// The listener that connections share by host name.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) listen: Option<Listen>,
}

impl Gateway {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let listen = Listen::read(&mut section);
        section.finish();
        Self { listen }
    }
}

/// The listener for calls from outside.
#[derive(Debug)]
pub(crate) struct Ingress {
    pub(crate) listen: Option<Listen>,
}

impl Ingress {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let listen = Listen::read(&mut section);
        section.finish();
        Self { listen }
    }
}

/// How much, how many, how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) body: usize,
    pub(crate) headers: usize,
    pub(crate) connections: usize,
    pub(crate) requests: usize,
    pub(crate) operations: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) shutdown: Duration,
}

impl Limits {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let limits = Self {
            body: section.need("body", value::size),
            headers: section.need("headers", value::size),
            connections: section.need("connections", value::count),
            requests: section.need("requests", value::count),
            operations: section.need("operations", value::count),
            body_timeout: section.need("body_timeout", value::duration),
            idle_timeout: section.need("idle_timeout", value::duration),
            shutdown: section.need("shutdown", value::duration),
        };
        section.finish();
        limits
    }

    /// How long requests and calls under way have to end at shutdown: they end before the process
    /// does, which has something left to do after them.
    pub(crate) fn grace(&self) -> Duration {
        self.shutdown.mul_f64(0.8)
    }
}

/// How the outside is reached.
#[derive(Clone)]
pub(crate) struct Upstream(pub(crate) crmgate_outbound::Settings);

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Upstream {
    /// Reads the settings; what is not set comes from `general`.
    pub(super) fn read(mut section: Section<'_>, general: Option<&Self>) -> Self {
        let mut settings = general.map_or_else(Default::default, |general| general.0.clone());
        if let Some(proxy) = proxy(&mut section) {
            settings.proxy = Some(proxy);
        }
        let hosts = section.get("no_proxy", |v| value::list(v, value::text));
        if let Some(hosts) = hosts {
            settings.no_proxy = hosts.join(", ");
        }
        let ca_files = section.paths("ca_files");
        if !ca_files.is_empty() {
            settings.extra_ca_files = ca_files;
        }
        let system_roots = section.get("system_roots", value::flag);
        settings.system_roots = system_roots.unwrap_or(settings.system_roots);
        if let Some(hosts) = section.section("resolve") {
            settings.resolve = resolve(hosts);
        }
        let mut time = |key, limit: &mut Duration| {
            if let Some(given) = section.get(key, value::duration) {
                *limit = given;
            }
        };
        time("connect_timeout", &mut settings.connect_timeout);
        time("timeout", &mut settings.timeout);
        time("body_timeout", &mut settings.body_idle_timeout);
        let inherited = general.is_some_and(|general| {
            (general.0.connect_timeout, general.0.timeout)
                == (settings.connect_timeout, settings.timeout)
        });
        if settings.connect_timeout >= settings.timeout && !inherited {
            section.fault("connect_timeout", "expected a shorter time than `timeout`");
        }
        section.finish();
        Self(settings)
    }
}

/// Addresses for host names whose ordinary ones must not be used.
fn resolve(mut hosts: Section<'_>) -> BTreeMap<String, Vec<SocketAddr>> {
    let entries = hosts.entries().into_iter();
    let read = entries.filter_map(|(host, addresses)| {
        let addresses = value::list(&addresses, value::socket);
        let addresses = addresses.map_err(|problem| hosts.fault(&host, problem));
        Some((host, addresses.ok()?))
    });
    read.collect()
}

fn proxy(section: &mut Section<'_>) -> Option<Url> {
    use crmgate_connector::secret::ExposeSecret as _;
    let url = section.get("proxy", |v| {
        let text = value::text(v)?;
        Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h"))
            .ok_or_else(|| {
                "expected the proxy's address, beginning with `http://`, `https://`, `socks5://` \
                 or `socks5h://`"
                    .to_owned()
            })
    });
    let user = section.get("proxy_user", value::text);
    let setting = section.name("proxy_password");
    let base = section.base().to_owned();
    let password = section.get("proxy_password", |v| {
        let secret = secret::resolve(&base, &setting, &value::text(v)?);
        let value = secret.and_then(|secret| secret.get());
        value.map_err(|error| error.problem)
    });
    let mut url = url?;
    if url.password().is_some() {
        section.fault(
            "proxy",
            "holds a password: expected it as a reference in `proxy_password`",
        );
    }
    if let Some(user) = user {
        url.set_username(&user).ok()?;
    }
    if let Some(password) = password {
        url.set_password(Some(password.expose_secret())).ok()?;
    }
    Some(url)
}
