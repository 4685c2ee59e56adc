//! A device in the room: it enters with each new session, writes, and tells the ledger what it hears.

use super::{Device, stanza_id};
use crate::client::{Trouble, Wire};
use crate::counts::Sent;
use crate::element::{CLIENT, Element};
use crate::ledger::{ROOM, RoomKey};

impl Device {
    /// Enters the room, if it is to be there (XEP-0045 §7.2). What it says later goes there after that: the
    /// server takes one after the other.
    pub(super) async fn enter_room(&mut self, wire: &mut Wire) -> Result<(), Trouble> {
        self.is_in = false;
        if self.habits.room.is_none() {
            return Ok(());
        }
        self.send(wire, Sent::Other(entrance(self.account))).await
    }

    /// Says something to all.
    pub(super) async fn say(&mut self, wire: &mut Wire) -> Result<(), Trouble> {
        self.said += 1;
        self.send(wire, Sent::Said(RoomKey { from: self.account, number: self.said })).await
    }

    /// Whether the room has sent this. Then the ledger is told.
    pub(super) fn take_from_room(&mut self, stanza: &Element) -> bool {
        let from = stanza.attribute("from").unwrap_or_default();
        if from.split('/').next() != Some(ROOM) {
            return false;
        }
        let kind = stanza.attribute("type");
        match (stanza.name.as_str(), kind) {
            ("message", Some("error")) => {
                let id = stanza.attribute("id").unwrap_or_default();
                let error = stanza.child(CLIENT, "error").map(ToString::to_string);
                let error = error.unwrap_or_default();
                self.book.write(|ledger| ledger.said_is_refused(id, &error));
            }
            ("message", Some("groupchat")) => self.hear_message(from, stanza),
            ("presence", Some("error")) => {
                let text = format!("{} cannot enter the room: {stanza}", self.account);
                self.book.write(|ledger| ledger.wrong(text));
            }
            ("presence", None) if is_own(stanza) => self.is_in = true,
            // What was on the way to the session before it was in this one does not count.
            ("presence", Some("unavailable")) if is_own(stanza) && self.is_in => {
                self.is_in = false;
                let (account, session) = (self.account, self.connection.session);
                self.book.write(|ledger| ledger.thrown_out(account, session));
            }
            _ => {}
        }
        true
    }

    /// A message of somebody; not the subject, and no history.
    fn hear_message(&mut self, from: &str, message: &Element) {
        let Some(body) = message.child(CLIENT, "body") else { return };
        if message.child("urn:xmpp:delay", "delay").is_some() {
            let text = format!("{} gets history, which it did not want: {message}", self.account);
            return self.book.write(|ledger| ledger.wrong(text));
        }
        let id = message.attribute("id").unwrap_or_default();
        let (body, row) = (body.text(), stanza_id(message, ROOM));
        let (account, connection) = (self.account, self.connection);
        self.book.write(|ledger| ledger.heard(account, connection, (id, from, &body), row));
    }
}

/// The presence by which an account enters, under its own name, without history.
pub(crate) fn entrance(account: &str) -> String {
    format!(
        "<presence to='{ROOM}/{account}'><x xmlns='http://jabber.org/protocol/muc'>\
         <history maxstanzas='0'/></x></presence>"
    )
}

/// It tells a session of itself (XEP-0045 §16.6.2, status code 110).
pub(crate) fn is_own(presence: &Element) -> bool {
    let x = presence.child("http://jabber.org/protocol/muc#user", "x");
    x.is_some_and(|x| {
        x.elements().any(|e| e.name == "status" && e.attribute("code") == Some("110"))
    })
}
