//! Bodies of answers, and reading the bodies of requests within bounds.

use bytes::{Bytes, BytesMut};
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

/// Reads the body of a request. Its frames are put together as they come: a frame of one byte costs a byte.
pub(crate) async fn read<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let mut body = std::pin::pin!(Limited::new(body, REQUEST_BYTES_MAX));
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| unread(&*error))?.into_data() else { continue };
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn unread(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Status {
    if error.is::<LengthLimitError>() {
        Status::too_large(format!("limit is {REQUEST_BYTES_MAX}"))
    } else {
        Status::bad_request(format!("the body could not be read: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    async fn read_frames(frames: Vec<Bytes>) -> Result<Bytes, Status> {
        let frames = frames.into_iter().map(|data| Ok::<_, BodyError>(Frame::data(data)));
        read(StreamBody::new(futures_util::stream::iter(frames))).await
    }

    #[tokio::test]
    async fn frames_are_put_together_and_bounded() {
        assert_eq!(read_frames(Vec::new()).await, Ok(Bytes::new()));
        assert_eq!(read_frames(vec!["ab".into()]).await, Ok("ab".into()));
        let many = vec!["".into(), "a".into(), "".into(), "bc".into(), "d".into()];
        assert_eq!(read_frames(many).await, Ok("abcd".into()));
        let large = vec![Bytes::from(vec![0; REQUEST_BYTES_MAX]), "x".into()];
        assert_eq!(read_frames(large).await.expect_err("too large").code, 413);
    }
}
