//! Archives in memory.

use async_trait::async_trait;
use bytes::Bytes;

use super::messages::Undelivered;
use super::state::State;
use super::storage::MemoryStorage;
use crate::jid::{BareJid, Jid};
use crate::storage::archive::PAGE_BYTES;
use crate::storage::message_id::{IdClock, Ids};
use crate::storage::tokenizer::{has_words, search_words};
use crate::storage::{
    ArchiveStore, Count, End, Kept, MessageId, NewMessage, OFFLINE_MESSAGES, Page, Query, Receipt,
    Result, Retention, StorageError, Stored, Waiting,
};

#[async_trait]
impl ArchiveStore for MemoryStorage {
    async fn keep(&self, mut message: NewMessage) -> Result<Kept> {
        message.merge_holders();
        let mut state = self.state()?;
        let id = state.ids(self.node).next(message.at);
        if let Some(handled) = message.handled
            && let Some(session) = state.sessions.get_mut(&handled.session)
            && handled.is_ahead(session.handled)
        {
            session.handled = handled.count;
        }
        let receipt = Receipt::settled(state.keep(id, &mut message));
        Ok(Kept { id, receipt })
    }

    fn horizon(&self) -> Option<MessageId> {
        let state = self.state().ok()?;
        let floor = state.ids.values().map(Ids::floor).min()?;
        let newest = state.ids.values().filter_map(Ids::newest).max()?;
        MessageId::new(floor).map(|floor| newest.min(floor))
    }

    async fn advance_horizon(&self) -> Result<Option<MessageId>> {
        let mut state = self.state()?;
        let newest = state.ids.values().filter_map(Ids::newest).max();
        if let Some(newest) = newest {
            state.ids.values_mut().for_each(|ids| ids.raise(newest));
        }
        Ok(newest)
    }

    async fn delivered(&self, owner: &BareJid, ids: &[MessageId]) -> Result<()> {
        let mut state = self.state()?;
        if let Some(owner) = state.owners.get_mut(owner) {
            owner.waiting.retain(|id, _| !ids.contains(id));
            owner.room = owner.room.freed();
        }
        Ok(())
    }

