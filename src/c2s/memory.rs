//! Ends sessions when too much is held for clients that do not read or do not acknowledge (budget
//! `memory`). No acknowledged message is lost: each has its undelivered marker in the store
//! (docs/delivery.md).

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::host::ServerState;
use crate::limit::{Action, Bounds, BudgetScope};
use crate::session::{CloseReason, SessionRef};

/// Waits until a sum is far over its bound, and then ends sessions one after another until it is not.
/// Runs until the server ends.
pub async fn watch_memory(server: Arc<ServerState>) {
    let stopping = server.tasks.stopping();
    let level = &server.budgets.memory;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = level.overdrawn() => {}
        }
        while let Some((session, scope)) = next_to_end(&server.sessions.all(), &level.far_bounds())
        {
            let (jid, bytes) = (session.jid(), session.memory());
            tracing::warn!(%jid, bytes, scope = scope.word(), "too much is held for clients");
            level.count(scope, Action::Close);
            session.close(CloseReason::Overrun);
            // In a flood, this task must let others run.
            tokio::task::yield_now().await;
        }
        // In a flood, not after each stanza.
        tokio::time::sleep(PAUSE).await;
    }
}

/// The session that is to end next, and whose bound is exceeded. It is the session that holds most, of
/// the account that holds most. What ending sessions hold counts as free.
fn next_to_end(sessions: &[SessionRef], bounds: &Bounds) -> Option<(SessionRef, BudgetScope)> {
    let mut accounts = FxHashMap::<&str, (u64, &SessionRef)>::default();
    for session in sessions.iter().filter(|session| !session.is_ending()) {
        let entry = accounts.entry(session.jid().bare_str()).or_insert((0, session));
        entry.0 += session.memory();
        if session.memory() > entry.1.memory() {
            entry.1 = session;
        }
    }
    let all: u64 = accounts.values().map(|(sum, _)| sum).sum();
    let (sum, session) = accounts.into_values().max_by_key(|(sum, _)| *sum)?;
    let scope = match bounds {
        Bounds { account: Some(most), .. } if sum > *most => BudgetScope::Account,
        Bounds { all: Some(most), .. } if all > *most => BudgetScope::All,
        _ => return None,
    };
    Some((session.clone(), scope))
}

/// The time between two checks.
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::next_to_end;
    use crate::jid::FullJid;
    use crate::limit::{Bounds, BudgetScope, Budgets};
    use crate::metrics::Metrics;
    use crate::session::{CloseReason, MailboxLimits, Session, SessionFacts, SessionTable};

    fn session(table: &Arc<SessionTable>, jid: &str, bytes: usize) -> Session {
        let facts = SessionFacts::for_tests();
        let bounds = MailboxLimits { stanzas: 100, bytes: 1 << 20 };
        let jid = FullJid::parse(jid).unwrap();
        let session = Session::open(Arc::clone(table), jid, facts, bounds, 9);
        session.mailbox().set_writing(bytes);
        session
    }

    #[test]
    fn who_holds_most_is_ended_first_and_what_is_ending_counts_no_more() {
        let config = crate::config::Config::default_for("a.example", "/nowhere".into());
        let budgets = Budgets::new(&config, &Metrics::new());
        let table = Arc::new(SessionTable::with_memory(budgets.memory.clone()));
        let sessions = [
            session(&table, "romeo@a.example/1", 40),
            session(&table, "romeo@a.example/2", 50),
            session(&table, "romeo@b.example/1", 80),
        ];
        assert_eq!(budgets.memory.all(), 170);
        let next = |account, all| {
            let bounds = Bounds { account, all, address: None };
            let next = next_to_end(&table.all(), &bounds);
            next.map(|(session, scope)| (session.jid().as_str().to_owned(), scope))
        };
        let second = "romeo@a.example/2".to_owned();
        assert_eq!(next(Some(90), Some(170)), None);
        assert_eq!(next(Some(89), Some(170)), Some((second.clone(), BudgetScope::Account)));
        assert_eq!(next(None, Some(169)), Some((second, BudgetScope::All)));
        sessions[1].handle().close(CloseReason::Overrun);
        let other = "romeo@b.example/1".to_owned();
        assert_eq!(next(Some(80), Some(120)), None);
        assert_eq!(next(Some(80), Some(119)), Some((other, BudgetScope::All)));
        drop(sessions);
        assert_eq!(budgets.memory.all(), 0);
    }
}
