//! What a client says it can do (XEP-0115), and its answer to the server that asks (XEP-0030).

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::client::{Connection, between};

/// The capabilities of one kind of client.
pub(crate) struct Capabilities {
    /// The element `<c/>` of its presence.
    pub(crate) element: String,
    /// The content of its answer to `disco#info`.
    info: String,
    node: String,
}

impl Capabilities {
    /// Those of a chat client that wants to hear of what its contacts publish.
    pub(crate) fn of_a_client() -> Self {
        let mut features: Vec<String> =
            FEATURES.iter().map(|feature| (*feature).to_owned()).collect();
        features
            .extend(NODES.iter().flat_map(|node| [(*node).to_owned(), format!("{node}+notify")]));
        features.sort();
        // XEP-0115 §5.1
        let verified: String = features.iter().map(|feature| format!("{feature}<")).collect();
        let verified = format!("client/phone//load<{verified}");
        let ver = STANDARD.encode(Sha1::digest(verified));
        let features = features.iter().map(|feature| format!("<feature var='{feature}'/>"));
        Self {
            element: format!(
                "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='{NODE}' ver='{ver}'/>"
            ),
            info: format!(
                "<identity category='client' type='phone' name='load'/>{}",
                features.collect::<String>()
            ),
            node: format!("{NODE}#{ver}"),
        }
    }

    /// Sends initial presence, and answers if the server asks what the client can do. Returns when the
    /// server has dealt with both.
    pub(crate) async fn appear(
        &self,
        connection: &mut Connection,
        domain: &str,
    ) -> anyhow::Result<()> {
        let first = format!("<presence>{}</presence>{}", self.element, ping(domain, 1));
        connection.send(&first).await?;
        let come = connection.expect_tag("settled1").await?;
        let Some(at) = come.find(DISCO) else { return Ok(()) };
        let start = come[..at].rfind("<iq").context("a question that is no iq")?;
        let head = &come[start..at];
        let id = attribute(head, "id").context("a question without id")?;
        let from = attribute(head, "from").map(|from| format!(" to='{from}'")).unwrap_or_default();
        let answer = format!(
            "<iq type='result' id='{id}'{from}><query xmlns='{DISCO}' node='{}'>{}</query></iq>{}",
            self.node,
            self.info,
            ping(domain, 2),
        );
        connection.send(&answer).await?;
        connection.expect_tag("settled2").await?;
        Ok(())
    }
}

fn ping(domain: &str, number: u32) -> String {
    format!("<iq type='get' id='settled{number}' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>")
}

/// The value of an attribute, in either kind of quotation marks.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    between(tag, &format!(" {name}='"), "'").or_else(|| between(tag, &format!(" {name}=\""), "\""))
}

const DISCO: &str = "http://jabber.org/protocol/disco#info";
const NODE: &str = "https://load.example";
const FEATURES: [&str; 6] = [
    "http://jabber.org/protocol/caps",
    "http://jabber.org/protocol/chatstates",
    "http://jabber.org/protocol/disco#info",
    "urn:xmpp:message-correct:0",
    "urn:xmpp:ping",
    "urn:xmpp:receipts",
];
/// The nodes that most clients want to hear of.
const NODES: [&str; 5] = [
    "eu.siacs.conversations.axolotl.devicelist",
    TUNE,
    "http://jabber.org/protocol/nick",
    "urn:xmpp:avatar:metadata",
    "urn:xmpp:bookmarks:1",
];
/// The node of which the load publishes items.
pub(crate) const TUNE: &str = "http://jabber.org/protocol/tune";
