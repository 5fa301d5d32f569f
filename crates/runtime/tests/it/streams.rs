//! Logs, execution, terminals, attachment.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use podo_runtime::{ExecSpec, Stdin, WindowSize};

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("s30_logs_have_the_cri_format", s30_logs_have_the_cri_format),
    ("s30_logs_are_rotated_on_command", s30_logs_are_rotated_on_command),
    ("a_log_is_not_written_through_a_link", a_log_is_not_written_through_a_link),
    ("a_flood_is_logged_whole", a_flood_is_logged_whole),
    ("exec_has_streams_and_an_exit_code", exec_has_streams_and_an_exit_code),
    ("exec_reads_its_input_to_the_end", exec_reads_its_input_to_the_end),
    ("exec_has_a_terminal_with_a_size", exec_has_a_terminal_with_a_size),
    ("exec_can_be_killed", exec_can_be_killed),
    (
        "processes_whose_clients_have_left_take_no_place",
        processes_whose_clients_have_left_take_no_place,
    ),
    ("a_terminal_ends_with_its_client", a_terminal_ends_with_its_client),
    ("a_container_has_a_terminal", a_container_has_a_terminal),
    ("attaching_joins_input_and_output", attaching_joins_input_and_output),
    ("input_ends_once", input_ends_once),
    ("a_client_that_does_not_read_is_let_go", a_client_that_does_not_read_is_let_go),
];

fn s30_logs_have_the_cri_format() {
    let world = World::new();
    let sandbox = world.sandbox();
    run(
        &sandbox,
        &world.shell(
            "a",
            "echo one; echo two >&2; head -c 20000 /dev/zero | tr '\\0' x; echo; echo -n end",
        ),
    );
    let text = fs::read_to_string(world.log_path("a")).unwrap();
    let mut entries: Vec<(String, String, usize)> = Vec::new();
    for line in text.lines() {
        let parts: Vec<&str> = line.splitn(4, ' ').collect();
        assert!(
            parts[0].len() == 30 && parts[0].ends_with('Z') && &parts[0][10..11] == "T",
            "{}",
            parts[0]
        );
        entries.push((parts[1].into(), parts[2].into(), parts[3].len()));
    }
    let stdout: Vec<(&str, usize)> = entries
        .iter()
        .filter(|entry| entry.0 == "stdout")
        .map(|entry| (entry.1.as_str(), entry.2))
        .collect();
    assert_eq!(stdout, [("F", 3), ("P", 16384), ("F", 20000 - 16384), ("F", 3)]);
    assert!(entries.contains(&("stderr".into(), "F".into(), 3)));
    assert_eq!(fs::metadata(world.log_path("a")).unwrap().mode() & 0o777, 0o640);
}

fn s30_logs_are_rotated_on_command() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "i=0; while :; do echo $i; i=$((i+1)); usleep 1000; done"));
    eventually("it writes", || world.log("a").lines().count(), |count| *count > 5);
    let old = world.base.join("a.log.1");
    fs::rename(world.log_path("a"), &old).unwrap();
    sandbox.reopen_log("a").unwrap();
    eventually("it writes in the new one", || world.log("a").lines().count(), |count| *count > 5);
    sandbox.kill("a", libc::SIGKILL).unwrap();
    sandbox.wait("a", LIMIT).unwrap();
    let last = fs::read_to_string(&old)
        .unwrap()
        .lines()
        .last()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .parse::<u64>()
        .unwrap();
    let first = world.log("a").lines().next().unwrap().parse::<u64>().unwrap();
    assert_eq!(first, last + 1, "no line is lost or doubled");
}

fn a_log_is_not_written_through_a_link() {
    let world = World::new();
    let sandbox = world.sandbox();
    let victim = world.base.join("victim");
    fs::write(&victim, "").unwrap();
    std::os::unix::fs::symlink(&victim, world.log_path("a")).unwrap();
    assert!(
        refusal(sandbox.create_container(&world.shell("a", "echo x"))).contains("open the log")
    );
}

