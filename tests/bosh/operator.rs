//! What an operator sees of BOSH, and says to its clients.

use std::sync::Arc;

use crate::TestServer;

/// XEP-0124 §17.2.
#[tokio::test]
async fn clients_are_sent_elsewhere_if_the_operator_says_so() {
    let server = TestServer::new("").await;
    let sid = server.session("ver='1.6' wait='5' hold='1'").await;
    let state = server.server.state();
    let mut config = state.config.load().as_ref().clone();
    config.listen.bosh_see_other_uri = Some("https://new.example/http-bind?a&b".to_owned());
    state.config.store(Arc::new(config));
    for more in ["ver='1.6'", ""] {
        let answer = server.send(&format!("rid='100' to='localhost' {more}"), "").await;
        assert_eq!(answer.status(), "200", "{answer:?}");
        assert_eq!(answer.condition().as_deref(), Some("see-other-uri"));
        assert!(
            answer.body.contains("<uri>https://new.example/http-bind?a&amp;b</uri>"),
            "{answer:?}"
        );
    }
    // A session that has begun goes on.
    let answer = server.send(&format!("sid='{sid}' rid='101' type='terminate'"), "").await;
    assert_eq!(answer.condition(), None, "{answer:?}");
    server.close().await;
}

/// A request counts when it is answered, also one that was held.
#[tokio::test(start_paused = true)]
async fn each_request_is_counted_once() {
    let server = TestServer::new("").await;
    let sid = server.session("ver='1.6' wait='5' hold='1'").await;
    let counted = |status: &str, count: u32| {
        let text = server.server.state().metrics.render();
        let line =
            format!("waxwing_http_requests_total{{route=\"bosh\",status=\"{status}\"}} {count}");
        assert!(text.lines().any(|found| found == line), "{line} is missing in {text}");
    };
    counted("200", 1);
    let held = server.send(&format!("sid='{sid}' rid='101'"), "").await;
    assert_eq!(held.status(), "200", "{held:?}");
    counted("200", 2);
    server.send("sid='unknown' rid='1'", "").await;
    counted("200", 3);
    let refused = server.ask("GET /bosh HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(refused.await.status(), "405");
    counted("405", 1);
    let http = &server.server.state().metrics.http;
    assert_eq!((http.bodies_in.get(), http.bodies_out.get()), (0, 0));
    let bytes = [http.received.get(), http.sent.get()];
    assert!(bytes.iter().all(|bytes| *bytes > 300), "{bytes:?}");
    server.close().await;
}
