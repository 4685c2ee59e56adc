//! Who sent what, what the server acknowledged, what arrived. Judges whether the promise was kept.
//!
//! Knows no network: its own tests (`ledger_tests.rs`) show that it finds each fault.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// The local part of an address of the only host.
pub(crate) type Account = &'static str;

/// A message: the `number`th from one account to another one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) from: Account,
    pub(crate) to: Account,
    pub(crate) number: u32,
}

impl Key {
    /// As it is sent: always the same, so that one can see whether it was changed.
    pub(crate) fn xml(self, to: &str) -> String {
        let body = self.body();
        format!("<message type='chat' id='{self}' to='{to}'><body>{body}</body></message>")
    }

    /// Of different lengths, now and then a long one.
    pub(crate) fn body(self) -> String {
        let n = self.number as usize;
        let length = if n % 50 == 7 { 9_000 } else { n * 37 % 800 };
        format!("{self}:{}", "x".repeat(length))
    }
}

/// The `id` of the stanza: `from.to.number`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.from, self.to, self.number)
    }
}

/// A copy of a message that somebody got.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Copy {
    /// Of the session that got it: another number after each bind, the same after a resumption.
    pub(crate) session: u32,
    /// `<stanza-id xmlns='urn:xmpp:sid:0' by='the account'>`
    pub(crate) stanza_id: Option<String>,
    /// It has a `<delay/>`.
    pub(crate) delayed: bool,
}

#[derive(Debug, Default)]
struct Message {
    /// When, how many kills there had been, and to which address.
    sent: Vec<(Duration, u32, String)>,
    acknowledged: Option<Duration>,
    refused: Option<(Duration, String)>,
    copies: Vec<Arrived>,
    /// Ids of the recipient's archive.
    archived: Vec<String>,
}

#[derive(Debug)]
struct Arrived {
    at: Duration,
    /// Counts all copies of all messages, in the order in which they came.
    place: usize,
    kills: u32,
    /// Its client has acknowledged it and closed its stream in good order, when so many copies had
    /// come to all.
    settled: Option<usize>,
    copy: Copy,
}

impl Message {
    /// How often its sender was right to send it as new: after a kill it cannot know better.
    fn sent_again(&self) -> usize {
        self.sent.windows(2).filter(|pair| pair[0].1 < pair[1].1).count()
    }

    /// It must be there: the server said that it has it, and did not take that back.
    fn is_promised(&self) -> bool {
        self.acknowledged.is_some() && self.refused.is_none()
    }
}

/// What was done and seen.
#[derive(Debug)]
pub(crate) struct Ledger {
    started: Instant,
    accounts: Vec<Account>,
    messages: BTreeMap<Key, Message>,
    /// How often the server was killed.
    kills: u32,
    sessions: u32,
    arrived: usize,
    /// What happened to connections and servers, and whose it was.
    events: Vec<(Duration, Option<Account>, String)>,
    /// Promised to somebody who was online, and did not come for a long time.
    late: Vec<Key>,
    /// What a server must not say, whatever happens to messages.
    wrong: Vec<String>,
    /// Recipients whose archive was read: what stands there is not lost, and must agree.
    archives: Vec<Account>,
    /// So many messages may be sent in all.
    pub(crate) quota: usize,
    /// The disk is full now and then: messages may be answered with errors, and that one was
    /// delivered may not be written down, so that it comes again, with the same stanza-id.
    pub(crate) is_full: bool,
    /// Each session that is asked for is there.
    pub(crate) must_resume: bool,
    pub(crate) resumed: usize,
    pub(crate) not_resumed: usize,
}

impl Ledger {
    pub(crate) fn new(accounts: &[Account]) -> Self {
        Self {
            started: Instant::now(),
            accounts: accounts.to_vec(),
            messages: BTreeMap::new(),
            kills: 0,
            sessions: 0,
            arrived: 0,
            events: Vec::new(),
            late: Vec::new(),
            wrong: Vec::new(),
            archives: Vec::new(),
            quota: usize::MAX,
            is_full: false,
            must_resume: false,
            resumed: 0,
            not_resumed: 0,
        }
    }

    // ── what is done and seen ──

    /// A message is written to the server, the first time or again.
    pub(crate) fn sent(&mut self, key: Key, to: &str) {
        let now = (self.started.elapsed(), self.kills, to.to_owned());
        let message = self.messages.entry(key).or_default();
        assert!(message.acknowledged.is_none(), "{key} is sent again though it is acknowledged");
        message.sent.push(now);
    }

    /// The server has counted it.
    pub(crate) fn acknowledged(&mut self, key: Key) {
        let now = self.started.elapsed();
        if let Some(message) = self.messages.get_mut(&key) {
            message.acknowledged.get_or_insert(now);
        }
    }

    /// Its sender got an error, of this type and condition.
    pub(crate) fn refused(&mut self, id: &str, kind: &str, condition: &str) {
        let now = self.started.elapsed();
        if !matches!(kind, "cancel" | "wait") {
            self.wrong(format!("{id} is answered with an error of type {kind} ({condition})"));
        }
        match self.find(id) {
            Some(key) => {
                let message = self.messages.get_mut(&key).expect("it was found");
                message.refused.get_or_insert((now, format!("{kind}, {condition}")));
            }
            None => self.wrong(format!("an error ({condition}) answers {id}, which nobody sent")),
        }
    }

