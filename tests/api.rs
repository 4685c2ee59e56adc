//! The HTTP API: programs send messages, read the archive and follow it.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

#[path = "api/bad.rs"]
mod bad;
#[path = "support/pass.rs"]
mod pass;
#[path = "api/rooms.rs"]
mod rooms;
#[path = "api/test_server.rs"]
mod test_server;

use std::time::Duration;

use pass::pass;
use serde_json::json;
use test_server::{TestServer, user};

#[tokio::test]
async fn a_message_is_sent_and_read_by_both() {
    let server = TestServer::new("").await;
    let token = server.token("romeo", "send read", None).await;
    let sent = server
        .send(&token, r#"{"to": "juliet@localhost", "body": "soft", "id": "7", "thread": "t"}"#)
        .await;
    assert_eq!(sent.status, 201, "{sent:?}");
    assert_eq!((&sent.json["id"], &sent.json["to"]), (&json!("7"), &json!("juliet@localhost")));
    let id = sent.json["stanza_id"].as_str().unwrap();
    let own = server.get(&token, "messages").await;
    assert_eq!(own.status, 200, "{own:?}");
    assert_eq!(own.json["complete"], true);
    let [message] = own.json["messages"].as_array().unwrap().as_slice() else { panic!("{own:?}") };
    for (name, value) in [
        ("stanza_id", json!(id)),
        ("direction", json!("sent")),
        ("with", json!("juliet@localhost")),
        ("id", json!("7")),
        ("type", json!("chat")),
        ("body", json!("soft")),
        ("thread", json!("t")),
        ("encrypted", json!(false)),
        ("at", json!("2026-12-01T00:00:00.000Z")),
    ] {
        assert_eq!(message[name], value, "{name}: {message}");
    }
    let hers = server.token("juliet", "read", None).await;
    let received = server.get(&hers, "messages?with=romeo@localhost").await;
    let message = &received.json["messages"][0];
    assert_eq!(message["direction"], "received", "{received:?}");
    assert!(message["from"].as_str().unwrap().starts_with("romeo@localhost/api-"), "{message}");
    let waiting = server.server.state().storage.archive().waiting_count(&user("juliet")).await;
    assert_eq!(waiting.unwrap(), 1, "her client gets it, too");
    assert_eq!(server.server.state().sessions.count(), 0);
    server.close().await;
}

#[tokio::test]
async fn an_id_is_sent_once() {
    let server = TestServer::new("").await;
    let token = server.token("romeo", "send read", None).await;
    let body = r#"{"to": "juliet@localhost", "body": "once", "id": "a"}"#;
    let (first, second) = tokio::join!(server.send(&token, body), server.send(&token, body));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert!(statuses == [200, 201] || statuses == [201, 409], "{statuses:?}");
    let again = server.send(&token, body).await;
    assert_eq!(again.status, 200);
    let other = server.send(&token, &body.replace("once", "twice")).await;
    assert_eq!((other.status, other.problem()), (409, "id-conflict"));
    let all = server.get(&token, "messages").await;
    assert_eq!(all.json["messages"].as_array().unwrap().len(), 1, "{all:?}");
    assert_eq!(all.json["messages"][0]["stanza_id"], again.json["stanza_id"]);
    // Without an id, each is a message of its own.
    let body = r#"{"to": "juliet@localhost", "body": "once"}"#;
    let (one, two) = (server.send(&token, body).await, server.send(&token, body).await);
    assert_ne!(one.json["id"], two.json["id"]);
    server.close().await;
}

#[tokio::test]
async fn the_archive_is_read_page_by_page() {
    let server = TestServer::new("").await;
    let token = server.token("romeo", "send,read", None).await;
    for n in 0..5 {
        let to = if n % 2 == 0 { "juliet" } else { "nurse" };
        let body = format!(r#"{{"to": "{to}@localhost", "body": "{n}"}}"#);
        assert_eq!(server.send(&token, &body).await.status, 201);
    }
    let page = async |query: String| {
        let answer = server.get(&token, &format!("messages?{query}")).await;
        let messages = answer.json["messages"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
        let texts: String = messages.iter().map(|m| m["body"].as_str().unwrap()).collect();
        let end = |message: Option<&serde_json::Value>| {
            message.map_or(String::new(), |m| m["stanza_id"].as_str().unwrap().to_owned())
        };
        (texts, answer.json["complete"] == true, end(messages.first()), end(messages.last()))
    };
    let (texts, complete, first, _) = page("limit=2".into()).await;
    assert_eq!((texts.as_str(), complete), ("34", false));
    let (texts, complete, ..) = page(format!("before={first}&limit=9")).await;
    assert_eq!((texts.as_str(), complete), ("012", true));
    let (_, _, first, _) = page(String::new()).await;
    let (texts, complete, _, last) = page(format!("after={first}&limit=3")).await;
    assert_eq!((texts.as_str(), complete), ("123", false));
    let (texts, complete, ..) = page(format!("after={last}&limit=3")).await;
    assert_eq!((texts.as_str(), complete), ("4", true));
    assert_eq!(page("with=nurse%40localhost".into()).await.0, "13");
    assert_eq!(page("with=nobody@localhost".into()).await.0, "");
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_is_an_event() {
    let server = TestServer::new("").await;
    let romeo = server.token("romeo", "send read", None).await;
    let juliet = server.token("juliet", "send read", None).await;
    let send = async |token: &str, to: &str, body: &str| {
        let body = format!(r#"{{"to": "{to}@localhost", "body": "{body}"}}"#);
        let sent = server.send(token, &body).await;
        sent.json["stanza_id"].as_str().unwrap_or_else(|| panic!("{sent:?}")).to_owned()
    };
    send(&romeo, "juliet", "before").await;
    let mut hers = server.follow(&juliet, "", "").await;
    let mut of_nurse = server.follow(&juliet, "?with=nurse@localhost", "").await;
    let one = send(&romeo, "juliet", "one").await;
    let (id, event) = hers.next().await.unwrap();
    assert_eq!(
        (&id, &event["body"], &event["direction"]),
        (&one, &json!("one"), &json!("received"))
    );
    // What her other clients send.
    let two = send(&juliet, "nurse", "two").await;
    let (id, event) = hers.next().await.unwrap();
    assert_eq!((&id, &event["body"], &event["direction"]), (&two, &json!("two"), &json!("sent")));
    assert_eq!(of_nurse.next().await.unwrap().0, two);
    for _ in 0..3 {
        hers.heartbeat().await.unwrap();
    }
    drop(hers);
    // While nobody listens.
    for body in ["three", "four"] {
        send(&romeo, "juliet", body).await;
    }
    let mut again = server.follow(&juliet, "", &format!("Last-Event-ID: {one}\r\n")).await;
    for body in ["two", "three", "four"] {
        assert_eq!(again.next().await.unwrap().1["body"], body);
    }
    send(&romeo, "juliet", "five").await;
    assert_eq!(again.next().await.unwrap().1["body"], "five");
    let mut again = server.follow(&juliet, &format!("?last_event_id={two}"), "").await;
    assert_eq!(again.next().await.unwrap().1["body"], "three");
    drop((again, of_nurse));
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn many_messages_come_in_their_order() {
    let server = TestServer::new("[budgets]\nwork_per_account = 0\ntraffic_per_account = 0").await;
    let romeo = server.token("romeo", "send", None).await;
    let juliet = server.token("juliet", "read", None).await;
    let mut events = server.follow(&juliet, "", "").await;
    let write = async {
        for n in 0..200 {
            let body = format!(r#"{{"to": "juliet@localhost", "body": "{n}"}}"#);
            assert_eq!(server.send(&romeo, &body).await.status, 201);
        }
    };
    let read = async {
        for n in 0..200 {
            assert_eq!(events.next().await.unwrap().1["body"], n.to_string());
        }
    };
    tokio::join!(write, read);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_token_and_with_the_server() {
    let server = TestServer::new("[budgets]\napi_streams_per_account = 2").await;
    let token = server.token("juliet", "read", None).await;
    let short = server.token("juliet", "read", Some(1)).await;
    let (mut one, mut two) =
        (server.follow(&token, "", "").await, server.follow(&short, "", "").await);
    let refused = server.get(&token, "events").await;
    assert_eq!((refused.status, refused.problem()), (429, "too-many"));
    assert!(refused.head.contains("retry-after: 30\r\n"), "{refused:?}");
    server.clock.advance(Duration::from_secs(86_400));
    while two.heartbeat().await.is_some() {}
    assert_eq!(server.get(&short, "messages").await.problem(), "unauthorized");
    one.heartbeat().await.unwrap();
    let tokens = server.server.state().storage.api_tokens();
    for token in tokens.api_tokens(&user("juliet")).await.unwrap() {
        tokens.remove_api_token(&user("juliet"), &token.id).await.unwrap();
    }
    while one.heartbeat().await.is_some() {}
    let token = server.token("romeo", "read", None).await;
    let mut events = server.follow(&token, "", "").await;
    server.close().await;
    while events.heartbeat().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_ends_with_its_token() {
    let server = TestServer::new("").await;
    let reads = server.token("juliet", "read", None).await;
    let sends = server.token("romeo", "send", None).await;
    let mut events = server.follow(&reads, "", "").await;
    let tokens = server.server.state().storage.api_tokens();
    for token in tokens.api_tokens(&user("juliet")).await.unwrap() {
        tokens.remove_api_token(&user("juliet"), &token.id).await.unwrap();
    }
    let mut heard = 0;
    loop {
        let body = r#"{"to": "juliet@localhost", "body": "again"}"#;
        assert_eq!(server.send(&sends, body).await.status, 201);
        if events.next().await.is_none() {
            break;
        }
        heard += 1;
        assert!(heard < 5, "the token is looked at every 15 seconds");
        pass(Duration::from_secs(5)).await;
    }
    server.close().await;
}

#[tokio::test]
async fn a_stream_that_is_lost_before_its_first_event_misses_nothing() {
    let server = TestServer::new("").await;
    let token = server.token("romeo", "send read", None).await;
    let body = r#"{"to": "juliet@localhost", "body": "one"}"#;
    server.send(&token, body).await;
    let events = server.follow(&token, "", "").await;
    let id = events.began.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(events);
    server.send(&token, &body.replace("one", "two")).await;
    let mut events = server.follow(&token, "", &format!("Last-Event-ID: {id}\r\n")).await;
    assert_eq!(events.next().await.unwrap().1["body"], "two");
    server.close().await;
}

#[tokio::test]
async fn what_answers_get_answers_head() {
    let server = TestServer::new("").await;
    let token = server.token("romeo", "send read", None).await;
    for (path, status) in [("messages", 200), ("openapi.json", 200), ("events", 405)] {
        let answer = server.ask(&token, &format!("HEAD /api/v1/{path}"), "").await;
        assert_eq!((answer.status, &answer.json), (status, &json!(null)), "{path}: {answer:?}");
    }
    let wrong = server.ask("nothing", "GET /api/v1/messages", "").await;
    assert!(wrong.head.contains("error=\"invalid_token\""), "{wrong:?}");
    server.close().await;
}

#[tokio::test]
async fn the_use_of_a_token_is_noted() {
    let server = TestServer::new("").await;
    let token = server.token("romeo", "read", None).await;
    let tokens = server.server.state().storage.api_tokens();
    let used = async || tokens.api_tokens(&user("romeo")).await.unwrap()[0].last_used;
    assert_eq!(used().await, None);
    server.get(&token, "messages").await;
    let first = used().await.unwrap();
    for (passes, is_noted) in [(299, false), (1, true)] {
        server.clock.advance(Duration::from_secs(passes));
        server.get(&token, "messages").await;
        assert_eq!(used().await.unwrap() > first, is_noted, "{passes}");
    }
    server.close().await;
}
