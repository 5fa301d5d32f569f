//! Which images go, when, and that they do (S32).

use std::path::PathBuf;
use std::sync::Arc;

use podo_base::{Clock, Tasks};
use podo_cri::{Cri, v1};
use serde_json::Value;

use super::*;
use crate::events::Recorder;
use crate::images::pull_records::PullRecords;
use crate::runtime::Runtime;
use crate::testing::{FakeCri, FakeServer, TokioClock};

/// What a node does that was told nothing else: begins at 85 percent, ends at 80, leaves alone what was used within two minutes.
fn policy() -> GcPolicy {
    let folder = PathBuf::from("/nowhere");
    GcPolicy::of(&KubeletConfig::new("node-1", [192, 0, 2, 1].into(), folder.clone(), folder))
}

#[test]
fn room_is_made_down_to_the_lower_mark_once_the_upper_is_reached() {
    let space = |available: u64| Space { capacity: 1000, available };
    assert_eq!(bytes_to_free(space(151), policy()), None);
    assert_eq!(bytes_to_free(space(150), policy()), Some(50));
    assert_eq!(bytes_to_free(space(0), policy()), Some(200));
    assert_eq!(bytes_to_free(space(0), GcPolicy { high_percent: 100, ..policy() }), None);
}

#[test]
fn the_image_unused_longest_goes_first_and_new_ones_stay() {
    let image = |id: &str, size: u64, used_at: i64| Candidate {
        id: id.to_owned(),
        size,
        used_at: Timestamp::from_seconds(used_at),
    };
    let all = vec![image("new", 500, 950), image("middle", 40, 500), image("old", 40, 100)];
    let now = Timestamp::from_seconds(1000);
    let ids = |wanted: u64| -> Vec<String> {
        choose(all.clone(), wanted, policy(), now).into_iter().map(|image| image.id).collect()
    };
    assert_eq!(ids(30), ["old"]);
    assert_eq!(ids(60), ["old", "middle"]);
    assert_eq!(ids(600), ["old", "middle"]);
}

/// Images of a runtime in memory, and the events that were written about them in the end.
struct Node {
    cri: Arc<FakeCri>,
    server: Arc<FakeServer>,
    images: Images,
    tasks: Tasks,
    _records: tempfile::TempDir,
}

async fn node() -> Node {
    let records = tempfile::tempdir().expect("a folder");
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let cri = FakeCri::new(Arc::clone(&clock));
    let (server, client) = FakeServer::new();
    let (recorder, writer) = Recorder::new(Arc::clone(&clock), client, "node-1");
    let mut tasks = Tasks::new("test");
    tasks.spawn("events", writer.run(tasks.stop_signal()));
    let runtime = Arc::clone(&cri) as Arc<dyn Cri>;
    let runtime = Runtime::connect(runtime, records.path(), records.path()).await.expect("named");
    let known = PullRecords::open(records.path()).expect("empty");
    let images = Images::new(runtime, recorder, clock, known, 1);
    Node { cri, server, images, tasks, _records: records }
}

impl Node {
    /// Looks at the images on a file system of 10,000 bytes.
    async fn collect(&self, available: u64) {
        let space = |path: &str| {
            assert_eq!(path, "/images", "the file system that the runtime names");
            Some(Space { capacity: 10_000, available })
        };
        self.images.collect(policy(), "node-1", space).await.expect("collected");
    }

    fn removed(&self) -> Vec<String> {
        let calls = self.cri.calls().into_iter();
        calls.filter_map(|call| call.strip_prefix("remove-image ").map(str::to_owned)).collect()
    }

    /// What was told, as `reason about: message`.
    async fn told(self) -> Vec<String> {
        self.tasks.stop(Duration::from_secs(1)).await;
        let text = |event: &Value, pointer: &str| {
            event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let all = self.server.all("events");
        let line = |event: &Value| {
            let [reason, about, message] =
                ["/reason", "/involvedObject/name", "/message"].map(|at| text(event, at));
            format!("{reason} {about}: {message}")
        };
        all.iter().map(line).collect()
    }
}

async fn run_container(cri: &FakeCri, image: &str) {
    let image = v1::ImageSpec { user_specified_image: image.to_owned(), ..spec(image) };
    let config = v1::ContainerConfig { image: Some(image), ..v1::ContainerConfig::default() };
    let request = v1::CreateContainerRequest { config: Some(config), ..Default::default() };
    cri.create_container(request).await.expect("created");
}

#[tokio::test(start_paused = true)]
async fn s32_a_full_file_system_loses_images_that_nobody_uses_the_oldest_first() {
    let node = node().await;
    ["used:1", "oldest:1", "pinned:1"].iter().for_each(|image| node.cri.add_image(image));
    run_container(&node.cri, "used:1").await;
    node.collect(9000).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    node.cri.add_image("older:1");
    node.collect(9000).await;
    tokio::time::advance(Duration::from_secs(100)).await;
    node.cri.add_image("new:1");
    // There is room: nothing goes.
    node.collect(1600).await;
    assert_eq!(node.removed(), Vec::<String>::new());
    // 600 bytes have to go; one image has 1234.
    node.collect(1400).await;
    assert_eq!(node.removed(), ["oldest:1"]);
    // 2000 bytes have to go; what is used, pinned or new stays all the same.
    tokio::time::advance(Duration::from_secs(30)).await;
    node.collect(0).await;
    assert_eq!(node.removed(), ["oldest:1", "older:1"]);
    let told = node.told().await;
    assert_eq!(
        told,
        [
            "FreeDiskSpaceFailed node-1: Failed to garbage collect required amount of images. Attempted to free 2000 bytes, but only found 1234 bytes eligible to free."
        ]
    );
}
