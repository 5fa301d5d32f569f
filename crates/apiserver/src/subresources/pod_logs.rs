//! `PodLogOptions`: what of a container's log is asked for, and of which container.

use podo_api::field::{Errors, Path};
use podo_api::status::GroupResource;
use podo_api::{Status, Value, meta, tree};

use crate::options::Options;

const KIND: GroupResource<'static> = GroupResource { group: "", resource: "PodLogOptions" };

/// Checks the options of a log request and returns the query for the node.
pub(super) fn check(options: &Options, name: &str) -> Result<Options, Status> {
    let mut errors = Errors::new();
    let mut query = Options::default();
    for (field, minimum, text) in [
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("limitBytes", 1, "must be greater than 0"),
        ("sinceSeconds", 1, "must be greater than 0"),
    ] {
        if let Some(value) = options.integer(field)? {
            if value < minimum {
                errors.invalid_value(&Path::new(field), value, text);
            }
            query = query.with(field, value.to_string());
        }
    }
    let since = options.get("sinceTime").unwrap_or("");
    if !since.is_empty() {
        podo_api::duration::parse_time(since).map_err(Status::bad_request)?;
        if options.get("sinceSeconds").is_some() {
            let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            errors.forbidden(&Path::new("[]"), why);
        }
        query = query.with("sinceTime", since);
    }
    for flag in ["follow", "previous", "timestamps"] {
        if options.flag(flag) {
            query = query.with(flag, "true");
        }
    }
    if errors.is_empty() { Ok(query) } else { Err(Status::invalid(KIND, name, errors)) }
}

/// The container that a request means: the one it names, or the only one.
pub(super) fn container<'a>(pod: &'a Value, asked: &'a str) -> Result<&'a str, Status> {
    let pod_name = meta::name(pod);
    let names = |list: &str| -> Vec<&'a str> {
        tree::items_at(pod, &["spec", list])
            .iter()
            .map(|container| tree::str_at(container, &["name"]))
            .collect()
    };
    let (containers, init, ephemeral) =
        (names("containers"), names("initContainers"), names("ephemeralContainers"));
    if !asked.is_empty() {
        let is_known = [&containers, &init, &ephemeral].iter().any(|list| list.contains(&asked));
        return if is_known {
            Ok(asked)
        } else {
            Err(Status::bad_request(format!("container {asked} is not valid for pod {pod_name}")))
        };
    }
    match containers.as_slice() {
        [only] if init.is_empty() && ephemeral.is_empty() => Ok(only),
        [only] => {
            // Upstream takes the only app container where the others are not app containers.
            Ok(only)
        }
        _ => {
            let mut text = format!(
                "a container name must be specified for pod {pod_name}, choose one of: [{}]",
                containers.join(" ")
            );
            for (list, what) in [(&init, "init"), (&ephemeral, "ephemeral")] {
                if !list.is_empty() {
                    text = format!("{text} or one of the {what} containers: [{}]", list.join(" "));
                }
            }
            Err(Status::bad_request(text))
        }
    }
}
