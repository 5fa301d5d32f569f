//! One pull's conversation with the endpoints of a registry.
//!
//! A session begins at the endpoint that resolved the name and passes to the next ones for what that
//! one lacks. Tokens are kept for its length and shared by the layers coming in parallel.

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::error::{RegistryError, RequestError};
use super::hosts::Endpoint;
use super::http_client::{Call, is_redirect};
use super::url::{encode, is_loopback, is_same_origin, redirect};
use super::{RegistryClient, auth};
use crate::credentials::Credential;
use crate::digest::{Algorithm, Digest};
use crate::manifest::{Descriptor, media_type};
use crate::reference::Reference;

/// Redirects of one request; Go's client allows ten.
const REDIRECTS_MAX: usize = 10;

/// What a name means at this moment.
pub struct Resolved {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// Its content, if the registry gave it along.
    pub body: Option<Bytes>,
    /// Where to get the rest.
    pub session: Session,
}

/// The endpoints of one registry, as one client.
pub struct Session {
    pub(super) client: RegistryClient,
    repository: String,
    credential: Option<Credential>,
    pub(super) places: Vec<Place>,
}

/// An endpoint and what it wants to see.
pub(super) struct Place {
    endpoint: Endpoint,
    authorization: Mutex<Option<String>>,
}

impl Session {
    pub(super) fn new(
        client: RegistryClient,
        reference: &Reference,
        endpoints: &[Endpoint],
        credential: Option<&Credential>,
    ) -> Self {
        let place = |endpoint: &Endpoint| Place {
            endpoint: endpoint.clone(),
            authorization: Mutex::new(None),
        };
        Self {
            client,
            repository: reference.repository().to_owned(),
            credential: credential.cloned(),
            places: endpoints.iter().map(place).collect(),
        }
    }

    /// Asks the first endpoint what `reference` is.
    pub(super) async fn resolve(
        &self,
        reference: &Reference,
    ) -> Result<(Descriptor, Option<Bytes>), RegistryError> {
        let place = self.places.first().ok_or(RegistryError::NoEndpoint)?;
        let selector = reference.selector();
        let call = self.manifest_call(place, Method::HEAD, &selector)?;
        let response = self.send(place, call.clone(), &reference.canonical()).await;
        let response = match response {
            Ok(response) => response,
            // Some registries know no HEAD.
            Err(RegistryError::Status {
                status: StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED,
                ..
            }) => return self.resolve_by_get(place, reference).await,
            Err(error) => return Err(error),
        };
        let announced =
            text_header(&response, "docker-content-digest").and_then(|text| text.parse().ok());
        let size =
            text_header(&response, "content-length").and_then(|text| text.parse::<u64>().ok());
        let (Some(digest), Some(size)) = (reference.digest().cloned().or(announced), size) else {
            return self.resolve_by_get(place, reference).await;
        };
        let max = self.client.limits.manifest_bytes;
        if size > max {
            return Err(RegistryError::TooLarge { url: call.printable_url(), max });
        }
        Ok((descriptor(&response, digest, size), None))
    }

    async fn resolve_by_get(
        &self,
        place: &Place,
        reference: &Reference,
    ) -> Result<(Descriptor, Option<Bytes>), RegistryError> {
        let call = self.manifest_call(place, Method::GET, &reference.selector())?;
        let response = self.send(place, call.clone(), &reference.canonical()).await?;
        let mut found = descriptor(&response, Digest::sha256(b""), 0);
        let body =
            self.client.http.read(&call, response, self.client.limits.manifest_bytes).await?;
        let algorithm = reference.digest().map_or(Algorithm::Sha256, Digest::algorithm);
        found.digest = Digest::of(algorithm, &body);
        found.size = body.len() as u64;
        if let Some(expected) = reference.digest().filter(|expected| **expected != found.digest) {
            return Err(RegistryError::Digest { got: found.digest, expected: expected.clone() });
        }
        Ok((found, Some(body)))
    }