fn a_flood_is_logged_whole() {
    let world = World::new();
    let sandbox = world.sandbox();
    run(&sandbox, &world.shell("a", "seq 1 200000"));
    let log = world.log("a");
    assert!(
        log.lines().map(|line| line.parse::<u64>().unwrap()).eq(1..=200_000),
        "{} lines",
        log.lines().count()
    );
}

fn exec_has_streams_and_an_exit_code() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "sleep 100");
    spec.process.env.push("FROM=container".into());
    start(&sandbox, &spec);
    let args =
        ["sh", "-c", "echo out $FROM $MORE; echo err >&2; pwd; exit 3"].map(str::to_owned).to_vec();
    let exec = ExecSpec {
        container: "a".into(),
        args,
        env: vec!["MORE=exec".into()],
        cwd: Some("/tmp".into()),
        ..ExecSpec::default()
    };
    let mut handle = sandbox.exec(&exec).unwrap();
    assert_eq!(read_all(handle.stdout.take().unwrap()), "out container exec\n/tmp\n");
    assert_eq!(read_all(handle.stderr.take().unwrap()), "err\n");
    assert_eq!(handle.wait(LIMIT).unwrap().exit_code, 3);
    assert_eq!(world.log("a"), "", "an execution's output is not the container's");
}

fn exec_reads_its_input_to_the_end() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "sleep 100"));
    let spec = ExecSpec {
        container: "a".into(),
        args: vec!["wc".into(), "-c".into()],
        stdin: true,
        ..ExecSpec::default()
    };
    let mut handle = sandbox.exec(&spec).unwrap();
    let mut stdin = fs::File::from(handle.stdin.take().unwrap());
    stdin.write_all(&vec![b'x'; 300_000]).unwrap();
    drop(stdin);
    assert_eq!(read_all(handle.stdout.take().unwrap()).trim(), "300000");
}

fn exec_has_a_terminal_with_a_size() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "sleep 100"));
    let args =
        ["sh", "-c", "tty; stty size; read line; stty size; exit 4"].map(str::to_owned).to_vec();
    let size = Some(WindowSize { rows: 33, columns: 77 });
    let spec = ExecSpec { container: "a".into(), args, tty: true, size, ..ExecSpec::default() };
    let mut handle = sandbox.exec(&spec).unwrap();
    assert!(handle.stdout.is_none() && handle.stdin.is_none());
    let mut tty = fs::File::from(handle.tty.take().unwrap());
    let mut seen = String::new();
    let mut until = |tty: &mut fs::File, wanted: &str| {
        let mut chunk = [0; 256];
        while !seen.contains(wanted) {
            let count = tty.read(&mut chunk).unwrap();
            seen.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
    };
    until(&mut tty, "33 77");
    handle.resize(WindowSize { rows: 40, columns: 100 }).unwrap();
    tty.write_all(b"go\n").unwrap();
    until(&mut tty, "40 100");
    assert!(seen.starts_with("/dev/pts/0\r\n"), "{seen:?}");
    assert_eq!(handle.wait(LIMIT).unwrap().exit_code, 4);
}

fn exec_can_be_killed() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "sleep 100"));
    let spec = ExecSpec {
        container: "a".into(),
        args: vec!["sleep".into(), "100".into()],
        ..ExecSpec::default()
    };
    let mut handle = sandbox.exec(&spec).unwrap();
    handle.kill(libc::SIGKILL).unwrap();
    assert_eq!(handle.wait(LIMIT).unwrap().exit_code, 137);
    assert_eq!(exec(&sandbox, "a", "true").1, 0);
}

/// More clients than the shim has places for processes or connections come, start something and leave; it goes on.
fn processes_whose_clients_have_left_take_no_place() {
    const CLIENTS: usize = 260;
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "sleep 1000"));
    let args = ["sleep", "999"].map(str::to_owned).to_vec();
    let spec = ExecSpec { container: "a".into(), args, ..ExecSpec::default() };
    for number in 0..CLIENTS {
        let handle = sandbox.exec(&spec);
        assert!(handle.is_ok(), "{number}: {handle:?}");
    }
    let count = exec(&sandbox, "a", "ps | grep -c '[s]leep 999'").0;
    assert_eq!(count.trim(), CLIENTS.to_string(), "they go on");
}

