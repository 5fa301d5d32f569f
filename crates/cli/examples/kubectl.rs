//! The kubectl of Podo as a program of its own, for trying it beside another kubectl.

use std::process::ExitCode;

fn main() -> ExitCode {
    podo_cli::kubectl_main(std::env::args_os().collect(), podo_cli::Defaults::default())
}