    /// Fetches a manifest or index by digest, verified. Also says what the registry calls it.
    pub async fn manifest(&self, wanted: &Descriptor) -> Result<(Bytes, String), RegistryError> {
        let max = self.client.limits.manifest_bytes;
        let mut last = RegistryError::NoEndpoint;
        for place in &self.places {
            let call = self.manifest_call(place, Method::GET, &wanted.digest.to_string())?;
            match self.document(place, call, &wanted.digest, max).await {
                Err(error) if is_passed_over(&error) => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    /// Fetches a small blob, verified: an image's configuration.
    pub async fn small_blob(&self, wanted: &Descriptor) -> Result<Bytes, RegistryError> {
        let mut last = RegistryError::NoEndpoint;
        for place in &self.places {
            let call = self.blob_call(place, &wanted.digest)?;
            match self.document(place, call, &wanted.digest, wanted.size).await {
                Ok((body, _)) => return Ok(body),
                Err(error) if is_passed_over(&error) => last = error,
                Err(RegistryError::TooLarge { .. }) => {
                    let (size, expected) = (wanted.size, wanted.digest.clone());
                    return Err(RegistryError::Size {
                        expected,
                        got: size.saturating_add(1),
                        size,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    async fn document(
        &self,
        place: &Place,
        call: Call,
        digest: &Digest,
        max: u64,
    ) -> Result<(Bytes, String), RegistryError> {
        let response = self.send(place, call.clone(), &digest.to_string()).await?;
        let content_type = text_header(&response, "content-type").unwrap_or_default().to_owned();
        let body = self.client.http.read(&call, response, max).await?;
        let got = Digest::of(digest.algorithm(), &body);
        if got != *digest {
            return Err(RegistryError::Digest { got, expected: digest.clone() });
        }
        Ok((body, content_type))
    }

    fn manifest_call(
        &self,
        place: &Place,
        method: Method,
        selector: &str,
    ) -> Result<Call, RegistryError> {
        let uri = self.uri(place, &format!("manifests/{selector}"))?;
        let headers = vec![(header::ACCEPT, media_type::ACCEPT.to_owned())];
        Ok(Call { method, headers, ..Call::get(uri) })
    }

    pub(super) fn blob_call(&self, place: &Place, digest: &Digest) -> Result<Call, RegistryError> {
        Ok(Call::get(self.uri(place, &format!("blobs/{digest}"))?))
    }

    fn uri(&self, place: &Place, rest: &str) -> Result<http::Uri, RegistryError> {
        let endpoint = &place.endpoint;
        let namespace = endpoint.namespace.as_ref();
        let query =
            namespace.map(|namespace| format!("?ns={}", encode(namespace))).unwrap_or_default();
        let url = format!("{}/v2/{}/{rest}{query}", endpoint.base, self.repository);
        url.parse().map_err(|_| RegistryError::Request {
            method: "Get",
            url: url.clone(),
            source: RequestError::Url { url },
        })
    }

    /// Sends a request with retries, authentication and redirects, until there is an answer of use.
    /// `what` is the name for "not found".
    pub(super) async fn send(
        &self,
        place: &Place,
        call: Call,
        what: &str,
    ) -> Result<Response<Incoming>, RegistryError> {
        let timeouts = &self.client.http.timeouts;
        let mut pause = timeouts.retry;
        let mut attempt = 1;
        loop {
            match self.send_once(place, call.clone(), what).await {
                Err(error) if error.is_worth_retrying() && attempt < timeouts.attempts => {
                    tracing::debug!(attempt, error = %error.chain(), "registry request is tried again");
                }
                other => return other,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// One try, without retries.
    pub(super) async fn send_once(
        &self,
        place: &Place,
        mut call: Call,
        what: &str,
    ) -> Result<Response<Incoming>, RegistryError> {
        let used = place.authorization.lock().clone();
        call.authorization.clone_from(&used);
        let response = self.follow(&call).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.check(&call, response, what).await;
        }
        let known = place.authorization.lock().clone();
        let header = if known == used {
            let credential = self.credential.as_ref().filter(|_| place.endpoint.has_credentials);
            let headers = response.headers();
            auth::answer(&self.client.http, &call.uri, headers, &self.repository, credential)
                .await?
        } else {
            known.unwrap_or_default() // Another layer has fetched a token meanwhile.
        };
        *place.authorization.lock() = Some(header.clone());
        call.authorization = Some(header);
        let response = self.follow(&call).await?;
        self.check(&call, response, what).await
    }

    /// Sends and follows redirects. What leaves the origin leaves the credentials behind.
    async fn follow(&self, call: &Call) -> Result<Response<Incoming>, RegistryError> {
        let mut call = call.clone();
        for _ in 0..=REDIRECTS_MAX {
            let response = self.client.http.send(&call).await?;
            if !is_redirect(response.status()) {
                return Ok(response);
            }
            let location = text_header(&response, "location").unwrap_or_default().to_owned();
            let refused = || RequestError::Redirect { url: location.clone() };
            let next = redirect(&call.uri, &location).ok_or_else(|| call.failed(refused()))?;
            let is_downgrade = call.uri.scheme_str() == Some("https")
                && next.scheme_str() == Some("http")
                && !next.authority().is_some_and(|authority| is_loopback(authority.as_str()));
            if is_downgrade {
                return Err(call.failed(refused()));
            }
            if !is_same_origin(&call.uri, &next) {
                call.authorization = None;
            }
            call.uri = next;
        }
        let url = call.printable_url();
        Err(call.failed(RequestError::Redirect { url }))
    }

    async fn check(
        &self,
        call: &Call,
        response: Response<Incoming>,
        what: &str,
    ) -> Result<Response<Incoming>, RegistryError> {
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::NOT_FOUND => Err(RegistryError::NotFound { what: what.to_owned() }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let source = Box::new(self.client.http.status_error(call, response).await);
                Err(RegistryError::Unauthorized { source })
            }
            _ => Err(self.client.http.status_error(call, response).await),
        }
    }
}

/// What one endpoint lacks or cannot give, another may have.
pub(super) fn is_passed_over(error: &RegistryError) -> bool {
    matches!(error, RegistryError::NotFound { .. }) || error.is_unavailable()
}

pub(super) fn text_header<'a>(response: &'a Response<Incoming>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn descriptor(response: &Response<Incoming>, digest: Digest, size: u64) -> Descriptor {
    let media_type = text_header(response, "content-type").unwrap_or_default().to_owned();
    Descriptor {
        media_type,
        digest,
        size,
        platform: None,
        annotations: std::collections::BTreeMap::new(),
    }
}
