//! `create deployment`, `job` and `cronjob`.

use clap::Args;
use serde_json::{Value, json};

use super::super::call::Call;
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::super::value::Look;
use super::Common;

/// Create a deployment
#[derive(Debug, Args)]
pub(super) struct Deployment {
    name: String,
    /// The image of a container; repeat for more
    #[arg(long, value_delimiter = ',', required = true)]
    image: Vec<String>,
    /// How many Pods
    #[arg(short, long, default_value_t = 1, allow_hyphen_values = true)]
    replicas: i32,
    /// The port that the containers listen on
    #[arg(long)]
    port: Option<u16>,
    /// The command
    #[arg(last = true)]
    command: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Create a job
#[derive(Debug, Args)]
pub(super) struct Job {
    name: String,
    /// The image
    #[arg(long)]
    image: Option<String>,
    /// The cron job to start once, as cronjob/NAME
    #[arg(long)]
    from: Option<String>,
    /// The command
    #[arg(last = true)]
    command: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Create a cron job
#[derive(Debug, Args)]
pub(super) struct CronJob {
    name: String,
    /// The image
    #[arg(long, required = true)]
    image: String,
    /// When, as in cron
    #[arg(long, required = true)]
    schedule: String,
    /// OnFailure or Never
    #[arg(long, default_value = "OnFailure")]
    restart: String,
    /// The command
    #[arg(last = true)]
    command: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Deployment {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        if self.image.len() > 1 && !self.command.is_empty() {
            return Err(Fault::refused("cannot specify multiple --image options and command"));
        }
        let mut names: Vec<String> = Vec::new();
        let mut containers = Vec::new();
        for image in &self.image {
            let mut name = container_name(image);
            if names.contains(&name) {
                name = format!("{name}-{}", podo_base::name_suffix(5));
            }
            names.push(name.clone());
            let mut container = container(&name, image, &self.command);
            if let Some(port) = self.port {
                container["ports"] = json!([{"containerPort": port}]);
            }
            containers.push(container);
        }
        let labels = json!({"app": self.name});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": labels},
                "strategy": {},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
            "status": {},
        });
        self.common.submit(ctx, object, Some("failed to create deployment:")).await
    }
}

impl Job {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let object = match (&self.image, &self.from) {
            (Some(image), None) => json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": self.name},
                "spec": {"template": {"metadata": {}, "spec": {
                    "containers": [container(&self.name, image, &self.command)],
                    "restartPolicy": "Never",
                }}},
                "status": {},
            }),
            (None, Some(from)) => self.of_cron_job(ctx, from).await?,
            _ => return Err(Fault::refused("either --image or --from must be specified")),
        };
        self.common.submit(ctx, object, Some("failed to create job:")).await
    }

    async fn of_cron_job(&self, ctx: &Ctx, from: &str) -> Result<Value, Fault> {
        let name = from.split_once('/').filter(|(kind, _)| {
            matches!(*kind, "cronjob" | "cj" | "cronjobs" | "cronjob.batch" | "cronjobs.batch")
        });
        let Some((_, name)) = name else {
            return Err(Fault::refused("from must be an existing cronjob"));
        };
        let path = format!("/apis/batch/v1/namespaces/{}/cronjobs/{name}", ctx.namespace()?);
        let cron = ctx.call(Call::get(path)).await?;
        let template = cron.at("/spec/jobTemplate").cloned().unwrap_or_default();
        let mut annotations = template["metadata"]["annotations"].clone();
        if annotations.is_null() {
            annotations = json!({});
        }
        annotations["cronjob.kubernetes.io/instantiate"] = "manual".into();
        let mut object = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": self.name, "annotations": annotations,
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "CronJob", "name": cron.name(),
                    "uid": cron.s("/metadata/uid"), "controller": true,
                }],
            },
            "spec": template["spec"], "status": {},
        });
        if template["metadata"]["labels"].is_object() {
            object["metadata"]["labels"] = template["metadata"]["labels"].clone();
        }
        Ok(object)
    }
}

impl CronJob {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let object = json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": self.name},
            "spec": {
                "schedule": self.schedule,
                "jobTemplate": {
                    "metadata": {"name": self.name},
                    "spec": {"template": {"metadata": {}, "spec": {
                        "containers": [container(&self.name, &self.image, &self.command)],
                        "restartPolicy": self.restart,
                    }}},
                },
            },
            "status": {},
        });
        self.common.submit(ctx, object, Some("failed to create cronjob:")).await
    }
}

fn container(name: &str, image: &str, command: &[String]) -> Value {
    let mut container = json!({"name": name, "image": image, "resources": {}});
    if !command.is_empty() {
        container["command"] = json!(command);
    }
    container
}

/// The last part of an image's name, without tag and digest, as a container's name.
fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let bare = last.split(['@', ':']).next().unwrap_or(last);
    bare.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}
