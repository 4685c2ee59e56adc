//! Delivers the stanzas of a room to the sessions of its occupants, while the room is locked: so all of them get the
//! stanzas in the same order.

use std::sync::Arc;

use crate::host::{Cx, OurDomain, block_list, components, stanza_log};
use crate::jid::{BareJid, Jid};
use crate::stanza::Stanza;

/// The result of a delivery.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Sessions that cannot be reached any more.
    pub(super) lost: Vec<Jid>,
    /// Users with sessions that may need a push: a session has lost its connection, or its client is inactive.
    pub(super) asleep: Vec<BareJid>,
}

/// Delivers a stanza to sessions.
pub(super) async fn tell(cx: &mut Cx<'_>, stanza: &Arc<Stanza>, to: &[Jid]) -> Told {
    let mut told = Told::default();
    for jid in to {
        let is_local = matches!(cx.server.ours(jid.domain()), Some(OurDomain::Host(_)));
        match is_local && jid.is_full() {
            true => match here(cx, stanza, jid).await {
                Reached::Gone => told.lost.push(jid.clone()),
                Reached::Asleep => told.asleep.push(jid.to_bare()),
                Reached::Awake => {}
            },
            false => {
                let mut copy = Stanza::clone(stanza);
                copy.head_mut().to = Some(jid.clone());
                elsewhere(cx, jid, copy);
            }
        }
    }
    cx.keeping.count_deliveries(to.len());
    cx.server.metrics.rooms.deliveries.inc_by(to.len() as u64);
    told
}

/// Queues a stanza for a component or for another server. It is queued now, and not when the outbox is sent: by then the
/// room is no longer locked, and stanzas that others cause could overtake it. One that cannot be queued goes the way
/// of the outbox, where its error is made.
fn elsewhere(cx: &mut Cx<'_>, to: &Jid, stanza: Stanza) {
    let is_queued = cx.server.ours(to.domain()).is_none()
        && match components::send(cx.server, to, stanza.clone()) {
            Ok(None) => true,
            Ok(Some(stanza)) => {
                let remote = cx.server.remote_servers();
                remote.is_some_and(|remote| remote.send(stanza, None).is_ok())
            }
            Err(_) => false,
        };
    if !is_queued {
        cx.outbox.send(stanza);
    }
}

/// How a session was reached.
#[derive(Clone, Copy, Debug)]
enum Reached {
    Asleep,
    Awake,
    Gone,
}

/// Delivers a stanza to a session of this server.
async fn here(cx: &Cx<'_>, stanza: &Arc<Stanza>, jid: &Jid) -> Reached {
    let Some(session) = cx.server.sessions.find(jid) else {
        // While the server ends, sessions are saved and closed one by one. They are still in the room.
        let is_ending = cx.server.tasks.stopping().is_cancelled();
        stanza_log::note_not_delivered(stanza, jid, "there is no such session any more");
        return if is_ending { Reached::Awake } else { Reached::Gone };
    };
    // A newer session with the same address, which has not entered the room: the one that was there is gone.
    let room = stanza.head().from.as_ref().map_or("", |from| from.bare_str());
    if !session.has_directed_to(room) {
        stanza_log::note_not_delivered(stanza, jid, "the session has not entered the room");
        return Reached::Gone;
    }
    let user = jid.to_bare();
    if let Ok(list) = block_list::of(cx.server, &user).await
        && !list.is_empty()
        && let Some(from) = &stanza.head().from
        && block_list::keeps_out(&list, &user, from)
    {
        // The stanza is dropped, and the user stays in the room (XEP-0191 §3.3).
        stanza_log::note_not_delivered(stanza, jid, "the user blocks the room or the occupant");
        return Reached::Awake;
    }
    // A session that takes nothing more is about to end, and leaves the room by its end.
    let is_given = stanza_log::give(&session, stanza).is_ok();
    match is_given && (session.hibernation().is_some() || session.is_inactive()) {
        true => Reached::Asleep,
        false => Reached::Awake,
    }
}
