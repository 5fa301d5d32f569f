//! Keys, values, ports, identifiers and the other short strings.

use std::borrow::Cow;

use super::{
    LABEL_BYTES_MAX, Problems, SUBDOMAIN_BYTES_MAX, dns1123_subdomain, long_name, max_bytes_text,
    max_length_text, range_text, regex_text, when,
};

const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_TEXT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const KEY_EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];
const VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const VALUE_TEXT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

fn is_key(text: &str) -> bool {
    let (Some(first), Some(last)) = (text.as_bytes().first(), text.as_bytes().last()) else {
        return false;
    };
    first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A label key: a name with an optional DNS subdomain before it. Many fields follow this rule.
pub fn qualified_name(value: &str) -> Problems {
    let mut problems = Problems::new();
    let key_text = || regex_text(KEY_TEXT, KEY, KEY_EXAMPLES);
    let name = match *value.split('/').collect::<Vec<_>>() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".into());
            } else {
                let parts = long_name(prefix);
                problems.extend(parts.iter().map(|text| format!("prefix part {text}").into()));
            }
            name
        }
        _ => {
            let tail = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {} {tail}", key_text()).into()];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".into());
    } else if name.len() > LABEL_BYTES_MAX {
        problems.push(format!("name part {}", max_bytes_text(LABEL_BYTES_MAX)).into());
    }
    if !is_key(name) {
        problems.push(format!("name part {}", key_text()).into());
    }
    problems
}

/// A label key that has a prefix.
pub fn prefixed_label_key(value: &str) -> Problems {
    let problems = qualified_name(value);
    if !problems.is_empty() {
        return problems;
    }
    when(!value.contains('/'), || "must be a domain-prefixed key (such as \"acme.io/foo\")".into())
}

/// The key of an annotation: a label key in any case.
pub fn annotation_key(value: &str) -> Problems {
    qualified_name(&value.to_lowercase())
}

/// The value of a label.
pub fn label_value(value: &str) -> Problems {
    let mut problems = Problems::new();
    if value.len() > LABEL_BYTES_MAX {
        problems.push(max_bytes_text(LABEL_BYTES_MAX).into());
    }
    if !value.is_empty() && !is_key(value) {
        problems.push(regex_text(VALUE_TEXT, VALUE, &["MyValue", "my_value", "12345"]).into());
    }
    problems
}

/// A name that can stand in a URL path.
pub fn path_segment_name(value: &str) -> Problems {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'").into()];
    }
    path_segment_prefix(value)
}

/// The start of a name that can stand in a URL path.
pub fn path_segment_prefix(value: &str) -> Problems {
    let found = ["/", "%"].iter().filter(|part| value.contains(**part));
    found.map(|part| format!("may not contain '{part}'").into()).collect()
}

/// An identifier of C.
pub fn c_identifier(value: &str) -> Problems {
    let is_valid = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    when(!is_valid, || {
        let text = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";
        regex_text(text, "[A-Za-z_][A-Za-z0-9_]*", &["my_name", "MY_NAME", "MyName"]).into()
    })
}

/// A number within a range, bounds included.
pub fn in_range(value: i64, low: i64, high: i64) -> Problems {
    when(!(low..=high).contains(&value), || range_text(low, high).into())
}

/// A port that can be listened on.
pub fn port_number(value: i64) -> Problems {
    in_range(value, 1, 65535)
}

/// A user id of Linux.
pub fn user_id(value: i64) -> Problems {
    in_range(value, 0, i64::from(i32::MAX))
}

/// A group id of Linux.
pub fn group_id(value: i64) -> Problems {
    in_range(value, 0, i64::from(i32::MAX))
}

/// An IANA service name (RFC 6335), lower case.
pub fn port_name(value: &str) -> Problems {
    let mut problems = Problems::new();
    let mut check = |is_wrong: bool, text: Cow<'static, str>| {
        if is_wrong {
            problems.push(text);
        }
    };
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    check(value.len() > 15, max_length_text(15).into());
    check(
        value.is_empty() || !value.bytes().all(is_allowed),
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into(),
    );
    check(
        !value.bytes().any(|byte| byte.is_ascii_lowercase()),
        "must contain at least one letter (a-z)".into(),
    );
    check(value.contains("--"), "must not contain consecutive hyphens".into());
    check(
        value.starts_with('-') || value.ends_with('-'),
        "must not begin or end with a hyphen".into(),
    );
    problems
}

