//! A service for tests: `echo.<host>` sends back what it gets. The server does not have it; a script
//! asks for it with `# service: echo`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use waxwing::host::{
    Asked, Cx, Discovery, Halt, Manifest, Module, Registry, Reply, Route, ServerState, Service,
    ServiceDomain,
};
use waxwing::jid::Jid;
use waxwing::payload::disco::{Identity, Info, Item};
use waxwing::stanza::{
    Condition, Head, Iq, Message, MessageKind, Presence, PresenceKind, Stanza, StanzaError,
};

use super::pass::pass;

/// The feature that brings the service.
pub(crate) struct Echo;

impl Module for Echo {
    fn manifest(&self) -> &'static Manifest {
        &Manifest { name: "echo", summary: "Sends back what it gets", xeps: &[] }
    }

    fn register(&self, on: &mut Registry) {
        on.service(Arc::new(EchoService::default()));
    }
}

/// - A message comes back as it is, from the address to which it was sent. To `later@echo.<host>`, it
///   comes back a minute later.
/// - Presence to an address with a resource is answered in kind.
/// - A request for a subscription to `echo@echo.<host>` is approved. Other addresses take none.
/// - A request to an address with a resource is sent back to the sender as a request; the sender's
///   answer to that is its answer.
#[derive(Default)]
struct EchoService {
    /// The requests that are not answered yet, by the id under which they were sent back.
    requests: Mutex<HashMap<String, Iq>>,
    later: Mutex<Option<mpsc::Sender<Stanza>>>,
}

#[async_trait]
impl Service for EchoService {
    fn prefix(&self) -> &'static str {
        "echo"
    }

    fn identity(&self) -> Identity {
        Identity { category: "component", kind: "generic", name: Some("Echo".into()) }
    }

    fn disco_features(&self) -> &'static [&'static str] {
        &["urn:waxwing:test:echo"]
    }

    fn takes_subscriptions(&self, to: &Jid) -> bool {
        to.local() == Some("echo")
    }

    fn start(&self, server: &Arc<ServerState>, route: &Arc<dyn Route>) {
        let (sender, mut receiver) = mpsc::channel(16);
        *self.later.lock() = Some(sender);
        let (route, stopping) = (Arc::clone(route), server.tasks.stopping());
        let task = async move {
            let send = async {
                while let Some(stanza) = receiver.recv().await {
                    pass(Duration::from_secs(60)).await;
                    route.route(stanza).await;
                }
            };
            stopping.run_until_cancelled(send).await;
        };
        drop(server.tasks.spawn("echo", task));
    }

    async fn message(
        &self,
        cx: &mut Cx<'_>,
        _: &ServiceDomain,
        message: Message,
    ) -> Result<(), Halt> {
        if message.kind == MessageKind::Error {
            return Ok(());
        }
        let is_later = message.head.to.as_ref().and_then(Jid::local) == Some("later");
        let stanza = Stanza::Message(Message { head: back(&message.head), ..message });
        match (is_later, &*self.later.lock()) {
            (true, Some(later)) => later.try_send(stanza).map_err(|_| too_many()),
            _ => {
                cx.outbox.send(stanza);
                Ok(())
            }
        }
    }

    async fn presence(
        &self,
        cx: &mut Cx<'_>,
        _: &ServiceDomain,
        presence: Presence,
    ) -> Result<(), Halt> {
        let is_available =
            matches!(presence.kind, PresenceKind::Available | PresenceKind::Unavailable);
        if is_available && presence.head.to.as_ref().is_some_and(Jid::is_full) {
            let presence = Presence { head: back(&presence.head), ..presence };
            cx.outbox.send(Stanza::Presence(presence));
        } else if presence.kind == PresenceKind::Subscribe {
            let head = back(&presence.head);
            let approval = Presence { head, kind: PresenceKind::Subscribed, ..presence };
            cx.outbox.send(Stanza::Presence(approval));
        }
        Ok(())
    }

    async fn request(
        &self,
        cx: &mut Cx<'_>,
        _: &ServiceDomain,
        request: &Iq,
    ) -> Result<Reply, StanzaError> {
        if request.head.to.as_ref().is_none_or(Jid::is_bare) {
            return Err(Condition::ServiceUnavailable.into());
        }
        let mut requests = self.requests.lock();
        let id = format!("echo-{}", requests.len());
        let mut asked = Iq { head: back(&request.head), ..request.clone() };
        asked.head.id = Some(id.as_str().into());
        requests.insert(id, request.clone());
        cx.outbox.send(Stanza::Iq(asked));
        Ok(Reply::Later)
    }

    async fn response(&self, cx: &mut Cx<'_>, _: &ServiceDomain, response: Iq) -> Result<(), Halt> {
        let id = response.head.id.as_deref().unwrap_or_default();
        if let Some(request) = self.requests.lock().remove(id) {
            cx.outbox.send(Stanza::Iq(Iq { head: back(&request.head), ..response }));
        }
        Ok(())
    }
}

/// There is one address of which it tells: `echo@echo.<host>`.
#[async_trait]
impl Discovery for EchoService {
    async fn info(&self, _: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        let identity = Identity { category: "client", kind: "bot", name: Some("Echo".into()) };
        let info = Info { identities: vec![identity], ..Info::default() };
        Ok((asked.to.local() == Some("echo") && asked.node.is_none()).then_some(info))
    }

    async fn items(&self, _: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Vec<Item>>, StanzaError> {
        if asked.node.is_some() || asked.to.local().is_some() {
            return Ok(None);
        }
        let bot = Jid::from_parts(Some("echo"), asked.to.domain(), None);
        let bot = bot.map_err(|_| Condition::InternalServerError)?;
        Ok(Some(vec![Item { name: Some("Echo".into()), ..Item::of(bot) }]))
    }
}

fn back(head: &Head) -> Head {
    Head { from: head.to.clone(), to: head.from.clone(), ..head.clone() }
}

fn too_many() -> Halt {
    Condition::ResourceConstraint.into()
}
