//! The project's own chores: `cargo xtask test` is what a change must pass, `cargo xtask tidy` checks the house
//! rules, `cargo xtask schema` makes the fact table.

mod schema;
mod test;
mod tidy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let result = match task.as_str() {
        "schema" => schema::run(),
        "test" => test::run(),
        "tidy" => tidy::run(),
        other => Err(format!("unknown task {other:?}; there are: schema, test, tidy")),
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
