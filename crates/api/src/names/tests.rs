use super::*;

#[track_caller]
fn problems(found: Problems, expected: &[&str]) {
    assert_eq!(found, expected);
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

#[test]
fn labels_and_subdomains() {
    for good in ["a", "0", "a-b", "a1", &"a".repeat(63)] {
        problems(dns1123_label(good), &[]);
        problems(dns1123_subdomain(good), &[]);
    }
    for bad in ["", "-a", "a-", "A", "a_b", "a b", "é"] {
        problems(dns1123_label(bad), &[LABEL]);
        problems(dns1123_subdomain(bad), &[SUBDOMAIN]);
    }
    problems(dns1123_label("a.b"), &["must not contain dots"]);
    problems(dns1123_subdomain("a.b.c"), &[]);
    problems(dns1123_subdomain("a..b"), &[SUBDOMAIN]);
    problems(dns1123_label(&"a".repeat(64)), &["must be no more than 63 characters"]);
    problems(short_name(&"a".repeat(64)), &["must be no more than 63 bytes"]);
    problems(dns1123_subdomain(&"a".repeat(254)), &["must be no more than 253 characters"]);
    problems(long_name(&"a".repeat(254)), &["must be no more than 253 bytes"]);
    problems(long_name_caseless("Example.COM"), &[]);
    problems(dns1123_subdomain_with_underscore("_sip._tcp.a_b.c"), &[]);
    assert_eq!(dns1123_subdomain_with_underscore("__a").len(), 1);
    problems(wildcard_dns1123_subdomain("*.bar.com"), &[]);
    for bad in ["*", "*.", "*bar.com", "*.*.bar.com", "bar.com"] {
        assert_eq!(wildcard_dns1123_subdomain(bad).len(), 1, "{bad}");
    }
}

#[test]
fn service_names_of_old_start_with_a_letter() {
    problems(dns1035_label("a1"), &[]);
    problems(
        dns1035_label("1a"),
        &[
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
        ],
    );
}

#[test]
fn label_keys_have_an_optional_domain() {
    for good in ["a", "A_b.c", "example.com/a", "1/2"] {
        problems(qualified_name(good), &[]);
    }
    problems(qualified_name(""), &["name part must be non-empty", KEY]);
    problems(qualified_name("a/"), &["name part must be non-empty", KEY]);
    problems(qualified_name("/a"), &["prefix part must be non-empty"]);
    problems(qualified_name("-a"), &[KEY]);
    problems(qualified_name(&"a".repeat(64)), &["name part must be no more than 63 bytes"]);
    problems(qualified_name("A/b"), &[&format!("prefix part {SUBDOMAIN}")]);
    let tail = KEY.strip_prefix("name part").expect("it starts so");
    problems(
        qualified_name("a/b/c"),
        &[&format!(
            "a valid label key{tail} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        )],
    );
    problems(annotation_key("Example.com/A"), &[]);
    problems(prefixed_label_key("a"), &["must be a domain-prefixed key (such as \"acme.io/foo\")"]);
}

#[test]
fn label_values_may_be_empty() {
    problems(label_value(""), &[]);
    problems(label_value("a_b"), &[]);
    problems(label_value(&"a".repeat(64)), &["must be no more than 63 bytes"]);
    problems(
        label_value("a b"),
        &[
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ],
    );
}

#[test]
fn path_segments() {
    problems(path_segment_name("a:b"), &[]);
    problems(path_segment_name("."), &["may not be '.'"]);
    problems(path_segment_name(".."), &["may not be '..'"]);
    problems(path_segment_name("a/b%"), &["may not contain '/'", "may not contain '%'"]);
    problems(path_segment_prefix(".."), &[]);
}

#[test]
fn ports() {
    problems(port_number(0), &["must be between 1 and 65535, inclusive"]);
    problems(port_number(65535), &[]);
    problems(port_name("http-1"), &[]);
    problems(
        port_name("A-very--long-port-"),
        &[
            "must be no more than 15 characters",
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
            "must not contain consecutive hyphens",
            "must not begin or end with a hyphen",
        ],
    );
    problems(port_name("80"), &["must contain at least one letter (a-z)"]);
    problems(user_id(-1), &["must be between 0 and 2147483647, inclusive"]);
}

#[test]
fn environment_variables_and_keys() {
    problems(relaxed_env_var_name("a b/1"), &[]);
    problems(relaxed_env_var_name(""), &["environment variable name must be non-empty"]);
    for bad in ["a=b", "é", "a\n"] {
        problems(
            relaxed_env_var_name(bad),
            &[
                "a valid environment variable name must consist only of printable ASCII characters other than '='",
            ],
        );
    }
    problems(
        env_var_name("1a"),
        &[
            "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')",
        ],
    );
    problems(config_map_key("a.b"), &[]);
    problems(config_map_key(".."), &["must not be '..'"]);
    problems(config_map_key("..a"), &["must not start with '..'"]);
    problems(
        config_map_key("a/b"),
        &[
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        ],
    );
}

#[test]
fn other_short_strings() {
    problems(percent("25%"), &[]);
    problems(
        percent("25"),
        &[
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ],
    );
    problems(
        http_header_name("X Y"),
        &[
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        ],
    );
    problems(c_identifier("_a1"), &[]);
    assert_eq!(c_identifier("1a").len(), 1);
    problems(condition_reason("A,b:c_"), &[]);
    assert_eq!(condition_reason("A,").len(), 1);
    for good in ["0", "-1", "10"] {
        problems(decimal_integer(good), &[]);
    }
    for bad in ["-0", "01", "+1", "-", "1a"] {
        problems(decimal_integer(bad), &["must be a valid decimal integer in canonical form"]);
    }
    problems(field_manager("kubectl é\\'\""), &[]);
    problems(field_manager("a\tb"), &["invalid character U+0009 (at position 1)"]);
    problems(
        fully_qualified_name("a.b"),
        &["should be a domain with at least three segments separated by dots"],
    );
    assert_eq!(fully_qualified_domain_name("a.b."), []);
    assert_eq!(domain_prefixed_path("acme.io/foo/1"), []);
    assert_eq!(
        domain_prefixed_path("acme.io/ "),
        [(
            "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')".into(),
            " "
        )]
    );
    assert_eq!(mask_trailing_dash("abc-"), "aba");
    assert_eq!(mask_trailing_dash("-"), "-");
}

#[test]
fn addresses() {
    for good in ["1.2.3.4", "::", "::1", "2001:db8::ffff", "fe80::1"] {
        problems(ip(good), &[]);
        assert_eq!(ip_warning(good), None);
    }
    for bad in [
        "",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "a",
        "1:2",
        ":::",
        "1::2::3",
        "fe80::1%eth0",
        "1.2.3.4/24",
        "::1.2.3.4.5",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::8:9",
    ] {
        problems(
            ip_legacy(bad),
            &["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"],
        );
    }
    problems(ip_legacy("010.2.3.4"), &["must not have leading 0s"]);
    problems(ip_legacy("::ffff:1.2.3.4"), &["must not be an IPv4-mapped IPv6 address"]);
    problems(ip_legacy("FE80::0abc"), &[]);
    problems(ip("FE80::0abc"), &["must be in canonical form (\"fe80::abc\")"]);
    assert_eq!(
        ip_warning("FE80::0abc").as_deref(),
        Some("IPv6 address \"FE80::0abc\" should be in RFC 5952 canonical format (\"fe80::abc\")")
    );
    assert_eq!(
        ip_warning("01.2.3.4").as_deref(),
        Some("non-standard IP address \"01.2.3.4\" is invalid: use \"1.2.3.4\"")
    );
    assert_eq!(
        ip_warning("::ffff:1.2.3.4").as_deref(),
        Some("non-standard IP address \"::ffff:1.2.3.4\" is invalid: use \"1.2.3.4\"")
    );
}

#[test]
fn networks() {
    for good in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/64", "1.2.3.4/32"] {
        problems(cidr(good), &[]);
        assert_eq!(cidr_warnings(good), Vec::<String>::new());
    }
    for bad in ["1.2.3.4", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "a/8"] {
        problems(
            cidr_legacy(bad),
            &["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"],
        );
    }
    problems(cidr_legacy("10.0.0.0/08"), &["must not have leading 0s in IP or prefix length"]);
    problems(cidr_legacy("::ffff:1.2.3.0/120"), &["must not have an IPv4-mapped IPv6 address"]);
    problems(cidr_legacy("10.0.0.1/8"), &["must not have bits set beyond the prefix length"]);
    problems(cidr("2001:DB8::/32"), &["must be in canonical form (\"2001:db8::/32\")"]);
    assert_eq!(
        cidr_warnings("1.2.3.4/24"),
        [
            "CIDR value \"1.2.3.4/24\" is ambiguous in this context (should be \"1.2.3.0/24\" or \"1.2.3.4/32\"?)"
        ]
    );
    problems(interface_address("192.168.1.5/24"), &[]);
    problems(interface_address("FE80::1/64"), &["must be in canonical form (\"fe80::1/64\")"]);
    problems(
        interface_address("::ffff:192.168.0.1/120"),
        &["must be in canonical form (\"192.168.0.1/24\")"],
    );
    problems(
        interface_address("::ffff:192.168.0.1/48"),
        &["must be in canonical form (\"192.168.0.1/-48\")"],
    );
}
