//! Bootstrap tokens: what a machine shows that wants to join (Kubernetes v1.36, KEP-130).
//!
//! A token is `ID.SECRET`; the Secret `kube-system/bootstrap-token-ID` says whether it is good.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podo_api::{Value, meta, tree};
use podo_base::Timestamp;
use podo_store::Key;

use crate::storage::Store;
use crate::user::User;

const ID_LENGTH: usize = 6;
const SECRET_LENGTH: usize = 16;
const GROUP: &str = "system:bootstrappers";

/// The user of a bootstrap token; `None` if the token is none or not good (any more).
pub(crate) fn authenticate(store: &Store, token: &str, now: Timestamp) -> Option<User> {
    let (id, secret) = split(token)?;
    let key = Key::new("secrets", format!("kube-system/bootstrap-token-{id}"));
    let object = store.get(&key).ok()??;
    user_of(&object.value.view(), id, secret, now)
}

fn split(token: &str) -> Option<(&str, &str)> {
    let is_part = |part: &str, length: usize| {
        part.len() == length
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    token
        .split_once('.')
        .filter(|(id, secret)| is_part(id, ID_LENGTH) && is_part(secret, SECRET_LENGTH))
}

fn user_of(object: &Value, id: &str, secret: &str, now: Timestamp) -> Option<User> {
    let data = |name: &str| {
        let bytes = STANDARD.decode(tree::str_at(object, &["data", name])).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    };
    let is_same =
        ring_equal(data("token-secret").as_bytes(), secret.as_bytes()) && data("token-id") == id;
    let is_token = tree::str_at(object, &["type"]) == "bootstrap.kubernetes.io/token";
    let may = data("usage-bootstrap-authentication") == "true";
    if !is_same
        || !is_token
        || !may
        || meta::is_deleting(object)
        || is_expired(&data("expiration"), now)
    {
        return None;
    }
    let extra_groups = data("auth-extra-groups");
    let mut groups = vec![GROUP];
    for group in extra_groups.split(',').map(str::trim).filter(|group| !group.is_empty()) {
        // A Secret cannot make its bearer a member of anything but bootstrappers.
        let name = group.strip_prefix(GROUP)?.strip_prefix(':')?;
        if name.is_empty() {
            return None;
        }
        groups.push(group);
    }
    Some(User::authenticated(format!("system:bootstrap:{id}"), &groups))
}

/// Compares in a time that depends on the lengths only.
fn ring_equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}

/// A time that cannot be read has passed.
fn is_expired(expiration: &str, now: Timestamp) -> bool {
    !expiration.is_empty() && Timestamp::parse(expiration).is_none_or(|at| at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(change: impl Fn(&mut Value)) -> Value {
        let encode = |text: &str| STANDARD.encode(text);
        let mut secret = json!({"type": "bootstrap.kubernetes.io/token", "data": {
            "token-id": encode("abcdef"), "token-secret": encode("0123456789abcdef"),
            "usage-bootstrap-authentication": encode("true"), "expiration": encode("2026-01-02T00:00:00Z"),
            "auth-extra-groups": encode("system:bootstrappers:workers"),
        }});
        change(&mut secret);
        secret
    }

    #[track_caller]
    fn check(secret: &Value, token: &str, now: &str, expected: Option<&str>) {
        let now = Timestamp::parse(now).expect("a time");
        let user = split(token).and_then(|(id, key)| user_of(secret, id, key, now));
        assert_eq!(user.as_ref().map(|user| user.name.as_str()), expected, "{token} at {now}");
    }

    #[test]
    fn a_good_token_is_a_bootstrapper_until_it_expires() {
        let (good, name) = ("abcdef.0123456789abcdef", Some("system:bootstrap:abcdef"));
        check(&secret(|_| {}), good, "2026-01-01T00:00:00Z", name);
        check(&secret(|_| {}), good, "2026-01-02T00:00:00Z", None);
        check(&secret(|_| {}), "abcdef.0123456789abcdeg", "2026-01-01T00:00:00Z", None);
        check(&secret(|_| {}), "ABCDEF.0123456789abcdef", "2026-01-01T00:00:00Z", None);
    }

    #[test]
    fn a_secret_of_another_type_use_or_group_is_no_token() {
        let good = "abcdef.0123456789abcdef";
        let now = "2026-01-01T00:00:00Z";
        check(&secret(|secret| secret["type"] = json!("Opaque")), good, now, None);
        let unused =
            secret(|secret| secret["data"]["usage-bootstrap-authentication"] = json!("ZmFsc2U="));
        check(&unused, good, now, None);
        let masters = STANDARD.encode("system:masters");
        check(
            &secret(|secret| secret["data"]["auth-extra-groups"] = json!(masters)),
            good,
            now,
            None,
        );
    }
}
