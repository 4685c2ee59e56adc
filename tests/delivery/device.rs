//! A client as people use them: it writes to others, loses its connection, comes back, resumes its
//! session or begins a new one, and tells the ledger what it sees.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::book::Book;
use super::chance::Chance;
use super::client::{CLOSED, HOST, Trouble, Wire, log_in, within};
use super::counts::{Counts, Sent};
use super::element::{CLIENT, Element};
use super::ledger::{Account, Connection, Copy, Key, Ledger};

#[path = "habits.rs"]
mod habits;
#[path = "room_device.rs"]
mod room_device;

pub(crate) use habits::{Habits, InRoom, Phase};
pub(crate) use room_device::{entrance, is_own};

pub(crate) struct Device {
    pub(crate) account: Account,
    habits: Habits,
    book: Book,
    chance: Chance,
    /// Of the session, while there is one that can be resumed.
    counts: Option<Counts>,
    connection: Connection,
    /// Sent in a session that is over, and not acknowledged: to be sent in the next one.
    again: VecDeque<Sent>,
    /// The number of the last message to each peer.
    numbers: Vec<u32>,
    /// It has asked (`<r/>`) and waits for the answer.
    asked: bool,
    /// The answers that [`Device::visit`] waits for.
    heard: (bool, bool),
    /// The message to oneself, by which a visit knows that all has come.
    fence: String,
    /// The number of the last message to the room.
    said: u32,
    /// The room has told this session that it is in.
    is_in: bool,
}

impl Device {
    pub(crate) fn new(account: Account, habits: Habits, book: &Book, chance: Chance) -> Self {
        let numbers = vec![0; habits.peers.len()];
        Self {
            account,
            habits,
            book: book.clone(),
            chance,
            counts: None,
            connection: Connection::default(),
            again: VecDeque::new(),
            numbers,
            asked: false,
            heard: (false, false),
            fence: String::new(),
            said: 0,
            is_in: false,
        }
    }

    /// Is online whenever it can be, until it is told to leave.
    pub(crate) async fn run(
        mut self,
        mut address: watch::Receiver<Option<SocketAddr>>,
        mut phase: watch::Receiver<Phase>,
    ) -> Self {
        loop {
            let there = *address.wait_for(Option::is_some).await.expect("the server outlives it");
            let there = there.expect("it is there");
            let ended = match Box::pin(self.connect(there)).await {
                Ok(mut wire) => Box::pin(self.live(&mut wire, &mut phase)).await,
                Err(trouble) => Err(trouble),
            };
            let Err(trouble) = ended else { return self };
            self.complain(trouble);
            let mut away = self.chance.millis(self.habits.away) + Duration::from_millis(2);
            if self.chance.one_in(4) {
                away += self.habits.away_longer;
            }
            sleep(away).await;
        }
    }

    fn complain(&self, trouble: Trouble) {
        let account = self.account;
        match trouble {
            Trouble::Lost(why) => self.book.note_of(account, &format!("is cut off: {why}")),
            Trouble::Closed(condition) if EXPECTED.contains(&condition.as_str()) => {
                self.book.note_of(account, &format!("is closed: {condition}"));
            }
            Trouble::Closed(condition) => {
                self.book.write(|l| l.wrong(format!("{account} is closed: {condition}")));
            }
            Trouble::Wrong(what) => self.book.write(|l| l.wrong(format!("{account}: {what}"))),
        }
    }

    /// Logs in, waits until all that waits for it has come, and leaves.
    ///
    /// # Errors
    /// Anything is: nobody cuts this connection.
    pub(crate) async fn visit(&mut self, address: SocketAddr) -> Result<(), Trouble> {
        self.heard = (false, false);
        let mut wire = within("the login of a visit", self.connect(address)).await?;
        let ping = "<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>";
        self.send(&mut wire, Sent::Other(ping.to_owned())).await?;
        within("the answer to a ping", self.hear_until(&mut wire, |heard| heard.0)).await?;
        // What the server has sent before the answer has come; and now, by the way of messages.
        let to = self.account;
        self.fence = FENCES.fetch_add(1, Ordering::Relaxed).to_string();
        let fence = format!(
            "<message type='chat' id='fence' to='{to}@{HOST}'><body>{}</body></message>",
            self.fence
        );
        self.send(&mut wire, Sent::Other(fence)).await?;
        within("a message to oneself", self.hear_until(&mut wire, |heard| heard.1)).await?;
        self.leave(&mut wire).await
    }