    /// `account` got a message, with what it says about itself.
    pub(crate) fn arrived(
        &mut self,
        account: Account,
        id: &str,
        from: &str,
        body: &str,
        copy: Copy,
    ) {
        let Some(key) = self.sought(account, id, from, body) else { return };
        let (at, place, kills) = (self.started.elapsed(), self.arrived, self.kills);
        self.arrived += 1;
        let message = self.messages.get_mut(&key).expect("it was found");
        message.copies.push(Arrived { at, place, kills, settled: None, copy });
    }

    /// `account` has acknowledged what it got of the first `copies` of all, and closed its stream,
    /// and so did the server.
    pub(crate) fn left(&mut self, account: Account, copies: usize) {
        let own = self.messages.iter_mut().filter(|(key, _)| key.to == account);
        let own = own.flat_map(|(_, message)| &mut message.copies);
        for copy in own.filter(|copy| copy.place < copies) {
            copy.settled.get_or_insert(self.arrived);
        }
    }

    /// A session was not resumed, but its client knows what was counted: `<failed h='…'/>`.
    pub(crate) fn failed_to_resume(&mut self, account: Account) {
        self.not_resumed += 1;
        if self.must_resume {
            self.wrong(format!("{account} cannot resume its session"));
        }
    }

    /// `account` has it in its archive, which is read from its beginning.
    pub(crate) fn archived(
        &mut self,
        account: Account,
        id: &str,
        from: &str,
        body: &str,
        key: &str,
    ) {
        let Some(found) = self.sought(account, id, from, body) else { return };
        self.messages.get_mut(&found).expect("it was found").archived.push(key.to_owned());
    }

    /// The archive of `account` has been read to its end.
    pub(crate) fn archive_read(&mut self, account: Account) {
        self.archives.push(account);
    }

    /// The server is being killed. What was sent before and not acknowledged may be unknown to it.
    pub(crate) fn killed(&mut self) {
        self.kills += 1;
        self.note(None, "SIGKILL".to_owned());
    }

    pub(crate) fn new_session(&mut self) -> u32 {
        self.sessions += 1;
        self.sessions
    }

    /// Something that helps to understand a fault.
    pub(crate) fn note(&mut self, whose: Option<Account>, text: String) {
        self.events.push((self.started.elapsed(), whose, text));
    }

    /// Something that a server must not do.
    pub(crate) fn wrong(&mut self, text: String) {
        self.note(None, format!("WRONG: {text}"));
        self.wrong.push(text);
    }

    fn find(&self, id: &str) -> Option<Key> {
        let mut parts = id.split('.');
        let mut account = || {
            let name = parts.next()?;
            self.accounts.iter().copied().find(|known| *known == name)
        };
        let (from, to) = (account()?, account()?);
        let key = Key { from, to, number: parts.next()?.parse().ok()? };
        self.messages.contains_key(&key).then_some(key)
    }

    /// The message, if it is one that was sent so to this account.
    fn sought(&mut self, account: Account, id: &str, from: &str, body: &str) -> Option<Key> {
        match self.find(id) {
            Some(key) if key.to != account => self.wrong(format!("{account} got {id}")),
            Some(key) if from.split(['@', '/']).next() != Some(key.from) => {
                self.wrong(format!("{id} came from {from}"));
            }
            Some(key) if body != key.body() => self.wrong(format!("{id} was changed: {body}")),
            Some(key) => return Some(key),
            None => self.wrong(format!("{account} got {id} from {from}, which nobody sent")),
        }
        None
    }

    // ── how far it is ──

    pub(crate) fn session_count(&self) -> u32 {
        self.sessions
    }

    /// No more are to be sent for now.
    pub(crate) fn is_enough(&self) -> bool {
        self.messages.len() >= self.quota
    }

    /// How many copies have come, to all.
    pub(crate) fn copies(&self) -> usize {
        self.arrived
    }

    pub(crate) fn sent_count(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn acknowledged_count(&self) -> usize {
        self.messages.values().filter(|m| m.is_promised()).count()
    }

    pub(crate) fn refused_count(&self) -> usize {
        self.messages.values().filter(|m| m.refused.is_some()).count()
    }

    /// Each message has been acknowledged or refused.
    pub(crate) fn all_told(&self) -> bool {
        self.messages.values().all(|m| m.acknowledged.is_some())
    }

    /// What was promised to these accounts has arrived.
    pub(crate) fn all_arrived(&self, accounts: &[Account]) -> bool {
        self.missing(accounts).next().is_none()
    }

    /// These accounts are online and have waited long: what has not come is late.
    pub(crate) fn waited_for(&mut self, accounts: &[Account]) {
        self.late = self.missing(accounts).collect();
    }

    fn missing(&self, accounts: &[Account]) -> impl Iterator<Item = Key> {
        let open = self.messages.iter().filter(|(_, m)| m.is_promised() && m.copies.is_empty());
        open.map(|(key, _)| *key).filter(|key| accounts.contains(&key.to))
    }

    // ── the judgement ──

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
            let Copy { session, stanza_id, delayed } = copy;
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
                    && c.kills == arrived.kills =>
            {
                let text = "came again, though its client had acknowledged it and left".to_owned();
                verdict.add(Kind::Doubled, Some(key), text);
            }
            Some(c) if c.copy.session != arrived.copy.session || c.kills != arrived.kills => {
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
