use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, stream};
use podo_base::Tasks;

use super::*;
use crate::transport::{ObjectList, Payload, Reply, Transport, Verb, WatchStream};

/// A server that is closing: its watches end at once.
#[derive(Default)]
struct Closing {
    watches: Arc<AtomicUsize>,
}

impl Transport for Closing {
    fn send(&self, _request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        let list = ObjectList { items: Vec::new(), revision: 1, continue_token: String::new() };
        async { Ok(Reply::List(list)) }.boxed()
    }

    fn watch(&self, _request: Request) -> BoxFuture<'_, Result<WatchStream, Status>> {
        self.watches.fetch_add(1, Ordering::Relaxed);
        async { Ok(stream::empty().boxed()) }.boxed()
    }
}

struct Nobody;

impl Sink for Nobody {
    fn listed(&self, _objects: Vec<Arc<Object>>, _revision: u64) {}
    fn put(&self, _object: Arc<Object>) {}
    fn removed(&self, _object: Arc<Object>) {}
}

#[tokio::test]
async fn watches_that_end_at_once_are_not_opened_without_a_pause() {
    let server = Closing::default();
    let watches = Arc::clone(&server.watches);
    let request = Request {
        verb: Verb::List,
        group: "",
        version: "v1",
        plural: "pods",
        namespace: String::new(),
        name: String::new(),
        subresource: "",
        options: Vec::new(),
        payload: Payload::None,
    };
    let mut tasks = Tasks::new("test");
    let client = Client::new(Arc::new(server));
    tasks.spawn("watcher", run(client, request, Nobody, tasks.stop_signal()));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tasks.stop(Duration::from_secs(10)).await;
    assert_eq!(watches.load(Ordering::Relaxed), 1);
}
