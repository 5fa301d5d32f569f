//! The CRI log format: `TIME STREAM TAG LINE`, one entry per line of output.
//!
//! Holds always: an entry's content has at most [`CONTENT_BYTES_MAX`] bytes; a longer line is several entries tagged `P`
//! and a last one tagged `F`; output without a newline waits until it has one, is too long, or ends.

use crate::clock;

/// Content of one entry, as containerd's `max_container_log_line_size`.
pub(crate) const CONTENT_BYTES_MAX: usize = 16 * 1024;

/// Cuts one stream's output into log entries.
pub(crate) struct LineCutter {
    stream: &'static str,
    pending: Vec<u8>,
}

impl LineCutter {
    /// For the stream of this name, `stdout` or `stderr`.
    pub(crate) fn new(stream: &'static str) -> Self {
        Self { stream, pending: Vec::new() }
    }

    /// Takes output, appends finished entries to `out`.
    pub(crate) fn push(&mut self, mut chunk: &[u8], now_ns: i64, out: &mut Vec<u8>) {
        while !chunk.is_empty() {
            let room = CONTENT_BYTES_MAX - self.pending.len();
            let end = chunk.iter().position(|byte| *byte == b'\n');
            match end {
                Some(end) if end <= room => {
                    self.write(b"F", &chunk[..end], now_ns, out);
                    chunk = &chunk[end + 1..];
                }
                None if chunk.len() <= room => {
                    self.pending.extend_from_slice(chunk);
                    return;
                }
                _ => {
                    self.write(b"P", &chunk[..room], now_ns, out);
                    chunk = &chunk[room..];
                }
            }
        }
    }

    /// The stream ended: what is left is an entry.
    pub(crate) fn finish(&mut self, now_ns: i64, out: &mut Vec<u8>) {
        if !self.pending.is_empty() {
            self.write(b"F", &[], now_ns, out);
        }
    }

    fn write(&mut self, tag: &[u8], rest: &[u8], now_ns: i64, out: &mut Vec<u8>) {
        clock::write_rfc3339(now_ns, out);
        for part in [b" ", self.stream.as_bytes(), b" ", tag, b" ", &self.pending, rest, b"\n"] {
            out.extend_from_slice(part);
        }
        self.pending = Vec::new(); // Given back: an idle container keeps no buffer.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<(String, usize, String)> {
        let mut cutter = LineCutter::new("stdout");
        let mut out = Vec::new();
        for chunk in chunks {
            cutter.push(chunk, 0, &mut out);
        }
        cutter.finish(0, &mut out);
        let text = String::from_utf8(out).unwrap();
        let entry = |line: &str| {
            let rest = line.strip_prefix("1970-01-01T00:00:00.000000000Z stdout ").unwrap();
            (rest[..1].to_owned(), rest.len() - 2, rest[2..].chars().take(5).collect())
        };
        text.lines().map(entry).collect()
    }

    fn entry(tag: &str, length: usize, start: &str) -> (String, usize, String) {
        (tag.to_owned(), length, start.to_owned())
    }

    #[test]
    fn lines_are_entries_however_they_arrive() {
        let whole = cut(&[b"one\n\ntwo\nthree"]);
        assert_eq!(
            whole,
            [entry("F", 3, "one"), entry("F", 0, ""), entry("F", 3, "two"), entry("F", 5, "three")]
        );
        assert_eq!(cut(&[b"on", b"e\n\nt", b"wo\n", b"three"]), whole);
    }

    #[test]
    fn a_line_of_exactly_the_bound_is_one_entry() {
        let line = [vec![b'x'; CONTENT_BYTES_MAX], vec![b'\n']].concat();
        assert_eq!(cut(&[&line]), [entry("F", CONTENT_BYTES_MAX, "xxxxx")]);
        assert_eq!(
            cut(&[&line[..CONTENT_BYTES_MAX], b"\n"]),
            [entry("F", CONTENT_BYTES_MAX, "xxxxx")]
        );
    }

    #[test]
    fn a_longer_line_is_partial_entries_and_a_full_one() {
        let line = [vec![b'x'; 2 * CONTENT_BYTES_MAX + 7], vec![b'\n']].concat();
        let expected = [
            entry("P", CONTENT_BYTES_MAX, "xxxxx"),
            entry("P", CONTENT_BYTES_MAX, "xxxxx"),
            entry("F", 7, "xxxxx"),
        ];
        assert_eq!(cut(&[&line]), expected);
        assert_eq!(cut(&line.chunks(1000).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn an_end_without_output_writes_nothing() {
        assert!(cut(&[]).is_empty());
    }
}
