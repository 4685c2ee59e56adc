//! Web pages that may use the API (CORS): those in `api.origins`, and no other.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::config::{Config, origin};

/// The origin of the page that asks, if it may. `None` also if no browser asks.
pub(super) fn allowed(config: &Config, headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(ORIGIN).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let from = origin(line.to_str().ok()?)?;
    config.api.origins.contains(&from).then(|| line.clone())
}

/// The answer to the question whether a page may send a request.
pub(super) fn preflight() -> Response {
    let head = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, Last-Event-ID"),
        (ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    (StatusCode::NO_CONTENT, head).into_response()
}

/// Lets a page of this origin read the answer.
pub(super) fn allow(headers: &mut HeaderMap, origin: &HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}
