//! Requests that are too large or too slow, and clients that stop sending.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::pass::pass;
use super::{TestServer, body, post, read};

#[tokio::test]
async fn a_request_that_is_too_large_or_never_ends_is_refused() {
    let server = TestServer::new("").await;
    let sid = server.session("ver='1.6'").await;
    let large = format!("<a>{}</a>", "x".repeat(40_000));
    let answer = server.send("rid='1' to='localhost'", &large).await;
    assert_eq!(answer.status(), "413", "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    // A session cannot go on without one of its requests, and says so.
    let answer = server.send(&format!("rid='101' sid='{sid}'"), &large).await;
    assert_eq!(answer.status(), "200", "{answer:?}");
    assert_eq!(answer.condition().as_deref(), Some("policy-violation"));
    let answer = server.send(&format!("rid='101' sid='{sid}'"), "").await;
    assert_eq!(answer.condition().as_deref(), Some("item-not-found"));
    let begun = Instant::now();
    tokio::time::pause();
    let half = post(&body("rid='1' to='localhost'", ""), "");
    let answer = server.ask(&half[..half.len() - 10]).await;
    assert_eq!(answer.status(), "408", "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    // What it still sends is read for two seconds.
    assert!(begun.elapsed() <= Duration::from_secs(63));
    server.close().await;
}

/// A long request over a slow line comes as slowly as it may over TCP: a second for each KiB.
#[tokio::test(start_paused = true)]
async fn a_long_request_has_more_time() {
    let server = TestServer::new("").await;
    let whole =
        post(&body("rid='1' to='localhost'", &format!("<a>{}</a>", "x".repeat(20_000))), "");
    for (pause, status) in [(3, "200"), (6, "408")] {
        let mut io = server.begin("").await;
        for piece in whole.as_bytes().chunks(1000) {
            if io.write_all(piece).await.is_err() {
                break;
            }
            pass(Duration::from_secs(pause)).await;
        }
        let answer = read(io).await;
        assert_eq!(answer.status(), status, "{answer:?}");
    }
    server.close().await;
}

/// A client that shuts down its sending side may be gone, or wait for this answer. It gets one at once, with nothing in
/// it that could be lost.
#[tokio::test(start_paused = true)]
async fn a_client_that_has_shut_down_its_sending_side_is_answered() {
    let server = TestServer::new("").await;
    let sid = server.session("ver='1.6' wait='20'").await;
    for (rid, after, keeps) in [(101, 0, false), (102, 3, true), (103, 3, false)] {
        let mut request = post(&body(&format!("rid='{rid}' sid='{sid}'"), ""), "");
        if keeps {
            request = request.replace("Connection: close\r\n", "");
        }
        let mut io = server.begin(&request).await;
        pass(Duration::from_secs(after)).await;
        let begun = Instant::now();
        io.shutdown().await.unwrap();
        let answer = read(io).await;
        assert_eq!(answer.status(), "200", "{rid}: {answer:?}");
        assert_eq!(answer.body, "<body xmlns='http://jabber.org/protocol/httpbind'/>");
        assert!(begun.elapsed() < Duration::from_secs(2), "{rid}: {:?}", begun.elapsed());
    }
    server.close().await;
}
