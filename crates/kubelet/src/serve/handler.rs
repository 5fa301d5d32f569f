//! One request: who asks, whether they may, and the part of the API that answers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper::body::Incoming;
use parking_lot::Mutex;
use podo_api::{Reason, Status};
use podo_base::Tasks;

use super::authentication::{self, Peer};
use super::metrics::Metrics;
use super::node_usage::NodeUsage;
use super::query::Query;
use super::reply::{self, Response};
use super::route::Route;
use super::{authorization, logs, metrics, pods, port_forward, remote_command, summary};
use crate::serve::Node;

/// A request without its body, which no route reads.
pub(super) type Request = http::Request<Incoming>;

/// What all requests share.
pub(super) struct Server {
    /// The node agent.
    pub(super) node: Arc<dyn Node>,
    /// What was counted.
    pub(super) metrics: Metrics,
    /// What the node itself uses.
    pub(super) usage: NodeUsage,
    /// The streams; gone once stopped.
    streams: Mutex<Option<Tasks>>,
}

impl Server {
    /// A server of a node.
    pub(super) fn new(node: Arc<dyn Node>) -> Self {
        let streams = Mutex::new(Some(Tasks::new("kubelet streams")));
        Self { node, metrics: Metrics::default(), usage: NodeUsage::default(), streams }
    }

    /// Ends all streams; new ones are refused from then on.
    pub(super) async fn stop(&self, budget: Duration) {
        let streams = self.streams.lock().take();
        if let Some(streams) = streams {
            streams.stop(budget).await;
        }
    }

    /// Runs a stream until it ends or the server stops.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        stream: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Status> {
        let mut streams = self.streams.lock();
        let Some(streams) = streams.as_mut() else {
            return Err(Status::unavailable("the node agent is stopping"));
        };
        let stop = streams.stop_signal();
        streams.spawn(name, async move {
            let _stopped = stop.or(stream).await;
        });
        Ok(())
    }
}

/// Answers a request.
pub(super) async fn handle(server: &Arc<Server>, request: Request, peer: &Peer) -> Response {
    let route = Route::of(request.uri().path());
    let name = route.as_ref().map_or("other", Route::name);
    let method = authorization::verb(request.method());
    let answer = AssertUnwindSafe(answer(server, request, peer, route)).catch_unwind().await;
    let answer = answer.unwrap_or_else(|_panic| {
        tracing::error!(path = name, "a request panicked");
        Err(Status::failure(Reason::InternalError, "internal error"))
    });
    let response = answer.unwrap_or_else(|status| reply::failure(&status));
    server.metrics.count_request(name, method, response.status().as_u16());
    response
}

async fn answer(
    server: &Arc<Server>,
    request: Request,
    peer: &Peer,
    route: Option<Route>,
) -> Result<Response, Status> {
    let node = &server.node;
    let user = authentication::authenticate(node.client(), peer, request.headers()).await?;
    let (method, path) = (request.method(), request.uri().path());
    authorization::authorize(node.client(), node.node_name(), &user, method, path).await?;
    let route = route.ok_or_else(|| Status::failure(Reason::NotFound, "404 page not found"))?;
    route.check(method)?;
    let query = Query::parse(request.uri().query().unwrap_or_default());
    match route {
        Route::Health => Ok(reply::text("ok")),
        Route::Pods => pods::all(&**node),
        Route::RunningPods => pods::running(&**node).await,
        Route::Summary => summary::summary(server).await,
        Route::Metrics => metrics::agent(server).await,
        Route::ResourceMetrics => metrics::resources(server).await,
        Route::Logs(container) => logs::logs(&**node, container, &query).await,
        Route::Exec(container) => {
            remote_command::exec(server, request, peer, &container, &query).await
        }
        Route::Attach(container) => {
            remote_command::attach(server, request, peer, &container, &query).await
        }
        Route::PortForward { namespace, pod } => {
            port_forward::port_forward(server, request, peer, (&namespace, &pod), &query).await
        }
    }
}
