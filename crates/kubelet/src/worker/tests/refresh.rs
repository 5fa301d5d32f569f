//! Volumes of a Pod that is not yet whole: they go on being kept current.

use super::*;

fn pod_with_token(second_image: &str) -> Value {
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    let mut containers = [container("a"), container("b")];
    containers[0]["volumeMounts"] = mount;
    containers[1]["image"] = json!(second_image);
    let sources = json!([{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}]);
    json!({"serviceAccountName": "robot", "containers": containers,
        "volumes": [{"name": "v", "projected": {"sources": sources}}]})
}

impl Node {
    fn token(&self) -> String {
        let path = "root/pods/uid-p/volumes/kubernetes.io~projected/v/token";
        std::fs::read_to_string(self.dir.path().join(path)).unwrap_or_default()
    }

    /// Lets time go on until the file of the token is as it should be; returns how long that took.
    async fn until_token(&self, text: &str) -> Duration {
        let began = tokio::time::Instant::now();
        while self.token() != text {
            assert!(began.elapsed() < PATIENCE, "last seen: {:?}", self.token());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        began.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends_even_while_a_pull_hangs() {
    for second_image in ["i:1", "hangs:1"] {
        let mut node = node().await;
        node.server
            .put("serviceaccounts", json!({"metadata": {"namespace": "n", "name": "robot"}}));
        node.put(pod_with_token(second_image));
        node.wait(is_running).await;
        assert_eq!(node.token(), "token-1", "{second_image}");
        // Four fifths of its hour.
        let took = node.until_token("token-2").await.as_secs();
        assert!((2870..=2890).contains(&took), "{second_image}: {took}");
        let took = node.until_token("token-3").await.as_secs();
        assert!((2900..PATIENCE.as_secs()).contains(&took), "{second_image}: {took}");
        assert_eq!(restarts(&node.server.get("pods", "n", "p")), 0);
        node.server.delete_pod("n", "p", 1);
        node.wait(Value::is_null).await;
        node.stop().await;
        node.assert_sound();
    }
}
