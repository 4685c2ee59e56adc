//! What all pages have in common: their frame, their headers, and the words for what did not work.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

/// A whole page.
pub(super) fn page(status: StatusCode, title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                // Browsers ask for /favicon.ico otherwise.
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/pages.css";
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    let head = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    (status, head, page.into_string()).into_response()
}

/// A page in the place of the one that was asked for.
pub(super) type Instead = Box<Response>;

/// A page that says in a sentence what did not work.
pub(super) fn sorry(status: StatusCode, title: &str, text: &str) -> Response {
    page(status, title, &html! { section { p { (text) } } })
}

/// There is no such page.
pub(super) fn nothing() -> Response {
    sorry(StatusCode::NOT_FOUND, "Nothing here", "There is no such page.")
}

/// What was sent is not a form of ours.
pub(super) fn damaged() -> Response {
    sorry(StatusCode::BAD_REQUEST, "Not understood", "The form was damaged on its way.")
}

/// The page for an error of the store, which the log has.
pub(super) fn failed(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "cannot show a page");
    let text = "The server could not do this now. Please try again in a moment.";
    sorry(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", text)
}

/// After a form was sent, another page is loaded: so it is not sent again.
pub(super) fn see_other(to: &str) -> Response {
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

/// The style of all pages.
pub(super) async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// Headers of all answers. Nothing is loaded from elsewhere and no script runs, no other site shows our pages in its
/// own, and no cache keeps them.
pub(super) async fn secured(mut answer: Response) -> Response {
    let head: &mut HeaderMap = answer.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (OPENER, "same-origin"),
    ] {
        head.insert(name, HeaderValue::from_static(value));
    }
    answer
}

const STYLE: &str = include_str!("style.css");
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
