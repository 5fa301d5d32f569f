//! From a URL to what it means: six shapes of paths, and the few that name no resource.

use podo_api::{Status, names};
use podo_registry::{Definition, Verb};

use crate::call::Target;
use crate::options::Options;

/// What a request is about.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// A resource.
    Resource(Resource),
    /// Anything else; the path is looked at again by who serves it.
    Other,
}

/// A resource and what is to be done with it.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) target: Target,
    pub(crate) verb: Verb,
}

/// A path as a resource's URL is read.
struct Parts {
    group: String,
    version: String,
    segments: Vec<String>,
}

/// The pairs of a query.
pub(crate) fn parse_query(query: &str) -> Options {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_query(key), decode_query(value))
    });
    Options::new(pairs.collect())
}

fn decode_query(text: &str) -> String {
    percent_decode(&text.replace('+', " "))
}

/// Undoes percent encoding; what is malformed stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
        let code = || u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok();
        match code() {
            Some(code) if byte == b'%' => {
                out.push(code);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Finds out what a request means.
pub(crate) fn route(method: &http::Method, path: &str, options: &Options) -> Result<Route, Status> {
    let Some(parts) = split(path) else { return Ok(Route::Other) };
    if !podo_registry::KINDS
        .iter()
        .any(|kind| kind.names.group == parts.group && kind.names.version == parts.version)
    {
        return Ok(Route::Other);
    }
    let Some(found) = find(&parts)? else { return Err(Status::no_such_resource()) };
    let verb = verb(method, &found, options)?;
    let Found { target, .. } = found;
    Ok(Route::Resource(Resource { target: with_namespace_of(target), verb }))
}

/// The request for a namespace itself is authorized in that namespace.
fn with_namespace_of(target: Target) -> Target {
    let names = &target.definition.names;
    if names.group.is_empty() && names.plural == "namespaces" {
        return Target { namespace: target.name.clone(), ..target };
    }
    target
}

fn split(path: &str) -> Option<Parts> {
    let mut segments = path.trim_matches('/').split('/').map(percent_decode);
    let (group, version) = match segments.next()?.as_str() {
        "api" => (String::new(), segments.next()?),
        "apis" => (segments.next()?, segments.next()?),
        _ => return None,
    };
    // A decoded slash separates nothing in Go's router either, but it splits the path there: names hold none.
    let segments: Vec<String> = segments
        .flat_map(|segment| segment.split('/').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    if segments.is_empty() {
        return None;
    }
    Some(Parts { group, version, segments })
}

struct Found {
    target: Target,
    is_watch_path: bool,
}

fn find(parts: &Parts) -> Result<Option<Found>, Status> {
    let mut segments = parts.segments.as_slice();
    let is_watch_path = segments.first().is_some_and(|first| first == "watch");
    if is_watch_path {
        segments = &segments[1..];
    }
    let lookup = |plural: &str| podo_registry::find(&parts.group, &parts.version, plural);
    let (namespace, tail) = match segments {
        [first, namespace, resource, ..]
            if first == "namespaces" && !is_namespace_subresource(resource) =>
        {
            (namespace.as_str(), &segments[2..])
        }
        _ => ("", segments),
    };
    let [resource, name_and_more @ ..] = tail else { return Ok(None) };
    let Some(definition) = lookup(resource) else { return Ok(None) };
    if namespace.is_empty() && definition.is_namespaced() && !name_and_more.is_empty() {
        return Ok(None);
    }
    if !namespace.is_empty() && !definition.is_namespaced() {
        return Ok(None);
    }
    let Some(target) = target(definition, namespace, name_and_more)? else {
        return Ok(None);
    };
    if is_watch_path && target.subresource.is_some() {
        return Ok(None);
    }
    Ok(Some(Found { target, is_watch_path }))
}

/// Under a namespace's own URL there are its subresources and everything that lives in it.
fn is_namespace_subresource(segment: &str) -> bool {
    matches!(segment, "status" | "finalize")
}

fn target(
    definition: &'static Definition,
    namespace: &str,
    tail: &[String],
) -> Result<Option<Target>, Status> {
    let name = tail.first().map_or("", String::as_str);
    if let Some(problem) =
        names::path_segment_name(name).into_iter().next().filter(|_| !name.is_empty())
    {
        let shown = podo_api::field::quoted(name);
        return Err(Status::bad_request(format!("Name parameter invalid: {shown}: {problem}")));
    }
    let subresource = match tail {
        [] | [_] => None,
        [_, empty] if empty.is_empty() => None,
        [_, name, more @ ..] => match definition.subresource(name) {
            // Only behind a proxy the path goes on.
            Some(subresource) if more.is_empty() || name == "proxy" => Some(subresource),
            _ => return Ok(None),
        },
    };
    Ok(Some(Target { definition, namespace: namespace.into(), name: name.into(), subresource }))
}

fn verb(method: &http::Method, found: &Found, options: &Options) -> Result<Verb, Status> {
    let target = &found.target;
    let is_collection = target.name.is_empty();
    let is_watch = found.is_watch_path || options.flag("watch");
    let verb = match *method {
        http::Method::GET | http::Method::HEAD if is_collection && is_watch => Verb::Watch,
        http::Method::GET | http::Method::HEAD
            if is_watch && target.subresource.is_none() && found.is_watch_path =>
        {
            Verb::Watch
        }
        http::Method::GET | http::Method::HEAD if is_collection => Verb::List,
        http::Method::GET | http::Method::HEAD => Verb::Get,
        http::Method::POST => Verb::Create,
        http::Method::PUT => Verb::Update,
        http::Method::PATCH => Verb::Patch,
        http::Method::DELETE if is_collection => Verb::DeleteCollection,
        http::Method::DELETE => Verb::Delete,
        // A proxy takes it as well; it has no verb of its own, and who asks is authorized for none ([`crate::subresources`]).
        http::Method::OPTIONS if target.subresource_name() == "proxy" => Verb::Get,
        _ => return Err(not_allowed()),
    };
    let needs_name = matches!(verb, Verb::Update | Verb::Patch);
    let verbs = target.subresource.map_or(target.definition.verbs, |subresource| subresource.verbs);
    let is_served = verbs.contains(&verb);
    let fits = match verb {
        Verb::Create => is_collection || target.subresource.is_some(),
        _ => !(needs_name && is_collection),
    };
    // All namespaces together can only be read.
    let is_read_only = target.definition.is_namespaced()
        && target.namespace.is_empty()
        && !matches!(verb, Verb::List | Verb::Watch)
        && is_collection
        && target.definition.verbs.contains(&Verb::List);
    if is_served && fits && !is_read_only { Ok(verb) } else { Err(not_allowed()) }
}

fn not_allowed() -> Status {
    let mut status = Status::failure(
        podo_api::Reason::MethodNotAllowed,
        "the server does not allow this method on the requested resource",
    );
    status.details = Some(Box::default());
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_digits_behind_a_percent_sign_are_a_byte() {
        assert_eq!(percent_decode("a%2Fb%e2%82%ac"), "a/b€");
        assert_eq!(percent_decode("%+5 %-1 %g0 %2 %"), "%+5 %-1 %g0 %2 %");
    }
}
