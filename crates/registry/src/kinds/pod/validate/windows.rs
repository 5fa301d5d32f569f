//! The options of Windows in security contexts. No node here runs Windows; the rules are those of the API.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::check;
use super::super::view::{at, containers, get, is_on};

/// The size of a credential spec.
const CREDENTIAL_SPEC_KIB_MAX: usize = 64;

/// The letters of the domain before a user's name.
const DOMAIN_LETTERS_MAX: usize = 256;

/// The letters of a user's name.
const USER_LETTERS_MAX: usize = 104;

/// The options of a security context.
pub(super) fn options(context: &Value, path: &Path, errors: &mut Errors) {
    let Some(options) = get(context, "windowsOptions") else { return };
    let path = path.child("windowsOptions");
    let text = |name: &str| get(options, name).and_then(Value::as_str);
    if let Some(name) = text("gmsaCredentialSpecName") {
        check(errors, &path.child("gmsaCredentialSpecName"), name, names::dns1123_subdomain(name));
    }
    if let Some(spec) = text("gmsaCredentialSpec") {
        let path = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.invalid(&path, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > CREDENTIAL_SPEC_KIB_MAX * 1024 {
            let why =
                format!("gmsaCredentialSpec size must be under {CREDENTIAL_SPEC_KIB_MAX} KiB");
            errors.invalid(&path, spec, why);
        }
    }
    if let Some(name) = text("runAsUserName") {
        for why in user_problems(name) {
            errors.invalid(&path.child("runAsUserName"), name, format!("runAsUserName{why}"));
        }
    }
}

/// What is wrong with `DOMAIN\USER` or `USER`.
fn user_problems(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec![" cannot be an empty string".to_owned()];
    }
    if name.chars().any(|letter| letter.is_ascii_control()) {
        return vec![" cannot contain control characters".to_owned()];
    }
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts.as_slice() {
        [user] => (None, *user),
        [domain, user] => (Some(*domain), *user),
        _ => return vec![" cannot contain more than one backslash".to_owned()],
    };
    let mut problems = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= DOMAIN_LETTERS_MAX {
            problems
                .push(format!("'s Domain length must be under {DOMAIN_LETTERS_MAX} characters"));
        }
        if !is_netbios(domain) && !is_dns(domain) {
            problems.push("'s Domain doesn't match the NetBios nor the DNS format".to_owned());
        }
    }
    if user.is_empty() {
        problems.push("'s User cannot be empty".to_owned());
    } else if user.len() > USER_LETTERS_MAX {
        problems
            .push(format!("'s User length must not be longer than {USER_LETTERS_MAX} characters"));
    }
    if !user.is_empty() && user.chars().all(|letter| matches!(letter, '.' | ' ')) {
        problems.push("'s User cannot contain only periods or spaces".to_owned());
    }
    if user.contains(|letter| "\"/\\:;|=,+*?<>@[]".contains(letter)) {
        problems
            .push("'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]".to_owned());
    }
    problems
}

fn is_netbios(domain: &str) -> bool {
    let is_barred = |letter: char| "\\/:*?\"<>|".contains(letter);
    (1..=15).contains(&domain.chars().count())
        && !domain.starts_with('.')
        && !domain.contains(is_barred)
}

fn is_dns(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric();
        label.len() <= names::LABEL_BYTES_MAX
            && label.starts_with(is_letter)
            && label.ends_with(is_letter)
            && label.chars().all(|letter| is_letter(letter) || letter == '-')
    })
}

/// A Pod runs on the host itself with all its containers or with none (KEP-1981).
pub(super) fn host_process(spec: &Value, path: &Path, errors: &mut Errors) {
    let of = |owner: &Value| {
        at(at(at(owner, "securityContext"), "windowsOptions"), "hostProcess").as_bool()
    };
    let of_pod = of(spec);
    let (mut count, mut host_count) = (0, 0);
    for (container, path) in containers(spec, path) {
        count += 1;
        let own = of(container);
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let path = path.child("securityContext").child("windowsOptions").child("hostProcess");
            let why =
                format!("pod hostProcess value must be identical if both are specified, was {pod}");
            errors.invalid_value(&path, own, why);
        }
        host_count += usize::from(own.or(of_pod) == Some(true));
    }
    if host_count == 0 {
        return;
    }
    if host_count != count {
        const WHY: &str = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.invalid(path, "", WHY);
    }
    if !is_on(spec, "hostNetwork") {
        const WHY: &str = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.invalid_value(&path.child("hostNetwork"), false, WHY);
    }
}
