use super::*;

fn keyring(auths: &[(&str, &str)]) -> Keyring {
    let mut keyring = Keyring::new();
    for (pattern, user) in auths {
        keyring.add(pattern, Credential::basic(*user, "secret"));
    }
    keyring
}

#[track_caller]
fn finds(auths: &[(&str, &str)], repository: &str, expected: &[&str]) {
    let found = keyring(auths).lookup(repository);
    let users: Vec<&str> = found.iter().map(|credential| credential.username.as_str()).collect();
    assert_eq!(users, expected, "{repository}");
}

#[test]
fn hosts_match_exactly_with_their_port() {
    finds(&[("reg.example.com", "a")], "reg.example.com/app", &["a"]);
    finds(&[("reg.example.com", "a")], "other.example.com/app", &[]);
    finds(&[("reg.example.com", "a")], "reg.example.com:5000/app", &[]);
    finds(&[("reg.example.com:5000", "a")], "reg.example.com:5000/app", &["a"]);
}

#[test]
fn the_longest_path_comes_first() {
    let auths = [("reg.io", "host"), ("reg.io/team", "team"), ("reg.io/team/app", "app")];
    finds(&auths, "reg.io/team/app", &["app", "team", "host"]);
    finds(&auths, "reg.io/team/other", &["team", "host"]);
    finds(&auths, "reg.io/x", &["host"]);
}

#[test]
fn stars_match_within_one_label_and_come_after_exact_hosts() {
    let auths = [("*.reg.io", "star"), ("a.reg.io", "exact")];
    finds(&auths, "a.reg.io/x", &["exact", "star"]);
    finds(&auths, "b.reg.io/x", &["star"]);
    finds(&auths, "a.b.reg.io/x", &[]);
    finds(&[("k8s-*.reg.io", "p")], "k8s-eu.reg.io/x", &["p"]);
}

#[test]
fn the_default_registry_is_found_under_dockers_old_key() {
    finds(&[("https://index.docker.io/v1/", "hub")], "docker.io/library/nginx", &["hub"]);
    finds(&[("https://index.docker.io/v1/", "hub")], "quay.io/x/y", &[]);
    finds(&[("docker.io", "hub")], "docker.io/library/nginx", &["hub"]);
}

#[test]
fn docker_config_json_is_read_in_all_its_forms() {
    let mut keyring = Keyring::new();
    let text = br#"{"auths":{
        "a.io":{"auth":"dXNlcjpwYTpzcw=="},
        "b.io":{"username":"u","password":"p","email":"x"},
        "c.io":{"auth":"dXNlcjpwYQ","identitytoken":"idt"}},
        "HttpHeaders":{}}"#;
    keyring.add_config_json(text).expect("valid");
    assert_eq!(keyring.lookup("a.io/x"), vec![Credential::basic("user", "pa:ss")]);
    assert_eq!(keyring.lookup("b.io/x"), vec![Credential::basic("u", "p")]);
    let found = keyring.lookup("c.io/x");
    assert_eq!(found.first().and_then(|it| it.identity_token.as_deref()), Some("idt"));
    let mut legacy = Keyring::new();
    legacy.add_dockercfg(br#"{"https://a.io/v1/":{"auth":"dTpw"}}"#).expect("valid");
    assert_eq!(legacy.lookup("a.io/x"), vec![Credential::basic("u", "p")]);
}

#[test]
fn bad_configurations_are_refused_without_showing_the_secret() {
    let mut keyring = Keyring::new();
    for text in [
        r#"{"auths":{"a.io":{"auth":"c2VjcmV0"}}}"#,
        r#"{"auths":{"a.io":{"auth":"%%%"}}}"#,
        "[",
        "3",
    ] {
        let error = keyring.add_config_json(text.as_bytes()).expect_err(text);
        assert!(!error.to_string().contains("c2Vj"));
    }
    assert!(keyring.lookup("a.io/x").is_empty());
    assert!(!format!("{:?}", Credential::basic("u", "hidden")).contains("hidden"));
}
