//! HTTPS, and certificates that change.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use crmgate_listen::{BindError, CertificateError, CertificateSource, Listener, Settings};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{ANY, CLOSE, Served, connect, exchange, now, serve};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        Self { issuer, folder }
    }

    fn paths(&self, name: &str) -> (PathBuf, PathBuf) {
        let path = |kind: &str| self.folder.path().join(format!("{name}.{kind}"));
        (path("pem"), path("key"))
    }

    /// Writes a certificate for `host` that ends with `year`, under the file name `name`.
    fn issue(&self, name: &str, host: &str, year: i32) -> CertificateSource {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let pair = KeyPair::generate().unwrap();
        let signed = params.signed_by(&pair, &self.issuer).unwrap();
        let (certificate, key) = self.paths(name);
        std::fs::write(&certificate, signed.pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        CertificateSource::Files { certificate, key }
    }

    fn client(&self, alpn: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let pem = self.issuer.pem();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

async fn tls(
    served: &Served,
    client: &Arc<ClientConfig>,
    host: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = connect(served.addr).await;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    TlsConnector::from(Arc::clone(client))
        .connect(name, stream)
        .await
}

/// The certificate that the listener shows for `host`.
async fn shown(served: &Served, client: &Arc<ClientConfig>, host: &str) -> Vec<u8> {
    let stream = tls(served, client, host).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn https_answers_both_versions_of_http() {
    let authority = Authority::new();
    let served = serve(Settings::tls(
        ANY,
        authority.issue("a", "gate.example", 2031),
    ))
    .await;
    let client = authority.client(&["http/1.1"]);
    let stream = tls(&served, &client, "gate.example").await.unwrap();
    let answer = exchange(stream, CLOSE).await;
    assert!(
        answer.ends_with("127.0.0.1 https gate.example:8701 false"),
        "{answer}"
    );

    let client = authority.client(&["h2"]);
    let stream = tls(&served, &client, "gate.example").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://gate.example:8701/peer")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "127.0.0.1 https gate.example:8701 false");
}

#[tokio::test]
async fn sessions_are_resumed() {
    let authority = Authority::new();
    let served = serve(Settings::tls(
        ANY,
        authority.issue("a", "gate.example", 2031),
    ))
    .await;
    let client = authority.client(&["http/1.1"]);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut stream = tls(&served, &client, "gate.example").await.unwrap();
        // The tickets come with the first answer.
        exchange(&mut stream, CLOSE).await;
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
    }
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let source = authority.issue("a", "gate.example", 2031);
    let served = serve(Settings::tls(ANY, source)).await;
    let client = authority.client(&["http/1.1"]);
    let certificates = served.certificates.clone().unwrap();
    assert_eq!(certificates.files().len(), 2);
    let first = shown(&served, &client, "gate.example").await;

    authority.issue("a", "gate.example", 2032);
    certificates.reload(now()).unwrap();
    let second = shown(&served, &client, "gate.example").await;
    assert_ne!(first, second);
    assert_eq!(
        certificates.statuses()[0].expires.to_string(),
        "2032-12-31T00:00:00Z"
    );

    // Half a file, another one's key, an expired one, no file: the second stays in use.
    let (certificate, key) = authority.paths("a");
    let good = std::fs::read(&certificate).unwrap();
    std::fs::write(&certificate, &good[..good.len() / 2]).unwrap();
    let error = certificates.reload(now()).unwrap_err();
    assert!(matches!(error, CertificateError::File { .. }), "{error:?}");
    assert!(error.to_string().contains("a.pem"), "{error}");

    std::fs::write(&certificate, &good).unwrap();
    std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = certificates.reload(now()).unwrap_err();
    assert!(
        error.to_string().contains("don't belong together"),
        "{error}"
    );

    authority.issue("a", "gate.example", 2025);
    let error = certificates.reload(now()).unwrap_err();
    assert!(
        error.to_string().contains("expired at 2025-12-31"),
        "{error}"
    );

    std::fs::remove_file(&key).unwrap();
    let error = certificates.reload(now()).unwrap_err();
    assert!(
        error.to_string().contains("a.key") && error.to_string().contains("read"),
        "{error}"
    );
    assert_eq!(shown(&served, &client, "gate.example").await, second);
}

#[tokio::test]
async fn an_expired_certificate_is_reported_at_the_start_with_file_and_date() {
    let authority = Authority::new();
    let source = authority.issue("old", "gate.example", 2025);
    let error = Listener::bind(Settings::tls(ANY, source), now())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            BindError::Certificate(CertificateError::Expired { .. })
        ),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("old.pem") && text.contains("2025-12-31"),
        "{text}"
    );
}

#[tokio::test]
async fn each_host_gets_its_own_certificate() {
    let authority = Authority::new();
    let mut settings = Settings::tls(ANY, authority.issue("a", "a.example", 2031));
    settings
        .certificates
        .push(authority.issue("b", "*.b.example", 2031));
    let served = serve(settings).await;
    let client = authority.client(&["http/1.1"]);
    let a = shown(&served, &client, "a.example").await;
    let b = shown(&served, &client, "crm.b.example").await;
    assert_ne!(a, b);
    // No certificate is for this name: the first is shown, and the client refuses it.
    assert!(tls(&served, &client, "c.example").await.is_err());
}

#[tokio::test]
async fn a_handshake_that_hangs_is_cut_off() {
    let authority = Authority::new();
    let mut settings = Settings::tls(ANY, authority.issue("a", "gate.example", 2031));
    settings.handshake_timeout = std::time::Duration::from_millis(100);
    let served = serve(settings).await;
    let answer = exchange(connect(served.addr).await, "\u{16}").await;
    assert_eq!(answer, "");
    assert_eq!(served.stop().await.cut, 0);
}
