//! Tokens: made, shown, and refused when what they name is gone.

use podo_api::Value;
use podo_registry::{Definition, Names, Scope};
use podo_store::{Config, Driver, Expect, Key, Memory, Txn};
use serde_json::json;

use super::*;
use crate::storage::{self, Store};

const ISSUER: &str = "https://kubernetes.default.svc";

struct World {
    store: Store,
    issuer: TokenIssuer,
    dir: tempfile::TempDir,
}

fn world() -> World {
    let dir = tempfile::tempdir().expect("a directory");
    let config = TokenConfig {
        dir: dir.path().to_owned(),
        issuer: ISSUER.to_owned(),
        jwks_uri: "https://127.0.0.1/openid/v1/jwks".to_owned(),
        static_tokens: StaticTokens::new(),
    };
    let config_of_store = Config { driver: Driver::Manual, ..Config::new(Arc::new(|| 0)) };
    let world = World {
        store: Store::open(Memory, config_of_store).expect("a store"),
        issuer: TokenIssuer::load_or_generate(config).expect("a key"),
        dir,
    };
    world.put("serviceaccounts", &json!({"metadata": {"name": "a", "uid": "ua"}}));
    world.put("pods", &json!({"metadata": {"name": "p", "uid": "up"}}));
    world.put("secrets", &json!({"metadata": {"name": "s", "uid": "us"}}));
    world.put("nodes", &json!({"metadata": {"name": "m", "uid": "um"}}));
    world
}

/// The kinds that tokens name, as far as it takes to keep them.
static KINDS: [Definition; 4] = [
    kind("serviceaccounts", "core/v1.ServiceAccount", Scope::Namespaced),
    kind("pods", "core/v1.Pod", Scope::Namespaced),
    kind("secrets", "core/v1.Secret", Scope::Namespaced),
    kind("nodes", "core/v1.Node", Scope::Cluster),
];

const fn kind(plural: &'static str, ty: &'static str, scope: Scope) -> Definition {
    let names = Names { plural, ..Definition::BASE.names };
    Definition { names, ty, scope, ..Definition::BASE }
}

fn key(plural: &str, name: &str) -> (&'static Definition, Key) {
    let definition = KINDS.iter().find(|kind| kind.names.plural == plural).expect("a kind");
    (definition, storage::key(definition, "n", name))
}

impl World {
    fn put(&self, plural: &str, value: &Value) {
        let (definition, key) = key(plural, podo_api::meta::name(value));
        let txn = Txn::put(key, Expect::Any, storage::draft(definition, value));
        self.store.commit_blocking(txn).expect("committed");
    }

    fn remove(&self, plural: &str, name: &str) {
        let txn = Txn::delete(key(plural, name).1, Expect::Exists);
        self.store.commit_blocking(txn).expect("committed");
    }

    async fn token(&self, bound: Bound, seconds: i64) -> String {
        let spec = TokenSpec {
            namespace: "n".to_owned(),
            account: Reference::new("a", "ua"),
            bound,
            audiences: vec![ISSUER.to_owned()],
            seconds,
        };
        self.issuer.issue(&spec, at(1000)).await.expect("issued")
    }

