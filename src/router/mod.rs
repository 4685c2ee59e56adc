//! A stanza comes in: where does it go? Routing is functions, called by the task that has the stanza.
//!
//! Here a stanza of a client begins. [`route`] has those of others, and the [`Router`]. What happens to a stanza is told by
//! [`message`], [`presence`] and [`iq`], from top to bottom.

mod accept;
mod account_removal;
mod arrive;
pub mod bounce;
mod capacity;
mod internal;
pub mod iq;
pub mod message;
mod outcome;
pub mod presence;
pub mod probe;
mod remote;
mod route;
mod send_presence;
mod session_end;
pub mod subscription;

pub use accept::{accept, check_claim};
pub use outcome::Outcome;
pub use route::Router;

use std::convert::Infallible;
use std::pin::pin;

use smallvec::SmallVec;
use tracing::Instrument as _;

use crate::host::{Cx, Keeping, Origin, Outbox, ServerState, not_stored};
use crate::modules::offline::{self, ReadAhead};
use crate::session::{Session, SessionRef};
use crate::stanza::{Condition, Stanza};
use crate::storage::{Handled, Receipt, StorageError};

/// A stanza of a client that was carried to the end.
#[derive(Debug)]
pub struct Processed {
    /// As it was sent, with `from` stamped. It is needed for the error, if a receipt says that the stanza
    /// was not stored.
    pub stanza: Stanza,
    /// These resolve when everything that was stored of it is on the disk. Only then the stanza counts as
    /// handled (XEP-0198 §4).
    pub receipts: SmallVec<[Receipt; 1]>,
    /// The number of stanzas that its client has sent was stored with it.
    pub is_counted: bool,
    /// The cost, in steps of the budget `work`.
    pub steps: u32,
}

impl Router {
    /// Carries a stanza of a client to the end: when this returns, the stanza has been delivered, given to
    /// the store, or answered with an error. `origin` is the client's; [`accept`] stamps `from`. `handled` is
    /// stored together with a message.
    pub async fn from_client(
        &self,
        session: &Session,
        origin: &Origin<'_>,
        mut stanza: Stanza,
        handled: Option<Handled>,
    ) -> Processed {
        let Self { server, registry } = self;
        let jid = session.handle().jid();
        let is_accepted = accept(server, origin, &mut stanza).is_ok();
        let copy = stanza.clone(); // for an error; this costs a few reference counts
        let mut keeping = Keeping::of(&stanza, handled);
        if let Some(host) = server.host(jid.domain()).filter(|_| is_accepted) {
            let mut outbox = Outbox::default();
            let mut cx =
                Cx { server, registry, host, origin, outbox: &mut outbox, keeping: &mut keeping };
            let user = jid.to_bare();
            let span = outcome::span(&copy, origin);
            let done = {
                let pipeline = pin!(async {
                    match stanza {
                        Stanza::Iq(iq) => iq::leaves(&mut cx, iq).await,
                        Stanza::Message(message) => message::leaves(&mut cx, &user, message).await,
                        Stanza::Presence(presence) => {
                            presence::leaves(&mut cx, session, presence).await
                        }
                    }
                });
                pipeline.instrument(span.clone()).await
            };
            span.in_scope(|| bounce::end(&mut cx, &copy, done));
            route::drain(self, &mut outbox, &mut keeping, Some(session)).await;
        }
        let is_counted = handled.is_some() && keeping.handled.is_none();
        Processed { stanza: copy, receipts: keeping.receipts, is_counted, steps: keeping.steps }
    }
}

/// The store has failed after a stanza of a client was given to it: the client gets an error.
pub fn not_kept(server: &ServerState, session: &SessionRef, stanza: &Stanza, error: StorageError) {
    server.count_refusal(&error);
    let error = match (error, stanza) {
        // XEP-0160 §2: too many messages wait already.
        (StorageError::Limit(_), Stanza::Message(_)) => {
            Condition::ServiceUnavailable.text("the recipient has too many undelivered messages")
        }
        // The store has logged it, once for all stanzas.
        (error, _) => not_stored(&error),
    };
    outcome::note_not_stored(stanza, &error);
    bounce::to_client(server, session, stanza, &error);
}

/// A session catches up whenever that is requested: it reads the messages that the store has for its
/// account. Never ends, and may be dropped at any time.
pub async fn catch_up(server: &ServerState, session: &Session) -> Infallible {
    let ahead = ReadAhead::within(&server.config.load().limits);
    if session.mailbox().is_undecided() {
        Box::pin(offline::look(server, session)).await;
    }
    loop {
        session.mailbox().catch_up_requested().await;
        // Boxed: most of the time nothing waits.
        if let Err(error) = Box::pin(offline::catch_up(server, session, ahead)).await {
            // The store fails: messages stay in it, and new ones are deferred.
            tracing::error!(jid = %session.handle().jid(), %error, "cannot read undelivered messages");
            Box::pin(tokio::time::sleep(RETRY)).await;
        }
    }
}

/// The pause after the store has failed.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);
