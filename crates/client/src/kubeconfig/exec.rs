//! Credentials from a command (KEP-541, `client.authentication.k8s.io`).

use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::json;

use super::{Cluster, Exec, KubeconfigError};

/// What the command gave.
#[derive(Default)]
pub(super) struct Made {
    pub(super) token: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

#[derive(Deserialize)]
struct ExecCredential {
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Runs the command to its end. Its standard error is the user's; its standard input too, for a prompt.
pub(super) fn run(exec: &Exec, cluster: &Cluster) -> Result<Made, KubeconfigError> {
    let mut spec = json!({"interactive": true});
    if exec.other.get("provideClusterInfo").and_then(serde_json::Value::as_bool) == Some(true) {
        spec["cluster"] = json!({"server": cluster.server});
        if let Some(data) = &cluster.certificate_authority_data {
            spec["cluster"]["certificate-authority-data"] = json!(data);
        }
    }
    let info =
        json!({"kind": "ExecCredential", "apiVersion": exec.api_version, "spec": spec}).to_string();
    let output = Command::new(&exec.command)
        .args(&exec.args)
        .env("KUBERNETES_EXEC_INFO", info)
        .envs(exec.env.iter().map(|variable| (&variable.name, &variable.value)))
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output();
    let failed = |how: String| KubeconfigError::Exec { command: exec.command.clone(), how };
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(match output.status.code() {
            Some(code) => format!("exit code {code}"),
            None => "a signal".into(),
        }));
    }
    let made: ExecCredential = serde_json::from_slice(&output.stdout)
        .map_err(|source| KubeconfigError::ExecOutput { command: exec.command.clone(), source })?;
    let ExecCredential { status } = made;
    Ok(Made {
        token: status.token,
        certificate: status.client_certificate_data,
        key: status.client_key_data,
    })
}
