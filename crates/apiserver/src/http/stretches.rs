//! Bodies of lists, written a stretch at a time while they are sent: an answer of any length takes the memory of one stretch, and
//! its bytes are still in the processor's cache when they are encrypted.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::write::GzEncoder;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use podo_api::Object;

use super::body::{Body, BodyError, full};

/// The least length of a stretch that is not the last. What fits into one is sent as a whole, and as it is; what is larger is
/// compressed if the client accepts that (Kubernetes v1.36 `defaultGzipThresholdBytes`).
pub(super) const STRETCH_BYTES: usize = 128 * 1024;

/// Writes an item of a list.
pub(super) type WriteItem = Box<dyn Fn(&Object, &mut Vec<u8>) + Send>;

/// A list that is to be written.
pub(super) struct Stretches {
    /// What stands before the first item.
    pub(super) head: Vec<u8>,
    /// The items.
    pub(super) items: std::vec::IntoIter<Arc<Object>>,
    /// Writes one of them.
    pub(super) write: WriteItem,
    /// What stands between two items.
    pub(super) separator: &'static [u8],
    /// What stands behind the last item; empty when it was written.
    pub(super) tail: &'static [u8],
}

impl Iterator for Stretches {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.tail.is_empty() {
            return None;
        }
        let mut out = std::mem::take(&mut self.head);
        out.reserve(STRETCH_BYTES + STRETCH_BYTES / 8);
        while out.len() < STRETCH_BYTES {
            let Some(item) = self.items.next() else {
                out.extend_from_slice(std::mem::take(&mut self.tail));
                break;
            };
            (self.write)(&item, &mut out);
            if self.items.len() > 0 {
                out.extend_from_slice(self.separator);
            }
        }
        Some(out.into())
    }
}

impl Stretches {
    /// The body, and whether it is compressed: that is one that does not fit into a stretch, if the client accepts it.
    pub(super) fn body(mut self, accepts_gzip: bool) -> (Body, bool) {
        let first = self.next().unwrap_or_default();
        if self.tail.is_empty() {
            return (full(first), false);
        }
        let all = std::iter::once(first).chain(self);
        if accepts_gzip { (streamed(gzipped(all)), true) } else { (streamed(all), false) }
    }
}

fn streamed(stretches: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    let frames = stretches.map(|bytes| Ok::<_, BodyError>(Frame::data(bytes)));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

/// Compresses each stretch as it comes.
fn gzipped(stretches: impl Iterator<Item = Bytes> + Send) -> impl Iterator<Item = Bytes> + Send {
    let mut encoder = Some(compressor());
    let ends = std::iter::once(None);
    stretches.map(Some).chain(ends).filter_map(move |stretch| {
        let bytes = if let Some(stretch) = stretch {
            let encoder = encoder.as_mut()?;
            // Writing to a vector cannot fail.
            let _infallible = encoder.write_all(&stretch);
            std::mem::take(encoder.get_mut())
        } else {
            encoder.take()?.finish().unwrap_or_default()
        };
        (!bytes.is_empty()).then(|| bytes.into())
    })
}

/// The compressor of answers (RFC 1952), at the level of Kubernetes v1.36.
pub(super) fn compressor() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), flate2::Compression::new(1))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn stretches(count: usize) -> Stretches {
        let ty = podo_api::schema::builtin().get("core/v1.ConfigMap").expect("known");
        let value = serde_json::json!({"metadata": {"name": "x"}});
        let object = Arc::new(Object::new(&value, ty, Box::default()));
        Stretches {
            head: b"[".to_vec(),
            items: vec![object; count].into_iter(),
            write: Box::new(|_, out| out.extend_from_slice(b"1234567")),
            separator: b",",
            tail: b"]",
        }
    }

    async fn read(body: Body) -> Vec<u8> {
        body.collect().await.expect("all of it").to_bytes().to_vec()
    }

    #[tokio::test]
    async fn a_list_is_the_same_in_one_stretch_or_many_and_compressed_or_not() {
        for count in [0, 1, 2, STRETCH_BYTES / 8 - 1, STRETCH_BYTES / 8, STRETCH_BYTES] {
            let expected = format!("[{}]", vec!["1234567"; count].join(","));
            let is_long = expected.len() > STRETCH_BYTES;
            let (body, is_compressed) = stretches(count).body(false);
            assert_eq!(http_body::Body::size_hint(&body).exact().is_none(), is_long, "{count}");
            assert!(read(body).await == expected.as_bytes() && !is_compressed, "{count}");
            let (body, is_compressed) = stretches(count).body(true);
            assert_eq!(is_compressed, is_long, "{count}");
            let mut bytes = read(body).await;
            if is_compressed {
                let mut plain = Vec::new();
                let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
                decoder.read_to_end(&mut plain).expect("it is gzip");
                bytes = plain;
            }
            assert!(bytes == expected.as_bytes(), "{count}");
        }
        assert!(stretches(STRETCH_BYTES).all(|bytes| bytes.len() < 2 * STRETCH_BYTES));
    }
}
