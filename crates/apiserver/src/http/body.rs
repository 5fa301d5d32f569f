//! Bodies of answers, and reading the bodies of requests within bounds.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use podo_api::Status;

/// What can go wrong while an answer is streamed.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// An answer.
pub(crate) type Response = http::Response<Body>;

/// The largest body that is read (Kubernetes v1.36 `MaxRequestBodyBytes`).
const REQUEST_BYTES_MAX: usize = 3 * 1024 * 1024;

/// A body that is there as a whole.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Reads the body of a request.
pub(crate) async fn read<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Status::too_large(format!("limit is {REQUEST_BYTES_MAX}")))
        }
        Err(error) => Err(Status::bad_request(format!("the body could not be read: {error}"))),
    }
}
