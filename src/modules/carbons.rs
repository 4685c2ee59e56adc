//! XEP-0280: Message Carbons. Each device of a user gets both sides of all conversations.
//!
//! `router/message.rs` calls [`received`] and [`sent`] when a message has been accepted. A session gets a
//! message once: directly or as a copy.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use smallvec::SmallVec;

use crate::archive::policy::is_lasting;
use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Kept, Manifest, Module, Registry, Status, Xep,
    stanza_log,
};
use crate::jid::BareJid;
use crate::log::STANZA;
use crate::ns;
use crate::payload::chat_state;
use crate::payload::forward;
use crate::payload::hints::Hints;
use crate::payload::stanza_id::stanza_id;
use crate::session::{Accepted, CloseReason, Session, SessionRef};
use crate::stanza::{Condition, Content, Head, Iq, IqKind, Message, MessageKind, Stanza};
use crate::xml::ElementRef;

/// The namespace.
pub const NS: &str = ns::CARBONS;
const NS_RULES: &str = "urn:xmpp:carbons:rules:0";

type Devices<'a> = SmallVec<[&'a SessionRef; 2]>;

/// Copies messages to the other devices of their senders and recipients.
pub struct Carbons;

impl Module for Carbons {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "carbons",
            summary: "Copies messages to the user's other devices, by the rules of §6.1",
            xeps: &[Xep { number: 280, version: "1.0.1", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        for address in [AddressKind::Account, AddressKind::Host] {
            on.disco_feature(address, NS).disco_feature(address, NS_RULES);
        }
        for name in ["enable", "disable"] {
            let access = Access::OwnerElseNotAllowed;
            on.iq(AddressKind::Account, IqKind::Set, (NS, name), access, &Self);
        }
    }
}

#[async_trait]
impl IqHandler for Carbons {
    /// XEP-0280 §4, §5. A client may enable and disable carbons as often as it wishes (§9).
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let session = cx.origin.owned().ok_or(Condition::NotAllowed)?;
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let is_wanted = payload.name() == "enable";
        session.change_flags(|flags| flags.carbons = is_wanted);
        Ok(None)
    }
}

/// Enables carbons for a session that is bound (XEP-0386 §3.2).
pub fn enable(session: &Session) {
    session.change_flags(|flags| flags.carbons = true);
}

/// Copies a message that has arrived for `user` (XEP-0280 §6). `direct`: the sessions that got the message
/// itself. `waits`: no session got it, and it waits for the next one that becomes available. A session
/// that is not available yet gets no copy then, because it would get the message twice.
pub fn received(
    cx: &mut Cx<'_>,
    user: &BareJid,
    sessions: &[SessionRef],
    direct: &[SessionRef],
    waits: bool,
    message: &Message,
) {
    let gets_copy = |session: &&SessionRef| {
        session.flags().carbons
            && !direct.contains(session)
            && cx.origin.session() != Some(*session)
            && !(waits && session.available().is_none())
    };
    let others: Devices<'_> = sessions.iter().filter(gets_copy).collect();
    if !others.is_empty() && is_eligible(message, Side::Recipient) {
        let original = Stanza::Message(message.clone()).to_bytes();
        give(cx, &others, &copy(user, message.kind, "received", &original), message);
    }
}

/// Copies a message that a client of `user` has sent, and that was accepted (XEP-0280 §7). The copy has the
/// id that the message has in the archive of `user` (XEP-0359 §2.1).
pub fn sent(cx: &mut Cx<'_>, user: &BareJid, message: &Message, kept: Option<Kept>) {
    // A component that writes in the name of the user has no session (XEP-0356 §5): all get the copy.
    let sender = cx.origin.session();
    if sender.is_none() && !cx.origin.is_of(user) {
        return;
    }
    // The user's sessions have got the message itself, or the copy of its recipient.
    if message.head.to.as_ref().is_none_or(|to| to.bare_str() == user.as_str()) {
        return;
    }
    let sessions = cx.server.sessions.of(user);
    let gets_copy = |session: &&SessionRef| session.flags().carbons && Some(*session) != sender;
    let others: Devices<'_> = sessions.iter().filter(gets_copy).collect();
    if !others.is_empty() && is_eligible(message, Side::Sender) {
        let mut original = message.clone();
        if let Some(kept) = kept.filter(|kept| kept.in_sender) {
            original.content.add(&stanza_id(user, &cx.server.message_ids.write(kept.id)));
        }
        let original = Stanza::Message(original).to_bytes();
        give(cx, &others, &copy(user, message.kind, "sent", &original), message);
    }
}

