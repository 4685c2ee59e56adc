//! `/account/export`: all that is kept for an account, as JSON. It is written page by page, so that a large archive needs no
//! more memory than a small one, and as fast as the browser takes it. A download that breaks off ends in the middle of the
//! JSON: so does one that takes too long, and one whose user has logged out or has a new password.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};

use super::place::Place;
use super::who::{HOME, user, user_of};
use crate::host::ServerState;
use crate::http::pages::layout::{see_other, sorry};
use crate::http::pages::shared::Pages;
use crate::http::pages::visitor::Visitor;
use crate::jid::BareJid;
use crate::limit::Action;
use crate::storage::{self, ItemQuery, MessageId, Query, StorageError, Way, Which};

/// What is written next.
pub(super) enum Next {
    Account,
    Roster,
    Devices,
    Tokens,
    Documents,
    /// The nodes after this one.
    Nodes(Option<String>),
    /// The next of the user's nodes at services.
    NodesAtServices,
    /// These items of a node of an owner. They are known from the beginning: one that is published again moves to the end,
    /// and nothing is left out for that.
    Items(BareJid, String, Vec<String>),
    /// What the user is at the nodes of services.
    NodeRelations,
    /// Rooms in which the user has an affiliation, after this one.
    Rooms(Option<BareJid>),
    Pushes,
    Files,
    Invitations,
    /// The messages after this one.
    Messages(Option<MessageId>),
    /// Those that no client has got yet, after this one.
    Waiting(Option<MessageId>),
    End,
}

pub(super) struct Export {
    pub(super) server: Arc<ServerState>,
    pages: Arc<Pages>,
    pub(super) user: BareJid,
    /// The session of the browser.
    session: String,
    pub(super) next: Next,
    /// Nodes of the user at services that were not written yet: the services and the names.
    pub(super) at_services: Vec<(BareJid, String)>,
    /// The list that is written has a value already.
    has_some: bool,
    place: Place,
}

/// Why a download breaks off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the user has logged out")]
    LoggedOut,
    #[error("the download takes too long")]
    TooLong,
    #[error(transparent)]
    Storage(#[from] StorageError),
}

pub(super) async fn download(State(pages): State<Arc<Pages>>, visitor: Visitor) -> Response {
    let Some(user) = user(&pages, &visitor).await else { return see_other(HOME) };
    let level = &pages.server.budgets.exports;
    let held = level.holder(Some(user.as_str()), None);
    if let Err(scope) = held.try_add(1) {
        level.count(scope, Action::Error);
        let text = "Your data are being downloaded already, or many people do it now. Please try again in a few minutes.";
        return sorry(StatusCode::TOO_MANY_REQUESTS, "Please wait", text);
    }
    tracing::info!(jid = %user, "data downloaded by their owner");
    let session = visitor.session().unwrap_or_default().to_owned();
    let (server, place) = (Arc::clone(&pages.server), Place::new(&pages.server, held));
    let export = Export {
        server,
        pages,
        user,
        session,
        next: Next::Account,
        at_services: Vec::new(),
        has_some: false,
        place,
    };
    let body = stream::unfold(export, |mut export| async move {
        if matches!(export.next, Next::End) {
            return None;
        }
        let piece = export.checked_piece().await.map_err(|error| {
            tracing::error!(%error, jid = %export.user, "a download of the data of an account breaks off");
            export.next = Next::End;
            io::Error::other(error)
        });
        Some((piece.map(Bytes::from), export))
    });
    let head = [
        (CONTENT_TYPE, "application/json"),
        (CONTENT_DISPOSITION, "attachment; filename=\"account.json\""),
    ];
    (head, Body::from_stream(body)).into_response()
}

impl Export {
    /// The next piece of the text, if it may still be read.
    async fn checked_piece(&mut self) -> Result<String, Broken> {
        if self.place.is_over() {
            return Err(Broken::TooLong);
        }
        if user_of(&self.pages, &self.session).await.as_ref() != Some(&self.user) {
            return Err(Broken::LoggedOut);
        }
        Ok(self.piece().await?)
    }

    /// The next piece of the text.
    async fn piece(&mut self) -> storage::Result<String> {
        let mut out = String::new();
        match std::mem::replace(&mut self.next, Next::End) {
            Next::Account => self.account(&mut out).await?,
            Next::Roster => self.roster(&mut out).await?,
            Next::Devices => self.devices(&mut out).await?,
            Next::Tokens => self.tokens(&mut out).await?,
            Next::Documents => self.documents(&mut out).await?,
            Next::Nodes(after) => {
                let nodes = self.server.storage.pubsub();
                let nodes = nodes.nodes(&self.user, after.as_deref(), 1).await?;
                match nodes.into_iter().next() {
                    Some(node) => self.next = self.begin_node(self.user.clone(), node.name).await?,
                    None => {
                        self.at_services = self.nodes_at_services().await?;
                        self.next = Next::NodesAtServices;
                    }
                }
            }
            Next::NodesAtServices => match self.at_services.pop() {
                Some((service, node)) => self.next = self.begin_node(service, node).await?,
                None => self.reopen(&mut out, "node_relations", Next::NodeRelations),
            },
            Next::Items(owner, node, after) => self.items(&mut out, owner, node, after).await?,
            Next::NodeRelations => self.node_relations(&mut out).await?,
            Next::Rooms(after) => self.rooms(&mut out, after).await?,
            Next::Pushes => self.pushes(&mut out).await?,
            Next::Files => self.files(&mut out).await?,
            Next::Invitations => self.invitations(&mut out).await?,
            Next::Messages(after) => self.messages(&mut out, after).await?,
            Next::Waiting(after) => self.waiting(&mut out, after).await?,
            Next::End => {}
        }
        Ok(out)
    }

