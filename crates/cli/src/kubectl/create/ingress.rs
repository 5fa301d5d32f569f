//! `create ingress`.

use clap::Args;
use serde_json::{Value, json};

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::{Common, int_or_string};

/// Create an ingress
#[derive(Debug, Args)]
pub(super) struct Ingress {
    name: String,
    /// HOST/PATH=SERVICE:PORT[,tls[=SECRET]]; repeat for more
    #[arg(long)]
    rule: Vec<String>,
    /// The ingress class
    #[arg(long)]
    class: Option<String>,
    /// SERVICE:PORT for what no rule fits
    #[arg(long)]
    default_backend: Option<String>,
    /// KEY=VALUE; repeat for more
    #[arg(long)]
    annotation: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// What the rules of the command line come to, hosts and secrets in the order in which they were first named.
#[derive(Default)]
struct Rules {
    paths: Vec<(String, Vec<Value>)>,
    tls: Vec<(String, Vec<String>)>,
}

impl Ingress {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        if self.rule.is_empty() && self.default_backend.is_none() {
            return Err(Fault::refused(
                "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)",
            ));
        }
        let mut rules = Rules::default();
        for text in &self.rule {
            rules.add(text)?;
        }
        let mut annotations = Vec::new();
        for text in &self.annotation {
            annotations.push(text.split_once('=').ok_or_else(|| {
                Fault::refused(format!(
                    "annotation {text} is invalid and should be in format key=[value]"
                ))
            })?);
        }
        let mut spec = json!({});
        if let Some(class) = self.class {
            spec["ingressClassName"] = class.into();
        }
        if let Some(text) = &self.default_backend {
            let parts = text.split_once(':').filter(|(_, port)| !port.contains(':'));
            let (service, port) = parts.ok_or_else(|| {
                Fault::refused("default-backend should be in format servicename:serviceport")
            })?;
            spec["defaultBackend"] = backend(service, port);
        }
        rules.write(&mut spec);
        let mut object = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": self.name},
            "spec": spec, "status": {"loadBalancer": {}},
        });
        for (key, value) in annotations {
            object["metadata"]["annotations"][key] = value.into();
        }
        self.common.submit(ctx, object, Some("failed to create ingress:")).await
    }
}

impl Rules {
    /// Reads `HOST/PATH=SERVICE:PORT[,tls[=SECRET]]`.
    fn add(&mut self, text: &str) -> Result<(), Fault> {
        let (rule, option) = text.split_once(',').map_or((text, None), |(r, o)| (r, Some(o)));
        let wrong = || {
            Fault::refused(format!(
                "rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
            ))
        };
        let (place, target) = rule.split_once('=').ok_or_else(wrong)?;
        let (host, path) = place.split_once('/').ok_or_else(wrong)?;
        let (path, kind) = match path.strip_suffix('*') {
            Some(prefix) => (format!("/{prefix}"), "Prefix"),
            None => (format!("/{path}"), "Exact"),
        };
        let (service, port) = target.split_once(':').ok_or_else(wrong)?;
        let entry = json!({"path": path, "pathType": kind, "backend": backend(service, port)});
        push(&mut self.paths, host, entry);
        if let Some(option) = option {
            let secret = option.strip_prefix("tls").ok_or_else(wrong)?.trim_start_matches('=');
            push(&mut self.tls, secret, host.to_owned());
        }
        Ok(())
    }

    fn write(self, spec: &mut Value) {
        if !self.tls.is_empty() {
            spec["tls"] =
                self.tls.into_iter().map(|(secret, hosts)| tls(&secret, &hosts)).collect();
        }
        if !self.paths.is_empty() {
            let rules = self.paths.into_iter().map(|(host, paths)| {
                let mut rule = json!({"http": {"paths": paths}});
                if !host.is_empty() {
                    rule["host"] = host.into();
                }
                rule
            });
            spec["rules"] = rules.collect();
        }
    }
}

fn push<T>(all: &mut Vec<(String, Vec<T>)>, key: &str, value: T) {
    match all.iter_mut().find(|(own, _)| own == key) {
        Some((_, values)) => values.push(value),
        None => all.push((key.to_owned(), vec![value])),
    }
}

fn tls(secret: &str, hosts: &[String]) -> Value {
    let mut entry = json!({});
    if hosts != [""] {
        entry["hosts"] = json!(hosts);
    }
    if !secret.is_empty() {
        entry["secretName"] = secret.into();
    }
    entry
}

fn backend(service: &str, port: &str) -> Value {
    let port = match int_or_string(port) {
        Value::Number(number) => json!({"number": number}),
        name => json!({"name": name}),
    };
    json!({"service": {"name": service, "port": port}})
}
