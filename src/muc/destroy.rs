//! The end of a room (XEP-0045 §10.9).

use super::cause::bad;
use super::presence_broadcast::{item, no_presence};
use super::{Affiliation, Effects, Role, Room, occupant_id};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::xml::{ElementRef, Node, element};

/// The `<destroy/>` element that occupants get when their room ends (XEP-0045 §10.9).
#[derive(Clone, Debug, Default)]
pub(super) struct DestroyNotice {
    /// The room where they may go.
    pub(super) venue: Option<Jid>,
    /// Its password.
    pub(super) password: Option<String>,
    /// Why the room ends.
    pub(super) reason: Option<String>,
}

impl DestroyNotice {
    /// Reads the `<destroy/>` of an owner.
    ///
    /// # Errors
    /// `jid-malformed` if the other room has no address, `bad-request` if the address is that of this element.
    pub(super) fn read(destroy: &ElementRef<'_>) -> Result<Self, StanzaError> {
        let venue = destroy.attr("jid").filter(|jid| !jid.trim().is_empty());
        let venue = venue.map(|jid| Jid::parse(jid.trim())).transpose();
        let venue = venue.map_err(|_| Condition::JidMalformed)?;
        if venue.as_ref().is_some_and(|venue| venue.local().is_none()) {
            return Err(bad("the other room has no local part"));
        }
        let text = |name| {
            let child = destroy.child(ns::MUC_OWNER, name)?;
            Some(child.text().into_owned()).filter(|text| !text.is_empty())
        };
        Ok(Self { venue, password: text("password"), reason: text("reason") })
    }

    /// The `<destroy/>` for an occupant.
    fn to_node(&self) -> Node {
        let mut node = element("destroy").maybe_attr("jid", self.venue.as_ref().map(Jid::as_str));
        if let Some(password) = &self.password {
            node = node.child(element("password").text(password));
        }
        if let Some(reason) = &self.reason {
            node = node.child(element("reason").text(reason));
        }
        node
    }
}

impl Room {
    /// Ends the room: each occupant is told that it has left, and nothing of the others.
    pub(super) fn end(&mut self, notice: &DestroyNotice, fx: &mut Effects) {
        let none = item(Affiliation::None, Some(Role::None));
        let x = element("x").ns(ns::MUC_USER).child(none).child(notice.to_node());
        let occupants = std::mem::take(&mut self.occupants);
        for occupant in occupants.iter() {
            let mut presence = no_presence();
            presence.head.from = Some(occupant.address.clone().into_jid());
            presence.content.add(&occupant_id::node(&occupant.id));
            presence.content.add(&x);
            fx.change.gone.extend(occupant.sessions().filter_map(Jid::to_full));
            fx.shut_out.extend(occupant.sessions().filter_map(Jid::to_full));
            fx.tell_presence(occupant.sessions().cloned().collect(), presence);
        }
        fx.is_destroyed = true;
    }
}

#[cfg(test)]
mod tests {
    use crate::muc::tests::{Coven, told};

    fn destroy(inner: &str) -> String {
        format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{inner}</query>")
    }

    #[test]
    fn everybody_is_told_once_where_to_go() {
        let mut coven = Coven::new();
        let words = destroy(
            "<destroy jid='heath@chat.example'><reason>Macbeth doth come.</reason></destroy>",
        );
        assert_eq!(coven.set("hag66", &words).unwrap_err().condition.as_str(), "forbidden");
        let fx = coven.set("crone1", &words).unwrap();
        assert!(fx.is_destroyed);
        assert_eq!(
            told(&fx),
            [
                "crone1: crone unavailable none/none destroy jid=heath@chat.example \
                 reason=Macbeth doth come.",
                "hag66: hag unavailable none/none destroy jid=heath@chat.example \
                 reason=Macbeth doth come.",
                "wiccarocks: wicca unavailable none/none destroy jid=heath@chat.example \
                 reason=Macbeth doth come.",
            ]
        );
    }

    #[test]
    fn another_room_has_an_address() {
        for (inner, error) in [
            ("<destroy jid='@'/>", "jid-malformed"),
            ("<destroy jid='chat.example'/>", "bad-request"),
        ] {
            let mut coven = Coven::new();
            let told = coven.set("crone1", &destroy(inner)).unwrap_err();
            assert_eq!(told.condition.as_str(), error);
            assert_eq!(coven.room.occupants(), 3);
        }
    }
}
