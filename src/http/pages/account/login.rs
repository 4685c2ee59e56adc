//! Logging in to the own page of an account. Wrong passwords are throttled together with those of chat clients
//! (`src/limit/failed_logins.rs`).

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

use super::who::HOME;
use crate::auth::{PasswordKey, SaslError};
use crate::http::pages::form::{Fields, hidden, password};
use crate::http::pages::layout::{page, see_other};
use crate::http::pages::shared::Pages;
use crate::http::pages::visitor::Visitor;
use crate::jid::BareJid;
use crate::log;

/// The form, with what was wrong with the last one.
pub(super) async fn form(
    pages: &Pages,
    visitor: &Visitor,
    address: &str,
    wrong: Option<&str>,
) -> Response {
    let key = match pages.key().await {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let token = key.token(FORM, &visitor.cookie, pages.server.clock.now());
    let body = html! {
        @if let Some(wrong) = wrong { p class="bad" role="alert" { (wrong) } }
        section {
            form method="post" action={ (HOME) "/login" } {
                (hidden(&token))
                label {
                    "Address"
                    small { "For example juliet@" (pages.domain(visitor.host())) }
                    input type="text" name="address" value=(address) required maxlength="1023" autocomplete="username"
                        autocapitalize="none" spellcheck="false" inputmode="email";
                }
                (password("password", "Password", None, "current-password"))
                button type="submit" { "Log in" }
            }
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    visitor.with_cookie(page(status, "Your account", &body))
}

/// Carries out the form.
pub(super) async fn log_in(pages: &Pages, visitor: &Visitor, fields: &Fields) -> Response {
    let typed = fields.get("address").trim();
    let domain = pages.domain(visitor.host());
    let user = match typed.contains('@') {
        true => BareJid::parse(typed),
        false => BareJid::from_parts(Some(typed), &domain),
    };
    let is_ours =
        |user: &BareJid| user.local().is_some() && pages.server.host(user.domain()).is_some();
    let Some(user) = user.ok().filter(is_ours) else {
        return form(pages, visitor, typed, Some("This is not an address of this server.")).await;
    };
    match check(pages, visitor, &user, fields.get("password")).await {
        Ok(proven) => {
            let cookie = pages.sessions.begin(user, proven);
            visitor.set_session(see_other(HOME), &cookie)
        }
        Err(WRONG) => {
            let wrong = "The address or the password is wrong.";
            form(pages, visitor, typed, Some(wrong)).await
        }
        Err(wrong) => form(pages, visitor, typed, Some(wrong)).await,
    }
}

/// Checks a password, in the time that the failures before it allow.
///
/// # Errors
/// What the user is told.
pub(super) async fn check(
    pages: &Pages,
    visitor: &Visitor,
    user: &BareJid,
    password: &str,
) -> Result<PasswordKey, &'static str> {
    let (server, peer) = (&pages.server, visitor.address);
    let guesses = &server.budgets.guesses;
    let by_address = server.config.load().auth.slow_addresses;
    if by_address && guesses.is_full(peer, LONGEST_WAIT) {
        return Err(TOO_MANY);
    }
    let proven = pages.verifier.prove(user, password).await;
    if matches!(proven, Err(SaslError::TemporaryAuthFailure)) {
        return Err("The server could not do this now. Please try again in a moment.");
    }
    let proven = proven.ok().flatten();
    let is_right = proven.is_some();
    if !is_right {
        log::login_failed(
            SocketAddr::new(peer, 0),
            Some(user.as_str()),
            "web page",
            "not-authorized",
        );
    }
    match guesses.answer(peer, Some(user.as_str()), is_right, by_address, LONGEST_WAIT) {
        Ok(wait) => tokio::time::sleep(wait).await,
        Err(_) => return Err(TOO_MANY),
    }
    if is_right {
        guesses.note_success(peer, user.as_str());
    }
    proven.ok_or(WRONG)
}

/// The name of the form, to which its token is bound.
pub(super) const FORM: &str = "account/login";
/// No answer waits longer. A request has a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const WRONG: &str = "The password is wrong.";
const TOO_MANY: &str = "There were too many wrong passwords lately. Please try again later.";
