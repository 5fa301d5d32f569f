use super::*;

fn uri(text: &str) -> Uri {
    text.parse().expect("test URL")
}

#[test]
fn loopback_is_told_from_its_look_alikes() {
    for host in
        ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]:5000", "a.localhost"]
    {
        assert!(is_loopback(host), "{host}");
    }
    for host in ["127.0.0.1.evil.io", "localhost.evil.io", "10.0.0.1", "[::2]:5000", "docker.io"] {
        assert!(!is_loopback(host), "{host}");
    }
}

#[test]
fn locations_are_resolved_and_strange_schemes_refused() {
    let from = uri("https://r.io/v2/a/blobs/x?q=1");
    for (location, expected) in [
        ("https://cdn.io/x?sig=%2F", Some("https://cdn.io/x?sig=%2F")),
        ("//cdn.io/x", Some("https://cdn.io/x")),
        ("/other", Some("https://r.io/other")),
        ("y", Some("https://r.io/v2/a/blobs/y")),
        ("file:///etc/passwd", None),
        ("gopher://x/", None),
        ("http://", None),
    ] {
        assert_eq!(
            redirect(&from, location).map(|it| it.to_string()).as_deref(),
            expected,
            "{location}"
        );
    }
}

#[test]
fn credentials_stay_with_scheme_host_and_port() {
    assert!(is_same_origin(&uri("https://r.io/a"), &uri("https://R.io:443/b")));
    assert!(!is_same_origin(&uri("https://r.io/a"), &uri("http://r.io/a")));
    assert!(!is_same_origin(&uri("https://r.io/a"), &uri("https://r.io:5000/a")));
    assert!(!is_same_origin(&uri("https://r.io/a"), &uri("https://cdn.r.io/a")));
}

#[test]
fn values_are_encoded_for_queries() {
    assert_eq!(encode("repository:a/b:pull"), "repository%3Aa%2Fb%3Apull");
}
