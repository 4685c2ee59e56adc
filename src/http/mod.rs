//! HTTP, as a service of the server: one router for all connections. Whoever speaks HTTP adds routes to
//! it, in `src/server/listeners.rs`.
//!
//! A connection lives as long as its requests come in time, and is not cut while one is answered. Routes
//! whose answers take their time bound their requests themselves; all others are in [`bounded`]. Each
//! request has a [`Peer`] among its extensions. A request may turn its connection into something else
//! ([`websocket`], [`upgraded`]); whoever does that has the connection from then on.

pub mod api;
mod deadline;
pub mod files;
pub mod host_meta;
pub mod monitoring;
pub mod pages;
mod peer;
pub mod static_files;
mod unread;
pub mod websocket;
mod write_probe;
mod write_timeout;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, EXPECT, HOST};
use axum::http::uri::Authority;
use axum::http::{self, StatusCode, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use deadline::{Deadline, Working};
pub use peer::Peer;

use crate::listen::Accepted;
use crate::stream::wire::Wire;
use unread::{RequestBody, Unread};
use write_timeout::WriteTimeout;

/// Puts the usual bounds of requests around these routes.
pub fn bounded(routes: Router) -> Router {
    routes.layer(DefaultBodyLimit::max(BODY_BYTES)).layer(middleware::from_fn(in_time))
}

/// Answers a request in its time.
async fn in_time(mut request: Request, next: Next) -> Response {
    let deadline = Arc::new(Deadline::after(REQUEST));
    request.extensions_mut().insert(Arc::clone(&deadline));
    tokio::select! {
        answer = next.run(request) => answer,
        () = deadline.reached() => {
            // A page sees an error of the network otherwise (CORS).
            (StatusCode::REQUEST_TIMEOUT, [(ACCESS_CONTROL_ALLOW_ORIGIN, "*")]).into_response()
        }
    }
}

/// Serves one connection until it ends, is too slow, or `stopping` says that the server ends.
/// `write_limit`: how long a write may make no progress.
pub async fn serve(
    accepted: Accepted,
    routes: Router,
    write_limit: Duration,
    stopping: CancellationToken,
) {
    let Accepted { wire, peer, tls, is_proxied, counted } = accepted;
    let peer = Arc::new(Peer::new(peer, tls.map(|tls| tls.version), is_proxied, counted));
    let unread = Arc::new(Unread::default());
    let of_requests = Arc::clone(&unread);
    let answer = service_fn(move |request| {
        answer(routes.clone(), Arc::clone(&peer), Arc::clone(&of_requests), request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(WriteTimeout::new(wire, write_limit)), answer)
        .with_upgrades();
    let mut connection = Box::pin(connection);
    let served = tokio::select! {
        served = &mut connection => served,
        never = unread.discard() => match never {},
        () = stopping.cancelled() => {
            // A request that is under way is answered, if that does not take long.
            connection.as_mut().graceful_shutdown();
            timeout(LAST_ANSWER, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP connection failed");
    }
}

/// Answers one request.
async fn answer(
    routes: Router,
    peer: Arc<Peer>,
    unread: Arc<Unread>,
    request: http::Request<Incoming>,
) -> Result<Response, std::convert::Infallible> {
    let is_sent = !request.headers().contains_key(EXPECT);
    let mut request = request.map(|body| Body::new(RequestBody::new(body, is_sent, unread)));
    if !names_its_host(&request) {
        let text = "A request of HTTP/1.1 has one Host header (RFC 9112 section 3.2).\n";
        return Ok((StatusCode::BAD_REQUEST, text).into_response());
    }
    request.extensions_mut().insert(peer);
    TowerToHyperService::new(routes).call(request).await
}

/// Whether a request of HTTP/1.1 names one host, as it must (RFC 9112 §3.2). The name may be empty.
fn names_its_host(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(host), None) => host.is_empty() || Authority::try_from(host.as_bytes()).is_ok(),
        (Some(_), Some(_)) => false,
    }
}

/// The connection of a request that was answered with 101, and what was read of it beyond the request.
/// `None` if the connection was lost.
pub async fn upgraded(request: Request) -> Option<(Wire, Bytes)> {
    let upgraded: Upgraded = hyper::upgrade::on(request).await.ok()?;
    let parts = upgraded.downcast::<TokioIo<WriteTimeout<Wire>>>().ok()?;
    Some((parts.io.into_inner().into_inner(), parts.read_buf))
}

/// What those are told who come without TLS, and not through a proxy of ours.
pub const WITHOUT_TLS: &str = "Without TLS only reverse proxies are served (listen.proxies).";
/// For the head of a request: from the first byte of the connection, or from the answer to the request
/// before. So long a connection may idle, too.
const HEAD: Duration = Duration::from_secs(15);
/// For the body of a request and the work on its answer, unless a route has its own bounds. A long body has as much
/// for each piece ([`Deadline`]).
pub const REQUEST: Duration = Duration::from_secs(60);
/// For a request that is under way when the server ends.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// All heads that were read and not yet answered.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 100;
/// The body of a request, unless a route says otherwise.
const BODY_BYTES: usize = 64 * 1024;
