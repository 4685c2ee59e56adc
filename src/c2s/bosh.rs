//! Clients over BOSH (XEP-0124, XEP-0206): each HTTP request belongs to a session, or begins one. What
//! becomes of it then is in `stream/bosh`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::BytesMut;
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::client::{C2s, Client, StartState};
use super::negotiate::before_auth;
use super::serve::serve;
use super::websocket::{ELSEWHERE, forbidden, is_welcome};
use crate::config::Config;
use crate::http::{self, Peer};
use crate::listen::{Counted, note_refused};
use crate::stream::bosh::channel::Waiting;
use crate::stream::bosh::request::{Allowed, Mistake, Request as BoshRequest, Terms};
use crate::stream::bosh::sessions::Sessions;
use crate::stream::bosh::wrapper::{OpenTag, Wrapper, largest};
use crate::stream::bosh::{Answer, Condition, elsewhere};
use crate::stream::channel::Channel;
use crate::xml::Limits;

/// Where clients send their requests.
pub fn routes(c2s: Arc<C2s>) -> Router {
    let sessions = Sessions::new(c2s.server().tasks.clone());
    let mut routes = Router::new();
    for path in ["/http-bind", "/http-bind/", "/bosh", "/bosh/"] {
        routes = routes.route(path, post(answer).options(preflight));
    }
    routes.with_state(Arc::new(Bosh { c2s, sessions }))
}

struct Bosh {
    c2s: Arc<C2s>,
    sessions: Sessions,
}

/// Answers a browser that asks whether a page may send requests (CORS).
async fn preflight(State(bosh): State<Arc<Bosh>>, headers: HeaderMap) -> Response {
    let config = bosh.c2s.server().config.load();
    if !is_welcome(&config.listen, &headers) {
        return told(forbidden(ELSEWHERE));
    }
    let head = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "POST, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type, X-Requested-With"),
        (ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    (StatusCode::NO_CONTENT, head).into_response()
}

async fn answer(
    State(bosh): State<Arc<Bosh>>,
    Extension(peer): Extension<Arc<Peer>>,
    request: Request,
) -> Response {
    let config = bosh.c2s.server().config.load_full();
    let Some(tls) = peer.tls() else {
        return told(forbidden(http::WITHOUT_TLS));
    };
    if !is_welcome(&config.listen, request.headers()) {
        return told(forbidden(ELSEWHERE));
    }
    let (head, body) = request.into_parts();
    // Boxed: most requests wait for their answers and not for this.
    let begun = Box::pin(bosh.begin(&config, &peer, &head.headers, body, tls)).await;
    drop((head, config, peer, bosh));
    match begun {
        Begun::Waits(waiting, content) => {
            let hurry = Arc::new(Notify::new());
            let hurries = Arc::clone(&hurry);
            http::later(&hurry, async move { response(waiting.answer(&hurries).await, content) })
        }
        Begun::Answered(answer) => response(answer, None),
        Begun::Refused(response) => told(response),
    }
}

/// Makes an answer readable for a page, so that it learns why it is refused. Without this it sees an error of the network
/// (CORS).
fn told(mut response: Response) -> Response {
    let everybody = HeaderValue::from_static("*");
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, everybody);
    response
}

/// Why a request was not read.
enum Unread {
    /// The connection is lost.
    Broken,
    Late,
    /// The session that it names.
    TooLarge(Option<String>),
}

/// What has become of a request that was read.
enum Begun {
    /// It waits; its answer has this type, if the client needs another than the usual one.
    Waits(Waiting, Option<HeaderValue>),
    Answered(Answer),
    Refused(Response),
}

impl Bosh {
    /// Reads a request, and gives it to its session, or begins one.
    async fn begin(
        &self,
        config: &Config,
        peer: &Peer,
        headers: &HeaderMap,
        body: Body,
        tls: &'static str,
    ) -> Begun {
        let unknown = before_auth(&config.limits);
        let refused =
            |status: StatusCode| Begun::Refused((status, [(CONNECTION, "close")]).into_response());
        let (sid, limits, bytes) = match self.read(body, unknown).await {
            Ok(read) => read,
            Err(Unread::Late) => return refused(StatusCode::REQUEST_TIMEOUT),
            Err(Unread::Broken) => return refused(StatusCode::BAD_REQUEST),
            Err(Unread::TooLarge(sid)) => {
                // The session cannot go on without this request: the client is told that it ends (XEP-0124 §17.2).
                let Some(session) = sid.and_then(|sid| self.sessions.find(&sid)) else {
                    return refused(StatusCode::PAYLOAD_TOO_LARGE);
                };
                let content = session.content_type();
                return Begun::Waits(session.fail(Condition::PolicyViolation), content);
            }
        };
        let wrapper = Wrapper::parse(&bytes, limits);
        drop(bytes);
        let Some(sid) = sid else {
            return match wrapper {
                Ok(wrapper) => self.create(config, peer, headers, &wrapper, tls),
                Err(error) => {
                    tracing::debug!(%error, "request of BOSH refused");
                    Begun::Answered(Condition::BadRequest.answer(false))
                }
            };
        };
        let Some(session) = self.sessions.find(&sid) else {
            return Begun::Answered(Condition::ItemNotFound.answer(false));
        };
        let request = wrapper.map_err(|error| {
            tracing::debug!(%error, "request of BOSH refused");
            Mistake::Malformed
        });
        let request = request.and_then(|wrapper| BoshRequest::read(&wrapper, &session.domain()));
        let content = session.content_type();
        match request {
            Ok(request) => Begun::Waits(session.request(request), content),
            Err(_) => Begun::Waits(session.fail(Condition::BadRequest), content),
        }
    }

