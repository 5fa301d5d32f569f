//! `/containerLogs`: a container's log as chunks of text, each sent as soon as it is there.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::{HeaderValue, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use podo_api::{Reason, Status};
use podo_base::Timestamp;

use super::Node;
use super::query::Query;
use super::reply::Response;
use super::route::ContainerPath;
use crate::logs::{LogRequest, LogStreams};

/// Answers with a log. The stream is dropped with the connection, so following ends with the client.
pub(super) async fn logs(
    node: &dyn Node,
    container: ContainerPath,
    query: &Query,
) -> Result<Response, Status> {
    let request = request(container, query, node.now())?;
    let log = node.logs(request).await?;
    let body = StreamBody::new(log.map(|piece| piece.map(Frame::data))).boxed_unsync();
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

fn request(container: ContainerPath, query: &Query, now: Timestamp) -> Result<LogRequest, Status> {
    let undecodable = || Status::bad_request(r#"{"message": "Unable to decode query."}"#);
    let number = |key: &str, minimum: i64| -> Result<Option<u64>, Status> {
        let value = query.integer(key, undecodable)?;
        value
            .map(|value| u64::try_from(value).ok().filter(|_| value >= minimum).ok_or_else(invalid))
            .transpose()
    };
    let since_seconds = number("sinceSeconds", 1)?;
    let since_time = query
        .get("sinceTime")
        .map(|text| Timestamp::parse(text).ok_or_else(undecodable))
        .transpose()?;
    if since_seconds.is_some() && since_time.is_some() {
        return Err(invalid());
    }
    let since =
        since_seconds.map(|seconds| before(now, Duration::from_secs(seconds))).or(since_time);
    // `tail` is what the option was called before; `all` is as good as nothing.
    let tail =
        if query.get("tail").is_some_and(|tail| tail != "all") { "tail" } else { "tailLines" };
    Ok(LogRequest {
        namespace: container.namespace,
        pod: container.pod,
        container: container.container,
        follow: query.flag("follow"),
        previous: query.flag("previous"),
        timestamps: query.flag("timestamps"),
        since,
        tail_lines: number(tail, 0)?,
        limit_bytes: number("limitBytes", 1)?,
        stream: LogStreams::All,
    })
}

fn before(now: Timestamp, length: Duration) -> Timestamp {
    let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(micros))
}

fn invalid() -> Status {
    Status::failure(Reason::Invalid, r#"{"message": "Invalid request."}"#)
}
