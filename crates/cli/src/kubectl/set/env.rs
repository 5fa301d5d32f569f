//! `set env`: environment variables of containers.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};

use super::super::call::Call;
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::select::Item;
use super::super::value::{Look, pairs};
use super::{ALL_AND_SELECTOR, Common, Setter, pod_spec, refused_by_server, told_of};

/// Set environment variables of containers
#[derive(Debug, Args)]
pub(super) struct Env {
    /// TYPE NAME or TYPE/NAME, then NAME=VALUE, NAME-, or - for lines of standard input
    words: Vec<String>,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// NAME=VALUE; repeat for more
    #[arg(short, long)]
    env: Vec<String>,
    /// The containers, with * for any text
    #[arg(short, long, default_value = "*")]
    containers: String,
    /// Show what is set
    #[arg(long)]
    list: bool,
    /// With --list, show what references lead to
    #[arg(long)]
    resolve: bool,
    /// Change what is set already
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    overwrite: bool,
    /// Take variables from configmap/NAME or secret/NAME
    #[arg(long)]
    from: Option<String>,
    /// Only these keys of --from
    #[arg(long, value_delimiter = ',')]
    keys: Vec<String>,
    /// Put this before the names of all variables
    #[arg(long, default_value = "")]
    prefix: String,
    #[command(flatten)]
    common: Common,
}

/// What is set and what goes.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    set: Vec<Value>,
    removed: Vec<String>,
}

impl Env {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        if self.common.all && self.selector.is_some() {
            return Err(Fault::refused(ALL_AND_SELECTOR));
        }
        let (words, changes) = split(&self.words)?;
        let setter = Setter::new(ctx, &self.common)?;
        self.check(&setter, words)?;
        let mut wanted = Wanted::parse(self.env.iter().chain(changes), || ctx.read_input())?;
        if let Some(from) = self.from.as_ref().filter(|from| !from.is_empty()) {
            self.take_from(&setter, from, &mut wanted).await?;
        }
        for variable in &mut wanted.set {
            variable["name"] = format!("{}{}", self.prefix, variable.s("/name")).into();
        }
        let mut faults = Vec::new();
        for item in setter.items(words, self.selector.as_deref()).await? {
            let mut after = item.object.clone();
            let changed = self.change(ctx, &mut after, &item, &wanted).await;
            if self.list {
                continue;
            }
            if let Err(fault) = changed {
                faults.push(told_of(&item, &fault.message()));
            } else if let Err(fault) = setter.change(&item, &after, "env updated").await {
                let words = "failed to patch env update to pod template:";
                faults.push(refused_by_server(words, fault));
            }
        }
        Fault::all(faults)
    }

    fn check(&self, setter: &Setter<'_>, words: &[String]) -> Outcome {
        setter.refuse_local_dry_run()?;
        if self.common.files.is_empty() && words.is_empty() {
            return Err(Fault::refused(
                "one or more resources must be specified as <resource> <name> or <resource>/<name>",
            ));
        }
        if self.list && self.common.report.output.is_some() {
            return Err(Fault::refused("--list and --output may not be specified together"));
        }
        if !self.keys.is_empty() && self.from.is_none() {
            return Err(Fault::refused(
                "when specifying --keys, a configmap or secret must be provided with --from",
            ));
        }
        Ok(())
    }

    /// Variables for the keys of a ConfigMap or Secret.
    async fn take_from(&self, setter: &Setter<'_>, from: &str, wanted: &mut Wanted) -> Outcome {
        for item in setter.items(&[from.to_owned()], self.selector.as_deref()).await? {
            let field = match item.object.s("/kind") {
                "ConfigMap" => "configMapKeyRef",
                "Secret" => "secretKeyRef",
                _ => return Err(Fault::refused("unsupported resource specified in --from")),
            };
            for (key, _) in item.object.entries("/data") {
                if !self.keys.is_empty() && !self.keys.iter().any(|wanted| wanted == key) {
                    continue;
                }
                let name = variable_name(key);
                if name != key {
                    setter.ctx.note(format!("Warning: key {key} transferred to {name}"));
                }
                let reference = json!({"key": key, "name": item.object.name()});
                wanted.set.push(json!({"name": name, "valueFrom": {field: reference}}));
            }
        }
        Ok(())
    }

    /// Changes the containers that are meant, and shows what is set if that is wanted.
    async fn change(&self, ctx: &Ctx, object: &mut Value, item: &Item, wanted: &Wanted) -> Outcome {
        let whole = item.object.clone();
        let (kind, name) = (whole.s("/kind"), whole.name());
        let mut is_found = false;
        let mut is_unresolved = false;
        for container in pod_spec::containers(pod_spec::of(object)?, &self.containers) {
            is_found = true;
            let own = container.list("/env");
            if !self.overwrite {
                refuse_overwrites(own, &wanted.set)?;
            }
            let updated = updated(own, wanted);
            if self.list {
                ctx.line(format!("# {kind} {name}, container {}", container.s("/name")))?;
                is_unresolved |= !self.show(ctx, &whole, &updated).await?;
            }
            if !(updated.is_empty() && container.list("/env").is_empty()) {
                container["env"] = updated.into();
            }
        }
        if !is_found {
            ctx.note(format!(
                "Warning: {kind}/{name} does not have any containers matching {}",
                quoted(&self.containers)
            ));
        }
        if is_unresolved {
            return Err(Fault::refused("failed to retrieve valueFrom references"));
        }
        Ok(())
    }

    /// Shows variables; false if a reference leads to nothing.
    async fn show(&self, ctx: &Ctx, object: &Value, variables: &[Value]) -> Result<bool, Fault> {
        let mut unresolved: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for variable in variables {
            let name = variable.s("/name");
            let Some(from) = variable.get("valueFrom") else {
                ctx.line(format!("{name}={}", variable.s("/value")))?;
                continue;
            };
            let resolved = if self.resolve { Some(resolve(ctx, object, from).await) } else { None };
            match resolved {
                Some(Ok(value)) => ctx.line(format!("{name}={value}"))?,
                other => {
                    ctx.line(format!("# {name} from {}", reference(from)))?;
                    if let Some(Err(fault)) = other {
                        unresolved.entry(fault.message()).or_default().push(name);
                    }
                }
            }
        }
        let mut lines: Vec<String> = Vec::new();
        for (why, mut names) in unresolved {
            names.sort_unstable();
            lines.push(format!("error retrieving reference for {}: {why}", names.join(", ")));
        }
        lines.sort();
        lines.iter().for_each(|line| ctx.note(line));
        Ok(lines.is_empty())
    }
}

