//! SPDY/3.1 frames, as port-forward tunnels them: many byte streams in one connection.
//!
//! Holds     one zlib stream per direction for all headers, so frames must be encoded and decoded in wire order;
//!           no flow control, which the Go implementation at the other end leaves out too.
//!
//! Not here: connections and streams themselves; both ends build them on [`Codec`].

#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The largest frame that is taken; senders use 32 KiB.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The largest block of headers after decompression; port-forward needs some hundred bytes.
const HEADERS_BYTES_MAX: usize = 64 << 10;
/// The most headers in one block.
const HEADERS_MAX: u32 = 256;
const FLAG_FIN: u8 = 1;
const CONTROL: u8 = 0x80;
const VERSION: u16 = 3;

/// Names and values of one frame's header block.
pub type Headers = Vec<(String, String)>;

/// A frame. Stream numbers of the side that connects are odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// The stream.
        id: u32,
        /// Whether the sender will send no data.
        fin: bool,
        /// What the stream is for.
        headers: Headers,
    },
    /// Accepts a stream.
    SynReply {
        /// The stream.
        id: u32,
        /// Whether the sender will send no data.
        fin: bool,
        /// Answers to the headers.
        headers: Headers,
    },
    /// Bytes of a stream.
    Data {
        /// The stream.
        id: u32,
        /// Whether these are the sender's last.
        fin: bool,
        /// The bytes.
        bytes: Bytes,
    },
    /// Ends a stream at once, in both directions.
    Reset {
        /// The stream.
        id: u32,
        /// Why (SPDY/3.1 §2.6.3).
        status: u32,
    },
    /// Asks for the same frame back.
    Ping {
        /// Odd when the side that connects asked.
        id: u32,
    },
    /// No stream after `last` is served.
    GoAway {
        /// The last stream served.
        last: u32,
    },
    /// Settings, flow control and further headers: nothing to do for any of them.
    Ignored,
}

/// Why the peer's bytes are no frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpdyError {
    /// Another version of SPDY.
    #[error("frame of version {0}")]
    Version(u16),
    /// Too large a frame.
    #[error("frame of {0} bytes")]
    TooLarge(usize),
    /// A frame that ends too early.
    #[error("frame ends too early")]
    Short,
    /// A block of headers that does not decompress or parse.
    #[error("headers do not decode")]
    Headers,
}

/// Encodes and decodes the frames of one connection.
pub struct Codec {
    deflate: Compress,
    inflate: Decompress,
    buffer: BytesMut,
    has_dictionary: bool,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Default for Codec {
    fn default() -> Self {
        Self::new()
    }
}

impl Codec {
    /// A codec for a new connection.
    pub fn new() -> Self {
        let inflate = Decompress::new(true);
        let buffer = BytesMut::new();
        let deflate = Compress::new(Compression::new(6), true);
        Self { deflate, inflate, buffer, has_dictionary: false }
    }

    /// The bytes of a frame, to be sent in the order of the calls.
    pub fn encode(&mut self, frame: &Frame) -> Bytes {
        match frame {
            Frame::SynStream { id, fin, headers } => {
                let mut payload = Vec::from(id.to_be_bytes());
                payload.extend([0; 6]); // No associated stream, highest priority, no slot.
                payload.extend(self.compress(headers));
                control(1, *fin, &payload)
            }
            Frame::SynReply { id, fin, headers } => {
                let mut payload = Vec::from(id.to_be_bytes());
                payload.extend(self.compress(headers));
                control(2, *fin, &payload)
            }
            Frame::Data { id, fin, bytes } => {
                let mut frame = Vec::with_capacity(bytes.len() + 8);
                frame.extend((id & 0x7fff_ffff).to_be_bytes());
                frame.extend(flags_and_length(*fin, bytes.len()));
                frame.extend_from_slice(bytes);
                frame.into()
            }
            Frame::Reset { id, status } => {
                control(3, false, &[id.to_be_bytes(), status.to_be_bytes()].concat())
            }
            Frame::Ping { id } => control(6, false, &id.to_be_bytes()),
            Frame::GoAway { last } => control(7, false, &[last.to_be_bytes(), [0; 4]].concat()),
            Frame::Ignored => control(4, false, &[0; 4]), // Settings without an entry.
        }
    }

