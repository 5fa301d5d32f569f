//! One HTTP request from its head to its answer: who, what, may they, do it, tell it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, header};
use http_body_util::BodyExt as _;
use podo_api::duration::GoDuration;
use podo_api::{Status, boolean};
use podo_registry::{Storage, Verb};

use super::body::{BodyError, Response, full, read};
use super::events;
use super::headers::header_text;
use super::lists;
use super::negotiate::{self, Form, Rendering, Wanted};
use super::render::{self, Context};
use super::route::{self, Resource, Route};
use super::table::IncludeObject;
use super::websocket::{self, Framing};
use crate::authn::Peer;
use crate::authz::request_info::RequestInfo;
use crate::call::{Body, Call, Outcome, Warnings};
use crate::metrics::RequestKey;
use crate::options::{MANAGER_BYTES_MAX, Options};
use crate::server::Server;
use crate::subresources::{self, StreamRequest};
use crate::user::User;
use crate::verbs;

/// How long a request may take that is not a stream (Kubernetes v1.36 `--request-timeout`).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// All warnings of an answer together, and one of them where they are longer, in letters (Kubernetes v1.36 `warning` filter).
const WARNINGS_LETTERS_MAX: usize = 4 * 1024;
const WARNING_LETTERS_MAX: usize = 256;

/// Answers a request.
pub(crate) async fn handle<B>(
    server: &Arc<Server>,
    request: http::Request<B>,
    peer: &Peer,
) -> Response
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    let audit_id =
        header_text(request.headers(), "audit-id").map_or_else(podo_base::uid, str::to_owned);
    let warnings = Warnings::default();
    let mut response = match respond(server, request, peer, &warnings).await {
        Ok(response) => response,
        Err((status, rendering)) => render::failure(&status, &rendering),
    };
    finish(&mut response, &audit_id, &warnings);
    response
}

type Failure = (Status, Rendering);

async fn respond<B>(
    server: &Arc<Server>,
    request: http::Request<B>,
    peer: &Peer,
    warnings: &Warnings,
) -> Result<Response, Failure>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    let (parts, body) = request.into_parts();
    let plain = |status: Status| {
        let accepted = negotiate::negotiate(header_text(&parts.headers, "accept"), Wanted::Plain);
        (status, accepted.unwrap_or_else(|(_, rendering)| rendering))
    };
    let user = server.authenticate(&parts, peer).map_err(plain)?;
    let options = route::parse_query(parts.uri.query().unwrap_or(""));
    match route::route(&parts.method, parts.uri.path(), &options) {
        Ok(Route::Resource(resource)) => {
            let (began, key) = (Instant::now(), request_key(&resource));
            let exchange = Exchange { server, parts: &parts, user, options, resource, warnings };
            let answer = if subresources::is_stream(&exchange.resource.target) {
                exchange.stream(body, peer).await
            } else {
                exchange.respond(body).await
            };
            let code = answer
                .as_ref()
                .map_or_else(|(status, _)| status.code, |answer| answer.status().as_u16());
            server.metrics.record(RequestKey { code, ..key }, began.elapsed());
            answer
        }
        Ok(Route::Other) => {
            authorize_path(server, &user, &parts).map_err(plain)?;
            server.serve_path(&parts, &options, &user).map_err(plain)
        }
        Err(status) => {
            // Who may not ask is not told what there is.
            authorize_path(server, &user, &parts).map_err(plain)?;
            Err(plain(status))
        }
    }
}

fn authorize_path(server: &Server, user: &User, parts: &Parts) -> Result<(), Status> {
    let info = RequestInfo::of(parts);
    server.api.authorize(&info.attributes(user)).map_err(|denial| denial.status())
}

fn request_key(resource: &Resource) -> RequestKey {
    let target = &resource.target;
    let names = &target.definition.names;
    RequestKey {
        verb: resource.verb.as_str(),
        group: names.group,
        version: names.version,
        resource: names.plural,
        subresource: target.subresource_name(),
        scope: match (target.name.is_empty(), target.namespace.is_empty()) {
            (false, _) => "resource",
            (true, false) => "namespace",
            (true, true) => "cluster",
        },
        code: 0,
    }
}

