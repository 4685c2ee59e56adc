//! How long a file is kept depends on what it is for (XEP-0363 §5).

use std::time::Duration;

use crate::client::Client;
use crate::test_server::TestServer;

fn purpose(name: &str, more: &str) -> String {
    format!("<{name} xmlns='urn:xmpp:http:upload:purpose:0' {more}/>")
}

#[tokio::test]
async fn each_purpose_has_its_lifetime() {
    let server = TestServer::new("files.age = \"2 d\"\n").await;
    let mut romeo = Client::new(&server, "romeo").await;
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    let before = |at: &str| purpose("ephemeral", &format!("expire-before='{at}'"));
    // It is 12 o'clock on the first of July.
    let table = [
        ("ephemeral", before("2026-07-01T13:00:00Z"), hour),
        ("ephemeral, in another zone", before("2026-07-01T16:00:00+02:00"), 2 * hour),
        ("ephemeral, not before files.age", before("2026-08-01T00:00:00Z"), 2 * day),
        ("a message", purpose("message", ""), 2 * day),
        ("nothing said", String::new(), 2 * day),
        ("a profile", purpose("profile", ""), Duration::MAX),
        ("permanent", purpose("permanent", ""), Duration::MAX),
    ];
    let mut files = Vec::new();
    for (what, purpose, age) in &table {
        files.push((what, romeo.file(purpose).await, *age));
    }
    let mut passed = Duration::ZERO;
    for until in [hour, 2 * hour, 2 * day, 3650 * day] {
        for (is_end, to) in [(false, until - Duration::from_secs(1)), (true, until)] {
            server.clock.advance(to - passed);
            passed = to;
            for (what, file, age) in &files {
                let status = if *age <= to { 410 } else { 200 };
                assert_eq!(server.get(file, "").await.status, status, "{what} {until:?} {is_end}");
            }
        }
    }
    server.sweep().await;
    for (what, file, age) in &files {
        let status = if *age == Duration::MAX { 200 } else { 404 };
        assert_eq!(server.get(file, "").await.status, status, "{what}");
    }
    server.close().await;
}
