//! All that is wrong with requests.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::test_server::{JSON, TestServer, user};

#[tokio::test]
async fn nobody_does_what_no_token_allows() {
    let server = TestServer::new("").await;
    let (read, send) =
        (server.token("romeo", "read", None).await, server.token("romeo", "send", None).await);
    let message = r#"{"to": "juliet@localhost", "body": "x"}"#;
    for token in
        ["", "x", "waxwing_", "Bearer", &read[1..], &format!("{read}x"), &read.to_uppercase()]
    {
        for request in ["GET /api/v1/messages", "GET /api/v1/events", "POST /api/v1/messages"] {
            let answer = server.ask(token, request, message).await;
            assert_eq!((answer.status, answer.problem()), (401, "unauthorized"), "{token}");
            assert!(answer.head.contains("www-authenticate: bearer realm="), "{answer:?}");
        }
    }
    // Not in the address, and not in another scheme.
    let answer = server.get("", &format!("messages?access_token={read}")).await;
    assert_eq!(answer.problem(), "unauthorized");
    for line in [
        format!("Basic {read}"),
        read.clone(),
        format!("Bearer {read}\r\nAuthorization: Bearer {read}"),
    ] {
        let request = format!("GET /api/v1/messages\r\nAuthorization: {line}\r\n");
        assert_eq!(server.ask("", &request, "").await.problem(), "unauthorized", "{line}");
    }
    for (token, request) in [
        (&send, "GET /api/v1/messages"),
        (&send, "GET /api/v1/events"),
        (&read, "POST /api/v1/messages"),
    ] {
        let answer = server.ask(token, request, message).await;
        assert_eq!((answer.status, answer.problem()), (403, "lacks-scope"), "{request}");
        assert!(answer.head.contains("error=\"insufficient_scope\""), "{answer:?}");
    }
    let archive = server.server.state().storage.archive();
    assert_eq!(archive.waiting_count(&user("juliet")).await.unwrap(), 0);
    server.server.state().running.get().unwrap().remove_account(&user("romeo")).await.unwrap();
    assert_eq!(server.get(&read, "messages").await.problem(), "unauthorized");
    server.close().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn each_mistake_has_its_problem() {
    let server = TestServer::new("").await;
    let token = server.token("romeo", "read send", None).await;
    let get = async |path: &str| {
        let answer = server.get(&token, path).await;
        let problem = answer.problem().to_owned();
        (answer.status, problem)
    };
    let is = |status: u16, problem: &str| (status, problem.to_owned());
    for path in ["", "x", "messages/", "messages/x", "../v1/messages", "openapi", "openapi.json/"] {
        assert_eq!(get(path).await, is(404, "not-found"), "{path}");
    }
    for query in [
        "when=1",
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1&limit=2",
        "with=@",
        "with=%ff",
        "after=x",
        "after=",
        "before=zzzzzzzzzzzzzzzz",
    ] {
        assert_eq!(get(&format!("messages?{query}")).await, is(400, "bad-request"), "{query}");
    }
    for query in ["limit=1", "last_event_id=x", "with=@"] {
        assert_eq!(get(&format!("events?{query}")).await, is(400, "bad-request"), "{query}");
    }
    let request = "GET /api/v1/events\r\nLast-Event-ID: yesterday\r\n";
    assert_eq!(server.ask(&token, request, "").await.problem(), "bad-request");
    for (request, allow) in [
        ("DELETE /api/v1/messages", "get, head, post"),
        ("OPTIONS /api/v1/messages", "get, head, post"),
        ("POST /api/v1/events", "get"),
        ("PUT /api/v1/openapi.json", "get, head"),
    ] {
        let answer = server.ask(&token, request, "").await;
        assert_eq!((answer.status, answer.problem()), (405, "method-not-allowed"), "{request}");
        assert!(answer.head.contains(&format!("allow: {allow}\r\n")), "{answer:?}");
    }
    let message = r#"{"to": "juliet@localhost", "body": "x"}"#;
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/jsonx\r\n"] {
        let answer = server.ask(&token, &format!("POST /api/v1/messages\r\n{kind}"), message).await;
        assert_eq!((answer.status, answer.problem()), (415, "unsupported-media-type"), "{kind}");
    }
    for body in [
        "",
        "{",
        "[]",
        "{}",
        "\u{0}",
        r#"{"to": "juliet@localhost"}"#,
        r#"{"to": "juliet@localhost", "body": "x", "type": "error"}"#,
        r#"{"to": "juliet@localhost", "body": "x", "colour": "red"}"#,
        r#"{"to": "juliet@localhost", "body": "x\u0000"}"#,
        r#"{"to": "juliet@@localhost", "body": "x"}"#,
    ] {
        let answer = server.send(&token, body).await;
        assert_eq!((answer.status, answer.problem()), (400, "bad-request"), "{body}");
        assert!(answer.json["detail"].is_string(), "{answer:?}");
    }
    let long = format!(r#"{{"to": "juliet@localhost", "body": "{}"}}"#, "x".repeat(1 << 20));
    let answer = server.send(&token, &long).await;
    assert_eq!((answer.status, answer.problem()), (413, "too-large"));
    server.close().await;
}

#[tokio::test]
async fn a_message_that_is_refused_is_told_with_its_condition() {
    let server = TestServer::new("").await;
    let token = server.token("romeo", "read send", None).await;
    for (to, condition) in [
        ("nobody@localhost", "service-unavailable"),
        ("localhost", "service-unavailable"),
        ("garden@conference.localhost", "not-acceptable"),
    ] {
        let answer =
            server.send(&token, &format!(r#"{{"to": "{to}", "body": "x", "id": "{to}"}}"#)).await;
        assert_eq!((answer.status, answer.problem()), (422, "not-delivered"), "{to}");
        let told = answer.json["condition"].as_str().unwrap();
        assert_eq!(told, condition, "{to}");
    }
    let all = server.get(&token, "messages").await;
    assert_eq!(all.json["messages"].as_array().unwrap().len(), 0, "{all:?}");
    // One that was refused may be sent again with its id.
    let again =
        server.send(&token, r#"{"to": "juliet@localhost", "body": "x", "id": "localhost"}"#);
    assert_eq!(again.await.status, 201);
    server.close().await;
}

#[tokio::test]
async fn only_pages_that_are_named_may_use_it() {
    let server = TestServer::new("[api]\norigins = [\"https://bot.example\"]").await;
    let token = server.token("romeo", "read", None).await;
    for (origin, is_allowed) in [("https://bot.example", true), ("https://other.example", false)] {
        for (method, status) in [("GET", 200), ("OPTIONS", if is_allowed { 204 } else { 405 })] {
            let request = format!("{method} /api/v1/messages\r\nOrigin: {origin}\r\n");
            let answer = server.ask(&token, &request, "").await;
            assert_eq!(answer.status, status, "{answer:?}");
            let line = format!("access-control-allow-origin: {origin}\r\n");
            assert_eq!(answer.head.contains(&line), is_allowed, "{answer:?}");
        }
    }
    server.close().await;
    let server = TestServer::new("").await;
    let request = "GET /api/v1/openapi.json\r\nOrigin: https://bot.example\r\n";
    let answer = server.ask("", request, "").await;
    assert_eq!((answer.status, &answer.json["openapi"]), (200, &"3.1.0".into()));
    assert!(!answer.head.contains("access-control"), "{answer:?}");
    server.close().await;
}

#[tokio::test]
async fn it_can_be_switched_off_and_needs_tls_and_an_archive() {
    let server = TestServer::new("[api]\nenabled = false").await;
    let token = server.token("romeo", "read", None).await;
    for path in ["messages", "events", "openapi.json"] {
        assert_eq!(server.get(&token, path).await.problem(), "not-found", "{path}");
    }
    server.close().await;
    let server = TestServer::new("proxies = []").await;
    let token = server.token("romeo", "read", None).await;
    let answer = server.get(&token, "messages").await;
    assert_eq!((answer.status, answer.problem()), (403, "not-secure"));
    server.close().await;
    let server = TestServer::new("[archive]\nenabled = false").await;
    let token = server.token("romeo", "read send", None).await;
    for path in ["messages", "events"] {
        assert_eq!(server.get(&token, path).await.problem(), "archive-off", "{path}");
    }
    let sent = server.send(&token, r#"{"to": "juliet@localhost", "body": "x"}"#).await;
    assert_eq!((sent.status, &sent.json["stanza_id"]), (201, &serde_json::Value::Null));
    server.close().await;
}

/// A body that does not come is waited for half a minute.
#[tokio::test(start_paused = true)]
async fn a_body_must_come_in_time() {
    let server = TestServer::new("").await;
    let token = server.token("romeo", "send", None).await;
    let mut io = server.connect();
    let head = format!(
        "POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{JSON}\
         Authorization: Bearer {token}\r\nContent-Length: 50\r\n\r\n{{"
    );
    io.write_all(head.as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut all = String::new();
    io.read_to_string(&mut all).await.unwrap();
    let waited = begun.elapsed().as_secs();
    assert!((30..35).contains(&waited), "{waited} s");
    assert!(
        all.starts_with("HTTP/1.1 408 ") && all.contains("urn:waxwing:problem:too-slow"),
        "{all}"
    );
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_account_over_its_budget_must_wait() {
    let server = TestServer::new("[budgets]\nwork_per_account = 10\nburst = \"1 s\"").await;
    let token = server.token("romeo", "send read", None).await;
    let mut statuses = Vec::new();
    for n in 0..20 {
        let body = format!(r#"{{"to": "juliet@localhost", "body": "{n}"}}"#);
        let all = join_all((0..12).map(|_| server.send(&token, &body))).await;
        statuses.extend(all.iter().map(|answer| answer.status));
        if statuses.contains(&429) {
            break;
        }
    }
    assert!(statuses.contains(&201) && statuses.contains(&429), "{statuses:?}");
    crate::pass::pass(std::time::Duration::from_secs(600)).await;
    let body = r#"{"to": "juliet@localhost", "body": "later"}"#;
    let request = format!("POST /api/v1/messages\r\n{JSON}");
    assert_eq!(server.ask(&token, &request, body).await.status, 201);
    server.close().await;
}
