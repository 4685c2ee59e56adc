//! The promise of delivery, tried on the built program over real sockets and a real database:
//!
//! 1. A message that the server has counted in an acknowledgement (XEP-0198 `h`) is never lost.
//! 2. It reaches a client once. A second copy that the server makes has the same stanza-id.
//! 3. Messages from one to another keep their order.
//! 4. A message that a room has been given, and that is acknowledged, is in the archive of the room, once. Whoever is
//!    in the room hears what is in the archive, in its order, without a gap, and stays in the room for as long as
//!    the session lasts.
//!
//! The known window: recipients who are online get a message before it is on the disk. After
//! SIGKILL the server may not know a message that was delivered but not yet acknowledged; its
//! sender sends it again, and it has another stanza-id. That is counted apart, and allowed for
//! messages only that were not acknowledged before the kill.
//!
//! See `docs/testing.md`. `WAXWING_SEED` repeats a run, `WAXWING_PROOF=large` makes a long one.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "delivery/archive.rs"]
mod archive;
#[path = "delivery/book.rs"]
mod book;
#[path = "delivery/chance.rs"]
mod chance;
#[path = "delivery/client.rs"]
mod client;
#[path = "delivery/counts.rs"]
mod counts;
#[path = "delivery/cutter.rs"]
mod cutter;
#[path = "delivery/device.rs"]
mod device;
#[expect(dead_code, reason = "the conversations need more of it")]
#[path = "support/element.rs"]
mod element;
#[path = "delivery/full_disk.rs"]
mod full_disk;
#[path = "delivery/kill.rs"]
mod kill;
#[path = "delivery/ledger.rs"]
mod ledger;
#[cfg(test)]
#[path = "delivery/ledger_tests.rs"]
mod ledger_tests;
#[path = "delivery/owner.rs"]
mod owner;
#[path = "delivery/proxy.rs"]
mod proxy;
#[path = "delivery/room.rs"]
mod room;
#[cfg(test)]
#[path = "delivery/room_ledger_tests.rs"]
mod room_ledger_tests;
#[path = "delivery/server.rs"]
mod server;
#[path = "delivery/stage.rs"]
mod stage;
#[path = "support/trust.rs"]
mod trust;

use std::time::Duration;

use kill::End;

/// Sessions outlive all cuts: each resumption succeeds.
#[tokio::test]
async fn nothing_is_lost_doubled_or_disordered_by_cuts() {
    cutter::run("cuts", "", Duration::ZERO).await;
}

/// A client that stays away longer than its session waits begins a new one, from the `h` of `<failed/>`.
#[tokio::test]
async fn nothing_is_lost_doubled_or_disordered_when_sessions_end_by_cuts() {
    cutter::run("cuts that end sessions", "resume = \"1 s\"", Duration::from_millis(1500)).await;
}

#[tokio::test]
async fn a_killed_server_has_what_it_acknowledged() {
    kill::run("kill, new sessions", End::Kill, 0, 0).await;
}

#[tokio::test]
async fn a_killed_server_counts_right_for_those_who_resume() {
    kill::run("kill, resume", End::Kill, 4, 4).await;
}

#[tokio::test]
async fn a_server_that_ends_in_good_order_loses_and_doubles_nothing() {
    kill::run("restart, resume", End::Terminate, 4, 4).await;
}

#[tokio::test]
async fn a_server_that_is_killed_while_it_ends_has_saved_the_sessions() {
    kill::run("restart cut short, resume", End::TerminateAndKill, 4, 4).await;
}

/// Clients that send resume their sessions; otherwise they would not know what was counted.
#[tokio::test]
async fn a_server_that_ends_in_good_order_has_all_for_new_sessions() {
    kill::run("restart, new sessions", End::Terminate, 4, 1).await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    full_disk::run("full disk").await;
}

/// Sessions outlive all cuts, and stay in their room.
#[tokio::test]
async fn a_room_is_heard_without_gaps_through_cuts() {
    room::cuts("room, cuts", "", Duration::ZERO).await;
}

/// A client that stays away longer than its session waits enters the room again.
#[tokio::test]
async fn a_room_is_heard_without_gaps_when_sessions_end_by_cuts() {
    room::cuts("room, cuts that end sessions", "resume = \"1 s\"", Duration::from_millis(1500))
        .await;
}

#[tokio::test]
async fn a_killed_server_has_what_its_rooms_acknowledged() {
    room::ends("room, kill, new sessions", End::Kill, 0, 0).await;
}

#[tokio::test]
async fn a_killed_server_has_what_its_rooms_acknowledged_for_those_who_resume() {
    room::ends("room, kill, resume", End::Kill, 4, 4).await;
}

/// Nobody leaves the room by that, and nobody misses a word.
#[tokio::test]
async fn a_server_that_ends_in_good_order_keeps_everybody_in_the_room() {
    room::ends("room, restart, resume", End::Terminate, 4, 4).await;
}

#[tokio::test]
async fn a_server_that_is_killed_while_it_ends_keeps_everybody_in_the_room() {
    room::ends("room, restart cut short, resume", End::TerminateAndKill, 4, 4).await;
}

/// Listeners begin a new session three times of four, and enter anew.
#[tokio::test]
async fn a_server_that_ends_in_good_order_lets_new_sessions_into_the_room() {
    room::ends("room, restart, new sessions", End::Terminate, 4, 1).await;
}