    /// Takes bytes that came; frames need not begin or end with them.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame of what was fed; `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, SpdyError> {
        let Some(head) = self.buffer.first_chunk::<8>().copied() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(SpdyError::TooLarge(length));
        }
        if self.buffer.len() < 8 + length {
            return Ok(None);
        }
        self.buffer.advance(8);
        let mut payload = self.buffer.split_to(length).freeze();
        let fin = head[4] & FLAG_FIN != 0;
        if head[0] & CONTROL == 0 {
            let id = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            return Ok(Some(Frame::Data { id, fin, bytes: payload }));
        }
        let version = u16::from_be_bytes([head[0] & 0x7f, head[1]]);
        if version != VERSION {
            return Err(SpdyError::Version(version));
        }
        let kind = u16::from_be_bytes([head[2], head[3]]);
        Ok(Some(match kind {
            1 => {
                let id = number(&mut payload)?;
                if payload.len() < 6 {
                    return Err(SpdyError::Short);
                }
                payload.advance(6);
                Frame::SynStream { id, fin, headers: self.decompress(&payload)? }
            }
            2 => {
                let id = number(&mut payload)?;
                Frame::SynReply { id, fin, headers: self.decompress(&payload)? }
            }
            3 => Frame::Reset { id: number(&mut payload)?, status: number(&mut payload)? },
            6 => Frame::Ping { id: number(&mut payload)? },
            7 => Frame::GoAway { last: number(&mut payload)? },
            8 => {
                number(&mut payload)?;
                self.decompress(&payload)?; // It moves the shared zlib stream.
                Frame::Ignored
            }
            _ => Frame::Ignored,
        }))
    }

    fn compress(&mut self, headers: &Headers) -> Vec<u8> {
        if !self.has_dictionary {
            self.has_dictionary = true;
            // Fails only on a stream that has begun.
            let set = self.deflate.set_dictionary(&dictionary());
            debug_assert!(set.is_ok(), "a fresh stream takes a dictionary");
        }
        let mut block = Vec::new();
        push_number(&mut block, headers.len());
        for (name, value) in headers {
            for text in [name.to_ascii_lowercase().as_bytes(), value.as_bytes()] {
                push_number(&mut block, text.len());
                block.extend_from_slice(text);
            }
        }
        // Room for the worst case of deflate and a sync marker: one call does it all.
        let mut out = Vec::with_capacity(block.len() + block.len() / 8 + 128);
        let done = self.deflate.compress_vec(&block, &mut out, FlushCompress::Sync);
        debug_assert!(matches!(done, Ok(Status::Ok)), "the buffer has room");
        out
    }

    fn decompress(&mut self, mut input: &[u8]) -> Result<Headers, SpdyError> {
        let mut block = Vec::with_capacity(4096);
        while !input.is_empty() {
            if block.len() >= HEADERS_BYTES_MAX {
                return Err(SpdyError::Headers);
            }
            block.reserve(4096);
            let before = (self.inflate.total_in(), block.len());
            let step = self.inflate.decompress_vec(input, &mut block, FlushDecompress::Sync);
            let used = usize::try_from(self.inflate.total_in() - before.0).unwrap_or(usize::MAX);
            input = input.get(used..).unwrap_or_default();
            match step {
                Ok(_) if used == 0 && block.len() == before.1 => break,
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    let set = self.inflate.set_dictionary(&dictionary());
                    set.map_err(|_other_dictionary| SpdyError::Headers)?;
                }
                Err(_) => return Err(SpdyError::Headers),
            }
        }
        parse_headers(block.into())
    }
}

fn parse_headers(mut block: Bytes) -> Result<Headers, SpdyError> {
    let count = number(&mut block)?;
    if count > HEADERS_MAX {
        return Err(SpdyError::Headers);
    }
    let mut text = || {
        let length = number(&mut block)? as usize;
        if block.len() < length {
            return Err(SpdyError::Short);
        }
        String::from_utf8(block.split_to(length).to_vec()).map_err(|_binary| SpdyError::Headers)
    };
    (0..count).map(|_| Ok((text()?, text()?))).collect()
}

fn number(bytes: &mut Bytes) -> Result<u32, SpdyError> {
    bytes.try_get_u32().map_err(|_short| SpdyError::Short)
}

fn push_number(block: &mut Vec<u8>, number: usize) {
    block.extend(u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

fn flags_and_length(fin: bool, length: usize) -> [u8; 4] {
    let [_, a, b, c] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [if fin { FLAG_FIN } else { 0 }, a, b, c]
}

fn control(kind: u16, fin: bool, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(payload.len() + 8);
    frame.extend((VERSION | 0x8000).to_be_bytes());
    frame.extend(kind.to_be_bytes());
    frame.extend(flags_and_length(fin, payload.len()));
    frame.extend_from_slice(payload);
    frame.into()
}

/// The words of the dictionary that both ends give to zlib (SPDY/3 §2.6.10.1): each with its length before it, then bare text.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age \
    allow authorization cache-control connection content-base content-encoding content-language content-length content-location \
    content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range \
    if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer \
    retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status \
    200_OK version HTTP/1.1 url public set-cookie keep-alive origin";
const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
    203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found\
    500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 \
    Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,\
    text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1423);
    for word in WORDS.split_whitespace() {
        push_number(&mut bytes, word.len());
        bytes.extend(word.bytes().map(|byte| if byte == b'_' { b' ' } else { byte }));
    }
    bytes.extend_from_slice(TEXT.as_bytes());
    bytes
}
