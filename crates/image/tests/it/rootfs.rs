//! Root file systems, the built-in image, removal and collection.

use std::collections::HashSet;
use std::ffi::CString;
use std::path::PathBuf;
use std::time::Duration;

use podo_image::builtin::Builtin;
use podo_image::gc::Policy;
use podo_image::{ImageService, SnapshotError};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::fake_registry::FakeRegistry;
use crate::support::{Node, names, service_config, small_image};

#[tokio::test]
async fn the_kernel_mounts_what_was_prepared_and_hides_what_was_deleted() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &small_image());
    let node = Node::new(Some(&registry.url()));
    node.pull("x:1").await.expect("pull");
    let rootfs = node.images.prepare_rootfs("x:1", "c1").expect("prepare");
    let target = node.dir.path().join("mnt");
    std::fs::create_dir(&target).expect("mount point");
    let lower: Vec<String> = rootfs.lower.iter().map(|path| path.display().to_string()).collect();
    let (upper, work) = (rootfs.upper.display(), rootfs.work.display());
    let options =
        CString::new(format!("lowerdir={},upperdir={upper},workdir={work}", lower.join(":")))
            .expect("options");
    if let Err(errno) =
        mount("overlay", &target, "overlay", MountFlags::empty(), Some(options.as_c_str()))
    {
        eprintln!("SKIP the_kernel_mounts_what_was_prepared: overlayfs: {errno}");
        return;
    }
    let seen =
        (names(&target.join("etc")), names(&target.join("tmp")), target.join("bin/tool").exists());
    std::fs::write(target.join("written"), "by the container").expect("write");
    unmount(&target, UnmountFlags::empty()).expect("unmount");
    assert_eq!(seen, (Vec::new(), vec!["note".to_owned()], true));
    assert!(node.images.rootfs_usage("c1").expect("usage").1 >= 1);
    node.images.remove_rootfs("c1").expect("remove");
    node.images.remove_rootfs("c1").expect("again");
    assert!(node.images.rootfs("c1").expect("look").is_none());
}

#[tokio::test]
async fn layers_of_a_container_outlive_their_image_and_a_restart() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &small_image());
    let node = Node::new(Some(&registry.url()));
    node.pull("x:1").await.expect("pull");
    let rootfs = node.images.prepare_rootfs("x:1", "c1").expect("prepare");
    assert!(matches!(node.images.prepare_rootfs("x:1", "c1"), Err(SnapshotError::Exists { .. })));
    assert!(node.images.remove("x:1").expect("remove").is_some());
    assert!(node.images.status("x:1").is_none());
    assert!(rootfs.lower.iter().all(|layer| layer.exists()));

    let root = node.dir.path().to_path_buf();
    drop(node.images);
    let images = ImageService::open(service_config(&root, None)).expect("reopen");
    assert_eq!(images.rootfs("c1").expect("look"), Some(rootfs.clone()));
    images.remove_rootfs("c1").expect("remove");
    images.sweep().expect("sweep");
    assert!(rootfs.lower.iter().all(|layer| !layer.exists()));
    assert_eq!(images.fs_usage().expect("usage").used_bytes, 0);
}

#[test]
fn container_ids_that_are_paths_are_refused() {
    let node = Node::new(None);
    for id in ["", ".", "..", "../x", "a/b", "/etc", ".hidden", &"x".repeat(129)] {
        assert!(matches!(node.images.remove_rootfs(id), Err(SnapshotError::Id { .. })), "{id:?}");
    }
}

#[tokio::test]
async fn the_builtin_image_needs_no_network_and_binds_the_program() {
    let node = Node::new(None);
    let builtin = Builtin { version: "1.2.3".into(), executable: "/usr/bin/env".into() };
    let id = node.images.register_builtin(&builtin).expect("register");
    assert_eq!(node.images.register_builtin(&builtin).expect("again"), id);
    assert_eq!(node.pull("podo.local/hello:1.2.3").await.expect("no network"), id);
    assert!(
        node.pull("podo.local/hello:9")
            .await
            .expect_err("other version")
            .message()
            .ends_with("podo.local/hello:9: not found")
    );
    let image = node.images.status("podo.local/hello:1.2.3").expect("known");
    assert_eq!(image.config.entrypoint, ["/podo", "hello"]);
    let rootfs = node.images.prepare_rootfs("podo.local/hello:1.2.3", "c").expect("prepare");
    assert_eq!(std::fs::metadata(rootfs.lower[0].join("podo")).expect("mount point").len(), 0);
    assert_eq!(rootfs.binds.len(), 1);
    assert_eq!(
        (rootfs.binds[0].source.clone(), rootfs.binds[0].target.clone()),
        (PathBuf::from("/usr/bin/env"), PathBuf::from("/podo"))
    );
    let other = Node::new(None);
    assert_eq!(
        other.images.register_builtin(&builtin).expect("elsewhere"),
        id,
        "digests are stable"
    );
}

#[tokio::test]
async fn collection_spares_what_is_used_or_pinned() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &small_image());
    registry.serve("library/y", "1", &crate::support::large_image(1, 10));
    let node = Node::new(Some(&registry.url()));
    node.pull("x:1").await.expect("x");
    node.pull("y:1").await.expect("y");
    node.images.prepare_rootfs("x:1", "c").expect("prepare");
    let policy = Policy { high_percent: 0, low_percent: 0, age_min: Duration::ZERO, age_max: None };
    node.images.set_pinned("y:1", true).expect("pin");
    assert!(node.images.collect(&policy, &HashSet::new()).expect("collect").remove.is_empty());
    node.images.set_pinned("y:1", false).expect("unpin");
    let plan = node.images.collect(&policy, &HashSet::new()).expect("collect");
    assert_eq!(plan.remove.len(), 1);
    assert!(plan.shortfall().is_some());
    assert!(node.images.status("y:1").is_none() && node.images.status("x:1").is_some());
}
