//! The judgement: what the ledger of a run says about the promise, and the story of each fault.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Account, Arrived, Copy, Key, Ledger, Message};

impl Ledger {
    pub(crate) fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for text in &self.wrong {
            verdict.add(Kind::Wrong, None, text.clone());
        }
        for &key in &self.late {
            let text = "did not come, though its recipient was online".to_owned();
            verdict.add(Kind::Late, Some(key), text);
        }
        for (&key, message) in &self.messages {
            self.judge_loss(key, message, &mut verdict);
            judge_copies(key, message, self.is_full, &mut verdict);
            self.judge_archive(key, message, &mut verdict);
        }
        self.judge_order(&mut verdict);
        self.judge_ids(&mut verdict);
        for (kind, text) in self.judge_room() {
            verdict.add(kind, None, text);
        }
        verdict
    }

    fn judge_loss(&self, key: Key, message: &Message, verdict: &mut Verdict) {
        if let Some((_, why)) = &message.refused {
            verdict.refused += 1;
            if !self.is_full {
                verdict.add(Kind::Refused, Some(key), format!("answered with an error: {why}"));
            }
            return;
        }
        if !message.copies.is_empty() {
            return;
        }
        if !message.archived.is_empty() {
            verdict.in_archive_only += 1;
        } else if message.acknowledged.is_some() {
            verdict.add(Kind::Lost, Some(key), "acknowledged, and never came".to_owned());
        }
    }

    /// In an archive that was read stands what was promised, under the ids that the copies have.
    fn judge_archive(&self, key: Key, message: &Message, verdict: &mut Verdict) {
        if !self.archives.contains(&key.to) || !message.is_promised() {
            return;
        }
        let archived = &message.archived;
        if archived.is_empty() {
            return verdict.add(Kind::Archive, Some(key), "not in the archive".to_owned());
        }
        if archived.len() > 1 + message.sent_again() {
            let text = format!("{} times in the archive", archived.len());
            verdict.add(Kind::Archive, Some(key), text);
        }
        // What was delivered and forgotten by a kill was sent again, under another id.
        let ids = message.copies.iter().filter_map(|c| c.copy.stanza_id.as_ref());
        if message.sent_again() == 0 && ids.clone().any(|id| !archived.contains(id)) {
            let ids: Vec<_> = ids.collect();
            let text = format!("came as {ids:?} and is archived as {archived:?}");
            verdict.add(Kind::Archive, Some(key), text);
        }
    }

    /// First copies come in the order in which they were sent, from each to each.
    fn judge_order(&self, verdict: &mut Verdict) {
        let mut came: Vec<(usize, Key)> = self
            .messages
            .iter()
            .filter_map(|(key, message)| Some((message.copies.first()?.place, *key)))
            .collect();
        came.sort_unstable();
        let mut highest: BTreeMap<(Account, Account), Key> = BTreeMap::new();
        for (_, key) in came {
            let before = highest.entry((key.from, key.to)).or_insert(key);
            if *before > key {
                let text = format!("came after number {}", before.number);
                let fault =
                    Fault { kind: Kind::Disorder, key: Some(key), other: Some(*before), text };
                verdict.faults.push(fault);
            }
            *before = key.max(*before);
        }
    }

    /// An id means one message to one account.
    fn judge_ids(&self, verdict: &mut Verdict) {
        let mut owners: BTreeMap<(Account, &str), Key> = BTreeMap::new();
        for (&key, message) in &self.messages {
            for id in message.copies.iter().filter_map(|c| c.copy.stanza_id.as_deref()) {
                let owner = *owners.entry((key.to, id)).or_insert(key);
                if owner != key {
                    verdict.add(Kind::Id, Some(key), format!("has {id}, the id of {owner}"));
                }
            }
        }
    }

    // ── for people ──

    /// How many faults of each kind; the first of each, with the story of its message and what
    /// happened meanwhile; and the names of others.
    pub(crate) fn story(&self, verdict: &Verdict) -> String {
        let mut kinds: BTreeMap<Kind, Vec<&Fault>> = BTreeMap::new();
        for fault in &verdict.faults {
            kinds.entry(fault.kind).or_default().push(fault);
        }
        let counts: Vec<_> =
            kinds.iter().map(|(kind, all)| format!("{} {kind:?}", all.len())).collect();
        let mut out = format!("{}\n", counts.join(", "));
        for faults in kinds.values() {
            for fault in faults.iter().take(SHOWN) {
                out.push_str(&format!("\n{fault}\n"));
                if let Some(key) = fault.key {
                    self.tell(key, &mut out);
                }
                if let Some(other) = fault.other {
                    out.push_str(&format!("The other one, {other}:\n"));
                    self.tell(other, &mut out);
                }
            }
            let others: Vec<_> =
                faults.iter().skip(SHOWN).take(30).map(ToString::to_string).collect();
            if !others.is_empty() {
                out.push_str(&format!("\nand {}\n", others.join("; ")));
            }
        }
        if kinds.contains_key(&Kind::Wrong) {
            out.push_str("\nThe last events:\n");
            let last = self.events.len().saturating_sub(30);
            self.events[last..].iter().for_each(|(at, _, text)| line(*at, text, &mut out));
        }
        out
    }

    fn tell(&self, key: Key, out: &mut String) {
        let Some(message) = self.messages.get(&key) else { return };
        let mut lines: Vec<(Duration, String)> = Vec::new();
        for (i, (at, _, to)) in message.sent.iter().enumerate() {
            let how = if i == 0 { "sent" } else { "sent again" };
            lines.push((*at, format!("{how} to {to}")));
        }
        lines.extend(message.acknowledged.map(|at| (at, "acknowledged".to_owned())));
        lines.extend(message.refused.iter().map(|(at, why)| (*at, format!("refused: {why}"))));
        for Arrived { at, copy, .. } in &message.copies {
            let Copy { connection, stanza_id, delayed } = copy;
            let session = connection.session;
            let id = stanza_id.as_deref().unwrap_or("no stanza-id");
            let how = if *delayed { "delayed" } else { "live" };
            lines.push((*at, format!("came to session {session}, {how}, {id}")));
        }
        let from = lines.iter().map(|l| l.0).min().unwrap_or_default().saturating_sub(NEAR);
        let to = lines.iter().map(|l| l.0).max().unwrap_or_default() + NEAR;
        for (at, whose, text) in &self.events {
            if (from..=to).contains(at) && whose.is_none_or(|a| a == key.from || a == key.to) {
                lines.push((*at, format!("    {text}")));
            }
        }
        lines.sort();
        lines.iter().take(60).for_each(|(at, text)| line(*at, text, out));
        if !message.archived.is_empty() {
            out.push_str(&format!("           archived as {}\n", message.archived.join(", ")));
        }
    }
}

