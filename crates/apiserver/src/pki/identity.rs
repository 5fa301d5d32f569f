//! [`Identity`]: a certificate and its key.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use podo_base::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::authority::{Authority, set_validity};
use super::{PkiError, files};

/// How long a certificate is good (kubeadm's choice: a year).
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A certificate with less time left is made anew at the next start (what kubelets do when 70 to 90 % have passed).
const RENEW_BEFORE: Duration = Duration::from_secs(120 * 24 * 60 * 60);

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To say who a client is.
    Client,
    /// To say who a server is.
    Server,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The user.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// The names of a server.
    pub dns_names: Vec<String>,
    /// The addresses of a server.
    pub addresses: Vec<IpAddr>,
    /// What it is for.
    pub purpose: Purpose,
}

impl Subject {
    /// A client with groups.
    pub fn client(name: &str, groups: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            purpose: Purpose::Client,
        }
    }

    fn params(&self, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name.as_str());
        for group in &self.groups {
            params.distinguished_name.push(DnType::OrganizationName, group.as_str());
        }
        for name in &self.dns_names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        params.subject_alt_names.extend(self.addresses.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match self.purpose {
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        set_validity(&mut params, now, LIFETIME);
        Ok(params)
    }

    /// Whether a certificate says exactly this.
    fn is_said_by(&self, certificate: &X509Certificate<'_>) -> bool {
        let subject = certificate.subject();
        let names: Vec<&str> =
            subject.iter_common_name().filter_map(|name| name.as_str().ok()).collect();
        let groups: Vec<&str> =
            subject.iter_organization().filter_map(|name| name.as_str().ok()).collect();
        let (mut dns_names, mut addresses) = (Vec::new(), Vec::new());
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        for name in alternatives.iter().flat_map(|found| &found.value.general_names) {
            match name {
                GeneralName::DNSName(name) => dns_names.push(*name),
                GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
                _ => return false,
            }
        }
        names == [self.name.as_str()]
            && groups == self.groups
            && dns_names == self.dns_names
            && addresses == self.addresses
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate in PEM.
    pub certificate_pem: String,
    key_pem: String,
}

impl Identity {
    /// The key in PEM, for who writes it where only its owner reads it.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Both as TLS takes them.
    pub(super) fn parts(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PkiError> {
        let malformed = |_| PkiError::Tls(rustls::Error::General("malformed PEM".to_owned()));
        let chain: Result<_, _> =
            CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(malformed)?;
        Ok((chain.map_err(malformed)?, key))
    }

    /// Splits a file; `None` if it is not made of a certificate and a key.
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (certificate, key) = text.split_at(text.find("-----BEGIN PRIVATE KEY-----")?);
        KeyPair::from_pem(key).ok()?;
        Some(Self { certificate_pem: certificate.to_owned(), key_pem: key.to_owned() })
    }

    /// Whether the certificate is from this authority, says what is wanted, and is good for a while.
    fn fits(&self, subject: &Subject, authority: &Authority, now: Timestamp) -> bool {
        let Ok(der) = CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()) else {
            return false;
        };
        let Ok((_, own)) = X509Certificate::from_der(&der) else { return false };
        let Ok((_, signer)) = X509Certificate::from_der(authority.certificate()) else {
            return false;
        };
        let renew_at = now.plus(RENEW_BEFORE).as_seconds();
        own.issuer() == signer.subject()
            && own.validity().not_after.timestamp() > renew_at
            && subject.is_said_by(&own)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Makes a certificate.
pub(super) fn issue(
    subject: &Subject,
    authority: &Authority,
    now: Timestamp,
) -> Result<Identity, PkiError> {
    let failed = |source| PkiError::Certificate { subject: subject.name.clone(), source };
    let key = KeyPair::generate().map_err(failed)?;
    let params = subject.params(now).map_err(failed)?;
    let certificate_pem = authority.sign(&params, &key).map_err(failed)?;
    Ok(Identity { certificate_pem, key_pem: key.serialize_pem() })
}

/// Takes a certificate from its file, or makes it and writes the file.
pub(super) fn load_or_create(
    path: &Path,
    subject: &Subject,
    authority: &Authority,
    now: Timestamp,
) -> Result<Identity, PkiError> {
    let file = |source| PkiError::File { path: path.to_owned(), source };
    let found = files::read(path).map_err(file)?.and_then(|bytes| Identity::read(&bytes));
    if let Some(found) = found.filter(|found| found.fits(subject, authority, now)) {
        return Ok(found);
    }
    let made = issue(subject, authority, now)?;
    let text = format!("{}{}", made.certificate_pem, made.key_pem);
    files::write(path, text.as_bytes()).map_err(file)?;
    Ok(made)
}
