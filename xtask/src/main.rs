//! The project's own chores: `cargo xtask test` is what a change must pass, `cargo xtask tidy` checks the house
//! rules, `cargo xtask fuzz` feeds the parsers, `cargo xtask files` lists what each file decides, `cargo xtask schema` makes the fact table,
//! `cargo xtask tools` installs what tests need.

mod files;
mod fuzz;
mod schema;
mod test;
mod tidy;
mod tidy_paths;
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) =
        args.split_first().map_or(("", args.as_slice()), |(task, rest)| (task, rest));
    let result = match task {
        "files" => files::run(),
        "fuzz" => fuzz::run(rest),
        "schema" => schema::run(),
        "test" => test::run(),
        "tidy" => tidy::run(),
        "tools" => Ok(tools::run()),
        other => Err(format!(
            "unknown task {other:?}; there are: files, fuzz, schema, test, tidy, tools"
        )),
    };
    match result {
        Ok(report) => {
            say(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a chore reports to the person who runs it")]
fn say(text: &str) {
    eprintln!("{text}");
}
