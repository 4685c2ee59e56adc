//! Two clients on a bad network: connections are cut, hang, and are cut; the server lives on.

use std::time::Duration;

use tokio::sync::watch;

use super::chance::{Chance, Size};
use super::device::Habits;
use super::proxy::Proxy;
use super::stage::Stage;

/// Anna and Bert write to each other, until so many connections have been cut. `limits` are lines
/// of the configuration.
pub(crate) async fn run(name: &str, limits: &str, away_longer: Duration) {
    let size = Size::from_environment();
    let chance = Chance::from_environment(name);
    let mut stage = Stage::new(&["anna", "bert"], limits, chance).await;
    stage.book.write(|ledger| ledger.must_resume = away_longer.is_zero());
    let server = stage.server.address().borrow().expect("it runs");
    let network = stage.chance.fork();
    let proxy = Proxy::start(server, size.cuts, network, stage.book.clone()).await;
    let address = watch::Sender::new(Some(proxy.address));
    for (account, peer) in [("anna", "bert"), ("bert", "anna")] {
        let habits = Habits { peers: vec![peer], away_longer, ..Habits::default() };
        stage.enter(account, habits, address.subscribe());
    }
    let limit = Duration::from_secs(30 + 3 * size.cuts as u64);
    stage.book.until_within(limit, "cut often enough", |_| proxy.is_done()).await;
    stage.settle(&["anna", "bert"]).await;
    stage.last_look().await;
    stage.judge(name, &format!("{} cuts", proxy.cuts())).await;
}
