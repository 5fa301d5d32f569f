//! Writing tar archives: ustar headers, with a PAX header for paths that do not fit.

use std::io::{self, Read, Write};

const BLOCK: u64 = 512;
const NAME_BYTES_MAX: usize = 100;

/// What an entry is, beside its content.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    pub(crate) flag: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) link: String,
    pub(crate) device: (u32, u32),
}

impl Meta {
    pub(crate) fn file(mode: u32) -> Self {
        Self { flag: b'0', mode, uid: 0, gid: 0, link: String::new(), device: (0, 0) }
    }

    #[cfg_attr(
        not(feature = "testkit"),
        expect(dead_code, reason = "image archives hold only files")
    )]
    pub(crate) fn directory(mode: u32) -> Self {
        Self { flag: b'5', ..Self::file(mode) }
    }
}

/// Writes one archive. Everything is dated to the epoch, so the same content gives the same bytes.
pub(crate) struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Adds an entry with `size` bytes of content.
    pub(crate) fn append(
        &mut self,
        path: &str,
        meta: &Meta,
        size: u64,
        content: impl Read,
    ) -> io::Result<()> {
        let mut records = String::new();
        for (key, value) in [("path", path), ("linkpath", meta.link.as_str())] {
            if value.len() > NAME_BYTES_MAX {
                records.push_str(&record(key, value));
            }
        }
        if !records.is_empty() {
            let pax = Meta { flag: b'x', ..Meta::file(0o644) };
            self.inner.write_all(&header("pax", &pax, records.len() as u64)?)?;
            self.content(records.len() as u64, records.as_bytes())?;
        }
        self.inner.write_all(&header(path, meta, size)?)?;
        self.content(size, content)
    }

    fn content(&mut self, size: u64, content: impl Read) -> io::Result<()> {
        if io::copy(&mut content.take(size), &mut self.inner)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let padding = size.wrapping_neg() % BLOCK;
        io::copy(&mut io::repeat(0).take(padding), &mut self.inner).map(drop)
    }

    /// Adds a small file.
    pub(crate) fn append_bytes(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.append(path, &Meta::file(0o644), bytes.len() as u64, bytes)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&[0_u8; 1024])?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

/// `length key=value\n`, where the length counts itself.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

fn header(path: &str, meta: &Meta, size: u64) -> io::Result<[u8; 512]> {
    let mut block = [0_u8; 512];
    let mut put = |offset: usize, bytes: &[u8]| {
        if let Some(field) = block.get_mut(offset..offset + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    let cut = |text: &str| text.bytes().take(NAME_BYTES_MAX).collect::<Vec<u8>>();
    if size >= 1 << 33 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    put(0, &cut(path));
    put(100, format!("{:07o}\0", meta.mode).as_bytes());
    put(108, format!("{:07o}\0", meta.uid).as_bytes());
    put(116, format!("{:07o}\0", meta.gid).as_bytes());
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[meta.flag]);
    put(157, &cut(&meta.link));
    put(257, b"ustar\x0000");
    put(329, format!("{:07o}\0", meta.device.0).as_bytes());
    put(337, format!("{:07o}\0", meta.device.1).as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(field) = block.get_mut(148..156) {
        field.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    Ok(block)
}