    async fn waiting(
        &self,
        owner: &BareJid,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Waiting>> {
        let state = self.state()?;
        let all = state.owners.get(owner).into_iter().flat_map(|o| o.waiting.values());
        let waiting =
            all.map(|undelivered| &undelivered.message).filter(|message| Some(message.id) > after);
        Ok(waiting.take(limit).cloned().collect())
    }

    async fn waiting_count(&self, owner: &BareJid) -> Result<u64> {
        Ok(self.state()?.owners.get(owner).map_or(0, |o| o.waiting.len() as u64))
    }

    async fn page(&self, owner: &BareJid, query: &Query) -> Result<Option<Page>> {
        let state = self.state()?;
        let owner = state.owners.get(owner);
        let has = |id: &MessageId| owner.is_some_and(|o| o.archive.contains_key(id));
        if !query.named.iter().all(has) {
            return Ok(None);
        }
        let asked = query.text.as_ref().map(|text| search_words(text));
        let all: Vec<&Stored> = owner
            .into_iter()
            .flat_map(|o| o.archive.values())
            .filter(|a| finds(query, asked.as_deref(), a))
            .collect();
        let is_inside = |s: &&&Stored| {
            query.after.is_none_or(|after| s.id > after)
                && query.before.is_none_or(|before| s.id < before)
        };
        let skipped = query.index.map_or(0, |index| usize::try_from(index).unwrap_or(usize::MAX));
        let inside: Vec<&Stored> = all.iter().skip(skipped).filter(is_inside).copied().collect();
        let most = fitting(&inside, query);
        let more = inside.len() - most;
        let page = if query.backwards { &inside[more..] } else { &inside[..most] };
        let rows: Vec<Stored> = page.iter().copied().cloned().collect();
        let first = rows.first().map(|r| r.id);
        let count = query.count.then(|| Count {
            total: all.len() as u64,
            before: all.iter().filter(|s| first.is_none_or(|first| s.id < first)).count() as u64,
        });
        Ok(Some(Page { rows, complete: more == 0, count }))
    }

    async fn replace(&self, owner: &BareJid, id: MessageId, xml: Bytes) -> Result<bool> {
        let mut state = self.state()?;
        if !state.owners.get(owner).is_some_and(|owner| owner.archive.contains_key(&id)) {
            return Ok(false);
        }
        let default = state.default_quota;
        for owner in state.owners.values_mut() {
            let archived = owner.archive.get(&id).map(|archived| &archived.xml);
            let waiting = owner.waiting.get(&id).map(|undelivered| &undelivered.message.xml);
            let Some(old) = archived.or(waiting).map(Bytes::len) else { continue };
            owner.change(default, old as u64, xml.len() as u64, false)?;
            if let Some(archived) = owner.archive.get_mut(&id) {
                archived.xml = xml.clone();
            }
            if let Some(undelivered) = owner.waiting.get_mut(&id) {
                undelivered.message.xml = xml.clone();
            }
        }
        Ok(true)
    }

    async fn ends(&self, owner: &BareJid) -> Result<Option<(End, End)>> {
        let state = self.state()?;
        let Some(owner) = state.owners.get(owner) else { return Ok(None) };
        let end = |a: &Stored| (a.id, a.at);
        Ok(owner.archive.values().next().map(end).zip(owner.archive.values().next_back().map(end)))
    }

    async fn owners(&self, after: Option<&BareJid>, limit: usize) -> Result<Vec<BareJid>> {
        let state = self.state()?;
        let with_archive = state.owners.iter().filter(|(_, owner)| !owner.archive.is_empty());
        let jids = with_archive.map(|(jid, _)| jid).filter(|jid| after.is_none_or(|a| *jid > a));
        Ok(jids.take(limit).cloned().collect())
    }

    async fn expire(&self, owner: &BareJid, retention: Retention) -> Result<u64> {
        let mut state = self.state()?;
        let clock = IdClock::default();
        let Some(owner) = state.owners.get_mut(owner) else { return Ok(0) };
        let mut gone = 0;
        while let Some(oldest) = owner.archive.first_entry() {
            let is_old = retention
                .before
                .is_some_and(|before| clock.latest(oldest.key().get()) < before.as_micros());
            let id = *oldest.key();
            let is_much = retention.keep.is_some_and(|keep| owner.archive.len() as u64 > keep);
            if !is_old && !is_much {
                break;
            }
            owner.archive.remove(&id);
            if let Some(waiting) = owner.waiting.get_mut(&id) {
                waiting.message.archived = false;
            }
            gone += 1;
        }
        if gone > 0 {
            owner.room = owner.room.freed();
        }
        Ok(gone)
    }
}

impl State {
    fn keep(&mut self, id: MessageId, message: &mut NewMessage) -> Result<()> {
        let (at, xml) = (message.at, &message.xml);
        let (default, bytes) = (self.default_quota, xml.len() as u64);
        for holder in &mut message.holders {
            let owner = self.owner(&holder.owner);
            if holder.waiting && !owner.may_wait(holder) {
                if !holder.archive {
                    return Err(StorageError::Limit(OFFLINE_MESSAGES));
                }
                holder.waiting = false;
            }
            if owner.has_room(default, holder, bytes) {
                continue;
            }
            if holder.limit.is_some() {
                return Err(StorageError::Quota);
            }
            holder.archive = false;
        }
        for holder in &message.holders {
            let owner = self.owner(&holder.owner);
            if holder.archive || holder.waiting {
                owner.room.overdraw(bytes);
            }
            if holder.archive {
                let (with, way, xml) = (holder.with.clone(), holder.way, xml.clone());
                let message = Stored { id, at, with, way, xml };
                owner.archive.insert(id, message);
            }
            if holder.waiting {
                let message = Waiting { id, at, archived: holder.archive, xml: xml.clone() };
                owner.waiting.insert(id, Undelivered { sender: holder.with.to_bare(), message });
            }
        }
        Ok(())
    }
}

/// How many of these messages fit on a page.
fn fitting(found: &[&Stored], query: &Query) -> usize {
    let (forwards, backwards) = if query.backwards { (&[][..], found) } else { (found, &[][..]) };
    let mut bytes = 0;
    let fits = |row: &&&Stored| {
        let fits = bytes <= PAGE_BYTES;
        bytes += row.xml.len();
        fits
    };
    forwards.iter().chain(backwards.iter().rev()).take(query.max).take_while(fits).count()
}

/// Whether the query finds this message, wherever the page begins.
fn finds(query: &Query, asked: Option<&[String]>, message: &Stored) -> bool {
    query.with.as_ref().is_none_or(|with| is_with(with, &message.with))
        && query.above.is_none_or(|above| message.id > above)
        && query.below.is_none_or(|below| message.id < below)
        && query.start.is_none_or(|start| message.at >= start)
        && query.end.is_none_or(|end| message.at <= end)
        && query.ids.as_ref().is_none_or(|ids| ids.contains(&message.id))
        && asked.is_none_or(|asked| has_words(&message.xml, asked))
}

fn is_with(asked: &Jid, with: &Jid) -> bool {
    if asked.is_bare() { asked.as_str() == with.bare_str() } else { asked == with }
}
