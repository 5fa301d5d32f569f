//! The collector against a server whose answers the test chooses.

use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use podo_api::status::GroupResource;
use podo_base::SystemClock;
use podo_client::Client;
use podo_client::transport::{ObjectList, Payload, Reply, Request, Transport, WatchStream};

use super::graph::tests::{KINDS, object};
use super::*;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// So often everybody else may go on before it counts as settled that nobody does anything.
const TURNS: usize = 500;

/// A server with a few objects whose watches say nothing.
struct Server {
    objects: Mutex<Vec<Arc<Object>>>,
    /// What was written.
    said: Mutex<Vec<String>>,
    /// Whether Nodes can be listed.
    is_open: watch::Sender<bool>,
    /// Answers of the next requests with a verb for a resource, instead of what is true.
    faults: Mutex<Vec<(Verb, &'static str, Status)>>,
}

impl Server {
    /// A server with objects as [`object`] reads them, at the revisions 1, 2, …
    fn new(lines: &[&str]) -> Arc<Self> {
        let words = lines.iter().map(|line| line.split(' ').collect::<Vec<_>>());
        let objects = words.zip(1..).map(|(words, version)| object(&words, version).1).collect();
        Arc::new(Self {
            objects: Mutex::new(objects),
            said: Mutex::default(),
            is_open: watch::Sender::new(true),
            faults: Mutex::default(),
        })
    }

    fn answer(&self, request: &Request) -> Result<Reply, Status> {
        let mut faults = self.faults.lock();
        let fault = faults
            .iter()
            .position(|(verb, plural, _)| (*verb, *plural) == (request.verb, request.plural));
        if let Some(index) = fault {
            return Err(faults.remove(index).2);
        }
        if request.verb == Verb::Create {
            self.say(format!("create in {}", request.namespace));
            return Ok(Reply::Status(Status::success(201, None)));
        }
        let kind = KINDS.iter().find(|kind| kind.plural == request.plural).expect("known").kind;
        let mut objects = self.objects.lock();
        let is_meant = |object: &Arc<Object>| {
            object.value()["kind"] == kind
                && (request.namespace.is_empty() || *object.namespace == *request.namespace)
                && (request.name.is_empty() || *object.name == *request.name)
        };
        if request.verb == Verb::List {
            let items = objects.iter().filter(|object| is_meant(object)).cloned().collect();
            return Ok(Reply::List(ObjectList {
                items,
                revision: 99,
                continue_token: String::new(),
            }));
        }
        let Some(index) = objects.iter().position(is_meant) else {
            let resource = GroupResource { group: "", resource: request.plural };
            return Err(Status::not_found(resource, &request.name));
        };
        match &request.payload {
            Payload::None => {}
            Payload::Object(body) => {
                let (policy, wanted) = (&body["propagationPolicy"], &body["preconditions"]);
                self.say(format!("delete {} {policy} {wanted}", request.name));
                return Ok(Reply::Object(objects.remove(index)));
            }
            Payload::Patch(_, patch) => self.say(format!("patch {} {patch}", request.name)),
        }
        Ok(Reply::Object(Arc::clone(&objects[index])))
    }

    fn say(&self, what: String) {
        self.said.lock().push(what.replace('"', ""));
    }
}

/// The way to a server.
struct Way(Arc<Server>);

impl Transport for Way {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        async move {
            if request.verb == Verb::List && request.plural == "nodes" {
                let mut is_open = self.0.is_open.subscribe();
                is_open.wait_for(|is_open| *is_open).await.expect("the server is there");
            }
            self.0.answer(&request)
        }
        .boxed()
    }

    fn watch(&self, _request: Request) -> BoxFuture<'_, Result<WatchStream, Status>> {
        async { Ok(stream::pending().boxed()) }.boxed()
    }
}

