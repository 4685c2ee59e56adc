//! XEP-0115: Entity Capabilities, and XEP-0390: Entity Capabilities 2.0, those of clients. A client tells in
//! its presence a hash of what it can do. This finds out what the hash stands for, and so which nodes of
//! contacts' data the client wants to hear of: its [`Interests`] (XEP-0163 §4.3.3). `modules/disco.rs`
//! tells the server's own.
//!
//! A hash that is known costs one look-up, in memory or in the store. If it is not known, the client is asked,
//! in a task: only what has the right hash is remembered for others (XEP-0115 §5.4); all else holds for that
//! session alone.
//!
//! Those of contacts on other servers are in `capabilities/remote.rs`.
//!
//! Presence to one address changes nothing: its recipients are told by the client itself. Presence without
//! a hash changes nothing either: the previous hash stays valid (XEP-0390 §6.2). A session that becomes unavailable
//! loses its interests.

mod remote;

use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use smol_str::SmolStr;

use crate::host::lifecycle::{self, Event};
use crate::host::{
    Cx, Manifest, Module, Registry, RemoteInterests, RequestError, ServerState, SharedState,
    Status, Xep,
};
use crate::ns;
use crate::payload::caps::{self, Advertised, Description};
use crate::session::{Interests, Session, SessionRef};
use crate::stanza::{Iq, IqKind, Presence};
use crate::xml::element;

pub use remote::read_remote;

/// Finds out what clients want to hear of.
pub struct Capabilities;

impl Module for Capabilities {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "capabilities",
            summary: "Finds out what clients can do and want to hear of",
            xeps: &[
                Xep { number: 115, version: "1.6.0", status: Status::Complete },
                Xep { number: 390, version: "0.3.2", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(Known::default());
        on.shared(RemoteInterests::default());
    }
}

/// What hashes stand for, those that were verified. Bounded in bytes: what is not used is forgotten.
#[derive(Clone)]
struct Known(Arc<Cache<SmolStr, Arc<Interests>, Bytes, RandomState>>);

impl SharedState for Known {}

#[derive(Clone)]
struct Bytes;

impl Weighter<SmolStr, Arc<Interests>> for Bytes {
    fn weight(&self, key: &SmolStr, interests: &Arc<Interests>) -> u64 {
        (key.len() + interests.size() + OVERHEAD) as u64
    }
}

impl Default for Known {
    fn default() -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(KNOWN_BYTES / 1024)
            .weight_capacity(KNOWN_BYTES as u64)
            .build()
            .expect("both capacities are given");
        let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        Self(Arc::new(Cache::with_options(options, Bytes, hasher, lifecycle)))
    }
}

impl Known {
    /// What a hash stands for, if that was verified once.
    async fn find(&self, server: &ServerState, key: &SmolStr) -> Option<Arc<Interests>> {
        if let Some(known) = self.0.get(key) {
            return Some(known);
        }
        match server.storage.capabilities().interests(key).await {
            Ok(nodes) => Some(self.remember(Interests::new(key.clone(), nodes?))),
            Err(error) => {
                tracing::warn!(%error, "cannot read what a hash of capabilities stands for");
                None
            }
        }
    }

    /// Remembers what a hash stands for, and answers the value that all share.
    fn remember(&self, interests: Interests) -> Arc<Interests> {
        if let Some(known) = self.0.get(interests.key()) {
            return known;
        }
        let interests = Arc::new(interests);
        self.0.insert(interests.key().clone(), Arc::clone(&interests));
        interests
    }
}

/// What the client of a session was asked.
#[derive(Default)]
struct Asked {
    /// How often.
    times: u32,
    /// Questions without an answer.
    open: Vec<Question>,
}

/// A question: what does this hash stand for?
struct Question {
    id: SmolStr,
    advertised: Advertised,
    /// The interests of the session until the answer comes.
    pending: Arc<Interests>,
}

/// Reads available presence that a client has sent to its contacts. Its interests are those of the hash in it, if there
/// is one.
pub async fn read(cx: &mut Cx<'_>, own: &Session, presence: &Presence) {
    let Some(advertised) = Advertised::of(&presence.content) else { return };
    let session = own.handle();
    let before = session.interests().unwrap_or_default();
    if *before.key() == advertised.key {
        return;
    }
    if let Some(known) = cx.server.shared::<Known>().find(cx.server, &advertised.key).await {
        // While the store was read, the client may have answered for another hash.
        let before = session.interests().unwrap_or_default();
        session.set_interests(Some(Arc::clone(&known)));
        if known.nodes() != before.nodes() {
            lifecycle::tell(cx, Event::InterestsChanged { session, before: &before }).await;
        }
        return;
    }
    let times = own.feature(|asked: &mut Asked| {
        asked.times = asked.times.saturating_add(1);
        asked.times
    });
    if times <= MAX_ASKED {
        ask(cx, own, advertised, &before);
    }
}

