//! A form that is sent twice, by a double click, or again after an answer that was lost, is done once: both requests get
//! the same answer.
//!
//! The same form is one that was shown once, to one browser, with the same fields: its token says when it was shown, to
//! the microsecond. What is easy to get wrong: the first request may still be running when the second one comes,
//! although the browser has given it up. So the first one is carried out to the end, and the second one waits for it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, FromRequestParts as _, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::form::{Fields, TOKEN};
use super::layout::Instead;
use super::sent::{Answer, Key};
use super::shared::Pages;
use super::visitor::Visitor;

/// Does what a form asks for, or answers as before if it was done.
pub(super) async fn once(
    State(pages): State<Arc<Pages>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (mut head, body) = request.into_parts();
    let visitor = match Visitor::from_request_parts(&mut head, &pages).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let request = Request::from_parts(head.clone(), body);
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let key = match key(&pages, &visitor, head.uri.path(), &body).await {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let request = Request::from_parts(head, body.into());
    // A form without a good token does nothing, and is refused with the right words elsewhere.
    let Some(key) = key else { return next.run(request).await };
    let sent = pages.sent.of(key);
    match sent.get_or_try_init(|| async { Answer::of(next.run(request).await).await }).await {
        Ok(answer) => answer.response(),
        Err(answer) => {
            pages.sent.forget(&key);
            *answer
        }
    }
}

/// What this form is known by; `None` if it is not one of ours, with its token.
async fn key(
    pages: &Pages,
    visitor: &Visitor,
    path: &str,
    body: &Bytes,
) -> Result<Option<Key>, Instead> {
    let Some(fields) = Fields::read(&visitor.headers, body) else { return Ok(None) };
    let (key, now) = (pages.key().await?, pages.server.clock.now());
    let form = path.strip_prefix('/').unwrap_or(path);
    if !key.is_token(fields.get(TOKEN), form, &visitor.cookie, now) {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    for part in [path.as_bytes(), visitor.host().as_bytes(), visitor.cookie.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(Some(hash.finalize().into()))
}
