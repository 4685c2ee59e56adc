//! The service `pubsub.<host>` (XEP-0060).

use async_trait::async_trait;

use super::place::Place;
use super::{approval, disco, dispatch, features, get_pending, presences};
use crate::host::{Asked, Cx, Discovery, Halt, Reply, Service, ServiceDomain};
use crate::ns;
use crate::payload::disco::{Identity, Info, ItemPage};
use crate::payload::result_set::SetRequest;
use crate::stanza::{Condition, Iq, Message, Presence, StanzaError};

/// The service. Its nodes belong to those who have created them.
pub(super) struct PubSubService;

#[async_trait]
impl Service for PubSubService {
    fn prefix(&self) -> &'static str {
        PREFIX
    }

    fn identity(&self) -> Identity {
        Identity { category: "pubsub", kind: "service", name: Some("Publish-subscribe".into()) }
    }

    fn disco_features(&self) -> &'static [&'static str] {
        &features::OF_SERVICE
    }

    async fn request(
        &self,
        cx: &mut Cx<'_>,
        at: &ServiceDomain,
        request: &Iq,
    ) -> Result<Reply, StanzaError> {
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let (from, to) = (&request.head.from, &request.head.to);
        if payload.is(ns::COMMANDS, "command")
            && let Some(from) = from.as_ref().filter(|_| to.as_ref() == Some(&at.jid))
        {
            let place = Place::of(at.jid.to_bare());
            let kind = request.kind;
            let answer = get_pending::at_service(cx, &place, from, kind, &payload).await?;
            return Ok(Reply::Now(answer));
        }
        let is_ours = matches!(payload.ns(), ns::PUBSUB | ns::PUBSUB_OWNER)
            && payload.name() == "pubsub"
            && request.head.to.as_ref() == Some(&at.jid);
        if !is_ours {
            return Err(Condition::ServiceUnavailable.into());
        }
        let place = Place::of(at.jid.to_bare());
        Ok(Reply::Now(dispatch::answer(cx, &place, request).await?))
    }

    async fn message(
        &self,
        cx: &mut Cx<'_>,
        at: &ServiceDomain,
        message: Message,
    ) -> Result<(), Halt> {
        if message.head.to.as_ref() != Some(&at.jid) {
            return Err(Condition::ServiceUnavailable.into());
        }
        approval::answered(cx, &Place::of(at.jid.to_bare()), &message).await
    }

    async fn presence(
        &self,
        cx: &mut Cx<'_>,
        at: &ServiceDomain,
        presence: Presence,
    ) -> Result<(), Halt> {
        presences::arrived(cx, at, &presence).await
    }
}

#[async_trait]
impl Discovery for PubSubService {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        match get_pending::info(asked) {
            _ if asked.to.local().is_some() => Ok(None),
            Some(info) => Ok(Some(info)),
            None => disco::node_info(cx, asked).await,
        }
    }

    async fn page(
        &self,
        cx: &Cx<'_>,
        asked: Asked<'_>,
        wanted: Option<&SetRequest>,
    ) -> Result<Option<ItemPage>, StanzaError> {
        match get_pending::items(asked) {
            _ if asked.to.local().is_some() => Ok(None),
            Some(items) => Ok(Some(items.into())),
            None => disco::page(cx, asked, wanted).await,
        }
    }
}

/// The label before the host.
pub(super) const PREFIX: &str = "pubsub";
