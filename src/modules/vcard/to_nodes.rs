//! What a user has changed in the card is carried over to nodes of the account: the photo (XEP-0398 §3.2), the
//! vCard4 (XEP-0292 §7), and the nickname (XEP-0172). The card is public, and so are nodes that are made for
//! that.

use bytes::Bytes;

use crate::host::{AccountNodes, Cx, card};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::node_config::{AccessModel, NodeConfig};
use crate::payload::photo::{CARD_NS, Photo};
use crate::payload::vcard4;
use crate::storage::{self, StorageError};
use crate::xml::{Frame, Node, element};

/// Carries over what differs between the older card and the new one. If the account has no room for that, the
/// card is stored all the same.
pub(super) async fn follow(
    cx: &mut Cx<'_>,
    user: &BareJid,
    old: Option<&Frame>,
    new: &Frame,
) -> storage::Result<()> {
    match carry_over(cx, user, old, new).await {
        Err(error @ (StorageError::Quota | StorageError::Limit(_))) => {
            tracing::debug!(jid = %user, %error, "a vCard is not carried over to nodes");
            Ok(())
        }
        done => done,
    }
}

async fn carry_over(
    cx: &mut Cx<'_>,
    user: &BareJid,
    old: Option<&Frame>,
    new: &Frame,
) -> storage::Result<()> {
    let (before, now) = (old.and_then(photo), photo(new));
    if before != now {
        change_avatar(cx, user, now).await?;
    }
    let fields = |card: &Frame| vcard4::from_old(&card.root(), None).to_bytes();
    if old.map(fields) != Some(fields(new)) {
        change_vcard4(cx, user, new).await?;
    }
    let (before, now) = (old.and_then(nickname), nickname(new));
    if before != now {
        let nick = element("nick").ns(ns::NICK).text(now.as_deref().unwrap_or_default());
        publish(cx, user, ns::NICK, None, &nick).await?;
    }
    Ok(())
}

async fn change_avatar(
    cx: &mut Cx<'_>,
    user: &BareJid,
    photo: Option<Photo>,
) -> storage::Result<()> {
    let metadata = element("metadata").ns(ns::AVATAR_METADATA);
    let Some(photo) = photo else {
        let old = AccountNodes::of(user).last(cx.server, ns::AVATAR_METADATA).await?;
        return match old {
            // XEP-0084 §4.2.1: there is no avatar now.
            Some(_) => publish(cx, user, ns::AVATAR_METADATA, Some(NO_PHOTO), &metadata).await,
            None => Ok(()),
        };
    };
    let hash = photo.hash();
    let data = element("data").ns(ns::AVATAR_DATA).text(&photo.encoded());
    publish(cx, user, ns::AVATAR_DATA, Some(&hash), &data).await?;
    let info = element("info")
        .attr("bytes", photo.data.len().to_string())
        .attr("id", &hash)
        .attr("type", photo.mime());
    publish(cx, user, ns::AVATAR_METADATA, Some(&hash), &metadata.child(info)).await
}

async fn change_vcard4(cx: &mut Cx<'_>, user: &BareJid, new: &Frame) -> storage::Result<()> {
    let old = AccountNodes::of(user).last(cx.server, vcard4::NODE).await?;
    let kept = old.as_ref().and_then(|old| Frame::from_bytes(old.payload.clone()).ok());
    let kept = kept.as_ref().map(Frame::root);
    let card = vcard4::from_old(&new.root(), kept.as_ref());
    publish(cx, user, vcard4::NODE, None, &card).await
}

/// Publishes in place of the last item, or under this identifier.
async fn publish(
    cx: &mut Cx<'_>,
    user: &BareJid,
    node: &str,
    id: Option<&str>,
    payload: &Node,
) -> storage::Result<()> {
    let nodes = AccountNodes::of(user);
    let id = match id {
        Some(id) => id.to_owned(),
        None => {
            nodes.last(cx.server, node).await?.map_or_else(|| "current".to_owned(), |old| old.id)
        }
    };
    let item = nodes.item(cx.server, &id, Bytes::from(payload.to_bytes()));
    let config = NodeConfig { access_model: AccessModel::Open, ..NodeConfig::default() };
    nodes.publish(cx, node, vec![item], &config, card::NAME).await
}

fn photo(card: &Frame) -> Option<Photo> {
    Photo::of(&card.root())
}

fn nickname(card: &Frame) -> Option<String> {
    let text = card.root().child(CARD_NS, "NICKNAME")?.text().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The identifier of an item that says that there is no avatar.
const NO_PHOTO: &str = "none";
