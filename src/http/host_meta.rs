//! `/.well-known/host-meta` (XEP-0156 §3): where web clients find our WebSocket and BOSH; and in JSON, if the operator
//! wants it, all ways to connect (XEP-0487). The answer is
//! the same for web pages from everywhere.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use serde_json::{Value, json};

use crate::config::Config;
use crate::host::ServerState;
use crate::xml::escape_attr;

/// Both forms, with and without a slash at the end.
pub fn routes(server: Arc<ServerState>) -> Router {
    Router::new()
        .route("/.well-known/host-meta", get(xml))
        .route("/.well-known/host-meta/", get(xml))
        .route("/.well-known/host-meta.json", get(jrd))
        .route("/.well-known/host-meta.json/", get(jrd))
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

async fn jrd(State(server): State<Arc<ServerState>>, headers: HeaderMap) -> Response {
    let links = links(&server, &headers);
    if links.is_empty() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let links = links.iter().map(|(relation, address)| json!({ "rel": relation, "href": address }));
    let config = server.config.load();
    let all = match config.listen.public.is_empty() {
        true => json!({ "links": links.collect::<Vec<_>>() }),
        false => complete(&config, asked_domain(&server, &headers), links.collect()),
    };
    let head = [(CONTENT_TYPE, "application/json"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (head, all.to_string()).into_response()
}

/// All ways to connect, with all that a client must know (XEP-0487 §2): it asks nobody else then.
fn complete(config: &Config, domain: &str, links: Vec<Value>) -> Value {
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
    let ips: Vec<_> = config.listen.public.iter().map(|net| net.addr().to_string()).collect();
    let tls = config.listen.c2s_tls.first();
    let tls = tls.map(|address| json!({ "rel": TLS, "port": address.port() }));
    let mut all = Vec::new();
    for (priority, mut link) in (10..).step_by(10).zip(tls.into_iter().chain(links)) {
        let host = link["href"].as_str().and_then(|href| href.split_once("://"));
        let host = host.map(|(_, rest)| rest.split([':', '/']).next().unwrap_or_default());
        // What is at another host may be at another machine.
        if host.is_none_or(|host| host == domain) {
            link["priority"] = json!(priority);
            link["weight"] = json!(50);
            link["sni"] = json!(domain);
            link["ips"] = json!(ips);
        }
        all.push(link);
    }
    json!({ "xmpp": { "ttl": TTL }, "links": all })
}

/// Where clients of the domain that the client asks for connect, with what.
fn links(server: &ServerState, headers: &HeaderMap) -> Vec<(&'static str, String)> {
    let (websocket, bosh) = server.config.load().web_addresses(asked_domain(server, headers));
    let websocket = websocket.map(|address| (WEBSOCKET, address));
    websocket.into_iter().chain(bosh.map(|address| (BOSH, address))).collect()
}

/// The domain that the client asks for, if it is one of ours; else the first one.
fn asked_domain<'a>(server: &'a ServerState, headers: &HeaderMap) -> &'a str {
    let asked = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let asked = asked.rsplit_once(':').map_or(asked, |(host, _)| host);
    let domains = || server.hosts().iter().map(|host| host.domain.as_str());
    let is_asked = |domain: &&str| {
        idna::domain_to_ascii(domain).is_ok_and(|name| name.eq_ignore_ascii_case(asked))
    };
    let domain = domains().find(is_asked);
    domain.or(domains().next()).unwrap_or_default()
}

/// XEP-0487 §2: direct TLS.
const TLS: &str = "urn:xmpp:alt-connections:tls";
/// Seconds for which clients may keep what they were told.
const TTL: u32 = 3600;
/// XEP-0156 §3.1.
const WEBSOCKET: &str = "urn:xmpp:alt-connections:websocket";
const BOSH: &str = "urn:xmpp:alt-connections:xbosh";
const BEGIN: &str = "<?xml version='1.0' encoding='utf-8'?>\n\
    <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>";
