//! The page of a user who has logged in.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::who::{HOME, user};
use crate::host::command::SessionRow;
use crate::host::{Client, ServerState, clients_of, invitations, uploads};
use crate::http::pages::form::{FormKey, hidden, password};
use crate::http::pages::layout::{failed, page, see_other, sorry};
use crate::http::pages::shared::Pages;
use crate::http::pages::visitor::Visitor;
use crate::http::pages::{new_password, qr};
use crate::jid::BareJid;
use crate::modules::push::Content;
use crate::payload::datetime::Timestamp;
use crate::storage::{Invitation, Result, StoredFile};

/// What the page shows.
struct Shown {
    clients: Vec<Client>,
    files: Vec<(StoredFile, Option<String>)>,
    /// How many files there are: the newest are shown.
    all_files: u64,
    invitations: Vec<Invitation>,
    told: Content,
}

/// Makes the hidden field of a form of this name.
struct Tokens<'a> {
    key: &'a FormKey,
    cookie: &'a str,
    now: Timestamp,
}

impl Tokens<'_> {
    fn field(&self, name: &str) -> Markup {
        hidden(&self.key.token(&format!("account/{name}"), self.cookie, self.now))
    }
}

/// Shows the page, with a sentence about what was done or what was wrong just now.
pub(super) async fn show(
    pages: &Pages,
    visitor: &Visitor,
    user: &BareJid,
    done: Option<&str>,
    wrong: Option<&str>,
) -> Response {
    let key = match pages.key().await {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let server = &pages.server;
    let shown = match read(server, user).await {
        Ok(shown) => shown,
        Err(error) => return failed(&error),
    };
    let tokens = Tokens { key, cookie: &visitor.cookie, now: server.clock.now() };
    let config = server.config.load();
    let body = html! {
        @if let Some(wrong) = wrong { p class="bad" role="alert" { (wrong) } }
        @if let Some(done) = done { p class="good" role="status" { (done) } }
        section {
            p { "You are " strong { (user.as_str()) } "." }
            form method="post" action={ (HOME) "/logout" } {
                (tokens.field("logout"))
                button class="quiet" type="submit" { "Log out" }
            }
        }
        (devices(&shown.clients, &tokens))
        (notifications(shown.told, &tokens))
        (files(&shown.files, shown.all_files, &tokens))
        @if config.invitations.enabled { (invited(&shown.invitations, &tokens)) }
        @if config.registration.change_password { (change_password(&tokens)) }
        section {
            h2 { "Your data" }
            p { "Your contacts, messages, profile, devices, and the list of your files, as one file (JSON)." }
            p { a class="deed" href={ (HOME) "/export" } { "Download" } }
        }
        @if config.registration.remove {
            section {
                h2 { "Close the account" }
                p { "It is deleted with everything that is kept for it." }
                p { a href={ (HOME) "/close" } { "Close my account …" } }
            }
        }
    };
    drop(config);
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    visitor.with_cookie(page(status, "Your account", &body))
}

async fn read(server: &ServerState, user: &BareJid) -> Result<Shown> {
    let now = server.clock.now();
    let clients = clients_of(&*server.storage, user, now, &sessions_of(server, user)).await?;
    let uploaded = server.storage.files().uploaded(user, now, FILES).await?;
    let with_url = |file| {
        let url = uploads::url(server, &file);
        (file, url)
    };
    let (files, all_files) = (uploaded.newest.into_iter().map(with_url).collect(), uploaded.all);
    let invitations = invitations::open_of(&*server.storage, user, now).await?;
    let told = Content::of(&*server.storage, user).await?;
    Ok(Shown { clients, files, all_files, invitations, told })
}

/// The sessions of a user.
pub(super) fn sessions_of(server: &ServerState, user: &BareJid) -> Vec<SessionRow> {
    server.sessions.of(user).iter().map(SessionRow::of).collect()
}

fn devices(clients: &[Client], tokens: &Tokens<'_>) -> Markup {
    html! {
        section {
            h2 { "Devices" }
            p class="soft" { "These apps have access to your account. If you have lost a device, log it out and change your password: whoever knows the password can log in again." }
            @if clients.is_empty() { p { "No app has logged in yet." } }
            @if !clients.is_empty() {
                ul class="rows" {
                    @for client in clients {
                        li {
                            div {
                                strong { (client.software.as_deref().unwrap_or("An app")) }
                                @if let Some(device) = &client.device { " on " (device) }
                                br;
                                small {
                                    @if client.sessions.is_empty() { "last seen " (minute(client.last_seen)) } @else { "connected now" }
                                    ", known since " (minute(client.first_seen))
                                    @if client.knows_password { ", knows the password" }
                                }
                            }
                            (row_form("device", &client.id, ("Log out", client.software.as_deref().unwrap_or("an app")), tokens))
                        }
                    }
                }
            }
        }
    }
}

/// What push services are told of a message. XEP-0357 §9 wants this choice outside of the reach of clients.
fn notifications(told: Content, tokens: &Tokens<'_>) -> Markup {
    let choices = [
        (Content::Nothing, "only that there is one"),
        (Content::Sender, "who has sent it"),
        (Content::Body, "who has sent it, and its text, if it is not encrypted"),
    ];
    html! {
        section {
            h2 { "Notifications" }
            p class="soft" { "Sleeping phones are woken by the services of their makers. Of a new message these are told:" }
            form method="post" action={ (HOME) "/notifications" } {
                (tokens.field("notifications"))
                @for (choice, text) in choices {
                    p { label { input type="radio" name="tell" value=(choice.word()) checked[choice == told]; " " (text) } }
                }
                button type="submit" { "Save" }
            }
        }
    }
}

fn files(files: &[(StoredFile, Option<String>)], all: u64, tokens: &Tokens<'_>) -> Markup {
    html! {
        section {
            h2 { "Files" }
            @if files.is_empty() { p { "You have no files here." } }
            @if all > files.len() as u64 {
                p class="soft" { "These are the newest " (files.len()) " of " (all) "." }
            }
            @if !files.is_empty() {
                ul class="rows" {
                    @for (file, url) in files {
                        li {
                            div {
                                @match url {
                                    Some(url) => a href=(url) rel="noreferrer" { (file.name) },
                                    None => (file.name),
                                }
                                br;
                                small {
                                    (size(file.size)) ", " (minute(file.created))
                                    @if let Some(end) = file.expires { ", expires " (minute(end)) }
                                }
                            }
                            (row_form("file", &file.id.to_string(), ("Delete", &file.name), tokens))
                        }
                    }
                }
            }
        }
    }
}

fn invited(open: &[Invitation], tokens: &Tokens<'_>) -> Markup {
    html! {
        section {
            h2 { "Invitations" }
            p class="soft" { "People who open the link of an invitation become your contacts." }
            @if !open.is_empty() {
                ul class="rows" {
                    @for known in open {
                        li {
                            div {
                                @match &known.name {
                                    Some(name) => { "For " (name.as_str()) },
                                    None if known.uses > 1 => { "For " (known.uses) " more people" },
                                    None => "For one person",
                                }
                                br;
                                small { "made " (minute(known.created)) ", works until " (minute(known.expires)) }
                            }
                            (row_form("revoke", &known.id.to_string(), ("Take back", &minute(known.created)), tokens))
                        }
                    }
                }
            }
            form method="post" action={ (HOME) "/invite" } {
                (tokens.field("invite"))
                button type="submit" { "Invite somebody" }
            }
        }
    }
}

fn change_password(tokens: &Tokens<'_>) -> Markup {
    html! {
        section {
            h2 { "Change the password" }
            form method="post" action={ (HOME) "/password" } {
                (tokens.field("password"))
                (password("password", "Current password", None, "current-password"))
                (new_password::fields("new", "New password"))
                button type="submit" { "Change the password" }
            }
        }
    }
}

/// A button beside something. `what`: what it does, and to what, which readers of screens say.
fn row_form(name: &str, id: &str, what: (&str, &str), tokens: &Tokens<'_>) -> Markup {
    html! {
        form method="post" action={ (HOME) "/" (name) } {
            (tokens.field(name))
            input type="hidden" name="id" value=(id);
            button class="quiet" type="submit" aria-label={ (what.0) ": " (what.1) } { (what.0) }
        }
    }
}

/// The link of a new invitation, which is in the address of this page and nowhere else.
pub(super) async fn invitation(
    State(pages): State<Arc<Pages>>,
    visitor: Visitor,
    Path(token): Path<String>,
) -> Response {
    let Some(user) = user(&pages, &visitor).await else { return see_other(HOME) };
    let found = match invitations::open(&pages.server, &token).await {
        Ok(found) => found.filter(|invitation| invitation.inviter == user),
        Err(error) => return failed(&error),
    };
    let Some(invitation) = found else {
        let text = "This invitation was used or has expired, or it is not yours.";
        return sorry(StatusCode::NOT_FOUND, "Invitation not found", text);
    };
    let link = invitations::landing_url(&pages.server.config.load(), &invitation, &token);
    let link = link.unwrap_or_else(|| invitations::uri(&invitation, &token));
    let body = html! {
        section {
            p { "Send this link to the person whom you invite, or let that person scan the picture. It is shown only now." }
            p { a href=(link) { (link) } }
            (qr::picture(&link))
            p class="soft" { "It works once, until " (minute(invitation.expires)) "." }
            p { a href=(HOME) { "Back" } }
        }
    };
    page(StatusCode::OK, "Your invitation", &body)
}

/// A time, to the minute.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Files that are shown.
const FILES: usize = 100;
