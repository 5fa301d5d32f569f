use super::*;

fn list(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn command_and_args_go_over_entrypoint_and_cmd_by_the_four_cases() {
    let image = RunConfig { entrypoint: list("/ep x"), cmd: list("y z"), ..RunConfig::default() };
    for (command, own, expected) in [
        ("", "", "/ep x y z"),
        ("", "a b", "/ep x a b"),
        ("/c d", "", "/c d"),
        ("/c d", "a b", "/c d a b"),
    ] {
        let all = args(&list(command), &list(own), &image).expect("there is a program");
        assert_eq!(all, list(expected), "{command:?} {own:?}");
    }
}

#[test]
fn nothing_to_run_is_an_error() {
    let error = args(&[], &[], &RunConfig::default()).expect_err("nothing to run");
    assert_eq!(error.message(), "no command specified");
}

#[test]
fn later_variables_take_the_place_of_earlier_ones() {
    let envs = [("PATH", "/mine"), ("NEW", "a=b")]
        .map(|(key, value)| KeyValue { key: key.into(), value: value.into() });
    let all = environment(&list("PATH=/image LANG=C"), &envs, "web-0", true).expect("good");
    assert_eq!(all.join(OsStr::new(" ")), "PATH=/mine TERM=xterm HOSTNAME=web-0 LANG=C NEW=a=b");
}

#[test]
fn the_bytes_of_a_value_stay_as_they_are() {
    let envs = [KeyValue { key: "A".into(), value: b"\xff=\xc3".to_vec() }];
    let all = environment(&[], &envs, "", false).expect("good");
    assert_eq!(all.last().expect("one").as_bytes(), b"A=\xff=\xc3");
}

#[test]
fn a_variable_that_cannot_be_one_is_refused() {
    for (key, value) in [("", "x"), ("A=B", "x"), ("A", "x\0y"), ("A\0", "")] {
        let envs = [KeyValue { key: key.into(), value: value.into() }];
        assert!(environment(&[], &envs, "", false).is_err(), "{key:?}={value:?}");
    }
}

#[track_caller]
fn check_user(uid: Option<i64>, name: &str, gid: Option<i64>, image: &str, expected: &str) {
    let security = LinuxContainerSecurityContext {
        run_as_user: uid.map(|value| Int64Value { value }),
        run_as_username: name.into(),
        run_as_group: gid.map(|value| Int64Value { value }),
        supplemental_groups: vec![7],
        ..LinuxContainerSecurityContext::default()
    };
    let image = RunConfig { user: image.into(), ..RunConfig::default() };
    let shown = match user(&security, &image) {
        Ok(user) => format!("{} {:?} {:?}", user.user, user.gid, user.groups),
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, expected);
}

#[test]
fn the_pods_user_goes_before_the_images() {
    check_user(None, "", None, "app:staff", "app:staff None [7]");
    check_user(Some(1000), "", None, "app:staff", "1000 None [7]");
    check_user(None, "www", None, "app:staff", "www None [7]");
    check_user(Some(0), "www", Some(3000), "app", "0 Some(3000) [7]");
    check_user(None, "", Some(5), "", " Some(5) [7]");
    check_user(Some(-1), "", None, "", "runAsUser -1 is out of range");
    check_user(Some(4_294_967_295), "", None, "", "runAsUser 4294967295 is out of range");
}

#[test]
fn the_pods_stop_signal_goes_before_the_images() {
    for (own, image, expected) in [
        (Signal::RuntimeDefault, "", Some(15)),
        (Signal::RuntimeDefault, "SIGQUIT", Some(3)),
        (Signal::RuntimeDefault, "int", Some(2)),
        (Signal::RuntimeDefault, "10", Some(10)),
        (Signal::RuntimeDefault, "SIGRTMIN+3", Some(37)),
        (Signal::Usr1, "SIGQUIT", Some(10)),
        (Signal::RuntimeDefault, "SIGNOTHING", None),
        (Signal::RuntimeDefault, "99", None),
    ] {
        let config = ContainerConfig { stop_signal: own as i32, ..ContainerConfig::default() };
        let image = RunConfig { stop_signal: image.into(), ..RunConfig::default() };
        assert_eq!(stop_signal(&config, &image).ok(), expected, "{own:?} {image:?}");
    }
}
