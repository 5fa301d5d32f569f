//! Names of images: `[registry/]path[:tag][@digest]`, checked so far that a runtime can be asked about them.
//!
//! Not here: where a registry is and through which mirror it is asked; the runtime knows.

/// Why a text cannot name an image. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// It follows no rule.
    #[error("couldn't parse image name {0:?}: invalid reference format")]
    Format(String),
    /// Its path has capital letters.
    #[error(
        "couldn't parse image name {0:?}: invalid reference format: repository name ({1}) must be lowercase"
    )]
    Uppercase(String, String),
}

/// The name with `:latest` where it has neither tag nor digest.
pub(crate) fn with_default_tag(name: &str) -> Result<String, NameError> {
    let format = || NameError::Format(name.to_owned());
    let (rest, digest) = match name.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (name, None),
    };
    let last = rest.rfind('/').map_or(0, |at| at + 1);
    let (path, tag) = match rest.get(last..).and_then(|end| end.split_once(':')) {
        Some((end, tag)) => (format!("{}{end}", rest.get(..last).unwrap_or_default()), Some(tag)),
        None => (rest.to_owned(), None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) || digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(format());
    }
    let repository = match path.split_once('/') {
        Some((first, repository)) if names_registry(first) => {
            if !is_registry(first) {
                return Err(format());
            }
            repository
        }
        _ => path.as_str(),
    };
    if has_uppercase(repository) && repository.to_ascii_lowercase().split('/').all(is_component) {
        return Err(NameError::Uppercase(name.to_owned(), path));
    }
    if repository.is_empty() || path.len() > 255 || !repository.split('/').all(is_component) {
        return Err(format());
    }
    Ok(if tag.is_none() && digest.is_none() { format!("{name}:latest") } else { name.to_owned() })
}

/// The registry and path of a checked name, without tag and digest: `docker.io/library/busybox` for `busybox:1`.
pub(crate) fn repository(name: &str) -> String {
    let rest = name.split_once('@').map_or(name, |(rest, _)| rest);
    let last = rest.rfind('/').map_or(0, |at| at + 1);
    let tag = rest.get(last..).and_then(|end| end.find(':')).map_or(rest.len(), |at| last + at);
    let path = rest.get(..tag).unwrap_or(rest);
    match path.split_once('/') {
        Some((first, _)) if names_registry(first) => path.to_owned(),
        Some(_) => format!("docker.io/{path}"),
        None => format!("docker.io/library/{path}"),
    }
}

/// Whether the first of several parts names a registry: it has a dot, a colon or capitals, or is `localhost`.
fn names_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || has_uppercase(first)
}

fn has_uppercase(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_registry(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

/// Words of small letters and digits, joined by `.`, `_`, `__` or hyphens.
fn is_component(text: &str) -> bool {
    let is_edge = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = text.as_bytes();
    let allowed =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(byte);
    let has_bad_joint = ["..", "._", "_.", "___", ".-", "-.", "_-", "-_"];
    is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes.iter().all(allowed)
        && !has_bad_joint.iter().any(|joint| text.contains(joint))
}

fn is_tag(text: &str) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.len() <= 128
        && text.as_bytes().first().is_some_and(is_first)
        && text.bytes().all(|byte| is_first(&byte) || b".-".contains(&byte))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let is_word =
        algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte));
    !algorithm.is_empty()
        && is_word
        && hex.len() >= 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_tag_and_digest_gets_latest() {
        let digest = format!("busybox@sha256:{}", "a".repeat(64));
        for (name, expected) in [
            ("busybox", "busybox:latest"),
            ("busybox:1.36", "busybox:1.36"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("registry.example/a__b/c-d.e:v1", "registry.example/a__b/c-d.e:v1"),
            (digest.as_str(), digest.as_str()),
        ] {
            assert_eq!(with_default_tag(name).as_deref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_repository_is_the_name_in_full_without_tag_and_digest() {
        for (name, expected) in [
            ("busybox:1.36", "docker.io/library/busybox"),
            ("luksa/kubia:latest", "docker.io/luksa/kubia"),
            ("localhost:5000/a/b:1", "localhost:5000/a/b"),
            ("registry.example/a:1@sha256:00", "registry.example/a"),
            ("Registry/a:1", "Registry/a"),
        ] {
            assert_eq!(repository(name), expected, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused_with_the_reason() {
        for name in ["", "a b", "a:", "a:b:c/", "-a", "a@b", "a//b", "docker://x"] {
            assert!(with_default_tag(name).is_err(), "{name}");
        }
        let error = with_default_tag("BusyBox").expect_err("capitals").to_string();
        assert_eq!(
            error,
            "couldn't parse image name \"BusyBox\": invalid reference format: repository name (BusyBox) must be lowercase"
        );
    }
}
