//! XEP-0359: Unique and Stable Stanza IDs. A client may trust the ids that this server adds.

use crate::host::{AddressKind, Cx, Manifest, Module, Registry, Status, Xep};
use crate::jid::Jid;
use crate::ns;
use crate::payload::{delay, stanza_id};
use crate::stanza::{Message, Presence};
use crate::xml::ElementRef;

/// Removes forged ids.
pub struct StanzaId;

impl Module for StanzaId {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "stanza_id",
            summary: "Gives messages the ids that they have in archives, and lets nobody forge them",
            xeps: &[Xep { number: 359, version: "0.7.0", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature(AddressKind::Account, ns::STANZA_ID)
            .disco_feature(AddressKind::Host, ns::STANZA_ID);
    }
}

/// Removes from a message what only this server may add on behalf of `user` or of a domain: archive ids
/// (XEP-0359 §3), and a delay at this server (XEP-0203 §5).
///
/// DEPARTS: XEP-0359 §3 – ids by the domain are removed, too, though this server never adds any: the
/// domain announces to clients that it removes forged ids (§5).
pub fn remove_forged(cx: &Cx<'_>, user: &Jid, message: &mut Message) {
    let host = &cx.host.jid;
    message.content.remove(|child| {
        stanza_id::is_by(child, user) || stanza_id::is_by(child, host) || is_our_delay(cx, child)
    });
}

/// Removes a forged delay from presence, which would show a wrong time (XEP-0203 §5).
pub fn remove_forged_delay(cx: &Cx<'_>, presence: &mut Presence) {
    presence.content.remove(|child| is_our_delay(cx, child));
}

/// A delay in the name of one of our domains, the sender's or another.
fn is_our_delay(cx: &Cx<'_>, child: &ElementRef<'_>) -> bool {
    let from = || child.attr("from").and_then(|from| Jid::parse(&from).ok());
    let is_ours = |from: Jid| cx.server.ours(from.as_str()).is_some();
    child.is(delay::NS, "delay") && from().is_some_and(is_ours)
}
