//! `/register/{token}` and `/register`: an account is made in the browser. The first needs an invitation, the second
//! is there while registration is open to all.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::clients::{self, Platform};
use super::form::{Fields, TOKEN, hidden};
use super::layout::{Instead, damaged, nothing, page, see_other, sorry};
use super::shared::Pages;
use super::visitor::Visitor;
use super::{invite, new_password, qr};
use crate::host::registration::{Refusal, make_account};
use crate::jid::BareJid;
use crate::storage::Invitation;
use crate::upload::percent_encoded;

/// An account that is to be made.
struct Offer {
    /// The name of the form, to which its token is bound; also its path.
    form: String,
    domain: String,
    invitation: Option<Invitation>,
}

pub(super) async fn show_invited(
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    Path(token): Path<String>,
) -> Response {
    match invited(&pages, &visitor, &token).await {
        Ok(offer) => form(&pages, &visitor, &offer, "", None).await,
        Err(answer) => *answer,
    }
}

pub(super) async fn send_invited(
    State(pages): State<Arc<Pages>>,
    Path(token): Path<String>,
    visitor: Visitor,
    body: Bytes,
) -> Response {
    match invited(&pages, &visitor, &token).await {
        Ok(offer) => make(&pages, &visitor, &offer, &body).await,
        Err(answer) => *answer,
    }
}

pub(super) async fn show_open(State(pages): State<Arc<Pages>>, visitor: Visitor) -> Response {
    match open(&pages, &visitor) {
        Ok(offer) => form(&pages, &visitor, &offer, "", None).await,
        Err(answer) => *answer,
    }
}

pub(super) async fn send_open(
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    body: Bytes,
) -> Response {
    match open(&pages, &visitor) {
        Ok(offer) => make(&pages, &visitor, &offer, &body).await,
        Err(answer) => *answer,
    }
}

async fn invited(pages: &Pages, visitor: &Visitor, token: &str) -> Result<Offer, Instead> {
    let invitation = invite::find(pages, visitor, token).await?;
    if !invitation.makes_account() {
        let text = "This invitation is for people who have an account. Open it in your chat app.";
        return Err(Box::new(sorry(StatusCode::FORBIDDEN, "No account by this invitation", text)));
    }
    let domain = invitation.inviter.domain().to_owned();
    Ok(Offer { form: format!("register/{token}"), domain, invitation: Some(invitation) })
}

fn open(pages: &Pages, visitor: &Visitor) -> Result<Offer, Instead> {
    if !pages.server.config.load().registration.open {
        let text = "Accounts are made by invitation here. Ask somebody who has one for a link.";
        return Err(Box::new(sorry(StatusCode::NOT_FOUND, "By invitation only", text)));
    }
    let domain = pages.domain(visitor.host());
    Ok(Offer { form: "register".to_owned(), domain, invitation: None })
}

