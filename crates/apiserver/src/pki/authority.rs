//! The authority: the certificate that everybody trusts and the key that signs the others.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use podo_base::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{PkiError, files};

/// How long the authority is good (kubeadm's choice: ten years).
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How far the clocks of others may lag behind ours.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// The authority.
pub(super) struct Authority {
    pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn load_or_create(dir: &Path, now: Timestamp) -> Result<Self, PkiError> {
        let path = dir.join("ca.pem");
        let file = |source| PkiError::File { path: path.clone(), source };
        let authority = if let Some(bytes) = files::read(&path).map_err(file)? {
            Self::read(&path, &bytes, now)?
        } else {
            let (authority, text) = Self::create(now)?;
            files::write(&path, text.as_bytes()).map_err(file)?;
            authority
        };
        let public = dir.join("ca.crt");
        let file = |source| PkiError::File { path: public.clone(), source };
        if files::read(&public).map_err(file)?.as_deref() != Some(authority.pem.as_bytes()) {
            files::write(&public, authority.pem.as_bytes()).map_err(file)?;
        }
        Ok(authority)
    }

    fn create(now: Timestamp) -> Result<(Self, String), PkiError> {
        let failed = |source| PkiError::Certificate { subject: "the authority".to_owned(), source };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // Its own name in every cluster: what another authority signed is told apart by it.
        params
            .distinguished_name
            .push(DnType::CommonName, format!("podo-ca-{}", podo_base::name_suffix(10)));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::CrlSign,
        ];
        set_validity(&mut params, now, LIFETIME);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        let text = format!("{pem}{}", key.serialize_pem());
        Ok((Self { pem, certificate: der, issuer: Issuer::new(params, key) }, text))
    }

    fn read(path: &Path, bytes: &[u8], now: Timestamp) -> Result<Self, PkiError> {
        let malformed = || PkiError::Malformed { path: path.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
        let certificate = CertificateDer::from_pem_slice(bytes).map_err(|_| malformed())?;
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| malformed())?;
        if parsed.validity().not_after.timestamp() <= now.as_seconds() {
            return Err(PkiError::AuthorityExpired { path: path.to_owned() });
        }
        let pem = files::pem("CERTIFICATE", &certificate);
        let key = text.find("-----BEGIN PRIVATE KEY-----").and_then(|at| text.get(at..));
        let key = key.and_then(|key| KeyPair::from_pem(key).ok()).ok_or_else(malformed)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| malformed())?;
        Ok(Self { pem, certificate: certificate.clone(), issuer })
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Signs what `params` say about a key.
    pub(super) fn sign(
        &self,
        params: &CertificateParams,
        key: &KeyPair,
    ) -> Result<String, rcgen::Error> {
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// Says from when to when a certificate is good that is made now.
pub(super) fn set_validity(params: &mut CertificateParams, now: Timestamp, lifetime: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(u64::try_from(now.as_seconds()).unwrap_or(0));
    params.not_before = epoch + now.saturating_sub(SKEW);
    params.not_after = epoch + now + lifetime;
}
