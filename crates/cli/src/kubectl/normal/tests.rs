use clap::{Arg, ArgAction, Command, value_parser};

use super::read;

fn command() -> Command {
    let mut command = Command::new("kubectl").subcommand(
        Command::new("get")
            .arg(Arg::new("words").num_args(0..))
            .arg(Arg::new("output").short('o').long("output"))
            .arg(Arg::new("watch").short('w').long("watch").action(ArgAction::SetTrue))
            .arg(Arg::new("tail").long("tail").value_parser(value_parser!(i64)))
            .arg(Arg::new("since").long("since"))
            .arg(Arg::new("dry-run").long("dry-run").num_args(0..=1).require_equals(true)),
    );
    command.build();
    command
}

#[track_caller]
fn check(line: &str, expected: Result<&str, &str>) {
    let command = command();
    let args = std::iter::once("kubectl").chain(line.split(' ')).map(Into::into).collect();
    let read = read(&command, args).map(|line| {
        let args: Vec<_> = line.args.iter().skip(1).map(|arg| arg.to_str().unwrap()).collect();
        args.join(" ")
    });
    assert_eq!(read.as_deref().map_err(|(_, mistake)| mistake.as_str()), expected, "{line}");
}

#[test]
fn flags_leave_in_one_form() {
    check("get -o json pods", Ok("get --output=json pods"));
    check("get -ojson -w", Ok("get --output=json --watch"));
    check("get -wo=json", Ok("get --watch --output=json"));
    check("get --output -w", Ok("get --output=-w"));
    check("get --tail -1", Ok("get --tail=-1"));
    check("get --watch=f --watch=1", Ok("get --watch"));
    check("get --watch --watch=false", Ok("get"));
    check("get --dry-run client", Ok("get --dry-run client"));
    check("get - -- -o --nosuch", Ok("get - -- -o --nosuch"));
}

#[test]
fn mistakes_are_told_as_go_tells_them() {
    check("get --nosuch=1", Err("unknown flag: --nosuch"));
    check("get -wZ", Err("unknown shorthand flag: 'Z' in -Z"));
    check("get -wo", Err("flag needs an argument: 'o' in -o"));
    check("get --output", Err("flag needs an argument: --output"));
    check(
        "get --watch=maybe",
        Err(
            "invalid argument \"maybe\" for \"-w, --watch\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
    );
    check(
        "get --tail=x",
        Err(
            "invalid argument \"x\" for \"--tail\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
    );
    check(
        "get --tail=99999999999999999999",
        Err(
            "invalid argument \"99999999999999999999\" for \"--tail\" flag: strconv.ParseInt: parsing \"99999999999999999999\": value out of range",
        ),
    );
    check(
        "get --since=5",
        Err("invalid argument \"5\" for \"--since\" flag: time: missing unit in duration \"5\""),
    );
}