fn timeout(options: &Options) -> Result<Duration, Status> {
    let Some(text) = options.get("timeout").filter(|text| !text.is_empty()) else {
        return Ok(REQUEST_TIMEOUT);
    };
    match text.parse::<GoDuration>().map(GoDuration::to_std) {
        Ok(asked) if asked.is_zero() => Ok(REQUEST_TIMEOUT),
        Ok(asked) => Ok(asked.min(REQUEST_TIMEOUT)),
        Err(error) => Err(Status::bad_request(format!(
            "invalid timeout specified in the request URL - {error}"
        ))),
    }
}

/// A request to a resource.
struct Exchange<'a> {
    server: &'a Arc<Server>,
    parts: &'a Parts,
    user: Arc<User>,
    options: Options,
    resource: Resource,
    warnings: &'a Warnings,
}

impl Exchange<'_> {
    /// Answers with a stream from elsewhere, which may take as long as it likes and be of any type.
    async fn stream<B>(self, body: B, peer: &Peer) -> Result<Response, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let rendering = self.rendering().unwrap_or_else(|(_, fallback)| fallback);
        let stream = StreamRequest {
            parts: self.parts,
            peer,
            user: &self.user,
            options: &self.options,
            resource: &self.resource,
            warnings: self.warnings,
        };
        let body = body.map_err(Into::into).boxed_unsync();
        let answer = subresources::stream(self.server, &stream, body).await;
        answer.map_err(|status| (status, Rendering { form: Form::Whole, ..rendering }))
    }

    async fn respond<B>(self, body: B) -> Result<Response, Failure>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let rendering = self.rendering()?;
        let told = |status: Status| (status, Rendering { form: Form::Whole, ..rendering });
        let timeout = timeout(&self.options).map_err(told)?;
        let include = IncludeObject::parse(self.options.get("includeObject"));
        let context = Context {
            rendering,
            include: include.map_err(told)?,
            accepts_gzip: header_text(&self.parts.headers, "accept-encoding")
                .is_some_and(|encodings| encodings.contains("gzip")),
            now: self.server.api.clock.now(),
        };
        let clock = Arc::clone(&self.server.api.clock);
        let outcome = tokio::time::timeout(timeout, self.outcome(body)).await;
        let outcome =
            outcome.map_err(|_| told(timed_out())).and_then(|outcome| outcome.map_err(told))?;
        match outcome {
            Outcome::Watch(watch) => {
                let mut response = http::Response::new(events::stream_body(
                    watch,
                    rendering,
                    context.include,
                    clock,
                ));
                let content_type = match rendering.encoding {
                    crate::encoding::Encoding::Protobuf => {
                        "application/vnd.kubernetes.protobuf;stream=watch"
                    }
                    _ => "application/json",
                };
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
                if websocket::is_requested(&self.parts.headers) {
                    let is_protobuf = rendering.encoding == crate::encoding::Encoding::Protobuf;
                    let framing = if is_protobuf { Framing::Lengths } else { Framing::Lines };
                    return websocket::watch(self.server, self.parts, response, framing)
                        .map_err(told);
                }
                Ok(response)
            }
            Outcome::List(list) => lists::respond(list, &context).map_err(told),
            outcome => render::outcome(outcome, &context).map_err(told),
        }
    }

    fn rendering(&self) -> Result<Rendering, Failure> {
        let wanted = match self.resource.verb {
            Verb::Watch => Wanted::Watch,
            _ if matches!(self.resource.target.definition.storage, Storage::None) => Wanted::Plain,
            _ => Wanted::Object,
        };
        let mut rendering =
            negotiate::negotiate(header_text(&self.parts.headers, "accept"), wanted)?;
        let agent = header_text(&self.parts.headers, "user-agent").unwrap_or("");
        rendering.is_pretty = match self.options.get("pretty").filter(|text| !text.is_empty()) {
            Some(text) => boolean::parse(text) == Some(true),
            None => ["curl", "Wget", "Mozilla/5.0"].iter().any(|known| agent.starts_with(known)),
        };
        Ok(rendering)
    }

    /// Carries the request out. Its body is read only when it is known that the user may, and that there is a place for it.
    async fn outcome<B>(&self, body: B) -> Result<Outcome, Status>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<BodyError>,
    {
        let api = &self.server.api;
        let mut call = self.call();
        verbs::authorize(api, &call)?;
        let _place = self.server.in_flight.enter(&self.user, call.verb).await?;
        call.body = self.body(body).await?;
        let bytes = call.body.wire_len();
        let work = std::pin::pin!(verbs::carry_out(api, call));
        self.server.heavy.carry_out(bytes, work).await
    }

    fn call(&self) -> Call {
        Call {
            user: Arc::clone(&self.user),
            verb: self.resource.verb,
            target: self.resource.target.clone(),
            options: self.options.clone(),
            body: Body::EMPTY,
            agent: manager(header_text(&self.parts.headers, "user-agent")),
            warnings: self.warnings.clone(),
        }
    }

    async fn body<B>(&self, body: B) -> Result<Body, Status>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<BodyError>,
    {
        let content_type = header_text(&self.parts.headers, "content-type");
        Ok(match self.resource.verb {
            Verb::Get | Verb::List | Verb::Watch => Body::EMPTY,
            Verb::Patch => {
                let kind = negotiate::patch_kind(content_type)?;
                Body::Patch(kind, read(body).await?)
            }
            Verb::Create | Verb::Update | Verb::Delete | Verb::DeleteCollection => {
                let encoding = negotiate::body_encoding(content_type)?;
                Body::Bytes(encoding, read(body).await?)
            }
        })
    }
}

