//! [`Server`]: the API behind HTTP, with what it serves beside resources.

use std::sync::Arc;

use http::request::Parts;
use podo_api::Status;
use serde_json::json;

use crate::api::Api;
use crate::authn::{Authenticator, Peer};
use crate::custom_kinds;
use crate::discovery;
use crate::health::Health;
use crate::http::websocket::WebSockets;
use crate::http::{Heavy, InFlight, Response, respond};
use crate::metrics::{self, Metrics};
use crate::nodes::Nodes;
use crate::openapi;
use crate::options::Options;
use crate::user::User;
use crate::version;

/// The paths that are neither of discovery nor of health.
const PATHS: &[&str] = &[
    "/.well-known/openid-configuration",
    "/metrics",
    "/metrics/slis",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/version",
];

/// The API server.
pub struct Server {
    pub(crate) api: Arc<Api>,
    pub(crate) authenticator: Authenticator,
    pub(crate) health: Health,
    pub(crate) nodes: Nodes,
    pub(crate) metrics: Metrics,
    pub(crate) in_flight: InFlight,
    pub(crate) heavy: Heavy,
    pub(crate) websockets: WebSockets,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("api", &self.api).finish_non_exhaustive()
    }
}

impl Server {
    /// Who sends a request: its credentials, and whom it acts as.
    pub(crate) fn authenticate(&self, parts: &Parts, peer: &Peer) -> Result<Arc<User>, Status> {
        self.authenticator.authenticate(&self.api, parts, peer)
    }

    /// Answers a request for something that is no resource.
    pub(crate) fn serve_path(
        &self,
        parts: &Parts,
        options: &Options,
        user: &User,
    ) -> Result<Response, Status> {
        let _ = user;
        let path = parts.uri.path().trim_end_matches('/');
        if let Some(response) = discovery::serve(self, parts, path)? {
            return Ok(response);
        }
        if let Some(response) = openapi::serve(parts, path, options) {
            return Ok(response);
        }
        if let Some(response) = custom_kinds::serve(&self.api, parts, path, options) {
            return Ok(response);
        }
        if let Some(response) = self.health.serve(self, path, options) {
            return Ok(response);
        }
        match path {
            "" | "/index.html" => self.index(),
            "/version" => Ok(version::serve()),
            "/metrics" => Ok(metrics::serve(self)),
            "/metrics/slis" => Ok(metrics::in_text(self.health.indicators())),
            "/.well-known/openid-configuration" | "/openid/v1/jwks" => self.api.tokens.serve(path),
            _ => Ok(crate::http::text(404, "404 page not found\n")),
        }
    }

    /// What is served beside resources, in the order of its bytes (Kubernetes v1.36 `routes.IndexLister`).
    fn index(&self) -> Result<Response, Status> {
        let mut paths = discovery::paths();
        paths.extend(self.health.paths(self));
        paths.extend(PATHS.iter().map(|&path| path.to_owned()));
        paths.sort();
        let bytes =
            serde_json::to_vec_pretty(&json!({"paths": paths})).map_err(Status::internal)?;
        Ok(respond(200, bytes, "application/json", false))
    }
}