impl Wanted {
    /// Reads changes; `-` stands for lines of `input`.
    fn parse<'a>(
        changes: impl Iterator<Item = &'a String>,
        input: impl Fn() -> Result<String, Fault>,
    ) -> Result<Self, Fault> {
        let mut wanted = Self::default();
        let mut given: Vec<&str> = Vec::new();
        for text in changes {
            if text == "-" {
                wanted.set.extend(of_lines(&input()?));
            } else if let Some((name, value)) = text.split_once('=') {
                let faults = podo_api::names::env_var_name(name);
                if !faults.is_empty() {
                    let (name, why) = (quoted(name), faults.join(";"));
                    return Err(Fault::refused(format!("{name} is not a valid key name: {why}")));
                }
                given.push(name);
                wanted.set.push(variable(name, value));
            } else if let Some(name) = text.strip_suffix('-') {
                wanted.removed.push(name.to_owned());
            } else {
                return Err(Fault::refused(format!("unknown environment variable: {text}")));
            }
        }
        if wanted.removed.iter().any(|name| given.contains(&name.as_str())) {
            return Err(Fault::refused(
                "can not both modify and remove the same environment variable in the same command",
            ));
        }
        Ok(wanted)
    }
}

/// A variable; one without a value has no such field.
fn variable(name: &str, value: &str) -> Value {
    if value.is_empty() { json!({"name": name}) } else { json!({"name": name, "value": value}) }
}

/// Variables of lines; what follows `#` and what has no `=` is passed over.
fn of_lines(text: &str) -> impl Iterator<Item = Value> {
    let bare = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    bare.filter_map(|line| line.split_once('=').map(|(name, value)| variable(name, value)))
}

/// Words that name objects, and the changes after them.
fn split(words: &[String]) -> Result<(&[String], &[String]), Fault> {
    let is_change = |word: &String| {
        word.ends_with('-') || word.find('=').is_some_and(|_| word.rfind('=') > Some(0))
    };
    let first = words.iter().position(is_change).unwrap_or(words.len());
    let (named, changes) = words.split_at(first);
    if changes.iter().all(is_change) {
        return Ok((named, changes));
    }
    Err(Fault::refused(format!(
        "all resources must be specified before environment changes: {}",
        words.join(" ")
    )))
}

/// A key as the name of a variable.
fn variable_name(key: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    key.chars().map(upper).collect()
}

fn refuse_overwrites(own: &[Value], set: &[Value]) -> Outcome {
    for new in set {
        let current = own.iter().find(|old| old.s("/name") == new.s("/name"));
        if let Some(current) = current.filter(|old| old.s("/value") != new.s("/value")) {
            return Err(Fault::refused(format!(
                "'{}' already has a value ({}), and --overwrite is false",
                current.s("/name"),
                current.s("/value")
            )));
        }
    }
    Ok(())
}

