//! XEP-0049: Private XML Storage. A client stores any elements for its user, each under its name and
//! namespace. Bookmarks are stored elsewhere, since clients read and write them in other ways, too
//! ([`crate::host::bookmarks`]).

use async_trait::async_trait;
use futures_util::future::join_all;

use crate::host::{
    Access, AddressKind, Cx, IqHandler, IqReply, Manifest, Module, Registry, Status, Xep, bookmarks,
};
use crate::jid::BareJid;
use crate::ns::PRIVATE as NS;
use crate::payload::bookmarks::{List, OLD_NS};
use crate::stanza::{Condition, Iq, IqKind};
use crate::xml::{ElementRef, Frame, element, escape_attr};

/// Stores what clients want to have stored.
pub struct Private;

impl Module for Private {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "private",
            summary: "Keeps what a client wants to keep for its user",
            xeps: &[Xep { number: 49, version: "1.2", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature(AddressKind::Host, NS).disco_feature(AddressKind::Account, NS);
        for kind in [IqKind::Get, IqKind::Set] {
            on.iq(AddressKind::Account, kind, (NS, "query"), Access::OwnerElseForbidden, &Self); // XEP-0049 §2.3
        }
    }
}

#[async_trait]
impl IqHandler for Private {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = request.head.to.as_ref().ok_or(Condition::BadRequest)?.to_bare();
        let query = request.payload().ok_or(Condition::BadRequest)?;
        match request.kind {
            IqKind::Get => get(cx, &user, &query).await,
            _ => set(cx, &user, &query).await,
        }
    }
}

/// The stored element; if there is none, an empty one of the same name.
async fn get(cx: &Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
    let mut children = query.children();
    let (Some(wanted), None) = (children.next(), children.next()) else {
        return Err(Condition::BadRequest.text("a get must contain exactly one element"));
    };
    if is_reserved(&wanted) {
        return Err(Condition::NotAcceptable.text("this namespace is reserved"));
    }
    let answer = element("query").ns(NS);
    if wanted.is(OLD_NS, LIST) {
        return Ok(Some(answer.child(bookmarks::list(cx.server, user).await?.to_node())));
    }
    match cx.server.storage.documents().get(user, KIND, &key(&wanted)).await? {
        Some(kept) => Ok(Some(answer.raw(kept))),
        None => Ok(Some(answer.raw(empty(&wanted)))),
    }
}

async fn set(cx: &mut Cx<'_>, user: &BareJid, query: &ElementRef<'_>) -> IqReply {
    let mut new: Vec<(String, Frame)> = Vec::new();
    let mut list = None;
    for child in query.children() {
        if child.is(OLD_NS, LIST) {
            if list.replace(List::read(&child).unwrap_or_default()).is_some() {
                return Err(Condition::BadRequest.text("an element occurs twice"));
            }
            continue;
        }
        if is_reserved(&child) {
            return Err(Condition::NotAcceptable.text("this namespace is reserved"));
        }
        let frame = Frame::from_tree(&child.to_tree()).map_err(|_| Condition::BadRequest)?;
        let key = key(&child);
        if new.iter().any(|(other, _)| *other == key) {
            return Err(Condition::BadRequest.text("an element occurs twice"));
        }
        if new.len() == MAX_AT_ONCE {
            return Err(Condition::NotAcceptable.text("too many elements in one request"));
        }
        new.push((key, frame));
    }
    if new.is_empty() && list.is_none() {
        return Err(Condition::NotAcceptable.text("the request contains nothing to store")); // XEP-0049 §2.3
    }
    cx.must_have_account(user).await?;
    if let Some(list) = list {
        bookmarks::write(cx, user, &list).await?;
        bookmarks::publish_list(cx, user).await?;
    }
    if new.is_empty() {
        return Ok(None);
    }
    let documents = cx.server.storage.documents();
    let old = documents.all(user, KIND).await?;
    let stays = |(key, _): &&(String, String)| !new.iter().any(|(other, _)| other == key);
    let (number, bytes) = old
        .iter()
        .filter(stays)
        .fold((new.len(), 0), |(number, bytes), kept| (number + 1, bytes + kept.1.len()));
    let bytes = bytes + new.iter().map(|(_, frame)| frame.bytes().len()).sum::<usize>();
    let config = cx.server.config.load();
    if number > config.limits.private_items || bytes > config.limits.private {
        return Err(Condition::ResourceConstraint.text("your private storage is full"));
    }
    let text = |frame: &Frame| String::from_utf8_lossy(frame.bytes()).into_owned();
    let new: Vec<_> = new.iter().map(|(key, frame)| (key, text(frame))).collect();
    // All at once, so that they are one commit.
    let puts = new.iter().map(|(key, xml)| documents.put_within_quota(user, KIND, key, xml));
    let done = join_all(puts).await;
    let done = done.into_iter().collect::<Result<Vec<()>, _>>();
    done.inspect_err(|error| cx.server.count_refusal(error))?;
    Ok(None)
}

/// An empty element of the same name.
fn empty(element: &ElementRef<'_>) -> Vec<u8> {
    let mut out = format!("<{} xmlns='", element.name()).into_bytes();
    escape_attr(&mut out, element.ns());
    out.extend_from_slice(b"'/>");
    out
}

/// Whether clients may not store this element: it has no namespace, or one of the protocol itself.
fn is_reserved(element: &ElementRef<'_>) -> bool {
    let ns = element.ns();
    ns.is_empty() || ns.starts_with("jabber:") || ns == crate::ns::STREAM
}

fn key(element: &ElementRef<'_>) -> String {
    format!("{{{}}}{}", element.ns(), element.name())
}

const KIND: &str = "private";
/// The list of bookmarks (XEP-0048 §2).
const LIST: &str = "storage";
/// Elements in one request.
const MAX_AT_ONCE: usize = 32;