/// A second copy is the server's, with the same id, in another session or after a kill; or it is
/// the sender's, who could not know better after a kill.
fn judge_copies(key: Key, message: &Message, is_full: bool, verdict: &mut Verdict) {
    let mut again = message.sent_again();
    for (i, arrived) in message.copies.iter().enumerate().skip(1) {
        let id = &arrived.copy.stanza_id;
        let same =
            message.copies[..i].iter().rev().find(|c| id.is_some() && c.copy.stanza_id == *id);
        match same {
            Some(_) if is_full => verdict.repeated += 1,
            Some(c)
                if c.settled.is_some_and(|then| then <= arrived.place)
                    && c.copy.connection.kills == arrived.copy.connection.kills =>
            {
                let text = "came again, though its client had acknowledged it and left".to_owned();
                verdict.add(Kind::Doubled, Some(key), text);
            }
            Some(c) if c.copy.connection != arrived.copy.connection => {
                verdict.repeated += 1;
            }
            Some(_) => {
                let text = "came twice in one session, with one stanza-id".to_owned();
                verdict.add(Kind::Doubled, Some(key), text);
            }
            None if again > 0 => {
                again -= 1;
                verdict.sent_again += 1;
            }
            None => {
                let id = if id.is_some() { "another" } else { "no" };
                let text = format!("came again, with {id} stanza-id");
                verdict.add(Kind::Doubled, Some(key), text);
            }
        }
    }
}

fn line(at: Duration, text: &str, out: &mut String) {
    out.push_str(&format!("{:>9.3} {text}\n", at.as_secs_f64()));
}

/// What the ledger says in the end.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) faults: Vec<Fault>,
    /// Second copies with the same stanza-id, where they are allowed.
    pub(crate) repeated: usize,
    /// Second copies by the sender: the known window of a kill.
    pub(crate) sent_again: usize,
    pub(crate) refused: usize,
    /// Found in the archive and nowhere else.
    pub(crate) in_archive_only: usize,
}

impl Verdict {
    fn add(&mut self, kind: Kind, key: Option<Key>, text: String) {
        self.faults.push(Fault { kind, key, other: None, text });
    }
}

#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) key: Option<Key>,
    /// A message which has to do with it.
    other: Option<Key>,
    text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.map(|key| format!(" {key}")).unwrap_or_default();
        write!(f, "{:?}{key}: {}", self.kind, self.text)
    }
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// The archive does not agree with what was delivered.
    Archive,
    Disorder,
    Doubled,
    /// A session in the room has not heard what was said meanwhile.
    Gap,
    /// One stanza-id for two messages.
    Id,
    /// It came with the next login only.
    Late,
    Lost,
    Refused,
    /// Something that a server must not say.
    Wrong,
}

/// Faults of each kind that are told in full.
const SHOWN: usize = 2;
/// Events are told that were so near to what happened to a message.
const NEAR: Duration = Duration::from_millis(250);
