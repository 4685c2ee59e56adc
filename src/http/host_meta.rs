//! `/.well-known/host-meta` (XEP-0156 §3): where web clients find our WebSocket. The answer is the same
//! for web pages from everywhere.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::host::ServerState;
use crate::xml::escape_attr;

/// Both forms, with and without a slash at the end.
pub fn routes(server: Arc<ServerState>) -> Router {
    Router::new()
        .route("/.well-known/host-meta", get(xml))
        .route("/.well-known/host-meta/", get(xml))
        .route("/.well-known/host-meta.json", get(json))
        .route("/.well-known/host-meta.json/", get(json))
        .with_state(server)
}

async fn xml(State(server): State<Arc<ServerState>>, headers: HeaderMap) -> Response {
    let Some(address) = websocket(&server, &headers) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut out = BEGIN.as_bytes().to_vec();
    escape_attr(&mut out, &address);
    out.extend_from_slice(b"'/></XRD>\n");
    let head = [(CONTENT_TYPE, "application/xrd+xml"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (head, out).into_response()
}

async fn json(State(server): State<Arc<ServerState>>, headers: HeaderMap) -> Response {
    let Some(address) = websocket(&server, &headers) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let link = serde_json::json!({ "links": [{ "rel": RELATION, "href": address }] });
    let head = [(CONTENT_TYPE, "application/json"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (head, link.to_string()).into_response()
}

/// The address of the WebSocket: the one that is configured, or our own port for HTTPS at the domain
/// that the client asks for. `None` if there is neither.
fn websocket(server: &ServerState, headers: &HeaderMap) -> Option<String> {
    let config = server.config.load();
    let listen = &config.listen;
    if listen.websocket.is_some() {
        return listen.websocket.clone();
    }
    let port = listen.https.first()?.port();
    let asked = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let asked = asked.rsplit_once(':').map_or(asked, |(host, _)| host);
    let domains = || server.hosts().iter().map(|host| host.domain.as_str());
    let domain = domains().find(|domain| domain.eq_ignore_ascii_case(asked));
    let domain = domain.or(domains().next())?;
    Some(format!("wss://{domain}:{port}/ws"))
}

/// XEP-0156 §3.1.
const RELATION: &str = "urn:xmpp:alt-connections:websocket";
const BEGIN: &str = "<?xml version='1.0' encoding='utf-8'?>\n\
    <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\
    <Link rel='urn:xmpp:alt-connections:websocket' href='";
