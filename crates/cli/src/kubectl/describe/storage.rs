//! Volumes, claims and storage classes.

use serde_json::Value;

use super::super::fault::Fault;
use super::super::pods::pod_kind;
use super::super::select::{Select, list_all};
use super::super::time::{age, rfc1123z};
use super::super::value::{Look, pairs, shown};
use super::Subject;
use super::page::{Page, truth};

/// Access modes in their short forms.
fn modes(object: &Value, pointer: &str) -> String {
    let short = object.list(pointer).iter().map(|mode| match mode.as_str().unwrap_or_default() {
        "ReadWriteOnce" => "RWO".to_owned(),
        "ReadOnlyMany" => "ROX".to_owned(),
        "ReadWriteMany" => "RWX".to_owned(),
        "ReadWriteOncePod" => "RWOP".to_owned(),
        other => other.to_owned(),
    });
    short.collect::<Vec<_>>().join(",")
}

fn status(object: &Value) -> String {
    match object.s("/metadata/deletionTimestamp") {
        "" => object.s("/status/phase").to_owned(),
        since => format!("Terminating (lasts {})", age(since)),
    }
}

fn finalizers(object: &Value) -> String {
    let all: Vec<String> = object.list("/metadata/finalizers").iter().map(shown).collect();
    format!("[{}]", all.join(" "))
}

pub(super) async fn claim(subject: &Subject<'_>) -> Result<Page, Fault> {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.pair(0, "StorageClass", object.s("/spec/storageClassName"));
    page.pair(0, "Status", status(object));
    page.pair(0, "Volume", object.s("/spec/volumeName"));
    page.labels(object);
    page.annotations(object);
    page.pair(0, "Finalizers", finalizers(object));
    let is_bound = !object.s("/spec/volumeName").is_empty();
    let capacity = object.at("/status/capacity/storage").filter(|_| is_bound).map(shown);
    page.pair(0, "Capacity", capacity.unwrap_or_default());
    page.pair(
        0,
        "Access Modes",
        if is_bound { modes(object, "/status/accessModes") } else { String::new() },
    );
    page.pair_if(0, "VolumeMode", object.s("/spec/volumeMode"));
    if let Some(source) = object.at("/spec/dataSource") {
        page.line(0, "DataSource:");
        page.pair_if(1, "APIGroup", source.s("/apiGroup"));
        page.pair(1, "Kind", source.s("/kind"));
        page.pair(1, "Name", source.s("/name"));
    }
    used_by(subject, &mut page).await?;
    let conditions = object.list("/status/conditions");
    if !conditions.is_empty() {
        page.line(0, "Conditions:");
        page.line(1, "Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage");
        page.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
    }
    for one in conditions {
        let time = |pointer| match one.s(pointer) {
            "" => rfc1123z("0001-01-01T00:00:00Z"),
            stamp => rfc1123z(stamp),
        };
        let times = format!("{} \t{} ", time("/lastProbeTime"), time("/lastTransitionTime"));
        let (kind, status) = (one.s("/type"), one.s("/status"));
        page.line(
            1,
            format!("{kind} \t{status} \t{times}\t{} \t{}", one.s("/reason"), one.s("/message")),
        );
    }
    subject.events(&mut page);
    Ok(page)
}

async fn used_by(subject: &Subject<'_>, page: &mut Page) -> Result<(), Fault> {
    let kind = pod_kind(subject.ctx).await?;
    let pods =
        list_all(subject.ctx, kind, Some(subject.object.namespace()), &Select::default()).await?;
    let name = subject.object.name();
    let using = pods.iter().filter(|pod| {
        let volumes = pod.list("/spec/volumes").iter();
        volumes.clone().any(|volume| volume.s("/persistentVolumeClaim/claimName") == name)
    });
    let names: Vec<&str> = using.map(Look::name).collect();
    if names.is_empty() {
        page.pair(0, "Used By", "<none>");
    }
    for (index, name) in names.iter().enumerate() {
        page.raw(&format!("{}\t{name}\n", if index == 0 { "Used By:" } else { "" }));
    }
    Ok(())
}

