//! The door for browsers: HTTP requests, until one of them turns into a stream (RFC 7395 §3.1).
//!
//! What one would get wrong: behind a reverse proxy everybody seems to come from the same machine,
//! and whoever can reach the port could say that he is somebody else. So only proxies that the
//! administrator names are believed, and without TLS only they are served.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tokio::io::AsyncWriteExt;

use super::websocket::Framed;
use super::{C2s, ListenerKind, handshake};
use crate::config::{Config, origin};
use crate::http::{self, websocket};
use crate::stream::wire::{Io, Wire};
use crate::tls::Purpose;
use crate::xml::escape_attr;

/// A connection on which a stream may begin.
pub(super) struct Upgraded {
    pub(super) io: Box<dyn Io>,
    /// Where the client is, as far as we can tell.
    pub(super) peer: SocketAddr,
    /// The version of TLS, or that there is a proxy that has it.
    pub(super) tls: &'static str,
    /// A proxy stands between; it was not counted.
    pub(super) is_proxied: bool,
}

/// Answers requests until one begins a stream. `None` if none does.
pub(super) async fn enter(
    c2s: &C2s,
    io: Box<dyn Io>,
    peer: SocketAddr,
    entry: ListenerKind,
) -> Option<Upgraded> {
    let config = c2s.hosts.config.load_full();
    let (io, tls): (Box<dyn Io>, _) = if entry == ListenerKind::Https {
        let wire = Wire::Plain(io);
        let limit = config.limits.handshake;
        let (wire, facts, _) = handshake::make(c2s, wire, Purpose::Https, None, limit).await?;
        (Box::new(wire), facts.version)
    } else {
        (io, PROXY)
    };
    let limit = config.limits.stanza;
    let domains = c2s.hosts.all().iter().map(|host| host.domain.to_string()).collect();
    let is_proxied = entry == ListenerKind::Http && is_proxy(&config, peer.ip());
    let is_allowed = entry == ListenerKind::Https || is_proxied;
    let visit = Visit { config, domains, peer, is_proxied, is_allowed, stream: OnceLock::new() };
    let visit = Arc::new(visit);
    let (mut io, early) = match http::serve(io, routes(Arc::clone(&visit))).await {
        Ok(parts) => parts,
        Err(error) => {
            tracing::debug!(%error, "HTTP connection failed");
            return None;
        }
    };
    let Some(client) = visit.stream.get() else {
        drop(io.shutdown().await);
        return None;
    };
    tracing::debug!(%client, "WebSocket opened");
    let io = Box::new(Framed::new(io, early, limit));
    Some(Upgraded { io, peer: SocketAddr::new(*client, peer.port()), tls, is_proxied })
}

/// Whether what this machine says of others is believed.
pub(super) fn is_proxy(config: &Config, address: IpAddr) -> bool {
    let address = address.to_canonical();
    config.listen.proxies.iter().any(|network| network.contains(&address))
}

/// What the answers to requests of one connection depend on.
struct Visit {
    config: Arc<Config>,
    domains: Vec<String>,
    peer: SocketAddr,
    is_proxied: bool,
    is_allowed: bool,
    /// Where the client is with whom a stream begins now.
    stream: OnceLock<IpAddr>,
}

fn routes(visit: Arc<Visit>) -> Router {
    Router::new()
        .route("/ws", any(stream))
        .route("/ws/", any(stream))
        .route("/xmpp-websocket", any(stream))
        .route("/xmpp-websocket/", any(stream))
        .route("/.well-known/host-meta", get(host_meta))
        .route("/.well-known/host-meta/", get(host_meta))
        .route("/.well-known/host-meta.json", get(host_meta_json))
        .route("/.well-known/host-meta.json/", get(host_meta_json))
        .with_state(visit)
}

async fn stream(State(visit): State<Arc<Visit>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    if !visit.is_allowed {
        let text = "Without TLS only reverse proxies are served (listen.proxies).\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    if !visit.is_welcome(&head.headers) {
        let text = "Pages from there may not connect (listen.origins).\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let response = websocket::accept(&head, SUBPROTOCOL);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        visit.stream.get_or_init(|| visit.client(&head.headers));
    }
    response
}

/// XEP-0156 §3: the same for pages from everywhere.
async fn host_meta(State(visit): State<Arc<Visit>>, headers: HeaderMap) -> Response {
    let Some(address) = visit.address(&headers) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut out = HOST_META.as_bytes().to_vec();
    escape_attr(&mut out, &address);
    out.extend_from_slice(b"'/></XRD>\n");
    let head = [(CONTENT_TYPE, "application/xrd+xml"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (head, out).into_response()
}

async fn host_meta_json(State(visit): State<Arc<Visit>>, headers: HeaderMap) -> Response {
    let Some(address) = visit.address(&headers) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let link = serde_json::json!({ "links": [{ "rel": RELATION, "href": address }] });
    let head = [(CONTENT_TYPE, "application/json"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (head, link.to_string()).into_response()
}

impl Visit {
    /// RFC 6455 §10.2. Who is no browser sends no origin.
    fn is_welcome(&self, headers: &HeaderMap) -> bool {
        let origins = &self.config.listen.origins;
        let is_listed = |from: &HeaderValue| {
            let from = from.to_str().ok().and_then(origin);
            from.is_some_and(|from| origins.contains(&from))
        };
        origins.is_empty() || headers.get_all(ORIGIN).iter().all(is_listed)
    }

    /// The address that our proxies have not made up: the last one that is not their own. If all are
    /// in the networks of our proxies, the first one: a client may be in such a network.
    fn client(&self, headers: &HeaderMap) -> IpAddr {
        let peer = self.peer.ip();
        if !self.is_proxied {
            return peer;
        }
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let listed = lines.iter().rev().filter_map(|line| line.to_str().ok());
        let listed = listed.flat_map(|line| line.rsplit(','));
        let mut client = peer;
        for address in listed.map_while(|text| text.trim().parse::<IpAddr>().ok()) {
            client = address;
            if !is_proxy(&self.config, address) {
                break;
            }
        }
        client
    }

    /// Where the WebSocket is for somebody who asks for one of our domains.
    fn address(&self, headers: &HeaderMap) -> Option<String> {
        let listen = &self.config.listen;
        if listen.websocket.is_some() {
            return listen.websocket.clone();
        }
        let port = listen.https.first()?.port();
        let asked = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        let asked = asked.rsplit_once(':').map_or(asked, |(host, _)| host);
        let domain = self.domains.iter().find(|domain| domain.eq_ignore_ascii_case(asked));
        let domain = domain.or(self.domains.first())?;
        Some(format!("wss://{domain}:{port}/ws"))
    }
}

/// RFC 7395 §3.1.
const SUBPROTOCOL: &str = "xmpp";
/// What stands for the version of TLS where a proxy has it.
const PROXY: &str = "proxy";
const FORWARDED_FOR: &str = "x-forwarded-for";
/// XEP-0156 §3.1.
const RELATION: &str = "urn:xmpp:alt-connections:websocket";
const HOST_META: &str = "<?xml version='1.0' encoding='utf-8'?>\n\
    <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\
    <Link rel='urn:xmpp:alt-connections:websocket' href='";
