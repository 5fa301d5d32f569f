//! `apply --prune`: deletes what was applied before and is in no file any more.

use serde_json::json;

use super::super::applied;
use super::super::call::Call;
use super::super::context::Ctx;
use super::super::discovery::Resource;
use super::super::fault::{Fault, Outcome};
use super::super::klog::{self, Severity};
use super::super::report::{DryRun, Report};
use super::super::select::{Select, list_all};
use super::super::value::Look;
use super::{Applier, Apply};

/// What is said when no allowlist is given.
const NO_ALLOWLIST: &str = "Deprecated: kubectl apply will no longer prune non-namespaced resources by default when used with the --namespace flag in a future release. To preserve the current behaviour, list the resources you want to target explicitly in the --prune-allowlist flag.";

/// The kinds that are pruned when no allowlist is given, as kubectl v1.36 has them: group, kind.
const DEFAULT: [(&str, &str); 16] = [
    ("", "ConfigMap"),
    ("", "Endpoints"),
    ("", "Namespace"),
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
    ("", "Pod"),
    ("", "ReplicationController"),
    ("", "Secret"),
    ("", "Service"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("networking.k8s.io", "Ingress"),
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
];

/// `visited` is what the files declare: kind, namespace and name.
pub(super) async fn run(
    applier: &Applier<'_>,
    report: &Report,
    allowed: Vec<Resource>,
    visited: &[(Resource, String, String)],
) -> Outcome {
    let Applier { ctx, args, dry_run, policy, .. } = *applier;
    let kinds = if allowed.is_empty() {
        klog::tell(ctx, Severity::Warning, "prune.go:71", NO_ALLOWLIST);
        usual(ctx).await?
    } else {
        allowed
    };
    let mut namespaces: Vec<String> = visited
        .iter()
        .filter(|(resource, _, _)| resource.is_namespaced)
        .map(|(_, namespace, _)| namespace.clone())
        .collect();
    namespaces.sort();
    namespaces.dedup();
    let select = Select { selector: args.selector.as_deref(), ..Select::default() };
    for resource in kinds {
        let scopes = if resource.is_namespaced { namespaces.clone() } else { vec![String::new()] };
        for namespace in scopes {
            for object in list_all(ctx, &resource, Some(&namespace), &select).await? {
                let is_declared = visited.iter().any(|(kind, own, name)| {
                    kind.kind == resource.kind
                        && kind.group == resource.group
                        && own == object.namespace()
                        && name == object.name()
                });
                if is_declared || applied::read(&object).is_none() {
                    continue;
                }
                if dry_run != DryRun::Client {
                    let mut options = json!({"propagationPolicy": policy});
                    if args.grace_period >= 0 {
                        options["gracePeriodSeconds"] = args.grace_period.into();
                    }
                    dry_run.mark(&mut options);
                    let path = resource.object(Some(&namespace), object.name());
                    ctx.call(Call::delete(path, &options)).await?;
                }
                report.done(ctx, &object, "pruned")?;
            }
        }
    }
    Ok(())
}

/// The kinds that are pruned when none are named.
async fn usual(ctx: &Ctx) -> Result<Vec<Resource>, Fault> {
    let discovery = ctx.discovery().await?;
    let found = DEFAULT.iter().filter_map(|(group, kind)| discovery.by_group_kind(group, kind));
    let mut found: Vec<Resource> = found.cloned().collect();
    found.sort_by_key(|resource| !resource.is_namespaced);
    Ok(found)
}

/// The kinds that `--prune-allowlist` names.
pub(super) async fn allowed(ctx: &Ctx, args: &Apply) -> Result<Vec<Resource>, Fault> {
    let discovery = ctx.discovery().await?;
    let mut found = Vec::new();
    for text in &args.prune_allowlist {
        let parts: Vec<&str> = text.split('/').collect();
        let [group, version, kind] = parts.as_slice() else {
            return Err(Fault::refused(format!(
                "invalid GroupVersionKind format: {text}, please follow <group/version/kind>"
            )));
        };
        let api_version = match *group {
            "core" | "" => (*version).to_owned(),
            group => format!("{group}/{version}"),
        };
        let resource = discovery.by_kind(&api_version, kind).ok_or_else(|| {
            Fault::refused(format!("no matches for kind \"{kind}\" in version \"{api_version}\""))
        })?;
        found.push(resource.clone());
    }
    Ok(found)
}
