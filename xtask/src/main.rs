//! The project's own chores: `cargo xtask schema` makes the fact table, `cargo xtask tidy` checks the house rules.

mod schema;

use std::process::ExitCode;

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let result = match task.as_str() {
        "schema" => schema::run(),
        other => Err(format!("unknown task {other:?}; there are: schema, tidy")),
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
