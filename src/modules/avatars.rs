//! XEP-0398: User Avatar to vCard-Based Avatars Conversion, from a node (XEP-0084) to the card (XEP-0054); the
//! other way is `modules/vcard.rs`. Likewise for the vCard4 (XEP-0292) and the nickname (XEP-0172).
//!
//! The card is for everybody. So only what everybody may read is carried over (XEP-0398 §6); a photo that not
//! everybody may see is taken out of the card.
//!
//! The thing to get wrong: a client publishes the image and then its description. Between the two the old
//! description is there without its image; that is no removal.

use async_trait::async_trait;

use crate::host::lifecycle::{Event, EventKind, Listener};
use crate::host::{
    AccountNodes, Changed, Cx, Manifest, Module, NodeChange, Registry, Status, Xep, card,
};
use crate::ns;
use crate::payload::node_config::{AccessModel, NodeConfig};
use crate::payload::photo::{self, Photo};
use crate::payload::vcard4;
use crate::stanza::StanzaError;
use crate::storage::{self, Which};
use crate::xml::{ElementRef, Frame, element};

/// Carries over what users say of themselves in nodes to their cards.
pub struct Avatars;

impl Module for Avatars {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "avatars",
            summary: "Shows avatars, cards and nicknames to old and new clients alike",
            xeps: &[
                Xep { number: 84, version: "1.1.4", status: Status::Complete },
                Xep { number: 172, version: "1.1", status: Status::Complete },
                // Keys, logos, sounds, and what to sort by have no counterpart (§7): `payload/vcard4.rs`.
                Xep { number: 292, version: "0.12.0", status: Status::Partial },
                Xep { number: 398, version: "1.0.0", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature_of_registered("urn:xmpp:pep-vcard-conversion:0");
        on.disco_feature_of_registered(vcard4::NS);
        on.listener(EventKind::ItemsChanged, &Self);
    }
}

#[async_trait]
impl Listener for Avatars {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        let Event::ItemsChanged { change } = event else { return Ok(()) };
        if change.by == card::NAME || change.owner.local().is_none() {
            return Ok(());
        }
        match (change.node.name.as_str(), &change.what) {
            (ns::AVATAR_METADATA, _) => change_photo(cx, change, true).await?,
            (ns::AVATAR_DATA, what) => {
                let is_taken_away = match what {
                    Changed::Published { .. } => false,
                    Changed::Configured => !is_open(&change.config),
                    Changed::Deleted(_) | Changed::Purged | Changed::Retracted { .. } => true,
                };
                change_photo(cx, change, is_taken_away).await?;
            }
            (vcard4::NODE | ns::NICK, _) => follow(cx, change).await?,
            _ => {}
        }
        Ok(())
    }
}

/// Makes the photo in the card that of the account's avatar. `is_told`: the description has changed, or images were
/// taken away, so a photo that is not there is to be removed.
async fn change_photo(cx: &mut Cx<'_>, change: &NodeChange, is_told: bool) -> storage::Result<()> {
    let photo = avatar(cx, change).await?;
    let old = card::read(cx.server, &change.owner).await?;
    let before = old.as_ref().and_then(|card| Photo::of(&card.root()));
    let is_same = photo.as_ref().map(Photo::hash) == before.as_ref().map(Photo::hash);
    if is_same || (photo.is_none() && !is_told) {
        return Ok(());
    }
    cx.outbox.show_photo(change.owner.clone());
    let field = photo.as_ref().map(Photo::to_field);
    if let Some(new) = photo::with_field(old.as_ref(), "PHOTO", field)
        && !card::write(cx.server, &change.owner, &new).await?
        && let Some(without) = photo::with_field(old.as_ref(), "PHOTO", None)
    {
        tracing::debug!(jid = %change.owner, "an avatar is too large for the vCard");
        card::write(cx.server, &change.owner, &without).await?;
    }
    Ok(())
}

