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
mod later;
mod meter;
pub mod monitoring;
pub mod pages;
mod peer;
mod rewound;
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
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONNECTION, CONTENT_LENGTH, EXPECT, HOST};
use axum::http::uri::Authority;
use axum::http::{self, HeaderMap, StatusCode, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use deadline::{Deadline, Working};
pub use later::later;
pub use peer::Peer;

use crate::clock::Clock;
use crate::listen::Accepted;
use crate::metrics::Metrics;
use crate::stream::wire::Wire;
use later::{Delayed, Held};
use meter::{Meter, Metered};
use rewound::Rewound;
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

/// How a connection is served.
#[derive(Clone, Debug)]
pub struct Terms {
    /// For the dates of answers.
    pub clock: Clock,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// How long a write may make no progress.
    pub write_limit: Duration,
    /// Says that the server ends.
    pub stopping: CancellationToken,
}

/// Serves one connection until it ends, is too slow, or the server ends.
pub async fn serve(accepted: Accepted, routes: Router, terms: Terms) {
    let Terms { clock, metrics, write_limit, stopping } = terms;
    let Accepted { wire, peer, tls, is_proxied, counted } = accepted;
    let peer = Arc::new(Peer::new(peer, tls.map(|tls| tls.version), is_proxied, counted));
    let mut io = WriteTimeout::new(wire, write_limit);
    let mut ahead = Bytes::new();
    loop {
        let requests =
            Box::pin(serve_requests(&routes, &peer, &metrics, Rewound::new(ahead, io), &stopping));
        let Some((answer, rewound)) = requests.await else { return };
        let (before, at) = rewound.into_parts();
        io = at;
        let answered = tokio::select! {
            answered = Box::pin(later::answer(&mut io, before, answer, &clock)) => answered,
            () = ends(&stopping) => return,
        };
        match answered {
            Ok(Some(next)) => ahead = next,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "HTTP connection failed");
                return;
            }
        }
    }
}

/// Waits until the server ends and the current request has had its time.
async fn ends(stopping: &CancellationToken) {
    stopping.cancelled().await;
    sleep(LAST_ANSWER).await;
}

/// Serves requests until one is to be held: returns its answer, and the connection. `None` at the end.
async fn serve_requests(
    routes: &Router,
    peer: &Arc<Peer>,
    metrics: &Metrics,
    io: Rewound<WriteTimeout<Wire>>,
    stopping: &CancellationToken,
) -> Option<(Delayed, Rewound<WriteTimeout<Wire>>)> {
    let (held, unread) = (Arc::new(Held::new(stopping.clone())), Arc::new(Unread::default()));
    let of_requests = (Arc::clone(&held), Arc::clone(&unread));
    let (routes, peer, metrics) = (routes.clone(), Arc::clone(peer), metrics.clone());
    let answer = service_fn(move |request| {
        let meter = Meter::new(metrics.clone(), request.uri().path());
        answer(routes.clone(), Arc::clone(&peer), of_requests.clone(), meter, request)
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        // A client that has shut down its sending side still gets its answer (RFC 9293 §3.6).
        .half_close(true)
        .serve_connection(TokioIo::new(io), answer)
        .with_upgrades();
    let served = tokio::select! {
        biased;
        served = &mut connection => served,
        answer = held.next() => {
            let parts = connection.into_parts()?;
            let (before, io) = parts.io.into_inner().into_parts();
            // What hyper has read comes before what it has not read.
            let ahead = [&parts.read_buf[..], &before].concat();
            return Some((answer, Rewound::new(ahead.into(), io)));
        }
        never = unread.discard() => match never {},
        () = stopping.cancelled() => {
            // The current request is still answered, if that does not take long.
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            timeout(LAST_ANSWER, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP connection failed");
    }
    None
}

/// Answers one request.
async fn answer(
    routes: Router,
    peer: Arc<Peer>,
    (held, unread): (Arc<Held>, Arc<Unread>),
    meter: Meter,
    request: http::Request<Incoming>,
) -> Result<http::Response<Metered<Body>>, std::convert::Infallible> {
    let headers = request.headers();
    let is_sent = !headers.contains_key(EXPECT);
    let is_last = request.version() != Version::HTTP_11 || !stays(headers);
    let read = |body| meter.request(RequestBody::new(body, is_sent, unread));
    let mut request = request.map(|body| Body::new(read(body)));
    if !names_its_host(&request) {
        let text = "A request of HTTP/1.1 has one Host header (RFC 9112 section 3.2).\n";
        return Ok(counted(&meter, (StatusCode::BAD_REQUEST, text).into_response()));
    }
    request.extensions_mut().insert(peer);
    let response = TowerToHyperService::new(routes).call(request).await?;
    let response = held.resolve(response, is_last, &meter).await;
    Ok(counted(&meter, response))
}

/// An answer that is written next.
fn counted(meter: &Meter, mut answer: Response) -> http::Response<Metered<Body>> {
    meter.answered(answer.status());
    // RFC 9110 §8.6: axum writes the length of the body that is not there, which caches of 304 would believe.
    if matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    answer.map(|body| meter.answer(body))
}

/// Whether the connection is to stay as it is after the request (RFC 9110 §7.6.1).
fn stays(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .all(|word| word.trim().eq_ignore_ascii_case("keep-alive"))
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
    let parts = upgraded.downcast::<TokioIo<Rewound<WriteTimeout<Wire>>>>().ok()?;
    let (before, io) = parts.io.into_inner().into_parts();
    // A copy: hyper's buffer of 8 KiB is given back.
    let early = [&parts.read_buf[..], &before].concat();
    Some((io.into_inner(), early.into()))
}

/// What those are told who come without TLS, and not through a proxy of ours.
pub const WITHOUT_TLS: &str = "Without TLS only reverse proxies are served (listen.proxies).";
/// How long the head of a request may take: from the first byte of the connection, or from the answer to the previous
/// request. A connection may idle for as long.
const HEAD: Duration = Duration::from_secs(15);
/// How long the body of a request and the work on its answer may take, unless a route has its own bounds. A long body
/// has this time for each piece ([`Deadline`]).
pub const REQUEST: Duration = Duration::from_secs(60);
/// How long the current request may take when the server ends.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// All heads that were read and not yet answered.
const HEAD_BYTES: usize = 16 * 1024;
const HEADERS: usize = 100;
/// The body of a request, unless a route says otherwise.
const BODY_BYTES: usize = 64 * 1024;
