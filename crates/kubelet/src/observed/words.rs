//! What the runtime knows, read from words, for tests: `sandbox 0 ready`, `c running`, `c exited 1 at 100`, `c#2 exited 0 at 7`.
//!
//! Later lines are newer. Containers belong to the sandbox above them; `#n` is the count of restarts.

use podo_base::Timestamp;

use super::{ObservedContainer, ObservedPod, ObservedSandbox, RunState};
use crate::container::labels;
use podo_api::k8s_openapi::api::core::v1 as k8s;

/// The hash of a container of that name with the image `i`, which is what tests use.
fn hash(name: &str) -> String {
    let container = k8s::Container {
        name: name.to_owned(),
        image: Some("i".to_owned()),
        ..k8s::Container::default()
    };
    labels::hash(&container)
}

/// Reads the words.
pub(crate) fn observed(lines: &[&str]) -> ObservedPod {
    let mut pod = ObservedPod::default();
    let mut sandbox = "s0".to_owned();
    for (index, line) in lines.iter().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let created_at = Timestamp::from_seconds(i64::try_from(index).expect("few lines") + 1);
        if let ["sandbox", attempt, state] = words[..] {
            sandbox = format!("s{attempt}");
            pod.sandboxes.push(ObservedSandbox {
                id: sandbox.clone(),
                attempt: attempt.parse().expect("a number"),
                is_ready: state == "ready",
                created_at,
                ips: vec!["10.42.0.7".to_owned()],
            });
            continue;
        }
        let (name, count) = words[0].split_once('#').unwrap_or((words[0], "0"));
        let state = match words[1] {
            "running" => RunState::Running,
            "exited" | "lost" => RunState::Exited,
            "created" => RunState::Created,
            "unknown" => RunState::Unknown,
            other => panic!("{other:?} is no state"),
        };
        // The machine was started anew since.
        let is_lost = words[1] == "lost";
        let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
        pod.containers.push(ObservedContainer {
            id: format!("{name}-{count}"),
            sandbox_id: sandbox.clone(),
            name: name.to_owned(),
            restart_count: count.parse().expect("a number"),
            state,
            created_at,
            started_at: if is_lost { Timestamp::default() } else { created_at },
            finished_at: Timestamp::from_seconds(number(4)),
            exit_code: i32::try_from(number(2)).expect("small"),
            reason: if is_lost { super::UNKNOWN.to_owned() } else { String::new() },
            message: String::new(),
            image: "i".to_owned(),
            image_ref: "i@sha256:0".to_owned(),
            hash: if words.contains(&"old") { "other".to_owned() } else { hash(name) },
            log_path: String::new(),
            user: None,
            stop_signal: None,
            mounts: Vec::new(),
            amounts: None,
        });
    }
    pod.sort();
    pod
}
