//! `/.well-known/host-meta` (XEP-0156 §3): where web clients find our WebSocket and BOSH. The answer is
//! the same for web pages from everywhere.

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
    let links = links(&server, &headers);
    if links.is_empty() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut out = BEGIN.as_bytes().to_vec();
    for (relation, address) in links {
        out.extend_from_slice(format!("<Link rel='{relation}' href='").as_bytes());
        escape_attr(&mut out, &address);
        out.extend_from_slice(b"'/>");
    }
    out.extend_from_slice(b"</XRD>\n");
    let head = [(CONTENT_TYPE, "application/xrd+xml"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (head, out).into_response()
}

async fn json(State(server): State<Arc<ServerState>>, headers: HeaderMap) -> Response {
    let links = links(&server, &headers);
    if links.is_empty() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let links: Vec<_> = links
        .iter()
        .map(|(relation, address)| serde_json::json!({ "rel": relation, "href": address }))
        .collect();
    let head = [(CONTENT_TYPE, "application/json"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (head, serde_json::json!({ "links": links }).to_string()).into_response()
}

/// Where clients connect, with what: the addresses that are configured, or our own port for HTTPS at the
/// domain that the client asks for.
fn links(server: &ServerState, headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let config = server.config.load();
    let listen = &config.listen;
    let own = if listen.websocket.is_none() && listen.bosh.is_none() {
        own_address(server, headers)
    } else {
        None
    };
    let or_own = |configured: &Option<String>, scheme: &str, path: &str| {
        let own = own.as_ref().map(|own| format!("{scheme}://{own}{path}"));
        configured.clone().or(own)
    };
    let websocket = or_own(&listen.websocket, "wss", "/ws").map(|address| (WEBSOCKET, address));
    let bosh = or_own(&listen.bosh, "https", "/http-bind").map(|address| (BOSH, address));
    websocket.into_iter().chain(bosh).collect()
}

/// Our own port for HTTPS at the domain that the client asks for, if there is one.
fn own_address(server: &ServerState, headers: &HeaderMap) -> Option<String> {
    let port = server.config.load().listen.https.first()?.port();
    let asked = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let asked = asked.rsplit_once(':').map_or(asked, |(host, _)| host);
    let domains = || server.hosts().iter().map(|host| host.domain.as_str());
    let domain = domains().find(|domain| domain.eq_ignore_ascii_case(asked));
    let domain = domain.or(domains().next())?;
    Some(format!("{domain}:{port}"))
}

/// XEP-0156 §3.1.
const WEBSOCKET: &str = "urn:xmpp:alt-connections:websocket";
const BOSH: &str = "urn:xmpp:alt-connections:xbosh";
const BEGIN: &str = "<?xml version='1.0' encoding='utf-8'?>\n\
    <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>";
