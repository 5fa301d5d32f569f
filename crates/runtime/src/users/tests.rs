use super::*;

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nbroken\nwww:x:33:34::/var/www:/bin/false\n7:x:99:99::/:\n";
const GROUP: &str = "root:x:0:\nwww:x:34:\nlogs:x:50:www,other\nmail:x:51:other\n";

#[track_caller]
fn check(user: &str, expected: &str) {
    let spec = UserSpec { user: user.into(), merge_image_groups: true, ..UserSpec::default() };
    let got = match resolve_in(PASSWD, GROUP, &spec) {
        Ok(id) => format!("{}:{} {:?} {}", id.uid, id.gid, id.groups, id.home),
        Err(fault) => fault.message,
    };
    assert_eq!(got, expected, "{user:?}");
}

#[test]
fn every_form_of_an_image_user() {
    check("", "0:0 [0] /root");
    check("root", "0:0 [0] /root");
    check("www", "33:34 [34, 50] /var/www");
    check("33", "33:34 [34, 50] /var/www");
    check("1000", "1000:0 [0] /");
    check("1000:2000", "1000:2000 [2000] /");
    check("www:logs", "33:50 [50] /var/www");
    check("33:7", "33:7 [7, 50] /var/www");
}

#[test]
fn a_number_is_an_id_even_if_a_user_is_named_so() {
    check("7", "7:0 [0] /");
}

#[test]
fn what_is_not_there_is_said() {
    check("nobody", "unable to find user nobody: no matching entries in its file");
    check("www:none", "unable to find group none: no matching entries in its file");
}

#[test]
fn ids_do_not_wrap_around() {
    check("4294967296", "id 4294967296 is out of range");
    check("4294967295", "id 4294967295 is out of range");
    check("0:99999999999999999999", "id 99999999999999999999 is out of range");
}

#[test]
fn groups_asked_for_come_with_those_of_the_image_only_on_request() {
    let mut spec = UserSpec { user: "www".into(), groups: vec![9, 5, 9], ..UserSpec::default() };
    assert_eq!(resolve_in(PASSWD, GROUP, &spec).unwrap().groups, [5, 9, 34]);
    spec.merge_image_groups = true;
    assert_eq!(resolve_in(PASSWD, GROUP, &spec).unwrap().groups, [5, 9, 34, 50]);
}

#[test]
fn the_primary_group_is_among_the_others_whoever_names_it() {
    let groups = |user: &str, gid: Option<u32>, merge_image_groups: bool| {
        let spec = UserSpec { user: user.into(), gid, groups: vec![60000], merge_image_groups };
        resolve_in(PASSWD, GROUP, &spec).unwrap().groups
    };
    assert_eq!(groups("www", None, true), [34, 50, 60000]);
    assert_eq!(groups("www", None, false), [34, 60000]);
    assert_eq!(groups("1001:1001", None, false), [1001, 60000]);
    assert_eq!(groups("1001", Some(60000), true), [60000]);
}
