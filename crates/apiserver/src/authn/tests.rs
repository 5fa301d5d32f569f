//! Users, tokens in headers, certificates.

use http::HeaderMap;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair};

use podo_base::Clock as _;

use super::*;
use crate::user::{CREDENTIAL_ID, split_service_account};

#[track_caller]
fn check(name: http::HeaderName, value: &str, expected: Option<&str>) {
    let mut headers = HeaderMap::new();
    headers.insert(name, value.parse().expect("a header"));
    assert_eq!(bearer(&headers).as_deref(), expected, "{value}");
}

#[test]
fn a_bearer_token_is_read_as_upstream_reads_it() {
    use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
    check(AUTHORIZATION, "Bearer abc", Some("abc"));
    check(AUTHORIZATION, "bearer abc def", Some("abc"));
    check(AUTHORIZATION, "Bearer  abc", None);
    check(AUTHORIZATION, "Bearer", None);
    check(AUTHORIZATION, "Basic dXNlcjpwYXNz", None);
    let protocol = "base64url.bearer.authorization.k8s.io.YWJj";
    check(SEC_WEBSOCKET_PROTOCOL, &format!("v5.channel.k8s.io, {protocol}"), Some("abc"));
    check(SEC_WEBSOCKET_PROTOCOL, protocol, None);
    check(SEC_WEBSOCKET_PROTOCOL, "v5.channel.k8s.io", None);
}

fn certificate(change: impl Fn(&mut DistinguishedName)) -> CertificateDer {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    change(&mut params.distinguished_name);
    let unused: Vec<CustomExtension> = Vec::new();
    params.custom_extensions = unused;
    let key = KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").der().clone()
}

type CertificateDer = rustls_pki_types::CertificateDer<'static>;

const UID: &[u64] = &[1, 3, 6, 1, 4, 1, 57683, 2];

#[test]
fn a_certificate_names_its_user_groups_and_uid() {
    let certificate = certificate(|name| {
        name.push(DnType::CommonName, "system:node:a");
        name.push(DnType::OrganizationName, "system:nodes");
        name.push(DnType::from_oid(UID), "1234");
    });
    let user = user_of_certificate(&certificate).expect("a user");
    assert_eq!((user.name.as_str(), user.uid.as_str()), ("system:node:a", "1234"));
    assert_eq!(user.groups, ["system:nodes", "system:authenticated"]);
    assert!(
        user.extra(CREDENTIAL_ID).is_some_and(|id| id.starts_with("X509SHA256=") && id.len() == 75)
    );
}

#[test]
fn a_certificate_without_a_name_is_nobody_and_an_empty_uid_is_refused() {
    let nameless = certificate(|name| name.push(DnType::OrganizationName, "system:masters"));
    assert_eq!(user_of_certificate(&nameless), None);
    let broken = certificate(|name| {
        name.push(DnType::CommonName, "u");
        name.push(DnType::from_oid(UID), "");
    });
    assert_eq!(user_of_certificate(&broken).map(|user| user.name), Some(String::new()));
}

#[test]
fn a_static_token_is_found_by_itself_only_and_never_shown() {
    let tokens = StaticTokens::new().with("secret-token", "admin", &["system:masters"]).with(
        "",
        "nobody",
        &[],
    );
    let user = tokens.user("secret-token").expect("known");
    assert_eq!(user.groups, ["system:masters", "system:authenticated"]);
    assert!(tokens.user("secret-toke").is_none() && tokens.user("").is_none());
    assert_eq!(format!("{tokens:?}"), "StaticTokens(1)");
}

#[test]
fn service_account_names_are_split_only_if_they_are_names() {
    assert_eq!(split_service_account("system:serviceaccount:n:a.b"), Some(("n", "a.b")));
    for name in [
        "system:serviceaccount:n",
        "system:serviceaccount:n:a:b",
        "system:serviceaccount:N:a",
        "alice",
    ] {
        assert_eq!(split_service_account(name), None, "{name}");
    }
}

#[test]
fn a_certificate_that_ends_while_its_connection_is_open_is_refused_from_then_on() {
    let made = certificate(|name| name.push(DnType::CommonName, "u"));
    let end = end_of_certificate(&made).expect("an end");
    assert!(end > podo_base::SystemClock.now(), "{end:?}");
    let world = crate::authz::testing::world();
    let (parts, ()) = http::Request::new(()).into_parts();
    let user = user_of_certificate(&made).map(Arc::new);
    let ask = |valid_until| {
        let peer = Peer { user: user.clone(), valid_until, ..Peer::default() };
        Authenticator::default().authenticate(&world.api, &parts, &peer)
    };
    assert_eq!(ask(Some(end)).map(|user| user.name.clone()), Ok("u".to_owned()));
    let past = podo_base::Timestamp::from_seconds(1);
    assert_eq!(ask(Some(past)).expect_err("it has ended").code, 401);
}