/// A session of the server before continues: it shares its interests with the others of its kind.
pub async fn restored(server: &ServerState, session: &SessionRef) {
    let Some(own) = session.interests() else { return };
    if let Some(known) = server.shared::<Known>().find(server, own.key()).await {
        session.replace_interests(&own, Some(known));
    }
}

/// Asks a client what its hash stands for. Until it answers, it wants what it wanted before.
fn ask(cx: &mut Cx<'_>, own: &Session, advertised: Advertised, before: &Interests) {
    let session = own.handle().clone();
    let query = element("query").ns(ns::DISCO_INFO).attr("node", &advertised.node);
    let (from, to) = (cx.host.jid.clone(), session.jid().clone().into_jid());
    let Ok((request, answer)) = cx.server.request(from, to, IqKind::Get, query) else { return };
    let pending = Arc::new(before.until_known(advertised.key.clone()));
    session.set_interests(Some(Arc::clone(&pending)));
    let id = request.head().id.clone().unwrap_or_default();
    let question = Question { id, advertised, pending: Arc::clone(&pending) };
    own.feature(|asked: &mut Asked| asked.open.push(question));
    cx.outbox.send(request);
    let work = async move {
        if let Err(RequestError::Timeout | RequestError::SessionEnded) =
            answer.within(DEADLINE).await
        {
            // The client is asked again for its next presence, whatever the hash is then.
            let unknown = Arc::new(pending.until_known(SmolStr::default()));
            session.replace_interests(&pending, Some(unknown));
        }
    };
    let stopping = cx.server.tasks.stopping();
    drop(cx.server.tasks.spawn("capabilities", stopping.run_until_cancelled_owned(work)));
}

/// Whether this answers the question what a hash stands for.
pub fn has_asked(cx: &Cx<'_>, answer: &Iq) -> bool {
    let (Some(own), Some(id)) = (cx.origin.owned(), &answer.head.id) else { return false };
    let is_one = |asked: &mut Asked| asked.open.iter().any(|question| question.id == *id);
    own.feature_if_any(is_one).unwrap_or(false)
}

/// Reads the answer of a client to a request of the server. If the client was asked what its hash stands for, its
/// interests are known when its next stanza is handled.
pub async fn answered(cx: &mut Cx<'_>, answer: &Iq) {
    let (Some(own), Some(id)) = (cx.origin.owned(), &answer.head.id) else { return };
    let take = |asked: &mut Asked| {
        let at = asked.open.iter().position(|question| question.id == *id)?;
        Some(asked.open.swap_remove(at))
    };
    let Some(question) = own.feature_if_any(take).flatten() else { return };
    let Question { advertised, pending, .. } = question;
    let session = own.handle();
    let described = described(&advertised, answer);
    let is_verified = described.is_verified;
    let interests = Interests::new(advertised.key, described.interests);
    let new = match is_verified {
        true => cx.server.shared::<Known>().remember(interests),
        false => Arc::new(interests),
    };
    if is_verified && !session.is_anonymous() {
        let (user, store) = (session.jid().to_bare(), cx.server.storage.capabilities());
        if let Err(error) = store.remember(&user, new.key(), new.nodes()).await {
            tracing::warn!(%error, "cannot store what a hash of capabilities stands for");
        }
    }
    let has_changed = new.nodes() != pending.nodes();
    if session.replace_interests(&pending, Some(new)) && has_changed {
        lifecycle::tell(cx, Event::InterestsChanged { session, before: &pending }).await;
    }
}

/// What an answer says; nothing, if it is an error.
fn described(advertised: &Advertised, answer: &Iq) -> Description {
    let nothing = Description { is_verified: false, interests: Vec::new() };
    if answer.kind != IqKind::Result {
        return nothing;
    }
    let lang = answer.head.lang.as_deref();
    let read = answer.payload().map(|query| caps::read(advertised, &query, lang));
    read.unwrap_or(nothing)
}

/// How long we wait for the answer of a client.
const DEADLINE: Duration = Duration::from_secs(60);
/// A client is asked at most this often during a session. A client has few hashes, but it chooses them.
const MAX_ASKED: u32 = 50;
/// Bytes of what hashes stand for, together. A kind of client takes some 500.
const KNOWN_BYTES: usize = 1 << 20;
/// Bytes of an entry beside its key and its interests.
const OVERHEAD: usize = 64;
