//! The same budgets for clients in browsers: over WebSocket and over BOSH.

#[path = "../support/bosh.rs"]
mod bosh;
#[path = "../support/element.rs"]
#[expect(dead_code, reason = "others read elements, too")]
mod element;

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::peer::Peer;
use super::test_server::{PATIENCE, TestServer, auth, enter, message};

/// A message to Juliet makes ten steps: itself, one delivery, two archives. Fifty a second are for one session, and
/// those of ten seconds at once.
const BUDGET: &str = "[budgets]\nwork_per_account = 100\nburst = '10 s'\n";
const MESSAGES: usize = 200;
const SECONDS: f64 = 200.0 * 10.0 / 50.0 - 10.0;

/// A connection of a browser, through a reverse proxy.
fn connect(server: &TestServer) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    server.server.connect(Box::new(theirs), "http");
    ours
}

#[tokio::test(start_paused = true)]
async fn over_bosh_a_client_has_the_same_budgets() {
    let server = Arc::new(TestServer::new(BUDGET).await);
    let _juliet = server.online("juliet", "balcony").await.drain();
    let at = Arc::clone(&server);
    let io = bosh::bridge(move || connect(&at));
    let mut tybalt = Peer { patience: PATIENCE, ..Peer::new(io) };
    tybalt.open().await;
    let mut tybalt = enter(tybalt, "tybalt", "street").await;
    let began = Instant::now();
    let flood = |n| message("juliet@localhost", "chat", n, 5);
    tybalt.say((0..MESSAGES).map(flood).collect::<String>()).await;
    tybalt.pings().await;
    let waited = began.elapsed().as_secs_f64();
    assert!((waited - SECONDS).abs() < 3.0, "{waited} s");
    assert!(server.actions("work", "session", "delay") > 0);
    // Bytes: half of what the account has, and what was not used for ten seconds.
    server.reload(
        "[budgets]\nwork_per_account = 0\ntraffic_per_account = '64 KiB'\nburst = '10 s'\n",
    );
    sleep(PATIENCE).await;
    let before = server.metric("waxwing_received_bytes_total");
    let flood = |n| message("juliet@localhost/nowhere", "headline", n, 20_000);
    let began = Instant::now();
    // A request has so much.
    for batch in 0..10 {
        tybalt.say((batch * 10..batch * 10 + 10).map(flood).collect::<String>()).await;
        tybalt.pings().await;
    }
    let bytes = server.metric("waxwing_received_bytes_total") - before;
    let expected = bytes as f64 / f64::from(1 << 15) - 10.0;
    let waited = began.elapsed().as_secs_f64();
    // The pause after the last batch may come after the answer to its ping.
    assert!((waited - expected).abs() < 10.0, "{waited} s for {bytes} bytes, {expected} s");
    assert!(server.actions("traffic", "session", "delay") > 0);
    assert_eq!(server.server.state().metrics.panics.get(), 0);
}

/// Says something over WebSocket, and waits for this answer.
async fn ask(socket: &mut WebSocketStream<DuplexStream>, text: String, wanted: &str) {
    socket.send(Message::text(text)).await.unwrap();
    loop {
        let came = timeout(PATIENCE, socket.next()).await.unwrap();
        if came.unwrap().unwrap().to_text().unwrap().contains(wanted) {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn over_websocket_a_client_has_the_same_budgets() {
    let server = TestServer::new(BUDGET).await;
    let _juliet = server.online("juliet", "balcony").await.drain();
    let mut request = "ws://localhost/ws".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("xmpp"));
    let (mut tybalt, _) = client_async(request, connect(&server)).await.unwrap();
    let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
    ask(&mut tybalt, open.to_owned(), "features").await;
    ask(&mut tybalt, auth("tybalt", "secret"), "<success ").await;
    ask(&mut tybalt, open.to_owned(), "features").await;
    let bind = "<iq xmlns='jabber:client' type='set' id='bind'>\
                <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    ask(&mut tybalt, bind.to_owned(), "bind").await;
    let began = Instant::now();
    for n in 0..MESSAGES {
        let message = message("juliet@localhost", "chat", n, 5);
        let message = message.replacen("<message", "<message xmlns='jabber:client'", 1);
        tybalt.send(Message::text(message)).await.unwrap();
    }
    let ping = "<iq xmlns='jabber:client' type='get' id='ping' to='localhost'>\
                <ping xmlns='urn:xmpp:ping'/></iq>";
    ask(&mut tybalt, ping.to_owned(), "id='ping'").await;
    let waited = began.elapsed().as_secs_f64();
    assert!((waited - SECONDS).abs() < 3.0, "{waited} s");
    assert!(server.actions("work", "session", "delay") > 0);
    drop(tybalt);
    server.close().await;
}
