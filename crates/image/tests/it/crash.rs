//! `kill -9` in the middle of a pull: after the next start an image is whole or absent.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use podo_image::{ImageService, Reference};

use crate::fake_registry::FakeRegistry;
use crate::support::{assert_nothing_half_done, large_image, names, service_config, silent};

const DIR: &str = "PODOTEST_IMAGE_DIR";
const MIRROR: &str = "PODOTEST_IMAGE_MIRROR";

/// The part that is killed; does nothing unless the test below starts it.
#[tokio::test]
async fn victim() {
    let (Ok(dir), Ok(mirror)) = (std::env::var(DIR), std::env::var(MIRROR)) else { return };
    let images =
        ImageService::open(service_config(&PathBuf::from(dir), Some(&mirror))).expect("open");
    let reference = Reference::parse("x:1").expect("name");
    images.pull(&reference, &[], &silent()).await.expect("pull");
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_the_image_whole_or_absent() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &large_image(3000, 4096));
    let dir =
        tempfile::Builder::new().prefix("podotest-image-").tempdir().expect("temporary directory");
    let root = dir.path().join("image");
    let mut killed_while_unpacking = 0;
    for round in 0..6_u64 {
        let mut child = tokio::process::Command::new(std::env::current_exe().expect("own path"))
            .args(["--exact", "crash::victim", "--test-threads=1"])
            .env(DIR, dir.path())
            .env(MIRROR, registry.url())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("start");
        let is_half = || names(&root.join("layers")).iter().any(|name| name.starts_with("half-"));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_half() && child.try_wait().expect("wait").is_none() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(round * 15)).await;
        child.start_kill().expect("kill");
        child.wait().await.expect("reap");
        killed_while_unpacking += u32::from(is_half());

        let images =
            ImageService::open(service_config(dir.path(), Some(&registry.url()))).expect("reopen");
        assert_nothing_half_done(&root);
        match images.status("x:1") {
            Some(_) => {
                let rootfs = images.prepare_rootfs("x:1", &format!("c{round}")).expect("prepare");
                assert_eq!(names(&rootfs.lower[0].join("data")).len(), 3000);
                images.remove_rootfs(&format!("c{round}")).expect("remove");
                images.remove("x:1").expect("remove");
            }
            None => assert!(names(&root.join("layers")).is_empty()),
        }
    }
    assert!(killed_while_unpacking > 0, "no kill hit the unpacking");
    let images =
        ImageService::open(service_config(dir.path(), Some(&registry.url()))).expect("reopen");
    images
        .pull(&Reference::parse("x:1").expect("name"), &[], &silent())
        .await
        .expect("pull after the crashes");
}
