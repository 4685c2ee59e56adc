//! XEP-0054: vcard-temp. Users store a card here, and everybody may read it.
//!
//! A stranger gets the same answer for an account without a card and for one that does not exist, so
//! that nobody learns which accounts exist (XEP-0054 §3.3, RFC 6121 §8.5.1). Users without a card get an
//! empty one: some clients would show them an error (Psi).

use async_trait::async_trait;

use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, Status, Xep,
};
use crate::jid::BareJid;
use crate::stanza::{Condition, Iq, IqKind, StanzaError};
use crate::xml::{Frame, Node, element};

const NS: &str = "vcard-temp";

/// Stores and shows cards.
pub struct Vcard;

impl Module for Vcard {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "vcard",
            summary: "Keeps the users' cards and shows them to everybody",
            xeps: &[Xep { number: 54, version: "1.3.0", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature(AddressKind::Host, NS).disco_feature(AddressKind::Account, NS);
        on.iq(AddressKind::Account, IqKind::Get, (NS, "vCard"), Access::Public, &Self);
        on.iq(AddressKind::Account, IqKind::Set, (NS, "vCard"), Access::OwnerElseForbidden, &Self);
    }
}

#[async_trait]
impl IqHandler for Vcard {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = request.head.to.as_ref().ok_or(Condition::BadRequest)?.to_bare();
        let documents = cx.server.storage.documents();
        if request.kind == IqKind::Get {
            return match documents.get(&user, KIND, "").await? {
                Some(kept) => card(&user, kept).map(Some),
                None if cx.origin.is_of(&user) => Ok(Some(element("vCard").ns(NS))), // XEP-0054 §3.1
                None => Err(Condition::ServiceUnavailable.into()), // XEP-0054 §3.3
            };
        }
        cx.must_have_account(&user).await?;
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let tree = payload.to_tree();
        let frame = Frame::from_tree(&tree).map_err(|_| Condition::BadRequest)?;
        let bytes = frame.bytes();
        if bytes.len() > cx.server.config.load().limits.vcard {
            return Err(Condition::NotAcceptable.text("the card is too large"));
        }
        let xml = str::from_utf8(bytes).map_err(|_| Condition::BadRequest)?;
        let kept = documents.put_within_quota(&user, KIND, "", xml).await;
        kept.inspect_err(|error| cx.server.count_refusal(error))?;
        Ok(None)
    }
}

/// A card as it was stored.
fn card(user: &BareJid, kept: String) -> Result<Node, StanzaError> {
    let frame = Frame::from_bytes(kept).map_err(|error| {
        tracing::error!(jid = %user, %error, "a stored vCard is damaged");
        Condition::InternalServerError
    })?;
    let root = frame.root();
    let mut node = element("vCard").ns(NS);
    for name in ["prodid", "version"] {
        node = node.maybe_attr(name, root.attr(name));
    }
    Ok(node.raw(&frame.bytes()[root.inner()]))
}

const KIND: &str = "vcard";
