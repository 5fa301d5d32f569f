//! TLS of a client: which authorities it believes and which certificate it shows.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::credentials::Secret;
use super::error::ConfigError;

/// Where distributions keep the authorities that the system believes.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// How a server is verified and what is shown to it.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// Certificates of authorities in PEM; none means the system's.
    pub authorities: Option<Vec<u8>>,
    /// The client's certificate chain in PEM.
    pub certificate: Option<Vec<u8>>,
    /// The client's key in PEM.
    pub key: Option<Secret>,
    /// Believe any certificate.
    pub is_insecure: bool,
    /// The name to ask for and to verify instead of the host's.
    pub server_name: Option<String>,
}

impl TlsOptions {
    pub(super) fn build(&self) -> Result<ClientConfig, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|source| ConfigError::Tls { what: "protocol versions", source })?;
        let builder = if self.is_insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(BelievesAll { provider }))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        match (&self.certificate, &self.key) {
            (Some(chain), Some(key)) => {
                let chain = certificates("client-certificate", chain)?;
                let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
                    .map_err(|source| ConfigError::Pem { what: "client-key", source })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|source| ConfigError::Tls { what: "client-certificate", source })
            }
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(_), None) => {
                Err(ConfigError::HalfPair { present: "client-certificate", absent: "client-key" })
            }
            (None, Some(_)) => {
                Err(ConfigError::HalfPair { present: "client-key", absent: "client-certificate" })
            }
        }
    }

    fn roots(&self) -> Result<RootCertStore, ConfigError> {
        let mut roots = RootCertStore::empty();
        let Some(pem) = &self.authorities else {
            let system = SYSTEM_ROOTS.iter().find_map(|path| std::fs::read(path).ok());
            // The system's bundle may hold what this verifier cannot use; the rest still counts.
            let usable = certificates("system roots", &system.unwrap_or_default())?;
            roots.add_parsable_certificates(usable);
            return Ok(roots);
        };
        for certificate in certificates("certificate-authority", pem)? {
            roots
                .add(certificate)
                .map_err(|source| ConfigError::Tls { what: "certificate-authority", source })?;
        }
        Ok(roots)
    }
}

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| ConfigError::Pem { what, source })
}

/// `insecure-skip-tls-verify`: believes any certificate, but the peer must hold its key.
#[derive(Debug)]
struct BelievesAll {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for BelievesAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
