//! Traffic and work.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use waxwing::host::command::ServerControl;
use waxwing::jid::BareJid;

use super::peer::Peer;
use super::test_server::{HOME, TestServer, message};

#[tokio::test(start_paused = true)]
async fn who_sends_too_much_is_read_from_later_and_everything_else_goes_on() {
    let options = "[budgets]\ntraffic_per_account = '64 KiB'\nburst = '10 s'\n";
    let server = TestServer::new(options).await;
    let mut tybalt = server.login("tybalt", "street", HOME).await;
    tybalt.say("<enable xmlns='urn:xmpp:sm:3'/>").await;
    tybalt.hears("<enabled ").await;
    let (began, before) = (Instant::now(), server.metric("waxwing_received_bytes_total"));
    let Peer { reader, mut writer, .. } = tybalt;
    let flood = tokio::spawn(async move {
        for number in 0.. {
            let bytes = message("juliet@localhost/nowhere", "headline", number, 20_000);
            if writer.write_all(bytes.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let listening = tokio::spawn(async move {
        let (mut reader, mut heard) = (reader, Vec::new());
        drop(reader.read_to_end(&mut heard).await);
        heard
    });
    sleep(Duration::from_secs(100)).await;
    // One session has half of what its account has: ten seconds at once, and a hundred more.
    let bytes = server.metric("waxwing_received_bytes_total") - before;
    assert!((100 << 15..112 << 15).contains(&bytes), "{bytes} bytes");
    assert!(server.actions("traffic", "session", "delay") > 0);
    // Others are not slowed, and neither is an order to close.
    let mut romeo = server.online("romeo", "orchard").await;
    assert_eq!(romeo.pings().await, Duration::ZERO);
    let now = Instant::now();
    let jid = BareJid::parse("tybalt@localhost").unwrap();
    assert_eq!(ServerControl::close(&server.server, &jid, None).await, 1);
    let heard = String::from_utf8(listening.await.unwrap()).unwrap();
    assert!(heard.contains("<policy-violation "), "{heard}");
    assert!(now.elapsed() < Duration::from_secs(5), "{:?}", now.elapsed());
    assert!(heard.contains("<a xmlns='urn:xmpp:sm:3' h='"), "it is told what was handled");
    assert!(began.elapsed() < Duration::from_secs(120));
    flood.abort();
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn who_sets_too_much_going_waits_unless_exempt_and_bounds_change_at_a_reload() {
    let options = "[budgets]\nwork_per_account = 100\nburst = '10 s'\n";
    let server = TestServer::new(options).await;
    let _juliet = server.online("juliet", "balcony").await.drain();
    let flood = |count| -> String {
        (0..count).map(|n| message("juliet@localhost", "chat", n, 5)).collect()
    };
    let mut tybalt = server.login("tybalt", "street", HOME).await;
    let began = Instant::now();
    tybalt.say(flood(200)).await;
    tybalt.pings().await;
    // A message, one delivery, two archives: ten steps. Fifty a second are for one session.
    let steps = 200 * 10;
    let waited = began.elapsed().as_secs_f64();
    assert!((waited - (f64::from(steps) / 50.0 - 10.0)).abs() < 2.0, "{waited} s");
    assert!(server.actions("work", "session", "delay") > 0);
    server.reload("[budgets]\nwork_per_account = 0\n");
    sleep(Duration::from_secs(1)).await; // it waits already
    let began = Instant::now();
    tybalt.say(flood(500)).await;
    tybalt.pings().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    server.reload(
        "[budgets]\nwork_per_account = 100\nburst = '10 s'\nexempt = ['romeo@localhost']\n",
    );
    let mut romeo = server.login("romeo", "orchard", HOME).await;
    let began = Instant::now();
    romeo.say(flood(500)).await;
    romeo.pings().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_would_wait_for_too_long_is_closed() {
    let server = TestServer::new("").await;
    for number in 0..15 {
        server.online("juliet", &format!("r{number}")).await.drain();
    }
    let mut tybalts = Vec::new();
    for number in 0..5 {
        tybalts.push(server.login("tybalt", &format!("r{number}"), HOME).await);
    }
    server.reload("[budgets]\nwork_per_account = 1\nburst = '1 s'\n");
    let mut ends = Vec::new();
    for mut tybalt in tybalts {
        tybalt.say(message("juliet@localhost", "chat", 1, 5)).await;
        ends.push(tybalt.drain());
    }
    // A message brings about fifteen deliveries: five of them are more than a minute's work.
    let mut closed = 0;
    for end in ends {
        match timeout(Duration::from_secs(10), end).await {
            Ok(heard) => {
                let heard = String::from_utf8(heard.unwrap()).unwrap();
                assert!(heard.contains("<policy-violation "), "{heard}");
                closed += 1;
            }
            Err(_) => assert_eq!(closed, 0, "the others wait"),
        }
    }
    assert!((1..5).contains(&closed), "{closed}");
    assert_eq!(server.actions("work", "account", "close"), closed);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn ordinary_users_meet_no_budget() {
    let server = TestServer::new("").await;
    let _juliet = server.online("juliet", "balcony").await.drain();
    let mut romeo = server.login("romeo", "orchard", HOME).await;
    let began = Instant::now();
    // A roster of a thousand, made by an import, and a login with it.
    for number in 0..1000 {
        let item = format!(
            "<iq type='set' id='r{number}'><query xmlns='jabber:iq:roster'>\
             <item jid='contact{number}@localhost'/></query></iq>\
             <presence to='contact{number}@localhost' type='subscribe'/>"
        );
        romeo.say(item).await;
        romeo.hears(&format!("id='r{number}'")).await;
    }
    for _ in 0..20 {
        romeo.say("<presence/>").await;
        romeo.pings().await;
    }
    // A file of a thousand lines, pasted line by line.
    for number in 0..1000 {
        romeo.say(message("juliet@localhost", "chat", number, 80)).await;
    }
    // Ten pictures in vCards.
    for _ in 0..10 {
        let photo = "A".repeat(100 * 1024);
        romeo
            .say(format!(
                "<iq type='set' id='v'><vCard xmlns='vcard-temp'><PHOTO><BINVAL>{photo}</BINVAL>\
                 </PHOTO></vCard></iq>"
            ))
            .await;
        romeo.hears("id='v'").await;
    }
    romeo.pings().await;
    assert_eq!((server.all_actions(), began.elapsed()), (0, Duration::ZERO));
    // A bot that writes two messages a second.
    for number in 0..300 {
        romeo.say(message("juliet@localhost", "chat", number, 200)).await;
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(server.all_actions(), 0);
    server.close().await;
}
