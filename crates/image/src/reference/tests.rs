use proptest::prelude::*;

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[track_caller]
fn becomes(name: &str, expected: &str) {
    assert_eq!(Reference::parse(name).map(|it| it.to_string()), Ok(expected.to_owned()));
}

#[track_caller]
fn fails(name: &str, expected: &str) {
    let error = Reference::parse(name).expect_err(name);
    assert_eq!(error.source.to_string(), expected, "{name:?}");
}

#[test]
fn short_names_get_dockers_defaults() {
    becomes("nginx", "docker.io/library/nginx:latest");
    becomes("nginx:1.27", "docker.io/library/nginx:1.27");
    becomes("bitnami/nginx", "docker.io/bitnami/nginx:latest");
    becomes("docker.io/nginx", "docker.io/library/nginx:latest");
    becomes("index.docker.io/nginx:1", "docker.io/library/nginx:1");
    becomes("docker.io/a/b/c", "docker.io/a/b/c:latest");
}

#[test]
fn a_first_component_that_looks_like_a_host_is_the_registry() {
    becomes("localhost/app", "localhost/app:latest");
    becomes("localhost:5000/app:v1", "localhost:5000/app:v1");
    becomes(
        "gcr.io/google-samples/kubernetes-bootcamp:v1",
        "gcr.io/google-samples/kubernetes-bootcamp:v1",
    );
    becomes("127.0.0.1:5000/x", "127.0.0.1:5000/x:latest");
    becomes("[::1]:5000/x", "[::1]:5000/x:latest");
    becomes("Registry/x", "Registry/x:latest");
    becomes("podo.local/hello:0.1.0", "podo.local/hello:0.1.0");
}

#[test]
fn digests_pin_and_tags_beside_them_are_kept_for_reading_only() {
    becomes(&format!("nginx@sha256:{HEX}"), &format!("docker.io/library/nginx@sha256:{HEX}"));
    let both = Reference::parse(&format!("nginx:1@sha256:{HEX}")).expect("valid");
    assert_eq!(both.canonical(), format!("docker.io/library/nginx@sha256:{HEX}"));
    assert_eq!(both.repo_tag(), None);
    assert_eq!(both.selector(), format!("sha256:{HEX}"));
    assert!(!both.is_latest());
    assert!(Reference::parse("nginx").expect("valid").is_latest());
}

#[test]
fn malformed_names_say_what_upstream_says() {
    let invalid = "invalid reference format";
    for name in [
        "",
        " nginx",
        "nginx ",
        "nginx:",
        "nginx::1",
        "nginx:a:b",
        "a//b",
        "/nginx",
        "nginx/",
        "-nginx",
        "ngi nx",
        "nginx:-tag",
        "nginx@",
        "nginx@sha256",
        "nginx@sha256:abc",
        "a..b/c/d",
        "foo.-bar",
        "foo___bar",
        "https://nginx",
        "reg:port/x",
        "a:b/c:d",
        "nginx\n",
        "ünïcode",
        "[::1/x",
        "[]/x",
        "-x.io/y",
        "reg.io/",
        "reg.io:/x",
    ] {
        fails(name, invalid);
    }
    fails("NGINX", "invalid reference format: repository name (library/NGINX) must be lowercase");
    fails("a/Foo:b", "invalid reference format: repository name (a/Foo) must be lowercase");
    fails(
        HEX,
        &format!("invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
    );
    fails(&format!("nginx@sha256:{}", &HEX[..40]), "invalid checksum digest length");
    fails(&format!("nginx@md5:{}", &HEX[..32]), "unsupported digest algorithm");
    fails(
        "a/".repeat(200).trim_end_matches('/'),
        "repository name must not be more than 255 characters",
    );
    fails(&format!("nginx:{}", "t".repeat(129)), invalid);
}

#[test]
fn the_kubelets_message_is_upstreams() {
    let error = Reference::parse("Bad Name").expect_err("has a blank");
    assert!(error.invalid_image_name().starts_with(
        "Failed to apply default image tag \"Bad Name\": couldn't parse image name \"Bad Name\": invalid reference format"
    ));
    let error = Reference::parse("a::b").expect_err("two colons");
    assert_eq!(
        error.invalid_image_name(),
        "Failed to apply default image tag \"a::b\": couldn't parse image name \"a::b\": invalid reference format"
    );
}

proptest! {
    #[test]
    fn parsing_never_panics_and_what_it_accepts_is_a_fixed_point(name in "\\PC{0,80}") {
        if let Ok(reference) = Reference::parse(&name) {
            let again = Reference::parse(&reference.to_string());
            prop_assert_eq!(again, Ok(reference));
        }
    }

    #[test]
    fn well_formed_names_are_accepted_and_kept(
        host in "([a-z][a-z0-9]{0,8}\\.[a-z]{2,3}|localhost)(:[0-9]{1,5})?",
        path in "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}(/[a-z0-9]{1,8}){0,3}",
        tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
    ) {
        prop_assume!(host != "docker.io");
        let name = format!("{host}/{path}:{tag}");
        let reference = Reference::parse(&name);
        prop_assert_eq!(reference.map(|it| it.to_string()), Ok(name));
    }

    #[test]
    fn a_parsed_name_never_holds_a_path_escape(name in "[a-z./:@-]{0,40}") {
        if let Ok(reference) = Reference::parse(&name) {
            prop_assert!(!reference.repository().split('/').any(|part| part.is_empty() || part.starts_with('.')));
        }
    }
}
