//! `exec` and `attach`.

use clap::Args;
use podo_client::websocket::Channel;
use serde_json::Value;

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::files::FileArgs;
use super::pods;
use super::remote::{self, Input};
use super::terminal;
use super::value::Look;

/// Run a command in a container
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// POD or TYPE/NAME
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    to: AttachArgs,
    /// The command
    #[arg(last = true)]
    command: Vec<String>,
}

/// The flags of streams to and from a process.
#[derive(Debug, Args)]
struct AttachArgs {
    /// The container
    #[arg(short, long)]
    container: Option<String>,
    /// Pass standard input on
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Standard input is a terminal
    #[arg(short, long)]
    tty: bool,
    /// Say less
    #[arg(short, long)]
    quiet: bool,
    /// How long to wait for a Pod
    #[arg(long, default_value = "1m")]
    pod_running_timeout: String,
}

/// Attach to the process of a container
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// POD or TYPE/NAME
    words: Vec<String>,
    #[command(flatten)]
    to: AttachArgs,
}

pub(crate) async fn run(ctx: &Ctx, args: Exec) -> Outcome {
    let mut words = args.words.clone();
    if !args.files.is_empty() {
        if !words.is_empty() {
            args.files.refuse_words(&["pod/".to_owned()])?;
        }
        let found = args.files.declared(ctx, super::select::Reading::default()).await?;
        let Some(item) = found.first_fault()?.into_iter().next() else {
            return Err(Fault::refused("no objects passed to exec"));
        };
        words = vec![format!("{}/{}", item.resource.qualified(), item.name)];
    }
    if words.is_empty() {
        return Err(Fault::refused("pod, type/name or --filename must be specified"));
    }
    if words.len() > 1 && args.command.is_empty() {
        return Err(Fault::refused(
            "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples",
        ));
    }
    if args.command.is_empty() {
        return Err(Fault::refused("you must specify at least one command for the container"));
    }
    let limit = pods::running_timeout("exec", &args.to.pod_running_timeout)?;
    // With a command of its own, words after the first are passed over.
    words.truncate(1);
    let pod = pods::attachable(ctx, &words, limit).await?;
    pods::refuse_completed(&pod, "exec into")?;
    let container = pods::container(ctx, &pod, args.to.container.as_deref(), args.to.quiet)?;
    let is_tty = terminal_or_note(ctx, args.to.stdin, args.to.tty, args.to.quiet);
    let mut call = call(&pod, "exec", container.s("/name"), args.to.stdin, is_tty);
    for word in &args.command {
        call = call.query_even_empty("command", word);
    }
    session(ctx, &call, args.to.stdin, is_tty).await
}

pub(crate) async fn attach(ctx: &Ctx, args: Attach) -> Outcome {
    if args.words.is_empty() {
        return Err(Fault::refused("at least 1 argument is required for attach"));
    }
    if args.words.len() > 2 {
        return Err(Fault::refused(format!(
            "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {}: [{}]",
            args.words.len(),
            args.words.join(" ")
        )));
    }
    let limit = pods::running_timeout("attach", &args.to.pod_running_timeout)?;
    let pod = pods::attachable(ctx, &args.words, limit).await?;
    pods::refuse_completed(&pod, "attach")?;
    attach_to(ctx, &pod, args.to.container.as_deref(), args.to.stdin, args.to.tty, args.to.quiet)
        .await
}

/// Attaches to a container of a running Pod.
pub(crate) async fn attach_to(
    ctx: &Ctx,
    pod: &Value,
    container: Option<&str>,
    stdin: bool,
    mut tty: bool,
    is_quiet: bool,
) -> Outcome {
    let container = pods::container(ctx, pod, container, is_quiet)
        .map_err(|fault| fault.context("cannot attach to the container"))?;
    let name = container.s("/name");
    if tty && !container.b("/tty") {
        tty = false;
        if !is_quiet {
            ctx.note(format!("error: Unable to use a TTY - container {name} did not allocate one"));
        }
    } else if container.b("/tty") {
        tty = true; // Else its output would be taken for frames.
    }
    let is_raw = terminal_or_note(ctx, stdin, tty, is_quiet);
    if !is_quiet {
        ctx.note("All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt.");
        ctx.note("If you don't see a command prompt, try pressing enter.");
    }
    session(ctx, &call(pod, "attach", name, stdin, is_raw), stdin, is_raw).await?;
    if stdin && is_raw && container.b("/stdin") {
        let place = format!("{} -c {name} -n {}", pod.name(), pod.s("/metadata/namespace"));
        ctx.line(format!("Session ended, resume using 'kubectl attach {place} -i -t' command"))?;
    }
    Ok(())
}

fn terminal_or_note(ctx: &Ctx, stdin: bool, tty: bool, is_quiet: bool) -> bool {
    if !stdin || !tty {
        return false;
    }
    let is_terminal = ctx.is_process && terminal::is_input();
    if !is_terminal && !is_quiet {
        ctx.note("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    is_terminal
}

fn call(pod: &Value, verb: &str, container: &str, stdin: bool, is_tty: bool) -> Call {
    let flag = |is_set: bool| if is_set { "true" } else { "" };
    Call::get(format!("/api/v1/namespaces/{}/pods/{}/{verb}", pod.namespace(), pod.name()))
        .query("container", container)
        .query("stdin", flag(stdin))
        .query("stdout", "true")
        .query("stderr", flag(!is_tty))
        .query("tty", flag(is_tty))
}

async fn session(ctx: &Ctx, call: &Call, stdin: bool, is_tty: bool) -> Outcome {
    let input = if stdin { Input::Process } else { Input::None };
    let sink = async |channel, bytes: &[u8]| {
        if channel == Channel::Stderr {
            ctx.note_raw(bytes);
            return Ok(());
        }
        ctx.out(bytes)?;
        ctx.flush()
    };
    remote::run(ctx, &call.target(), input, is_tty, sink).await
}
