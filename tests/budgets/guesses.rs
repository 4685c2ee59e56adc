//! Guesses at passwords.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::test_server::{ATTACKER, HOME, NEW, TestServer};

/// Guesses from one address, on so many connections at the same time, for a minute. Answers how many
/// passwords were told to be wrong, and how many tries were refused.
async fn attack(server: &Arc<TestServer>, name: &'static str, address: String) -> (usize, usize) {
    let (told, refused) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let end = Instant::now() + Duration::from_secs(60);
    let one = |_| {
        let (server, address) = (Arc::clone(server), address.clone());
        let (told, refused) = (Arc::clone(&told), Arc::clone(&refused));
        tokio::spawn(async move {
            while Instant::now() < end {
                let mut peer = server.connect(&address).await;
                while let Some(answer) = peer.tries(name, "guess").await {
                    match answer {
                        "not-authorized" => told.fetch_add(1, Ordering::Relaxed),
                        _ => refused.fetch_add(1, Ordering::Relaxed),
                    };
                    sleep(Duration::from_secs(2)).await;
                    if Instant::now() >= end {
                        break;
                    }
                }
            }
        })
    };
    let all: Vec<_> = (0..60).map(one).collect();
    for one in all {
        one.await.unwrap();
    }
    (told.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn many_connections_make_no_more_guesses_than_one_and_the_owner_gets_in() {
    let server = Arc::new(TestServer::new("").await);
    drop(server.login("juliet", "balcony", HOME).await);
    let attacker = Arc::clone(&server);
    let attack =
        tokio::spawn(async move { attack(&attacker, "juliet", ATTACKER.to_owned()).await });
    sleep(Duration::from_secs(30)).await;
    for (address, longest) in [(HOME, 0), (NEW, 20)] {
        let began = Instant::now();
        let mut owner = server.connect(address).await;
        assert_eq!(owner.tries("juliet", "secret").await, Some("success"), "{address}");
        let waited = began.elapsed();
        assert!(waited <= Duration::from_secs(longest), "{address}: {waited:?}");
    }
    let (told, refused) = attack.await.unwrap();
    // Five at once, five in the minute, and those that waited at its end.
    assert!((5..=13).contains(&told), "{told} guesses in a minute");
    assert!(refused > 100, "{refused}");
    assert!(server.actions("guesses", "address", "error") >= refused as u64);
    assert!(server.actions("guesses", "address", "delay") > 0);
    Arc::into_inner(server).unwrap().close().await;
}

#[tokio::test(start_paused = true)]
async fn guesses_at_an_account_that_does_not_exist_are_counted_alike() {
    let server = Arc::new(TestServer::new("").await);
    let there = attack(&server, "juliet", ATTACKER.to_owned()).await;
    let nowhere = attack(&server, "nobody", NEW.to_owned()).await;
    assert_eq!(there.0, nowhere.0);
    Arc::into_inner(server).unwrap().close().await;
}
