//! XEP-0115: Entity Capabilities, and XEP-0390: Entity Capabilities 2.0, those of clients. A client tells in
//! its presence a hash of what it can do. This finds out what the hash stands for, and so which nodes of
//! contacts' data the client wants to hear of: its [`Interests`] (XEP-0163 §4.3.3). `modules/disco.rs`
//! tells the server's own.
//!
//! A hash that is known costs one look-up, in memory or in the store. If it is not known, the client is asked,
//! in a task: only what has the right hash is remembered for others (XEP-0115 §5.4); all else holds for that
//! session alone.
//!
//! Presence to one address changes nothing: its recipients are told by the client itself. Presence without
//! a hash changes nothing either, as the one before holds on (XEP-0390 §6.2). When a session is not available
//! any more, it wants nothing.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use smol_str::SmolStr;

use crate::host::lifecycle::{self, Event};
use crate::host::{
    Cx, Manifest, Module, Registry, RequestError, ServerState, SharedState, Status, Xep,
};
use crate::ns;
use crate::payload::caps::{self, Advertised, Told};
use crate::session::{Interests, Session, SessionRef};
use crate::stanza::{Iq, IqKind, Presence};
use crate::xml::element;

/// Finds out what clients want to hear of.
pub struct Capabilities;

impl Module for Capabilities {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "capabilities",
            summary: "Finds out what clients can do and want to hear of",
            xeps: &[
                Xep { number: 115, version: "1.6.0", status: Status::Complete },
                Xep { number: 390, version: "0.3.2", status: Status::Partial },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.shared(Known::default());
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

/// How often the client of a session was asked.
#[derive(Default)]
struct Asked(u32);

/// A client has sent available presence to its contacts. Its interests are those of the hash in it, if there
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
        asked.0 = asked.0.saturating_add(1);
        asked.0
    });
    if times <= MAX_ASKED {
        ask(cx, session, advertised, &before);
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
fn ask(cx: &mut Cx<'_>, session: &SessionRef, advertised: Advertised, before: &Interests) {
    let Some(route) = cx.server.route() else { return };
    let query = element("query").ns(ns::DISCO_INFO).attr("node", &advertised.node);
    let (from, to) = (cx.host.jid.clone(), session.jid().clone().into_jid());
    let Ok((request, answer)) = cx.server.request(from, to, IqKind::Get, query) else { return };
    let pending = Arc::new(before.until_known(advertised.key.clone()));
    session.set_interests(Some(Arc::clone(&pending)));
    cx.outbox.send(request);
    let (known, session) = (cx.server.shared::<Known>().clone(), session.clone());
    let storage = Arc::clone(&cx.server.storage);
    let work = async move {
        let told = match answer.within(DEADLINE).await {
            Ok(iq) => told(&advertised, &iq),
            Err(RequestError::Refused(_)) => Told { is_verified: false, interests: Vec::new() },
            // The client is asked again for its next presence, whatever the hash is then.
            Err(_) => {
                let unknown = Arc::new(pending.until_known(SmolStr::default()));
                session.replace_interests(&pending, Some(unknown));
                return;
            }
        };
        let interests = Interests::new(advertised.key, told.interests);
        let new = match told.is_verified {
            true => known.remember(interests),
            false => Arc::new(interests),
        };
        if told.is_verified && !session.is_anonymous() {
            let (user, store) = (session.jid().to_bare(), storage.capabilities());
            if let Err(error) = store.remember(&user, new.key(), new.nodes()).await {
                tracing::warn!(%error, "cannot store what a hash of capabilities stands for");
            }
        }
        let has_changed = new.nodes() != pending.nodes();
        if session.replace_interests(&pending, Some(new)) && has_changed {
            let event = Event::InterestsChanged { session: &session, before: &pending };
            route.tell(session.jid().domain(), event).await;
        }
    };
    let stopping = cx.server.tasks.stopping();
    drop(cx.server.tasks.spawn("capabilities", stopping.run_until_cancelled_owned(work)));
}

fn told(advertised: &Advertised, answer: &Iq) -> Told {
    let lang = answer.head.lang.as_deref();
    let told = answer.payload().map(|query| caps::read(advertised, &query, lang));
    told.unwrap_or(Told { is_verified: false, interests: Vec::new() })
}

/// For the answer of a client.
const DEADLINE: Duration = Duration::from_secs(60);
/// So often a client is asked while its session lasts. A client has few hashes, but it chooses them.
const MAX_ASKED: u32 = 50;
/// Bytes of what hashes stand for, together. A kind of client takes some 500.
const KNOWN_BYTES: usize = 1 << 20;
/// Bytes of an entry beside its key and its interests.
const OVERHEAD: usize = 64;
