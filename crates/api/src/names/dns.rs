//! Names of the DNS: labels, subdomains and what is derived from them.

use std::borrow::Cow;

use super::{
    LABEL_BYTES_MAX, Problems, SUBDOMAIN_BYTES_MAX, max_bytes_text, max_length_text, regex_text,
};

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_TEXT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const CASELESS_TEXT: &str = "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const UNDERSCORE: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*";
const UNDERSCORE_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character";
const WILDCARD: &str = "\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const WILDCARD_TEXT: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
const DNS1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const DNS1035_TEXT: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    let (Some(&first), Some(&last)) = (text.as_bytes().first(), text.as_bytes().last()) else {
        return false;
    };
    is_alphanumeric(first)
        && is_alphanumeric(last)
        && text.bytes().all(|byte| is_alphanumeric(byte) || byte == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_label_with_underscore(text: &str) -> bool {
    let text = text.strip_prefix('_').unwrap_or(text);
    let (Some(&first), Some(&last)) = (text.as_bytes().first(), text.as_bytes().last()) else {
        return false;
    };
    is_alphanumeric(first)
        && is_alphanumeric(last)
        && text.bytes().all(|byte| is_alphanumeric(byte) || matches!(byte, b'-' | b'_'))
}

/// A label, with the length told by `too_long`.
fn label(value: &str, too_long: fn(usize) -> String) -> Problems {
    let mut problems = Problems::new();
    if value.len() > LABEL_BYTES_MAX {
        problems.push(too_long(LABEL_BYTES_MAX).into());
    }
    if !is_label(value) {
        problems.push(if is_subdomain(value) {
            "must not contain dots".into()
        } else {
            regex_text(LABEL_TEXT, LABEL, &["my-name", "123-abc"]).into()
        });
    }
    problems
}

fn subdomain(value: &str, too_long: fn(usize) -> String) -> Problems {
    let text = || regex_text(SUBDOMAIN_TEXT, SUBDOMAIN, &["example.com"]);
    limited(value, too_long, is_subdomain(value), text)
}

/// Up to 253 bytes of the right form.
fn limited(
    value: &str,
    too_long: fn(usize) -> String,
    is_well_formed: bool,
    text: impl FnOnce() -> String,
) -> Problems {
    let mut problems = Problems::new();
    if value.len() > SUBDOMAIN_BYTES_MAX {
        problems.push(too_long(SUBDOMAIN_BYTES_MAX).into());
    }
    if !is_well_formed {
        problems.push(text().into());
    }
    problems
}

/// A lower-case DNS label (RFC 1123).
pub fn dns1123_label(value: &str) -> Problems {
    label(value, max_length_text)
}

/// A lower-case DNS subdomain (RFC 1123).
pub fn dns1123_subdomain(value: &str) -> Problems {
    subdomain(value, max_length_text)
}

/// A lower-case DNS label where the rule is declared on the type (`k8s-short-name`); it counts bytes.
pub fn short_name(value: &str) -> Problems {
    label(value, max_bytes_text)
}

/// A lower-case DNS subdomain where the rule is declared on the type (`k8s-long-name`); it counts bytes.
pub fn long_name(value: &str) -> Problems {
    subdomain(value, max_bytes_text)
}

/// A DNS subdomain in any case (`k8s-long-name-caseless`).
pub fn long_name_caseless(value: &str) -> Problems {
    let text = || regex_text(CASELESS_TEXT, SUBDOMAIN, &["Example.com"]);
    limited(value, max_bytes_text, is_subdomain(&value.to_ascii_lowercase()), text)
}

/// A lower-case DNS subdomain whose labels may have underscores.
pub fn dns1123_subdomain_with_underscore(value: &str) -> Problems {
    let is_well_formed = value.split('.').all(is_label_with_underscore);
    let text = || regex_text(UNDERSCORE_TEXT, UNDERSCORE, &["example.com"]);
    limited(value, max_length_text, is_well_formed, text)
}

/// A lower-case DNS label that starts with a letter (RFC 1035).
pub fn dns1035_label(value: &str) -> Problems {
    let mut problems = Problems::new();
    if value.len() > LABEL_BYTES_MAX {
        problems.push(max_length_text(LABEL_BYTES_MAX).into());
    }
    if !is_label(value) || !value.starts_with(|c: char| c.is_ascii_lowercase()) {
        problems.push(regex_text(DNS1035_TEXT, DNS1035, &["my-name", "abc-123"]).into());
    }
    problems
}

/// A DNS subdomain below `*.` (RFC 1034 section 4.3.3).
pub fn wildcard_dns1123_subdomain(value: &str) -> Problems {
    let is_well_formed = value.strip_prefix("*.").is_some_and(is_subdomain);
    let text = || regex_text(WILDCARD_TEXT, WILDCARD, &["*.example.com"]);
    limited(value, max_length_text, is_well_formed, text)
}

/// A domain of at least three parts. An empty value is for the caller to require.
pub fn fully_qualified_name(value: &str) -> Problems {
    let problems = dns1123_subdomain(value);
    if !problems.is_empty() {
        return vec![problems.join(",").into()];
    }
    super::when(value.split('.').count() < 3, || {
        "should be a domain with at least three segments separated by dots".into()
    })
}

/// A domain of at least two parts, which may end in a dot. An empty value is for the caller to require.
///
/// The problem comes with the part of the value that it is about.
pub fn fully_qualified_domain_name(value: &str) -> Vec<(Cow<'static, str>, &str)> {
    let name = value.strip_suffix('.').unwrap_or(value);
    let problems = dns1123_subdomain(name);
    if !problems.is_empty() {
        return vec![(problems.join(",").into(), name)];
    }
    if name.split('.').count() < 2 {
        let text = "should be a domain with at least two segments separated by dots";
        return vec![(text.into(), name)];
    }
    let parts = name.split('.').map(|part| (dns1123_label(part), part));
    parts
        .filter(|(problems, _)| !problems.is_empty())
        .map(|(problems, part)| (problems.join(",").into(), part))
        .collect()
}

/// What a `generateName` is checked as: a dash at its end is no mistake, as more will follow.
///
/// Like upstream this also loses the letter before the dash, which matters to no rule but the length.
pub fn mask_trailing_dash(name: &str) -> Cow<'_, str> {
    match name.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let mut bytes = rest.as_bytes().to_vec();
            bytes.pop();
            bytes.push(b'a');
            // Half a letter is no valid name, and neither is what stands in for it.
            String::from_utf8_lossy(&bytes).into_owned().into()
        }
        _ => name.into(),
    }
}
