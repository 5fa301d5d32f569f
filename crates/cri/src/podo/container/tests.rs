use podo_runtime::{ExitRecord, Fault, FaultKind};

use super::*;

#[track_caller]
fn check(exit: ExitRecord, expected: &str) {
    let end = end_of(&exit, 7);
    assert_eq!(format!("{} {} {:?}", end.exit_code, end.reason, end.message), expected);
    assert_eq!(end.started_at, 7);
}

#[test]
fn an_end_is_named_by_its_cause() {
    let exit = |exit_code| ExitRecord { exit_code, finished_at_ns: 1, ..ExitRecord::default() };
    check(exit(0), "0 Completed \"\"");
    check(exit(3), "3 Error \"\"");
    check(ExitRecord { signal: Some(9), ..exit(137) }, "137 Error \"\"");
    check(ExitRecord { signal: Some(9), oom_kills: 1, ..exit(137) }, "137 OOMKilled \"\"");
    // A child was killed for want of memory, but the container's own process was content.
    check(ExitRecord { oom_kills: 1, ..exit(0) }, "0 Completed \"\"");
    let fault = Fault { kind: FaultKind::ProgramNotFound, message: "exec: \"x\": gone".into() };
    check(
        ExitRecord { start_failure: Some(fault), ..exit(127) },
        "128 StartError \"exec: \\\"x\\\": gone\"",
    );
}

#[test]
fn a_life_goes_from_created_over_running_to_exited() {
    let mut life = Life::default();
    assert_eq!(life.state(), v1::ContainerState::Created);
    life.started = Some(StartRecord::default());
    assert_eq!(life.state(), v1::ContainerState::Running);
    life.end = Some(unseen_end(1));
    assert_eq!(life.state(), v1::ContainerState::Exited);
    assert_eq!(life.end.map(|end| (end.exit_code, end.reason)), Some((255, "Unknown".into())));
}

#[test]
fn the_groups_that_a_process_has_are_shown() {
    let identity =
        Identity { uid: 1000, gid: 3000, groups: vec![50, 3000, 4000], home: "/".into() };
    let user = user_of(&identity).linux.unwrap_or_default();
    assert_eq!((user.uid, user.gid), (1000, 3000));
    assert_eq!(user.supplemental_groups, [50, 3000, 4000]);
}
