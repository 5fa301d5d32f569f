use super::*;

fn config(mirrors: &[&str], insecure: &[&str]) -> RegistryConfig {
    RegistryConfig {
        mirrors: mirrors.iter().map(|text| text.parse().expect("mirror")).collect(),
        insecure: insecure.iter().map(|host| (*host).to_owned()).collect(),
        ..RegistryConfig::default()
    }
}

#[track_caller]
fn asks(config: &RegistryConfig, registry: &str, expected: &[&str]) {
    let bases: Vec<String> = endpoints(config, registry).into_iter().map(|it| it.base).collect();
    assert_eq!(bases, expected);
}

#[test]
fn without_mirrors_the_registry_is_asked() {
    asks(&config(&[], &[]), "docker.io", &["https://registry-1.docker.io"]);
    asks(&config(&[], &[]), "quay.io", &["https://quay.io"]);
    asks(&config(&[], &[]), "localhost:5000", &["http://localhost:5000"]);
    asks(&config(&[], &["reg:5000"]), "reg:5000", &["http://reg:5000"]);
    asks(&config(&[], &["reg:5000"]), "reg:5001", &["https://reg:5001"]);
}

#[test]
fn mirrors_come_first_and_those_for_the_registry_replace_those_for_all() {
    let both = config(&["http://127.0.0.1:1", "docker.io=http://127.0.0.1:2/hub/"], &[]);
    asks(&both, "docker.io", &["http://127.0.0.1:2/hub", "https://registry-1.docker.io"]);
    asks(&both, "quay.io", &["http://127.0.0.1:1", "https://quay.io"]);
}

#[test]
fn the_origin_is_left_out_if_told_so() {
    let mut only = config(&["http://127.0.0.1:1"], &[]);
    only.mirrors[0].fallback = Fallback::Never;
    asks(&only, "quay.io", &["http://127.0.0.1:1"]);
}

#[test]
fn a_plain_mirror_elsewhere_gets_no_credentials() {
    assert!(Mirror::new("*", "http://127.0.0.1:5000").is_ok_and(|it| it.has_credentials));
    assert!(Mirror::new("*", "https://mirror.io").is_ok_and(|it| it.has_credentials));
    assert!(Mirror::new("*", "http://mirror.io").is_ok_and(|it| !it.has_credentials));
    assert!(
        Mirror::new("*", "ftp://x").is_err()
            && Mirror::new("*", "x:5000").is_err()
            && Mirror::new("*", "").is_err()
    );
}
