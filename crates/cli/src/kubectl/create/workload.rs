//! `create deployment`, `job` and `cronjob`.

use clap::Args;
use serde_json::{Value, json};

use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::super::pods::go_type;
use super::super::select::{Item, Select};
use super::super::value::{Look, object_mut};
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
    #[arg(long, allow_hyphen_values = true)]
    port: Option<i32>,
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
        let made = self.image.iter().filter(|image| !image.is_empty());
        let made = made.map(|image| container(&container_name(image), image, &self.command));
        let mut containers: Vec<Value> = made.collect();
        if let Some((port, first)) = self.port.filter(|port| *port >= 0).zip(containers.first_mut())
        {
            first["ports"] = json!([{"containerPort": port}]);
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
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let object = match (given(&self.image), given(&self.from)) {
            (Some(image), None) => json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": self.name},
                "spec": {"template": {"metadata": {}, "spec": {
                    "containers": [container(&self.name, &image, &self.command)],
                    "restartPolicy": "Never",
                }}},
                "status": {},
            }),
            (None, Some(_)) if !self.command.is_empty() => {
                return Err(Fault::refused("cannot specify --from and command"));
            }
            (None, Some(from)) => self.of_cron_job(ctx, from).await?,
            _ => return Err(Fault::refused("either --image or --from must be specified")),
        };
        self.common.submit(ctx, object, Some("failed to create job:")).await
    }

    async fn of_cron_job(&self, ctx: &Ctx, from: String) -> Result<Value, Fault> {
        let words = [from];
        let select = Select { words: &words, ..Select::default() };
        let found = select.all_or_fault(ctx).await?;
        let [Item { object: cron, .. }] = found.as_slice() else {
            return Err(Fault::refused("from must be an existing cronjob"));
        };
        if cron.s("/kind") != "CronJob" {
            return Err(Fault::refused(format!("unknown object type {}", go_type(cron))));
        }
        let template = cron.at("/spec/jobTemplate").cloned().unwrap_or_default();
        let mut annotations = template["metadata"]["annotations"].clone();
        // What the template says wins.
        object_mut(&mut annotations)
            .entry("cronjob.kubernetes.io/instantiate")
            .or_insert_with(|| "manual".into());
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

/// The last part of an image's name, without tag and digest, as a container's name. One that has to be changed gets an end of its own.
fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let bare = last.split(['@', ':']).next().unwrap_or(last);
    if !bare.contains(['_', '.']) {
        return bare.to_owned();
    }
    format!("{}-{}", bare.replace(['_', '.'], "-"), podo_base::name_suffix(5))
}
