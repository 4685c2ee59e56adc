//! When a device is woken: something important has come for its user, and the device does not have it. It has no
//! session, or its session has lost the connection (XEP-0198 §5) or has ended with messages that it did not get, or it has
//! been inactive for long (XEP-0352), or it does not acknowledge what it was sent.
//!
//! A message costs one lookup in a cache here. Only accounts with push registrations pay for the rest.

use std::sync::Arc;

use super::device::{is_asleep, is_awake, is_of};
use super::late;
use super::notification::Summary;
use super::publish::notify;
use super::publisher::Target;
use super::registrations::{self, Registered};
use crate::archive::importance::{self, Importance};
use crate::host::lifecycle::RoomListener;
use crate::host::{Cx, Invalidation, Kept, ServerState, block_list};
use crate::jid::BareJid;
use crate::ns::PUBSUB;
use crate::session::{Delivery, SessionRef};
use crate::stanza::{Message, MessageKind, Stanza};
use crate::storage::PushRegistration;

/// Wakes devices for a message that has arrived for `user`. `direct`: the sessions that got it.
pub async fn arrived(
    cx: &Cx<'_>,
    user: &BareJid,
    sessions: &[SessionRef],
    direct: &[SessionRef],
    kept: Option<Kept>,
    message: &Message,
) {
    let Some(all) = registered(cx.server, user).await else { return };
    note_end_of_service(cx.server, user, &all.all, message).await;
    let Some(what) = importance::of(message) else { return };
    // The user has written it on another device.
    if message.head.from.as_ref().is_some_and(|from| from.bare_str() == user.as_str()) {
        return;
    }
    if !all.settings.notifies(user, message, what) {
        return;
    }
    let is_kept = kept.is_some_and(|kept| kept.in_recipient || kept.has_marker);
    let summary = || Summary::of(what).with(all.content.last(message));
    for one in &all.all {
        let target = || Target::of(user, one);
        let Some(session) = sessions.iter().rfind(|session| is_of(one, session)) else {
            if is_kept {
                notify(cx.server, target(), summary());
            }
            continue;
        };
        let gets_it = is_kept || session.flags().carbons || direct.contains(session);
        if gets_it && is_asleep(session, what) {
            notify(cx.server, target(), summary());
        } else if direct.contains(session) || session.flags().carbons {
            let marker = kept.and_then(|kept| kept.marker()).filter(|_| direct.contains(session));
            late::watch(cx.server, target(), session, marker, summary());
        }
    }
}

/// Wakes devices for a message of a room on this server, for a user whose client may not get it.
pub(super) async fn room_message(
    cx: &Cx<'_>,
    listener: RoomListener<'_>,
    message: &Message,
    is_private: bool,
) {
    let user = listener.user;
    let Some(all) = registered(cx.server, user).await else { return };
    let Some(what) = importance::of(message) else { return };
    if !all.settings.room_notifies(listener, message, is_private)
        || is_blocked(cx, user, message).await
    {
        return;
    }
    let sessions = cx.server.sessions.of(user);
    for one in &all.all {
        let session = sessions.iter().rfind(|session| is_of(one, session));
        let (target, summary) =
            (Target::of(user, one), Summary::of(what).with(all.content.last(message)));
        match session.filter(|session| !is_asleep(session, what)) {
            None => notify(cx.server, target, summary),
            // A client that answers and is not in the room has left it: the user knows.
            Some(session) => late::watch(cx.server, target, session, None, summary),
        }
    }
}

/// Whether `user` has blocked the occupant who has written a message, or the room (XEP-0191 §3.3).
async fn is_blocked(cx: &Cx<'_>, user: &BareJid, message: &Message) -> bool {
    let Some(from) = &message.head.from else { return false };
    match block_list::of(cx.server, user).await {
        Ok(list) => block_list::keeps_out(&list, user, from),
        Err(_) => true,
    }
}

/// Wakes devices when somebody asks `user` for a subscription.
pub async fn subscription_requested(cx: &Cx<'_>, user: &BareJid) {
    let Some(all) = registered(cx.server, user).await else { return };
    let sessions = cx.server.sessions.of(user);
    let what = Importance::Subscription;
    for one in &all.all {
        let session = sessions.iter().rfind(|session| is_of(one, session));
        if session.is_none_or(|session| is_asleep(session, what)) {
            notify(cx.server, Target::of(user, one), Summary::of(what));
        }
    }
}

/// Called when a session has lost its connection, and waits for its client. `waiting`: the stanzas that the client does
/// not have. Returns whether the client can be woken.
pub async fn session_waits(
    server: &ServerState,
    session: &SessionRef,
    waiting: &[Arc<Stanza>],
) -> bool {
    let user = session.jid().to_bare();
    let Some(all) = registered(server, &user).await else { return false };
    let summary = summary_of(&all, &user, waiting.iter().rev().cloned());
    let mut can_be_woken = false;
    for one in all.all.iter().filter(|one| is_of(one, session)) {
        can_be_woken = true;
        if let Some(summary) = summary.clone() {
            notify(server, Target::of(&user, one), summary);
        }
    }
    can_be_woken
}

