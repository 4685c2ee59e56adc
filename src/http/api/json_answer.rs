//! Answers in JSON.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// An answer that nobody keeps.
pub(super) fn json_answer(status: StatusCode, value: &Value) -> Response {
    let head = [(CONTENT_TYPE, JSON), (CACHE_CONTROL, "no-store")];
    (status, head, value.to_string()).into_response()
}

pub(super) const JSON: &str = "application/json";
