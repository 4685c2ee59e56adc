//! The owner of the room: makes it, says the last word, and reads its archive. Nobody cuts the owner's
//! connections.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::sleep;

use super::archive::{ask, pages, row};
use super::book::Book;
use super::client::{Trouble, Wire, log_in, within};
use super::device::{entrance, is_own};
use super::element::{CLIENT, Element};
use super::ledger::{Account, ROOM, RoomKey};

/// Makes the room, which outlives its last occupant: after a kill nobody is in it.
pub(crate) async fn makes_the_room(address: SocketAddr) -> Result<(), Trouble> {
    within("making the room", async {
        let mut wire = comes_in(address).await?;
        let to = format!(" to='{ROOM}'");
        let answer = ask(&mut wire, "set", &to, FORM, |_| {}).await?;
        if answer.attribute("type") != Some("result") {
            return Err(Trouble::Wrong(format!("the room is not configured: {answer}")));
        }
        wire.send("</stream:stream>").await
    })
    .await
}

/// Says something, until it is acknowledged, and has come back.
pub(crate) async fn says(address: SocketAddr, key: RoomKey, book: &Book) -> Result<(), Trouble> {
    within("a message of the owner", async {
        let mut wire = comes_in(address).await?;
        book.write(|ledger| ledger.said(key));
        let id = key.to_string();
        let (enable, question) = (format!("<enable xmlns='{SM}'/>"), format!("<r xmlns='{SM}'/>"));
        wire.send(&format!("{enable}{}{question}", key.xml())).await?;
        let (mut is_back, mut is_acknowledged) = (false, false);
        while !is_back || !is_acknowledged {
            let element = wire.next().await?;
            if element.is(SM, "a") {
                is_acknowledged = element.attribute("h") == Some("1");
                if !is_acknowledged {
                    sleep(BETWEEN_QUESTIONS).await;
                    wire.send(&question).await?;
                }
            } else if element.is(CLIENT, "message") && element.attribute("id") == Some(id.as_str())
            {
                if element.attribute("type") != Some("groupchat") {
                    return Err(Trouble::Wrong(format!("the owner is refused: {element}")));
                }
                is_back = true;
            }
        }
        book.write(|ledger| ledger.said_is_acknowledged(key));
        wire.send("</stream:stream>").await
    })
    .await
}

/// Reads the archive of the room (XEP-0313) and tells the ledger.
pub(crate) async fn reads_the_archive(address: SocketAddr, book: &Book) -> Result<(), Trouble> {
    within("reading the archive of the room", async {
        let mut wire = logs_in(address).await?;
        let (mut rows, to) = (Vec::new(), format!(" to='{ROOM}'"));
        pages(&mut wire, &to, |message| {
            let Some((id, inner)) = row(message) else { return };
            let told = |name| inner.attribute(name).unwrap_or_default();
            let body = inner.child(CLIENT, "body").map(Element::text).unwrap_or_default();
            let said = (told("id"), told("from"), body.as_str());
            rows.extend(book.write(|ledger| ledger.row_of_room(said, id)));
        })
        .await?;
        book.write(|ledger| ledger.archive_of_room(rows));
        wire.send("</stream:stream>").await
    })
    .await
}

async fn logs_in(address: SocketAddr) -> Result<Wire, Trouble> {
    let mut wire = log_in(address, OWNER).await?;
    let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
    ask(&mut wire, "set", "", bind, |_| {}).await?;
    Ok(wire)
}

/// Logs in, and enters the room.
async fn comes_in(address: SocketAddr) -> Result<Wire, Trouble> {
    let mut wire = logs_in(address).await?;
    wire.send(&format!("<presence/>{}", entrance(OWNER))).await?;
    loop {
        let element = wire.next().await?;
        let is_of_room = element.attribute("from").is_some_and(|from| from.starts_with(ROOM));
        if element.name != "presence" || !is_of_room {
            continue;
        }
        match element.attribute("type") {
            None if is_own(&element) => return Ok(wire),
            Some("error") => {
                return Err(Trouble::Wrong(format!("the owner cannot enter: {element}")));
            }
            _ => {}
        }
    }
}

pub(crate) const OWNER: Account = "otto";
const FORM: &str = "<query xmlns='http://jabber.org/protocol/muc#owner'>\
    <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
    <value>http://jabber.org/protocol/muc#roomconfig</value></field>\
    <field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query>";
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(20);
const SM: &str = "urn:xmpp:sm:3";
