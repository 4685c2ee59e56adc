//! Carries out the effects of an input, while the room is locked: delivers, publishes, and stores.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::active::LockedRoom;
use super::deliver::tell;
use super::publish::publish;
use super::room_events;
use super::room_service::RoomService;
use crate::host::{Cx, stanza_log};
use crate::jid::Jid;
use crate::muc::{Actor, Effect, Effects, Input, Moment, Room};
use crate::random::random_id;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::storage::RoomChange;

impl RoomService {
    /// Carries out the effects of an input. Returns `false` if the room does not exist any more.
    pub(super) async fn carry_out(
        &self,
        cx: &mut Cx<'_>,
        room: &mut Room,
        locked: &LockedRoom,
        effects: Effects,
    ) -> Result<bool, StanzaError> {
        let mut pending = VecDeque::from([effects]);
        let mut is_alive = true;
        while let Some(effects) = pending.pop_front() {
            let mut lost: Vec<Jid> = Vec::new();
            for effect in effects.list {
                match effect {
                    Effect::Tell(stanza, to) => lost.extend(tell(cx, &stanza, &to).await.lost),
                    Effect::Send(stanza) => cx.outbox.send(stanza.reread()),
                    Effect::Publish(publication) => {
                        lost.extend(publish(cx, room, *publication).await?);
                    }
                }
            }
            if effects.is_destroyed {
                // While the room is locked: so nobody reads again what is being removed.
                cx.keeping.count_writes(1);
                self.saver.remove(room.jid(), &locked.slot).await?;
                is_alive = false;
            } else {
                self.save(cx, room, locked, effects.change);
            }
            room_events::tell_shut_out(cx, room.jid(), &effects.shut_out);
            lost.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
            lost.dedup();
            for session in lost.into_iter().filter(|_| is_alive) {
                let now = Moment { at: cx.server.clock.now(), token: random_id() };
                pending.extend(room.apply(&now, &Actor::new(session, false), Input::Lost).ok());
            }
        }
        Ok(is_alive)
    }

    /// Answers a request when what it changes is on the disk, and before its other effects are carried out: somebody
    /// changes roles or affiliations, which is rare enough that the room may wait.
    pub(super) async fn answer_first(
        &self,
        cx: &mut Cx<'_>,
        room: &Room,
        locked: &LockedRoom,
        effects: &mut Effects,
        request: &Iq,
    ) -> Result<(), StanzaError> {
        let known = cx.keeping.receipts.len();
        self.save(cx, room, locked, mem::take(&mut effects.change));
        for receipt in cx.keeping.receipts.drain(known..) {
            receipt.await?;
        }
        let answer = Stanza::Iq(request.result(effects.answer.take()));
        match cx.origin.session() {
            // A session that takes nothing more is about to end.
            Some(session) => {
                stanza_log::note_delivery(session, session.deliver(Arc::new(answer)));
            }
            None => cx.outbox.send(answer),
        }
        effects.is_answered_later = true;
        Ok(())
    }

    /// Changes a room without an input. `change` returns the effects; `None` if nothing changes. What cannot be stored
    /// stays changed in memory.
    pub(super) async fn change(
        &self,
        cx: &mut Cx<'_>,
        mut locked: LockedRoom,
        change: impl FnOnce(&mut Room) -> Option<Effects> + Send,
    ) {
        let Some(mut room) = locked.take() else { return };
        let Some(effects) = change(&mut room) else { return locked.put(room) };
        match self.carry_out(cx, &mut room, &locked, effects).await {
            Ok(false) => locked.end(),
            Ok(true) | Err(_) => locked.put(room),
        }
    }

    /// Stores what has changed. A change that a user asked for is on the disk before the request counts as handled;
    /// presence of occupants is written soon after.
    fn save(&self, cx: &mut Cx<'_>, room: &Room, locked: &LockedRoom, change: RoomChange) {
        if change == RoomChange::default() {
            return;
        }
        let is_asked = change.settings.is_some()
            || change.subject.is_some()
            || change.extra.is_some()
            || !change.members.is_empty()
            || !change.forget_members.is_empty();
        cx.keeping.count_writes(1);
        let receipt = self.saver.change(room.jid(), &locked.slot, change);
        if is_asked {
            cx.keeping.receipts.push(receipt);
        }
    }
}
