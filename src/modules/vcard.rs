//! XEP-0054: vcard-temp. Users store a card here, and everybody may read it. XEP-0153: presence tells the hash of
//! the photo in it.
//!
//! A stranger gets the same answer for an account without a card and for one that does not exist, so
//! that nobody learns which accounts exist (XEP-0054 §3.3, RFC 6121 §8.5.1). Users without a card get an
//! empty one: some clients would show them an error (Psi).

mod to_nodes;

use async_trait::async_trait;
use bytes::Bytes;

use crate::host::{
    Access, AccountCache, AddressKind, Cx, Invalidation, IqHandler, IqReply, Manifest, Module,
    Read, Registry, ServerState, SharedState, Status, Xep, card,
};
use crate::jid::BareJid;
use crate::payload::photo::{self, CARD_NS as NS, Photo, UPDATE_NS};
use crate::session::{Session, SessionRef};
use crate::stanza::{Condition, Iq, IqKind, Presence, PresenceKind};
use crate::storage;
use crate::xml::{ElementRef, Frame, Node, element};

/// Stores and shows cards.
pub struct Vcard;

impl Module for Vcard {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "vcard",
            summary: "Keeps the users' cards, shows them to everybody, and tells when the photo changes",
            xeps: &[
                Xep { number: 54, version: "1.3.0", status: Status::Complete },
                Xep { number: 153, version: "1.1.1", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(Updates(AccountCache::new(CACHE_BYTES)));
        on.disco_feature(AddressKind::Host, NS).disco_feature(AddressKind::Account, NS);
        on.iq(AddressKind::Account, IqKind::Get, (NS, "vCard"), Access::Public, &Self);
        on.iq(AddressKind::Account, IqKind::Set, (NS, "vCard"), Access::OwnerElseForbidden, &Self);
    }
}

#[async_trait]
impl IqHandler for Vcard {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = request.head.to.as_ref().ok_or(Condition::BadRequest)?.to_bare();
        if request.kind == IqKind::Get {
            return match card::read(cx.server, &user).await? {
                Some(card) => Ok(Some(answer(&card))),
                None if cx.origin.is_of(&user) => Ok(Some(element("vCard").ns(NS))), // XEP-0054 §3.1
                None => Err(Condition::ServiceUnavailable.into()), // XEP-0054 §3.3
            };
        }
        cx.must_have_account(&user).await?;
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        let tree = payload.to_tree();
        let frame = Frame::from_tree(&tree).map_err(|_| Condition::BadRequest)?;
        let old = card::read(cx.server, &user).await?;
        if !card::write(cx.server, &user, &frame).await? {
            return Err(Condition::NotAcceptable.text("the card is too large"));
        }
        let hash = |card: &Frame| Photo::of(&card.root()).map(|photo| photo.hash());
        if old.as_ref().and_then(hash) != hash(&frame) {
            cx.outbox.show_photo(user.clone());
        }
        to_nodes::follow(cx, &user, old.as_ref(), &frame).await?;
        Ok(None)
    }
}

/// What presence of an account tells of its photo, written; `None` if the account has no card. Read for each
/// presence.
struct Updates(AccountCache<Option<Bytes>>);

impl SharedState for Updates {
    fn invalidate(&self, what: &Invalidation) {
        if let Invalidation::Account(user) | Invalidation::Card(user) = what {
            self.0.forget(user);
        }
    }
}

/// Puts the hash of the user's photo into available presence, also into presence for one address, as a room
/// (XEP-0398 §4). A client that says that there is no photo is believed, and so is a client that tells the hash of a
/// photo of a user who has no card. One that says that it does not know is told what there is.
pub async fn add_photo_hash(cx: &Cx<'_>, own: &Session, presence: &mut Presence) {
    let session = own.handle();
    let told = presence.content.received_child(UPDATE_NS, "x");
    let told = told.map(|x| x.child(UPDATE_NS, "photo").map(|photo| photo.text().into_owned()));
    let says_none = matches!(&told, Some(Some(hash)) if hash.trim().is_empty());
    let is_broadcast = presence.kind == PresenceKind::Available && presence.head.to.is_none();
    if is_broadcast && session.flags().no_photo != says_none {
        own.change_flags(|flags| flags.no_photo = says_none);
    }
    if presence.kind != PresenceKind::Available || says_none || session.is_anonymous() {
        return;
    }
    let user = session.jid().to_bare();
    let updates = cx.server.shared::<Updates>();
    match updates.0.get_or_read(&user, read_update(cx.server, &user)).await {
        Ok(Some(update)) => {
            if told.is_some() {
                presence.content.remove(|child| child.is(UPDATE_NS, "x"));
            }
            presence.content.add_written(update);
        }
        // XEP-0398 §4: "Empty x elements MUST be overwritten".
        Ok(None) if told == Some(None) => {
            presence.content.remove(|child| child.is(UPDATE_NS, "x"));
            presence.content.add_written(Bytes::from(photo::update(None).to_bytes()));
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(jid = %user, %error, "cannot read a vCard for presence"),
    }
}

/// The last presence of a session with the hash of the photo that the user has now. `None` if it says that already, or
/// if its client has said that there is no photo.
pub async fn with_new_photo(
    cx: &Cx<'_>,
    session: &SessionRef,
    kept: &Presence,
) -> Option<Presence> {
    if session.flags().no_photo || session.is_anonymous() {
        return None;
    }
    let user = session.jid().to_bare();
    let update = read_update(cx.server, &user).await.ok()?.value?;
    let mut presence = kept.unpacked()?;
    let new = Frame::from_bytes(update.clone()).ok()?;
    let told = presence.content.received_child(UPDATE_NS, "x");
    if told.is_some_and(|told| hash_in(&told) == hash_in(&new.root())) {
        return None;
    }
    presence.content.remove(|child| child.is(UPDATE_NS, "x"));
    presence.content.add_written(update);
    Some(presence)
}

/// The hash that `<x/>` tells, which is empty if there is no photo; `None` if it tells nothing.
fn hash_in(x: &ElementRef<'_>) -> Option<String> {
    Some(x.child(UPDATE_NS, "photo")?.text().trim().to_owned())
}

async fn read_update(server: &ServerState, user: &BareJid) -> storage::Result<Read<Option<Bytes>>> {
    let card = card::read(server, user).await?;
    let value = card.map(|card| {
        let hash = Photo::of(&card.root()).map(|photo| photo.hash());
        Bytes::from(photo::update(hash.as_deref()).to_bytes())
    });
    let bytes = value.as_ref().map_or(0, Bytes::len);
    Ok(Read { value, bytes: Some(bytes) })
}

/// A card as it was stored.
fn answer(card: &Frame) -> Node {
    let root = card.root();
    let mut node = element("vCard").ns(NS);
    for name in ["prodid", "version"] {
        node = node.maybe_attr(name, root.attr(name));
    }
    node.raw(&card.bytes()[root.inner()])
}

/// Bytes of what presence tells of photos. One takes some 200.
const CACHE_BYTES: usize = 4 << 20;
