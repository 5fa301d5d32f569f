//! The commands of `podo` itself.

use std::ffi::OsString;
use std::time::Duration;

use clap::Parser as _;
use clap::error::ErrorKind;
use tokio::runtime::Runtime;

use crate::config::{self, Cli, Command};
use crate::exit::{Class, Failure};
use crate::server;

/// How long calls into the kernel may go on when a command has ended.
const CALLS: Duration = Duration::from_secs(10);

/// Reads the command line and runs its command.
pub(crate) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    let args = config::with_file(args).map_err(|error| Failure::of(Class::Usage, &error))?;
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return Err(unreadable(&error)),
        Err(help) => {
            crate::say(help.to_string().trim_end());
            return Ok(());
        }
    };
    match cli.command {
        Command::Server(options) => run_to_end(server::run(&options)),
        Command::Up(options) => run_to_end(crate::up::run(&options)),
        Command::Down(options) => run_to_end(crate::down::run(&options)),
        Command::Image(options) => run_to_end(crate::image::run(&options)),
    }
}

/// A command line that is none.
fn unreadable(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let text = text.trim_end();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::help(text);
    }
    Failure::new(Class::Usage, text.trim_start_matches("error: "))
}

/// Runs a command. Calls into the kernel that nobody waits for any more may be under way at its end: those of a dead disk never
/// return, and the process ends all the same.
fn run_to_end(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = runtime()?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(CALLS);
    result
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("podo")
        .build()
        .map_err(|error| Failure::of(Class::Unavailable, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_command_help_is_what_is_told() {
        for (args, usage) in [
            (&["podo"][..], "Usage: podo <COMMAND>"),
            (&["podo", "image"], "Usage: podo image [OPTIONS] <COMMAND>"),
        ] {
            let failure = unreadable(&Cli::try_parse_from(args).expect_err("no command"));
            let told = failure.told();
            assert!(told.contains(usage) && !told.contains("error:"), "{told}");
        }
        let failure =
            unreadable(&Cli::try_parse_from(["podo", "up", "--nosuch"]).expect_err("bad"));
        assert!(failure.told().starts_with("error: unexpected argument '--nosuch'"));
    }
}
