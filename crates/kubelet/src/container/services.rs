//! The environment variables by which a container finds Services (Kubernetes v1.36 `pkg/kubelet/envvars`).

use podo_api::k8s_openapi::api::core::v1 as k8s;

/// The namespace and name of the Service of the API server itself, which every Pod gets.
const API_SERVER: (&str, &str) = ("default", "kubernetes");

/// The variables for a Pod of `namespace`. Without `links` only those of the API server's Service.
pub(crate) fn variables(
    services: &[k8s::Service],
    namespace: &str,
    links: bool,
) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for service in services {
        let metadata = &service.metadata;
        let own = metadata.namespace.as_deref().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        let is_api_server = (own, name) == API_SERVER;
        // A namespace's own Service of that name goes before the API server's.
        let is_shadowed = is_api_server
            && own != namespace
            && links
            && services.iter().any(|other| {
                other.metadata.namespace.as_deref() == Some(namespace)
                    && other.metadata.name.as_deref() == Some(API_SERVER.1)
                    && cluster_ip(other).is_some()
            });
        if (is_api_server && !is_shadowed) || (links && own == namespace) {
            add_service(name, service, &mut variables);
        }
    }
    variables
}

/// The address of a Service that has one; none of a headless one.
fn cluster_ip(service: &k8s::Service) -> Option<&str> {
    let ip = service.spec.as_ref()?.cluster_ip.as_deref()?;
    (!ip.is_empty() && ip != "None").then_some(ip)
}

fn add_service(name: &str, service: &k8s::Service, variables: &mut Vec<(String, String)>) {
    let Some(ip) = cluster_ip(service) else { return };
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let prefix = variable_name(name);
    let mut add = |key: String, value: String| variables.push((key, value));
    for (index, port) in ports.clone().enumerate() {
        if index == 0 {
            add(format!("{prefix}_SERVICE_HOST"), ip.to_owned());
            add(format!("{prefix}_SERVICE_PORT"), port.port.to_string());
        }
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let port_name = variable_name(port_name);
            add(format!("{prefix}_SERVICE_PORT_{port_name}"), port.port.to_string());
        }
    }
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    for (index, port) in ports.enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let lower = protocol.to_ascii_lowercase();
        let number = port.port;
        let url = format!("{lower}://{host}:{number}");
        if index == 0 {
            add(format!("{prefix}_PORT"), url.clone());
        }
        let link = format!("{prefix}_PORT_{number}_{}", protocol.to_ascii_uppercase());
        add(link.clone(), url);
        add(format!("{link}_PROTO"), lower);
        add(format!("{link}_PORT"), number.to_string());
        add(format!("{link}_ADDR"), ip.to_owned());
    }
}

fn variable_name(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn services() -> Vec<k8s::Service> {
        let all = json!([
            {"metadata": {"namespace": "default", "name": "kubernetes"},
             "spec": {"clusterIP": "10.43.0.1", "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]}},
            {"metadata": {"namespace": "n", "name": "my-db"},
             "spec": {"clusterIP": "10.43.0.9", "ports": [{"port": 5432, "protocol": "TCP"}]}},
            {"metadata": {"namespace": "n", "name": "headless"},
             "spec": {"clusterIP": "None", "ports": [{"port": 1}]}},
            {"metadata": {"namespace": "other", "name": "hidden"},
             "spec": {"clusterIP": "10.43.0.8", "ports": [{"port": 1}]}}
        ]);
        serde_json::from_value(all).expect("services")
    }

    #[test]
    fn a_pod_finds_the_services_of_its_namespace_and_the_api_server() {
        let found = variables(&services(), "n", true);
        let text: Vec<String> = found.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            text,
            [
                "KUBERNETES_SERVICE_HOST=10.43.0.1",
                "KUBERNETES_SERVICE_PORT=443",
                "KUBERNETES_SERVICE_PORT_HTTPS=443",
                "KUBERNETES_PORT=tcp://10.43.0.1:443",
                "KUBERNETES_PORT_443_TCP=tcp://10.43.0.1:443",
                "KUBERNETES_PORT_443_TCP_PROTO=tcp",
                "KUBERNETES_PORT_443_TCP_PORT=443",
                "KUBERNETES_PORT_443_TCP_ADDR=10.43.0.1",
                "MY_DB_SERVICE_HOST=10.43.0.9",
                "MY_DB_SERVICE_PORT=5432",
                "MY_DB_PORT=tcp://10.43.0.9:5432",
                "MY_DB_PORT_5432_TCP=tcp://10.43.0.9:5432",
                "MY_DB_PORT_5432_TCP_PROTO=tcp",
                "MY_DB_PORT_5432_TCP_PORT=5432",
                "MY_DB_PORT_5432_TCP_ADDR=10.43.0.9",
            ]
        );
    }

    #[test]
    fn without_links_only_the_api_server_is_found() {
        assert_eq!(variables(&services(), "n", false).len(), 8);
    }
}
