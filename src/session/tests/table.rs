//! Who is online.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::super::{CloseReason, SessionTable, Undelivered};
use super::{ROOMY, ids, message, open, reason};
use crate::jid::BareJid;

fn resources(table: &SessionTable, user: &str) -> Vec<String> {
    let sessions = table.of(&BareJid::parse(user).unwrap());
    sessions.iter().map(|s| s.jid().resource_part().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_newer_session_of_an_address_wins() {
    let table = Arc::default();
    let old = open(&table, "romeo@montague.lit/orchard", ROOMY, 10);
    let new = open(&table, "romeo@montague.lit/orchard", ROOMY, 10);
    assert_eq!(reason(&old), Some(CloseReason::Conflict));
    assert_eq!(reason(&new), None);
    assert_eq!(table.find(new.handle().jid()).as_ref(), Some(new.handle()));
    assert_eq!(table.count(), 1);

    drop(old.close().deliveries);
    assert_eq!(table.find(new.handle().jid()).as_ref(), Some(new.handle()), "the newer one stays");
    drop(new);
    assert_eq!(table.count(), 0);
    assert!(table.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn too_many_sessions_close_the_oldest() {
    let table = Arc::default();
    let sessions: Vec<_> =
        (0..4).map(|i| open(&table, &format!("romeo@montague.lit/{i}"), ROOMY, 3)).collect();
    let other = open(&table, "juliet@capulet.lit/0", ROOMY, 3);
    assert_eq!(resources(&table, "romeo@montague.lit"), ["1", "2", "3"]);
    assert_eq!(reason(&sessions[0]), Some(CloseReason::Conflict));
    assert!(sessions[1..].iter().all(|s| reason(s).is_none()));
    // The same address again takes its own place, and nobody else's.
    let again = open(&table, "romeo@montague.lit/2", ROOMY, 3);
    assert_eq!(resources(&table, "romeo@montague.lit"), ["1", "3", "2"]);
    assert_eq!(reason(&sessions[2]), Some(CloseReason::Conflict));
    assert!(reason(&sessions[1]).is_none() && reason(&again).is_none());
    assert_eq!(table.count(), 4);
    drop(other);
    assert_eq!(resources(&table, "juliet@capulet.lit"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_none_is_a_limit_of_one() {
    let table = Arc::default();
    let _one = open(&table, "romeo@montague.lit/1", ROOMY, 0);
    let _two = open(&table, "romeo@montague.lit/2", ROOMY, 0);
    assert_eq!(resources(&table, "romeo@montague.lit"), ["2"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_a_panic_drops_leaves_the_table() {
    let table: Arc<SessionTable> = Arc::default();
    drop(open(&table, "romeo@montague.lit/balcony", ROOMY, 10).close());
    assert!(table.dropped().now_or_never().is_none(), "it was closed");
    let session = open(&table, "romeo@montague.lit/orchard", ROOMY, 10);
    let handle = session.handle().clone();
    handle.deliver(message(0, 1)).unwrap();
    let task = AssertUnwindSafe(|| {
        let _session = session;
        std::panic::resume_unwind(Box::new("as a fault in our code would"));
    });
    assert!(catch_unwind(task).is_err());
    assert_eq!(table.count(), 0);
    assert_eq!(handle.deliver(message(1, 1)), Err(Undelivered::Closed));
    let dropped = table.dropped().now_or_never().unwrap();
    assert_eq!((dropped.handle, ids(&dropped.unread.deliveries)), (handle, vec![0]));
    assert!(table.dropped().now_or_never().is_none(), "once");
}
