//! What a room has besides its configuration: hats (XEP-0317), a card with a picture (XEP-0486).

use serde::{Deserialize, Serialize};

use crate::jid::BareJid;
use crate::xml::{Node, element};

/// The namespace of hats (XEP-0317).
pub(super) const HATS: &str = "urn:xmpp:hats:0";

/// Hats, and the card.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Extra {
    /// Hats that can be given.
    pub(super) hats: Vec<Hat>,
    /// Who wears which hat: an address, and the URI of the hat.
    pub(super) wearers: Vec<(String, String)>,
    /// The card of the room (XEP-0054), as XML.
    pub(super) card: Option<String>,
    /// The hash of the picture in the card (XEP-0153).
    pub(super) photo: Option<String>,
}

/// A hat (XEP-0317 §3).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Hat {
    /// What identifies it.
    pub(super) uri: String,
    /// Its name, for people.
    pub(super) title: String,
    /// Its colour: degrees of a hue (XEP-0392), if one was chosen.
    pub(super) hue: Option<String>,
}

impl Extra {
    /// Reads what [`Extra::to_stored`] wrote.
    pub(super) fn from_stored(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// As the store keeps it; `None` if there is nothing.
    pub(super) fn to_stored(&self) -> Option<String> {
        (*self != Self::default()).then(|| serde_json::to_string(self).unwrap_or_default())
    }

    /// The hats that a user wears.
    pub(super) fn hats_of(&self, user: &BareJid) -> Option<Node> {
        let worn = self.wearers.iter().filter(|(wearer, _)| wearer == user.as_str());
        let hats = worn.filter_map(|(_, uri)| self.hats.iter().find(|hat| hat.uri == *uri));
        let mut hats = hats.peekable();
        hats.peek()?;
        let nodes = hats.map(|hat| {
            element("hat")
                .attr("uri", &hat.uri)
                .attr("title", &hat.title)
                .maybe_attr("hue", hat.hue.as_deref())
        });
        Some(element("hats").ns(HATS).children(nodes))
    }
}
