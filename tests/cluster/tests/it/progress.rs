//! What is shown of what takes long: bars on a terminal, plain lines elsewhere, and nothing of it on standard output.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use podo_cluster_tests::pods::{also, idle, pod};
use podo_cluster_tests::{Cluster, Ran, SlowLink, Terminal, with_cluster};
use podo_image::build::BuiltImage;
use serde_json::json;

use crate::image_failures::{Store, image, is_fit, noise};
use crate::instances::Server;

/// The port of the slow way to the registry.
const SLOW: u16 = 5002;
/// Images that take a second or two over it.
const NAMES: [&str; 4] = ["slow-a", "slow-b", "slow-c", "slow-d"];

/// A store with all of them.
fn store() -> Store {
    let store = Store::new();
    let seeds = 1..;
    let images: Vec<(&str, BuiltImage)> =
        NAMES.into_iter().zip(seeds.map(|seed| image(vec![noise(2 << 20, seed)]))).collect();
    store.add(&images, |_| {});
    store
}

fn slow(name: &str) -> String {
    format!("slow.test/library/{name}:1")
}

fn mirror() -> String {
    format!("--registry-mirror=slow.test=http://127.0.0.1:{SLOW}")
}

/// Runs a command whose standard error is a terminal; what stands there is in `err`.
fn on_terminal(command: &mut Command) -> Ran {
    let (terminal, near) = Terminal::open();
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(near);
    let output = command.output().unwrap();
    // The command has the near end as well.
    *command = Command::new("true");
    Ran { err: terminal.seen(), ..output.into() }
}

fn podo(it: &Cluster, data: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(it.binary());
    let (name, rest) = args.split_first().unwrap();
    command.arg(name).arg("--data-dir").arg(data).args(rest);
    command
}

/// A bar that grew on a terminal and is gone in the end.
#[track_caller]
fn is_drawn(seen: &str, image: &str) {
    assert!(seen.contains(&format!("{image} [#")), "{seen:?}");
    assert!(seen.contains("MiB of ") && seen.contains("/s"), "{seen:?}");
    let frames = seen.matches("\x1b[1A\r\x1b[J").count();
    assert!(frames >= 3, "{frames} frames: {seen:?}");
    let (_, last) = seen.rsplit_once("\x1b[J").unwrap();
    assert_eq!(last, "", "nothing of it stays");
}

/// Lines of text, a few, from the beginning to the end.
#[track_caller]
fn is_plain(seen: &str, image: &str) {
    assert!(!seen.contains(|letter: char| letter.is_control() && letter != '\n'), "{seen:?}");
    let lines: Vec<&str> = seen.lines().collect();
    assert!((2..=4).contains(&lines.len()), "{lines:?}");
    assert!(lines[0].starts_with(&format!("{image}: ")) && lines[0].contains(" of "), "{lines:?}");
    assert!(lines.last().unwrap().contains(" in "), "{lines:?}");
}

#[test]
fn a_pull_is_a_bar_on_a_terminal_and_plain_lines_in_a_pipe() {
    if !is_fit("pulls with progress") {
        return;
    }
    let store = store();
    let mut options = store.options();
    options.args.push(mirror());
    with_cluster(options, |it| {
        let _link = SlowLink::start(SLOW, 5000);
        let alone = it.folder.join("alone");
        let (with_server, mirror) = (it.data_dir(), mirror());
        for (data, args, [first, second]) in [
            (&with_server, vec!["image", "pull"], ["slow-a", "slow-b"]),
            (&alone, vec!["image", &mirror, "pull"], ["slow-c", "slow-d"]),
        ] {
            let pull = |name| {
                let mut command = podo(it, data, &args);
                command.arg(slow(name));
                command
            };
            let ran = on_terminal(&mut pull(first));
            is_drawn(&ran.err, &slow(first));
            let out = ran.ok();
            assert!(out.starts_with(&format!("{} sha256:", slow(first))), "{out}");
            assert_eq!(out.lines().count(), 1, "{out}");

            let ran = Ran::from(pull(second).stdin(Stdio::null()).output().unwrap());
            is_plain(&ran.err, &slow(second));
            assert_eq!(ran.ok().lines().count(), 1);

            // What is there already takes no time and shows nothing.
            let ran = on_terminal(&mut pull(second));
            assert!(!ran.err.contains(['#', '-']), "{:?}", ran.err);
            ran.ok();
        }
    });
}

#[test]
fn up_shows_the_pods_that_it_waits_for_and_the_pulls_of_their_images() {
    if !is_fit("up with progress") {
        return;
    }
    let store = store();
    with_cluster(store.options(), |it| {
        let _link = SlowLink::start(SLOW, 5000);
        for (number, name) in [(1, "slow-a"), (2, "slow-b")] {
            let data = it.folder.join(format!("data-{number}"));
            let file = it.folder.join(format!("pod-{number}.yaml"));
            let made = json!({"containers": [also(idle("main"), json!({"image": slow(name)}))]});
            let mut made = pod(name, made);
            made["apiVersion"] = json!("v1");
            made["kind"] = json!("Pod");
            fs::write(&file, made.to_string()).unwrap();
            let mut command = podo(it, &data, &["up", "--listen=127.0.0.1:7443"]);
            command.args(["--kubelet-port=10251", "--node-ip=192.0.2.1", "--node-name=other"]);
            command.args(["--cluster-cidr=10.52.0.0/16", "--service-cidr=10.53.0.0/16"]);
            command.arg(mirror()).arg("-f").arg(&file).env("TERM", "xterm").env("RUST_LOG", "off");
            let (terminal, near) = Terminal::open();
            let errors = it.folder.join("plain.err");
            command.stderr(if number == 1 { near } else { fs::File::create(&errors).unwrap() });
            let mut up = Server::start(&mut command);
            drop(command);
            let ready = up.until_says(" Running ");
            podo(it, &data, &["down", "--purge"]).output().map(Ran::from).unwrap().ok();
            up.stop();
            assert!(ready.starts_with(&format!("pod/{name} Running 10.52.")), "{ready}");
            if number == 1 {
                let seen = terminal.seen();
                assert!(seen.contains(&format!("{} [#", slow(name))), "{seen:?}");
                assert!(
                    seen.contains(&format!("pod/{name}: waiting (ContainerCreating)")),
                    "{seen:?}"
                );
                assert!(seen.ends_with("\x1b[J"), "{seen:?}");
            } else {
                let seen = fs::read_to_string(&errors).unwrap();
                assert!(
                    !seen.contains(|letter: char| letter.is_control() && letter != '\n'),
                    "{seen:?}"
                );
                for line in [format!("{}: ", slow(name)), format!("pod/{name}: waiting (")] {
                    assert!(seen.lines().any(|told| told.starts_with(&line)), "{line}: {seen:?}");
                }
                assert!(seen.lines().count() <= 6, "{seen:?}");
            }
        }
    });
}
