//! A push service for tests: `push.<host>`. A script asks for it with `# service: push`.
//!
//! A client that sends presence to it sees the notifications: each comes as a message with what was published.
//! The node says how the service answers, up to the first hyphen: `gone`, `busy`, `away`, `silent`, `twice`;
//! any other takes the notification. Of a node `late`, the first one is refused, after five seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use waxwing::host::{
    Cx, Discovery, Halt, Manifest, Module, Registry, Reply, Service, ServiceDomain,
};
use waxwing::jid::Jid;
use waxwing::payload::disco::Identity;
use waxwing::stanza::{
    Condition, Content, Head, Iq, Message, MessageKind, Presence, Stanza, StanzaError,
};
use waxwing::xml::Frame;

use super::pass::pass;

/// The feature that brings the service.
pub(crate) struct PushServer;

impl Module for PushServer {
    fn manifest(&self) -> &'static Manifest {
        &Manifest { name: "push_server", summary: "Shows notifications", xeps: &[] }
    }

    fn register(&self, on: &mut Registry) {
        on.service(Arc::new(PushService::default()));
    }
}

#[derive(Default)]
struct PushService {
    /// Who sees the notifications.
    watcher: Mutex<Option<Jid>>,
    /// It has refused one late.
    was_late: AtomicBool,
}

#[async_trait]
impl Service for PushService {
    fn prefix(&self) -> &'static str {
        "push"
    }

    fn identity(&self) -> Identity {
        Identity { category: "pubsub", kind: "push", name: None }
    }

    async fn presence(
        &self,
        _: &mut Cx<'_>,
        _: &ServiceDomain,
        presence: Presence,
    ) -> Result<(), Halt> {
        *self.watcher.lock() = presence.head.from;
        Ok(())
    }

    /// What the watcher sends goes on, as the service's own, or as that of an address at it, to which it was sent: to
    /// the address that is its subject.
    async fn message(
        &self,
        cx: &mut Cx<'_>,
        at: &ServiceDomain,
        mut message: Message,
    ) -> Result<(), Halt> {
        let subject = message.content.received_child("jabber:client", "subject");
        let Some(to) = subject.and_then(|subject| Jid::parse(&subject.text()).ok()) else {
            return Ok(());
        };
        message.content.remove(|child| child.is("jabber:client", "subject"));
        let from = message.head.to.take().unwrap_or_else(|| at.jid.clone());
        message.head = Head::between(from, to);
        cx.outbox.send(Stanza::Message(message));
        Ok(())
    }

    async fn request(
        &self,
        cx: &mut Cx<'_>,
        at: &ServiceDomain,
        request: &Iq,
    ) -> Result<Reply, StanzaError> {
        let watcher = self.watcher.lock().clone();
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        if let Some(watcher) = watcher {
            let head = Head::between(at.jid.clone(), watcher);
            let shown = Frame::from_tree(&payload.to_tree());
            let shown = shown.map_err(|_| Condition::InternalServerError)?;
            let content = Content::made(shown.bytes().clone());
            let kind = MessageKind::Headline;
            cx.outbox.send(Stanza::Message(Message { head, kind, content }));
        }
        let publish = payload.children().next();
        let node = publish.and_then(|publish| publish.attr("node").map(|node| node.into_owned()));
        match node.as_deref().unwrap_or_default().split('-').next() {
            Some("gone") => Err(Condition::ItemNotFound.into()),
            Some("busy") => Err(Condition::ResourceConstraint.into()),
            Some("away") => Err(Condition::RemoteServerNotFound.into()),
            Some("late") if !self.was_late.swap(true, Ordering::Relaxed) => {
                let error: StanzaError = Condition::ItemNotFound.into();
                let answer = error.answer(&Stanza::Iq(request.clone()));
                let route = cx.server.route();
                let task = async move {
                    pass(Duration::from_secs(5)).await;
                    if let (Some(route), Some(answer)) = (route, answer) {
                        route.route(answer).await;
                    }
                };
                drop(cx.server.tasks.spawn("late-refusal", task));
                Ok(Reply::Later)
            }
            Some("silent") => Ok(Reply::Later),
            Some("twice") => {
                let answer = request.result(None);
                cx.outbox.send(Stanza::Iq(answer.clone()));
                cx.outbox.send(Stanza::Iq(answer));
                Ok(Reply::Later)
            }
            _ => Ok(Reply::Now(None)),
        }
    }
}

impl Discovery for PushService {}
