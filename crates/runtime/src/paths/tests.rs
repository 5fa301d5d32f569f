use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir()
            .join(format!("podotest-runtime-paths-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("root")).unwrap();
        fs::create_dir_all(path.join("outside")).unwrap();
        Self(path)
    }

    fn root(&self) -> OwnedFd {
        rustix::fs::open(self.0.join("root"), OFlags::PATH, Mode::empty()).unwrap()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn missing_directories_and_a_file_are_made() {
    let tree = Tree::new("made");
    ensure_in(tree.root().as_fd(), Path::new("/a/b/c.txt"), Want::File).unwrap();
    assert!(tree.0.join("root/a/b/c.txt").is_file());
    ensure_in(tree.root().as_fd(), Path::new("/a/d"), Want::Directory).unwrap();
    assert!(tree.0.join("root/a/d").is_dir());
}

#[test]
fn absolute_links_and_dot_dot_stay_within_the_root() {
    let tree = Tree::new("links");
    symlink(tree.0.join("outside"), tree.0.join("root/absolute")).unwrap();
    symlink("../../../../outside", tree.0.join("root/relative")).unwrap();
    ensure_in(tree.root().as_fd(), Path::new("/absolute/x"), Want::Directory).unwrap();
    ensure_in(tree.root().as_fd(), Path::new("/relative/y"), Want::File).unwrap();
    assert_eq!(fs::read_dir(tree.0.join("outside")).unwrap().count(), 0);
    assert!(tree.0.join("root/outside/y").is_file());
}

#[test]
fn a_dangling_link_is_followed_to_where_its_target_would_be() {
    let tree = Tree::new("dangling");
    fs::create_dir_all(tree.0.join("root/var")).unwrap();
    symlink("/run", tree.0.join("root/var/run")).unwrap();
    ensure_in(tree.root().as_fd(), Path::new("/var/run/secrets/token"), Want::File).unwrap();
    assert!(tree.0.join("root/run/secrets/token").is_file());
}

#[test]
fn links_in_a_circle_end() {
    let tree = Tree::new("circle");
    symlink("b", tree.0.join("root/a")).unwrap();
    symlink("a", tree.0.join("root/b")).unwrap();
    assert!(ensure_in(tree.root().as_fd(), Path::new("/a/x"), Want::File).is_err());
}

#[test]
fn the_wrong_kind_is_refused() {
    let tree = Tree::new("kind");
    fs::write(tree.0.join("root/file"), "").unwrap();
    assert!(ensure_in(tree.root().as_fd(), Path::new("/file"), Want::Directory).is_err());
    assert!(ensure_in(tree.root().as_fd(), Path::new("/"), Want::File).is_err());
    assert!(ensure_in(tree.root().as_fd(), Path::new("/file/x"), Want::File).is_err());
}

#[test]
fn beneath_follows_links_inside_and_refuses_those_that_leave() {
    let tree = Tree::new("beneath");
    let root = tree.0.join("root");
    fs::create_dir_all(root.join("..data")).unwrap();
    fs::write(root.join("..data/key"), "").unwrap();
    symlink("..data/key", root.join("key")).unwrap();
    symlink("../outside", root.join("out")).unwrap();
    symlink("/", root.join("slash")).unwrap();
    assert!(open_beneath(&root, Path::new("key")).is_ok());
    for path in ["out", "slash", "../outside", "slash/etc", "/etc"] {
        assert!(open_beneath(&root, Path::new(path)).is_err(), "{path}");
    }
}

#[test]
fn a_path_without_links_has_none_anywhere() {
    let tree = Tree::new("nolinks");
    fs::create_dir_all(tree.0.join("root/real")).unwrap();
    symlink("real", tree.0.join("root/link")).unwrap();
    assert!(open_without_links(tree.root().as_fd(), Path::new("/real")).is_ok());
    assert!(open_without_links(tree.root().as_fd(), Path::new("/link")).is_err());
}
