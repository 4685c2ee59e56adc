//! Reads an archive to its end (XEP-0313), if the server has archives.

use std::net::SocketAddr;

use super::book::Book;
use super::client::{HOST, Trouble, Wire, log_in, within};
use super::element::{CLIENT, Element};
use super::ledger::Account;

/// Tells the ledger what stands in the archive of `account`.
pub(crate) async fn read(
    address: SocketAddr,
    account: Account,
    book: &Book,
) -> Result<(), Trouble> {
    within("reading the archive", async {
        let mut wire = log_in(address, account).await?;
        let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
        ask(&mut wire, "set", "", bind, |_| {}).await?;
        let own = format!(" to='{account}@{HOST}'");
        let query = format!("<query xmlns='{DISCO}'/>");
        let features = ask(&mut wire, "get", &own, &query, |_| {}).await?;
        let query = features.child(DISCO, "query").cloned().unwrap_or_default();
        if !query.elements().any(|feature| feature.attribute("var") == Some(MAM)) {
            return Ok(());
        }
        pages(&mut wire, "", |message| tell(account, message, book)).await?;
        book.write(|ledger| ledger.archive_read(account));
        wire.send("</stream:stream>").await
    })
    .await
}

/// Shows each row of an archive, oldest first: of the client's own, or of the one at `to`.
pub(crate) async fn pages(
    wire: &mut Wire,
    to: &str,
    mut show: impl FnMut(&Element),
) -> Result<(), Trouble> {
    let mut after = String::new();
    loop {
        let page =
            format!("<query xmlns='{MAM}'><set xmlns='{RSM}'><max>100</max>{after}</set></query>");
        let answer = ask(wire, "set", to, &page, &mut show).await?;
        let Some(fin) = answer.child(MAM, "fin") else {
            return Err(Trouble::Wrong(format!("no end of a page: {answer}")));
        };
        let last = fin.child(RSM, "set").and_then(|set| set.child(RSM, "last"));
        match last {
            Some(last) if fin.attribute("complete") != Some("true") => {
                after = format!("<after>{}</after>", last.text());
            }
            _ => return Ok(()),
        }
    }
}

/// The id of a row, and the message that stands in it (XEP-0313 §4.2).
pub(crate) fn row(message: &Element) -> Option<(&str, &Element)> {
    let result = message.child(MAM, "result")?;
    let forwarded = result.child("urn:xmpp:forward:0", "forwarded")?;
    Some((result.attribute("id").unwrap_or_default(), forwarded.child(CLIENT, "message")?))
}

/// Sends a request and waits for its answer; what comes before it goes to `other`.
pub(crate) async fn ask(
    wire: &mut Wire,
    kind: &str,
    to: &str,
    payload: &str,
    mut other: impl FnMut(&Element),
) -> Result<Element, Trouble> {
    wire.send(&format!("<iq type='{kind}' id='ask'{to}>{payload}</iq>")).await?;
    loop {
        let element = wire.next().await?;
        if element.is(CLIENT, "iq") && element.attribute("id") == Some("ask") {
            return Ok(element);
        }
        other(&element);
    }
}

/// A row of the archive (XEP-0313 §4.2). Those that the account has sent, and what is no message
/// of the ledger, are left out.
fn tell(account: Account, message: &Element, book: &Book) {
    let Some((key, inner)) = row(message) else { return };
    let id = inner.attribute("id").unwrap_or_default();
    let from = inner.attribute("from").unwrap_or_default();
    let is_own = from.split(['@', '/']).next() == Some(account);
    if id == "fence" || is_own {
        return;
    }
    let body = inner.child(CLIENT, "body").map(Element::text).unwrap_or_default();
    book.write(|ledger| ledger.archived(account, id, from, &body, key));
}

const DISCO: &str = "http://jabber.org/protocol/disco#info";
const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
