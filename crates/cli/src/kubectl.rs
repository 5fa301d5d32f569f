//! A kubectl of our own: the command line, and one file per verb.

mod api_resources;
mod applied;
mod apply;
mod auth;
mod call;
mod config;
mod context;
mod cp;
mod create;
mod debug;
mod delete;
mod describe;
mod diff;
mod discovery;
mod edit;
mod events;
mod exec;
mod explain;
mod expose;
mod fault;
mod files;
mod get;
mod globals;
mod kinds;
mod logs;
mod metadata;
mod nodes;
mod normal;
mod patch;
mod pods;
mod port_forward;
mod print;
mod remote;
mod replace;
mod report;
mod rollout;
mod rules;
mod run;
mod scale;
mod select;
mod set;
mod tabs;
mod terminal;
mod time;
mod top;
mod value;
mod version;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use context::{Defaults, Streams};

use context::Ctx;
use fault::{Fault, Outcome};
use globals::Globals;

/// Controls a Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl",
    bin_name = "kubectl",
    disable_help_subcommand = true,
    args_override_self = true
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Annotate(metadata::Change),
    ApiResources(api_resources::ApiResources),
    ApiVersions(api_resources::ApiVersions),
    Apply(apply::Apply),
    Attach(exec::Attach),
    Auth(auth::Auth),
    Autoscale(expose::Autoscale),
    ClusterInfo(api_resources::ClusterInfo),
    Config(config::Config),
    Cordon(nodes::Cordon),
    Cp(cp::Cp),
    Create(create::Create),
    Debug(debug::Debug),
    Delete(delete::Delete),
    Describe(describe::Describe),
    Diff(diff::Diff),
    Drain(nodes::Drain),
    Edit(edit::Edit),
    Events(events::Events),
    Exec(exec::Exec),
    Explain(explain::Explain),
    Expose(expose::Expose),
    Get(get::Get),
    Label(metadata::Change),
    Logs(logs::Logs),
    Patch(patch::Patch),
    PortForward(port_forward::PortForward),
    Replace(replace::Replace),
    Rollout(rollout::Rollout),
    Run(run::Run),
    Scale(scale::Scale),
    Set(set::Set),
    Taint(nodes::Taint),
    Top(top::Top),
    Uncordon(nodes::Cordon),
    Version(version::Version),
    Wait(wait::Wait),
}

/// Runs kubectl with the process's streams. `args` begins with the program's name; a following `kubectl` is passed over.
pub fn kubectl_main(args: Vec<OsString>, defaults: Defaults) -> ExitCode {
    ExitCode::from(run(args, defaults, Streams::process()))
}

/// Runs kubectl with other streams; the exit code.
pub fn run(args: Vec<OsString>, defaults: Defaults, mut streams: Streams) -> u8 {
    let cli = match parse(args) {
        Ok(cli) => cli,
        Err(refusal) => {
            let (target, code) = match refusal.exit_code {
                0 => (&mut streams.output, 0),
                code => (&mut streams.errors, code),
            };
            // Nobody is left to be told that the help could not be written.
            let _written = target.write_all(refusal.text.as_bytes()).and_then(|()| target.flush());
            return code;
        }
    };
    let Cli { globals, verb } = cli;
    let ctx = Ctx::new(globals, defaults, streams);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(verb.run(&ctx));
            // A thread may still wait for standard input, which may never come: it ends with the process.
            runtime.shutdown_background();
            outcome
        }
        Err(source) => Err(Fault::Io { context: "unable to start".into(), source }),
    };
    let outcome = outcome.and(ctx.flush());
    match outcome {
        Ok(()) => 0,
        Err(fault) => {
            let text = fault.report();
            if !text.is_empty() {
                ctx.note_raw(text);
            }
            fault.exit_code()
        }
    }
}