    async fn hear_until(
        &mut self,
        wire: &mut Wire,
        is_enough: impl Fn((bool, bool)) -> bool,
    ) -> Result<(), Trouble> {
        while !is_enough(self.heard) {
            let element = wire.next().await?;
            self.hear(wire, &element).await?;
        }
        Ok(())
    }

    // ── a session begins, or goes on ──

    async fn connect(&mut self, address: SocketAddr) -> Result<Wire, Trouble> {
        let mut wire = log_in(address, self.account).await?;
        self.connection.kills = self.book.read(Ledger::kills);
        self.asked = false;
        if self.chance.below(4) >= self.habits.resumes {
            self.give_up();
        }
        let resumed = within("resumption", self.resume(&mut wire)).await?;
        if !resumed {
            within("bind", self.bind(&mut wire)).await?;
        }
        Ok(wire)
    }

    /// XEP-0198 §5. `false` if there is nothing to resume.
    async fn resume(&mut self, wire: &mut Wire) -> Result<bool, Trouble> {
        let Some(counts) = &self.counts else { return Ok(false) };
        let Some(id) = &counts.id else {
            self.give_up();
            return Ok(false);
        };
        let read = counts.read;
        wire.send(&format!("<resume xmlns='{SM}' previd='{id}' h='{read}'/>")).await?;
        let answer = wire.next().await?;
        let h = answer.attribute("h").map(str::to_owned);
        let told = h.as_deref().unwrap_or("none");
        let (name, before) = (&answer.name, counts.acknowledged);
        let text = format!("resumes with h={read}: {name} h={told}, after h={before}");
        self.book.note_of(self.account, &text);
        if answer.is(SM, "failed") {
            self.book.write(|ledger| ledger.failed_to_resume(self.account));
            match h {
                Some(h) => self.acknowledged(&h)?,
                // It may know nothing of a session in which it promised nothing.
                None if !counts.has_promise => {}
                None => {
                    let h = counts.acknowledged;
                    let text = format!("{}: <failed/> without h, after h={h}", self.account);
                    self.book.write(|ledger| ledger.wrong(text));
                }
            }
            self.give_up();
            return Ok(false);
        }
        let Some(h) = h.filter(|_| answer.is(SM, "resumed")) else {
            return Err(Trouble::Wrong(format!("an answer to <resume/>: {answer}")));
        };
        self.book.write(|ledger| ledger.resumed += 1);
        self.acknowledged(&h)?;
        let counts = self.counts.as_ref().expect("it was there");
        let again: Vec<Sent> = counts.waiting.iter().cloned().collect();
        for sent in again {
            self.write(wire, &sent, "").await?;
        }
        Ok(true)
    }

    /// The session is over, for us.
    fn give_up(&mut self) {
        let Some(counts) = self.counts.take() else { return };
        let messages = counts.waiting.into_iter();
        let mut again: VecDeque<_> = messages.filter(Sent::is_promise).collect();
        again.append(&mut self.again);
        self.again = again;
    }

