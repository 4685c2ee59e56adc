//! Memory that a session holds for its client.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;
use waxwing::host::command::ServerControl;
use waxwing::jid::BareJid;

use super::test_server::{HOME, TestServer, message, numbers};

#[tokio::test(start_paused = true)]
async fn an_account_whose_sessions_acknowledge_nothing_holds_no_more_than_it_may() {
    let server = TestServer::new("[budgets]\nmemory_per_account = '2 MiB'\n").await;
    let mut juliets = Vec::new();
    for number in 0..20 {
        let mut juliet = server.online("juliet", &format!("r{number}")).await;
        juliet.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        juliet.hears("<enabled ").await;
        juliets.push(juliet.drain());
    }
    let mut romeo = server.login("romeo", "orchard", HOME).await;
    let mut most = 0;
    for number in 0..200 {
        romeo.say(message("juliet@localhost", "chat", number, 25_000)).await;
        romeo.pings().await;
        most = most.max(server.metric("waxwing_budget_held{budget=\"memory\"}"));
    }
    // What is kept stays in the store, so nobody is closed for it.
    assert!((2 << 20..3 << 20).contains(&most), "{most} bytes");
    assert!(server.actions("memory", "account", "delay") > 0);
    assert_eq!(server.actions("memory", "account", "close"), 0);
    // What is kept nowhere has no other place: the sessions that hold most are closed.
    for number in 0..60 {
        romeo.say(message("juliet@localhost", "headline", 1000 + number, 25_000)).await;
        romeo.pings().await;
        sleep(Duration::from_millis(50)).await; // else no time passes
        most = most.max(server.metric("waxwing_budget_held{budget=\"memory\"}"));
    }
    // Those that are ending hold theirs for a moment.
    assert!(most < 10 << 20, "{most} bytes");
    let closed = server.actions("memory", "account", "close");
    assert!(closed > 0 && server.metric("waxwing_overruns_total") > 0, "{closed}");
    // Nothing that was acknowledged is lost: the next session gets all of it, in order.
    let jid = BareJid::parse("juliet@localhost").unwrap();
    ServerControl::close(&server.server, &jid, None).await;
    let given = BTreeSet::from_iter(0..200);
    for juliet in juliets {
        let heard = numbers(&juliet.await.unwrap());
        assert!(heard.iter().all(|n| *n >= 1000 || given.contains(n)));
    }
    let mut juliet = server.online("juliet", "new").await;
    let mut heard = Vec::new();
    while heard.len() < 200 {
        heard.extend(numbers(juliet.hears("</message>").await.as_bytes()));
    }
    assert_eq!(heard, Vec::from_iter(0..200));
    server.close().await;
}
