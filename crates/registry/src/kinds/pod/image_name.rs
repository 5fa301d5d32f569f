//! The tag of an image name, which decides when the image is pulled.

/// Names that are 64 hexadecimal digits could be an image's identifier and are refused.
const IDENTIFIER_LETTERS: usize = 64;

/// The longest tag.
const TAG_LETTERS_MAX: usize = 128;

/// Whether an image is pulled each time by default: its tag is `latest`, or it has neither tag nor digest.
///
/// A name that is no image name is not; validation or the node will say what is wrong with it.
pub(crate) fn is_latest(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    };
    if !is_repository(repository) || digest.is_some_and(|digest| !is_digest(digest)) {
        return false;
    }
    match tag {
        Some(tag) => tag == "latest" && is_tag(tag),
        None => digest.is_none(),
    }
}

fn is_tag(tag: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    tag.len() <= TAG_LETTERS_MAX
        && tag.starts_with(is_word)
        && tag.chars().all(|letter| is_word(letter) || matches!(letter, '.' | '-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && hex.len() >= 32
            && hex.chars().all(|letter| letter.is_ascii_hexdigit())
    })
}

fn is_repository(repository: &str) -> bool {
    let is_identifier = repository.len() == IDENTIFIER_LETTERS
        && repository.chars().all(|letter| matches!(letter, '0'..='9' | 'a'..='f'));
    if is_identifier {
        return false;
    }
    let mut parts = repository.split('/').peekable();
    let has_domain = repository.split_once('/').is_some_and(|(first, _)| is_domain_like(first));
    if has_domain && !parts.next().is_some_and(is_domain) {
        return false;
    }
    parts.peek().is_some() && parts.all(is_component)
}

/// Whether the first part of a name is a registry rather than a part of the repository.
fn is_domain_like(part: &str) -> bool {
    part.contains(['.', ':'])
        || part == "localhost"
        || part.chars().any(|letter| letter.is_ascii_uppercase())
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.contains(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let is_port =
        |port: &str| !port.is_empty() && port.chars().all(|letter| letter.is_ascii_digit());
    let is_host = if let Some(inner) = host.strip_prefix('[') {
        inner.strip_suffix(']').is_some_and(|address| {
            address.chars().all(|letter| letter.is_ascii_hexdigit() || letter == ':')
        })
    } else {
        host.split('.').all(|label| {
            let is_letter = |letter: char| letter.is_ascii_alphanumeric();
            label.starts_with(is_letter)
                && label.ends_with(is_letter)
                && label.chars().all(|letter| is_letter(letter) || letter == '-')
        })
    };
    is_host && port.is_none_or(is_port)
}

/// Words of lower-case letters and digits, joined by one dot, one or two underscores or any number of dashes.
fn is_component(component: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let joints: Vec<&str> = component.split(is_letter).filter(|joint| !joint.is_empty()).collect();
    component.starts_with(is_letter)
        && component.ends_with(is_letter)
        && joints.iter().all(|joint| {
            matches!(*joint, "." | "_" | "__") || joint.chars().all(|letter| letter == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::is_latest;

    #[test]
    fn an_image_is_pulled_each_time_if_its_tag_is_latest_or_left_out() {
        for image in [
            "a",
            "a/b",
            "localhost/a",
            "registry.example:5000/a/b",
            "a:latest",
            "[::1]:5000/a:latest",
        ] {
            assert!(is_latest(image), "{image}");
        }
        let digest = format!("a@sha256:{}", "0".repeat(64));
        for image in ["a:1", "registry.example/a:1", &digest, "a:latest-1", ""] {
            assert!(!is_latest(image), "{image}");
        }
    }

    #[test]
    fn what_is_no_image_name_is_not_pulled_each_time() {
        for image in ["UPPER", "a//b", "a b", "a..b", "-a", &"a".repeat(64)] {
            assert!(!is_latest(image), "{image}");
        }
    }
}