fn a_terminal_ends_with_its_client() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "sleep 1000"));
    let args = ["sleep", "998"].map(str::to_owned).to_vec();
    let spec = ExecSpec { container: "a".into(), args, tty: true, ..ExecSpec::default() };
    let handle = sandbox.exec(&spec).unwrap();
    let seen = || exec(&sandbox, "a", "ps | grep -c '[s]leep 998'").0;
    assert_eq!(seen(), "1\n");
    drop(handle);
    eventually("it hangs up", seen, |count| count == "0\n");
}

fn a_container_has_a_terminal() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.shell("a", "tty; stat -c %t:%T /dev/console; echo to the console >/dev/console; read line; echo got $line; stty size");
    spec.tty = true;
    spec.stdin = Stdin::Open;
    start(&sandbox, &spec);
    eventually("it is there", || world.log("a"), |text| text.contains("console"));
    sandbox.resize("a", WindowSize { rows: 12, columns: 34 }).unwrap();
    let mut attached = sandbox.attach("a", true).unwrap();
    assert!(attached.stderr.is_none());
    fs::File::from(attached.stdin.take().unwrap()).write_all(b"hello\n").unwrap();
    let seen = read_all(attached.stdout.take().unwrap());
    assert!(seen.contains("got hello\r\n") && seen.contains("12 34"), "{seen:?}");
    let log = world.log("a");
    assert!(log.starts_with("/dev/pts/0\n88:0\nto the console"), "{log:?}");
    assert_eq!(sandbox.wait("a", LIMIT).unwrap().exit_code, 0);
}

fn attaching_joins_input_and_output() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec =
        world.shell("a", "while read line; do echo got $line; echo no $line >&2; done; echo over");
    spec.stdin = Stdin::Open;
    start(&sandbox, &spec);
    for round in ["one", "two"] {
        let mut attached = sandbox.attach("a", true).unwrap();
        fs::File::from(attached.stdin.take().unwrap())
            .write_all(format!("{round}\n").as_bytes())
            .unwrap();
        let mut chunk = [0; 64];
        let count = fs::File::from(attached.stdout.take().unwrap()).read(&mut chunk).unwrap();
        assert_eq!(chunk[..count], *format!("got {round}\n").as_bytes());
        let count = fs::File::from(attached.stderr.take().unwrap()).read(&mut chunk).unwrap();
        assert_eq!(chunk[..count], *format!("no {round}\n").as_bytes());
    }
    assert!(sandbox.attach("a", false).unwrap().stdin.is_none());
    eventually(
        "the log has it too",
        || world.log("a"),
        |text| text.contains("got two") && text.contains("no two"),
    );
    sandbox.kill("a", libc::SIGKILL).unwrap();
}

fn input_ends_once() {
    let world = World::new();
    let sandbox = world.sandbox();
    let mut spec = world.container("a", &["cat"]);
    spec.stdin = Stdin::Once;
    start(&sandbox, &spec);
    let mut attached = sandbox.attach("a", true).unwrap();
    fs::File::from(attached.stdin.take().unwrap()).write_all(b"all of it\n").unwrap();
    assert_eq!(read_all(attached.stdout.take().unwrap()), "all of it\n");
    assert_eq!(sandbox.wait("a", LIMIT).unwrap().exit_code, 0);
}

fn a_client_that_does_not_read_is_let_go() {
    let world = World::new();
    let sandbox = world.sandbox();
    start(&sandbox, &world.shell("a", "usleep 100000; seq 1 100000; echo over"));
    let stuck = sandbox.attach("a", false).unwrap();
    pause(Duration::from_millis(10));
    let exit = sandbox.wait("a", Duration::from_secs(30)).unwrap();
    assert_eq!(exit.exit_code, 0);
    assert!(world.log("a").ends_with("100000\nover\n"), "the log is whole");
    drop(stuck);
}
