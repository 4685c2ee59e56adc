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
mod qr;
mod register;
mod shared;
mod visitor;

use std::sync::Arc;

use axum::middleware::map_response;
use axum::routing::get;

use self::shared::Pages;
use crate::auth::Verifier;
use crate::router::Router;

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
        .layer(map_response(layout::secured))
        .with_state(pages)
}
