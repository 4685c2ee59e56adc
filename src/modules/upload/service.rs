//! The service `upload.<host>`: what it is, and its one request.

use async_trait::async_trait;

use super::{request, slot};
use crate::host::{Asked, Cx, Discovery, Reply, Service, ServiceDomain};
use crate::payload::data_form::{Field, FieldKind, Form, FormKind};
use crate::payload::disco::{Identity, Info};
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::storage::Purpose;

/// The service.
pub(super) struct UploadService;

#[async_trait]
impl Service for UploadService {
    fn prefix(&self) -> &'static str {
        "upload"
    }

    fn identity(&self) -> Identity {
        Identity { category: "store", kind: "file", name: Some("File upload".into()) }
    }

    fn disco_features(&self) -> &'static [&'static str] {
        &request::NAMESPACES
    }

    async fn request(
        &self,
        cx: &mut Cx<'_>,
        at: &ServiceDomain,
        request: &Iq,
    ) -> Result<Reply, StanzaError> {
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let is_ours = request.head.to.as_ref() == Some(&at.jid)
            && request.kind == IqKind::Get
            && payload.name() == "request"
            && request::NAMESPACES.contains(&payload.ns());
        if !is_ours {
            return Err(Condition::ServiceUnavailable.into());
        }
        let user = request.head.from.as_ref().ok_or(Condition::BadRequest)?.to_bare();
        Ok(Reply::Now(Some(slot::give(cx, &user, &payload).await?)))
    }
}

#[async_trait]
impl Discovery for UploadService {
    async fn info(&self, cx: &Cx<'_>, asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        if asked.node.is_some() || asked.to.local().is_some() || asked.to.resource().is_some() {
            return Ok(None);
        }
        let config = cx.server.config.load();
        let offered =
            Purpose::ALL.into_iter().filter(|purpose| slot::is_offered(&config, *purpose));
        let most = slot::max_size(&config, Purpose::Message).to_string();
        let form = |ns: &&str| {
            let size = Field::new("max-file-size", FieldKind::TextSingle).value(&most);
            Form::new(FormKind::Result).form_type(ns).field(size)
        };
        Ok(Some(Info {
            features: offered.map(request::feature).collect(),
            forms: request::NAMESPACES.iter().map(form).collect(),
            ..Info::default()
        }))
    }
}