    async fn account(&mut self, out: &mut String) -> storage::Result<()> {
        let account = self.server.storage.accounts().find(&self.user).await?;
        let created = account.map(|account| account.created.to_string());
        let now = self.server.clock.now().to_string();
        let head = json!({ "account": self.user, "created": created, "exported": now }).to_string();
        out.push_str(head.trim_end_matches('}'));
        self.open(out, "contacts", Next::Roster);
        Ok(())
    }

    /// A page of the archive.
    async fn messages(
        &mut self,
        out: &mut String,
        after: Option<MessageId>,
    ) -> storage::Result<()> {
        let query = Query { after, max: MESSAGES, ..Query::default() };
        let page = self.server.storage.archive().page(&self.user, &query).await?;
        let page = page.unwrap_or_default();
        let last = page.rows.last().map(|row| row.id);
        for row in page.rows {
            let (at, xml) = (row.at.to_string(), String::from_utf8_lossy(&row.xml));
            let is_sent = row.way == Way::Sent;
            self.push(
                out,
                &json!({ "at": at, "with": row.with.as_str(), "sent": is_sent, "xml": xml }),
            );
        }
        match last.filter(|_| !page.complete) {
            Some(last) => self.next = Next::Messages(Some(last)),
            None => self.reopen(out, "waiting", Next::Waiting(None)),
        }
        Ok(())
    }

    /// A page of the messages that no client has got yet. An account whose messages are not archived has no others.
    async fn waiting(&mut self, out: &mut String, after: Option<MessageId>) -> storage::Result<()> {
        let rows = self.server.storage.archive().waiting(&self.user, after, MESSAGES).await?;
        let last = rows.last().map(|row| row.id);
        for row in rows {
            let (at, xml) = (row.at.to_string(), String::from_utf8_lossy(&row.xml));
            self.push(out, &json!({ "at": at, "archived": row.archived, "xml": xml }));
        }
        match last {
            Some(last) => self.next = Next::Waiting(Some(last)),
            None => out.push_str("]}\n"),
        }
        Ok(())
    }

    async fn begin_node(&self, owner: BareJid, node: String) -> storage::Result<Next> {
        let ids = self.server.storage.pubsub().item_ids(&owner, &node).await?;
        Ok(Next::Items(owner, node, ids))
    }

    /// Some items of a node: the first of these that are still there.
    async fn items(
        &mut self,
        out: &mut String,
        owner: BareJid,
        node: String,
        mut ids: Vec<String>,
    ) -> storage::Result<()> {
        let rest = ids.split_off(ids.len().min(ITEMS));
        let query = ItemQuery {
            which: Which::Ids(&ids),
            max: ITEMS,
            max_bytes: ITEM_BYTES,
            since: None,
            payloads: true,
        };
        let page = self.server.storage.pubsub().items(&owner, &node, query).await?;
        let page = page.unwrap_or_default();
        // Big items are fewer than were asked for. Those that were removed meanwhile are left out.
        let last = page.items.last().and_then(|last| ids.iter().position(|id| *id == last.id));
        let mut ids = last.map_or_else(Vec::new, |last| ids.split_off(last + 1));
        ids.extend(rest);
        for item in page.items {
            let at = item.published.to_string();
            let xml = String::from_utf8_lossy(&item.payload);
            let mut json = json!({ "node": node, "id": item.id, "published": at, "xml": xml });
            if owner != self.user {
                json["service"] = owner.as_str().into();
            }
            self.push(out, &json);
        }
        self.next = match (ids.is_empty(), owner == self.user) {
            (false, _) => Next::Items(owner, node, ids),
            (true, true) => Next::Nodes(Some(node)),
            (true, false) => Next::NodesAtServices,
        };
        Ok(())
    }

    /// Begins the first list.
    fn open(&mut self, out: &mut String, name: &str, next: Next) {
        out.push_str(&format!(",\n\"{name}\":["));
        (self.next, self.has_some) = (next, false);
    }

    /// Ends a list, and begins another one.
    pub(super) fn reopen(&mut self, out: &mut String, name: &str, next: Next) {
        out.push(']');
        self.open(out, name, next);
    }

    pub(super) fn push(&mut self, out: &mut String, value: &Value) {
        out.push_str(if self.has_some { ",\n" } else { "\n" });
        out.push_str(&value.to_string());
        self.has_some = true;
    }
}

/// Messages of a page.
const MESSAGES: usize = 200;
/// Items of a page.
const ITEMS: usize = 50;
const ITEM_BYTES: usize = 1 << 20;
