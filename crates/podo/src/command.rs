//! The commands of `podo` itself.

use std::ffi::OsString;

use clap::Parser as _;
use tokio::runtime::Runtime;

use crate::config::{self, Cli, Command};
use crate::exit::{Class, Failure};
use crate::server;

/// Reads the command line and runs its command.
pub(crate) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    let args = config::with_file(args).map_err(|error| Failure::of(Class::Usage, &error))?;
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            return Err(Failure::new(
                Class::Usage,
                error.to_string().trim_start_matches("error: ").trim_end(),
            ));
        }
        Err(help) => {
            crate::say(help.to_string().trim_end());
            return Ok(());
        }
    };
    match cli.command {
        Command::Server(options) => runtime()?.block_on(server::run(&options)),
        Command::Up(options) => runtime()?.block_on(crate::up::run(&options)),
        Command::Down(options) => runtime()?.block_on(crate::down::run(&options)),
        Command::Image(options) => runtime()?.block_on(crate::image::run(&options)),
    }
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("podo")
        .build()
        .map_err(|error| Failure::of(Class::Unavailable, &error))
}
