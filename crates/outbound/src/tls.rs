//! Whom to trust.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{BuildError, Settings};

/// The TLS side of a client. Reads the certificate files anew each time.
pub(crate) fn config(settings: &Settings) -> Result<ClientConfig, BuildError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::Library(error.to_string()))?
        .with_root_certificates(roots(settings)?);
    let mut config = match &settings.client_certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = own_chain(certificate)?;
            let fault = |detail: String| BuildError::ClientCertificate {
                file: key.clone(),
                detail,
            };
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| fault(format!("holds no private key as PEM: {error}")))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| fault(format!("does not go with its certificate: {error}")))?
        }
    };
    config.alpn_protocols = if settings.http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok(config)
}

/// The certificate that this client shows, with those between it and its authority.
fn own_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let fault = |detail: String| BuildError::ClientCertificate {
        file: file.to_owned(),
        detail,
    };
    let chain = CertificateDer::pem_file_iter(file)
        .map_err(|error| fault(format!("can't be read: {error}")))?;
    let chain: Result<Vec<_>, _> = chain.collect();
    let chain = chain.map_err(|error| fault(format!("is not PEM as it should be: {error}")))?;
    if chain.is_empty() {
        return Err(fault("holds no `-----BEGIN CERTIFICATE-----`".to_owned()));
    }
    Ok(chain)
}

fn roots(settings: &Settings) -> Result<RootCertStore, BuildError> {
    let mut roots = RootCertStore::empty();
    if settings.system_roots {
        let system = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(system.certs);
        if added == 0 {
            tracing::warn!(
                "this system has no certificate authorities: only those of the configured files \
                 are trusted"
            );
        }
    }
    for file in &settings.extra_ca_files {
        add_file(&mut roots, file)?;
    }
    Ok(roots)
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), BuildError> {
    let fault = |detail: String| BuildError::CaFile {
        file: file.to_owned(),
        detail,
    };
    // Read first: a missing file and a file of nonsense are different faults.
    let pem = std::fs::read(file).map_err(|error| fault(format!("can't be read: {error}")))?;
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|error| fault(format!("is not PEM as it should be: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| fault(format!("holds a certificate that can't be used: {error}")))?;
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(fault("holds no `-----BEGIN CERTIFICATE-----`".to_owned()))
    }
}
