//! The photo of a user has changed: the presence of the user's sessions is sent again, with the new hash (XEP-0153
//! §4.3, XEP-0398 §4). Presence to single addresses, as to rooms, is sent again by clients (XEP-0398 §5).
//!
//! This runs in the task of one session, and sends presence of all. Meanwhile another one may send new presence, or
//! go, in its own task, and contacts may get the two in the wrong order. So after the presence with the new photo was
//! delivered, it is compared with the last one: if they differ, the last one is sent once more ([`correct`]).

use std::sync::Arc;

use super::contacts::Contacts;
use super::send_presence::broadcast;
use crate::host::Cx;
use crate::jid::BareJid;
use crate::modules::vcard;
use crate::session::SessionRef;
use crate::stanza::{Presence, PresenceKind};

/// What was sent of a session: its available presence, or that it is not available.
pub(super) struct Shown(SessionRef, Option<Arc<Presence>>);

/// Sends the presence of all available sessions of a user again, if the hash in it is another one. When it has arrived,
/// [`correct`] must be called with the answer.
pub(super) async fn show(cx: &mut Cx<'_>, user: &BareJid) -> Vec<Shown> {
    let mut shown = Vec::new();
    let Ok(contacts) = Contacts::of(cx, user).await else {
        tracing::warn!(jid = %user, "cannot tell the contacts of a new photo");
        return shown;
    };
    for session in cx.server.sessions.available(user) {
        for _ in 0..ATTEMPTS {
            let Some(old) = session.available() else { break };
            let Some(new) = vcard::with_new_photo(cx, &session, &old).await else { break };
            let kept = Arc::new(Presence { content: new.content.packed(), ..new.clone() });
            // The client may have sent another one in the meantime.
            if session.replace_available(&old, Arc::clone(&kept)) {
                broadcast(cx, &session, &contacts, &new);
                shown.push(Shown(session, Some(kept)));
                break;
            }
        }
    }
    shown
}

/// Sends the last presence of sessions that have sent another one, or have gone, while the presence with the new photo
/// was on its way. To be called again with the answer when that has arrived, until the answer is empty.
pub(super) async fn correct(cx: &mut Cx<'_>, shown: Vec<Shown>) -> Vec<Shown> {
    let mut again = Vec::new();
    for Shown(session, sent) in shown {
        // A newer session may have the address.
        let session = cx.server.sessions.find(session.jid()).unwrap_or(session);
        let now = session.available();
        let is_same = match (&now, &sent) {
            (Some(now), Some(sent)) => Arc::ptr_eq(now, sent),
            (now, sent) => now.is_none() && sent.is_none(),
        };
        if is_same {
            continue;
        }
        let Ok(contacts) = Contacts::of(cx, &session.jid().to_bare()).await else { continue };
        match &now {
            Some(presence) => broadcast(cx, &session, &contacts, presence),
            None => {
                let jid = session.jid().clone();
                let mut gone = Presence::bare(PresenceKind::Unavailable, jid.clone(), jid);
                gone.head.to = None; // to all
                broadcast(cx, &session, &contacts, &gone);
            }
        }
        again.push(Shown(session, now));
    }
    again
}

/// How often we try to replace a presence while its client keeps sending new ones.
const ATTEMPTS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Registry;
    use crate::host::block_list::BlockLists;
    use crate::host::contact_list::ContactLists;
    use crate::jid::{FullJid, Jid};
    use crate::router::Router;
    use crate::router::internal::Internal;
    use crate::session::{MailboxLimits, Session, SessionFacts};
    use crate::stanza::Stanza;
    use crate::storage::{RosterItem, Subscription};

    #[tokio::test]
    async fn presence_that_has_overtaken_a_newer_one_is_corrected() {
        let mut on = Registry::default();
        on.shared(ContactLists::default());
        on.shared(BlockLists::default());
        let router = Router::for_tests(&["localhost"], on);
        let server = &router.server;
        let romeo = FullJid::parse("romeo@localhost/orchard").unwrap();
        let juliet = Jid::parse("juliet@localhost").unwrap();
        let contact = RosterItem {
            jid: juliet.clone(),
            name: String::new(),
            groups: Vec::new(),
            subscription: Subscription::From,
            pending_out: false,
            pending_in: None,
            approved: false,
            listed: true,
        };
        server.storage.roster().put(&romeo.to_bare(), &contact, 9).await.unwrap();
        let bounds = MailboxLimits { stanzas: 99, bytes: 1 << 20 };
        let (table, facts) = (Arc::clone(&server.sessions), SessionFacts::for_tests());
        let session = Session::open(table, romeo.clone(), facts, bounds, 9);
        let available = || {
            let kind = PresenceKind::Available;
            let mut presence = Presence::bare(kind, romeo.clone(), romeo.clone());
            presence.head.to = None;
            Arc::new(presence)
        };
        let mut work = Internal::for_domain(&router, "localhost").unwrap();
        let mut cx = work.cx();
        let sent = available();
        session.set_available(Arc::clone(&sent), 0);
        let shown = || vec![Shown(session.handle().clone(), Some(Arc::clone(&sent)))];
        assert!(correct(&mut cx, shown()).await.is_empty() && cx.outbox.take().is_none());
        for kind in [PresenceKind::Available, PresenceKind::Unavailable] {
            match kind {
                PresenceKind::Available => drop(session.set_available(available(), 0)),
                _ => drop(session.handle().set_unavailable()),
            }
            let again = correct(&mut cx, shown()).await;
            let Some(Stanza::Presence(last)) = cx.outbox.take() else { panic!("it is told") };
            assert_eq!((last.kind, last.head.to.as_ref()), (kind, Some(&juliet)));
            assert!(cx.outbox.take().is_none());
            assert!(correct(&mut cx, again).await.is_empty() && cx.outbox.take().is_none());
        }
    }
}
