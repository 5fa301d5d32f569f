//! Which server a request means, and which ones nobody reaches.

use super::*;

#[track_caller]
fn check_split(path: &str, is_namespaced: bool, expected: Option<(&str, &str)>) {
    assert_eq!(split(path, is_namespaced), expected, "{path}");
}

#[test]
fn the_path_behind_a_proxy_is_passed_on() {
    let pod = "/api/v1/namespaces/n/pods/p/proxy";
    check_split(pod, true, Some((pod, "")));
    check_split(&format!("{pod}/"), true, Some((pod, "/")));
    check_split(&format!("{pod}/a%2Fb//c"), true, Some((pod, "/a%2Fb//c")));
    check_split("//api/v1/nodes/m:80/proxy/x", false, Some(("//api/v1/nodes/m:80/proxy", "/x")));
    check_split(
        "/api/v1/namespaces/n%2fpods/p/proxy/x",
        true,
        Some(("/api/v1/namespaces/n%2fpods/p/proxy", "/x")),
    );
    check_split("/api/v1/namespaces/n/pods/p%2Fproxy%2Fx/y", true, None);
    check_split("/api/v1/namespaces/n/pods", true, None);
}

#[test]
fn a_path_does_not_leave_its_root_by_dots() {
    for (path, expected) in [
        ("", ""),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a//b/", "/a/b/"),
        ("/../../x", "/x"),
        ("/a/%2e%2E/b/./c", "/b/c"),
        ("/a/..", "/"),
    ] {
        assert_eq!(clean(path), expected, "{path}");
    }
}

#[test]
fn an_id_names_scheme_and_port() {
    let shown =
        |text: &str| Id::parse(text).map(|id| format!("{} {} {}", id.is_tls, id.name, id.port));
    assert_eq!(shown("p").as_deref(), Some("false p "));
    assert_eq!(shown("p:web").as_deref(), Some("false p web"));
    assert_eq!(shown("https:p:8443").as_deref(), Some("true p 8443"));
    assert_eq!(shown("http:p:").as_deref(), Some("false p "));
    for bad in ["ftp:p:1", "", ":80", "a:b:c:d"] {
        assert_eq!(shown(bad), None, "{bad}");
    }
}

#[test]
fn addresses_of_the_machine_its_links_and_many_are_not_allowed() {
    for good in ["10.42.0.7", "192.0.2.1", "2001:db8::1", "fd00::1"] {
        assert!(proxied_address(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "localhost",
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
    ] {
        let status = proxied_address(bad).expect_err(bad);
        assert_eq!((status.code, status.message.as_str()), (400, "address not allowed"), "{bad}");
    }
}
