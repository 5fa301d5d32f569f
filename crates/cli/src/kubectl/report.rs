//! What commands that change objects say about each: a sentence, its name, or the object.

use std::cell::Cell;

use clap::Args;
use serde_json::{Value, json};

use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::klog::{self, Severity};
use super::normal::boolean;
use super::print::{Output, ShowArgs, name_of};

/// The flags of the output of a change.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArgs {
    /// name, json, yaml, jsonpath=..., go-template=...
    #[arg(short, long)]
    pub(crate) output: Option<String>,
    /// The template of -o go-template and -o jsonpath
    #[arg(long)]
    pub(crate) template: Option<String>,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

/// What `--dry-run` is without a value.
const WITHOUT_VALUE: &str = "unchanged";

/// The flag `--dry-run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DryRunArgs {
    /// none; client: send nothing; server: change nothing
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "none", default_missing_value = WITHOUT_VALUE)]
    pub(crate) dry_run: String,
}

/// How far a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DryRun {
    None,
    Client,
    Server,
}

impl DryRunArgs {
    /// What the flag means; what it meant before there was a server's dry run is told of as deprecated.
    pub(crate) fn parse(&self, ctx: &Ctx) -> Result<DryRun, Fault> {
        let (meant, place, given) = match self.dry_run.as_str() {
            "none" => return Ok(DryRun::None),
            "client" => return Ok(DryRun::Client),
            "server" => return Ok(DryRun::Server),
            WITHOUT_VALUE => {
                (DryRun::Client, "helpers.go:719", "--dry-run is deprecated".to_owned())
            }
            value => {
                let (meant, place) = match boolean(value) {
                    Ok(true) => (DryRun::Client, "helpers.go:733"),
                    Ok(false) => (DryRun::None, "helpers.go:736"),
                    Err(_) => {
                        return Err(Fault::refused(format!(
                            "Invalid dry-run value ({value}). Must be \"none\", \"server\", or \"client\"."
                        )));
                    }
                };
                (meant, place, format!("--dry-run={value} is deprecated (boolean value)"))
            }
        };
        let now = if meant == DryRun::Client { "client" } else { "none" };
        let text = format!("{given} and can be replaced with --dry-run={now}.");
        klog::tell(ctx, Severity::Warning, place, &text);
        Ok(meant)
    }
}

impl DryRun {
    /// The value of the query parameter `dryRun`.
    pub(crate) fn query(self) -> &'static str {
        if self == Self::Server { "All" } else { "" }
    }

    /// Writes it into the options of a deletion: a server does not look at the query of a request that has a body.
    pub(crate) fn mark(self, options: &mut Value) {
        if self == Self::Server {
            options["dryRun"] = json!(["All"]);
        }
    }

    /// What is added to a sentence.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

/// Tells about each changed object in the form that was asked for.
pub(crate) struct Report {
    output: Output,
    show: ShowArgs,
    dry_run: DryRun,
    is_first: Cell<bool>,
    /// Whether kubectl holds the objects as structs of Go: their JSON then has the fields in the order of the struct.
    is_typed: bool,
}

impl Report {
    pub(crate) fn new(args: &ReportArgs, dry_run: DryRun) -> Result<Self, Fault> {
        let output = Output::parse_plain(args.output.as_deref(), args.template.as_deref())?;
        Ok(Self { output, show: args.show, dry_run, is_first: Cell::new(true), is_typed: false })
    }

    /// Whether sentences are printed, not objects.
    pub(crate) fn is_human(&self) -> bool {
        self.output.is_human()
    }

    /// A report on objects that kubectl makes by itself.
    pub(crate) fn typed(args: &ReportArgs, dry_run: DryRun) -> Result<Self, Fault> {
        Ok(Self { is_typed: true, ..Self::new(args, dry_run)? })
    }

    /// Tells that something was done to an object: `created`, `configured`.
    pub(crate) fn done(&self, ctx: &Ctx, object: &Value, operation: &str) -> Outcome {
        let is_first = self.is_first.replace(false);
        if self.output.is_human() {
            return ctx.line(format!("{} {operation}{}", name_of(object), self.dry_run.suffix()));
        }
        if self.is_typed {
            return ctx.out(self.output.typed(object, self.show, is_first)?);
        }
        ctx.out(self.output.object(object, self.show, is_first)?)
    }
}

impl Report {
    /// Shows several objects as one list, whose JSON has the fields in the order of Go's struct.
    pub(crate) fn list(&self, ctx: &Ctx, items: Vec<Value>) -> Outcome {
        ctx.out(self.output.list(&items, self.show)?)
    }
}

/// The flag `--validate`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ValidateArgs {
    /// strict or true: refuse unknown fields; warn; ignore or false
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "strict", default_missing_value = "strict")]
    pub(crate) validate: String,
}

impl ValidateArgs {
    /// The value of the query parameter `fieldValidation`.
    pub(crate) fn query(&self) -> Result<&'static str, Fault> {
        match self.validate.as_str() {
            "strict" | "true" => Ok("Strict"),
            "warn" => Ok("Warn"),
            "ignore" | "false" => Ok("Ignore"),
            other => Err(Fault::refused(format!(
                "invalid - validate option {}; must be one of: strict (or true), warn, ignore (or false)",
                super::fault::quoted(other)
            ))),
        }
    }
}
