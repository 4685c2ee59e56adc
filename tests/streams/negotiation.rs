//! STARTTLS, SASL and resource binding (RFC 6120 §5 to §7).

use super::test_server::{HEADER, STARTTLS, TestServer, bind, plain_auth};

#[tokio::test]
async fn who_authenticates_in_the_clear_is_told_to_encrypt() {
    let server = TestServer::new("").await;
    let mut peer = server.plain().await;
    peer.open().await;
    peer.say(plain_auth("romeo")).await;
    let heard = peer.hears("</failure>").await;
    assert!(heard.contains("<encryption-required/>"), "{heard}");
    let mut peer = peer.secure().await;
    peer.open().await;
    peer.say(plain_auth("romeo")).await;
    peer.hears("<success ").await;
    server.close().await;
}

#[tokio::test]
async fn nothing_said_before_tls_counts_after_it() {
    let server = TestServer::new("").await;
    let mut peer = server.plain().await;
    peer.say(format!("{HEADER}{STARTTLS}{}", plain_auth("romeo"))).await;
    peer.ends_refused("policy-violation").await;
    server.close().await;
}

#[tokio::test]
async fn bytes_one_by_one_and_all_at_once_mean_the_same() {
    let server = TestServer::new("").await;
    let mut peer = server.plain().await;
    for byte in [HEADER, STARTTLS].concat().into_bytes() {
        peer.say([byte]).await;
    }
    peer.hears("</stream:features>").await;
    peer.heard.clear();
    let mut peer = server.plain().await;
    peer.open().await;
    let mut peer = peer.secure().await;
    let ping = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq></stream:stream>";
    let all = [HEADER, &plain_auth("romeo"), HEADER, &bind("romeo"), ping].concat();
    peer.say(all).await;
    let heard = peer.hears_the_end().await;
    assert!(heard.contains("id='p' type='result'"), "{heard}");
    assert!(heard.ends_with("</stream:stream>"), "{heard}");
    let mut peer = server.plain().await.encrypted().await;
    for byte in [&plain_auth("romeo"), HEADER, &bind("rö/meo")].concat().into_bytes() {
        peer.say([byte]).await;
    }
    peer.hears("<jid>romeo@localhost/rö/meo</jid>").await;
    server.close().await;
}

#[tokio::test]
async fn there_is_nothing_but_sasl_before_authentication() {
    let server = TestServer::new("").await;
    let cases = [
        ("<message to='juliet@localhost'/>", "not-authorized"),
        ("<presence/>", "not-authorized"),
        ("<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>", "not-authorized"),
        (STARTTLS, "unsupported-stanza-type"),
        ("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "unsupported-stanza-type"),
        ("hello", "bad-format"),
    ];
    for (said, condition) in cases {
        let mut peer = server.plain().await.encrypted().await;
        peer.say(said).await;
        peer.ends_refused(condition).await;
    }
    let deep = "<a>".repeat(100);
    let long = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}", "A".repeat(17_000));
    for said in [deep, long] {
        let mut peer = server.plain().await.encrypted().await;
        peer.say(said).await;
        peer.ends_refused("policy-violation").await;
    }
    server.close().await;
}

#[tokio::test]
async fn a_stream_error_is_not_answered_with_one() {
    let server = TestServer::new("").await;
    let error = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let mut negotiating = server.plain().await;
    negotiating.open().await;
    let session = server.login("romeo").await;
    for mut peer in [negotiating, session] {
        peer.say(error).await;
        assert_eq!(peer.hears_the_end().await, "</stream:stream>");
    }
    server.close().await;
}