    /// Who a token is at a second, for an audience.
    fn show(&self, token: &str, second: i64, audience: &str) -> Result<User, String> {
        let wanted = [audience.to_owned()];
        let key = self.issuer.key.ready().expect("made");
        let claims = jwt::peek(token).ok_or("no JWT")?;
        let claims =
            self.issuer.verifier.verify(&key, token, claims).map_err(|error| error.to_string())?;
        validate::validate(
            &self.store,
            &claims,
            token,
            at(second),
            &wanted,
            self.issuer.audiences(),
        )
        .map(|known| User::clone(&known.user))
        .map_err(|error| error.to_string())
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

fn pod() -> Bound {
    Bound::Pod { pod: Reference::new("p", "up"), node: Some(Reference::new("m", "um")) }
}

#[tokio::test]
async fn a_token_names_its_account_pod_and_node_for_as_long_as_it_lives() {
    let world = world();
    let token = world.token(pod(), 600).await;
    let user = world.show(&token, 1000, ISSUER).expect("good");
    assert_eq!((user.name.as_str(), user.uid.as_str()), ("system:serviceaccount:n:a", "ua"));
    assert_eq!(
        user.groups,
        ["system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated"]
    );
    let extra = |key: &str| {
        user.extra(&format!("authentication.kubernetes.io/{key}")).unwrap_or_default().to_owned()
    };
    let known = [extra("pod-name"), extra("pod-uid"), extra("node-name"), extra("node-uid")];
    assert_eq!(known, ["p", "up", "m", "um"]);
    assert!(extra("credential-id").starts_with("JTI="));
    assert!(world.show(&token, 1000 + 600 + 59, ISSUER).is_ok());
    let expired = world.show(&token, 1000 + 600 + 61, ISSUER);
    assert_eq!(expired, Err("service account token has expired".to_owned()));
    let early = world.show(&token, 1000 - 61, ISSUER);
    assert_eq!(early, Err("service account token is not valid yet".to_owned()));
    let elsewhere = world.show(&token, 1000, "vault");
    let words = "token audiences [\"https://kubernetes.default.svc\"] is invalid for the target audiences [\"vault\"]";
    assert_eq!(elsewhere, Err(words.to_owned()));
}

#[tokio::test]
async fn a_token_dies_with_what_it_names() {
    let invalidated = || Err("service account token has been invalidated".to_owned());
    for (bucket, name, bound) in [
        ("pods", "p", pod()),
        ("secrets", "s", Bound::Secret(Reference::new("s", "us"))),
        ("nodes", "m", Bound::Node(Reference::new("m", "um"))),
    ] {
        let world = world();
        let token = world.token(bound, 600).await;
        assert!(world.show(&token, 1000, ISSUER).is_ok(), "{bucket}");
        world.remove(bucket, name);
        assert_eq!(world.show(&token, 1000, ISSUER), invalidated(), "{bucket}");
    }
    let world = world();
    let token = world.token(Bound::Account, 600).await;
    world.remove("serviceaccounts", "a");
    assert_eq!(world.show(&token, 1000, ISSUER), Err("serviceaccounts \"a\" not found".to_owned()));
}

#[tokio::test]
async fn a_pod_made_anew_under_the_same_name_is_another_one() {
    let world = world();
    let token = world.token(pod(), 600).await;
    world.put("pods", &json!({"metadata": {"name": "p", "uid": "other"}}));
    let words = "pod UID (other) does not match service account pod ref claim (up)";
    assert_eq!(world.show(&token, 1000, ISSUER), Err(words.to_owned()));
}

#[tokio::test]
async fn a_pod_that_is_long_overdue_for_deletion_has_no_token_any_more() {
    let world = world();
    let token = world.token(pod(), 6000).await;
    let dying = json!({"metadata": {"name": "p", "uid": "up", "deletionTimestamp": "1970-01-01T00:20:00Z"}});
    world.put("pods", &dying);
    assert!(world.show(&token, 1200 + 60, ISSUER).is_ok());
    assert!(world.show(&token, 1200 + 61, ISSUER).is_err());
}

#[tokio::test]
async fn a_mounted_token_is_stale_after_an_hour_and_good_for_a_year() {
    let world = world();
    let token = world.token(pod(), MOUNTED_SECONDS).await;
    let claims = jwt::peek(&token).expect("a JWT");
    assert_eq!(claims.exp, Some(1000 + EXTENDED_SECONDS));
    assert_eq!(claims.kubernetes.and_then(|own| own.warnafter), Some(1000 + MOUNTED_SECONDS));
    let plain = world.token(Bound::Account, MOUNTED_SECONDS).await;
    assert_eq!(jwt::peek(&plain).expect("a JWT").exp, Some(1000 + MOUNTED_SECONDS));
}

#[tokio::test]
async fn a_changed_token_or_another_algorithm_is_refused() {
    let world = world();
    let token = world.token(Bound::Account, 600).await;
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = jwt::peek(&token).expect("a JWT");
    claims.sub = "system:serviceaccount:kube-system:admin".to_owned();
    let encode = |bytes: &[u8]| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    };
    let payload = encode(&serde_json::to_vec(&claims).expect("JSON"));
    let none = encode(b"{\"alg\":\"none\"}");
    let wrong = "go-jose/go-jose: error in cryptographic primitive";
    for forged in [
        format!("{}.{payload}.{}", parts[0], parts[2]),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
    ] {
        assert_eq!(world.show(&forged, 1000, ISSUER), Err(wrong.to_owned()), "{forged}");
    }
    for other in ["", "abc", "a.b", "a.b.c.d", &"x".repeat(100_000)] {
        assert!(jwt::peek(other).is_none());
    }
}

#[tokio::test]
async fn a_legacy_token_lives_as_long_as_its_secret_holds_it() {
    use base64::Engine as _;
    let world = world();
    let token =
        world.issuer.issue_legacy("n", &Reference::new("a", "ua"), "s").await.expect("issued");
    assert_eq!(
        world.show(&token, 1000, ISSUER),
        Err("token does not match server's copy".to_owned())
    );
    let data = base64::engine::general_purpose::STANDARD.encode(&token);
    let secret = |labels: Value| json!({"metadata": {"name": "s", "uid": "us", "labels": labels}, "data": {"token": data}});
    world.put("secrets", &secret(json!({})));
    let user = world.show(&token, 1_000_000_000, ISSUER).expect("good");
    assert_eq!((user.name.as_str(), user.extra.is_empty()), ("system:serviceaccount:n:a", true));
    world
        .put("secrets", &secret(json!({"kubernetes.io/legacy-token-invalid-since": "2026-01-01"})));
    assert!(world.show(&token, 1000, ISSUER).is_err());
}

#[tokio::test]
async fn the_key_is_found_again_and_published() {
    let world = world();
    let token = world.token(Bound::Account, 600).await;
    let config = TokenConfig {
        dir: world.dir.path().to_owned(),
        issuer: ISSUER.to_owned(),
        ..TokenConfig::default()
    };
    let again = TokenIssuer::load_or_generate(config).expect("found");
    let key = again.key.ready().expect("read at once");
    let claims = jwt::peek(&token).expect("a JWT");
    assert!(again.verifier.verify(&key, &token, claims).is_ok());
    let response = again.serve("/openid/v1/jwks").expect("served");
    assert_eq!(response.headers()["content-type"], "application/jwk-set+json");
    let body =
        http_body_util::BodyExt::collect(response.into_body()).await.expect("in memory").to_bytes();
    let keys: Value = serde_json::from_slice(&body).expect("JSON");
    let shown = &keys["keys"][0];
    assert_eq!(
        (&shown["kty"], &shown["alg"], &shown["e"]),
        (&json!("RSA"), &json!("RS256"), &json!("AQAB"))
    );
    assert!(shown["kid"].as_str().is_some_and(|id| id.len() == 43));
    assert!(!format!("{again:?}").contains("BEGIN"));
}

#[test]
fn a_broken_key_file_is_told_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("service-account.key"), "nonsense").expect("written");
    let config = TokenConfig { dir: dir.path().to_owned(), ..TokenConfig::default() };
    assert!(matches!(TokenIssuer::load_or_generate(config), Err(TokenKeyError::Malformed { .. })));
}
