//! `/.well-known/host-meta` (XEP-0156 §3): where web clients find our WebSocket and BOSH; and in JSON, if the operator
//! wants it, all ways to connect (XEP-0487). The answer is
//! the same for web pages from everywhere.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    CONTENT_TYPE, HOST, HeaderName,
};
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
        .route("/.well-known/host-meta", get(xml).options(preflight))
        .route("/.well-known/host-meta/", get(xml).options(preflight))
        .route("/.well-known/host-meta.json", get(jrd).options(preflight))
        .route("/.well-known/host-meta.json/", get(jrd).options(preflight))
        .with_state(server)
}

/// XEP-0156 §4: pages from everywhere may read them.
const EVERYBODY: (HeaderName, &str) = (ACCESS_CONTROL_ALLOW_ORIGIN, "*");

/// Answers the question of a browser whether a page may send a request with headers of its own.
async fn preflight() -> Response {
    let methods = (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS");
    let head = [EVERYBODY, methods, (ACCESS_CONTROL_ALLOW_HEADERS, "*")];
    (StatusCode::NO_CONTENT, head).into_response()
}

async fn xml(State(server): State<Arc<ServerState>>, headers: HeaderMap) -> Response {
    let links = links(&server, &headers);
    if links.is_empty() {
        return (StatusCode::NOT_FOUND, [EVERYBODY]).into_response();
    }
    let mut out = BEGIN.as_bytes().to_vec();
    for (relation, address) in links {
        out.extend_from_slice(format!("<Link rel='{relation}' href='").as_bytes());
        escape_attr(&mut out, &address);
        out.extend_from_slice(b"'/>");
    }
    out.extend_from_slice(b"</XRD>\n");
    let head = [(CONTENT_TYPE, "application/xrd+xml"), EVERYBODY];
    (head, out).into_response()
}

async fn jrd(State(server): State<Arc<ServerState>>, headers: HeaderMap) -> Response {
    let links = links(&server, &headers);
    if links.is_empty() {
        return (StatusCode::NOT_FOUND, [EVERYBODY]).into_response();
    }
    let links = links.iter().map(|(relation, address)| json!({ "rel": relation, "href": address }));
    let config = server.config.load();
    let links: Vec<_> = links.collect();
    let all = complete(&config, asked_domain(&server, &headers), &links);
    let all = all.unwrap_or_else(|| json!({ "links": links }));
    let head = [(CONTENT_TYPE, "application/json"), EVERYBODY];
    (head, all.to_string()).into_response()
}

/// All ways to connect, with all that clients and other servers must know (XEP-0487 §2): they ask for no SRV records then.
/// So `None` unless all ways are known: the operator has told the addresses of this machine, nothing is at another one, and
/// other servers can connect with TLS from the first byte, if there are others.
fn complete(config: &Config, domain: &str, links: &[Value]) -> Option<Value> {
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
    let ips: Vec<_> = config.listen.public.iter().map(|net| net.addr().to_string()).collect();
    let at = |relation: &str, addresses: &[SocketAddr]| {
        let address = addresses.first()?;
        Some(json!({ "rel": relation, "port": address.port() }))
    };
    let clients = at(TLS, &config.listen.c2s_tls);
    let servers = at(SERVER_TLS, &config.listen.s2s_tls).filter(|_| config.s2s.enabled);
    if ips.is_empty() || config.s2s.enabled && servers.is_none() {
        return None;
    }
    let mut all = Vec::new();
    let ways = clients.into_iter().chain(servers).chain(links.iter().cloned());
    for (priority, mut link) in (10..).step_by(10).zip(ways) {
        let host = link["href"].as_str().and_then(|href| href.split_once("://"));
        let host = host.map(|(_, rest)| rest.split([':', '/']).next().unwrap_or_default());
        // What is at another host may be at another machine, whose addresses nobody has told.
        if host.is_some_and(|host| host != domain) {
            return None;
        }
        link["priority"] = json!(priority);
        link["weight"] = json!(50);
        link["sni"] = json!(domain);
        link["ips"] = json!(ips);
        all.push(link);
    }
    Some(json!({ "xmpp": { "ttl": TTL }, "links": all }))
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
const SERVER_TLS: &str = "urn:xmpp:alt-connections:s2s-tls";
/// Seconds for which clients may keep what they were told.
const TTL: u32 = 3600;
/// XEP-0156 §3.1.
const WEBSOCKET: &str = "urn:xmpp:alt-connections:websocket";
const BOSH: &str = "urn:xmpp:alt-connections:xbosh";
const BEGIN: &str = "<?xml version='1.0' encoding='utf-8'?>\n\
    <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>";
