//! What is shown of work, at made-up moments.

use super::*;

const MIB: u64 = 1024 * 1024;

fn step(what: &str, done: u64, total: u64) -> Step {
    Step { what: what.to_owned(), done, total, note: String::new() }
}

/// What a terminal shows and what a file is told after each change: milliseconds, and the work that goes on then.
fn shown(changes: &[(u64, &[Step])], width: usize) -> (Vec<Vec<String>>, Vec<String>) {
    let began = Instant::now();
    let (mut terminal, mut file) = (Board::default(), Board::default());
    let (mut frames, mut lines) = (Vec::new(), Vec::new());
    for (millis, steps) in changes {
        let now = began + Duration::from_millis(*millis);
        terminal.take(steps, now);
        frames.push(terminal.frame(now, width));
        file.take(steps, now);
        lines.extend(file.news(now));
    }
    (frames, lines)
}

#[test]
fn a_pull_is_a_bar_with_its_rate_and_in_a_file_a_beginning_and_an_end() {
    let (frames, lines) = shown(
        &[
            (0, &[step("busybox:1", 0, 8 * MIB)]),
            (400, &[step("busybox:1", MIB, 8 * MIB)]),
            (1000, &[step("busybox:1", 2 * MIB, 8 * MIB)]),
            (2000, &[step("busybox:1", 8 * MIB, 8 * MIB)]),
            (2100, &[]),
        ],
        80,
    );
    assert_eq!(frames[0], Vec::<String>::new());
    assert_eq!(frames[1], Vec::<String>::new());
    assert_eq!(frames[2], ["busybox:1 [######------------------] 2.0 MiB of 8.0 MiB, 2.0 MiB/s"]);
    assert_eq!(frames[3], ["busybox:1 [########################] 8.0 MiB of 8.0 MiB, 4.0 MiB/s"]);
    assert_eq!(frames[4], Vec::<String>::new());
    assert_eq!(lines, ["busybox:1: 2.0 MiB of 8.0 MiB, 2.0 MiB/s", "busybox:1: 8.0 MiB in 2.1 s"]);
}

#[test]
fn short_work_is_not_shown_at_all() {
    let whole = [step("a", 9, 9)];
    let (frames, lines) = shown(&[(0, &whole), (499, &whole), (500, &[])], 80);
    assert!(frames.iter().all(Vec::is_empty), "{frames:?}");
    assert_eq!(lines, Vec::<String>::new());
}

#[test]
fn a_file_is_reminded_now_and_then_of_what_has_changed() {
    let at = |done| [step("a", done, 100)];
    let (_, lines) = shown(
        &[(0, &at(0)), (600, &at(0)), (5_000, &at(10)), (10_700, &at(50)), (21_000, &at(50))],
        80,
    );
    assert_eq!(
        lines,
        ["a: 0 B of 100 B, 0 B/s", "a: 50 B of 100 B, 7 B/s", "a: 50 B of 100 B, 0 B/s"]
    );
    let waiting = [Step { note: "waiting".to_owned(), ..step("pod/a", 0, 0) }];
    let (_, lines) =
        shown(&[(0, &waiting), (600, &waiting), (20_000, &waiting), (20_100, &[])], 80);
    assert_eq!(lines, ["pod/a: waiting"]);
}

#[test]
fn lines_fit_into_the_terminal_and_are_not_too_many() {
    let long = "registry.test/".to_owned() + &"x".repeat(100);
    for width in [20, 59, 60, 80, 200] {
        let steps = [step(&long, 5, 10), Step { note: "ü".repeat(300), ..step("pod/a", 0, 0) }];
        let (frames, _) = shown(&[(0, &steps), (600, &steps)], width);
        for line in &frames[1] {
            assert!(line.chars().count() < width, "{width}: {line}");
        }
    }
    let many: Vec<Step> = (0..100).map(|number| step(&format!("pod/{number}"), 0, 0)).collect();
    let (frames, _) = shown(&[(0, &many), (600, &many)], 80);
    assert_eq!(frames[1].len(), LINES_MAX);
    assert_eq!(frames[1].last().map(String::as_str), Some("… and 89 more"));
}

#[test]
fn names_and_messages_bring_no_control_character() {
    let bad = [Step { note: "\x1b[2J\nforged: line\r".to_owned(), ..step("a\x1b]0;x\x07", 0, 0) }];
    let (frames, lines) = shown(&[(0, &bad), (600, &bad)], 80);
    for line in frames.concat().iter().chain(&lines) {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    assert_eq!(lines, ["a ]0;x :  [2J forged: line "]);
}
