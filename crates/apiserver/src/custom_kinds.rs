//! The definitions of custom kinds: an empty list as long as there can be none.
//!
//! They are absent from discovery, as every kind that is not served. But kubectl asks for them before it sends an object whose kind
//! OpenAPI does not tell it enough about (kubectl v1.36 `QueryParamVerifier`: reviews, kinds that are not served, `kind: pod`), and
//! gives the object up if nobody answers.

use http::Method;
use http::request::Parts;
use serde_json::json;

use crate::api::Api;
use crate::http::{Response, respond};
use crate::options::Options;

const LIST: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// The answer to a list of all of them; who asks was authorized as for any list.
pub(crate) fn serve(api: &Api, parts: &Parts, path: &str, options: &Options) -> Option<Response> {
    if path != LIST || parts.method != Method::GET || options.get("watch").is_some() {
        return None;
    }
    let list = json!({
        "kind": "CustomResourceDefinitionList",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"resourceVersion": api.store.revision().0.to_string()},
        "items": [],
    });
    Some(respond(200, list.to_string().into_bytes(), "application/json", false))
}
