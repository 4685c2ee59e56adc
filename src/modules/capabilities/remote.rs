//! What clients of contacts on other servers want to hear of, as their presence says (XEP-0163 §4.3.3).

use std::sync::Arc;

use smol_str::SmolStr;

use super::{DEADLINE, Known, described};
use crate::host::lifecycle::{self, Event};
use crate::host::{Cx, RemoteInterests, contact_list};
use crate::jid::{BareJid, Jid};
use crate::limit::Action;
use crate::ns;
use crate::payload::caps::Advertised;
use crate::session::Interests;
use crate::stanza::{IqKind, Presence, PresenceKind};
use crate::storage::Subscription;
use crate::xml::element;

/// Presence of a client on another server has come. Its interests are those of the hash in it, if there is one. If that is
/// not known, the client is asked, once for all of us. Only clients of contacts count: neither strangers nor occupants of
/// rooms are asked or remembered, since they get no events.
pub async fn read_remote(cx: &mut Cx<'_>, presence: &Presence) {
    let Some(remote) = cx.server.find_shared::<RemoteInterests>() else { return };
    let Some(client) = presence.head.from.clone().filter(Jid::is_full) else { return };
    let Some(user) = presence.head.to.as_ref().map(|to| to.to_bare()) else { return };
    match presence.kind {
        PresenceKind::Unavailable => return remote.remove(&client, &user),
        PresenceKind::Available => {}
        _ => return,
    }
    let Some(advertised) = Advertised::of(&presence.content) else { return };
    if is_subscribed(cx, &user, &client).await {
        read_interests(cx, remote.clone(), user, client, advertised).await;
    }
}

/// Looks up what a hash stands for, or asks the client.
async fn read_interests(
    cx: &mut Cx<'_>,
    remote: RemoteInterests,
    user: BareJid,
    client: Jid,
    advertised: Advertised,
) {
    let before = remote.get(&client).unwrap_or_default();
    if *before.key() == advertised.key {
        return tell_available(cx, &user, &client).await;
    }
    let known = cx.server.shared::<Known>();
    if let Some(known) = known.find(cx.server, &advertised.key).await {
        remote.set(&client, known);
        return tell_available(cx, &user, &client).await;
    }
    // What one domain does not answer must not keep us from asking others.
    let questions = &cx.server.budgets.remote_questions;
    let question = questions.holder(Some(client.domain()), None);
    if let Err(scope) = question.try_add(1) {
        return questions.count(scope, Action::Error);
    }
    let query = element("query").ns(ns::DISCO_INFO).attr("node", &advertised.node);
    // The account asks: its contact answers nobody else (RFC 6121 §8.5.3.1).
    let from = user.clone().into_jid();
    let Ok((request, answer)) = cx.server.request(from, client.clone(), IqKind::Get, query) else {
        return;
    };
    let pending = Arc::new(before.until_known(advertised.key.clone()));
    remote.set(&client, Arc::clone(&pending));
    // The user waits.
    drop(remote.is_available_to(&client, &user));
    cx.outbox.send(request);
    let (known, route) = (known.clone(), cx.server.route());
    let work = async move {
        let answer = answer.within(DEADLINE).await;
        drop(question);
        let Ok(answer) = answer.map_err(drop).and_then(|answer| match answer.kind {
            IqKind::Result => Ok(answer),
            _ => Err(()),
        }) else {
            // The client is asked again for its next presence: its server may only have been away.
            if remote.get(&client).is_some_and(|own| Arc::ptr_eq(&own, &pending)) {
                remote.set(&client, Arc::new(pending.until_known(SmolStr::default())));
            }
            return;
        };
        let told = described(&advertised, &answer);
        let interests = Interests::new(advertised.key, told.interests);
        let interests = match told.is_verified {
            true => known.remember(interests),
            false => Arc::new(interests),
        };
        // Meanwhile it may have become unavailable, or have another hash.
        if remote.get(&client).is_none_or(|own| own.key() != interests.key()) {
            return;
        }
        remote.set(&client, Arc::clone(&interests));
        for user in remote.take_waiting(&client) {
            if let (Some(route), Some(_)) = (&route, remote.is_available_to(&client, &user)) {
                let (user, client, interests) = (&user, &client, &*interests);
                let event = Event::RemoteClientAvailable { user, client, interests };
                route.tell(user.domain(), event).await;
            }
        }
    };
    let stopping = cx.server.tasks.stopping();
    drop(cx.server.tasks.spawn("capabilities", stopping.run_until_cancelled_owned(work)));
}

/// Whether a client is one of a contact of `user`, with a subscription in one of the directions at least: if it is the
/// other one, it may follow.
async fn is_subscribed(cx: &Cx<'_>, user: &BareJid, client: &Jid) -> bool {
    let contact = contact_list::find(cx.server, user, &client.to_bare().into_jid()).await;
    match contact {
        Ok(contact) => contact.is_some_and(|one| one.subscription != Subscription::None),
        Err(error) => {
            tracing::warn!(jid = %user, %error, "cannot read whether a client is one of a contact");
            false
        }
    }
}

/// Tells features that a client on another server is available to a user, if its interests are known and that is new.
async fn tell_available(cx: &mut Cx<'_>, user: &BareJid, client: &Jid) {
    let remote = cx.server.find_shared::<RemoteInterests>();
    if let Some(interests) = remote.and_then(|remote| remote.is_available_to(client, user)) {
        let interests = &*interests;
        lifecycle::tell(cx, Event::RemoteClientAvailable { user, client, interests }).await;
    }
}
