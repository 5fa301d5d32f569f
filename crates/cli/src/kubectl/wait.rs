//! `wait`: until objects are gone, made, in a condition, or a field of them has a value.

mod condition;

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::time::Instant;

use self::condition::Goal;
use super::call::Call;
use super::context::Ctx;
use super::discovery::Resource;
use super::fault::{Fault, Outcome};
use super::files::FileArgs;
use super::report::{DryRun, Report, ReportArgs};
use super::select::{Item, Select, picks};
use super::time::parse_duration;
use super::value::Look;

/// How long a negative `--timeout` waits, as kubectl does.
const FOREVER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Between two looks for an object whose name is not known yet, as kubectl does.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Wait until objects are as they should be
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// TYPE NAME... or TYPE/NAME...
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// delete, create, condition=NAME[=VALUE] or jsonpath='{PATH}'[=VALUE]; repeat for more
    #[arg(long = "for")]
    goals: Vec<String>,
    /// How long to wait; 0 looks once, a negative one waits for a week
    #[arg(long, default_value = "30s", allow_hyphen_values = true)]
    timeout: String,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Only those with these fields
    #[arg(long)]
    field_selector: Option<String>,
    /// All of the kind
    #[arg(long)]
    all: bool,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    local: bool,
    #[command(flatten)]
    report: ReportArgs,
}

/// What a look at an object says about waiting.
pub(crate) enum Seen {
    /// It is as it should be.
    Done,
    /// Not yet.
    NotYet,
}

pub(crate) async fn run(ctx: &Ctx, args: Wait) -> Outcome {
    if args.goals.is_empty() {
        return Err(Fault::refused("unrecognized condition: []"));
    }
    let goals: Vec<Goal> =
        args.goals.iter().map(|goal| Goal::parse(goal)).collect::<Result<_, _>>()?;
    let limit = match args.timeout.strip_prefix('-') {
        Some(_) => FOREVER,
        None => parse_duration(&args.timeout).ok_or_else(|| {
            Fault::refused(format!("invalid argument \"{}\" for \"--timeout\" flag", args.timeout))
        })?,
    };
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Fault::refused(super::select::NOTHING_NAMED));
    }
    let deadline = Instant::now() + limit;
    let report = Report::new(&args.report, DryRun::None)?;
    let wants_deletion = goals.iter().any(|goal| matches!(goal, Goal::Delete));
    let select = Select {
        words: &args.words,
        files: Some(&args.files),
        selector: args.selector.as_deref(),
        field_selector: args.field_selector.as_deref(),
        is_all: args.all,
        is_all_namespaces: args.all_namespaces,
        ..Select::default()
    };
    if goals.iter().any(|goal| matches!(goal, Goal::Create)) {
        until_made(ctx, &select, deadline).await?;
    }
    let found = select.found(ctx).await?;
    let is_nothing = found.count() == 0;
    let mut visit = found.visit();
    while let Some(item) = visit.next() {
        for goal in &goals {
            let told = match reached(ctx, goal, &item, deadline, limit).await {
                Ok(object) => report.done(ctx, &object, goal.told()).and_then(|()| ctx.flush()),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = told {
                visit.failed(fault);
                break;
            }
        }
    }
    let fault = visit.end().err();
    let fault = if wants_deletion { fault.and_then(Fault::without_not_found) } else { fault };
    match fault {
        Some(fault) => Err(fault),
        None if is_nothing && !wants_deletion => Err(Fault::refused("no matching resources found")),
        None => Ok(()),
    }
}

/// Waits until an object is as it should be; the object as it is then.
async fn reached(
    ctx: &Ctx,
    goal: &Goal,
    item: &Item,
    deadline: Instant,
    limit: Duration,
) -> Result<Value, Fault> {
    let Item { resource, namespace, name, object, .. } = item;
    match goal {
        Goal::Delete => {
            let uid = object.s("/metadata/uid");
            let gone = until_gone(ctx, resource, namespace, name, Some(uid), Some(deadline)).await;
            gone.map_err(|fault| unmet(fault, limit))?;
            Ok(object.clone())
        }
        Goal::Create => Ok(object.clone()),
        other => {
            let watched = Watched { ctx, resource, namespace, name };
            // One that is gone may come again.
            let seen = watched.each(Some(deadline), |object| {
                let Some(object) = object else { return Ok(None) };
                Ok(matches!(other.judge(&object)?, Seen::Done).then_some(object))
            });
            seen.await.map_err(|fault| unmet(fault, limit))
        }
    }
}

