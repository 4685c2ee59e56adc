//! XEP-0191: Blocking Command. A user blocks addresses and domains.
//!
//! `router/` asks here before a stanza leaves and before it arrives. The user's own account and the
//! server's own stanzas are never blocked, whatever the list contains: a user could lock out the own
//! clients.

mod report;
mod request;

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;

use self::report::Draft;
use crate::host::block_list::{self, BlockList, BlockLists, hits, is_always_heard};
use crate::host::strangers;
use crate::host::{
    Access, AddressKind, Cx, Halt, Invalidation, IqHandler, IqReply, Manifest, Module, Registry,
    Status, Xep,
};
use crate::jid::{BareJid, Jid};
use crate::session::SessionRef;
use crate::stanza::{
    Condition, Content, ErrorKind, Head, Iq, IqKind, Presence, PresenceKind, Stanza, StanzaError,
};
use crate::storage::{RosterItem, Subscription};
use crate::xml::{ElementRef, Node, element};

const NS: &str = "urn:xmpp:blocking";
const NS_ERRORS: &str = "urn:xmpp:blocking:errors";

/// Keeps block lists and enforces them.
pub struct Blocking;

impl Module for Blocking {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "blocking",
            summary: "Blocks addresses and whole domains",
            xeps: &[
                Xep { number: 191, version: "1.3", status: Status::Complete },
                // Reports are kept for the operator, and forwarded to an address if the operator wants. The server of
                // the reported address is not told (XEP-0377 §5 leaves that to servers).
                Xep { number: 377, version: "0.4.1", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        // Clients ask the server (XEP-0191 §3.1), some ask their account.
        for feature in [NS, report::NS] {
            on.disco_feature(AddressKind::Host, feature);
            on.disco_feature(AddressKind::Account, feature);
        }
        on.iq(AddressKind::Account, IqKind::Get, (NS, "blocklist"), Access::Owner, &Self);
        on.iq(AddressKind::Account, IqKind::Set, (NS, "block"), Access::Owner, &Self);
        on.iq(AddressKind::Account, IqKind::Set, (NS, "unblock"), Access::Owner, &Self);
        on.shared(BlockLists::default());
    }
}

#[async_trait]
impl IqHandler for Blocking {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let user = cx.origin.user().ok_or(Condition::Forbidden)?;
        let payload = request.payload().ok_or(Condition::BadRequest)?;
        match payload.name() {
            "blocklist" => {
                if let Some(session) = cx.origin.owned() {
                    session.change_flags(|flags| flags.wants_blocklist = true);
                }
                let list = block_list::of(cx.server, &user).await?;
                let mut jids: Vec<_> = list.iter().cloned().collect();
                jids.sort_unstable();
                Ok(Some(items("blocklist", &jids)))
            }
            "block" => block(cx, &user, &payload).await,
            _ => unblock(cx, &user, &payload).await,
        }
    }
}

/// Refuses a stanza for `user` if its sender is blocked. The sender gets the same error as if the
/// account did not exist (XEP-0191 §3.3).
///
/// # Errors
/// `service-unavailable` if the sender is blocked.
pub async fn refuse_incoming(cx: &Cx<'_>, user: &BareJid, head: &Head) -> Result<(), Halt> {
    if is_blocked(cx, user, head).await? {
        return Err(Halt::bounce(Condition::ServiceUnavailable, "the recipient blocks the sender"));
    }
    Ok(())
}

/// Whether `user` has blocked the sender of this stanza.
///
/// # Errors
/// If the store fails.
pub async fn is_blocked(cx: &Cx<'_>, user: &BareJid, head: &Head) -> Result<bool, Halt> {
    let Some(from) = &head.from else { return Ok(false) };
    Ok(block_list::keeps_out(&*block_list::of(cx.server, user).await?, user, from))
}