/// The avatar that everybody may see, if its image is there and is the one that is described (XEP-0398 §3.1).
async fn avatar(cx: &Cx<'_>, change: &NodeChange) -> storage::Result<Option<Photo>> {
    let nodes = AccountNodes::of(&change.owner);
    for node in [ns::AVATAR_METADATA, ns::AVATAR_DATA] {
        let found = nodes.find(cx.server, node).await?;
        if !found.is_some_and(|(_, config)| is_open(&config)) {
            return Ok(None);
        }
    }
    let Some(metadata) = nodes.last(cx.server, ns::AVATAR_METADATA).await? else { return Ok(None) };
    let Some((id, kind)) = description(metadata.payload) else { return Ok(None) };
    let ids = [id];
    let data = nodes.items(cx.server, ns::AVATAR_DATA, Which::Ids(&ids), 1).await?.pop();
    let data = data.and_then(|item| Frame::from_bytes(item.payload).ok());
    let data = data.and_then(|frame| photo::decoded(&frame.root().text()));
    let photo = data.map(|data| Photo { kind, data });
    Ok(photo.filter(|photo| photo.hash().eq_ignore_ascii_case(&ids[0])))
}

/// The identifier and the type of the image that is at the account itself, and not somewhere in the web.
fn description(metadata: bytes::Bytes) -> Option<(String, Option<String>)> {
    let frame = Frame::from_bytes(metadata).ok()?;
    let is_here =
        |info: &ElementRef<'_>| info.is(ns::AVATAR_METADATA, "info") && info.attr("url").is_none();
    let info = frame.root().children().find(is_here)?;
    Some((info.attr("id")?.into_owned(), info.attr("type").map(std::borrow::Cow::into_owned)))
}

/// Makes the fields of the card those of the last item. If everybody could read the node and it says nothing any
/// more, or not to everybody, what it said is taken out of the card.
async fn follow(cx: &Cx<'_>, change: &NodeChange) -> storage::Result<()> {
    let name = &change.node.name;
    let last = match &change.what {
        Changed::Published { items, .. } => items.last().map(|item| item.payload.clone()),
        _ => {
            let last = AccountNodes::of(&change.owner).last(cx.server, name).await?;
            last.map(|item| item.payload)
        }
    };
    let said = last.filter(|_| is_open(&change.config));
    if let Some(frame) = said.and_then(|payload| Frame::from_bytes(payload).ok()) {
        return change_fields(cx, change, &frame.root()).await;
    }
    let is_over = match &change.what {
        Changed::Deleted(_) | Changed::Purged | Changed::Retracted { .. } => true,
        Changed::Configured | Changed::Published { .. } => !is_open(&change.config),
    };
    let was_open = is_open(&NodeConfig::from_text(&change.node.config));
    let nothing = match name.as_str() {
        vcard4::NODE => element("vcard").ns(vcard4::NS),
        _ => element("nick").ns(ns::NICK),
    };
    match Frame::from_bytes(nothing.to_bytes()) {
        Ok(nothing) if is_over && was_open => change_fields(cx, change, &nothing.root()).await,
        _ => Ok(()),
    }
}

/// Makes the fields of the card those of a vCard4, or of a nickname.
async fn change_fields(
    cx: &Cx<'_>,
    change: &NodeChange,
    payload: &ElementRef<'_>,
) -> storage::Result<()> {
    let old = card::read(cx.server, &change.owner).await?;
    let new = if payload.is(vcard4::NS, "vcard") {
        let kept = old.as_ref().map(Frame::root);
        Frame::from_bytes(vcard4::to_old(payload, kept.as_ref()).to_bytes()).ok()
    } else if payload.is(ns::NICK, "nick") {
        let text = payload.text().trim().to_owned();
        let field = (!text.is_empty()).then(|| element("NICKNAME").text(&text));
        photo::with_field(old.as_ref(), "NICKNAME", field)
    } else {
        None
    };
    if let Some(new) = new.filter(|new| old.as_ref() != Some(new)) {
        card::write(cx.server, &change.owner, &new).await?;
    }
    Ok(())
}

fn is_open(config: &NodeConfig) -> bool {
    config.access_model == AccessModel::Open
}
