use proptest::prelude::*;

use super::*;

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_hosts_file_is_read_with_comments_and_aliases() {
    let text = "127.0.0.1 localhost\n10.0.0.1\tReg.io alias # other\n#10.0.0.2 reg.io\n::1 reg.io\nbad reg.io\n";
    let found = in_hosts_file(text, "reg.io");
    assert_eq!(found, vec!["10.0.0.1".parse::<IpAddr>().expect("v4"), "::1".parse().expect("v6")]);
    assert!(in_hosts_file(text, "other").is_empty());
}

#[test]
fn resolv_conf_gives_servers_search_and_options() {
    let text = "; c\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\nnameserver x\nsearch a.io b.io.\noptions ndots:5 timeout:99 attempts:0 rotate\n";
    let settings = parse_resolv_conf(text);
    assert_eq!(
        settings.servers,
        ["10.0.0.53:53".parse().expect("v4"), "[fe80::1]:53".parse().expect("v6")]
    );
    assert_eq!(settings.search, strings(&["a.io", "b.io"]));
    assert_eq!((settings.dots_min, settings.timeout.as_secs(), settings.attempts), (5, 30, 1));
    assert_eq!(parse_resolv_conf("").servers, ["127.0.0.1:53".parse().expect("loopback")]);
}

#[test]
fn names_with_enough_dots_are_asked_as_they_are_first() {
    let settings = parse_resolv_conf("search a.io\noptions ndots:2");
    assert_eq!(candidates(&settings, "x", false), strings(&["x.a.io", "x"]));
    assert_eq!(candidates(&settings, "x.y.z", false), strings(&["x.y.z", "x.y.z.a.io"]));
    assert_eq!(candidates(&settings, "x", true), strings(&["x"]));
}

/// An answer to `question` with an alias in front of the address.
fn reply(question: &[u8], flags: [u8; 2], data: &[u8]) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] = flags[0];
    message[3] = flags[1];
    message[7] = 2;
    message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 3, 1, b'x', 0]);
    message.extend([0xc0, 12, 0, if data.len() == 4 { 1 } else { 28 }, 0, 1, 0, 0, 0, 9, 0]);
    message.push(u8::try_from(data.len()).expect("short"));
    message.extend(data);
    message
}

#[test]
fn addresses_behind_aliases_are_found_and_failures_told() {
    let asked = message::question(7, "reg.example.io", RecordType::A).expect("valid");
    let good = reply(&asked, [0x81, 0x80], &[10, 0, 0, 1]);
    let expected = Answer::Addresses(vec![IpAddr::from([10, 0, 0, 1])]);
    assert_eq!(message::answer(&good, &asked, RecordType::A), expected);
    let none = reply(&asked, [0x81, 0x83], &[10, 0, 0, 1]);
    assert_eq!(message::answer(&none, &asked, RecordType::A), Answer::Addresses(Vec::new()));
    assert_eq!(
        message::answer(&reply(&asked, [0x81, 0x82], &[1; 4]), &asked, RecordType::A),
        Answer::Failed
    );
    assert_eq!(
        message::answer(&reply(&asked, [0x83, 0x80], &[1; 4]), &asked, RecordType::A),
        Answer::Truncated
    );
    let cut = good.get(..good.len() - 1).expect("long enough");
    assert_eq!(message::answer(cut, &asked, RecordType::A), Answer::Failed);
}

#[test]
fn answers_to_other_questions_are_not_believed() {
    let asked = message::question(7, "reg.io", RecordType::A).expect("valid");
    let other_number = message::question(8, "reg.io", RecordType::A).expect("valid");
    let other_name = message::question(7, "evil.io", RecordType::A).expect("valid");
    for wrong in [&other_number, &other_name] {
        let forged = reply(wrong, [0x81, 0x80], &[6, 6, 6, 6]);
        assert_eq!(message::answer(&forged, &asked, RecordType::A), Answer::NotOurs);
    }
    assert_eq!(message::answer(&asked, &asked, RecordType::A), Answer::NotOurs);
    assert!(message::question(1, "a..b", RecordType::A).is_none());
    assert!(message::question(1, &"a".repeat(64), RecordType::A).is_none());
}

#[tokio::test]
async fn addresses_and_localhost_need_no_server() {
    let resolver = Resolver::new(Path::new("/nonexistent"), Path::new("/nonexistent"));
    assert_eq!(
        resolver.lookup("192.0.2.1").await.expect("literal"),
        ["192.0.2.1".parse::<IpAddr>().expect("v4")]
    );
    assert!(resolver.lookup("localhost").await.is_ok_and(|it| it.iter().all(IpAddr::is_loopback)));
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..80), flags in any::<[u8; 2]>()) {
        let asked = message::question(7, "reg.io", RecordType::A).expect("valid");
        let mut forged = asked.clone();
        forged[2..4].copy_from_slice(&flags);
        forged[7] = 9;
        forged.extend(tail);
        let _answer = message::answer(&forged, &asked, RecordType::A);
    }
}
