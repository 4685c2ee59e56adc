//! `/account`: an account's own page. Users change their passwords, see and remove devices, files and invitations, choose
//! what push services are told, download their data, and close their accounts. Each of these does what a chat client
//! does, by the same functions of `src/host/`.

mod actions;
mod close;
mod documents;
mod elsewhere;
mod export;
mod lists;
mod login;
mod overview;
mod place;
mod sessions;
mod who;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::get;

pub(super) use sessions::Sessions;

use self::who::{HOME, user};
use super::form::{Fields, TOKEN};
use super::layout::{damaged, nothing, see_other};
use super::shared::Pages;
use super::visitor::Visitor;

/// The routes.
pub(super) fn routes() -> Router<Arc<Pages>> {
    Router::new()
        .route(HOME, get(home))
        .route("/account/{form}", get(no_form).post(act))
        .route("/account/close", get(close::show).post(close_account))
        .route("/account/export", get(export::download))
        .route("/account/invitation/{token}", get(overview::invitation))
}

async fn home(
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Response {
    match user(&pages, &visitor).await {
        Some(user) => {
            let done = query.as_deref().and_then(|query| query.strip_prefix("done="));
            overview::show(&pages, &visitor, &user, done.and_then(actions::said), None).await
        }
        None => login::form(&pages, &visitor, "", None).await,
    }
}

async fn close_account(pages: State<Arc<Pages>>, visitor: Visitor, body: Bytes) -> Response {
    act(pages, Path("close".to_owned()), visitor, body).await
}

/// Answers a GET for the address of a form, which browsers show after a form that was not accepted: the form itself is on
/// the page of the account.
async fn no_form(Path(name): Path<String>) -> Response {
    if FORMS.contains(&&*name) { see_other(HOME) } else { nothing() }
}

/// Carries out a form that was sent. The last part of its path is its name.
async fn act(
    State(pages): State<Arc<Pages>>,
    Path(name): Path<String>,
    visitor: Visitor,
    body: Bytes,
) -> Response {
    if !FORMS.contains(&&*name) {
        return nothing();
    }
    let Some(fields) = Fields::read(&visitor.headers, &body) else { return damaged() };
    let key = match pages.key().await {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let (form, now) = (format!("account/{name}"), pages.server.clock.now());
    let is_ours = key.is_token(fields.get(TOKEN), &form, &visitor.cookie, now);
    if name == "login" {
        return match is_ours {
            true => login::log_in(&pages, &visitor, &fields).await,
            false => login::form(&pages, &visitor, fields.get("address"), Some(STALE)).await,
        };
    }
    let Some(user) = user(&pages, &visitor).await else { return see_other(HOME) };
    if !is_ours {
        return overview::show(&pages, &visitor, &user, None, Some(STALE)).await;
    }
    match name.as_str() {
        "logout" => {
            if let Some(cookie) = visitor.session() {
                pages.sessions.end(cookie);
            }
            visitor.set_session(see_other(HOME), "")
        }
        "close" => close::close(&pages, &visitor, &user, &fields).await,
        name => actions::run(&pages, &visitor, &user, name, &fields).await,
    }
}

/// The forms, by the last part of their paths.
const FORMS: [&str; 9] =
    ["close", "device", "file", "invite", "login", "logout", "notifications", "password", "revoke"];
const STALE: &str =
    "The form was open for too long, or your browser accepts no cookies. Please send it again.";
