//! What is stored of a room besides its configuration, as JSON: hats (XEP-0317), kept roles, a vCard with an avatar
//! (XEP-0486), registration requests, invite tokens (XEP-0488), and since when changes of affiliations are known
//! (XEP-0463).

use serde::{Deserialize, Serialize};

use crate::jid::BareJid;
use crate::xml::{Node, element};

/// The namespace of hats (XEP-0317).
pub(super) const HATS: &str = "urn:xmpp:hats:0";

/// All that a room has besides its configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Extra {
    /// Hats that can be given.
    pub(super) hats: Vec<Hat>,
    /// Who wears which hat: an address, and the URI of the hat.
    pub(super) wearers: Vec<(String, String)>,
    /// Roles of users in a moderated room that are not the usual ones (XEP-0045 §5.1): an address, and the role.
    pub(super) roles: Vec<(String, String)>,
    /// The card of the room (XEP-0054), as XML.
    pub(super) card: Option<String>,
    /// The hash of the picture in the card (XEP-0153).
    pub(super) photo: Option<String>,
    /// The hashes of the same picture in other formats (XEP-0486 §5.1).
    pub(super) other_photos: Vec<String>,
    /// Requests to become a member, which wait for an admin (XEP-0045 §9.9).
    pub(super) registrations: Vec<Registration>,
    /// Tokens by which people become members (XEP-0488).
    pub(super) tokens: Vec<Token>,
    /// Up to this one, some changes of affiliations were forgotten (XEP-0463).
    pub(super) forgotten: i64,
}

/// A request to become a member.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Registration {
    /// The bare address.
    pub(super) user: String,
    /// The nickname that the user wishes for.
    pub(super) nick: String,
    /// When the admins were asked: microseconds since 1970.
    pub(super) at: i64,
}

/// A token. It is stored in the clear, because its creator may read it again (XEP-0488 §3.6).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Token {
    /// The secret.
    pub(super) text: String,
    /// The bare address of its creator.
    pub(super) creator: String,
    /// When it expires: microseconds since 1970.
    pub(super) until: i64,
    /// How many people can still use it; `None`: as many as there are.
    pub(super) uses: Option<u32>,
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

    /// Whether anything here is about a user.
    pub(super) fn mentions(&self, user: &BareJid) -> bool {
        let user = user.as_str();
        self.wearers.iter().chain(&self.roles).any(|(known, _)| known == user)
            || self.registrations.iter().any(|waiting| waiting.user == user)
            || self.tokens.iter().any(|token| token.creator == user)
    }

    /// Removes everything about a user: hats, roles, requests, tokens.
    pub(super) fn forget(&mut self, user: &BareJid) {
        let user = user.as_str();
        self.wearers.retain(|(wearer, _)| wearer != user);
        self.roles.retain(|(known, _)| known != user);
        self.registrations.retain(|waiting| waiting.user != user);
        self.tokens.retain(|token| token.creator != user);
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
