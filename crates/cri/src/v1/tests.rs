use prost::Message as _;

use super::*;

/// What the protocol's rules say the bytes are: field number and wire type, then the value.
#[test]
fn messages_have_the_protocols_numbers_on_the_wire() {
    let mount = Mount {
        container_path: "/a".into(),
        propagation: MountPropagation::Bidirectional as i32,
        recursive_read_only: true,
        image_sub_path: "s".into(),
        ..Mount::default()
    };
    assert_eq!(mount.encode_to_vec(), b"\x0a\x02/a\x28\x02\x40\x01\x52\x01s");

    let spec = ImageSpec {
        image: "i".into(),
        user_specified_image: "u".into(),
        runtime_handler: "h".into(),
        ..ImageSpec::default()
    };
    // Fields 18, 19 and 20 have two bytes of key.
    assert_eq!(spec.encode_to_vec(), b"\x0a\x01i\x92\x01\x01u\x9a\x01\x01h");

    let security = LinuxContainerSecurityContext {
        run_as_group: Some(Int64Value { value: 7 }),
        no_new_privs: true,
        supplemental_groups_policy: SupplementalGroupsPolicy::Strict as i32,
        ..LinuxContainerSecurityContext::default()
    };
    assert_eq!(security.encode_to_vec(), b"\x58\x01\x62\x02\x08\x07\x88\x01\x01");
}

#[test]
fn what_is_read_is_what_was_written_and_strangers_are_skipped() {
    let config = ContainerConfig {
        metadata: Some(ContainerMetadata { name: "web".into(), attempt: 3 }),
        envs: vec![KeyValue { key: "K".into(), value: vec![0xff, 0] }],
        labels: [("a".to_owned(), "b".to_owned())].into(),
        stop_signal: Signal::Usr1 as i32,
        ..ContainerConfig::default()
    };
    let mut bytes = config.encode_to_vec();
    bytes.extend(b"\x82\x01\x02\x08\x01"); // Field 16: Windows' part.
    assert_eq!(ContainerConfig::decode(bytes.as_slice()), Ok(config));
}

#[test]
fn secrets_are_not_printed() {
    let auth = AuthConfig {
        username: "me".into(),
        password: "s3cret".into(),
        auth: "czNjcmV0".into(),
        ..AuthConfig::default()
    };
    let shown = format!("{:?}", PullImageRequest { auth: Some(auth), ..Default::default() });
    assert!(
        shown.contains("me") && !shown.contains("s3cret") && !shown.contains("czNj"),
        "{shown}"
    );
}
