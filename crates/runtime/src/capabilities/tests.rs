use super::*;

#[test]
fn the_default_set_is_the_one_that_containerd_gives() {
    assert_eq!(DEFAULT, 0xa804_25fb);
}

#[test]
fn names_are_read_with_and_without_their_prefix() {
    assert_eq!(bit("CAP_NET_ADMIN"), Some(1 << 12));
    assert_eq!(bit("net_admin"), Some(1 << 12));
    assert_eq!(bit("NET_ADMINS"), None);
    assert_eq!(names(1 << 40), ["CAP_CHECKPOINT_RESTORE"]);
}

#[test]
fn adding_and_dropping() {
    assert_eq!(adjust(DEFAULT, &[], &["ALL"]), Ok(0));
    assert_eq!(adjust(DEFAULT, &["NET_BIND_SERVICE"], &["ALL"]), Ok(1 << 10));
    assert_eq!(adjust(DEFAULT, &["ALL"], &["MKNOD"]), Ok(ALL & !(1 << 27)));
    assert_eq!(adjust(DEFAULT, &["SYS_TIME"], &["MKNOD"]), Ok((DEFAULT | 1 << 25) & !(1 << 27)));
    assert_eq!(adjust(DEFAULT, &["ALL"], &["ALL"]), Ok(0));
    assert_eq!(adjust(DEFAULT, &["all", "NET_ADMIN"], &["All"]), Ok(1 << 12));
    assert_eq!(adjust(DEFAULT, &["SYS_TIME"], &["SYS_TIME"]), Ok(DEFAULT));
    assert_eq!(adjust(DEFAULT, &["NOPE"], &[]), Err("NOPE"));
}