    /// Bind and `<enable/>` in one write, as clients do that are in a hurry: no message reaches the
    /// session before it is managed, and is lost with its connection.
    async fn bind(&mut self, wire: &mut Wire) -> Result<(), Trouble> {
        let enable = format!("<enable xmlns='{SM}' resume='true'/>");
        let enable = if self.habits.managed { enable.as_str() } else { "" };
        wire.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{RESOURCE}</resource></bind></iq>{enable}"
        ))
        .await?;
        let bound = wire.next().await?;
        if bound.attribute("type") != Some("result") {
            return Err(Trouble::Wrong(format!("not bound: {bound}")));
        }
        self.connection.session = self.book.write(Ledger::new_session);
        self.book.note_of(self.account, &format!("begins session {}", self.connection.session));
        while self.habits.managed && self.counts.is_none() {
            let element = wire.next().await?;
            if element.is(SM, "enabled") {
                self.counts = Some(Counts::new(element.attribute("id").map(str::to_owned)));
            } else {
                self.hear(wire, &element).await?;
            }
        }
        self.send(wire, Sent::Other("<presence/>".to_owned())).await?;
        self.enter_room(wire).await?;
        // From here on it waits in the new session for its acknowledgement.
        while let Some(sent) = self.again.pop_front() {
            self.send(wire, sent).await?;
        }
        Ok(())
    }

    // ── a session ──

    /// Until the connection ends, or all is over.
    async fn live(
        &mut self,
        wire: &mut Wire,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), Trouble> {
        let mut next_message = Instant::now();
        let mut next_question = Instant::now();
        let drops = self.habits.drops.map_or(FOREVER, |millis| self.chance.millis(millis));
        let drops = Instant::now() + drops;
        loop {
            let now = *phase.borrow_and_update();
            if now == Phase::Leave {
                return self.leave(wire).await;
            }
            let waiting = self.counts.as_ref().map_or(0, |counts| counts.waiting.len());
            let full = waiting >= self.habits.window;
            let talks = now == Phase::Talk && self.habits.talks() && !full;
            let talks = talks && !self.book.read(|ledger| ledger.is_enough());
            let asks = waiting > 0 && !self.asked && (full || now == Phase::Settle);
            tokio::select! {
                heard = wire.next() => {
                    let element = heard?;
                    self.hear(wire, &element).await?;
                }
                changed = phase.changed() => changed.expect("the test outlives it"),
                () = sleep_until(next_message), if talks => {
                    self.talk(wire).await?;
                    next_message = Instant::now() + self.chance.millis(self.habits.pace);
                }
                () = sleep_until(drops), if now == Phase::Talk => {
                    return Err(Trouble::Lost("leaves the network".to_owned()));
                }
                () = sleep_until(next_question), if asks => {
                    self.asked = true;
                    wire.send(&format!("<r xmlns='{SM}'/>")).await?;
                    next_question = Instant::now() + BETWEEN_QUESTIONS;
                }
            }
        }
    }

    /// A new message to the room, or to one of its peers.
    async fn talk(&mut self, wire: &mut Wire) -> Result<(), Trouble> {
        if self.habits.room.is_some() {
            return self.say(wire).await;
        }
        let to = self.chance.below(self.habits.peers.len() as u64) as usize;
        self.numbers[to] += 1;
        let key = Key { from: self.account, to: self.habits.peers[to], number: self.numbers[to] };
        let resource = if self.chance.one_in(2) { format!("/{RESOURCE}") } else { String::new() };
        let address = format!("{}@{HOST}{resource}", key.to);
        self.send(wire, Sent::Message(key, address)).await
    }

    /// Sends a stanza. It is counted before it is written: who knows how much of it arrives?
    async fn send(&mut self, wire: &mut Wire, sent: Sent) -> Result<(), Trouble> {
        let asks = self.counts.is_some() && !self.asked && self.chance.one_in(5);
        self.asked |= asks;
        if let Some(counts) = &mut self.counts {
            counts.push(sent.clone());
        }
        let question = if asks { format!("<r xmlns='{SM}'/>") } else { String::new() };
        self.write(wire, &sent, &question).await
    }

    async fn write(&mut self, wire: &mut Wire, sent: &Sent, more: &str) -> Result<(), Trouble> {
        match sent {
            Sent::Message(key, to) => self.book.write(|ledger| ledger.sent(*key, to)),
            Sent::Said(key) => self.book.write(|ledger| ledger.said(*key)),
            Sent::Other(_) => {}
        }
        wire.send(&format!("{}{more}", sent.xml())).await
    }

    /// Something came.
    async fn hear(&mut self, wire: &mut Wire, element: &Element) -> Result<(), Trouble> {
        if element.ns == SM {
            return self.hear_of_counts(wire, element).await;
        }
        if element.ns != CLIENT {
            return Ok(());
        }
        self.take(element);
        if let Some(counts) = &mut self.counts {
            counts.read = counts.read.wrapping_add(1);
        }
        if element.name == "iq" && element.attribute("type") == Some("get") {
            let id = element.attribute("id").unwrap_or_default();
            let to = element.attribute("from").unwrap_or(HOST);
            let answer = format!("<iq type='result' id='{id}' to='{to}'/>");
            self.send(wire, Sent::Other(answer)).await?;
        }
        Ok(())
    }

    async fn hear_of_counts(&mut self, wire: &mut Wire, element: &Element) -> Result<(), Trouble> {
        match element.name.as_str() {
            "a" => {
                self.asked = false;
                self.acknowledged(element.attribute("h").unwrap_or_default())
            }
            "r" => {
                let Some(counts) = &self.counts else { return Ok(()) };
                wire.send(&format!("<a xmlns='{SM}' h='{}'/>", counts.read)).await
            }
            _ => Err(Trouble::Wrong(format!("unexpected: {element}"))),
        }
    }

    /// The server has counted so many stanzas.
    fn acknowledged(&mut self, h: &str) -> Result<(), Trouble> {
        let Some(counts) = &mut self.counts else { return Ok(()) };
        let h = h.parse().map_err(|_| Trouble::Wrong(format!("h='{h}'")))?;
        match counts.acknowledge(h) {
            Ok(gone) => self.book.write(|ledger| {
                for sent in gone {
                    match sent {
                        Sent::Message(key, _) => ledger.acknowledged(key),
                        Sent::Said(key) => ledger.said_is_acknowledged(key),
                        Sent::Other(_) => {}
                    }
                }
            }),
            Err(why) => {
                self.book.write(|ledger| ledger.wrong(format!("{}: {why}", self.account)));
            }
        }
        Ok(())
    }

    /// A stanza: for the ledger, if it is a message.
    fn take(&mut self, stanza: &Element) {
        if self.take_from_room(stanza) {
            return;
        }
        let id = stanza.attribute("id").unwrap_or_default();
        match (stanza.name.as_str(), id) {
            ("iq", "ping") => self.heard.0 = true,
            // That of a visit before may have waited.
            ("message", "fence") => {
                let body = stanza.child(CLIENT, "body").map(Element::text);
                self.heard.1 |= body.as_ref() == Some(&self.fence);
            }
            ("message", _) if stanza.attribute("type") == Some("error") => {
                let error = stanza.child(CLIENT, "error").cloned().unwrap_or_default();
                let kind = error.attribute("type").unwrap_or_default();
                let condition = error.elements().next().map_or("", |c| c.name.as_str());
                self.book.write(|ledger| ledger.refused(id, kind, condition));
            }
            ("message", _) => {
                let from = stanza.attribute("from").unwrap_or_default();
                let body = stanza.child(CLIENT, "body").map(Element::text).unwrap_or_default();
                let copy = Copy {
                    connection: self.connection,
                    stanza_id: self.stanza_id(stanza),
                    delayed: stanza.child("urn:xmpp:delay", "delay").is_some(),
                };
                self.book.write(|ledger| ledger.arrived(self.account, id, from, &body, copy));
            }
            _ => {}
        }
    }

    /// XEP-0359 §3: the one that our own account has given.
    fn stanza_id(&self, message: &Element) -> Option<String> {
        stanza_id(message, &format!("{}@{HOST}", self.account))
    }

    /// Acknowledges all, closes the stream, and hears what still comes.
    ///
    /// # Errors
    /// If the connection is lost before the server has closed the stream, too: nobody knows what it
    /// has heard. The session is given up.
    async fn leave(&mut self, wire: &mut Wire) -> Result<(), Trouble> {
        self.is_in = false;
        let counts = self.counts.take();
        let h = counts.as_ref().map_or("none".to_owned(), |counts| counts.read.to_string());
        self.book.note_of(self.account, &format!("leaves with h={h}"));
        let copies = self.book.read(|ledger| ledger.copies());
        let read = counts.map(|c| format!("<a xmlns='{SM}' h='{}'/>", c.read)).unwrap_or_default();
        wire.send(&format!("{read}</stream:stream>")).await?;
        within("the end of the stream", async {
            loop {
                match wire.next().await {
                    Ok(element) if element.ns == CLIENT => self.take(&element),
                    Ok(_) => {}
                    Err(Trouble::Lost(why)) if why == CLOSED => return Ok(()),
                    Err(trouble) => return Err(trouble),
                }
            }
        })
        .await?;
        self.book.write(|ledger| ledger.left(self.account, self.connection.session, copies));
        Ok(())
    }
}

/// XEP-0359 §3: the one that this address has given.
fn stanza_id(message: &Element, by: &str) -> Option<String> {
    let mut ids = message.elements().filter(|e| e.is("urn:xmpp:sid:0", "stanza-id"));
    let id = ids.find(|e| e.attribute("by") == Some(by))?;
    id.attribute("id").map(str::to_owned)
}

/// Conditions by which a server may end a stream in these tests: it ends, or the client has a newer
/// connection.
const EXPECTED: [&str; 2] = ["conflict", "system-shutdown"];
/// How many visits there were.
static FENCES: AtomicUsize = AtomicUsize::new(0);
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(20);
const RESOURCE: &str = "pda";
const SM: &str = "urn:xmpp:sm:3";
