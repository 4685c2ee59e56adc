//! The vCard of a room (XEP-0054), with its avatar (XEP-0486).

use super::{Actor, Affiliation, Effects, Moment, Room};
use crate::payload::photo::{CARD_NS as NS, Photo, decoded, update};
use crate::stanza::{
    Condition, Content, Head, Iq, IqKind, Presence, PresenceKind, Stanza, StanzaError,
};
use crate::xml::{ElementRef, Frame, Node, element, standalone};

impl Room {
    /// A request for the card, or a new one, if this is one. `None`: another file answers.
    ///
    /// # Errors
    /// `forbidden` for users without the right, `item-not-found` if there is no card, `policy-violation` for one that is
    /// too large.
    pub(super) fn card_request(
        &mut self,
        _now: &Moment,
        actor: &Actor,
        iq: &Iq,
        fx: &mut Effects,
    ) -> Option<Result<(), StanzaError>> {
        let card = iq.payload().filter(|payload| payload.is(NS, "vCard"))?;
        Some(match iq.kind {
            IqKind::Get => self.read_card(actor).map(|card| fx.answer = Some(card)),
            _ if self.affiliation_of(actor) != Affiliation::Owner => {
                Err(Condition::Forbidden.text("only owners change the card"))
            }
            _ => self.set_card(&card, fx),
        })
    }

    /// The hash of the picture, if there is one (XEP-0153 §3.1).
    pub(super) fn photo(&self) -> Option<&str> {
        self.extra.photo.as_deref()
    }

    /// The hashes of the picture in all its formats, for `muc#roominfo_avatarhash` (XEP-0486 §5.1).
    pub(super) fn photos(&self) -> impl Iterator<Item = &str> {
        self.photo().into_iter().chain(self.extra.other_photos.iter().map(String::as_str))
    }

    /// The presence of the room, with the hash of its picture.
    ///
    /// XEP-0486 §5.2 discourages it. But some clients know no other way to the avatar.
    pub(super) fn photo_presence(&self) -> Stanza {
        Stanza::Presence(Presence {
            head: Head { from: Some(self.jid.clone().into_jid()), ..Head::default() },
            kind: PresenceKind::Available,
            content: Content::from(update(self.photo())),
        })
    }

    /// The card is shown to users who may know that the room exists.
    fn read_card(&self, actor: &Actor) -> Result<Node, StanzaError> {
        let affiliation = self.affiliation_of(actor);
        if self.config.locked && affiliation != Affiliation::Owner {
            return Err(Condition::ItemNotFound.text("this room is being made"));
        }
        let is_in = self.occupants.of_user(&actor.user).next().is_some();
        let may_see = affiliation != Affiliation::Outcast
            && (self.config.is_public || is_in || affiliation.is_member());
        if !may_see {
            return Err(Condition::Forbidden.text("this room is hidden"));
        }
        let none = || StanzaError::from(Condition::ItemNotFound);
        let card = self.extra.card.clone().ok_or_else(none)?;
        let frame = Frame::from_bytes(card.into_bytes()).map_err(|_| none())?;
        Ok(element("vCard").ns(NS).raw(&frame.bytes()[frame.root().inner()]))
    }

    /// Stores a card. An empty one takes the picture away (XEP-0486 §3.2); whoever reads it gets an empty one.
    fn set_card(&mut self, card: &ElementRef<'_>, fx: &mut Effects) -> Result<(), StanzaError> {
        let written = standalone(&card.to_tree()).map_err(|_| Condition::BadRequest)?;
        if written.len() > MOST_BYTES {
            return Err(Condition::PolicyViolation.text("the card is too large"));
        }
        let card_text = String::from_utf8(written).map_err(|_| Condition::BadRequest)?;
        let mut hashes = hashes(card).into_iter();
        let (photo, others): (_, Vec<_>) = (hashes.next(), hashes.collect());
        let is_other_photo = photo != self.extra.photo;
        self.extra.card = Some(card_text);
        (self.extra.photo, self.extra.other_photos) = (photo, others);
        fx.change.extra = Some(self.extra.to_stored());
        self.tell_changed(fx);
        if is_other_photo {
            let presence = std::sync::Arc::new(self.photo_presence());
            fx.tell_all(self.occupants.sessions(), presence);
        }
        Ok(())
    }
}

/// The hashes of all photos in a card that are there as a whole (XEP-0153 §3.1).
fn hashes(card: &ElementRef<'_>) -> Vec<String> {
    let photos = card.children().filter(|child| child.is(NS, "PHOTO"));
    let data = photos.filter_map(|photo| decoded(&photo.child(NS, "BINVAL")?.text()));
    data.take(MOST_PHOTOS).map(|data| Photo { kind: None, data }.hash()).collect()
}

/// Bytes of a card, at most.
const MOST_BYTES: usize = 128 * 1024;
/// Formats of a picture that are told, at most.
const MOST_PHOTOS: usize = 8;
