//! The headers of streams, and the end of streams (RFC 6120 §4).

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use waxwing::host::command::ServerControl;
use waxwing::jid::BareJid;
use waxwing::storage::MemoryStorage;

use super::panicking_storage::PanickingStorage;
use super::test_server::{HEADER, PATIENCE, STARTTLS, TestServer, bind, messages, plain_auth};

#[tokio::test]
async fn a_header_that_is_wrong_is_told_so_on_an_open_stream() {
    let server = TestServer::new("").await;
    let with = |what: &str, instead: &str| HEADER.replace(what, instead);
    let cases = [
        (with("to='localhost'", ""), "improper-addressing"),
        (with("to='localhost'", "to='montague.lit'"), "host-unknown"),
        (with("to='localhost'", "to='romeo@localhost'"), "host-unknown"),
        (with("version='1.0'", ""), "unsupported-version"),
        (with("version='1.0'", "version='0.9'"), "unsupported-version"),
        (with("version='1.0'", "version='new'"), "unsupported-version"),
        (with("='jabber:client'", "='jabber:server'"), "invalid-namespace"),
        (with("etherx.jabber.org", "jabber.org"), "invalid-namespace"),
        (with("xmlns:stream", "xmlns:other"), "bad-namespace-prefix"),
        (with("<stream:stream", "<stream:beam"), "bad-format"),
        (with("version='1.0' to", "version='1.0' version='1.0' to"), "not-well-formed"),
        (format!("<?xml version='1.0' encoding='iso-8859-1'?>{HEADER}"), "unsupported-encoding"),
        (format!("<?xml version='1.1'?>{HEADER}"), "not-well-formed"),
        (format!("<!DOCTYPE stream>{HEADER}"), "restricted-xml"),
        (format!("<!-- -->{HEADER}"), "restricted-xml"),
        (format!("<?php?>{HEADER}"), "restricted-xml"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "bad-format"),
        ("<message/>".to_owned(), "bad-format"),
        (HEADER.replace('>', "/>"), "bad-format"),
        ("</stream:stream>".to_owned(), "not-well-formed"),
    ];
    for (header, condition) in cases {
        let mut peer = server.plain().await;
        peer.say(&header).await;
        let heard = peer.ends_refused(condition).await;
        assert!(heard.starts_with("<?xml version='1.0'?><stream:stream "), "{header}: {heard}");
        assert_eq!(heard.matches("<stream:stream ").count(), 1, "{header}: {heard}");
    }
    let mut peer = server.plain().await;
    let wide: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_be_bytes).collect();
    peer.say(wide).await;
    peer.ends_refused("unsupported-encoding").await;
    server.close().await;
}

#[tokio::test]
async fn headers_of_all_styles_are_understood() {
    let server = TestServer::new("").await;
    let with = |what: &str, instead: &str| HEADER.replace(what, instead);
    let headers = [
        format!("<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\r\n{HEADER}"),
        format!("\n {HEADER}"),
        with("to='localhost'", "to='LOCALHOST' from='romeo@localhost'"),
        with("version='1.0'", "version='1.1'"),
        with("version='1.0'", "version='2.0' xml:lang='it' id='mine'"),
        with("stream:stream", "s:stream").replace("xmlns:stream", "xmlns:s"),
        with("xmlns='jabber:client'", "xmlns:c='jabber:client'"),
        // RFC 6120 §4.8.2: each stanza has its own namespace.
        "<stream xmlns='http://etherx.jabber.org/streams' version='1.0' to='localhost'>".to_owned(),
    ];
    for header in headers {
        let mut peer = server.plain().await;
        peer.say(&header).await;
        let heard = peer.hears("</stream:features>").await;
        assert!(heard.contains(" version='1.0'"), "{header}: {heard}");
        peer.say(STARTTLS).await;
        peer.hears("<proceed ").await;
    }
    server.close().await;
}

#[tokio::test]
async fn a_stream_without_a_default_namespace_carries_stanzas() {
    let server = TestServer::new("").await;
    let header = "<stream xmlns='http://etherx.jabber.org/streams' version='1.0' to='localhost'>";
    let mut peer = server.plain().await.encrypted().await;
    peer.say(plain_auth("romeo")).await;
    peer.hears("<success ").await;
    peer.say(header).await;
    peer.hears("</stream:features>").await;
    peer.say(bind("romeo").replace("<iq ", "<iq xmlns='jabber:client' ")).await;
    peer.hears("<jid>romeo@localhost/romeo</jid>").await;
    peer.say("</stream>").await;
    assert!(peer.hears_the_end().await.ends_with("</stream:stream>"));
    server.close().await;
}