pub(super) fn volume(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.labels(object);
    page.annotations(object);
    page.pair(0, "Finalizers", finalizers(object));
    page.pair(0, "StorageClass", object.s("/spec/storageClassName"));
    page.pair(0, "Status", status(object));
    let claim = match object.at("/spec/claimRef") {
        Some(claim) => format!("{}/{}", claim.s("/namespace"), claim.s("/name")),
        None => String::new(),
    };
    page.pair(0, "Claim", claim);
    page.pair(0, "Reclaim Policy", object.s("/spec/persistentVolumeReclaimPolicy"));
    page.pair(0, "Access Modes", modes(object, "/spec/accessModes"));
    page.pair_if(0, "VolumeMode", object.s("/spec/volumeMode"));
    page.pair(0, "Capacity", object.at("/spec/capacity/storage").map_or("0".into(), shown));
    affinity(&mut page, object.at("/spec/nodeAffinity"));
    page.pair(0, "Message", object.s("/status/message"));
    page.line(0, "Source:");
    let sources = ["hostPath", "nfs", "local", "csi"];
    match sources.into_iter().find(|source| object["spec"].get(*source).is_some()) {
        Some(source) => {
            let only = serde_json::json!({source: object["spec"][source]});
            super::volume::source(&mut page, &only);
        }
        None => page.line(1, "<unknown>"),
    }
    subject.events(&mut page);
    page
}

fn affinity(page: &mut Page, affinity: Option<&Value>) {
    let terms = affinity.map(|affinity| affinity.list("/required/nodeSelectorTerms"));
    let Some(terms) = terms else {
        return page.pair(0, "Node Affinity", "<none>");
    };
    page.line(0, "Node Affinity:");
    if terms.is_empty() {
        return page.pair(1, "Required Terms", "<none>");
    }
    page.line(1, "Required Terms:");
    for (index, term) in terms.iter().enumerate() {
        let expressions: Vec<String> = term
            .list("/matchExpressions")
            .iter()
            .map(|one| {
                let values: Vec<String> = one.list("/values").iter().map(shown).collect();
                let operator = one.s("/operator").to_lowercase();
                let text = format!("{} {operator} [{}]", one.s("/key"), values.join(", "));
                if values.is_empty() { format!("{} {operator}", one.s("/key")) } else { text }
            })
            .collect();
        page.pair(
            2,
            &format!("Term {index}"),
            expressions.first().map_or("<none>", String::as_str),
        );
        for more in expressions.iter().skip(1) {
            page.line(2, format!("\t{more}"));
        }
    }
}

pub(super) fn class(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    let annotations = object.at("/metadata/annotations");
    let default =
        annotations.and_then(|map| map.get("storageclass.kubernetes.io/is-default-class"));
    page.pair(
        0,
        "IsDefaultClass",
        if default.and_then(Value::as_str) == Some("true") { "Yes" } else { "No" },
    );
    page.pair(0, "Annotations", pairs(annotations, "<none>"));
    page.pair(0, "Provisioner", object.s("/provisioner"));
    page.pair(0, "Parameters", pairs(object.at("/parameters"), "<none>"));
    let expansion = object.at("/allowVolumeExpansion").and_then(Value::as_bool);
    page.pair(0, "AllowVolumeExpansion", expansion.map_or("<unset>", truth));
    let options = object.list("/mountOptions");
    if options.is_empty() {
        page.pair(0, "MountOptions", "<none>");
    } else {
        page.line(0, "MountOptions:");
        options.iter().for_each(|option| page.line(1, shown(option)));
    }
    page.pair_if(0, "ReclaimPolicy", object.s("/reclaimPolicy"));
    page.pair_if(0, "VolumeBindingMode", object.s("/volumeBindingMode"));
    subject.events(&mut page);
    page
}
