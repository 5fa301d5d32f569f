//! Answers: JSON, text, and failures in the words of Kubernetes v1.36, which answers them as plain text.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use podo_api::Status;

/// A body.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// An answer.
pub(super) type Response = http::Response<Body>;

/// The type of texts.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A body that is whole.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A text.
pub(super) fn text(body: impl Into<Bytes>) -> Response {
    with_type(TEXT, body)
}

/// JSON.
pub(super) fn json(body: impl Into<Bytes>) -> Response {
    with_type(HeaderValue::from_static("application/json"), body)
}

/// Something of a media type.
pub(super) fn with_type(media_type: HeaderValue, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(full(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A failure: its code, and its message as text.
pub(super) fn failure(status: &Status) -> Response {
    let mut response = text(status.message.clone());
    *response.status_mut() =
        StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