/// The manager of fields that a user agent names: its first part, printable and no longer than a manager may be (Kubernetes v1.36
/// `prefixFromUserAgent`).
fn manager(agent: Option<&str>) -> Box<str> {
    let agent = agent.unwrap_or("unknown");
    let name = agent.split('/').next().unwrap_or(agent);
    let printable = name.chars().filter(|letter| !letter.is_control());
    let mut kept = String::new();
    for letter in printable {
        if kept.len() + letter.len_utf8() > MANAGER_BYTES_MAX {
            break;
        }
        kept.push(letter);
    }
    kept.into()
}

fn timed_out() -> Status {
    Status::timeout(
        "request did not complete within requested timeout - context deadline exceeded",
        0,
    )
}

/// Headers that every answer has.
fn finish(response: &mut Response, audit_id: &str, warnings: &Warnings) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(audit_id) {
        headers.insert("audit-id", id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    for warning in fitting(warnings.take()) {
        let line = format!("299 - \"{}\"", escape_warning(&warning));
        if let Ok(line) = HeaderValue::from_bytes(line.as_bytes()) {
            headers.append(header::WARNING, line);
        }
    }
}

/// Warnings as they are, or, where they are too long together, cut, and as many as fit (Kubernetes v1.36 `warning.AddWarning`).
fn fitting(mut warnings: Vec<String>) -> Vec<String> {
    let letters = |text: &String| text.chars().count();
    if warnings.iter().map(letters).sum::<usize>() <= WARNINGS_LETTERS_MAX {
        return warnings;
    }
    let mut told = 0;
    warnings.retain_mut(|warning| {
        if let Some((end, _)) = warning.char_indices().nth(WARNING_LETTERS_MAX) {
            warning.truncate(end);
        }
        let has_place = told < WARNINGS_LETTERS_MAX;
        told += letters(warning);
        has_place
    });
    warnings
}

/// RFC 7234: a quoted string, in which control characters have no place.
fn escape_warning(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            '\n' | '\t' => out.push(' '),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

/// The answer to a HEAD is that to a GET without its body.
pub(crate) fn without_body(method: &Method, response: Response) -> Response {
    if method == Method::HEAD { response.map(|_| full(Bytes::new())) } else { response }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_cut_only_where_they_are_too_long_together() {
        let lengths = |lengths: &[usize]| -> Vec<usize> {
            let warnings = lengths.iter().map(|length| "é".repeat(*length)).collect();
            fitting(warnings).iter().map(|text| text.chars().count()).collect()
        };
        assert_eq!(lengths(&[3000, 1096]), [3000, 1096]);
        assert_eq!(lengths(&[3000, 1097]), [256, 256]);
        assert_eq!(lengths(&[300; 20]), [256; 16]);
        assert_eq!(lengths(&[4000, 10, 4000]), [256, 10, 256]);
    }

    #[test]
    fn a_user_agent_is_a_manager_of_bounded_length() {
        assert_eq!(&*manager(Some("kubectl/v1.36.2 (linux/amd64)")), "kubectl");
        assert_eq!(&*manager(None), "unknown");
        assert_eq!(&*manager(Some("a\tb")), "ab");
        assert_eq!(manager(Some(&"x".repeat(100_000))).len(), MANAGER_BYTES_MAX);
        assert_eq!(manager(Some(&"\u{d55c}".repeat(100))).len(), 126, "no letter is cut");
    }
}
