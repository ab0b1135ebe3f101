//! Opens the listeners: one per connection or shared by host name, the control API's, the one for
//! calls from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use crmgate_app::{App, Connection as AppConnection};
use crmgate_domain::{ConnectionName, Timestamp};
use crmgate_gateway::{Door, Doors, Gateway, Settings as GatewaySettings};
use crmgate_listen::{CertificateSource, Listener, Settings};

use crate::config::{Config, Connection, Limits, Listen, TlsFiles};
use crate::exit::{Exit, Failure};

/// What a listener serves.
pub(crate) enum Service {
    /// A CRM's protocol.
    Gateway(Gateway),
    /// JSON: control API, ingress.
    Router(Router),
}

/// A bound listener and what it will serve.
pub(crate) struct Opened {
    /// For people: `control`, `gateway`, `acme-sf`.
    pub(crate) name: String,
    /// `https://127.0.0.1:8701`.
    pub(crate) url: String,
    pub(crate) listener: Listener,
    pub(crate) service: Service,
}

/// Binds one listener.
async fn bind(
    name: &str,
    listen: &Listen,
    more: &[TlsFiles],
    limits: &Limits,
    now: Timestamp,
) -> Result<(Listener, String), Failure> {
    let certificates = listen
        .tls
        .iter()
        .chain(more)
        .map(|files| CertificateSource::Files {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        });
    let settings = Settings {
        name: name.to_owned(),
        certificates: certificates.collect(),
        max_connections: limits.connections,
        header_read_timeout: limits.idle_timeout,
        write_stall_timeout: limits.body_timeout,
        max_header_bytes: limits.headers,
        trusted_proxies: listen.trusted_proxies.clone(),
        forwarded: listen.forwarded,
        shutdown_grace: limits.grace(),
        ..Settings::plain(listen.address)
    };
    let scheme = if settings.certificates.is_empty() {
        "http"
    } else {
        "https"
    };
    let listener = Listener::bind(settings, now)
        .await
        .map_err(|error| Failure::new(Exit::System, format!("listener `{name}`: {error}")))?;
    let url = format!("{scheme}://{}", listener.addr());
    Ok((listener, url))
}

/// Opens the gateways of all connections.
pub(crate) async fn gateways(
    config: &Config,
    app: &Arc<App>,
    now: Timestamp,
) -> Result<Vec<Opened>, Failure> {
    let mut opened = Vec::new();
    let mut shared = Doors::default();
    let mut certificates = Vec::new();
    let mut hosts = 0_usize;
    for (name, connection) in &config.connections {
        let Some(running) = app.connections().get(name) else {
            continue;
        };
        if let Some(listen) = &connection.listen {
            let (listener, url) = bind(name.as_str(), listen, &[], &config.limits, now).await?;
            let doors = Doors::only(door(config, app, connection, running));
            let service = Service::Gateway(gateway(config, doors));
            let name = name.to_string();
            opened.push(Opened {
                name,
                url,
                listener,
                service,
            });
        }
        if let Some(host) = &connection.host {
            shared = shared.with_host(host, door(config, app, connection, running));
            hosts += 1;
            certificates.extend(connection.tls.clone());
        }
    }
    if let Some(listen) = config.gateway.listen.as_ref().filter(|_| hosts > 0) {
        let (listener, url) = bind("gateway", listen, &certificates, &config.limits, now).await?;
        opened.push(Opened {
            name: "gateway".to_owned(),
            url,
            listener,
            service: Service::Gateway(gateway(config, shared)),
        });
    }
    Ok(opened)
}

fn door(
    config: &Config,
    app: &Arc<App>,
    connection: &Connection,
    running: &Arc<AppConnection>,
) -> Door {
    Door::new(app, running)
        .with_concurrency(config.limits.requests)
        .with_public_url(connection.public_url.clone())
}

fn gateway(config: &Config, doors: Doors) -> Gateway {
    let upstreams = config.connections.values().map(|c| c.upstream.0.timeout);
    let slowest = upstreams.max().unwrap_or(config.upstream.0.timeout);
    let settings = GatewaySettings {
        body_limit: config.limits.body,
        body_timeout: config.limits.body_timeout,
        // The upstream's own time-out comes first and says more.
        pass_timeout: slowest.saturating_mul(2),
    };
    Gateway::new(doors, settings)
}

/// Opens a listener for JSON.
pub(crate) async fn router(
    name: &str,
    listen: &Listen,
    limits: &Limits,
    now: Timestamp,
    make: impl FnOnce() -> Router,
) -> Result<Opened, Failure> {
    let (listener, url) = bind(name, listen, &[], limits, now).await?;
    Ok(Opened {
        name: name.to_owned(),
        url,
        listener,
        service: Service::Router(make()),
    })
}

/// Where clients of each connection point.
pub(crate) fn addresses(config: &Config, opened: &[Opened]) -> BTreeMap<ConnectionName, String> {
    let url = |name: &str| {
        opened
            .iter()
            .find(|listener| listener.name == name)
            .map(|listener| listener.url.clone())
    };
    let shared = url("gateway");
    let found = config.connections.iter().map(|(name, connection)| {
        let public = connection.public_url.as_ref();
        let public = public.map(|url| url.as_str().trim_end_matches('/').to_owned());
        let by_host = || {
            let (scheme, _) = shared.as_deref()?.split_once("://")?;
            let port = config.gateway.listen.as_ref()?.address.port();
            Some(format!("{scheme}://{}:{port}", connection.host.as_ref()?))
        };
        let address = public.or_else(|| url(name.as_str())).or_else(by_host);
        (name.clone(), address.unwrap_or_default())
    });
    found.collect()
}
