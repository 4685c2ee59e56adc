//! A session as an administrator sees it.

use std::sync::Arc;

use crate::jid::FullJid;
use crate::ns;
use crate::payload::datetime::Timestamp;
use crate::session::SessionRef;

/// A session as an administrator sees it.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Whose.
    pub jid: FullJid,
    /// The name of the client: where its developers say that it is at home (XEP-0115 §4 `node`), else
    /// the resource, which most clients make of their name.
    pub client: String,
    /// The id of the client's installation (XEP-0388 §2.3). Only its user and the administrator may see it.
    pub installation: Option<Arc<str>>,
    /// The address of the client; `None` for a session of the previous run whose client has not come back.
    pub peer: Option<String>,
    /// How it is protected, for example `TLSv1.3`; `None` as above.
    pub tls: Option<String>,
    /// Seconds since it was bound, or since the start of the server.
    pub seconds: u64,
    /// `available`, or `away`, `chat`, `dnd`, `xa` (RFC 6121 §4.7.2.1); `None` if it is not available.
    pub presence: Option<String>,
    /// What its user says about it, cut after 60 characters (RFC 6121 §4.7.2.2).
    pub status: Option<String>,
    /// `None` until the first presence (RFC 6121 §4.2).
    pub priority: Option<i8>,
    /// Since when it has had no connection and waits for its client (XEP-0198 §5); `None` if there is a connection.
    pub waiting_since: Option<Timestamp>,
    /// Until when it waits before it ends.
    pub waiting_until: Option<Timestamp>,
}

impl SessionRow {
    /// What is known of a session.
    #[must_use]
    pub fn of(session: &SessionRef) -> Self {
        let facts = session.facts();
        let presence = session.available().and_then(|presence| presence.unpacked());
        let content = presence.as_ref().map(|presence| &presence.content);
        let text =
            |name| content?.received_child(ns::CLIENT, name).map(|child| child.text().into_owned());
        let node = content.and_then(|content| {
            content.received_child(ns::CAPS, "c")?.attr("node").map(|n| n.into_owned())
        });
        let jid = session.jid();
        let name = node.as_deref().map(home).filter(|name| !name.is_empty());
        let waits = session.hibernation();
        Self {
            client: shortened(name.or(jid.resource()).unwrap_or_default()),
            jid: jid.clone(),
            installation: facts.installation.clone(),
            peer: (!facts.peer.ip().is_unspecified()).then(|| facts.peer.to_string()),
            tls: (!facts.tls.is_empty()).then(|| facts.tls.to_owned()),
            seconds: facts.since.elapsed().as_secs(),
            presence: content.is_some().then(|| text("show").unwrap_or("available".to_owned())),
            status: text("status").filter(|status| !status.is_empty()).map(|s| shortened(&s)),
            priority: session.priority(),
            waiting_since: waits.map(|waits| waits.since),
            waiting_until: waits.map(|waits| waits.until),
        }
    }
}

/// `https://gajim.org/` → `gajim.org`.
fn home(node: &str) -> &str {
    let node = node.strip_prefix("https://").or(node.strip_prefix("http://")).unwrap_or(node);
    node.trim_end_matches(['/', '#']).trim_start_matches("www.")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Characters of what a client says about itself.
const LONGEST: usize = 60;

#[cfg(test)]
mod tests {
    use super::{LONGEST, home, shortened};

    #[test]
    fn a_client_is_named_by_its_home() {
        for (node, name) in [
            ("https://gajim.org", "gajim.org"),
            ("http://www.conversations.im/", "conversations.im"),
            ("https://dino.im#", "dino.im"),
            ("urn:client", "urn:client"),
            ("http://", ""),
        ] {
            assert_eq!(home(node), name);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(shortened(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
        assert_eq!(shortened(&"é".repeat(LONGEST + 1)), format!("{}…", "é".repeat(LONGEST)));
    }
}
