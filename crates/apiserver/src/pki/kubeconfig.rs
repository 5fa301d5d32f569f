//! The kubeconfig of a user who shows a certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Identity;

/// The text of a kubeconfig with one cluster, one user and one context, all called `podo`.
pub(super) fn text(server: &str, ca_pem: &str, identity: &Identity) -> String {
    let (authority, certificate, key) = (
        STANDARD.encode(ca_pem),
        STANDARD.encode(&identity.certificate_pem),
        STANDARD.encode(identity.key_pem()),
    );
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: podo
  cluster:
    certificate-authority-data: {authority}
    server: {server}
contexts:
- name: podo
  context:
    cluster: podo
    user: podo
current-context: podo
users:
- name: podo
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"
    )
}
