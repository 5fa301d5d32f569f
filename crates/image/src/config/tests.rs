use super::*;

#[test]
fn everything_an_image_says_is_read_and_survives_a_round_trip() {
    let text = br#"{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","config":{
        "User":"101:101","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin","A=b"],"Entrypoint":["/e"],"Cmd":["c","d"],
        "Volumes":{"/data":{}},"WorkingDir":"/w","Labels":{"a":"b"},"StopSignal":"SIGQUIT","ArgsEscaped":true},
        "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
        "history":[{"created_by":"x"}]}"#;
    let image = ImageConfig::parse(text).expect("valid");
    assert_eq!(image.config.entrypoint, ["/e"]);
    assert_eq!(image.config.cmd, ["c", "d"]);
    assert_eq!(image.config.volumes.first().map(String::as_str), Some("/data"));
    assert_eq!(image.config.exposed_ports.first().map(String::as_str), Some("80/tcp"));
    assert_eq!(image.config.stop_signal, "SIGQUIT");
    assert_eq!(image.config.user_identity(), (Some(101), ""));
    assert_eq!(image.platform.to_string(), "linux/amd64");
    assert!(image.check_layers(1).is_ok());
    assert!(image.check_layers(2).is_err());
    let again =
        ImageConfig::parse(&serde_json::to_vec(&image).expect("plain data")).expect("valid");
    assert_eq!(again, image);
}

#[test]
fn go_nulls_are_absent_fields() {
    let text = br#"{"config":{"Entrypoint":null,"Cmd":null,"Env":null,"Volumes":null,"ExposedPorts":null,"Labels":null,"User":null},"rootfs":{"type":"layers","diff_ids":null}}"#;
    assert_eq!(ImageConfig::parse(text).expect("valid").config, RunConfig::default());
    assert_eq!(
        ImageConfig::parse(br#"{"config":null,"rootfs":null}"#).expect("valid").config,
        RunConfig::default()
    );
}

#[test]
fn users_are_numbers_or_names_and_overflow_is_a_name_that_nobody_has() {
    for (user, expected) in [
        ("", (Some(0), "")),
        ("0", (Some(0), "")),
        ("nginx:nginx", (None, "nginx")),
        ("4294967296", (None, "4294967296")),
        ("-1", (None, "-1")),
    ] {
        let config = RunConfig { user: user.into(), ..RunConfig::default() };
        assert_eq!(config.user_identity(), expected, "{user}");
    }
}

#[test]
fn unknown_root_file_systems_and_garbage_are_refused() {
    assert!(ImageConfig::parse(br#"{"rootfs":{"type":"disk","diff_ids":[]}}"#).is_err());
    assert!(ImageConfig::parse(b"[]").is_err());
    assert!(ImageConfig::parse(b"{\"config\":{\"Env\":\"x\"}}").is_err());
}
