//! XEP-0012: Last Activity. How long the server has been running, and since when a user is away.
//!
//! Somebody who may not see a user's presence learns nothing, not even whether the account exists
//! (XEP-0012 §8).

use async_trait::async_trait;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::host::lifecycle::{Event, EventKind, Listener};
use crate::host::{
    Access, AddressKind, Cx, Invalidation, IqHandler, IqReply, Manifest, Module, Registry,
    ServerState, SharedState, Status, Xep,
};
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::payload::delay;
use crate::stanza::{Condition, Content, Iq, IqKind, Presence, StanzaError};
use crate::storage::{self, ReadCache, Seen};
use crate::xml::{Frame, element};

const NS: &str = "jabber:iq:last";

/// Tells since when a user is away.
pub struct LastActivity;

impl Module for LastActivity {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "last_activity",
            summary: "Tells since when a user is away, and how long the server runs",
            xeps: &[
                Xep { number: 12, version: "2.0", status: Status::Complete },
                // Of users, not of the server.
                Xep { number: 318, version: "0.2", status: Status::Partial },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.disco_feature(AddressKind::Host, NS).disco_feature(AddressKind::Account, NS);
        on.iq(AddressKind::Host, IqKind::Get, (NS, "query"), Access::Public, &Self);
        // XEP-0012 §3
        let access = Access::ContactsElseForbidden;
        on.iq(AddressKind::Account, IqKind::Get, (NS, "query"), access, &Self);
        on.listener(EventKind::SessionUnavailable, &Self);
        on.shared(Noted(ReadCache::new(CACHE_BYTES)));
    }
}

/// When users were last seen, with the last status. Each login asks for it once for each contact that is offline.
struct Noted(ReadCache<BareJid, Option<(Timestamp, SmolStr)>>);

impl SharedState for Noted {
    fn invalidate(&self, what: &Invalidation) {
        if let Invalidation::Account(user) | Invalidation::LastActivity(user) = what {
            self.0.forget(user);
        }
    }
}

#[async_trait]
impl Listener for LastActivity {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        if let Event::SessionUnavailable { session, presence } = event {
            note_gone(cx, &session.jid().to_bare(), presence).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl IqHandler for LastActivity {
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply {
        let to = request.head.to.as_ref().ok_or(Condition::BadRequest)?;
        let query = element("query").ns(NS);
        if to.local().is_none() {
            return Ok(Some(query.attr("seconds", cx.server.uptime().as_secs().to_string())));
        }
        let user = to.to_bare();
        if !cx.server.sessions.available(&user).is_empty() {
            return Ok(Some(query.attr("seconds", "0")));
        }
        let (at, status) = last(cx, &user).await?;
        let micros = cx.server.clock.now().as_micros().saturating_sub(at.as_micros());
        let seconds = u64::try_from(micros / 1_000_000).unwrap_or(0);
        Ok(Some(query.attr("seconds", seconds.to_string()).text(&status)))
    }
}

/// Whether this is a request for last activity, to a session.
#[must_use]
pub fn is_asked(iq: &Iq) -> bool {
    iq.is_request() && iq.payload().is_some_and(|payload| payload.ns() == NS)
}

/// Notes since when the user is away, and the status of the last presence (XEP-0012 §3.1), if this was
/// the last available session.
async fn note_gone(cx: &Cx<'_>, user: &BareJid, presence: &Presence) -> storage::Result<()> {
    let is_online = !cx.server.sessions.available(user).is_empty();
    // Nothing is stored for an anonymous user, who has no account (XEP-0175).
    if is_online || cx.server.storage.accounts().find(user).await?.is_none() {
        return Ok(());
    }
    let status = presence.content.received_child(crate::ns::CLIENT, "status");
    let status = status.map(|s| s.text().chars().take(MAX_STATUS).collect::<String>());
    let now = cx.server.clock.now().as_micros().to_string();
    let last = element("last").ns(NS).attr("at", now).text(&status.unwrap_or_default());
    let xml = last.to_xml();
    let noted = cx.server.storage.documents().put(user, KIND, "", &xml).await;
    cx.server.invalidate(&Invalidation::LastActivity(user.clone()));
    noted
}

/// The content of the unavailable presence that answers a probe of an offline user: the status of the last
/// presence, and when it was sent (RFC 6121 §4.3.2, XEP-0203). Nothing if that is not known. Only for
/// contacts that may see the user.
///
/// DEPARTS: RFC 6121 §4.3.2 – the answer has the status of the last presence, and not all of it. People read
/// the status (XEP-0318 §3.1); the rest was for clients that were online then.
///
/// # Errors
/// If the store fails.
pub async fn last_words(cx: &Cx<'_>, user: &BareJid) -> storage::Result<Content> {
    let mut content = Content::default();
    if let Some((at, status)) = noted(cx.server, user).await? {
        if !status.is_empty() {
            content.add(&element("status").text(&status));
        }
        content.add(&delay::delay(&user.clone().into(), at));
    }
    Ok(content)
}

/// When the user went offline, with the last status; if that is not known, when the account was last
/// used.
async fn last(cx: &Cx<'_>, user: &BareJid) -> Result<(Timestamp, SmolStr), StanzaError> {
    if let Some(noted) = noted(cx.server, user).await? {
        return Ok(noted);
    }
    let account = cx.server.storage.accounts().find(user).await?.ok_or(Condition::ItemNotFound)?;
    Ok((account.last_login.unwrap_or(account.created), SmolStr::default()))
}

async fn noted(
    server: &ServerState,
    user: &BareJid,
) -> storage::Result<Option<(Timestamp, SmolStr)>> {
    let cache = &server.shared::<Noted>().0;
    if let Some(noted) = cache.get(user) {
        return Ok(noted);
    }
    let seen = cache.seen(user);
    let noted = server.storage.documents().get(user, KIND, "").await?.and_then(read);
    hold(cache, user.clone(), noted.clone(), seen);
    Ok(noted)
}

/// Reads at once when these users were last seen, so that [`last_words`] need not read them one by one.
///
/// # Errors
/// If the store fails.
pub async fn read_ahead(server: &ServerState, users: &[BareJid]) -> storage::Result<()> {
    let cache = &server.shared::<Noted>().0;
    let is_missing = |user: &&BareJid| cache.get(user).is_none();
    let missing: Vec<BareJid> = users.iter().filter(is_missing).cloned().collect();
    let seen: Vec<_> = missing.iter().map(|user| cache.seen(user)).collect();
    let kept = server.storage.documents().of_each(&missing, KIND, "").await?;
    let mut kept: FxHashMap<BareJid, String> = kept.into_iter().collect();
    for (user, seen) in missing.into_iter().zip(seen) {
        let noted = kept.remove(&user).and_then(read);
        hold(cache, user, noted, seen);
    }
    Ok(())
}

fn hold(
    cache: &ReadCache<BareJid, Option<(Timestamp, SmolStr)>>,
    user: BareJid,
    noted: Option<(Timestamp, SmolStr)>,
    seen: Seen,
) {
    let bytes = noted.as_ref().map_or(0, |(_, status)| status.len());
    cache.hold(user, noted, bytes, seen);
}

fn read(kept: String) -> Option<(Timestamp, SmolStr)> {
    let frame = Frame::from_bytes(kept).ok()?;
    let at = frame.root().attr("at")?.parse().ok()?;
    Some((Timestamp::from_micros(at), SmolStr::new(frame.root().text())))
}

const KIND: &str = "last";
/// Characters of a status that are stored.
const MAX_STATUS: usize = 1000;
/// Bytes of what is held of accounts: some 20,000.
const CACHE_BYTES: usize = 4 << 20;
