//! What is counted of requests: what answered them, how, how many bytes their bodies have, and which bodies are under
//! way.
//!
//! What is easy to get wrong: a label whose value comes from a client makes a series of each path that somebody tries. So
//! a route is one of [`ROUTES`], whatever the rest of the path is, and a status is one that this server gives.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::StatusCode;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;

/// Counts one request.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    metrics: Metrics,
    route: &'static str,
}

impl Meter {
    /// Of a request for this path.
    pub(super) fn new(metrics: Metrics, path: &str) -> Self {
        Self { metrics, route: route(path) }
    }

    /// The request has an answer.
    pub(super) fn answered(&self, status: StatusCode) {
        self.metrics.http.requests.inc([self.route, label(status)]);
    }

    /// An answer was written that had its body in memory.
    pub(super) fn sent(&self, bytes: usize) {
        self.metrics.http.sent.inc_by(bytes as u64);
    }

    /// The body of the request, counted while it is read.
    pub(super) fn request<B: Body>(&self, body: B) -> Metered<B> {
        let http = &self.metrics.http;
        Metered::new(body, http.received.clone(), &http.bodies_in)
    }

    /// The body of the answer, counted while it is written.
    pub(super) fn answer<B: Body>(&self, body: B) -> Metered<B> {
        let http = &self.metrics.http;
        Metered::new(body, http.sent.clone(), &http.bodies_out)
    }
}

/// A body whose bytes are counted.
#[derive(Debug)]
pub(super) struct Metered<B> {
    body: B,
    bytes: Counter,
    /// Until its end. A body without a byte is never under way.
    open: Option<Open>,
}

/// A body that is under way.
#[derive(Debug)]
struct Open(Gauge);

impl<B: Body> Metered<B> {
    fn new(body: B, bytes: Counter, gauge: &Gauge) -> Self {
        let open = (!body.is_end_stream()).then(|| {
            gauge.inc();
            Open(gauge.clone())
        });
        Self { body, bytes, open }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Metered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.bytes.inc_by(frame.data_ref().map_or(0, Bytes::len) as u64);
            }
            Poll::Ready(None | Some(Err(_))) => self.open = None,
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The route of a path: the name of the first of [`ROUTES`] at which it begins.
fn route(path: &str) -> &'static str {
    let is_at = |start: &str| {
        path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = ROUTES.iter().find(|(_, starts)| starts.iter().any(|start| is_at(start)));
    found.map_or(OTHER, |(name, _)| name)
}

/// A status as a label. One that is not in the table is its class.
fn label(status: StatusCode) -> &'static str {
    let code = status.as_u16();
    match STATUSES.binary_search_by_key(&code, |(known, _)| *known) {
        Ok(at) => STATUSES[at].1,
        Err(_) => match code / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
    }
}

/// Names of routes, and the beginnings of their paths.
const ROUTES: [(&str, &[&str]); 7] = [
    ("api", &["/api"]),
    ("bosh", &["/http-bind", "/bosh"]),
    ("files", &["/files"]),
    ("host-meta", &["/.well-known/host-meta", "/.well-known/host-meta.json"]),
    ("monitoring", &["/metrics", "/health"]),
    ("pages", &["/invite", "/register", "/registered", "/account", "/pages.css"]),
    ("websocket", &["/ws", "/xmpp-websocket"]),
];
/// Files of the operator, and what is nowhere.
const OTHER: &str = "other";
/// In their order.
const STATUSES: [(u16, &str); 31] = [
    (101, "101"),
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (206, "206"),
    (302, "302"),
    (303, "303"),
    (304, "304"),
    (308, "308"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (411, "411"),
    (412, "412"),
    (413, "413"),
    (415, "415"),
    (416, "416"),
    (422, "422"),
    (426, "426"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
    (505, "505"),
    (507, "507"),
];

#[cfg(test)]
mod tests {
    use axum::body::Body as Boxed;

    use super::*;

    #[test]
    fn a_path_is_of_one_route_and_what_follows_makes_none() {
        for (path, name) in [
            ("/files/00ff/a.txt", "files"),
            ("/files", "files"),
            ("/filesystem", "other"),
            ("/.well-known/host-meta.json", "host-meta"),
            ("/.well-known/host-meta/", "host-meta"),
            ("/account/export", "pages"),
            ("/health/ready", "monitoring"),
            ("/ws", "websocket"),
            ("/", "other"),
            ("*", "other"),
        ] {
            assert_eq!(route(path), name, "{path}");
        }
    }

    #[test]
    fn a_status_that_is_not_known_is_its_class() {
        assert!(STATUSES.is_sorted());
        assert!(STATUSES.iter().all(|(code, text)| code.to_string() == *text));
        let of = |code: u16| label(StatusCode::from_u16(code).unwrap());
        assert_eq!([of(200), of(507), of(418), of(999)], ["200", "507", "4xx", "5xx"]);
    }

    #[tokio::test]
    async fn a_body_is_under_way_until_its_end() {
        let metrics = Metrics::new();
        let meter = Meter::new(metrics.clone(), "/files/a");
        assert!(meter.request(Boxed::empty()).open.is_none());
        let body = Boxed::new(meter.request(Boxed::from("12345")));
        assert_eq!(metrics.http.bodies_in.get(), 1);
        axum::body::to_bytes(body, 10).await.unwrap();
        assert_eq!((metrics.http.bodies_in.get(), metrics.http.received.get()), (0, 5));
        drop(meter.answer(Boxed::from("12345")));
        assert_eq!((metrics.http.bodies_out.get(), metrics.http.sent.get()), (0, 0));
        meter.answered(StatusCode::CREATED);
        assert!(metrics.render().contains("{route=\"files\",status=\"201\"} 1\n"));
    }
}
