//! `/version`: which Kubernetes this is.

use serde_json::json;

use crate::http::{Response, respond};

/// The version of Kubernetes whose API is served.
pub const KUBERNETES_VERSION: &str = "v1.36.2";

/// The answer to `/version`, which upstream indents for people.
pub(crate) fn serve() -> Response {
    let info = json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": KUBERNETES_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": "linux/amd64",
    });
    respond(200, serde_json::to_vec_pretty(&info).unwrap_or_default(), "application/json", false)
}
