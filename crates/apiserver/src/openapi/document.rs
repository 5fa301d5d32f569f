//! A document as it is kept and sent: packed, with the hash that names it.
//!
//! Nearly every client takes the packed bytes as they are. They are a tenth of the document, which is whole in memory only while
//! it is sent to a client that does not unpack.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::http::{Response, full, header_text};

/// A document that does not change.
#[derive(Clone)]
pub(super) struct Document {
    packed: Bytes,
    /// The hash of the bytes before they were packed.
    pub(super) hash: String,
}

/// Takes the bytes of a document from its start to its end.
pub(super) struct Packer {
    encoder: GzEncoder<Vec<u8>>,
    digest: Sha256,
}

impl Packer {
    /// Adds the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        // Writing to a vector cannot fail.
        let _infallible = self.encoder.write_all(bytes);
    }
}

impl Document {
    /// The document whose bytes `write` gives.
    pub(super) fn pack(write: impl FnOnce(&mut Packer)) -> Self {
        let encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut packer = Packer { encoder, digest: Sha256::new() };
        write(&mut packer);
        let mut packed = packer.encoder.finish().unwrap_or_default();
        packed.shrink_to_fit();
        let hash = packer.digest.finalize().iter().map(|byte| format!("{byte:02X}")).collect();
        Self { packed: packed.into(), hash }
    }

    /// The bytes before they were packed.
    pub(super) fn unpack(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // What was packed here can be unpacked.
        let _infallible = GzDecoder::new(&*self.packed).read_to_end(&mut bytes);
        bytes
    }

    /// The answer to a request for the document.
    pub(super) fn answer(&self, parts: &Parts, content_type: &'static str) -> Response {
        let is_known = self.is_known(header_text(&parts.headers, "if-none-match"));
        let accepts_gzip = header_text(&parts.headers, "accept-encoding")
            .is_some_and(|encodings| encodings.contains("gzip"));
        let body = match (is_known, accepts_gzip) {
            (true, _) => Bytes::new(),
            (false, true) => self.packed.clone(),
            (false, false) => self.unpack().into(),
        };
        let mut response = http::Response::new(full(body));
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if accepts_gzip && !is_known {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Ok(tag) = HeaderValue::from_str(&self.tag()) {
            headers.insert(header::ETAG, tag);
        }
        response
    }

    fn tag(&self) -> String {
        format!("\"{}\"", self.hash)
    }

    /// Whether the client says that it has these bytes.
    fn is_known(&self, tags: Option<&str>) -> bool {
        let own = self.tag();
        tags.unwrap_or("").split(',').map(str::trim).any(|tag| {
            // A proxy that repacks a body weakens its tag.
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own
        })
    }
}