#[tokio::test]
async fn a_panic_ends_one_connection_and_no_other() {
    let server = TestServer::on(Arc::new(PanickingStorage(MemoryStorage::new())), "").await;
    let mut juliet = server.login("juliet").await;
    let mut romeo = server.login("romeo").await;
    romeo.say("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
    romeo.hears_the_end().await;
    juliet.say(messages("juliet@localhost/juliet", 7..8, "still here")).await;
    juliet.hears("still here").await;
    let romeo = BareJid::parse("romeo@localhost").unwrap();
    let sessions = &server.server.state().sessions;
    timeout(PATIENCE, async {
        while !sessions.of(&romeo).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the session of the panic is gone");
    server.login("romeo").await;
    server.close().await;
}

#[tokio::test]
async fn who_is_closed_by_the_operator_is_told_why() {
    let server = TestServer::new("").await;
    let romeo = server.login("romeo").await;
    let jid = BareJid::parse("romeo@localhost").unwrap();
    assert_eq!(ServerControl::close(&server.server, &jid, Some("back at noon < 1")).await, 1);
    let heard = romeo.ends_refused("policy-violation").await;
    assert!(heard.contains(">back at noon &lt; 1</text>"), "{heard}");
    server.close().await;
}

/// RFC 6120 §8.1.5.
#[tokio::test]
async fn a_stanza_that_names_no_language_has_that_of_its_stream() {
    let server = TestServer::new("").await;
    let mut peer = server.plain().await.encrypted().await;
    peer.say(plain_auth("romeo")).await;
    peer.hears("<success ").await;
    peer.say(HEADER.replace("version=", "xml:lang='it' version=")).await;
    peer.hears("</stream:features>").await;
    peer.say(bind("romeo")).await;
    peer.hears("</iq>").await;
    let to_self = "<message to='romeo@localhost/romeo' type='chat'><body>ciao</body></message>";
    peer.say(to_self).await;
    assert!(peer.hears("</message>").await.contains(" xml:lang='it'"));
    peer.say(to_self.replace("type=", "xml:lang='en' type=")).await;
    assert!(peer.hears("</message>").await.contains(" xml:lang='en'"));
    server.close().await;
}

#[tokio::test]
async fn at_the_end_of_the_server_each_stream_is_told_on_an_open_stream() {
    let server = TestServer::new("").await;
    let silent = server.plain().await;
    let mut opened = server.plain().await;
    opened.open().await;
    let mut again = server.plain().await.encrypted().await;
    again.say(plain_auth("romeo")).await;
    again.hears("<success ").await;
    again.hears("/>").await;
    let session = server.login("juliet").await;
    // It has been accepted when later ones have been answered.
    let tasks = server.tasks.clone();
    let stopped = tokio::join!(
        tasks.stop(Duration::from_secs(10)),
        silent.ends_refused("system-shutdown"),
        opened.ends_refused("system-shutdown"),
        again.ends_refused("system-shutdown"),
        session.ends_refused("system-shutdown"),
    );
    assert!(stopped.0.is_empty());
    assert!(stopped.1.contains("<stream:stream "), "{}", stopped.1);
    assert!(!stopped.2.contains("<stream:stream "), "{}", stopped.2);
    assert!(stopped.3.contains("<stream:stream "), "{}", stopped.3);
    assert!(!stopped.4.contains("<stream:stream "), "{}", stopped.4);
}

/// Dino that sees TLS break off does not come back. An end of the stream would be a logout.
#[tokio::test]
async fn at_the_end_of_the_server_who_can_resume_sees_the_end_of_tls_alone() {
    let server = TestServer::new("").await;
    let mut juliet = server.login("juliet").await;
    juliet.enable().await;
    let (stopped, read) = tokio::join!(
        server.tasks.stop(Duration::from_secs(10)),
        timeout(PATIENCE, juliet.reader.read_to_end(&mut juliet.heard)),
    );
    assert!(stopped.is_empty());
    let heard = String::from_utf8_lossy(&juliet.heard);
    assert!(read.is_ok_and(|read| read.is_ok()), "TLS breaks off after {heard}");
    assert!(!heard.contains("stream:"), "{heard}");
}
