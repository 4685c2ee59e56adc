//! Who sent what, what the server acknowledged, what arrived. `verdict.rs` judges whether the promise was
//! kept.
//!
//! Knows no network: its own tests (`ledger_tests.rs`) show that it finds each fault.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

#[path = "room_ledger.rs"]
mod room_ledger;
#[path = "verdict.rs"]
mod verdict;

pub(crate) use room_ledger::{ROOM, RoomKey, RoomRow};
pub(crate) use verdict::Kind;

use room_ledger::RoomRecord;

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

/// The connection of a client.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Connection {
    /// Its session: another number after each bind, the same after a resumption.
    pub(crate) session: u32,
    /// How many kills there had been when it began. A client may read what was on its way only after the kill that
    /// cut the connection: so the time when something is read does not tell which server sent it.
    pub(crate) kills: u32,
}

/// A copy of a message that somebody got.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Copy {
    /// Where it came.
    pub(crate) connection: Connection,
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
    /// What was said in the room, and heard.
    room: RoomRecord,
    /// How many messages may be sent in all.
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
            room: RoomRecord::default(),
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
        let (at, place) = (self.started.elapsed(), self.arrived);
        self.arrived += 1;
        let message = self.messages.get_mut(&key).expect("it was found");
        message.copies.push(Arrived { at, place, settled: None, copy });
    }

    /// `account` has acknowledged what it got in this session of the first `copies` of all, and closed
    /// its stream, and so did the server.
    pub(crate) fn left(&mut self, account: Account, session: u32, copies: usize) {
        let own = self.messages.iter_mut().filter(|(key, _)| key.to == account);
        let own = own.flat_map(|(_, message)| &mut message.copies);
        for copy in
            own.filter(|copy| copy.place < copies && copy.copy.connection.session == session)
        {
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

    pub(crate) fn kills(&self) -> u32 {
        self.kills
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
        self.sent_count() >= self.quota
    }

    /// How many copies have come, to all.
    pub(crate) fn copies(&self) -> usize {
        self.arrived
    }

    pub(crate) fn sent_count(&self) -> usize {
        self.messages.len() + self.room.count()
    }

    pub(crate) fn acknowledged_count(&self) -> usize {
        self.messages.values().filter(|m| m.is_promised()).count()
    }

    pub(crate) fn refused_count(&self) -> usize {
        self.messages.values().filter(|m| m.refused.is_some()).count()
    }

    /// Each message has been acknowledged or refused.
    pub(crate) fn all_told(&self) -> bool {
        self.messages.values().all(|m| m.acknowledged.is_some()) && self.room.all_told()
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
}
