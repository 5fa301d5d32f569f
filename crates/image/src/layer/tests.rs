use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

use super::*;
use crate::tar_writer::{Meta, Writer};

/// Builds an archive entry by entry.
struct Tar(Writer<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Writer::new(Vec::new()))
    }

    fn add(mut self, flag: u8, path: &str, link: &str, content: &[u8]) -> Self {
        let meta = Meta { flag, link: link.into(), ..Meta::file(0o755) };
        self.0.append(path, &meta, content.len() as u64, content).expect("append");
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.add(b'0', path, "", content.as_bytes())
    }

    fn dir(self, path: &str) -> Self {
        self.add(b'5', path, "", b"")
    }

    fn symlink(self, path: &str, target: &str) -> Self {
        self.add(b'2', path, target, b"")
    }

    fn hard_link(self, path: &str, target: &str) -> Self {
        self.add(b'1', path, target, b"")
    }

    fn bytes(self) -> Vec<u8> {
        self.0.finish().expect("finish")
    }
}

#[test]
fn a_layer_on_one_that_is_not_there_is_refused() {
    let place = Place::new();
    let store = LayerStore::open(&place.dir.path().join("layers")).expect("a store");
    let tar = Tar::new().file("f", "x").bytes();
    let (diff, missing) = (Digest::sha256(&tar), Digest::sha256(b"below"));
    let (limits, cancel) = (Limits::default(), AtomicBool::new(false));
    let unpacked = store.unpack((&diff, &diff), &[missing], tar.as_slice(), &limits, &cancel);
    assert!(matches!(unpacked, Err(LayerError::Parent { .. })), "{unpacked:?}");
    assert_eq!(store.list(), []);
    let left = fs::read_dir(store.root()).expect("readable").count();
    assert_eq!(left, 0, "nothing half-unpacked");
}

