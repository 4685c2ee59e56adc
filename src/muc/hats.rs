//! Hats (XEP-0317), and who wears them. Commands create and assign them (`commands.rs`).

use sha1::{Digest, Sha1};

use super::extra::Hat;
use super::presence_broadcast::{Details, status};
use super::{Effects, Room};
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::{Condition, Content, Head, Message, MessageKind, PresenceKind, StanzaError};
use crate::xml::element;

impl Hat {
    /// A hat, if it may be one (XEP-0317 §3.1): it has a URI, a title, and maybe the angle of a hue.
    ///
    /// # Errors
    /// `not-acceptable`
    pub(super) fn checked(uri: &str, title: &str, hue: Option<&str>) -> Result<Self, StanzaError> {
        let (uri, title, hue) = (uri.trim(), title.trim(), hue.map(str::trim));
        let is_uri = uri.split_once(':').is_some_and(|(scheme, rest)| {
            !rest.is_empty()
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        if !is_uri || uri.len() > MOST_BYTES || uri.contains(char::is_whitespace) {
            return Err(Condition::NotAcceptable.text("a hat needs a URI"));
        }
        if title.is_empty() || title.len() > MOST_BYTES {
            return Err(Condition::NotAcceptable.text("a hat needs a title"));
        }
        let hue = hue.filter(|hue| !hue.is_empty());
        let is_angle = |hue: &str| {
            hue.len() <= 32 && hue.parse().is_ok_and(|angle: f64| (0.0..=360.0).contains(&angle))
        };
        if hue.is_some_and(|hue| !is_angle(hue)) {
            return Err(Condition::NotAcceptable.text("a hue is an angle from 0 to 360"));
        }
        let (uri, title) = (uri.to_owned(), title.to_owned());
        Ok(Self { uri, title, hue: hue.map(str::to_owned) })
    }
}

impl Room {
    /// Makes a hat, or changes the one with this URI (XEP-0317 §3.2).
    ///
    /// # Errors
    /// `resource-constraint` if there are too many.
    pub(super) fn put_hat(&mut self, hat: Hat, fx: &mut Effects) -> Result<(), StanzaError> {
        let wearers = self.wearers_of(&hat.uri);
        let known = self.extra.hats.iter().position(|known| known.uri == hat.uri);
        match known {
            Some(at) => self.extra.hats[at] = hat,
            None if self.extra.hats.len() < MOST_HATS => self.extra.hats.push(hat),
            None => return Err(Condition::ResourceConstraint.text("this room has too many hats")),
        }
        self.hats_changed(&wearers, fx);
        self.tell_changed(fx);
        Ok(())
    }

    /// Removes a hat, also from all who wear it (XEP-0317 §3.3).
    ///
    /// # Errors
    /// `item-not-found`
    pub(super) fn destroy_hat(&mut self, uri: &str, fx: &mut Effects) -> Result<(), StanzaError> {
        self.hat(uri)?;
        let wearers = self.wearers_of(uri);
        self.extra.hats.retain(|hat| hat.uri != uri);
        self.extra.wearers.retain(|(_, worn)| worn != uri);
        self.hats_changed(&wearers, fx);
        self.tell_changed(fx);
        Ok(())
    }

    /// Gives a user a hat (XEP-0317 §3.5). A user who wears it already keeps it.
    ///
    /// # Errors
    /// `item-not-found` if there is no such hat, `resource-constraint` if too many are worn.
    pub(super) fn assign_hat(
        &mut self,
        user: &BareJid,
        uri: &str,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        self.hat(uri)?;
        let wearers = &mut self.extra.wearers;
        if wearers.iter().any(|(wearer, worn)| wearer == user.as_str() && worn == uri) {
            return Ok(());
        }
        if wearers.len() >= MOST_WEARERS {
            return Err(Condition::ResourceConstraint.text("too many hats are worn in this room"));
        }
        wearers.push((user.to_string(), uri.to_owned()));
        self.hats_changed(std::slice::from_ref(user), fx);
        Ok(())
    }

    /// Takes a hat from a user (XEP-0317 §3.6).
    ///
    /// # Errors
    /// `item-not-found` if the user does not wear it.
    pub(super) fn unassign_hat(
        &mut self,
        user: &BareJid,
        uri: &str,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let worn = self.extra.wearers.len();
        self.extra.wearers.retain(|(wearer, hat)| wearer != user.as_str() || hat != uri);
        if self.extra.wearers.len() == worn {
            return Err(Condition::ItemNotFound.text("the user does not wear this hat"));
        }
        self.hats_changed(std::slice::from_ref(user), fx);
        Ok(())
    }

    /// What identifies the list of hats, for service discovery (XEP-0317 §2). `None` if there are none.
    pub(super) fn hats_hash(&self) -> Option<String> {
        let mut uris: Vec<&str> = self.extra.hats.iter().map(|hat| hat.uri.as_str()).collect();
        uris.sort_unstable();
        let hash = Sha1::digest(uris.join("\n").as_bytes());
        (!uris.is_empty()).then(|| hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Announces that the room has changed (status 104, XEP-0045 §10.2.1).
    pub(super) fn tell_changed(&mut self, fx: &mut Effects) {
        let x = element("x").ns(ns::MUC_USER).child(status(104));
        let message = Message {
            head: Head { from: Some(self.jid.clone().into_jid()), ..Head::default() },
            kind: MessageKind::Groupchat,
            content: Content::from(x),
        };
        fx.tell_message(self.occupants.sessions(), message);
    }

    fn hat(&self, uri: &str) -> Result<&Hat, StanzaError> {
        let hat = self.extra.hats.iter().find(|hat| hat.uri == uri);
        hat.ok_or_else(|| Condition::ItemNotFound.text("there is no such hat"))
    }

    /// Those in the room who wear a hat.
    fn wearers_of(&self, uri: &str) -> Vec<BareJid> {
        let wearers = self.extra.wearers.iter().filter(|(_, worn)| worn == uri);
        wearers.filter_map(|(wearer, _)| BareJid::parse(wearer).ok()).collect()
    }

    /// Stores the hats, and broadcasts the presence of users whose hats have changed.
    pub(super) fn hats_changed(&self, wearers: &[BareJid], fx: &mut Effects) {
        fx.change.extra = Some(self.extra.to_stored());
        for occupant in wearers.iter().flat_map(|user| self.occupants.of_user(user)) {
            let Some(best) = occupant.best() else { continue };
            self.broadcast_presence(
                occupant,
                best,
                PresenceKind::Available,
                &Details::default(),
                fx,
            );
        }
    }
}

/// Hats of a room, at most.
const MOST_HATS: usize = 64;
/// Hats that are worn in a room, at most.
const MOST_WEARERS: usize = 1_000;
/// Bytes of a URI or a title, at most.
const MOST_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::{RoomConfig, RoomLimits};
    use crate::payload::datetime::Timestamp;

    #[test]
    fn hats_have_a_uri_a_title_and_maybe_a_hue() {
        for (uri, title, hue, is_hat) in [
            ("http://x.example/hats#host", "Host", Some("327.255249"), true),
            ("urn:x", " Host ", None, true),
            ("urn:x", "Host", Some(""), true),
            ("urn:x", "Host", Some("360"), true),
            ("urn:x", "Host", Some("361"), false),
            ("urn:x", "Host", Some("NaN"), false),
            ("urn:x", "Host", Some("red"), false),
            ("urn:x", " ", None, false),
            ("", "Host", None, false),
            ("host", "Host", None, false),
            ("urn:x y", "Host", None, false),
            (":x", "Host", None, false),
        ] {
            assert_eq!(Hat::checked(uri, title, hue).is_ok(), is_hat, "{uri} {title} {hue:?}");
        }
    }

    #[test]
    fn hats_are_made_given_taken_and_destroyed() {
        let user = |text: &str| BareJid::parse(text).unwrap();
        let mut room = Room::new(
            user("coven@chat.x"),
            user("a@x"),
            RoomConfig::default(),
            RoomLimits::default(),
            [7; 32],
            Timestamp::from_micros(0),
        );
        let mut fx = Effects::default();
        let told = |done: Result<(), StanzaError>| done.map_err(|error| error.condition);
        let worn = |room: &Room| room.extra.hats_of(&user("b@x")).map(|node| node.to_xml());
        assert_eq!(room.hats_hash(), None);
        room.put_hat(Hat::checked("urn:h", "Host", None).unwrap(), &mut fx).unwrap();
        let hash = room.hats_hash();
        assert!(hash.is_some());
        room.assign_hat(&user("b@x"), "urn:h", &mut fx).unwrap();
        room.assign_hat(&user("b@x"), "urn:h", &mut fx).unwrap();
        assert_eq!(room.extra.wearers.len(), 1);
        room.put_hat(Hat::checked("urn:h", "Chair", Some("9")).unwrap(), &mut fx).unwrap();
        let hats = "<hats xmlns='urn:xmpp:hats:0'><hat uri='urn:h' title='Chair' hue='9'/></hats>";
        assert_eq!(worn(&room).as_deref(), Some(hats));
        assert_eq!(room.hats_hash(), hash);
        let none = Err(Condition::ItemNotFound);
        assert_eq!(told(room.assign_hat(&user("b@x"), "urn:i", &mut fx)), none);
        assert_eq!(told(room.unassign_hat(&user("c@x"), "urn:h", &mut fx)), none);
        assert_eq!(told(room.unassign_hat(&user("b@x"), "urn:h", &mut fx)), Ok(()));
        assert_eq!(worn(&room), None);
        room.assign_hat(&user("b@x"), "urn:h", &mut fx).unwrap();
        assert_eq!(told(room.destroy_hat("urn:h", &mut fx)), Ok(()));
        assert_eq!(told(room.destroy_hat("urn:h", &mut fx)), none);
        assert!(room.extra.wearers.is_empty() && room.hats_hash().is_none());
        assert_eq!(fx.change.extra, Some(None));
    }
}
