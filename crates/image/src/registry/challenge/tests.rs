use proptest::prelude::*;

use super::*;

#[track_caller]
fn reads(header: &str, expected: &str) {
    let text: Vec<String> = parse(header)
        .iter()
        .map(|challenge| {
            let parameters: Vec<String> = challenge
                .parameters
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("{}({})", challenge.scheme, parameters.join("; "))
        })
        .collect();
    assert_eq!(text.join(" "), expected);
}

#[test]
fn the_forms_that_registries_send_are_read() {
    reads(
        r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
        "bearer(realm=https://auth.docker.io/token; scope=repository:a/b:pull,push; service=registry.docker.io)",
    );
    reads(r#"Basic realm="Registry Realm""#, "basic(realm=Registry Realm)");
    reads(
        r#"Bearer realm="a", error="invalid_token", Basic realm="b""#,
        "bearer(error=invalid_token; realm=a) basic(realm=b)",
    );
    reads("Negotiate, Basic realm=plain", "negotiate() basic(realm=plain)");
    reads(r#"Bearer realm = "a\"b""#, "bearer(realm=a\"b)");
}

#[test]
fn nonsense_is_left_out() {
    reads("", "");
    reads("=", "");
    reads("Bearer realm=\"open", "bearer(realm=open)");
}

proptest! {
    #[test]
    fn no_header_makes_it_panic_or_hang(header in "\\PC{0,100}") {
        let _challenges = parse(&header);
    }
}
