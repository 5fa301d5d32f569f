//! Users by their certificates: the common name is the user, the organizations are its groups.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use podo_base::Timestamp;
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::user::{CREDENTIAL_ID, User};

/// The attribute of the subject that holds a user's UID: 1.3.6.1.4.1.57683.2 (Kubernetes v1.36
/// `AllowParsingUserUIDFromCertAuth`), as DER holds it.
const UID_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xc2, 0x53, 0x02];

/// The user of a certificate that the authority has signed; `None` if it names nobody. A certificate whose subject contradicts
/// itself is a user without a name, whom [`super::Authenticator`] refuses.
pub fn user_of_certificate(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        attribute.as_str().map(str::to_owned).unwrap_or_default()
    };
    let name = subject.iter_common_name().last().map(text).filter(|name| !name.is_empty())?;
    let groups = subject.iter_organization().map(text).collect();
    let uid_oid = Oid::new(UID_OID.into());
    let uids: Vec<String> = subject.iter_by_oid(&uid_oid).map(text).collect();
    let uid = match uids.as_slice() {
        [] => String::new(),
        [uid] if !uid.is_empty() => uid.clone(),
        _ => return Some(User::default()),
    };
    let extra = BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![fingerprint(certificate)])]);
    Some(User { name, uid, groups, extra }.with_authenticated())
}

/// The last moment at which a certificate is valid; the handshake has seen that its first is past.
pub(crate) fn end_of_certificate(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Timestamp::from_seconds(parsed.validity().not_after.timestamp()))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let mut text = "X509SHA256=".to_owned();
    for byte in Sha256::digest(certificate) {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}
