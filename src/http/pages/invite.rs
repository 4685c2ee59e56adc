//! `/invite/{token}`: what an invitation is for, and what to do with it (XEP-0401 §4.2, XEP-0379 §3.3).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::clients::{self, Platform};
use super::layout::{Instead, failed, page, sorry};
use super::qr;
use super::shared::Pages;
use super::visitor::Visitor;
use crate::host::invitations;
use crate::storage::{Invitation, InvitationKind};

pub(super) async fn show(
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    Path(token): Path<String>,
) -> Response {
    match find(&pages, &visitor, &token).await {
        Ok(invitation) => landing(&invitation, &token, Platform::of(visitor.agent())),
        Err(answer) => *answer,
    }
}

/// The invitation, if it can be used.
///
/// # Errors
/// A page that says why not.
pub(super) async fn find(
    pages: &Pages,
    visitor: &Visitor,
    token: &str,
) -> Result<Invitation, Instead> {
    let server = &pages.server;
    let (registrations, unknown) =
        (&server.budgets.registrations, &server.budgets.unknown_invitations);
    let too_many = || {
        let text = "Too many invitations that do not exist were tried from your network. Please try again later.";
        Box::new(sorry(StatusCode::TOO_MANY_REQUESTS, "Please wait", text))
    };
    if !unknown.may_try(visitor.address) {
        return Err(too_many());
    }
    let found = invitations::find(server, token).await.map_err(|error| Box::new(failed(&error)))?;
    let Some(invitation) = found else {
        // Nobody guesses a token: it has 100 random bits. Whoever tries many is told to stop, and makes no accounts meanwhile.
        unknown.note(visitor.address);
        if !registrations.may_ask(visitor.address) {
            return Err(too_many());
        }
        let text = "There is no such invitation. Perhaps a part of the link is missing, or the invitation was taken back.";
        return Err(Box::new(sorry(StatusCode::NOT_FOUND, "Invitation not found", text)));
    };
    if invitation.is_open(server.clock.now()) {
        return Ok(invitation);
    }
    let text = match invitation.uses {
        0 => {
            "This invitation was used already. If it was you, your account is ready: log in with it in your app. If not, ask for another one."
        }
        _ => "This invitation has expired. Ask for a new one.",
    };
    Err(Box::new(sorry(StatusCode::GONE, "This invitation is over", text)))
}

fn landing(invitation: &Invitation, token: &str, platform: Platform) -> Response {
    let domain = invitation.inviter.domain();
    let title = match (invitation.kind, invitation.inviter.local()) {
        (InvitationKind::Contact, who) => format!("{} invites you to chat", who.unwrap_or(domain)),
        (InvitationKind::Account, Some(who)) => {
            format!("{who} invites you to make an account at {domain}")
        }
        (InvitationKind::Account, None) => format!("You can make an account at {domain}"),
    };
    let link = invitations::uri(invitation, token);
    let body = html! {
        section {
            h2 { "If you have a chat app" }
            p { a class="deed" href=(link) { "Open the invitation in your app" } }
            p class="soft" {
                "The app must be one for XMPP, such as those below. If nothing happens, install one of them first, and then come back to this page."
            }
            (qr::picture(&link))
            p { small { "On a computer? Scan this with the camera of your phone. The link in it is:" } br; code { (link) } }
        }
        section {
            h2 { "If you have none yet" }
            ol {
                li { "Install one of these apps." }
                li { "Come back to this page, and open the invitation in the app." }
            }
            (clients::list(platform))
        }
        @if invitation.makes_account() { (in_browser(token, domain)) }
        footer {
            p { "The invitation works until " (day(invitation)) (uses(invitation)) "." }
            @if invitation.makes_contact() {
                p { "If you do not know " (invitation.inviter.as_str()) ", close this page. Nothing has happened." }
            }
            p {
                "XMPP is a way to chat that belongs to no company: you choose an app and a provider, and reach everybody."
            }
        }
    };
    page(StatusCode::OK, &title, &body)
}

fn in_browser(token: &str, domain: &str) -> Markup {
    html! {
        section {
            h2 { "Or make your account here" }
            p { "Choose a name and a password for your account at " (domain) " now, and enter them in any app later." }
            p { a class="deed" href={ "/register/" (token) } { "Make an account" } }
        }
    }
}

/// The day on which it expires.
fn day(invitation: &Invitation) -> String {
    let text = invitation.expires.to_string();
    text.split('T').next().unwrap_or_default().to_owned()
}

fn uses(invitation: &Invitation) -> String {
    match invitation.uses {
        1 => ", and can be used once".to_owned(),
        n => format!(", and can be used by {n} people"),
    }
}
