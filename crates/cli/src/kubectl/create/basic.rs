//! `create namespace`, `serviceaccount`, `token`, `priorityclass`, `quota` and `poddisruptionbudget`.

use clap::Args;
use serde_json::{Value, json};

use super::super::call::Call;
use super::super::context::Ctx;
use super::super::fault::{Fault, Outcome};
use super::super::labels::label_selector;
use super::super::print::{Output, ShowArgs};
use super::super::set::amounts;
use super::super::time::parse_duration;
use super::super::value::Look;
use super::{Common, int_or_string};

/// Create a namespace
#[derive(Debug, Args)]
pub(super) struct Namespace {
    name: String,
    #[command(flatten)]
    common: Common,
}

impl Namespace {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}, "spec": {}, "status": {},
        });
        self.common.submit(ctx, object, None).await
    }
}

/// Create a service account
#[derive(Debug, Args)]
pub(super) struct ServiceAccount {
    name: String,
    #[command(flatten)]
    common: Common,
}

impl ServiceAccount {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let object =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self.name}});
        self.common.submit(ctx, object, Some("failed to create serviceaccount:")).await
    }
}

/// Ask for a token of a service account
#[derive(Debug, Args)]
pub(super) struct Token {
    name: String,
    /// Who the token is for; repeat for more
    #[arg(long)]
    audience: Vec<String>,
    /// How long the token is good
    #[arg(long, allow_hyphen_values = true)]
    duration: Option<String>,
    /// Pod, Secret or Node
    #[arg(long)]
    bound_object_kind: Option<String>,
    /// The object that the token dies with
    #[arg(long)]
    bound_object_name: Option<String>,
    /// Its UID
    #[arg(long)]
    bound_object_uid: Option<String>,
    /// json, yaml, ...
    #[arg(short, long)]
    output: Option<String>,
    #[command(flatten)]
    show: ShowArgs,
}

impl Token {
    /// Refuses an object to bind to of which no kind is given.
    fn check_bound(&self) -> Outcome {
        if self.bound_object_kind.is_none() {
            let given = [("name", &self.bound_object_name), ("uid", &self.bound_object_uid)];
            if let Some((flag, _)) = given.iter().find(|(_, value)| value.is_some()) {
                return Err(Fault::refused(format!(
                    "--bound-object-{flag} can only be set if --bound-object-kind is provided"
                )));
            }
        }
        Ok(())
    }

    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let mut spec = json!({});
        if !self.audience.is_empty() {
            spec["audiences"] = json!(self.audience);
        }
        if self.duration.as_ref().is_some_and(|text| text.starts_with('-')) {
            return Err(Fault::refused("--duration must be greater than or equal to 0"));
        }
        if let Some(text) = &self.duration {
            let length = parse_duration(text).ok_or_else(|| {
                Fault::refused(format!("invalid argument \"{text}\" for \"--duration\" flag"))
            })?;
            if length.subsec_nanos() > 0 {
                return Err(Fault::refused(
                    "--duration cannot be expressed in units less than seconds",
                ));
            }
            if !length.is_zero() {
                spec["expirationSeconds"] = length.as_secs().into();
            }
        }
        self.check_bound()?;
        if let Some(kind) = &self.bound_object_kind {
            let version = match kind.as_str() {
                "Pod" | "Secret" | "Node" => "v1",
                _ => {
                    return Err(Fault::refused(
                        "supported --bound-object-kind values are Node, Pod, Secret",
                    ));
                }
            };
            let name = self.bound_object_name.as_deref().unwrap_or_default();
            if name.is_empty() {
                return Err(Fault::refused(
                    "--bound-object-name is required if --bound-object-kind is provided",
                ));
            }
            spec["boundObjectRef"] = json!({"kind": kind, "apiVersion": version, "name": name});
            if let Some(uid) = &self.bound_object_uid {
                spec["boundObjectRef"]["uid"] = uid.clone().into();
            }
        }
        let request = json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": spec,
        });
        let path =
            format!("/api/v1/namespaces/{}/serviceaccounts/{}/token", ctx.namespace()?, self.name);
        let answer = ctx.call(Call::post(path, &request)).await.map_err(|fault| {
            if matches!(fault, Fault::Status(_)) {
                return Fault::refused(format!("failed to create token: {fault}"));
            }
            fault
        })?;
        let token = answer.s("/status/token");
        if token.is_empty() {
            return Err(Fault::refused("failed to create token: no token in server response"));
        }
        match Output::parse_plain(self.output.as_deref(), None)? {
            // A script takes the token as it is; a person wants the prompt on a new line.
            Output::Human { .. } if ctx.is_process && super::super::terminal::is_output() => {
                ctx.line(token)
            }
            Output::Human { .. } => ctx.out(token),
            output => ctx.out(output.typed(&answer, self.show, true)?),
        }
    }
}

