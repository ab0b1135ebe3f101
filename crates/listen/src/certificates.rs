//! Certificates that change without a restart.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{CertificateError, CertificateSource};

/// A listener's certificates. A clone is a handle on the same ones.
#[derive(Clone)]
pub struct Certificates {
    shared: Arc<Shared>,
}

struct Shared {
    sources: Vec<CertificateSource>,
    loaded: ArcSwap<Vec<Loaded>>,
}

struct Loaded {
    key: Arc<CertifiedKey>,
    status: CertificateStatus,
}

/// What is known about a certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Its file; `(inline)` for one given as text.
    pub file: String,
    /// The host names and addresses it is for.
    pub names: Vec<String>,
    /// Its end.
    pub expires: Timestamp,
}

impl Certificates {
    /// Reads certificates without a listener: to check them.
    ///
    /// # Errors
    /// What is wrong, and with which file.
    pub fn load(sources: Vec<CertificateSource>, now: Timestamp) -> Result<Self, CertificateError> {
        let loaded = load_all(&sources, now)?;
        Ok(Self {
            shared: Arc::new(Shared {
                sources,
                loaded: ArcSwap::from_pointee(loaded),
            }),
        })
    }

    /// Reads the files again. New handshakes use what they hold; connections that are open stay
    /// open. If anything is wrong with any of them, all stays as it was.
    ///
    /// # Errors
    /// What is wrong, and with which file.
    pub fn reload(&self, now: Timestamp) -> Result<(), CertificateError> {
        let loaded = load_all(&self.shared.sources, now)?;
        self.shared.loaded.store(Arc::new(loaded));
        Ok(())
    }

    /// What is in use.
    #[must_use]
    pub fn statuses(&self) -> Vec<CertificateStatus> {
        let loaded = self.shared.loaded.load();
        loaded.iter().map(|one| one.status.clone()).collect()
    }

    /// The files to watch for changes.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let files = self.shared.sources.iter().filter_map(|one| match one {
            CertificateSource::Files { certificate, key } => Some([certificate, key]),
            CertificateSource::Pem { .. } => None,
        });
        files.flatten().map(AsRef::as_ref).collect()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.statuses()).finish()
    }
}

#[derive(Debug)]
pub(crate) struct Resolver(pub(crate) Certificates);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.0.shared.loaded.load();
        let named = hello.server_name().and_then(|host| {
            loaded
                .iter()
                .find(|one| one.status.names.iter().any(|name| covers(name, host)))
        });
        let chosen = named.or_else(|| loaded.first())?;
        Some(Arc::clone(&chosen.key))
    }
}

/// Whether a certificate's name is for this host: equal, or `*.` in place of its first label.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
    }
}

fn load_all(
    sources: &[CertificateSource],
    now: Timestamp,
) -> Result<Vec<Loaded>, CertificateError> {
    let provider = aws_lc_rs::default_provider();
    sources
        .iter()
        .map(|one| load(one, &provider, now))
        .collect()
}

fn load(
    source: &CertificateSource,
    provider: &CryptoProvider,
    now: Timestamp,
) -> Result<Loaded, CertificateError> {
    let (certificate_name, certificate_pem, key_name, key_pem) = match source {
        CertificateSource::Files { certificate, key } => (
            certificate.display().to_string(),
            read(certificate)?,
            key.display().to_string(),
            read(key)?,
        ),
        CertificateSource::Pem { certificate, key } => (
            "(inline)".to_owned(),
            certificate.clone().into_bytes(),
            "(inline)".to_owned(),
            key.expose_secret().as_bytes().to_vec(),
        ),
    };
    let chain = chain(&certificate_name, &certificate_pem)?;
    let status = inspect(&certificate_name, &chain, now)?;
    let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| CertificateError::File {
        file: key_name.clone(),
        problem: format!("holds no private key: {error}"),
    })?;
    let pair_fault = |error: rustls::Error| CertificateError::Pair {
        certificate: certificate_name.clone(),
        key: key_name.clone(),
        problem: match error {
            rustls::Error::InconsistentKeys(_) => "they don't belong together".to_owned(),
            other => other.to_string(),
        },
    };
    // Checks that the two belong together.
    let key = CertifiedKey::from_der(chain, key, provider).map_err(pair_fault)?;
    Ok(Loaded {
        key: Arc::new(key),
        status,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|error| CertificateError::File {
        file: path.display().to_string(),
        problem: format!("can't be read: {error}"),
    })
}

fn chain(file: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let fault = |problem: String| CertificateError::File {
        file: file.to_owned(),
        problem,
    };
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| fault(format!("is not PEM as it should be: {error}")))?;
    if chain.is_empty() {
        return Err(fault("holds no `-----BEGIN CERTIFICATE-----`".to_owned()));
    }
    Ok(chain)
}

/// What clients will check of the server's own certificate, as far as it can be known here.
fn inspect(
    file: &str,
    chain: &[CertificateDer<'static>],
    now: Timestamp,
) -> Result<CertificateStatus, CertificateError> {
    let fault = |problem: String| CertificateError::File {
        file: file.to_owned(),
        problem,
    };
    let own = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, certificate) = X509Certificate::from_der(own)
        .map_err(|error| fault(format!("is not a certificate: {error}")))?;
    let moment = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp())
            .map_err(|error| fault(format!("has a time that can't be: {error}")))
    };
    let begins = moment(certificate.validity().not_before)?;
    let expires = moment(certificate.validity().not_after)?;
    let file = file.to_owned();
    if now >= expires {
        return Err(CertificateError::Expired { file, at: expires });
    }
    if now < begins {
        return Err(CertificateError::NotYetValid { file, at: begins });
    }
    Ok(CertificateStatus {
        file,
        names: names(&certificate),
        expires,
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(sixteen).to_string())
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(covers("crm.example", "CRM.example"));
        assert!(covers("*.example", "crm.example"));
        assert!(!covers("*.example", "a.b.example"));
        assert!(!covers("*.example", "example"));
        assert!(!covers("crm.example", "other.example"));
    }
}
