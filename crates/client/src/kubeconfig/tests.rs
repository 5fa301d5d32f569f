use std::path::PathBuf;

use super::*;
use crate::https::{Credentials, Impersonation};

fn folder() -> PathBuf {
    let path = std::env::temp_dir().join(format!("podotest-client-{}", podo_base::uid()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

const FIRST: &str = "
current-context: one
clusters:
- name: a
  cluster: {server: 'https://127.0.0.1:1', certificate-authority: ca.pem}
contexts:
- name: one
  context: {cluster: a, user: u, namespace: first}
users:
- name: u
  user: {token: secret-of-u}
";
const SECOND: &str = "
current-context: two
clusters:
- name: a
  cluster: {server: 'https://127.0.0.1:2'}
- name: b
  cluster: {server: 'http://127.0.0.1:3'}
contexts:
- name: two
  context: {cluster: b, user: ''}
users: null
";

fn merged() -> Kubeconfig {
    let folder = folder();
    let (first, second) = (folder.join("first"), folder.join("second"));
    std::fs::write(&first, FIRST).unwrap();
    std::fs::write(&second, SECOND).unwrap();
    let whole = Kubeconfig::merged(&[first, folder.join("absent"), second]).unwrap();
    assert_eq!(
        whole.cluster("a").unwrap().certificate_authority.as_deref(),
        folder.join("ca.pem").to_str()
    );
    std::fs::remove_dir_all(folder).unwrap();
    whole
}

#[test]
fn of_several_files_the_first_that_says_something_wins() {
    let whole = merged();
    assert_eq!(whole.current_context, "one");
    assert_eq!(whole.cluster("a").unwrap().server, "https://127.0.0.1:1");
    assert_eq!(whole.cluster("b").unwrap().server, "http://127.0.0.1:3");
    assert_eq!(whole.namespace(None), Some("first"));
}

#[test]
fn flags_win_over_the_file() {
    let mut whole = merged();
    whole.clusters[0].cluster.certificate_authority = None;
    let overrides = Overrides {
        server: Some("https://127.0.0.1:9".into()),
        impersonation: Impersonation { user: "eve".into(), ..Impersonation::default() },
        ..Overrides::default()
    };
    let endpoint = whole.endpoint(&overrides).unwrap();
    assert_eq!(endpoint.server, "https://127.0.0.1:9");
    assert_eq!(endpoint.impersonation.user, "eve");
    let Credentials::Token(token) = &endpoint.credentials else { panic!("no token") };
    assert_eq!(token.reveal(), "secret-of-u");
}

#[test]
fn no_secret_is_printed_by_debug() {
    let mut whole = merged();
    whole.clusters[0].cluster.certificate_authority = None;
    let endpoint = whole.endpoint(&Overrides::default()).unwrap();
    assert!(!format!("{endpoint:?} {whole:?}").contains("secret-of-u"));
}

#[test]
fn a_context_that_is_not_there_is_an_error() {
    let overrides = Overrides { context: Some("none".into()), ..Overrides::default() };
    let error = merged().endpoint(&overrides).unwrap_err();
    assert_eq!(error.to_string(), "context \"none\" does not exist");
}

#[test]
fn an_empty_config_means_localhost_8080() {
    let endpoint = Kubeconfig::default().endpoint(&Overrides::default()).unwrap();
    assert_eq!(endpoint.server, "http://localhost:8080");
}
