//! A feature that is there for the tests alone. It notes the events that features are told of
//! (`src/host/lifecycle.rs`), and the outcome of requests: asked by
//! `<ask xmlns='urn:example:ask' jid='…'/>`, the server asks this address for its version and waits ten
//! seconds for the answer (`src/host/requests.rs`). Before it stands another one that makes trouble, if the resource of the
//! session says so: `fails` or `slow`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use waxwing::host::lifecycle::{Event, EventKind, Listener};
use waxwing::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, RequestError,
};
use waxwing::jid::Jid;
use waxwing::stanza::{Condition, Iq, IqKind, StanzaError};
use waxwing::xml::element;

use super::pass::pass;

/// Notes the events.
pub(crate) struct Witness(&'static Notes);

#[derive(Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

struct Trouble;

impl Witness {
    /// One for a test. It stays until the process ends.
    pub(crate) fn new() -> &'static Self {
        Box::leak(Box::new(Self(Box::leak(Box::default()))))
    }

    /// What has been told since this was last asked, in order.
    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.0.0.lock())
    }
}

impl Module for Witness {
    fn manifest(&self) -> &'static Manifest {
        &Manifest { name: "witness", summary: "Notes events", xeps: &[] }
    }

    fn register(&self, on: &mut Registry) {
        on.iq(AddressKind::Host, IqKind::Set, (ASK, "ask"), Access::Public, self.0);
        for kind in [
            EventKind::AccountRemoved,
            EventKind::InterestsChanged,
            EventKind::SessionAvailable,
            EventKind::SessionEnded,
            EventKind::SessionUnavailable,
            EventKind::SubscriptionOpened,
        ] {
            on.listener(kind, &Trouble).listener(kind, self.0);
        }
    }
}

#[async_trait]
impl Listener for Notes {
    async fn on_event(&self, _: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        self.0.lock().push(match event {
            Event::AccountRemoved { user, contacts } => {
                format!("{user} is removed, with {} contacts", contacts.len())
            }
            Event::ContactChanged { user, contact, .. } => {
                format!("{contact} sees {user} otherwise")
            }
            Event::InterestsChanged { session, before } => {
                let now = session.interests().unwrap_or_default();
                format!("{} wants {:?}, wanted {:?}", session.jid(), now.nodes(), before.nodes())
            }
            Event::ItemsChanged { change } => format!("{} of {}", change.node.name, change.owner),
            Event::RemoteClientAvailable { user, client, .. } => {
                format!("{client} is available to {user}")
            }
            Event::RoomEntered { session, room, .. } => format!("{} is in {room}", session.jid()),
            Event::RoomLeft { session, room } => format!("{} has left {room}", session.jid()),
            Event::RoomMessage { .. } => "a room has a message".to_owned(),
            Event::ServerEnds { sessions } => format!("{} sessions end", sessions.len()),
            Event::SessionAvailable { session, .. } => format!("{} is available", session.jid()),
            Event::SessionEnded { session } => format!("{} has ended", session.jid()),
            Event::SessionUnavailable { session, .. } => {
                format!("{} is unavailable", session.jid())
            }
            Event::SubscriptionOpened { user, contact } => format!("{contact} may see {user}"),
        });
        Ok(())
    }
}

#[async_trait]
impl Listener for Trouble {
    async fn on_event(&self, _: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        match event {
            Event::SessionAvailable { session, .. } if session.jid().resource_part() == "fails" => {
                Err(Condition::InternalServerError.into())
            }
            Event::SessionAvailable { session, .. } if session.jid().resource_part() == "slow" => {
                pass(Duration::from_secs(60)).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl IqHandler for Notes {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let to = payload.attr("jid").ok_or(Condition::BadRequest)?;
        let to = Jid::parse(&to).map_err(|_| Condition::JidMalformed)?;
        let query = element("query").ns("jabber:iq:version");
        let asked = cx.server.request(cx.host.jid.clone(), to.clone(), IqKind::Get, query);
        let (request, answer) = asked.map_err(|_| Condition::ResourceConstraint)?;
        cx.outbox.send(request);
        let notes = Arc::clone(&self.0);
        let wait = async move {
            let outcome = match answer.within(Duration::from_secs(10)).await {
                Ok(iq) => {
                    let name = iq.payload().and_then(|query| {
                        let name = query.child("jabber:iq:version", "name");
                        name.map(|name| name.text().into_owned())
                    });
                    name.unwrap_or_else(|| "nothing".to_owned())
                }
                Err(RequestError::Refused(iq)) => {
                    let error = iq.payload().filter(|error| error.name() == "error");
                    let kind = error.and_then(|error| error.attr("type").map(|t| t.into_owned()));
                    format!("an error of type {}", kind.unwrap_or_default())
                }
                Err(error) => error.to_string(),
            };
            notes.lock().push(format!("{to}: {outcome}"));
        };
        drop(cx.server.tasks.spawn("ask", wait));
        Ok(None)
    }
}

const ASK: &str = "urn:example:ask";
