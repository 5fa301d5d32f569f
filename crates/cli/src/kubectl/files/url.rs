//! Files that are read over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use podo_client::https::{Client, Credentials, Endpoint, Impersonation, TlsOptions};

use super::super::fault::{Fault, Outcome, quoted};

/// How often a server that fails is asked, as kubectl does.
const ATTEMPTS: u32 = 3;
/// How long is waited between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// How many redirects are followed, as Go does.
const REDIRECTS_MAX: u32 = 10;

/// Refuses what is no URL.
pub(super) fn check(url: &str) -> Outcome {
    let failed = |why: String| {
        let url = quoted(url);
        Fault::refused(format!("the URL passed to filename {url} is not valid: parse {url}: {why}"))
    };
    for (at, _) in url.match_indices('%') {
        let code: String = url[at + 1..].chars().take(2).collect();
        if code.len() < 2 || !code.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(failed(format!("invalid URL escape {}", quoted(&format!("%{code}")))));
        }
    }
    match url.parse::<Uri>() {
        Ok(uri) if uri.host().is_some() => Ok(()),
        Ok(_) => Err(failed("no host in request URL".to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The text behind a URL. A server that fails or cannot be reached is asked again.
pub(super) async fn read(url: &str) -> Result<String, Fault> {
    let mut attempt = 1;
    loop {
        let (fault, is_final) = match get(url).await {
            Ok(Answer { status: StatusCode::OK, body, .. }) => {
                return Ok(String::from_utf8_lossy(&body).into_owned());
            }
            Ok(Answer { status, told, .. }) => {
                let fault = Fault::refused(format!(
                    "unable to read URL {}, server reported {told}, status code={}",
                    quoted(url),
                    status.as_u16()
                ));
                (fault, !status.is_server_error())
            }
            Err(fault) => (fault, false),
        };
        if is_final || attempt == ATTEMPTS {
            return Err(fault);
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a server said.
struct Answer {
    status: StatusCode,
    /// The status in the server's words.
    told: String,
    body: Bytes,
}

/// The status as the server wrote it, as in `404 Not Found`.
fn told(response: &Response<Incoming>) -> String {
    let status = response.status();
    let own = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let own = own.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
    let reason = own.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().to_owned());
    format!("{} {reason}", status.as_u16())
}

/// Asks once and follows redirects.
async fn get(url: &str) -> Result<Answer, Fault> {
    let mut url = url.to_owned();
    for _ in 0..=REDIRECTS_MAX {
        let client = client(&url)?;
        let response = client.request(request(&url)?).await?;
        let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        match target.filter(|_| response.status().is_redirection()) {
            Some(target) => url = joined(&url, target),
            None => {
                let (status, told) = (response.status(), told(&response));
                let body = response.into_body().collect().await?.to_bytes();
                return Ok(Answer { status, told, body });
            }
        }
    }
    Err(Fault::refused(format!("Get {}: stopped after 10 redirects", quoted(&url))))
}

fn request(url: &str) -> Result<Request<Bytes>, Fault> {
    let uri: Uri = url.parse().map_err(|error| Fault::refused(format!("{error}")))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Request::get(path).body(Bytes::new()).map_err(|error| Fault::refused(error.to_string()))
}

/// A client of the server of a URL, which believes the authorities that the system does.
fn client(url: &str) -> Result<Client, Fault> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    Ok(Client::new(&Endpoint {
        server: format!("{scheme}://{authority}"),
        tls: TlsOptions::default(),
        credentials: Credentials::default(),
        impersonation: Impersonation::default(),
        user_agent: "Go-http-client/1.1".into(),
        timeout: None,
    })?)
}

/// Where a redirect leads.
fn joined(base: &str, target: &str) -> String {
    if target.contains("://") {
        return target.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("http", base));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(host) = target.strip_prefix("//") {
        return format!("{scheme}://{host}");
    }
    match target.strip_prefix('/') {
        Some(path) => format!("{scheme}://{authority}/{path}"),
        None => {
            let folder =
                path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            format!("{scheme}://{authority}/{folder}{target}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_redirect_is_taken_from_where_it_stands() {
        let base = "http://h:1/a/b?q";
        for (target, expected) in [
            ("https://x/y", "https://x/y"),
            ("/c", "http://h:1/c"),
            ("c", "http://h:1/a/c"),
            ("//o/c", "http://o/c"),
        ] {
            assert_eq!(joined(base, target), expected, "{target}");
        }
        assert_eq!(joined("http://h", "c"), "http://h/c");
    }
}