/// Create a priority class
#[derive(Debug, Args)]
pub(super) struct PriorityClass {
    name: String,
    /// The priority
    #[arg(long, allow_hyphen_values = true, default_value_t = 0)]
    value: i32,
    /// For Pods that name none
    #[arg(long)]
    global_default: bool,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// PreemptLowerPriority or Never
    #[arg(long, default_value = "PreemptLowerPriority")]
    preemption_policy: String,
    #[command(flatten)]
    common: Common,
}

impl PriorityClass {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let mut object = json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": self.name}, "value": self.value,
            "preemptionPolicy": self.preemption_policy,
        });
        if self.global_default {
            object["globalDefault"] = true.into();
        }
        if let Some(text) = self.description {
            object["description"] = text.into();
        }
        self.common.submit(ctx, object, Some("failed to create priorityclass:")).await
    }
}

/// Create a resource quota
#[derive(Debug, Args)]
pub(super) struct Quota {
    name: String,
    /// RESOURCE=QUANTITY,...
    #[arg(long, default_value = "")]
    hard: String,
    /// What is counted
    #[arg(long, default_value = "")]
    scopes: String,
    #[command(flatten)]
    common: Common,
}

impl Quota {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let hard = amounts(&self.hard)?;
        let mut spec = json!({});
        if !hard.is_empty() {
            spec["hard"] = Value::Object(hard);
        }
        if !self.scopes.is_empty() {
            let scopes: Vec<&str> = self.scopes.split(',').collect();
            if scopes.contains(&"") {
                return Err(Fault::refused("invalid resource quota scope \"\""));
            }
            spec["scopes"] = json!(scopes);
        }
        let object = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": self.name},
            "spec": spec, "status": {},
        });
        self.common.submit(ctx, object, Some("failed to create quota:")).await
    }
}

/// Create a pod disruption budget
#[derive(Debug, Args)]
pub(super) struct DisruptionBudget {
    name: String,
    /// The labels of its Pods
    #[arg(long)]
    selector: Option<String>,
    /// How many Pods must stay, as number or share
    #[arg(long)]
    min_available: Option<String>,
    /// How many Pods may be lacking, as number or share
    #[arg(long)]
    max_unavailable: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl DisruptionBudget {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let Some(selector) = given(self.selector) else {
            return Err(Fault::refused("a selector must be specified"));
        };
        let (field, amount) = match (given(self.min_available), given(self.max_unavailable)) {
            (Some(least), None) => (("minAvailable", "min-available"), least),
            (None, Some(most)) => (("maxUnavailable", "max-unavailable"), most),
            (None, None) => {
                return Err(Fault::refused(
                    "one of min-available or max-unavailable must be specified",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(Fault::refused(
                    "min-available and max-unavailable cannot be both specified",
                ));
            }
        };
        let digits = amount.strip_suffix('%').unwrap_or(&amount);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::refused(format!("invalid format specified for {}", field.1)));
        }
        let mut spec = json!({"selector": label_selector(&selector)?});
        spec[field.0] = int_or_string(&amount);
        let object = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": self.name},
            "spec": spec,
            "status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
        });
        self.common.submit(ctx, object, Some("failed to create poddisruptionbudgets:")).await
    }
}