/// With no time to wait, kubectl says it otherwise.
fn unmet(fault: Fault, limit: Duration) -> Fault {
    match fault {
        Fault::Refused(text) if limit.is_zero() => Fault::Refused(
            text.replace("timed out waiting for the condition on", "condition not met for"),
        ),
        fault => fault,
    }
}

/// Waits until the selection finds something.
async fn until_made(ctx: &Ctx, select: &Select<'_>, deadline: Instant) -> Outcome {
    // Complains of unknown kinds before waiting.
    picks(ctx, select.words).await?;
    loop {
        let (items, fault) = select.found(ctx).await?.infos();
        let is_named = select.files.is_none_or(FileArgs::is_empty);
        let fault = if is_named { fault.and_then(Fault::without_not_found) } else { fault };
        if let Some(fault) = fault {
            return Err(fault);
        }
        if !items.is_empty() {
            return Ok(());
        }
        if Instant::now() + LOOK_AGAIN > deadline {
            return Err(Fault::refused("timed out waiting for the condition"));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// One object that is looked at again and again.
pub(crate) struct Watched<'a> {
    pub(crate) ctx: &'a Ctx,
    pub(crate) resource: &'a Resource,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl Watched<'_> {
    fn timed_out(&self) -> Fault {
        Fault::refused(format!(
            "timed out waiting for the condition on {}/{}",
            self.resource.plural, self.name
        ))
    }

    fn call(&self) -> Call {
        Call::get(self.resource.collection(Some(self.namespace)))
            .query("fieldSelector", format!("metadata.name={}", self.name))
    }

    /// Looks at the object and at every change of it until `judge` is content; the object as it was then.
    pub(crate) async fn until(
        &self,
        deadline: Option<Instant>,
        mut judge: impl FnMut(&Value) -> Result<Seen, Fault>,
    ) -> Result<Value, Fault> {
        let judged = self.each(deadline, |object| match object {
            Some(object) => Ok(matches!(judge(&object)?, Seen::Done).then_some(object)),
            None => Err(self.not_found()),
        });
        judged.await
    }

    fn not_found(&self) -> Fault {
        let message = format!("{} \"{}\" not found", self.resource.qualified(), self.name);
        Fault::Status(Box::new(serde_json::json!({
            "kind": "Status", "status": "Failure", "reason": "NotFound", "message": message, "code": 404,
        })))
    }

    /// Calls `look` with the object, or with `None` when it is not there, until it returns something.
    async fn each<T>(
        &self,
        deadline: Option<Instant>,
        mut look: impl FnMut(Option<Value>) -> Result<Option<T>, Fault>,
    ) -> Result<T, Fault> {
        let work = async {
            loop {
                let mut list = self.ctx.call(self.call()).await?;
                let version = list.s("/metadata/resourceVersion").to_owned();
                let found = super::select::items_of(&mut list, self.resource).into_iter().next();
                if let Some(done) = look(found)? {
                    return Ok(done);
                }
                if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    return Err(self.timed_out());
                }
                let call = self.call().query("watch", "true").query("resourceVersion", version);
                let mut lines = self.ctx.lines(call).await?;
                loop {
                    let seen = match lines.event().await {
                        Ok(Some((kind, _))) if kind == "BOOKMARK" => continue,
                        Ok(Some((kind, object))) => (kind != "DELETED").then_some(object),
                        Ok(None) => break, // The server ended the watch: look anew.
                        Err(fault) if matches!(fault.reason(), "Expired" | "Gone") => break,
                        Err(fault) => return Err(fault),
                    };
                    if let Some(done) = look(seen)? {
                        return Ok(done);
                    }
                }
            }
        };
        // `--timeout=0` looks once: the first look must not be cut short.
        let now = Instant::now();
        match deadline.filter(|deadline| *deadline > now) {
            Some(deadline) => tokio::time::timeout_at(deadline, work)
                .await
                .unwrap_or_else(|_elapsed| Err(self.timed_out())),
            None => work.await,
        }
    }
}

/// Waits until an object is gone, or another of its name has taken its place; for ever if there is no deadline.
pub(crate) async fn until_gone(
    ctx: &Ctx,
    resource: &Resource,
    namespace: &str,
    name: &str,
    uid: Option<&str>,
    deadline: Option<Instant>,
) -> Outcome {
    let watched = Watched { ctx, resource, namespace, name };
    let gone = watched.each(deadline, |object| {
        let is_same =
            object.is_some_and(|object| uid.is_none_or(|uid| uid == object.s("/metadata/uid")));
        Ok((!is_same).then_some(()))
    });
    gone.await
}
