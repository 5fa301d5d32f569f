//! `auth reconcile`: makes roles allow, and bindings bind, at least what files say.

use clap::Args;
use podo_api::policy_rule::PolicyRule;
use serde_json::{Map, Value, json};

use super::super::call::Call;
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::files::FileArgs;
use super::super::kinds::schema_of;
use super::super::report::{DryRun, DryRunArgs, Report, ReportArgs};
use super::super::select::{Item, Reading};
use super::super::value::{Look, at_mut};

/// An object with this annotation is left as it is.
const OPT_OUT: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Make roles and bindings allow what files say
#[derive(Debug, Args)]
pub(super) struct Reconcile {
    #[command(flatten)]
    files: FileArgs,
    /// Take away what roles allow beyond that
    #[arg(long)]
    remove_extra_permissions: bool,
    /// Take away subjects that are bound beyond that
    #[arg(long)]
    remove_extra_subjects: bool,
    #[command(flatten)]
    dry_run: DryRunArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// What has to be done with one object.
struct Plan {
    /// As it is to be.
    object: Value,
    /// `create`, `update` or `recreate`; nothing if it is as it should be.
    step: Option<&'static str>,
    is_protected: bool,
    /// What changes, as lines.
    changes: Vec<String>,
}

pub(super) async fn run(ctx: &Ctx, args: Reconcile) -> Outcome {
    if args.files.is_empty() {
        return Err(Fault::refused("must specify one of -f and -k"));
    }
    let dry_run = args.dry_run.parse(ctx)?;
    let report = Report::typed(&args.report, dry_run)?;
    let mut visit = args.files.declared(ctx, Reading::default()).await?.visit();
    while let Some(item) = visit.next() {
        let reconciled = match decoded(item) {
            Ok(item) => reconcile(ctx, &args, &report, dry_run, item).await,
            Err(fault) => Err(fault),
        };
        match reconciled {
            Err(Fault::Closed) => return Err(Fault::Closed),
            Err(fault) => visit.failed(fault),
            Ok(()) => {}
        }
    }
    visit.end()
}

/// The item as a struct of its kind takes it.
fn decoded(mut item: Item) -> Result<Item, Fault> {
    if let Some(ty) = schema_of(&item.resource) {
        let decoded = podo_api::json::decode(item.object.to_string().as_bytes(), ty);
        item.object = decoded
            .map_err(|why| {
                Fault::refused(format!("unable to decode {}: {why}", quoted(&item.source)))
            })?
            .value;
    }
    Ok(item)
}

async fn reconcile(
    ctx: &Ctx,
    args: &Reconcile,
    report: &Report,
    dry_run: DryRun,
    item: Item,
) -> Outcome {
    let is_role = item.resource.kind.ends_with("Role");
    if item.resource.group != "rbac.authorization.k8s.io" {
        return Ok(()); // Other objects in the files are passed over.
    }
    let existing = match ctx.call(Call::get(item.path())).await {
        Ok(existing) => Some(existing),
        Err(fault) if fault.is_not_found() => None,
        Err(fault) => return Err(fault),
    };
    let plan = match (&existing, is_role) {
        (None, true) => Plan::create(
            &item.object,
            lines("missing rules added", &shown_rules(&rules_of(&item.object))),
        ),
        (None, false) => {
            Plan::create(&item.object, lines("missing subjects added", &subjects(&item.object)))
        }
        (Some(existing), true) => of_role(existing, &item.object, args.remove_extra_permissions),
        (Some(existing), false) => of_binding(existing, &item.object, args.remove_extra_subjects),
    };
    let object = match plan.step {
        Some(step) if dry_run == DryRun::None && !plan.is_protected => {
            carry_out(ctx, &item, existing.as_ref(), &plan.object, step).await?
        }
        _ => plan.object,
    };
    report.done(ctx, &object, "reconciled")?;
    if let Some(step) = plan.step {
        let caveat = if plan.is_protected {
            format!(", but object opted out ({OPT_OUT}: false)")
        } else {
            String::new()
        };
        ctx.note(format!("\treconciliation required {step}{caveat}"));
        plan.changes.iter().for_each(|change| ctx.note(change));
    }
    Ok(())
}

async fn carry_out(
    ctx: &Ctx,
    item: &Item,
    existing: Option<&Value>,
    object: &Value,
    step: &str,
) -> Result<Value, Fault> {
    if step == "update" {
        return ctx.call(Call::put(item.path(), object)).await;
    }
    if let Some(existing) = existing {
        let options = json!({"preconditions": {"uid": existing.s("/metadata/uid")}});
        ctx.call(Call::delete(item.path(), &options)).await?;
    }
    ctx.call(Call::post(item.resource.collection(Some(&item.namespace)), object)).await
}

impl Plan {
    fn create(object: &Value, changes: Vec<String>) -> Self {
        Self { object: object.clone(), step: Some("create"), is_protected: false, changes }
    }

