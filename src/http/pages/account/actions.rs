//! What the forms of an account's own page do.

use axum::response::Response;

use super::who::HOME;
use super::{login, overview};
use crate::host::invitations::{self, NotInvited, of_user};
use crate::host::registration::{self, Refusal};
use crate::host::{Client, Invalidation, ServerState, clients_of, log_out_client, uploads};
use crate::http::pages::form::Fields;
use crate::http::pages::layout::{failed, nothing, see_other};
use crate::http::pages::new_password;
use crate::http::pages::shared::Pages;
use crate::http::pages::visitor::Visitor;
use crate::jid::BareJid;
use crate::modules::push::Content;
use crate::storage::{FileId, InvitationId, StorageError};

/// Does what the form is for, and answers with the page that says so.
pub(super) async fn run(
    pages: &Pages,
    visitor: &Visitor,
    user: &BareJid,
    name: &str,
    fields: &Fields,
) -> Response {
    let done = match name {
        "password" => return change_password(pages, visitor, user, fields).await,
        "invite" => return invite(pages, visitor, user).await,
        "device" => match log_out(pages, user, fields.get("id")).await {
            Ok(Some(client)) if client.knows_password => {
                return see_other(&format!("{HOME}?done=device-knows"));
            }
            found => found.map(|client| client.is_some()),
        },
        "notifications" => tell(&pages.server, user, fields.get("tell")).await,
        "file" => match FileId::parse(fields.get("id")) {
            Some(id) => uploads::remove_own(&pages.server, user, id).await,
            None => Ok(false),
        },
        "revoke" => match InvitationId::parse(fields.get("id")) {
            Some(id) => pages.server.storage.invitations().remove_invitation(Some(user), id).await,
            None => Ok(false),
        },
        _ => return nothing(),
    };
    match done {
        Ok(true) => see_other(&format!("{HOME}?done={name}")),
        Ok(false) => overview::show(pages, visitor, user, None, Some(GONE)).await,
        Err(error) => failed(&error),
    }
}

/// The sentence for what was done.
pub(super) fn said(name: &str) -> Option<&'static str> {
    match name {
        "password" => Some("Your password was changed. Your apps have to log in with the new one."),
        "device" => Some("The device was logged out."),
        "device-knows" => Some(
            "The device was logged out. It knows the password and can log in again: change the password, if you have lost it.",
        ),
        "notifications" => Some("Push services are told that from now on."),
        "file" => Some("The file was deleted."),
        "revoke" => Some("The invitation does not work any more."),
        _ => None,
    }
}

async fn change_password(
    pages: &Pages,
    visitor: &Visitor,
    user: &BareJid,
    fields: &Fields,
) -> Response {
    if !pages.server.config.load().registration.change_password {
        return wrong(pages, visitor, user, "Only the administrator changes passwords here.").await;
    }
    let (name, new) = (user.local().unwrap_or_default(), fields.get("new"));
    if let Some(text) = new_password::wrong(name, new, fields.get("again")) {
        return wrong(pages, visitor, user, text).await;
    }
    if let Err(text) = login::check(pages, visitor, user, fields.get("password")).await {
        return wrong(pages, visitor, user, text).await;
    }
    match registration::change_password(&pages.server, user, new, None).await {
        Ok(true) => {}
        Ok(false) => return see_other(HOME),
        Err(Refusal::Password(_)) => {
            return wrong(pages, visitor, user, new_password::UNFIT).await;
        }
        Err(refusal) => return failed(&refusal),
    }
    // The user goes on with the new password; all others of the account have to log in.
    match pages.verifier.prove(user, new).await {
        Ok(Some(proven)) => {
            let cookie = pages.sessions.begin(user.clone(), proven);
            let page = see_other(&format!("{HOME}?done=password"));
            visitor.set_session(page, &cookie)
        }
        _ => see_other(HOME),
    }
}

async fn wrong(pages: &Pages, visitor: &Visitor, user: &BareJid, text: &str) -> Response {
    overview::show(pages, visitor, user, None, Some(text)).await
}

/// Makes an invitation, and goes to the page that shows its link.
async fn invite(pages: &Pages, visitor: &Visitor, user: &BareJid) -> Response {
    let server = &pages.server;
    let (storage, config) = (&*server.storage, server.config.load_full());
    let is_admin = match server.is_admin(user.as_str()).await {
        Ok(is_admin) => is_admin,
        Err(error) => return failed(&error),
    };
    let wish = of_user(&config, is_admin);
    match invitations::create(storage, &config, server.clock.now(), user, is_admin, wish).await {
        Ok(issued) => see_other(&format!("{HOME}/invitation/{}", issued.token)),
        Err(NotInvited::Storage(error)) => failed(&error),
        Err(refused) => {
            overview::show(pages, visitor, user, None, Some(&refused.to_string())).await
        }
    }
}

/// Chooses what push services are told of a message. `false` if there is no such choice.
async fn tell(server: &ServerState, user: &BareJid, word: &str) -> Result<bool, StorageError> {
    if !Content::WORDS.contains(&word) {
        return Ok(false);
    }
    let done = Content::of_word(word).store(&*server.storage, user).await;
    server.invalidate(&Invalidation::Push(user.clone()));
    done.map(|()| true)
}

/// Logs out a device. `None` if there is none with this id.
async fn log_out(pages: &Pages, user: &BareJid, id: &str) -> Result<Option<Client>, StorageError> {
    let server = &pages.server;
    let sessions = overview::sessions_of(server, user);
    let clients = clients_of(&*server.storage, user, server.clock.now(), &sessions).await?;
    let found = clients.into_iter().find(|client| client.id == id);
    if let Some(client) = &found {
        log_out_client(server, user, client, None).await?;
    }
    Ok(found)
}

const GONE: &str = "This is not there any more.";
