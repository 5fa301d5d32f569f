//! `fileKeyRef`: the value of a key in a file that an earlier container of the Pod wrote (KEP-3721, Kubernetes v1.36).
//!
//! What such a file says is what a shell would read from it, of which it uses a part: declarations `NAME='VALUE'` without a blank
//! around the `=`, whose value stands for itself and may have several lines; empty lines; comments from `#` on, alone in a line
//! or after a blank behind a value. The first declaration of a key counts; what comes after it is not looked at.

use std::io::{self, Read as _};
use std::path::Path;

use crate::beneath;

/// Bytes of a file; a variable's value can have no more than 128 KiB (`MAX_ARG_STRLEN` of Linux).
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read.
    #[error("cannot be read")]
    Unreadable(#[from] io::Error),
    /// It is something else: a folder, a pipe.
    #[error("is no regular file")]
    Irregular,
    /// It is longer than anybody needs.
    #[error("is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// A declaration is none.
    #[error("invalid environment variable format at line {line}: {problem}")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
}

/// What the file `path` of the volume at `root` says of a key; `None` if nothing, or that it is empty, which upstream does not
/// tell apart.
pub(super) fn value(root: &Path, path: &str, key: &str) -> Result<Option<Vec<u8>>, FileError> {
    let file = beneath::open(root, &root.join(path))?;
    if !file.metadata()?.is_file() {
        return Err(FileError::Irregular);
    }
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(FileError::TooLong);
    }
    let value = find(&text, key)?;
    Ok(value.filter(|value| !value.is_empty()).map(<[u8]>::to_vec))
}

/// The value of the first declaration of a key.
pub(crate) fn find<'a>(text: &'a [u8], key: &str) -> Result<Option<&'a [u8]>, FileError> {
    let mut rest = text.trim_ascii_start();
    while let Some(first) = rest.first() {
        if *first == b'#' {
            rest = cut(rest, b'\n').map_or(&[], |(_, after)| after);
        } else {
            let declared = declaration(rest).map_err(|problem| {
                let before = text.iter().take(text.len() - rest.len());
                let line = 1 + before.filter(|byte| **byte == b'\n').count();
                FileError::Malformed { line, problem }
            })?;
            if declared.name == key.as_bytes() {
                return Ok(Some(declared.value));
            }
            rest = declared.after;
        }
        rest = rest.trim_ascii_start();
    }
    Ok(None)
}

struct Declaration<'a> {
    name: &'a [u8],
    value: &'a [u8],
    /// The lines behind it.
    after: &'a [u8],
}

fn declaration(text: &[u8]) -> Result<Declaration<'_>, &'static str> {
    let name = cut(text, b'=').filter(|(name, _)| !name.is_empty() && !name.contains(&b'\n'));
    let (name, rest) = name.ok_or("no declaration of a variable")?;
    if name.ends_with(b" ") || name.ends_with(b"\t") {
        return Err("whitespace before '=' is not allowed");
    }
    let rest = rest.strip_prefix(b"'").ok_or("value must be enclosed in single quotes")?;
    let (value, rest) = cut(rest, b'\'').ok_or("unclosed single quote")?;
    let (tail, after) = cut(rest, b'\n').unwrap_or((rest, &[]));
    let said = tail.trim_ascii_start();
    if said.is_empty() || (said.len() < tail.len() && said.starts_with(b"#")) {
        Ok(Declaration { name, value, after })
    } else {
        Err("unexpected content after closing quote")
    }
}

/// What is before and behind the first such byte.
fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let index = text.iter().position(|byte| *byte == at)?;
    let (before, rest) = text.split_at(index);
    Some((before, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, key: &str, expected: &str) {
        let found = match find(text.as_bytes(), key) {
            Ok(value) => value
                .map_or("none".to_owned(), |value| format!("{:?}", String::from_utf8_lossy(value))),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[track_caller]
    fn refused(text: &str, key: &str, line: usize, problem: &str) {
        let why = format!("invalid environment variable format at line {line}: {problem}");
        check(text, key, &why);
    }

    #[test]
    fn a_value_stands_for_itself() {
        check("A='foo'\nB='bar'\n", "B", r#""bar""#);
        check("A='foo'", "C", "none");
        check("A='a=b#c $V ${V} \\n\\'", "A", r#""a=b#c $V ${V} \\n\\""#);
        check("A='  x  '\nB=''", "A", r#""  x  ""#);
        check("A='one\n\n  three '\nB='2'", "A", r#""one\n\n  three ""#);
        check("A='one\nB=two'\nB='2'", "B", r#""2""#);
        check("A='1'\nA='2'", "A", r#""1""#);
        check("", "A", "none");
    }

    #[test]
    fn empty_lines_and_comments_say_nothing() {
        check("# A='0'\n\n \t\n   # more\n\t A='1'\n", "A", r#""1""#);
        check("A='1' # one\r\nB='2'\t\r\n#end", "B", r#""2""#);
    }

    #[test]
    fn whatever_a_shell_would_read_otherwise_is_refused() {
        refused("A='1'\nB=2\n", "B", 2, "value must be enclosed in single quotes");
        refused("A=\"1\"", "A", 1, "value must be enclosed in single quotes");
        refused("A = '1'\nB='2'", "B", 1, "whitespace before '=' is not allowed");
        refused("A= '1'", "A", 1, "value must be enclosed in single quotes");
        refused("='1'", "A", 1, "no declaration of a variable");
        refused("A='1'\nnothing\nB='2'", "B", 2, "no declaration of a variable");
        refused("A='1''2'", "A", 1, "unexpected content after closing quote");
        refused("A='1'#2", "A", 1, "unexpected content after closing quote");
        refused("A='1\nB='2'\n", "A", 1, "unexpected content after closing quote");
        refused("A='1\n'\n\nB='2", "B", 4, "unclosed single quote");
        check("A='1'\nB=2\n", "A", r#""1""#);
    }

    #[test]
    fn only_a_regular_file_of_the_volume_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("volume");
        std::fs::create_dir_all(root.join("sub")).expect("made");
        std::fs::write(folder.path().join("outside"), "A='secret'").expect("written");
        std::fs::write(root.join("sub/env"), "A='1'\nB=''").expect("written");
        std::os::unix::fs::symlink("../outside", root.join("link")).expect("linked");
        assert_eq!(value(&root, "sub/env", "A").expect("read").as_deref(), Some(&b"1"[..]));
        assert_eq!(value(&root, "sub/env", "B").expect("read"), None);
        assert!(matches!(value(&root, "sub", "A"), Err(FileError::Irregular)));
        for path in ["link", "missing", "../outside", "/etc/passwd"] {
            assert!(matches!(value(&root, path, "A"), Err(FileError::Unreadable(_))), "{path}");
        }
        std::fs::write(root.join("long"), vec![b'\n'; (1 << 20) + 1]).expect("written");
        assert!(matches!(value(&root, "long", "A"), Err(FileError::TooLong)));
    }
}