/// The variables of a container after a change: what is new takes the place of the old, or comes last.
fn updated(own: &[Value], wanted: &Wanted) -> Vec<Value> {
    let mut covered: Vec<&str> = wanted.removed.iter().map(String::as_str).collect();
    let mut out = Vec::new();
    for old in own {
        let name = old.s("/name");
        if covered.contains(&name) {
            continue;
        }
        match wanted.set.iter().find(|new| new.s("/name") == name) {
            Some(new) => {
                covered.push(name);
                out.push(new.clone());
            }
            None => out.push(old.clone()),
        }
    }
    for new in &wanted.set {
        if !covered.contains(&new.s("/name")) {
            covered.push(new.s("/name"));
            out.push(new.clone());
        }
    }
    out
}

/// Where a value comes from, in words.
fn reference(from: &Value) -> String {
    let Some((kind, of)) = from.entries("").into_iter().next() else {
        return "invalid valueFrom".to_owned();
    };
    match kind {
        "configMapKeyRef" => format!("configmap {}, key {}", of.s("/name"), of.s("/key")),
        "secretKeyRef" => format!("secret {}, key {}", of.s("/name"), of.s("/key")),
        "fieldRef" => format!("field path {}", of.s("/fieldPath")),
        "resourceFieldRef" => {
            let container = of.s("/containerName");
            let slash = if container.is_empty() { "" } else { "/" };
            format!("resource field {container}{slash}{}", of.s("/resource"))
        }
        _ => "invalid valueFrom".to_owned(),
    }
}

/// What a reference leads to.
async fn resolve(ctx: &Ctx, object: &Value, from: &Value) -> Result<String, Fault> {
    let namespace = ctx.namespace()?;
    let get = |plural: &str, name: &str| {
        ctx.call(Call::get(format!("/api/v1/namespaces/{namespace}/{plural}/{name}")))
    };
    let lacking = |what: &str, of: &Value| {
        Fault::refused(format!("key {} not found in {what} {}", of.s("/key"), of.s("/name")))
    };
    match from.entries("").into_iter().next() {
        Some(("configMapKeyRef", of)) => {
            let found = get("configmaps", of.s("/name")).await?;
            let value = found["data"].get(of.s("/key")).and_then(Value::as_str);
            value.map(str::to_owned).ok_or_else(|| lacking("config map", of))
        }
        Some(("secretKeyRef", of)) => {
            let found = get("secrets", of.s("/name")).await?;
            let value = found["data"].get(of.s("/key")).and_then(Value::as_str);
            let bytes = value.and_then(|text| STANDARD.decode(text).ok());
            let bytes = bytes.ok_or_else(|| lacking("secret", of))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        Some(("fieldRef", of)) => field(object, of.s("/fieldPath")),
        _ => Err(Fault::refused("invalid valueFrom")),
    }
}

/// A field of the object's metadata.
fn field(object: &Value, path: &str) -> Result<String, Fault> {
    match path {
        "metadata.name" => Ok(object.name().to_owned()),
        "metadata.namespace" => Ok(object.namespace().to_owned()),
        "metadata.uid" => Ok(object.s("/metadata/uid").to_owned()),
        "metadata.labels" => Ok(pairs(object.at("/metadata/labels"), "")),
        _ => Err(Fault::refused(format!("unsupported fieldPath: {path}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_and_made() {
        let cases = [
            (vec!["A=1", "B-"], r#"[{"name":"C","value":"x"},{"name":"A","value":"1"}]"#),
            (vec!["C=", "D=2"], r#"[{"name":"B"},{"name":"C"},{"name":"D","value":"2"}]"#),
            (vec!["-"], r#"[{"name":"B","value":"9"},{"name":"C","value":"x"}]"#),
        ];
        let own = [variable("B", ""), variable("C", "x")];
        for (changes, expected) in cases {
            let changes: Vec<String> = changes.into_iter().map(str::to_owned).collect();
            let wanted = Wanted::parse(changes.iter(), || Ok("B=9#c\n#X=1\nQ\n".into()));
            let made = updated(&own, &wanted.expect("changes that can be read"));
            assert_eq!(json!(made).to_string(), expected, "{changes:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            (vec!["A=1", "A-"], "can not both modify and remove"),
            (vec!["A"], "unknown environment variable: A"),
            (vec!["1 A=1"], "\"1 A\" is not a valid key name"),
        ];
        for (changes, expected) in cases {
            let changes: Vec<String> = changes.into_iter().map(str::to_owned).collect();
            let refused = Wanted::parse(changes.iter(), || Ok(String::new()));
            let told = refused.expect_err("changes that contradict").message();
            assert!(told.starts_with(expected), "{told}");
        }
    }
}