/// Refuses a stanza that a client sends to an address that its user has blocked (XEP-0191 §3.3).
///
/// # Errors
/// `not-acceptable` with `<blocked/>` if the recipient is blocked.
pub async fn refuse_outgoing(cx: &Cx<'_>, head: &Head) -> Result<(), Halt> {
    let (Some(user), Some(to)) = (cx.origin.user(), &head.to) else { return Ok(()) };
    if is_always_heard(&user, to) {
        return Ok(());
    }
    let list = block_list::of(cx.server, &user).await?;
    if !hits(&list, to) {
        return Ok(());
    }
    let mut error = StanzaError::from(Condition::NotAcceptable).kind(ErrorKind::Cancel);
    error.detail = Some(element("blocked").ns(NS_ERRORS));
    Err(error.into())
}

/// XEP-0191 §3.3.
async fn block(cx: &mut Cx<'_>, user: &BareJid, payload: &ElementRef<'_>) -> IqReply {
    let jids = addresses(payload)?;
    if jids.is_empty() {
        return Err(Condition::BadRequest.text("the request contains no address to block"));
    }
    cx.must_have_account(user).await?;
    let old = block_list::of(cx.server, user).await?;
    let new: Vec<_> = jids.iter().filter(|jid| !old.contains(*jid)).collect();
    let limits = &cx.server.config.load().limits;
    // The list is sent in one stanza, which must not be larger than any other.
    let bytes = old.iter().chain(new.iter().copied()).map(|jid| jid.as_str().len() + ITEM);
    if old.len() + new.len() > limits.blocked || bytes.sum::<usize>() > limits.stanza {
        return Err(Condition::ResourceConstraint.text("you block too many addresses"));
    }
    let now = jids.iter().cloned().collect();
    let contacts = contacts(cx, user, |jid| hits(&now, jid) && !hits(&old, jid)).await?;
    let documents = cx.server.storage.documents();
    // All at once, so that the store writes them in one commit.
    let done =
        join_all(new.iter().map(|jid| documents.put(user, block_list::KIND, jid.as_str(), "")))
            .await;
    cx.server.invalidate(&Invalidation::BlockList(user.clone()));
    done.into_iter().collect::<Result<Vec<()>, _>>()?;
    strangers::forget_of(cx.server, user, |jid| hits(&now, jid)).await?;
    for session in cx.server.sessions.of(user) {
        for other in seen_by(&session, &contacts, &now) {
            let gone = Presence::bare(PresenceKind::Unavailable, session.jid().clone(), other);
            cx.outbox.send(Stanza::Presence(gone));
        }
    }
    push(cx, user, &items("block", &jids));
    let reports = reports(user, payload);
    request::drop_reported(cx, user, &reports).await?;
    report::keep(cx, user, reports).await;
    Ok(None)
}

/// The reports that come with a block (XEP-0377 §6).
fn reports(user: &BareJid, payload: &ElementRef<'_>) -> Vec<Draft> {
    let read = |item: ElementRef<'_>| {
        let jid = item.attr("jid").and_then(|jid| Jid::parse(&jid).ok())?;
        Draft::read(user, &jid, &item)
    };
    payload
        .children()
        .filter(|child| child.is(NS, "item"))
        .filter_map(read)
        .take(MAX_REPORTS)
        .collect()
}

/// XEP-0191 §3.4, §3.5.
async fn unblock(cx: &mut Cx<'_>, user: &BareJid, payload: &ElementRef<'_>) -> IqReply {
    let named = addresses(payload)?;
    let old = block_list::of(cx.server, user).await?;
    // Addresses that are not in the list need not be removed.
    let is_meant = |jid: &&Jid| named.is_empty() || named.binary_search(jid).is_ok();
    let (jids, others): (Vec<&Jid>, Vec<&Jid>) = old.iter().partition(is_meant);
    let left: BlockList = others.into_iter().cloned().collect();
    // Read before the list is changed: if the store fails, nothing has changed.
    let contacts = contacts(cx, user, |jid| hits(&old, jid) && !hits(&left, jid)).await?;
    let documents = cx.server.storage.documents();
    let done =
        join_all(jids.iter().map(|jid| documents.remove(user, block_list::KIND, jid.as_str())))
            .await;
    cx.server.invalidate(&Invalidation::BlockList(user.clone()));
    done.into_iter().collect::<Result<Vec<bool>, _>>()?;
    for presence in cx.server.sessions.of(user).iter().filter_map(SessionRef::available) {
        for contact in &contacts {
            let mut copy = (*presence).clone();
            copy.head.to = Some(contact.clone());
            cx.outbox.send(Stanza::Presence(copy));
        }
    }
    push(cx, user, &items("unblock", &named));
    Ok(None)
}