impl Verb {
    async fn run(self, ctx: &Ctx) -> Outcome {
        match self {
            Self::Annotate(args) => metadata::run(ctx, metadata::Which::Annotations, args).await,
            Self::ApiResources(args) => api_resources::run(ctx, args).await,
            Self::ApiVersions(args) => api_resources::versions(ctx, args).await,
            Self::Apply(args) => apply::run(ctx, args).await,
            Self::Attach(args) => exec::attach(ctx, args).await,
            Self::Auth(args) => auth::run(ctx, args).await,
            Self::Autoscale(args) => expose::autoscale(ctx, args).await,
            Self::ClusterInfo(args) => api_resources::cluster_info(ctx, args).await,
            Self::Config(args) => config::run(ctx, args),
            Self::Cordon(args) => nodes::cordon(ctx, args, true).await,
            Self::Cp(args) => cp::run(ctx, args).await,
            Self::Create(args) => create::run(ctx, args).await,
            Self::Debug(args) => debug::run(ctx, args).await,
            Self::Delete(args) => delete::run(ctx, args).await,
            Self::Describe(args) => describe::run(ctx, args).await,
            Self::Diff(args) => diff::run(ctx, args).await,
            Self::Drain(args) => nodes::drain(ctx, args).await,
            Self::Edit(args) => edit::run(ctx, args).await,
            Self::Events(args) => events::run(ctx, args).await,
            Self::Exec(args) => exec::run(ctx, args).await,
            Self::Explain(args) => explain::run(ctx, args).await,
            Self::Expose(args) => expose::run(ctx, args).await,
            Self::Get(args) => get::run(ctx, args).await,
            Self::Label(args) => metadata::run(ctx, metadata::Which::Labels, args).await,
            Self::Logs(args) => logs::run(ctx, args).await,
            Self::Patch(args) => patch::run(ctx, args).await,
            Self::PortForward(args) => port_forward::run(ctx, args).await,
            Self::Replace(args) => replace::run(ctx, args).await,
            Self::Rollout(args) => rollout::run(ctx, args).await,
            Self::Run(args) => run::run(ctx, args).await,
            Self::Scale(args) => scale::run(ctx, args).await,
            Self::Set(args) => set::run(ctx, args).await,
            Self::Taint(args) => nodes::taint(ctx, args).await,
            Self::Top(args) => top::run(ctx, args).await,
            Self::Uncordon(args) => nodes::cordon(ctx, args, false).await,
            Self::Version(args) => version::run(ctx, args).await,
            Self::Wait(args) => wait::run(ctx, args).await,
        }
    }
}

/// Why there is nothing to run: help, or a mistake.
struct Refusal {
    text: String,
    exit_code: u8,
}

/// The words of the subcommand, for the advice after a mistake: `kubectl create service`.
fn subcommand(args: &[OsString]) -> String {
    let command = Cli::command();
    let mut current = &command;
    let mut words = vec!["kubectl".to_owned()];
    for arg in args.iter().skip(1).filter_map(|arg| arg.to_str()) {
        if let Some(next) = current.find_subcommand(arg) {
            words.push(next.get_name().to_owned());
            current = next;
        }
    }
    words.join(" ")
}

fn parse(mut args: Vec<OsString>) -> Result<Cli, Refusal> {
    if args.get(1).is_some_and(|first| first == "kubectl") {
        args.remove(1);
    }
    let args = normal::booleans(&Cli::command(), normal::subjects(args));
    let parsed = Cli::command()
        .try_get_matches_from(&args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| refusal(&error, &subcommand(&args)))
}

/// A mistake on the command line in the words of kubectl.
fn refusal(error: &clap::Error, command: &str) -> Refusal {
    let context = |kind| error.get(kind).map(ToString::to_string);
    let text = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return Refusal { text: error.render().to_string(), exit_code: 0 };
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return Refusal { text: error.render().to_string(), exit_code: 0 };
        }
        ErrorKind::UnknownArgument => {
            let flag = context(ContextKind::InvalidArg).unwrap_or_default();
            let word = match flag.strip_prefix('-') {
                Some(short) if !short.starts_with('-') => {
                    format!("unknown shorthand flag: '{short}' in {flag}")
                }
                _ if !flag.starts_with('-') => format!("unexpected argument: {flag}"),
                _ => format!("unknown flag: {}", flag.split('=').next().unwrap_or(&flag)),
            };
            format!("error: {word}\nSee '{command} --help' for usage.\n")
        }
        ErrorKind::InvalidSubcommand => {
            let name = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("error: unknown command {} for \"kubectl\"\n", fault::quoted(&name))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = context(ContextKind::InvalidArg).unwrap_or_default();
            let flags: Vec<&str> =
                missing.split(", ").filter_map(|arg| arg.strip_prefix("--")).collect();
            if flags.is_empty() {
                format!("error: required argument(s) missing: {missing}\n")
            } else {
                let names: Vec<String> = flags
                    .iter()
                    .map(|flag| fault::quoted(flag.split([' ', '=']).next().unwrap_or(flag)))
                    .collect();
                format!("error: required flag(s) {} not set\n", names.join(", "))
            }
        }
        _ => {
            let text = error.render().to_string();
            let head = text.split("\n\n").next().unwrap_or(&text).trim_end();
            format!("{head}\n")
        }
    };
    Refusal { text, exit_code: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_no_two_flags_of_one_name() {
        Cli::command().debug_assert();
    }
}
