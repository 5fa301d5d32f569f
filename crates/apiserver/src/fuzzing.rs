//! Doors for fuzz targets to what is private; compiled for them only.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use podo_base::Timestamp;
use podo_store::{Config, Driver, Memory};

use crate::authn::authenticate_bootstrap_token;
use crate::authz::request_info::RequestInfo;
use crate::http::negotiate::{self, Wanted};
use crate::http::route::{self, Route};
use crate::storage::Store;
use crate::token::{jwt, key, validate};
use crate::verbs::list;

/// A request: a method by its first letter, a path with a query, an `Accept` header.
pub fn request(method: u8, target: &str, accept: &str) {
    for wanted in [Wanted::Object, Wanted::Plain, Wanted::Watch] {
        let _rendering = negotiate::negotiate(Some(accept), wanted);
    }
    let _body = (negotiate::body_encoding(Some(accept)), negotiate::patch_kind(Some(accept)));
    let method = match method {
        b'p' => Method::POST,
        b'u' => Method::PUT,
        b'm' => Method::PATCH,
        b'd' => Method::DELETE,
        _ => Method::GET,
    };
    // What hyper refuses never comes to the router.
    let Ok(uri) = target.parse::<http::Uri>() else { return };
    let options = route::parse_query(uri.query().unwrap_or(""));
    let _read = (options.list(false), options.list(true), options.write("CreateOptions"));
    if let Ok(request) = http::Request::builder().method(method.clone()).uri(uri.clone()).body(()) {
        let _info = RequestInfo::of(&request.into_parts().0);
    }
    if let Ok(Route::Resource(found)) = route::route(&method, uri.path(), &options) {
        let name = &*found.target.name;
        assert!(!name.contains(['/', '%']) && name != ".." && name != ".", "{name:?}");
    }
}

/// A token, by `kind`; nobody made it here, so it must not be believed.
pub fn token(kind: u8, input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    match kind {
        b'c' => {
            let _start = list::resume(text);
        }
        b'p' => claims(&format!("e30.{}.", URL_SAFE_NO_PAD.encode(input))),
        b'h' => claims(&format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(input))),
        _ => claims(text),
    }
}

fn claims(token: &str) {
    let now = Timestamp::from_seconds(1_800_000_000);
    assert!(authenticate_bootstrap_token(store(), token, now).is_none());
    let Some(claims) = jwt::peek(token) else { return };
    assert!(jwt::check_signature(signing_key(), token).is_err());
    let audiences = ["podo".to_owned()];
    let validated = validate::validate(store(), &claims, token, now, &audiences, &audiences);
    assert!(validated.is_err(), "there is no service account");
}

fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let config = Config { driver: Driver::Manual, ..Config::new(Arc::new(|| 0)) };
        Store::open(Memory, config).expect("an empty store")
    })
}

fn signing_key() -> &'static key::SigningKey {
    static KEY: OnceLock<key::SigningKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("podo-fuzz-key-{}", std::process::id()));
        let key = key::generate(&path).expect("a key");
        std::fs::remove_file(&path).expect("it was written");
        key
    })
}