/// Called when a session has ended that was not waiting for its client. `unread`: what its client may not have. Wakes
/// the device for what is stored of that, unless it has another connection.
pub async fn session_ended(server: &ServerState, session: &SessionRef, unread: &[Delivery]) {
    if unread.is_empty() || session.hibernation().is_some() {
        return;
    }
    let user = session.jid().to_bare();
    let Some(all) = registered(server, &user).await else { return };
    let kept = unread.iter().rev().filter(|delivery| is_kept(delivery));
    let Some(summary) = summary_of(&all, &user, kept.map(|delivery| Arc::clone(&delivery.stanza)))
    else {
        return;
    };
    let is_meant = |one: &&PushRegistration| is_of(one, session) && !is_awake(server, &user, one);
    for one in all.all.iter().filter(is_meant) {
        notify(server, Target::of(&user, one), summary.clone());
    }
}

/// Whether a stanza can still be read. A message of a person that is not stored goes back to its sender.
fn is_kept(delivery: &Delivery) -> bool {
    match &*delivery.stanza {
        Stanza::Message(message) if message.kind != MessageKind::Groupchat => {
            // A carbon is a copy of what is stored.
            delivery.marker.is_some() || message.content.received_children().next().is_none()
        }
        _ => true,
    }
}

/// What is important among the stanzas that a client does not have, the newest first.
fn summary_of(
    all: &Registered,
    user: &BareJid,
    newest: impl Iterator<Item = impl AsRef<Stanza>>,
) -> Option<Summary> {
    let notifies = |message: &Message, what| all.settings.notifies(user, message, what);
    let important = newest
        .take(MAX_LOOKED_AT)
        .filter_map(|stanza| importance::of_waiting(stanza.as_ref(), &notifies))
        .map(Summary::of);
    important.reduce(|mut sum, next| {
        sum.add(next);
        sum
    })
}

/// The registrations of an account; `None` if there are none, or the store fails.
async fn registered(server: &ServerState, user: &BareJid) -> Option<Arc<Registered>> {
    match registrations::of(server, user).await {
        Ok(all) => Some(all).filter(|all| !all.all.is_empty()),
        Err(error) => {
            tracing::warn!(jid = %user, %error, "cannot read push registrations");
            None
        }
    }
}

/// Whether a message comes from a push service with which `user` has registered, about a registration
/// (XEP-0357 §8). Such a message is delivered even if strangers are refused.
pub async fn is_notice(cx: &Cx<'_>, user: &BareJid, message: &Message) -> bool {
    if !message.content.has_received_child(PUBSUB, "pubsub") {
        return false;
    }
    let all = registered(cx.server, user).await;
    let from = message.head.from.as_ref();
    all.is_some_and(|all| all.all.iter().any(|one| Some(&one.service) == from))
}

/// A push service has said that it accepts no more notifications (XEP-0357 §8). `all`: the registrations when that came.
/// One that the device has renewed since then stays.
async fn note_end_of_service(
    server: &ServerState,
    user: &BareJid,
    all: &[PushRegistration],
    message: &Message,
) {
    let Some(from) = message.head.from.as_ref() else { return };
    if !all.iter().any(|one| one.service == *from) {
        return;
    }
    let Some(pubsub) = message.content.received_child(PUBSUB, "pubsub") else { return };
    let is_end = pubsub.children().any(|child| {
        child.is(PUBSUB, "affiliation")
            && child.attr("affiliation").is_some_and(|now| now == "none" || now == "outcast")
            && child.attr("jid").is_none_or(|jid| jid == user.as_str())
    });
    let Some(node) = pubsub.attr("node").filter(|_| is_end) else { return };
    let Some(ended) = all.iter().find(|one| one.service == *from && one.node == node) else {
        return;
    };
    match server.storage.push().remove_unless_renewed(user, ended).await {
        Ok(_) => server.invalidate(&Invalidation::Push(user.clone())),
        Err(error) => tracing::warn!(jid = %user, %error, "cannot remove a push registration"),
    }
}

/// Stanzas of a session that has lost its connection, or has ended, that are checked, at most.
const MAX_LOOKED_AT: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Parts, Registry};
    use crate::jid::Jid;
    use crate::modules::push::publisher::Publisher;
    use crate::modules::push::registrations::Registrations;
    use crate::payload::datetime::Timestamp;
    use crate::storage::PushDevice;
    use crate::xml::Frame;

    #[tokio::test]
    async fn the_end_of_a_service_ends_no_registration_that_was_renewed_since() {
        let mut on = Registry::default();
        on.shared(Registrations::default());
        on.shared(Publisher::default());
        let parts = Parts::for_tests(&["localhost"]);
        let server = ServerState::new(parts, &[], on.take_shared()).unwrap();
        let user = BareJid::parse("juliet@localhost").unwrap();
        let at = |micros| PushRegistration {
            service: Jid::parse("push.example").unwrap(),
            node: "phone".to_owned(),
            options: None,
            device: PushDevice::Resource("phone".to_owned()),
            registered: Timestamp::from_micros(micros),
        };
        let xml = "<message from='push.example' to='juliet@localhost'>\
            <pubsub xmlns='http://jabber.org/protocol/pubsub' node='phone'>\
            <affiliation jid='juliet@localhost' affiliation='none'/></pubsub></message>";
        let Ok(Stanza::Message(message)) = Stanza::read(Frame::from_bytes(xml).unwrap()) else {
            panic!("it is a message")
        };
        let store = server.storage.push();
        store.register(&user, &at(2), 9).await.unwrap();
        note_end_of_service(&server, &user, &[at(1)], &message).await;
        assert_eq!(store.registrations(&user).await.unwrap(), [at(2)]);
        note_end_of_service(&server, &user, &[at(2)], &message).await;
        assert_eq!(store.registrations(&user).await.unwrap(), []);
    }
}
