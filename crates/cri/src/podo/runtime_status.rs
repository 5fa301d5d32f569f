//! Version, Status and RuntimeConfig: who the runtime is and what it can do.

use super::Node;
use crate::v1;

/// The runtime's name: what container ids begin with (`podo://…`).
const NAME: &str = "podo";

/// The version of CRI that is spoken.
const API_VERSION: &str = "v1";

/// Names by which a RuntimeClass reaches this runtime; the empty one is the default.
pub(super) const HANDLERS: [&str; 2] = ["", NAME];

impl Node {
    pub(super) fn version(&self) -> v1::VersionResponse {
        v1::VersionResponse {
            version: "0.1.0".to_owned(), // Of the kubelet's runtime API: every runtime says this.
            runtime_name: NAME.to_owned(),
            runtime_version: self.config.version.clone(),
            runtime_api_version: API_VERSION.to_owned(),
        }
    }

    /// Both conditions hold from the moment that the runtime is open: opening fails where they would not.
    pub(super) fn status(&self) -> v1::StatusResponse {
        let is_open = self.events.lock().is_some();
        let condition = |name: &str| v1::RuntimeCondition {
            r#type: name.to_owned(),
            status: is_open,
            reason: if is_open { String::new() } else { "ShuttingDown".to_owned() },
            message: String::new(),
        };
        let handler = |name: &str| v1::RuntimeHandler {
            name: name.to_owned(),
            features: Some(v1::RuntimeHandlerFeatures {
                recursive_read_only_mounts: true,
                user_namespaces: true,
            }),
        };
        v1::StatusResponse {
            status: Some(v1::RuntimeStatus {
                conditions: vec![condition(v1::RUNTIME_READY), condition(v1::NETWORK_READY)],
            }),
            runtime_handlers: HANDLERS.map(handler).to_vec(),
            features: Some(v1::RuntimeFeatures {
                supplemental_groups_policy: true,
                user_namespaces_host_network: false,
            }),
            ..v1::StatusResponse::default()
        }
    }

    #[expect(clippy::unused_self, reason = "one form for all verbs")]
    pub(super) fn runtime_config(&self) -> v1::RuntimeConfigResponse {
        let linux =
            v1::LinuxRuntimeConfiguration { cgroup_driver: v1::CgroupDriver::Cgroupfs as i32 };
        v1::RuntimeConfigResponse { linux: Some(linux) }
    }
}
