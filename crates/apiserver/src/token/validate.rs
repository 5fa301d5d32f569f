//! Whether what a token says still holds: its times, its audiences, and the objects that it names.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podo_api::{Value, meta, tree};
use podo_base::Timestamp;
use podo_store::Key;

use super::claims::{Claims, Kubernetes, Reference};
use super::{Authenticated, LEGACY_ISSUER, common, shown};
use crate::storage::Store;
use crate::user::{CREDENTIAL_ID, User, service_account_groups, service_account_user_name};

/// How far clocks may be apart (the `DefaultLeeway` of the library that Kubernetes v1.36 uses).
const LEEWAY_SECONDS: i64 = 60;

/// The label of a Secret whose token was found unused and is not believed any more (KEP-2800).
const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";

/// Why a token is not believed. The texts are those of Kubernetes v1.36, which a TokenReview shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// Nobody here made it.
    #[error("invalid bearer token")]
    Unknown,
    /// Its signature is wrong.
    #[error("go-jose/go-jose: error in cryptographic primitive")]
    Signature,
    /// It cannot be checked yet.
    #[error("the key of service account tokens is being made")]
    NoKey,
    /// Its time has passed.
    #[error("service account token has expired")]
    Expired,
    /// Its time has not come.
    #[error("service account token is not valid yet")]
    NotYet,
    /// It was made in the future.
    #[error("service account token is issued in the future")]
    FromTheFuture,
    /// It is for somebody else.
    #[error("token audiences {has} is invalid for the target audiences {wanted}")]
    Audience {
        /// Whom it is for.
        has: String,
        /// Who asks.
        wanted: String,
    },
    /// What it is bound to is gone.
    #[error("service account token has been invalidated")]
    Invalidated,
    /// A claim is missing or contradicts another.
    #[error("{0} claim is invalid")]
    Claim(&'static str),
    /// Its service account does not exist.
    #[error("serviceaccounts \"{0}\" not found")]
    NoAccount(String),
    /// Its service account is being deleted.
    #[error("service account {0} has been deleted")]
    AccountDeleted(String),
    /// Something of this name is another object today.
    #[error("{what} UID ({present}) does not match {claim} ({claimed})")]
    Uid {
        /// What it is.
        what: &'static str,
        /// Where the token names it.
        claim: &'static str,
        /// The UID today.
        present: String,
        /// The UID in the token.
        claimed: String,
    },
    /// The Secret holds another token.
    #[error("token does not match server's copy")]
    Replaced,
}

impl TokenError {
    /// The error of a TokenReview: behind the words of who reads the header those of who reads the token.
    pub(crate) fn in_review(&self) -> String {
        match self {
            Self::Unknown => self.to_string(),
            other => format!("[{}, {other}]", Self::Unknown),
        }
    }
}

/// Whose token it is, if all that it claims holds. `token` is the text, which the Secret of a legacy token must hold.
pub(crate) fn validate(
    store: &Store,
    claims: &Claims,
    token: &str,
    now: Timestamp,
    wanted: &[String],
    own_audiences: &[String],
) -> Result<Authenticated, TokenError> {
    let now = now.as_seconds();
    check_times(claims, now)?;
    let is_legacy = claims.iss == LEGACY_ISSUER;
    let has = if is_legacy && claims.aud.is_empty() { own_audiences } else { &claims.aud };
    let audiences = common(wanted, has);
    if audiences.is_empty() {
        return Err(TokenError::Audience { has: shown(has), wanted: shown(wanted) });
    }
    let objects = Objects { store, deleted_before: now - LEEWAY_SECONDS };
    let user = match &claims.kubernetes {
        Some(kubernetes) if !is_legacy => objects.check(claims, kubernetes)?,
        None if is_legacy => objects.check_legacy(claims, token)?,
        _ => return Err(TokenError::Claim("kubernetes.io")),
    };
    Ok(Authenticated { user: Arc::new(user.with_authenticated()), audiences })
}

fn check_times(claims: &Claims, now: i64) -> Result<(), TokenError> {
    let (early, late) = (now - LEEWAY_SECONDS, now + LEEWAY_SECONDS);
    if claims.nbf.is_some_and(|nbf| late < nbf) {
        return Err(TokenError::NotYet);
    }
    if claims.exp.is_some_and(|exp| early > exp) {
        return Err(TokenError::Expired);
    }
    if claims.iat.is_some_and(|iat| late < iat) {
        return Err(TokenError::FromTheFuture);
    }
    // A token without an end is one that a Secret holds, and no other.
    if claims.exp.is_none() && claims.iss != LEGACY_ISSUER {
        return Err(TokenError::Claim("exp"));
    }
    Ok(())
}

/// The objects that tokens name.
struct Objects<'a> {
    store: &'a Store,
    /// What was deleted before this second is as good as gone.
    deleted_before: i64,
}

