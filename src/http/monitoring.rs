//! What programs that watch the server ask for: metrics (OpenMetrics 1.0), whether it lives, and whether it can
//! take clients. On a listener of its own (`listen.monitoring`), which is not for clients: the numbers tell who
//! looks at them a lot.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::timeout;

use super::write_probe::WriteProbe;
use crate::host::ServerState;

/// `/metrics`, `/health/live` and `/health/ready`.
pub fn routes(server: Arc<ServerState>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(Watched { server, writer: Arc::default() })
}

/// What is watched.
#[derive(Clone)]
struct Watched {
    server: Arc<ServerState>,
    writer: Arc<WriteProbe>,
}

async fn metrics(State(Watched { server, .. }): State<Watched>) -> Response {
    let head = [(CONTENT_TYPE, OPEN_METRICS), (CACHE_CONTROL, "no-store")];
    (head, server.metrics.render()).into_response()
}

/// It answers, so it lives. A process that does not answer here is to be started anew.
async fn live() -> Response {
    health(StatusCode::OK, "live")
}

/// Whether clients can be sent here: the storage reads and writes. A server that is not ready may be later: it need not be
/// started anew. A server that ends accepts no connection.
async fn ready(State(watched): State<Watched>) -> Response {
    match obstacle(&watched).await {
        None => health(StatusCode::OK, "ready"),
        Some(why) => health(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// Why the server cannot take clients now.
async fn obstacle(Watched { server, writer }: &Watched) -> Option<&'static str> {
    let tried = async {
        if let Err(error) = server.storage.accounts().list(None, None, 1).await {
            tracing::warn!(%error, "not ready: the storage fails");
            return Some("the storage fails");
        }
        (!writer.writes(server).await).then_some("the storage does not write")
    };
    let Ok(obstacle) = timeout(STORAGE, tried).await else {
        tracing::warn!("not ready: the storage does not answer");
        return Some("the storage does not answer");
    };
    obstacle
}

fn health(status: StatusCode, text: &'static str) -> Response {
    let head = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, head, format!("{text}\n")).into_response()
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How long the storage may take to answer. Monitoring programs wait ten seconds or so.
const STORAGE: Duration = Duration::from_secs(3);
