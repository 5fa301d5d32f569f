//! Who is served.

use super::*;

async fn ask(
    fixture: &mut Fixture,
    user: Option<(&str, &[&str])>,
    token: Option<&str>,
    path: &str,
) -> (u16, String) {
    let stream = fixture.connect_as(user).await;
    let mut sender = fixture.http(stream).await;
    let mut request = get(path);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", value);
    }
    text_of(sender.send_request(request).await.unwrap()).await
}

#[tokio::test]
async fn nobody_is_served_without_a_name() {
    let mut fixture = Fixture::start().await;
    for path in ["/healthz", "/pods", "/exec/default/p/c?command=cat&output=1", "/nowhere"] {
        let answer = ask(&mut fixture, None, None, path).await;
        assert_eq!(answer, (401, "Unauthorized".to_owned()), "{path}");
    }
    let answer = ask(&mut fixture, None, Some("stolen"), "/metrics").await;
    assert_eq!(answer, (401, "Unauthorized".to_owned()));
    fixture.stop().await;
}

#[tokio::test]
async fn the_api_server_and_masters_may_all_and_others_what_the_review_allows() {
    let mut fixture = Fixture::start().await;
    let none: &[&str] = &[];
    let rows = [
        (Some(("kube-apiserver-kubelet-client", none)), None, "/healthz", 200),
        (Some(("admin", &["system:masters"][..])), None, "/healthz", 200),
        (Some(("system:node:other", &["system:nodes"][..])), None, "/healthz", 403),
        (None, Some("scraper"), "/metrics", 200),
        (None, Some("scraper"), "/metrics/resource", 200),
        (None, Some("scraper"), "/metricsandmore", 403),
        (None, Some("scraper"), "/containerLogs/default/p/c", 403),
        (None, Some("reader"), "/metrics", 403),
    ];
    for (user, token, path, expected) in rows {
        let (code, text) = ask(&mut fixture, user, token, path).await;
        assert_eq!(code, expected, "{user:?} {token:?} {path}: {text}");
    }
    let (_, text) = ask(&mut fixture, None, Some("reader"), "/pods").await;
    let expected =
        r#"Forbidden (user=reader, verb=get, resource=nodes, subresource(s)=["pods", "proxy"])"#;
    assert_eq!(text, expected);
    fixture.stop().await;
}