/// The form, with what was wrong with the last one.
async fn form(
    pages: &Pages,
    visitor: &Visitor,
    offer: &Offer,
    name: &str,
    wrong: Option<&str>,
) -> Response {
    let key = match pages.key().await {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let token = key.token(&offer.form, &visitor.cookie, pages.server.clock.now());
    let fixed = offer.invitation.as_ref().and_then(|invitation| invitation.name.as_ref()?.local());
    let body = html! {
        @if let Some(wrong) = wrong { p class="bad" role="alert" { (wrong) } }
        section {
            @if let Some(who) = offer.invitation.as_ref().and_then(|known| known.inviter.local()) {
                p { (who) " has invited you." }
            }
            form method="post" action={ "/" (offer.form) } {
                (hidden(&token))
                (name_field(fixed, name, &offer.domain))
                (new_password::fields("password", "Password"))
                button type="submit" { "Make the account" }
            }
        }
        footer { p { "Keep the password in a safe place, such as a password manager. Nobody can look it up for you if you forget it." } }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    visitor.with_cookie(page(status, &format!("New account at {}", offer.domain), &body))
}

fn name_field(fixed: Option<&str>, name: &str, domain: &str) -> Markup {
    let value = fixed.unwrap_or(name);
    html! {
        label {
            "Name"
            @if fixed.is_none() { small { "It becomes a part of your address. Use letters and digits, for example your first name." } }
            span class="address" {
                input type="text" name="name" value=(value) readonly[fixed.is_some()] required maxlength="256"
                    autocomplete="username" autocapitalize="none" spellcheck="false";
                span { "@" (domain) }
            }
        }
    }
}

async fn make(pages: &Pages, visitor: &Visitor, offer: &Offer, body: &[u8]) -> Response {
    let Some(fields) = Fields::read(&visitor.headers, body) else { return damaged() };
    let key = match pages.key().await {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let name = fields.get("name").trim();
    let now = pages.server.clock.now();
    if !key.is_token(fields.get(TOKEN), &offer.form, &visitor.cookie, now) {
        let wrong = "The form was open for too long, or your browser accepts no cookies. Please send it again.";
        return form(pages, visitor, offer, name, Some(wrong)).await;
    }
    let secret = fields.get("password");
    let wrong = match name.is_empty() {
        true => Some("Please choose a name."),
        false => new_password::wrong(name, secret, fields.get("again")),
    };
    if wrong.is_some() {
        return form(pages, visitor, offer, name, wrong).await;
    }
    let (domain, invitation) = (&offer.domain, offer.invitation.as_ref());
    let server = &pages.server;
    match make_account(server, domain, name, secret, visitor.address, invitation).await {
        Ok(user) => {
            if let Some(invitation) = invitation.filter(|invitation| invitation.makes_contact()) {
                pages.router.befriend(&invitation.inviter, &user).await;
            }
            let signature = key.sign(DONE, user.as_str());
            see_other(&format!("/registered?a={}&s={signature}", percent_encoded(user.as_str())))
        }
        Err(refusal) => form(pages, visitor, offer, name, Some(plain(&refusal))).await,
    }
}

/// Why there is no account, in plain words.
fn plain(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Failed => "The server could not do this now. Please try again in a moment.",
        Refusal::Invitation => {
            "The invitation was used by somebody else meanwhile. Ask for another one."
        }
        Refusal::Name => "This cannot be a name. Use letters and digits, without spaces.",
        Refusal::OtherName => "The invitation is for another name.",
        Refusal::Password(_) => new_password::UNFIT,
        Refusal::Reserved => "Nobody can have this name. Please choose another one.",
        Refusal::Taken => "Somebody has this name already. Please choose another one.",
        Refusal::TooOften => {
            "Too many accounts were made from your network. Please try again later."
        }
    }
}

/// The page after the form.
pub(super) async fn done(
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Response {
    let key = match pages.key().await {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let made = query.as_deref().and_then(Fields::parse).unwrap_or_default();
    let (address, signature) = (made.get("a"), made.get("s"));
    let user = BareJid::parse(address).ok().filter(|_| key.is_signed(DONE, address, signature));
    let Some(user) = user else { return nothing() };
    let body = html! {
        section {
            p class="good" role="status" { "Your address is " strong { (user.as_str()) } "." }
            ol {
                li { "Install one of these apps." }
                li { "Choose “I have an account already”, and enter the address and your password." }
            }
            (clients::list(Platform::of(visitor.agent())))
        }
        section {
            h2 { "Your own page" }
            p {
                "Change your password, see your devices, and download your data at " a href="/account" { "your own page" } "."
            }
        }
        section {
            h2 { "Tell others" }
            p { "People with an app scan this to write to you, or enter " (user.as_str()) "." }
            (qr::picture(&uri(&user)))
        }
    };
    page(StatusCode::OK, "Your account is ready", &body)
}

/// An address as a URI.
fn uri(user: &BareJid) -> String {
    let local = user.local().map(|local| format!("{}@", percent_encoded(local)));
    format!("xmpp:{}{}", local.unwrap_or_default(), percent_encoded(user.domain()))
}

/// What the address of a new account is signed for.
const DONE: &str = "registered";
