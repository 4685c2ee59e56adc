//! Pages for people with a browser: invitations, making an account, and an account's own page. `docs/invitations.md`
//! explains them.
//!
//! They need no script and no other site: `docs/decisions/0023-web-pages.md` says why. What is easy to get wrong:
//! everything that a page shows is escaped (by `maud`), and no form does anything without its token ([`form`]).

mod account;
mod clients;
mod form;
mod invite;
mod layout;
mod new_password;
mod once;
mod qr;
mod register;
mod sent;
mod shared;
mod visitor;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::shared::Pages;
use crate::auth::Verifier;
use crate::router::Router;
use crate::tasks::Tasks;

/// The routes.
pub fn routes(router: &Arc<Router>, verifier: &Arc<Verifier>) -> axum::Router {
    let pages = Arc::new(Pages::new(router, verifier));
    axum::Router::new()
        .route("/pages.css", get(layout::style))
        .route("/invite/{token}", get(invite::show))
        .route("/register", get(register::show_open).post(register::send_open))
        .route("/register/{token}", get(register::show_invited).post(register::send_invited))
        .route("/registered", get(register::done))
        .merge(account::routes())
        .layer(from_fn_with_state(Arc::clone(&pages), once::once))
        .layer(from_fn_with_state(router.server.tasks.clone(), to_the_end))
        .layer(map_response(layout::secured))
        .with_state(pages)
}

/// A form is always carried out to the end, also if the browser closes the connection meanwhile: a separate task does
/// it. The body is read before that, since the task would wait for ever for a body that never comes.
async fn to_the_end(State(tasks): State<Tasks>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = match Bytes::from_request(Request::from_parts(head.clone(), body), &()).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let request = Request::from_parts(head, body.into());
    let answered = tasks.spawn("page", next.run(request)).await;
    answered.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
