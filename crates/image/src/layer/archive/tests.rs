use std::process::Command;

use proptest::prelude::*;

use super::*;

fn read_all(bytes: &[u8], limits: &Limits) -> Result<Vec<(Entry, Vec<u8>)>, ArchiveError> {
    let mut reader = Reader::new(bytes, limits);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let content = reader.content_bytes(&entry, 1 << 20)?.unwrap_or_default();
        entries.push((entry, content));
    }
    reader.finish()?;
    Ok(entries)
}

fn names(entries: &[(Entry, Vec<u8>)]) -> Vec<String> {
    entries.iter().map(|(entry, _)| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

/// GNU tar is the oracle where there is one.
fn gnu_tar(format: &str, extra: &[&str], make: impl FnOnce(&std::path::Path)) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().expect("temporary directory");
    make(dir.path());
    let output = Command::new("tar")
        .args(["--format", format, "-C"])
        .arg(dir.path())
        .args(extra)
        .args(["-cf", "-", "."])
        .output();
    match output {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => {
            eprintln!("SKIP gnu_tar: no GNU tar with format {format}");
            None
        }
    }
}

#[test]
fn long_names_and_links_are_read_in_every_format() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    for format in ["gnu", "pax"] {
        let made = gnu_tar(format, &[], |dir| {
            std::fs::create_dir(dir.join("d".repeat(120))).expect("make");
            std::fs::write(dir.join(&long), "content").expect("write");
            std::os::unix::fs::symlink("t".repeat(150), dir.join("link")).expect("link");
        });
        let Some(bytes) = made else { return };
        let entries = read_all(&bytes, &Limits::default()).expect(format);
        assert!(names(&entries).contains(&format!("./{long}")), "{format}");
        let link = entries.iter().find(|(entry, _)| entry.kind == Kind::Symlink).expect("link");
        assert_eq!(link.0.link, "t".repeat(150).into_bytes());
        assert!(entries.iter().any(|(_, content)| content == b"content"));
    }
}

#[test]
fn sparse_files_get_their_holes_back_in_every_format() {
    let make = |dir: &std::path::Path| {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::File::create(dir.join("sparse")).expect("make");
        for number in 0..40_u64 {
            file.write_all_at(b"data", number * 20_000).expect("write");
        }
        file.set_len(900_000).expect("extend");
    };
    let pax = ["--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"];
    let forms = std::iter::once(("gnu", "--sparse")).chain(pax.map(|version| ("pax", version)));
    for (format, version) in forms {
        let Some(bytes) = gnu_tar(format, &["--sparse", version], make) else { return };
        assert!(bytes.len() < 400_000, "{version} is not sparse");
        let entries = read_all(&bytes, &Limits::default()).expect(version);
        let (entry, content) = entries
            .iter()
            .find(|(entry, _)| entry.path.ends_with(b"sparse"))
            .expect("entry with its real name");
        assert_eq!(entry.size, 900_000, "{version}");
        assert_eq!(content.len(), 900_000);
        assert!((0..40).all(|number| content[number * 20_000..].starts_with(b"data")), "{version}");
        assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 160, "{version}");
    }
}

fn header(path: &str, flag: u8, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
    header.as_mut_bytes()[156] = flag;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(512), 0);
    padded
}

fn pax(records: &[u8]) -> Vec<u8> {
    [header("pax", b'x', records.len() as u64), padded(records)].concat()
}

#[test]
fn global_headers_are_skipped_and_the_size_of_a_record_wins() {
    let global = [header("g", b'g', 20), padded(b"20 path=never-usedXX")].concat();
    // A reader that believed the fixed header would take the content for the next header.
    let file = [pax(b"12 size=512\n"), header("f", b'0', 0), header("hidden", b'0', 0)].concat();
    let bytes = [global, file, header("last", b'0', 0), vec![0; 1024]].concat();
    let entries = read_all(&bytes, &Limits::default()).expect("read");
    assert_eq!(names(&entries), ["f", "last"]);
    assert_eq!(entries[0].1.len(), 512);
}

#[test]
fn entries_other_than_files_have_no_content_whatever_they_say() {
    let bytes = [header("d", b'5', 512), header("next", b'0', 0), vec![0; 1024]].concat();
    assert_eq!(names(&read_all(&bytes, &Limits::default()).expect("read")), ["d", "next"]);
}

#[test]
fn malformed_and_oversized_headers_are_refused() {
    let limits = Limits { header_bytes: 4096, ..Limits::default() };
    let mut bad_sum = header("f", b'0', 0);
    bad_sum[0] ^= 1;
    let mut bad_size = tar::Header::new_ustar();
    bad_size.as_mut_bytes()[124..136].copy_from_slice(b"zzzzzzzzzzz\0");
    bad_size.set_cksum();
    let uid = [pax(b"18 uid=4294967295\n"), header("f", b'0', 0)].concat();
    let overflow = [pax(b"18 uid=4294967296\n"), header("f", b'0', 0)].concat();
    for (what, bytes) in [
        ("checksum", bad_sum),
        ("size", bad_size.as_bytes().to_vec()),
        ("truncated content", header("f", b'0', 10)),
        ("huge extension", header("x", b'x', 1 << 40)),
        ("unending extensions", header("x", b'x', 0).repeat(20)),
        ("record without length", [pax(b"path=x\n"), header("f", b'0', 0)].concat()),
        ("record beyond the end", [pax(b"99 path=x\n"), header("f", b'0', 0)].concat()),
        ("record with NUL", [pax(b"10 path=\0\n"), header("f", b'0', 0)].concat()),
        ("unknown kind", header("f", b'Z', 0)),
        ("user -1", uid),
        ("user overflow", overflow),
        (
            "sparse without size",
            [pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"), header("f", b'0', 0)].concat(),
        ),
    ] {
        assert!(read_all(&bytes, &limits).is_err(), "{what} was accepted");
    }
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    for map in
        ["0,10", "10,512,0,0", "0,512,100,0", "0,512,0", "99999,512", "18446744073709551615,1"]
    {
        let body = format!("GNU.sparse.map={map}\n");
        let mut length = body.len() + 3;
        if length > 99 {
            length += 1;
        }
        let records = format!("27 GNU.sparse.realsize=2000\n{length} {body}");
        let records = records.replace("27 GNU", "28 GNU");
        let bytes = [pax(records.as_bytes()), header("f", b'0', 512), vec![0; 512]].concat();
        assert!(
            matches!(
                read_all(&bytes, &Limits::default()),
                Err(ArchiveError::Sparse | ArchiveError::Pax)
            ),
            "{map}"
        );
    }
}

#[test]
fn numbers_are_octal_or_binary() {
    assert_eq!(number(b"0000644\0", "x").ok(), Some(0o644));
    assert_eq!(number(b"  644 \0\0", "x").ok(), Some(0o644));
    assert_eq!(number(b"", "x").ok(), None);
    assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0], "x").ok(), Some(256));
    assert_eq!(number(&[0xff; 8], "x").ok(), Some(-1));
    assert_eq!(
        number(&[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "x").ok(),
        None
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_hang(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _result = read_all(&bytes, &Limits::default());
    }

    #[test]
    fn no_damage_to_a_good_archive_makes_it_panic(at in 0_usize..2048, value in any::<u8>(), flag in any::<u8>(), size in 0_u64..2000) {
        let records = b"28 GNU.sparse.realsize=2000\n22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n";
        let mut bytes = [pax(records), header("f", flag, size), padded(b"1\n0\n4\nabcd"), vec![0; 1024]].concat();
        bytes[at] = value;
        let _result = read_all(&bytes, &Limits::default());
    }
}
