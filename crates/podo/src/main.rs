//! `podo`: chooses the role from the arguments before anything else exists, then hands over to it.
//!
//! The internal roles (`shim`, `pause`, `hello`) must start with no thread and little memory, so they are chosen without a parser.

mod address;
mod command;
mod config;
mod control;
mod down;
mod exit;
mod hello;
mod image;
mod instance;
mod local;
mod manager;
mod manifests;
mod node_config;
mod preflight;
mod progress;
mod qos_cgroups;
mod screen;
mod server;
mod signals;
mod up;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use screen::{say, tell};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let program = args.first().map(PathBuf::from).unwrap_or_default();
    if program.file_name().is_some_and(|name| name == "kubectl") {
        return kubectl(args);
    }
    match args.get(1).and_then(|role| role.to_str()) {
        Some("shim") => podo_runtime::shim_main(args.into_iter().skip(2)),
        Some("pause") => podo_runtime::pause_main(),
        Some("hello") => hello::main(),
        Some("kubectl") => kubectl(args.into_iter().skip(1).collect()),
        _ => exit::code(command::run(args)),
    }
}

fn kubectl(args: Vec<OsString>) -> ExitCode {
    podo_cli::kubectl_main(
        args,
        podo_cli::Defaults { kubeconfig: PathBuf::from("/var/lib/podo/kubeconfig.yaml") },
    )
}
