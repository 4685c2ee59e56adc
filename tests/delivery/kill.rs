//! A server that is killed, or ended in good order, under load, and started again on its data.

use tokio::time::sleep;

use super::chance::{Chance, Size};
use super::device::Habits;
use super::ledger::Account;
use super::stage::Stage;

/// How the server ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    Kill,
    Terminate,
    /// Told to end, and killed when it has saved the sessions: nobody waits for its goodbyes.
    TerminateAndKill,
}

/// Senders write to each other and to recipients who are online with stream management, online
/// without, on a bad network, away until the end, and there now and then. `senders` and `recipients` resume their
/// sessions this many times of 4.
pub(crate) async fn run(name: &str, end: End, senders: u64, recipients: u64) {
    let size = Size::from_environment();
    let chance = Chance::from_environment(name);
    let mut stage = Stage::new(&ACCOUNTS, "", chance).await;
    stage.book.write(|ledger| ledger.must_resume = end != End::Kill);
    enter(&mut stage, senders, recipients, 3);
    stage.book.until("everybody online", |ledger| ledger.session_count() >= 6).await;
    for _ in 0..size.rounds {
        end_amid(&mut stage, &size, end).await;
        if stage.chance.one_in(2) {
            stage.visit("gina").await;
        }
    }
    stage.settle(&ONLINE).await;
    stage.last_look().await;
    stage.judge(name, &format!("{} times {end:?}", size.rounds)).await;
}

/// The server ends while messages are sent, and starts again.
pub(crate) async fn end_amid(stage: &mut Stage, size: &Size, end: End) {
    // Some are sent while the server starts, and before it ends the next time.
    stage.allow(size.messages * 2);
    let more = size.messages / 2 + stage.chance.below(size.messages as u64) as usize;
    let target = stage.book.read(|ledger| ledger.sent_count()) + more;
    stage.book.until("sent more", |ledger| ledger.sent_count() >= target).await;
    let moment = stage.chance.millis(10);
    sleep(moment).await;
    match end {
        End::Kill => stage.server.kill().await,
        End::Terminate => stage.server.terminate().await,
        End::TerminateAndKill => stage.server.terminate_and_kill().await,
    }
    stage.server.start().await;
}

/// The devices that are always online.
pub(crate) fn enter(stage: &mut Stage, senders: u64, recipients: u64, pace: u64) {
    for (account, neighbour) in [("anna", "bert"), ("bert", "carl"), ("carl", "anna")] {
        let peers = vec![neighbour, "dora", "emil", "fred", "gina", "hana"];
        let habits = Habits { peers, pace, resumes: senders, ..Habits::default() };
        stage.enter(account, habits, stage.server.address());
    }
    let dora = Habits { resumes: recipients, ..Habits::default() };
    stage.enter("dora", dora, stage.server.address());
    let hana = Habits { resumes: recipients, away: 150, drops: Some(150), ..Habits::default() };
    stage.enter("hana", hana, stage.server.address());
    let emil = Habits { managed: false, ..Habits::default() };
    stage.enter("emil", emil, stage.server.address());
}

/// Three who send; Dora is online with stream management, Emil without, Hana on a bad network; Fred
/// comes in the end, Gina now and then.
pub(crate) const ACCOUNTS: [Account; 8] =
    ["anna", "bert", "carl", "dora", "emil", "fred", "gina", "hana"];
/// Those who are online at the end, and have proof for what was written to them, unlike Emil.
pub(crate) const ONLINE: [Account; 5] = ["anna", "bert", "carl", "dora", "hana"];