    /// The existing object with the labels and annotations of the expected one that it lacks.
    fn of(existing: &Value, expected: &Value) -> Self {
        let mut object = existing.clone();
        for field in ["labels", "annotations"] {
            let pointer = format!("/metadata/{field}");
            let wanted =
                expected.at(&pointer).and_then(Value::as_object).cloned().unwrap_or_default();
            let own: Map<String, Value> =
                existing.at(&pointer).and_then(Value::as_object).cloned().unwrap_or_default();
            let merged: Map<String, Value> = wanted.into_iter().chain(own).collect();
            if !merged.is_empty() {
                at_mut(&mut object, &["metadata"])[field] = merged.into();
            }
        }
        let is_protected =
            existing.at("/metadata/annotations").is_some_and(|map| map[OPT_OUT] == "false");
        let step = (object != *existing).then_some("update");
        Self { object, step, is_protected, changes: Vec::new() }
    }

    fn update(&mut self, field: &str, value: Value) {
        self.object[field] = value;
        self.step = Some("update");
    }
}

fn of_role(existing: &Value, expected: &Value, removes_extra: bool) -> Plan {
    let mut plan = Plan::of(existing, expected);
    let (own, wanted) = (rules_of(existing), rules_of(expected));
    let (missing, extra) = (PolicyRule::missing(&own, &wanted), PolicyRule::missing(&wanted, &own));
    if removes_extra && !(missing.is_empty() && extra.is_empty()) {
        plan.update("rules", expected["rules"].clone());
    } else if !missing.is_empty() {
        let all: Vec<&PolicyRule> = own.iter().chain(&missing).collect();
        plan.update("rules", json!(all));
    }
    plan.changes = lines("missing rules added", &shown_rules(&missing));
    if removes_extra {
        plan.changes.extend(lines("extra rules removed", &shown_rules(&extra)));
    }
    let selectors = |role: &Value| role.list("/aggregationRule/clusterRoleSelectors").to_vec();
    let (own, wanted) = (selectors(existing), selectors(expected));
    let is_in = |list: &[Value]| {
        let list = list.to_vec();
        move |selector: &&Value| !list.contains(selector)
    };
    let has_missing = wanted.iter().any(|selector| is_in(&own)(&selector));
    let has_extra = own.iter().any(|selector| is_in(&wanted)(&selector));
    if expected.at("/aggregationRule").is_none_or(Value::is_null) {
        if existing.at("/aggregationRule").is_some_and(|rule| !rule.is_null()) {
            plan.update("aggregationRule", Value::Null);
        }
    } else if removes_extra && (has_missing || has_extra) {
        plan.update("aggregationRule", expected["aggregationRule"].clone());
    } else if has_missing {
        let more = wanted.iter().filter(is_in(&own)).cloned();
        let all: Vec<Value> = own.iter().cloned().chain(more).collect();
        plan.update("aggregationRule", json!({"clusterRoleSelectors": all}));
    }
    plan
}

fn of_binding(existing: &Value, expected: &Value, removes_extra: bool) -> Plan {
    let (own, wanted) = (subjects(existing), subjects(expected));
    let mut plan = Plan::of(existing, expected);
    if existing["roleRef"] != expected["roleRef"] {
        // Whom a binding binds to may not change: it is made anew.
        return Plan { object: expected.clone(), step: Some("recreate"), ..plan };
    }
    let without = |list: &[Subject], others: &[Subject]| -> Vec<Subject> {
        list.iter().filter(|one| !others.contains(one)).cloned().collect()
    };
    let (missing, extra) = (without(&wanted, &own), without(&own, &wanted));
    if removes_extra && !(missing.is_empty() && extra.is_empty()) {
        plan.update("subjects", expected["subjects"].clone());
    } else if !missing.is_empty() {
        let all = own.iter().chain(&missing).map(|subject| subject.0.clone()).collect();
        plan.update("subjects", Value::Array(all));
    }
    plan.changes = lines("missing subjects added", &missing);
    if removes_extra {
        plan.changes.extend(lines("extra subjects removed", &extra));
    }
    plan
}

/// Who is bound.
#[derive(Debug, Clone, PartialEq)]
struct Subject(Value);

fn subjects(binding: &Value) -> Vec<Subject> {
    binding.list("/subjects").iter().cloned().map(Subject).collect()
}

/// As Go writes a struct.
impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |pointer| self.0.s(pointer);
        write!(
            f,
            "{{Kind:{} APIGroup:{} Name:{} Namespace:{}}}",
            text("/kind"),
            text("/apiGroup"),
            text("/name"),
            text("/namespace")
        )
    }
}

/// A heading and a line for each; nothing if there is none.
/// The rules of a role; it was decoded by its type.
fn rules_of(role: &Value) -> Vec<PolicyRule> {
    let rules = role.at("/rules").cloned().unwrap_or_default();
    podo_api::typed(&rules).unwrap_or_default()
}

/// Rules as Go writes structs.
fn shown_rules(rules: &[PolicyRule]) -> Vec<String> {
    let list = |texts: &[Box<str>]| format!("[{}]", texts.join(" "));
    let shown = rules.iter().map(|rule| {
        format!(
            "{{Verbs:{} APIGroups:{} Resources:{} ResourceNames:{} NonResourceURLs:{}}}",
            list(&rule.verbs),
            list(&rule.api_groups),
            list(&rule.resources),
            list(&rule.resource_names),
            list(&rule.non_resource_urls)
        )
    });
    shown.collect()
}

fn lines(heading: &str, items: &[impl std::fmt::Display]) -> Vec<String> {
    if items.is_empty() {
        return Vec::new();
    }
    let items = items.iter().map(|item| format!("\t\t{item}"));
    std::iter::once(format!("\t{heading}:")).chain(items).collect()
}
