//! Clients over WebSocket (RFC 7395): the requests that turn an HTTP connection into a stream.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use tracing::Instrument;

use super::client::{C2s, Client, StartState};
use super::redirect::redirect;
use super::serve::serve;
use crate::config::{ListenConfig, origin};
use crate::http::{self, Peer, websocket};
use crate::listen::note_refused;
use crate::stream::channel::Channel;
use crate::stream::websocket::WebSocket;

/// Where clients open a WebSocket.
pub fn routes(c2s: Arc<C2s>) -> Router {
    let mut routes = Router::new();
    for path in ["/ws", "/ws/", "/xmpp-websocket", "/xmpp-websocket/"] {
        routes = routes.route(path, any(open));
    }
    routes.with_state(c2s)
}

/// RFC 7395 §3.1: the opening handshake. If it succeeds, the connection is a client's.
async fn open(
    State(c2s): State<Arc<C2s>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
) -> Response {
    let config = c2s.server().config.load_full();
    let Some(tls) = peer.tls() else {
        return forbidden(http::WITHOUT_TLS);
    };
    if !is_welcome(&config.listen, request.headers()) {
        return forbidden(ELSEWHERE);
    }
    let client = SocketAddr::new(peer.client(&config, request.headers()), peer.address().port());
    let (head, body) = request.into_parts();
    let response = websocket::accept(&head, SUBPROTOCOL);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let Some(mut counted) = peer.take_counted() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if peer.is_proxied()
        && let Err(scope) = counted.count_for(client.ip(), &c2s.server().budgets)
    {
        note_refused(c2s.server(), client, scope);
        return (StatusCode::SERVICE_UNAVAILABLE, [(CONNECTION, "close")]).into_response();
    }
    let (request, limit) = (Request::from_parts(head, body), config.limits.stanza);
    let tasks = c2s.server().tasks.clone();
    let task = async move {
        let Some((wire, early)) = http::upgraded(request).await else { return };
        tracing::debug!(%client, "WebSocket opened");
        let channel = Channel::WebSocket(Box::new(WebSocket::new(wire, early, limit)));
        let start = StartState::Http(tls);
        let client = Client { channel, peer: client, start, counted };
        match &config.listen.see_other_uri {
            Some(address) => redirect(&c2s, client, address).await,
            None => serve(c2s, client).await,
        }
    };
    drop(tasks.spawn("c2s", task.in_current_span()));
    response
}

/// RFC 6455 §10.2. A client that is no browser sends no origin.
pub(super) fn is_welcome(listen: &ListenConfig, headers: &HeaderMap) -> bool {
    let is_listed = |from: &HeaderValue| {
        let from = from.to_str().ok().and_then(origin);
        from.is_some_and(|from| listen.origins.contains(&from))
    };
    listen.origins.is_empty() || headers.get_all(ORIGIN).iter().all(is_listed)
}

pub(super) fn forbidden(text: &'static str) -> Response {
    (StatusCode::FORBIDDEN, format!("{text}\n")).into_response()
}

pub(super) const ELSEWHERE: &str = "Pages from there may not connect (listen.origins).";
/// RFC 7395 §3.1.
const SUBPROTOCOL: &str = "xmpp";