    /// Reads a request. Until its session is known, only as much as a client may send before it logs in.
    /// Returns the session that it names, the limits for it, and all of it.
    ///
    /// # Errors
    /// If it is too large, too slow, or is not read to its end.
    async fn read(
        &self,
        body: Body,
        unknown: Limits,
    ) -> Result<(Option<String>, Limits, Bytes), Unread> {
        let begun = Instant::now();
        let (mut sid, mut limits, mut bytes) = (None, unknown, BytesMut::new());
        let mut open_tag = OpenTag::default();
        let mut chunks = body.into_data_stream();
        loop {
            // A long request has more time, as a stream over TCP has (`limits.silence`): a second for each KiB.
            let more = Duration::from_secs(bytes.len() as u64 / 1024);
            let chunk = timeout_at(begun + http::REQUEST + more, chunks.next()).await;
            let Some(chunk) = chunk.map_err(|_| Unread::Late)? else { break };
            let chunk = chunk.map_err(|_| Unread::Broken)?;
            bytes.extend_from_slice(&chunk);
            if let Some(tag) = open_tag.find(&bytes) {
                sid = Wrapper::peek_sid(tag, unknown);
                let session = sid.as_deref().and_then(|sid| self.sessions.find(sid));
                limits = session.map_or(unknown, |session| session.limits());
            }
            if bytes.len() > largest(limits.bytes) {
                return Err(Unread::TooLarge(sid));
            }
        }
        Ok((sid, limits, bytes.freeze()))
    }

    /// Begins a session (XEP-0124 §7).
    fn create(
        &self,
        config: &Config,
        peer: &Peer,
        headers: &HeaderMap,
        wrapper: &Wrapper,
        tls: &'static str,
    ) -> Begun {
        let server = self.c2s.server();
        let limits = &config.limits;
        let allowed = Allowed {
            wait: limits.bosh_wait,
            inactivity: limits.bosh_inactivity,
            pause: limits.bosh_pause,
        };
        if let Some(address) = &config.listen.bosh_see_other_uri {
            return Begun::Answered(elsewhere(address));
        }
        let is_legacy = wrapper.attr("ver").is_none();
        let refuse = |condition: Condition| Begun::Answered(condition.answer(is_legacy));
        let terms = match Terms::negotiate(wrapper, allowed) {
            Ok(terms) => terms,
            Err(Mistake::Malformed) => return refuse(Condition::BadRequest),
            Err(Mistake::NoDomain) => return refuse(Condition::ImproperAddressing),
        };
        let domain = crate::jid::Jid::parse(&terms.to);
        if !domain.is_ok_and(|to| {
            to.local().is_none() && to.resource().is_none() && server.host(to.domain()).is_some()
        }) {
            return refuse(Condition::HostUnknown);
        }
        let client = SocketAddr::new(peer.client(config, headers), peer.address().port());
        let permit = match server.budgets.connections.permit(Some(client.ip())) {
            Ok(permit) => permit,
            Err(scope) => {
                note_refused(server, client, scope);
                return refuse(Condition::PolicyViolation);
            }
        };
        let content = wrapper.attr("content");
        let content = content.and_then(|content| HeaderValue::try_from(content).ok());
        let (waiting, channel) =
            self.sessions.begin(terms, content.clone(), before_auth(limits), permit);
        tracing::debug!(%client, "session of BOSH begins");
        let client = Client {
            channel: Channel::Bosh(Box::new(channel)),
            peer: client,
            start: StartState::Http(tls),
            counted: Counted::new(&server.metrics, None),
        };
        let task = serve(Arc::clone(&self.c2s), client);
        drop(server.tasks.spawn("c2s", task.in_current_span()));
        Begun::Waits(waiting, content)
    }
}

/// The client chooses the type of what may contain what others write. So no browser takes it for a page of
/// ours (`nosniff`, `sandbox`).
fn response(answer: Answer, content: Option<HeaderValue>) -> Response {
    let content = content.unwrap_or(HeaderValue::from_static("text/xml; charset=utf-8"));
    let head = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    match answer {
        Answer::Body(body) => (head, [(CONTENT_TYPE, content)], body).into_response(),
        Answer::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, head).into_response()
        }
    }
}