impl Objects<'_> {
    fn get(&self, bucket: &str, rest: String) -> Option<Value> {
        Some(self.store.get(&Key::new(bucket, rest)).ok()??.value.view())
    }

    fn is_deleted(&self, object: &Value) -> bool {
        let at = Timestamp::parse(meta::str(object, "deletionTimestamp"));
        at.is_some_and(|at| at.as_seconds() < self.deleted_before)
    }

    fn account(&self, namespace: &str, account: &Reference) -> Result<(), TokenError> {
        let key = format!("{namespace}/{}", account.name);
        let object = self.get("serviceaccounts", key.clone());
        let object = object.ok_or_else(|| TokenError::NoAccount(account.name.clone()))?;
        if self.is_deleted(&object) {
            return Err(TokenError::AccountDeleted(key));
        }
        check_uid("service account", "claim", &object, &account.uid)
    }

    /// Something that the token is bound to is there and is the same.
    fn bound(&self, kind: &Kind, namespace: &str, reference: &Reference) -> Result<(), TokenError> {
        let slash = if namespace.is_empty() { "" } else { "/" };
        let object = self.get(kind.bucket, format!("{namespace}{slash}{}", reference.name));
        let object =
            object.filter(|object| !self.is_deleted(object)).ok_or(TokenError::Invalidated)?;
        check_uid(kind.what, kind.claim, &object, &reference.uid)
    }

    fn check(&self, claims: &Claims, kubernetes: &Kubernetes) -> Result<User, TokenError> {
        let (namespace, account) = (&kubernetes.namespace, &kubernetes.serviceaccount);
        if claims.sub != service_account_user_name(namespace, &account.name) {
            return Err(TokenError::Claim("sub"));
        }
        self.account(namespace, account)?;
        if let Some(secret) = &kubernetes.secret {
            self.bound(&SECRET, namespace, secret)?;
        }
        match (&kubernetes.pod, &kubernetes.node) {
            (Some(pod), _) => self.bound(&POD, namespace, pod)?,
            // Beside a Pod the node is told, not bound to.
            (None, Some(node)) => self.bound(&NODE, "", node)?,
            (None, None) => {}
        }
        Ok(user(claims, namespace, account, extra(claims, kubernetes)))
    }

    fn check_legacy(&self, claims: &Claims, token: &str) -> Result<User, TokenError> {
        let namespace = &claims.legacy_namespace;
        let account = Reference::new(&claims.legacy_account, &claims.legacy_account_uid);
        if claims.sub != service_account_user_name(namespace, &account.name) {
            return Err(TokenError::Claim("sub"));
        }
        let secret = self.get("secrets", format!("{namespace}/{}", claims.legacy_secret));
        let secret =
            secret.filter(|secret| !meta::is_deleting(secret)).ok_or(TokenError::Invalidated)?;
        let held = STANDARD.decode(tree::str_at(&secret, &["data", "token"])).unwrap_or_default();
        if held != token.as_bytes() {
            return Err(TokenError::Replaced);
        }
        if meta::label(&secret, INVALID_SINCE).is_some() {
            return Err(TokenError::Invalidated);
        }
        self.account(namespace, &account)?;
        Ok(user(claims, namespace, &account, BTreeMap::new()))
    }
}

/// A kind of object that tokens are bound to.
struct Kind {
    bucket: &'static str,
    what: &'static str,
    claim: &'static str,
}

const SECRET: Kind =
    Kind { bucket: "secrets", what: "secret", claim: "service account secret ref claim" };
const POD: Kind = Kind { bucket: "pods", what: "pod", claim: "service account pod ref claim" };
const NODE: Kind = Kind { bucket: "nodes", what: "node", claim: "service account node ref claim" };

fn check_uid(
    what: &'static str,
    claim: &'static str,
    object: &Value,
    claimed: &str,
) -> Result<(), TokenError> {
    let present = meta::uid(object);
    if present == claimed {
        return Ok(());
    }
    Err(TokenError::Uid { what, claim, present: present.to_owned(), claimed: claimed.to_owned() })
}

fn user(
    claims: &Claims,
    namespace: &str,
    account: &Reference,
    extra: BTreeMap<String, Vec<String>>,
) -> User {
    User {
        name: claims.sub.clone(),
        uid: account.uid.clone(),
        groups: service_account_groups(namespace).to_vec(),
        extra,
    }
}

/// What else the token tells of its bearer.
fn extra(claims: &Claims, kubernetes: &Kubernetes) -> BTreeMap<String, Vec<String>> {
    let mut extra = BTreeMap::new();
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            extra.insert(key.to_owned(), vec![value.to_owned()]);
        }
    };
    if !claims.jti.is_empty() {
        add(CREDENTIAL_ID, &format!("JTI={}", claims.jti));
    }
    for (reference, name, uid) in [
        (
            &kubernetes.pod,
            "authentication.kubernetes.io/pod-name",
            "authentication.kubernetes.io/pod-uid",
        ),
        (
            &kubernetes.node,
            "authentication.kubernetes.io/node-name",
            "authentication.kubernetes.io/node-uid",
        ),
    ] {
        if let Some(reference) = reference {
            add(name, &reference.name);
            add(uid, &reference.uid);
        }
    }
    extra
}