async fn collecting<T>(server: &Arc<Server>, test: impl Future<Output = T>) -> T {
    let client = Client::new(Arc::new(Way(Arc::clone(server))));
    let manager = client.clone();
    let context = Context {
        client: Box::new(move |_account| client.clone()),
        manager,
        clock: Arc::new(SystemClock),
        ca_pem: "".into(),
        stored: KINDS.to_vec(),
        sign_token: Arc::new(|_subject| async { Ok(String::new()) }.boxed()),
    };
    let mut tasks = Tasks::new("test");
    start(&context, &mut tasks);
    let result = test.await;
    tasks.stop(PATIENCE).await;
    result
}

/// Lets everybody go on until nobody has anything to do.
async fn settled() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// Waits until so much was written, and lets everybody go on after that: just this was.
async fn until_said(server: &Server, expected: &[&str]) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while server.said.lock().len() < expected.len() {
            tokio::task::yield_now().await;
        }
    });
    let _late = waited.await;
    settled().await;
    assert_eq!(*server.said.lock(), expected);
}

const DELETED: &str = "delete a Background {resourceVersion:1,uid:a}";

#[tokio::test]
async fn nothing_is_deleted_before_every_kind_was_listed() {
    let server = Server::new(&["ConfigMap x/a of:Pod/p"]);
    server.is_open.send_replace(false);
    collecting(&server, async {
        settled().await;
        assert_eq!(*server.said.lock(), [""; 0]);
        server.is_open.send_replace(true);
        until_said(&server, &[DELETED]).await;
    })
    .await;
}

#[tokio::test]
async fn who_has_a_living_owner_stays() {
    let server = Server::new(&[
        "ConfigMap x/a of:Pod/p",
        "ConfigMap x/b of:Pod/p of:Node/n",
        "Pod x/p of:Node/n",
        "Node n",
        "ConfigMap x/c of:Unknown/u",
    ]);
    collecting(&server, until_said(&server, &[])).await;
}

#[tokio::test]
async fn an_owner_of_another_uid_or_namespace_is_none() {
    for (line, said) in [
        ("ConfigMap x/a of:Pod/p=other", &[DELETED][..]),
        ("ConfigMap x/a of:Node/p", &[DELETED]),
        ("ConfigMap x/a of:Pod/q", &["create in x", DELETED]),
        ("Node a of:Pod/p", &["create in default"]),
    ] {
        let server = Server::new(&[line, "Pod x/p", "Pod y/q"]);
        collecting(&server, until_said(&server, said)).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_no_answer_deletes_nothing() {
    let server = Server::new(&["ConfigMap x/a of:Pod/p", "Pod x/p"]);
    let fault = (Verb::Get, "pods", Status::internal("no answer"));
    server.faults.lock().push(fault);
    collecting(&server, until_said(&server, &[])).await;
    assert!(server.faults.lock().is_empty(), "it was asked for the owner");
}

#[tokio::test]
async fn who_changed_while_it_was_looked_at_is_looked_at_again() {
    let server = Server::new(&["ConfigMap x/a of:Pod/p"]);
    let resource = GroupResource { group: "", resource: "configmaps" };
    let fault = (Verb::Delete, "configmaps", Status::modified(resource, "a"));
    server.faults.lock().push(fault);
    collecting(&server, until_said(&server, &[DELETED])).await;
}

#[tokio::test]
async fn dependents_that_the_graph_has_not_heard_of_are_left_and_waited_for_all_the_same() {
    let server = Server::new(&["Pod x/p deleting orphan", "Pod x/q deleting foreground"]);
    server.is_open.send_replace(false);
    collecting(&server, async {
        settled().await;
        let late = [
            "ConfigMap x/a of:Pod/p of:Node/n",
            "ConfigMap x/b of:Pod/q!",
            "ConfigMap y/c of:Pod/p",
        ];
        for (line, version) in late.iter().zip(3..) {
            let object = object(&line.split(' ').collect::<Vec<_>>(), version).1;
            server.objects.lock().push(object);
        }
        server.is_open.send_replace(true);
        let unlinked = "patch a {metadata:{ownerReferences:[{$patch:delete,uid:p}],uid:a}}";
        let let_go = "patch p {metadata:{finalizers:[],resourceVersion:1}}";
        until_said(&server, &[unlinked, let_go]).await;
    })
    .await;
}
