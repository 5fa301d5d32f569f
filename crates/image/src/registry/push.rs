//! The writing side of the distribution protocol, as far as the test kit needs it.

use bytes::Bytes;
use http::{Method, Response, Uri, header};
use hyper::body::Incoming;

use super::error::{RegistryError, RequestError};
use super::http_client::{Call, HttpClient};
use super::url::redirect;
use super::{RegistryConfig, TlsConfigError};
use crate::credentials::Credential;

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Certificates cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Pushes to one repository.
pub(crate) struct Pusher {
    http: HttpClient,
    base: String,
    repository: String,
    authorization: Option<String>,
}

fn parse(url: &str) -> Result<Uri, RegistryError> {
    url.parse().map_err(|_| RegistryError::Request {
        method: "Put",
        url: url.to_owned(),
        source: RequestError::Url { url: url.to_owned() },
    })
}

impl Pusher {
    pub(crate) fn new(
        base: &str,
        repository: &str,
        credential: Option<&Credential>,
    ) -> Result<Self, PushError> {
        let http = HttpClient::new(&RegistryConfig::default())?;
        let authorization = credential.map(Credential::basic_header);
        Ok(Self { http, base: base.to_owned(), repository: repository.to_owned(), authorization })
    }

    /// Asks for a place to put a blob.
    pub(crate) async fn start_upload(&self) -> Result<Uri, PushError> {
        let url = format!("{}/v2/{}/blobs/uploads/", self.base, self.repository);
        let response = self.send(Method::POST, &url, Vec::new(), Bytes::new()).await?;
        let location =
            response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.unwrap_or_default();
        let found = redirect(&parse(&url)?, location);
        found.map_or_else(|| Ok(parse(location)?), Ok)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: Vec<(header::HeaderName, String)>,
        body: Bytes,
    ) -> Result<Response<Incoming>, PushError> {
        let authorization = self.authorization.clone();
        let call = Call { method, headers, authorization, body, ..Call::get(parse(url)?) };
        let response = self.http.send(&call).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.http.status_error(&call, response).await.into())
    }
}