/// The copy. It comes from the user's own account, and has the type of the message (XEP-0280 §6, §7).
fn copy(user: &BareJid, kind: MessageKind, direction: &str, original: &[u8]) -> Arc<Stanza> {
    let mut children = format!("<{direction} xmlns='{NS}'>").into_bytes();
    forward::write_forwarded(&mut children, original, None);
    children.extend_from_slice(format!("</{direction}>").as_bytes());
    let head = Head { from: Some(user.clone().into()), ..Head::default() };
    Arc::new(Stanza::Message(Message { head, kind, content: Content::made(Bytes::from(children)) }))
}

/// Gives the copy to these sessions. A session whose mailbox is full, or that sheds what is worthless later
/// (docs/delivery.md), ends if the message is worth reading later: else its client would resume and never
/// know of it. A new session reads the archive.
fn give(cx: &mut Cx<'_>, to: &[&SessionRef], copy: &Arc<Stanza>, message: &Message) {
    let is_chat_state = chat_state::is_alone(message);
    let mut given = 0;
    for session in to.iter() {
        if is_chat_state && session.drops_chat_states() {
            stanza_log::note_delivery(session, Ok(Accepted::Shed));
            continue;
        }
        match stanza_log::give(session, copy) {
            Ok(Accepted::Shed) => {}
            Ok(Accepted::Deferred | Accepted::Queued) => given += 1,
            Err(_) if !is_chat_state => session.close(CloseReason::Overrun),
            Err(_) => {}
        }
    }
    cx.keeping.count_deliveries(given);
    tracing::debug!(target: STANZA, sessions = given, "carbon copies delivered");
}

/// Whose devices get the copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Sender,
    Recipient,
}

/// Whether a message is copied: the rules of XEP-0280 §6.1, and the hint of XEP-0334 §4.3.
fn is_eligible(message: &Message, side: Side) -> bool {
    let content = &message.content;
    if message.kind == MessageKind::Groupchat
        || content.has_received_child(NS, "private")
        || Hints::of(content).no_copy
    {
        return false;
    }
    if content.has_received_child(ns::DIRECT_INVITE, "x") {
        return true;
    }
    if let Some(room) = content.received_child(ns::MUC_USER, "x") {
        let is_invitation =
            ["invite", "decline"].iter().any(|n| room.child(ns::MUC_USER, n).is_some());
        // The room sends a private message to each of the user's clients that is in it.
        if is_invitation || side == Side::Recipient {
            return is_invitation;
        }
    }
    match message.kind {
        MessageKind::Chat => true,
        MessageKind::Normal => is_im(content),
        // What was sent may come back with the error. If nothing did, it is assumed to be eligible.
        MessageKind::Error => {
            let others = || content.received_children().filter(|c| !c.is(ns::CLIENT, "error"));
            others().next().is_none() || is_im(content)
        }
        MessageKind::Headline => content.received_children().any(|child| is_of_im_alone(&child)),
        MessageKind::Groupchat => false,
    }
}

/// What XEP-0280 §6.1 names for messages of any type: XEP-0085, XEP-0184, XEP-0333.
fn is_of_im_alone(child: &ElementRef<'_>) -> bool {
    matches!(child.ns(), ns::CHAT_MARKERS | ns::CHAT_STATES | ns::RECEIPTS)
}

/// What instant messaging sends: a body, what else is worth reading later, or a chat state. XEP-0280 §6.1
/// names some of these payloads; other specifications name more (XEP-0353: a call that one device has
/// answered ends the ringing of the others).
fn is_im(content: &Content) -> bool {
    content.received_children().any(|child| is_lasting(&child) || child.ns() == ns::CHAT_STATES)
}
