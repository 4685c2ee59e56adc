//! A server whose files cannot grow any more, under load; then there is room again.

use super::chance::{Chance, Size};
use super::kill::{ACCOUNTS, ONLINE, enter};
use super::stage::Stage;

/// What it acknowledges it has, or it answers it with an error; and it goes on.
pub(crate) async fn run(name: &str) {
    let size = Size::from_environment();
    let chance = Chance::from_environment(name);
    let mut stage = Stage::new(&ACCOUNTS, "", chance).await;
    stage.book.write(|ledger| ledger.is_full = true);
    enter(&mut stage, 4, 4, 3);
    let mut refused = 0;
    for round in 0..size.rounds {
        taken(&stage, size.messages / 2).await;
        let room = stage.server.largest_file() + 50_000 + stage.chance.below(100_000);
        stage.server.limit_files(Some(room));
        refused += 30;
        stage.book.until("answered with errors", |ledger| ledger.refused_count() >= refused).await;
        refused = stage.book.read(|ledger| ledger.refused_count());
        let running = stage.server.status()["running"].clone();
        if running != true {
            stage.book.write(|ledger| ledger.wrong(format!("status: running is {running}")));
        }
        stage.server.limit_files(None);
        // It takes messages again, without a restart.
        taken(&stage, size.messages / 4).await;
        if round % 2 == 1 {
            stage.server.limit_files(Some(stage.server.largest_file() + 20_000));
            stage.book.until("refused more", |l| l.refused_count() > refused + 20).await;
            stage.server.limit_files(None);
        }
        stage.server.terminate().await;
        stage.server.start().await;
        refused = stage.book.read(|ledger| ledger.refused_count());
    }
    stage.settle(&ONLINE).await;
    stage.last_look().await;
    stage.judge(name, &format!("{} times a full disk", size.rounds)).await;
}

/// Waits until the server has taken so many more messages.
async fn taken(stage: &Stage, more: usize) {
    let target = stage.book.read(|ledger| ledger.acknowledged_count()) + more;
    stage.book.until("taken more", |ledger| ledger.acknowledged_count() >= target).await;
}
