//! The engine against tables of cases (`tables.rs`) and chance (`random.rs`).

mod random;
mod tables;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Engine, Said};
use crate::stream::bosh::request::{Allowed, Request, Terms};
use crate::stream::bosh::wrapper::Wrapper;
use crate::stream::bosh::{Answer, Condition};
use crate::xml::Limits;

/// A session that began with the request 100, and what became of its requests.
struct Session {
    engine: Engine<u32>,
    now: Instant,
    begun: Instant,
    tickets: u32,
    /// Answers by ticket.
    answers: BTreeMap<u32, String>,
}

const OPEN: &[u8] =
    b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='stream' from='localhost'/>";

impl Session {
    fn asked(attributes: &str) -> Self {
        let wrapper = wrapper(&format!("rid='100' to='localhost' {attributes}"), "");
        let seconds = Duration::from_secs;
        let allowed = Allowed { wait: seconds(60), inactivity: seconds(30), pause: seconds(120) };
        let terms = Terms::negotiate(&wrapper, allowed).unwrap();
        let now = Instant::now();
        let engine = Engine::new("sid".into(), terms, 0, 0, now);
        Self { engine, now, begun: now, tickets: 0, answers: BTreeMap::new() }
    }

    /// Its stream is open, and the first request is answered.
    fn open(attributes: &str) -> Self {
        let mut session = Self::asked(attributes);
        assert_eq!(session.heard().len(), 1);
        session.say(Said { open: Some(Bytes::from_static(OPEN)), ..Said::default() });
        assert!(session.answer(0).contains("sid='sid'"));
        session
    }

    fn note(&mut self, answers: Vec<(u32, Answer)>) {
        for (ticket, answer) in answers {
            let text = match answer {
                Answer::Body(body) => String::from_utf8(body.to_vec()).unwrap(),
                Answer::Status(status) => status.to_string(),
            };
            let before = self.answers.insert(ticket, text);
            assert_eq!(before, None, "answered twice");
        }
    }

    /// Sends a request at once; its ticket.
    fn send(&mut self, attributes: &str, inside: &str) -> u32 {
        let request = Request::read(&wrapper(attributes, inside), "localhost").unwrap();
        self.tickets += 1;
        let ticket = self.tickets;
        let answers = self.engine.request(request, u64::from(ticket), ticket, self.now);
        self.note(answers);
        ticket
    }

    fn say(&mut self, said: Said) {
        let answers = self.engine.say(said, self.now);
        self.note(answers);
    }

    fn says(&mut self, elements: &str) {
        self.say(Said { elements: elements.as_bytes().to_vec(), ..Said::default() });
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn elapsed(&mut self, ticket: u32) {
        let answers = self.engine.elapsed(u64::from(ticket), self.now);
        self.note(answers);
    }

    fn expire(&mut self) {
        let answers = self.engine.expire(self.now);
        self.note(answers);
    }

    /// What the stream hears.
    fn heard(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(document) = self.engine.next_incoming() {
            heard.push(String::from_utf8(document.to_vec()).unwrap());
        }
        let answers = self.engine.taken(self.now);
        self.note(answers);
        heard
    }

    fn is_waiting(&self, ticket: u32) -> bool {
        !self.answers.contains_key(&ticket)
    }

    /// The answer without what each has.
    fn answer(&self, ticket: u32) -> String {
        let answer = self.answers.get(&ticket).unwrap_or_else(|| panic!("{ticket} waits"));
        answer.replace("xmlns='http://jabber.org/protocol/httpbind'", "").replace("body  ", "body ")
    }
}

fn wrapper(attributes: &str, inside: &str) -> Wrapper {
    let xml = format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' {attributes}>{inside}</body>"
    );
    Wrapper::parse(&xml.into(), Limits::default()).unwrap()
}

fn terminal(condition: Condition) -> String {
    format!("<body type='terminate' condition='{}'/>", condition.word())
}

const EMPTY: &str = "<body />";
const VER: &str = "ver='1.6'";
