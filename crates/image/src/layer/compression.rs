//! Decompression of layers and archives, told by their first bytes as containerd does.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// Largest zstd window that is accepted, as a power of two: 128 MiB, what the zstd tool accepts.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// Read-ahead of the compressed stream.
const BUFFER_BYTES: usize = 64 << 10;

/// A stream without its compression.
pub enum Decoder<R: Read> {
    /// It had none.
    Plain(BufReader<R>),
    /// gzip, possibly of several members.
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    /// Zstandard.
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<R>>>),
}

/// Looks at the first bytes of `source` and undoes its compression.
pub fn decoder<R: Read>(source: R) -> io::Result<Decoder<R>> {
    let mut buffered = BufReader::with_capacity(BUFFER_BYTES, source);
    let start = buffered.fill_buf()?;
    Ok(match start {
        [0x1f, 0x8b, 0x08, ..] => Decoder::Gzip(Box::new(MultiGzDecoder::new(buffered))),
        // A frame, or a skippable frame in front of one (seekable zstd, eStargz).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Decoder::Zstd(Box::new(decoder))
        }
        _ => Decoder::Plain(buffered),
    })
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.read(buffer),
            Self::Gzip(inner) => inner.read(buffer),
            Self::Zstd(inner) => inner.read(buffer),
        }
    }
}
