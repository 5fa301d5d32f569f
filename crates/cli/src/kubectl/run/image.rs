//! Which texts name an image: `[DOMAIN/]PATH[:TAG][@DIGEST]`, by the grammar of the distribution's references.

/// The longest tag.
const TAG_MAX: usize = 128;
/// The shortest hexadecimal part of a digest.
const DIGEST_HEX_MIN: usize = 32;

/// Whether a text is a reference to an image.
pub(crate) fn is_reference(text: &str) -> bool {
    let (text, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    // A colon after the last slash begins the tag; one before it is that of a port.
    let path_at = text.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match text.get(path_at..).and_then(|last| last.rfind(':')) {
        Some(colon) => (&text[..path_at + colon], Some(&text[path_at + colon + 1..])),
        None => (text, None),
    };
    is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

fn is_name(name: &str) -> bool {
    let is_path = |path: &str| path.split('/').all(is_component);
    if is_path(name) {
        return true;
    }
    name.split_once('/').is_some_and(|(domain, path)| is_domain(domain) && is_path(path))
}

/// Lower-case letters and digits with single `.`, one or two `_` or any number of `-` between them.
fn is_component(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_ended = text.starts_with(is_plain) && text.ends_with(is_plain);
    is_ended
        && text.split(is_plain).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        })
}

fn is_domain(text: &str) -> bool {
    let after_address = text.starts_with('[').then(|| text.rfind(']')).flatten();
    let (host, port) = match text.rfind(':').filter(|colon| Some(*colon) > after_address) {
        Some(colon) => (&text[..colon], Some(&text[colon + 1..])),
        None => (text, None),
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'));
    let is_number = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_address || host.split('.').all(is_label)) && port.is_none_or(is_number)
}

fn is_label(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(is_plain)
        && text.ends_with(is_plain)
        && text.chars().all(|c| is_plain(c) || c == '-')
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(is_word)
        && text.len() <= TAG_MAX
        && text.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(is_part)
        && hex.len() >= DIGEST_HEX_MIN
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::is_reference;

    #[test]
    fn references_are_told_from_other_texts() {
        let hex = "0123456789abcdef".repeat(4);
        let digest = format!("a/b@sha256:{hex}");
        for good in [
            "busybox",
            "busybox:1.35",
            "docker.io/library/busybox:1.35-glibc",
            "localhost:5000/a/b__c.d--e:T_1",
            "[::1]:5000/a",
            "Registry.Example/a",
            digest.as_str(),
        ] {
            assert!(is_reference(good), "{good}");
        }
        for bad in [
            "",
            "a b",
            "Not::Valid",
            "UPPER",
            "a:",
            ":1",
            "a/",
            "/a",
            "a//b",
            "a..b",
            "a@sha256:12",
            "a:b:c",
            "a/B",
            "-a",
            "host:x/a",
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
    }
}
