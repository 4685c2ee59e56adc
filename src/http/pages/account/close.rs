//! Closing an account: the user confirms it with the password.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

use super::login;
use super::who::{HOME, user};
use crate::http::pages::form::{Fields, hidden, password};
use crate::http::pages::layout::{failed, page, see_other, sorry};
use crate::http::pages::shared::Pages;
use crate::http::pages::visitor::Visitor;
use crate::jid::BareJid;

pub(super) async fn show(State(pages): State<Arc<Pages>>, visitor: Visitor) -> Response {
    match user(&pages, &visitor).await {
        Some(_) if !pages.server.config.load().registration.remove => forbidden(),
        Some(user) => form(&pages, &visitor, &user, None).await,
        None => see_other(HOME),
    }
}

fn forbidden() -> Response {
    let text = "Only the administrator removes accounts here.";
    sorry(StatusCode::FORBIDDEN, "Not possible", text)
}

async fn form(pages: &Pages, visitor: &Visitor, user: &BareJid, wrong: Option<&str>) -> Response {
    let key = match pages.key().await {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let token = key.token("account/close", &visitor.cookie, pages.server.clock.now());
    let body = html! {
        @if let Some(wrong) = wrong { p class="bad" role="alert" { (wrong) } }
        section {
            p {
                "Everything that is kept for " strong { (user.as_str()) } " is deleted: contacts, messages, files, "
                "invitations. It cannot be restored. " a href={ (HOME) "/export" } { "Download your data" }
                " first, if you want to keep it."
            }
            form method="post" action={ (HOME) "/close" } {
                (hidden(&token))
                (password("password", "Your password", None, "current-password"))
                p class="inline" {
                    button class="danger" type="submit" { "Close my account" }
                }
            }
            p { a href=(HOME) { "Back" } }
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    visitor.with_cookie(page(status, "Close the account", &body))
}

/// Carries out the form.
pub(super) async fn close(
    pages: &Pages,
    visitor: &Visitor,
    user: &BareJid,
    fields: &Fields,
) -> Response {
    let server = &pages.server;
    if !server.config.load().registration.remove {
        return forbidden();
    }
    if let Err(wrong) = login::check(pages, visitor, user, fields.get("password")).await {
        return form(pages, visitor, user, Some(wrong)).await;
    }
    if let Err(error) = pages.router.remove_account(user).await {
        return failed(&error);
    }
    tracing::info!(jid = %user, "account removed by its owner");
    if let Some(cookie) = visitor.session() {
        pages.sessions.end(cookie);
    }
    let text = "Your account and all its data were deleted.";
    visitor.set_session(sorry(StatusCode::OK, "The account is closed", text), "")
}
