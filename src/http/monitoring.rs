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

use crate::host::ServerState;

/// `/metrics`, `/health/live` and `/health/ready`.
pub fn routes(server: Arc<ServerState>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(server)
}

async fn metrics(State(server): State<Arc<ServerState>>) -> Response {
    let head = [(CONTENT_TYPE, OPEN_METRICS), (CACHE_CONTROL, "no-store")];
    (head, server.metrics.render()).into_response()
}

/// It answers, so it lives. A process that does not answer here is to be started anew.
async fn live() -> Response {
    health(StatusCode::OK, "live")
}

/// Whether clients can be sent here: the storage answers. A server that is not ready may be later: it need not be
/// started anew. A server that ends accepts no connection.
async fn ready(State(server): State<Arc<ServerState>>) -> Response {
    match obstacle(&server).await {
        None => health(StatusCode::OK, "ready"),
        Some(why) => health(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// Why the server cannot take clients now.
async fn obstacle(server: &ServerState) -> Option<&'static str> {
    match timeout(STORAGE, server.storage.accounts().list(None, None, 1)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the storage fails");
            Some("the storage fails")
        }
        Err(_) => {
            tracing::warn!("not ready: the storage does not answer");
            Some("the storage does not answer")
        }
    }
}

fn health(status: StatusCode, text: &'static str) -> Response {
    let head = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, head, format!("{text}\n")).into_response()
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// For the storage to answer. Who watches waits ten seconds or so.
const STORAGE: Duration = Duration::from_secs(3);