/// The addresses in a command. Unknown elements are ignored (RFC 6120 §8.4).
fn addresses(payload: &ElementRef<'_>) -> Result<Vec<Jid>, StanzaError> {
    let mut jids = Vec::new();
    // To unblock without items means to unblock all: that must not happen by mistake.
    let own: Vec<_> = payload.children().filter(|child| child.ns() == NS).collect();
    if !own.is_empty() && !own.iter().any(|child| child.name() == "item") {
        return Err(Condition::BadRequest.into());
    }
    for item in payload.children().filter(|child| child.is(NS, "item")) {
        let jid = item.attr("jid").ok_or(Condition::BadRequest)?;
        jids.push(Jid::parse(&jid).map_err(|_| Condition::JidMalformed)?);
    }
    jids.sort_unstable();
    jids.dedup();
    Ok(jids)
}

/// The contacts with a subscription to the presence of `user` for which `which` holds.
async fn contacts(
    cx: &Cx<'_>,
    user: &BareJid,
    which: impl Fn(&Jid) -> bool,
) -> Result<Vec<Jid>, StanzaError> {
    let (_, items) = cx.server.storage.roster().load(user).await?;
    let sees_us =
        |i: &RosterItem| matches!(i.subscription, Subscription::Both | Subscription::From);
    let seen = items.into_iter().filter(|item| sees_us(item) && which(&item.jid));
    Ok(seen.map(|item| item.jid).collect())
}

/// The addresses that see this session and must not see it any more, each once: the contacts, if it is
/// available, and the blocked addresses that have its directed presence. These are removed from the
/// session.
fn seen_by(session: &SessionRef, contacts: &[Jid], list: &BlockList) -> Vec<Jid> {
    let mut to = match session.available() {
        Some(_) => contacts.to_vec(),
        None => Vec::new(),
    };
    let mut directed = session.directed();
    directed.retain(|jid| hits(list, jid));
    directed.iter().for_each(|jid| session.remove_directed(jid));
    let is_told = |jid: &Jid| to.iter().any(|told| told.as_str() == jid.bare_str());
    let others: Vec<Jid> = directed.into_iter().filter(|jid| !is_told(jid)).collect();
    to.extend(others);
    to
}

/// Tells the change to the sessions that have asked for the list (XEP-0191 §3.3).
fn push(cx: &mut Cx<'_>, user: &BareJid, payload: &Node) {
    for session in cx.server.sessions.of(user) {
        if session.flags().wants_blocklist {
            let mut head = Head::between(user.clone(), session.jid().clone());
            head.id = Some(format!("block{}", PUSHES.fetch_add(1, Ordering::Relaxed)).into());
            let content = Content::from(payload.clone());
            cx.outbox.send(Stanza::Iq(Iq { head, kind: IqKind::Set, content }));
        }
    }
}

fn items(name: &'static str, jids: &[Jid]) -> Node {
    let jids = jids.iter().map(|jid| element("item").attr("jid", jid.as_str()));
    element(name).ns(NS).children(jids)
}

/// Number of pushes since the start of the server, for their ids.
static PUSHES: AtomicU64 = AtomicU64::new(0);

/// Reports that are read of one request.
const MAX_REPORTS: usize = 20;
/// Bytes of an item in a list besides its address.
const ITEM: usize = "<item jid=''/>".len();
