//! Private certificate authorities, proxies and name overrides.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail loudly")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crmgate_outbound::{Body, BuildError, Client, SendError, Settings};
use http::Request;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn acceptor(authority: &Authority, names: &[&str]) -> TlsAcceptor {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, authority)
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate)],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// An HTTPS server that answers everything with 200; gives its port.
async fn https(acceptor: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut piece = [0_u8; 4096];
                while let Ok(1..) = stream.read(&mut piece).await {
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                        .await
                        .ok();
                }
            });
        }
    });
    port
}

fn settings() -> Settings {
    Settings {
        system_roots: false,
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_secs(4),
        ..Settings::default()
    }
}

fn get(url: &str) -> Request<Body> {
    Request::get(url).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_private_authority_is_trusted_once_its_file_is_read_again() {
    let (old, new) = (authority(), authority());
    let port = https(acceptor(&new, &["localhost"])).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(old.pem().as_bytes()).unwrap();
    let client = Client::new(Settings {
        extra_ca_files: vec![file.path().to_owned()],
        ..settings()
    })
    .unwrap();
    let url = format!("https://localhost:{port}/");
    let error = client.send(get(&url)).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent { .. }), "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");

    std::fs::write(file.path(), "nonsense").unwrap();
    let error = client.reload().unwrap_err();
    assert!(matches!(error, BuildError::CaFile { .. }), "{error}");
    assert!(error.to_string().contains("BEGIN CERTIFICATE"), "{error}");
    client.send(get(&url)).await.unwrap_err();

    std::fs::write(file.path(), new.pem()).unwrap();
    client.reload().unwrap();
    client.send(get(&url)).await.unwrap();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_before_anything_is_sent() {
    let authority = authority();
    let port = https(acceptor(&authority, &["elsewhere.example"])).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.pem().as_bytes()).unwrap();
    let client = Client::new(Settings {
        extra_ca_files: vec![file.path().to_owned()],
        resolve: BTreeMap::from([(
            "elsewhere.example".to_owned(),
            vec![([127, 0, 0, 1], port).into()],
        )]),
        ..settings()
    })
    .unwrap();
    let error = client
        .send(get(&format!("https://localhost:{port}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::NotSent { .. }), "{error:?}");
    // Under the name that the certificate has, at the address that the settings give it.
    client
        .send(get(&format!("https://elsewhere.example:{port}/")))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_proxy_gets_a_tunnel_request_with_its_password_and_exceptions_go_round_it() {
    let authority = authority();
    let port = https(acceptor(&authority, &["crm.example", "localhost"])).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(authority.pem().as_bytes()).unwrap();

    let heard = Arc::new(Mutex::new(Vec::<String>::new()));
    let journal = heard.clone();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_port = proxy.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = proxy.accept().await {
            let mut piece = [0_u8; 4096];
            let count = near.read(&mut piece).await.unwrap();
            let head = String::from_utf8_lossy(&piece[..count]).to_string();
            journal.lock().unwrap().push(head);
            near.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
                .await
                .unwrap();
            let mut far = tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .unwrap();
            tokio::spawn(async move {
                tokio::io::copy_bidirectional(&mut near, &mut far)
                    .await
                    .ok();
            });
        }
    });

    let settings = Settings {
        proxy: Some(
            format!("http://ada:s3cret@127.0.0.1:{proxy_port}")
                .parse()
                .unwrap(),
        ),
        no_proxy: "localhost".to_owned(),
        extra_ca_files: vec![file.path().to_owned()],
        ..settings()
    };
    assert!(!format!("{settings:?}").contains("s3cret"));
    let client = Client::new(settings).unwrap();
    client.send(get("https://crm.example/x")).await.unwrap();
    {
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 1);
        assert!(
            heard[0].starts_with("CONNECT crm.example:443 HTTP/1.1"),
            "{}",
            heard[0]
        );
        let heard = heard[0].to_ascii_lowercase();
        assert!(
            heard.contains(
                "proxy-authorization: basic ywrhonmzy3jldA=="
                    .to_lowercase()
                    .as_str()
            )
        );
    }
    client
        .send(get(&format!("https://localhost:{port}/x")))
        .await
        .unwrap();
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_refuses_the_tunnel_means_not_sent() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_port = proxy.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = proxy.accept().await {
            let mut piece = [0_u8; 4096];
            let Ok(1..) = near.read(&mut piece).await else {
                continue;
            };
            near.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                .await
                .ok();
        }
    });
    let client = Client::new(Settings {
        proxy: Some(
            format!("http://ada:s3cret@127.0.0.1:{proxy_port}")
                .parse()
                .unwrap(),
        ),
        ..settings()
    })
    .unwrap();
    let error = client.send(get("https://crm.example/x")).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let too_long = Client::new(Settings {
        connect_timeout: Duration::from_secs(4),
        ..settings()
    });
    let error = too_long.unwrap_err().to_string();
    assert!(error.contains("`connect_timeout`"), "{error}");
    let ftp = Client::new(Settings {
        proxy: Some("ftp://proxy".parse().unwrap()),
        ..settings()
    });
    let error = ftp.unwrap_err().to_string();
    assert!(
        error.contains("`proxy`") && error.contains("socks5"),
        "{error}"
    );
    let missing = Client::new(Settings {
        extra_ca_files: vec!["/no/such/ca.pem".into()],
        ..settings()
    });
    let error = missing.unwrap_err().to_string();
    assert!(error.contains("/no/such/ca.pem"), "{error}");
}