/// A directory that attacks must not touch, with a layer directory inside.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("podotest-image-")
            .tempdir()
            .expect("temporary directory");
        fs::write(dir.path().join("outside"), "untouched").expect("write");
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("fs")
    }

    fn unpack_on(
        &self,
        name: &str,
        archive: &[u8],
        parents: &[PathBuf],
        limits: &Limits,
    ) -> Result<Unpacked, LayerError> {
        let root = self.dir.path().join(name);
        unpack(archive, &Digest::sha256(archive), &root, parents, limits, &AtomicBool::new(false))
    }

    fn unpack(&self, tar: Tar) -> Result<Unpacked, LayerError> {
        let result = self.unpack_on("fs", &tar.bytes(), &[], &Limits::default());
        let outside = fs::read_to_string(self.dir.path().join("outside")).expect("still there");
        assert_eq!(outside, "untouched");
        assert_eq!(
            fs::read_dir(self.dir.path()).expect("list").count(),
            2,
            "something was written outside"
        );
        result
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

#[track_caller]
fn refused(tar: Tar, word: &str) {
    let error = Place::new().unpack(tar).expect_err(word);
    let text = crate::registry::chain(&error);
    assert!(text.contains(word), "{text:?} lacks {word:?}");
}

#[test]
fn dots_that_lead_upwards_are_refused_wherever_they_stand() {
    for path in ["../outside", "a/../../outside", "./../outside", "/../outside", "..", "a/.."] {
        refused(Tar::new().file(path, "x"), "leads outside the layer");
        refused(Tar::new().dir(path), "leads outside the layer");
        refused(Tar::new().symlink(path, "x"), "leads outside the layer");
        refused(Tar::new().file("f", "").hard_link("l", path), "leads outside the layer");
    }
}

#[test]
fn absolute_paths_are_paths_of_the_layer() {
    let place = Place::new();
    place.unpack(Tar::new().file("/etc/passwd", "inside")).expect("unpack");
    assert_eq!(place.read("etc/passwd"), "inside");
}

#[test]
fn writing_through_a_planted_link_stays_in_the_layer() {
    for target in ["..", "../..", "../../../../../../../..", "/", "/../.."] {
        let place = Place::new();
        place
            .unpack(Tar::new().symlink("link", target).file("link/outside", "caught"))
            .expect("unpack");
        assert_eq!(place.read("outside"), "caught", "{target}");
    }
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    let tar = Tar::new().symlink("link", outside.to_str().expect("text")).file("link", "replaced");
    place.unpack(tar).expect("unpack");
    assert_eq!(place.read("link"), "replaced", "a file replaces a link instead of following it");
    assert!(fs::symlink_metadata(place.root().join("link")).expect("stat").is_file());
}

#[test]
fn a_chain_of_links_is_followed_inside_and_a_circle_is_refused() {
    let place = Place::new();
    let tar = Tar::new().symlink("a", "b").symlink("b", "/c/d").file("a/e", "1").file("c/d/f", "2");
    place.unpack(tar).expect("unpack");
    assert_eq!((place.read("c/d/e"), place.read("c/d/f")), ("1".into(), "2".into()));
    refused(Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", ""), "not a directory");
    refused(Tar::new().file("a", "").file("a/x", ""), "not a directory");
}

#[test]
fn hard_links_reach_only_what_the_layer_has() {
    let place = Place::new();
    place
        .unpack(Tar::new().file("d/f", "1").hard_link("g", "d/f").hard_link("/h", "/d/f"))
        .expect("unpack");
    assert_eq!(fs::metadata(place.root().join("g")).expect("stat").nlink(), 3);
    refused(Tar::new().hard_link("p", "/etc/passwd"), "which the layer does not have");
    refused(
        Tar::new().symlink("e", "/etc").hard_link("p", "e/passwd"),
        "which the layer does not have",
    );
    refused(
        Tar::new().symlink("e", "..").hard_link("p", "e/outside"),
        "which the layer does not have",
    );
    // A link to a link names the link, not what it points at.
    let place = Place::new();
    place
        .unpack(Tar::new().symlink("s", "../outside").hard_link("t", "s").file("t", "own"))
        .expect("unpack");
    assert_eq!(place.read("t"), "own");
}

#[test]
fn whiteouts_hide_what_is_below_and_never_what_is_outside() {
    let place = Place::new();
    let tar = Tar::new()
        .file("d/.wh.gone", "")
        .file("o/.wh..wh..opq", "")
        .file("o/kept", "1")
        .file("p/.wh..wh.plnk", "");
    place.unpack(tar).expect("unpack");
    let gone = fs::symlink_metadata(place.root().join("d/gone")).expect("whiteout");
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    let mut value = [0_u8; 8];
    let length =
        rustix::fs::getxattr(place.root().join("o"), "trusted.overlay.opaque", &mut value[..]);
    assert_eq!(length, Ok(1));
    for bad in [".wh.", ".wh..", ".wh..."] {
        refused(Tar::new().file(&format!("d/{bad}"), ""), "not a valid whiteout");
    }
    let place = Place::new();
    place.unpack(Tar::new().symlink("l", "..").file("l/.wh.outside", "")).expect("unpack");
    assert!(place.root().join("outside").symlink_metadata().is_ok());
}

#[test]
fn a_directory_made_anew_over_a_whiteout_hides_what_was_below() {
    for tar in [
        Tar::new().file(".wh.d", "").dir("d"),
        Tar::new().dir("d").file(".wh.d", ""),
        Tar::new().file(".wh.d", "").file("d/f", ""),
    ] {
        let place = Place::new();
        place.unpack(tar).expect("unpack");
        let mut value = [0_u8; 8];
        let opaque =
            rustix::fs::getxattr(place.root().join("d"), "trusted.overlay.opaque", &mut value[..]);
        assert_eq!(opaque, Ok(1));
    }
}

#[test]
fn attributes_meant_for_overlayfs_do_not_pass() {
    let mut tar = tar::Builder::new(Vec::new());
    let records = [
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc".as_slice()),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.kept", b"1"),
        (
            "SCHILY.xattr.security.capability",
            &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ];
    tar.append_pax_extensions(records).expect("records");
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    header.set_mode(0o755);
    tar.append_data(&mut header, "f", &b""[..]).expect("append");
    let place = Place::new();
    let archive = tar.into_inner().expect("finish");
    place.unpack_on("fs", &archive, &[], &Limits::default()).expect("unpack");
    let mut list = [0_u8; 1024];
    let length = rustix::fs::listxattr(place.root().join("f"), &mut list[..]).expect("list");
    let names = String::from_utf8_lossy(&list[..length]).into_owned();
    let mut names: Vec<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    assert_eq!(names, ["security.capability", "user.kept"]);
}

#[test]
fn bounds_on_bytes_entries_depth_and_length_hold() {
    let limits = Limits {
        unpacked_bytes: 20_000,
        entries: 10,
        path_depth: 4,
        path_bytes: 50,
        ..Limits::default()
    };
    let many = (0..11).fold(Tar::new(), |tar, number| tar.file(&format!("f{number}"), ""));
    let implied = (0..6).fold(Tar::new(), |tar, number| tar.file(&format!("{number}/a/b"), ""));
    for (tar, word) in [
        (Tar::new().file("big", &"x".repeat(30_000)), "larger than 20000 bytes"),
        (many, "larger than 10 entries"),
        (implied, "larger than 10 entries"),
        (Tar::new().file("a/b/c/d/e", ""), "longer or deeper"),
        (Tar::new().file(&"n".repeat(60), ""), "longer or deeper"),
        (Tar::new().dir("a/b/c").symlink("l", "a/b/c").file("l/d/e", ""), "longer or deeper"),
    ] {
        let error = Place::new().unpack_on("fs", &tar.bytes(), &[], &limits).expect_err(word);
        assert!(error.to_string().contains(word), "{error} lacks {word}");
    }
}

#[test]
fn a_small_archive_that_unpacks_to_much_is_stopped() {
    let plain = Tar::new().file("zeros", &"\0".repeat(4 << 20)).bytes();
    let diff = Digest::sha256(&plain);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    io::Write::write_all(&mut gzip, &plain).expect("compress");
    let gzip = gzip.finish().expect("compress");
    let zstd = zstd::encode_all(plain.as_slice(), 3).expect("compress");
    assert!(gzip.len() < 10_000 && zstd.len() < 10_000);
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    for archive in [gzip, zstd] {
        let place = Place::new();
        let result =
            unpack(archive.as_slice(), &diff, &place.root(), &[], &limits, &AtomicBool::new(false));
        assert!(matches!(result, Err(LayerError::TooLarge { .. })), "{result:?}");
    }
}

#[test]
fn another_diff_id_a_cut_stream_and_a_cancelled_caller_are_told_apart() {
    let place = Place::new();
    let archive = Tar::new().file("f", "1").bytes();
    let store = LayerStore::open(&place.dir.path().join("layers")).expect("open");
    let chain = Digest::sha256(b"chain");
    let limits = Limits::default();
    let cut = archive.get(..600).expect("long enough");
    let right = Digest::sha256(&archive);
    let results = [
        store.unpack((&chain, &chain), &[], archive.as_slice(), &limits, &AtomicBool::new(false)),
        store.unpack((&chain, &right), &[], cut, &limits, &AtomicBool::new(false)),
        store.unpack((&chain, &right), &[], archive.as_slice(), &limits, &AtomicBool::new(true)),
    ];
    assert!(matches!(&results[0], Err(LayerError::DiffId { .. })), "{results:?}");
    assert!(
        matches!(&results[1], Err(LayerError::Archive(archive::ArchiveError::Truncated))),
        "{results:?}"
    );
    assert!(matches!(&results[2], Err(LayerError::Cancelled)), "{results:?}");
    assert_eq!(
        fs::read_dir(store.root()).expect("list").count(),
        0,
        "something half-unpacked stayed"
    );
    let layer = store
        .unpack((&chain, &right), &[], archive.as_slice(), &limits, &AtomicBool::new(false))
        .expect("unpack");
    assert_eq!((layer.bytes, layer.inodes), (1, 2));
    let again = LayerStore::open(store.root()).expect("reopen");
    assert_eq!(again.get(&chain), Some(layer));
}

#[test]
fn owners_modes_and_times_are_kept_also_for_directories() {
    let mut tar = tar::Builder::new(Vec::new());
    for (kind, path, mode) in [
        (tar::EntryType::Directory, "d/", 0o2750),
        (tar::EntryType::Regular, "d/f", 0o6711),
        (tar::EntryType::Fifo, "p", 0o622),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(mode);
        header.set_uid(4_000_000);
        header.set_gid(12);
        header.set_mtime(1_000_000);
        tar.append_data(&mut header, path, &b""[..]).expect("append");
    }
    let place = Place::new();
    let archive = tar.into_inner().expect("finish");
    place.unpack_on("fs", &archive, &[], &Limits::default()).expect("unpack");
    for (path, mode) in [("d", 0o2750), ("d/f", 0o6711), ("p", 0o622)] {
        let stat = fs::symlink_metadata(place.root().join(path)).expect("stat");
        assert_eq!(
            (stat.mode() & 0o7777, stat.uid(), stat.gid(), stat.mtime()),
            (mode, 4_000_000, 12, 1_000_000),
            "{path}"
        );
    }
}

#[test]
fn directories_named_only_as_parents_look_as_in_the_layers_below() {
    let place = Place::new();
    let limits = Limits::default();
    let base = place.dir.path().join("base");
    place
        .unpack_on("base", &Tar::new().dir("tmp").dir("var/log").bytes(), &[], &limits)
        .expect("base");
    fs::set_permissions(base.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("mode");
    fs::set_permissions(&base, fs::Permissions::from_mode(0o711)).expect("mode");
    place
        .unpack_on("top", &Tar::new().file("tmp/x", "").file("new/x", "").bytes(), &[base], &limits)
        .expect("top");
    let mode = |path: &str| {
        fs::metadata(place.dir.path().join("top").join(path)).expect("stat").mode() & 0o7777
    };
    assert_eq!((mode("tmp"), mode("new"), mode("")), (0o1777, 0o755, 0o711));
}

#[test]
fn what_is_unfinished_is_swept_at_open() {
    let place = Place::new();
    let root = place.dir.path().join("layers");
    for name in ["half-1/fs/deep", "gone-2/fs", "3/fs", "nonsense"] {
        fs::create_dir_all(root.join(name)).expect("make");
    }
    fs::write(root.join("3/layer.json"), "{torn").expect("write");
    let store = LayerStore::open(&root).expect("open");
    assert!(store.list().is_empty());
    assert_eq!(fs::read_dir(&root).expect("list").count(), 0);
}