/// A percentage such as `25%`.
pub fn percent(value: &str) -> Problems {
    let is_valid = value
        .strip_suffix('%')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    when(!is_valid, || {
        let text = "a valid percent string must be a numeric string followed by an ending '%'";
        regex_text(text, "[0-9]+%", &["1%", "93%"]).into()
    })
}

/// The name of an HTTP header.
pub fn http_header_name(value: &str) -> Problems {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    when(value.is_empty() || !value.bytes().all(is_allowed), || {
        let text = "a valid HTTP header must consist of alphanumeric characters or '-'";
        regex_text(text, "[-A-Za-z0-9]+", &["X-Header-Name"]).into()
    })
}

/// The name of an environment variable by the rule that held before the relaxed one.
pub fn env_var_name(value: &str) -> Problems {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'.' | b'_');
    let is_valid = value.bytes().next().is_some_and(is_letter)
        && value.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit());
    let mut problems = when(!is_valid, || {
        let text = "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit";
        let examples = &["my.env-name", "MY_ENV.NAME", "MyEnvName1"];
        regex_text(text, "[-._a-zA-Z][-._a-zA-Z0-9]*", examples).into()
    });
    problems.extend(change_of_folder(value));
    problems
}

/// The name of an environment variable (KEP-4369, on by default since v1.32).
pub fn relaxed_env_var_name(value: &str) -> Problems {
    if value.is_empty() {
        return vec!["environment variable name must be non-empty".into()];
    }
    let is_allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
    when(!value.bytes().all(is_allowed), || {
        "a valid environment variable name must consist only of printable ASCII characters other than '='".into()
    })
}

/// The key of a ConfigMap or Secret.
pub fn config_map_key(value: &str) -> Problems {
    let mut problems =
        when(value.len() > SUBDOMAIN_BYTES_MAX, || max_length_text(SUBDOMAIN_BYTES_MAX).into());
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    problems.extend(when(value.is_empty() || !value.bytes().all(is_allowed), || {
        let text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        regex_text(text, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]).into()
    }));
    problems.extend(change_of_folder(value));
    problems
}

/// Names that would lead out of a folder when used as file names.
fn change_of_folder(value: &str) -> Option<Cow<'static, str>> {
    match value {
        "." => Some("must not be '.'".into()),
        ".." => Some("must not be '..'".into()),
        _ if value.starts_with("..") => Some("must not start with '..'".into()),
        _ => None,
    }
}

/// The reason of a condition.
pub fn condition_reason(value: &str) -> Problems {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b':');
    let is_valid = value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && value.bytes().all(is_inner);
    when(!is_valid, || {
        let text = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
        let examples = &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"];
        regex_text(text, "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", examples).into()
    })
}

/// A whole number as people write it: no sign but minus, no leading zero.
pub fn decimal_integer(value: &str) -> Problems {
    if value.is_empty() {
        return vec!["must be non-empty".into()];
    }
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_valid = value == "0"
        || (digits.starts_with(|c: char| matches!(c, '1'..='9'))
            && digits.bytes().all(|byte| byte.is_ascii_digit()));
    when(!is_valid, || "must be a valid decimal integer in canonical form".into())
}

/// A path below a domain, such as `acme.io/foo`. An empty value is for the caller to require.
///
/// A problem comes with the part of the value that it is about.
pub fn domain_prefixed_path(value: &str) -> Vec<(Cow<'static, str>, &str)> {
    const PATH: &str = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
    let Some((host, path)) =
        value.split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty())
    else {
        return vec![("must be a domain-prefixed path (such as \"acme.io/foo\")".into(), value)];
    };
    let mut problems: Vec<_> =
        dns1123_subdomain(host).into_iter().map(|text| (text, host)).collect();
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
    if !path.bytes().all(is_allowed) {
        problems.push((regex_text("Invalid path", PATH, &[]).into(), path));
    }
    problems
}

/// The letters of a field manager's name. Its length, up to [`super::FIELD_MANAGER_BYTES_MAX`], is another kind of error.
pub fn field_manager(value: &str) -> Problems {
    let unprintable = value.char_indices().filter(|(_, letter)| !is_printable(*letter));
    unprintable
        .map(|(at, letter)| {
            let code = u32::from(letter);
            format!("invalid character U+{code:04X} (at position {at})").into()
        })
        .collect()
}

/// What Go's `unicode.IsPrint` takes for printable: no controls, no separators but the plain blank, nothing unassigned.
fn is_printable(letter: char) -> bool {
    letter == ' '
        || (!letter.is_whitespace()
            && letter.escape_debug().next().is_some_and(|first| {
                first == letter && (letter != '\\') || matches!(letter, '\\' | '\'' | '"')
            }))
}
