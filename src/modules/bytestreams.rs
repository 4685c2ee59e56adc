//! XEP-0065: SOCKS5 Bytestreams. The service `proxy.<host>` tells users where the proxy is, and activates their
//! bytestreams. The proxy itself is a listener (`src/bytestream/`).
//!
//! The target of a bytestream may be anybody, also at another server: it only connects.

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Config;
use crate::host::bytestreams::{Activation, Bytestreams as Table, NotActive, StreamHash};
use crate::host::{
    Cx, Discovery, Manifest, Module, Registry, Reply, Service, ServiceDomain, Status, Xep,
};
use crate::jid::{BareJid, Jid};
use crate::limit::Action;
use crate::payload::disco::Identity;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::xml::{ElementRef, element};

const NS: &str = "http://jabber.org/protocol/bytestreams";

/// Connects clients that do not reach each other.
pub struct Bytestreams;

impl Module for Bytestreams {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "bytestreams",
            summary: "Relays files between clients that do not reach each other",
            // Without UDP (§8), which is optional.
            xeps: &[Xep { number: 65, version: "1.8.2", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(Table::default());
    }

    fn configure(&self, config: &Config, on: &mut Registry) {
        if config.proxy65(config.default_domain()).is_some() {
            on.service(Arc::new(Proxy));
        }
    }
}

struct Proxy;

impl Discovery for Proxy {}

#[async_trait]
impl Service for Proxy {
    fn prefix(&self) -> &'static str {
        "proxy"
    }

    fn identity(&self) -> Identity {
        Identity { category: "proxy", kind: "bytestreams", name: Some("File transfer".into()) }
    }

    fn disco_features(&self) -> &'static [&'static str] {
        &[NS]
    }

    async fn request(
        &self,
        cx: &mut Cx<'_>,
        at: &ServiceDomain,
        request: &Iq,
    ) -> Result<Reply, StanzaError> {
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let is_ours = request.head.to.as_ref() == Some(&at.jid)
            && payload.name() == "query"
            && payload.ns() == NS;
        if !is_ours {
            return Err(Condition::ServiceUnavailable.into());
        }
        let from = request.head.from.as_ref().ok_or(Condition::BadRequest)?;
        let user = from.to_bare();
        let is_local = cx.server.host(user.domain()).is_some();
        if !is_local || !cx.has_account(&user).await? {
            let text = "only registered users of this server may use its proxy";
            return Err(Condition::Forbidden.text(text));
        }
        if request.kind == IqKind::Set {
            activate(cx, from, user, &payload)?;
            return Ok(Reply::Now(None));
        }
        let place = cx.server.config.load().proxy65(user.domain());
        let (host, port) = place.ok_or(Condition::ServiceUnavailable)?;
        let streamhost = element("streamhost").attr("jid", at.jid.as_str());
        let streamhost = streamhost.attr("host", host).attr("port", port.to_string());
        Ok(Reply::Now(Some(element("query").ns(NS).child(streamhost))))
    }
}

/// XEP-0065 §6.3.5.
fn activate(
    cx: &Cx<'_>,
    requester: &Jid,
    user: BareJid,
    query: &ElementRef<'_>,
) -> Result<(), StanzaError> {
    let sid = query.attr("sid").filter(|sid| !sid.is_empty());
    let sid = sid.ok_or_else(|| Condition::BadRequest.text("the sid is missing"))?;
    let target = query.child(NS, "activate");
    let target = target.ok_or_else(|| Condition::BadRequest.text("the target is missing"))?;
    let target = Jid::parse(target.text().trim());
    let target = target.map_err(|_| Condition::JidMalformed.text("the target is no address"))?;
    let budget = &cx.server.budgets.bytestreams;
    let account = (!cx.server.budgets.is_exempt(&user)).then(|| user.as_str());
    let held = budget.holder(account, None);
    held.try_add(1).map_err(|scope| {
        budget.count(scope, Action::Error);
        Condition::ResourceConstraint.text("there are too many bytestreams")
    })?;
    let hash = StreamHash::of(&sid, requester, &target);
    let activated = cx.server.shared::<Table>().activate(hash, Activation { user, held });
    activated.map_err(|error| match error {
        NotActive::OneOnly => Condition::NotAllowed.text("only one client is connected"),
        NotActive::Unknown => Condition::ItemNotFound.text("no client is connected for this"),
    })
}
