//! A kubectl of our own: the command line, and one file per verb.

mod api_resources;
mod applied;
mod apply;
mod auth;
mod call;
mod cluster_info;
mod config;
mod context;
pub(crate) mod cp;
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
mod klog;
mod labels;
mod logs;
mod metadata;
mod nodes;
mod normal;
mod overrides;
mod patch;
mod pods;
mod port_forward;
pub(crate) mod print;
mod record;
mod remote;
mod replace;
mod report;
mod rollout;
mod rules;
mod run;
mod scale;
mod select;
mod set;
mod suggest;
mod tabs;
mod terminal;
pub(crate) mod time;
mod top;
mod usage;
mod value;
mod version;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use context::{Defaults, Streams};

use context::Ctx;
use fault::{Fault, Outcome};
use globals::Globals;
use terminal::until_interrupted;

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
    ClusterInfo(cluster_info::ClusterInfo),
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
    Kustomize(files::Kustomize),
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
    let cli = match usage::parse(args) {
        Ok(cli) => cli,
        Err(refusal) => {
            for (target, text) in
                [(&mut streams.output, refusal.help), (&mut streams.errors, refusal.mistake)]
            {
                // Nobody is left to be told that the help could not be written.
                let _written = target.write_all(text.as_bytes()).and_then(|()| target.flush());
            }
            return refusal.exit_code;
        }
    };
    let Cli { globals, verb } = cli;
    let is_recorded = globals.is_recorded;
    let ctx = Ctx::new(globals, defaults, streams);
    if is_recorded {
        ctx.note(record::DEPRECATED);
    }
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
    let outcome = match outcome {
        Err(Fault::Template { shown, why }) => ctx.out(&shown).and(Err(Fault::refused(why))),
        outcome => outcome.and(ctx.flush()).and_then(|()| ctx.warnings_fault()),
    };
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
            Self::ClusterInfo(args) => cluster_info::run(ctx, args).await,
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
            Self::Kustomize(args) => args.run(ctx),
            Self::Label(args) => metadata::run(ctx, metadata::Which::Labels, args).await,
            Self::Logs(args) => until_interrupted(Box::pin(logs::run(ctx, args))).await,
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
            Self::Wait(args) => until_interrupted(Box::pin(wait::run(ctx, args))).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_has_no_two_flags_of_one_name() {
        Cli::command().debug_assert();
    }
}
