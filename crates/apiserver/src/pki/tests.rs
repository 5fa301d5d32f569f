//! Certificates: what is made, kept, made anew, and believed.

use std::os::unix::fs::PermissionsExt as _;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};

use super::*;
use crate::authn::user_of_certificate;

const DAY: i64 = 24 * 60 * 60;

fn config(now: i64) -> PkiConfig {
    PkiConfig {
        names: vec!["master.example".to_owned()],
        addresses: vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 43, 0, 1])],
        domain: "cluster.local".to_owned(),
        now: Timestamp::from_seconds(now),
    }
}

/// A moment at which the machine's own clock, by which TLS verifies, agrees that the certificates are good.
fn now() -> i64 {
    use podo_base::Clock as _;
    podo_base::SystemClock.now().as_seconds()
}

fn der(identity: &Identity) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).expect("a certificate")
}

#[test]
fn a_second_start_finds_what_the_first_made_and_nobody_else_can_read_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("pki");
    let first = Pki::load_or_create(&path, &config(now())).expect("made");
    let second = Pki::load_or_create(&path, &config(now())).expect("found");
    assert_eq!(first.ca_pem(), second.ca_pem());
    assert_eq!(der(first.admin()), der(second.admin()));
    assert_eq!(der(&first.serving), der(&second.serving));
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in std::fs::read_dir(&path).expect("a directory") {
        assert_eq!(mode(&entry.expect("an entry").path()), 0o600);
    }
}

#[test]
fn what_is_about_to_expire_or_says_something_else_is_made_anew_by_the_same_authority() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Pki::load_or_create(dir.path(), &config(now())).expect("made");
    let later = Pki::load_or_create(dir.path(), &config(now() + 300 * DAY)).expect("renewed");
    assert_eq!(first.ca_pem(), later.ca_pem());
    assert_ne!(der(first.admin()), der(later.admin()));
    let mut moved = config(now() + 300 * DAY);
    moved.addresses.push(IpAddr::from([192, 0, 2, 1]));
    let moved = Pki::load_or_create(dir.path(), &moved).expect("renamed");
    assert_eq!(der(later.admin()), der(moved.admin()));
    assert_ne!(der(&later.serving), der(&moved.serving));
    let expired =
        Pki::load_or_create(dir.path(), &config(now() + 4000 * DAY)).expect_err("too late");
    assert!(matches!(expired, PkiError::AuthorityExpired { .. }), "{expired}");
}

#[test]
fn a_torn_file_of_a_certificate_is_made_anew_and_one_of_the_authority_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Pki::load_or_create(dir.path(), &config(now())).expect("made");
    std::fs::write(dir.path().join("admin.pem"), "-----BEGIN").expect("written");
    let second = Pki::load_or_create(dir.path(), &config(now())).expect("made anew");
    assert_ne!(der(first.admin()), der(second.admin()));
    std::fs::write(dir.path().join("ca.pem"), "").expect("written");
    let error = Pki::load_or_create(dir.path(), &config(now())).expect_err("no authority");
    assert!(matches!(error, PkiError::Malformed { .. }), "{error}");
}

#[test]
fn certificates_name_users_as_authentication_reads_them_and_debug_shows_no_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let pki = Pki::load_or_create(dir.path(), &config(now())).expect("made");
    let admin = user_of_certificate(&der(pki.admin())).expect("a user");
    assert!(admin.is_in("system:masters"));
    let (client, _serving) = pki.node("a", &[IpAddr::from([127, 0, 0, 1])]).expect("made");
    let node = user_of_certificate(&der(&client)).expect("a user");
    assert_eq!((node.name.as_str(), node.is_in("system:nodes")), ("system:node:a", true));
    assert!(!format!("{pki:?}").contains("PRIVATE"));
}

/// Shakes hands in memory; gives what the server learned of the client.
fn shake(
    server: Arc<ServerConfig>,
    client: ClientConfig,
    name: &str,
) -> Result<Option<CertificateDer<'static>>, String> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = rustls::ServerConnection::new(server).expect("a server");
    for _ in 0..10 {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).expect("memory");
        server.read_tls(&mut wire.as_slice()).expect("memory");
        server.process_new_packets().map_err(|error| error.to_string())?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).expect("memory");
        client.read_tls(&mut wire.as_slice()).expect("memory");
        client.process_new_packets().map_err(|error| error.to_string())?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(server
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|found| found.clone().into_owned()))
}

#[test]
fn client_and_server_believe_each_other_within_one_authority_only() {
    let (dir, other_dir) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let pki = Pki::load_or_create(dir.path(), &config(now())).expect("made");
    let other = Pki::load_or_create(other_dir.path(), &config(now())).expect("made");
    let server = || pki.server_config().expect("TLS");
    let client = |identity| pki.client_config(identity).expect("TLS");
    for name in ["kubernetes.default.svc", "10.43.0.1", "master.example"] {
        let seen = shake(server(), client(Some(pki.admin())), name);
        assert_eq!(seen, Ok(Some(der(pki.admin()))), "{name}");
    }
    assert_eq!(shake(server(), client(None), "127.0.0.1"), Ok(None));
    assert!(shake(server(), client(None), "elsewhere.example").is_err());
    let stranger = pki.client_config(Some(other.admin())).expect("TLS");
    assert!(shake(server(), stranger, "127.0.0.1").is_err());
    assert!(shake(other.server_config().expect("TLS"), client(None), "127.0.0.1").is_err());
}
