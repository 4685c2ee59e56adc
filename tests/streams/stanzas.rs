//! Stanzas that are wrong, and what becomes of their streams (RFC 6120 §8, §11).

use super::test_server::{TestServer, bind};

#[tokio::test]
async fn what_is_no_good_xml_ends_its_own_stream_and_reaches_nobody() {
    let server = TestServer::new("").await;
    let mut juliet = server.online("juliet").await;
    let body = |body: &str| {
        format!("<message to='juliet@localhost'><body>{body}</body></message>").into_bytes()
    };
    let bytes = |bytes: &[u8]| {
        [b"<message to='juliet@localhost'><body>", bytes, b"</body></message>"].concat()
    };
    let cases = [
        (body("<!-- -->"), "restricted-xml"),
        (body("<?x y?>"), "restricted-xml"),
        (body("&nbsp;"), "restricted-xml"),
        (b"<!DOCTYPE a>".to_vec(), "restricted-xml"),
        (body("&#0;"), "not-well-formed"),
        (body("&#x1F;"), "not-well-formed"),
        (body("&#xFFFE;"), "not-well-formed"),
        (body("&#xD800;"), "not-well-formed"),
        (body("&#x110000;"), "not-well-formed"),
        (body("\u{1}"), "not-well-formed"),
        (body("\u{ffff}"), "not-well-formed"),
        (body("]]>"), "not-well-formed"),
        (body("<b></c>"), "not-well-formed"),
        (body("<b a='1' a='2'/>"), "not-well-formed"),
        (body("<b xmlns:c='u' xmlns:d='u' c:a='' d:a=''/>"), "not-well-formed"),
        (body("<b a='<'/>"), "not-well-formed"),
        (body("<b:c/>"), "bad-namespace-prefix"),
        (body("<b c:d=''/>"), "bad-namespace-prefix"),
        (bytes(b"\xff"), "unsupported-encoding"),
        (bytes(b"\xc0\xaf"), "unsupported-encoding"),
        (bytes(b"\xed\xa0\x80"), "unsupported-encoding"),
        (body(&"<b>".repeat(100)), "policy-violation"),
        (body(&"<b/>".repeat(9000)), "policy-violation"),
        (body(&"x".repeat(300_000)), "policy-violation"),
        (b"<message xmlns='jabber:server'/>".to_vec(), "unsupported-stanza-type"),
        (b"<other/>".to_vec(), "unsupported-stanza-type"),
        (b"hello".to_vec(), "bad-format"),
    ];
    for (said, condition) in cases {
        let mut romeo = server.login("romeo").await;
        romeo.say(said).await;
        romeo.ends_refused(condition).await;
    }
    juliet.say("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let heard = juliet.hears("id='p' type='result'/>").await;
    assert!(!heard.contains("<message"), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn nobody_speaks_in_the_name_of_another() {
    let server = TestServer::new("").await;
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    let stanzas = [
        "<message to='juliet@localhost' from='juliet@localhost'/>".to_owned(),
        "<message to='juliet@localhost' from=''/>".to_owned(),
        "<presence from='juliet@localhost/juliet'/>".to_owned(),
        format!("<iq type='get' id='1' from='localhost'>{ping}</iq>"),
    ];
    for stanza in stanzas {
        let mut romeo = server.login("romeo").await;
        romeo.say(stanza).await;
        romeo.ends_refused("invalid-from").await;
    }
    server.close().await;
}

#[tokio::test]
async fn each_faulty_request_gets_its_error_and_the_stream_goes_on() {
    let server = TestServer::new("").await;
    let mut romeo = server.login("romeo").await;
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    let cases = [
        (format!("<iq type='get'>{ping}</iq>"), "bad-request"),
        (format!("<iq id='1'>{ping}</iq>"), "bad-request"),
        (format!("<iq id='1' type='GET'>{ping}</iq>"), "bad-request"),
        (format!("<iq id='1' type='get'>{ping}{ping}</iq>"), "bad-request"),
        ("<iq id='1' type='set'/>".to_owned(), "bad-request"),
        (format!("<iq id='1' type='get' to='@'>{ping}</iq>"), "jid-malformed"),
        (format!("<iq id='1' type='get' to='nobody@localhost'>{ping}</iq>"), "service-unavailable"),
        ("<iq id='1' type='get' to='localhost'><a xmlns='b'/></iq>".into(), "service-unavailable"),
        (bind("again"), "service-unavailable"),
        ("<message to='a@b@c'/>".to_owned(), "jid-malformed"),
    ];
    for (said, condition) in cases {
        romeo.say(&said).await;
        let heard = romeo.hears("</error>").await;
        assert!(heard.contains("type='error'"), "{said}: {heard}");
        assert!(heard.contains(&format!("<{condition} xmlns=")), "{said}: {heard}");
        romeo.hears(">").await;
    }
    // Never answered: errors and results.
    romeo.say("<iq type='error' id='2'/><iq type='result'/><message to='@' type='error'/>").await;
    romeo.say(format!("<iq type='get' id='3'>{ping}</iq>")).await;
    let heard = romeo.hears("id='3' type='result'/>").await;
    assert_eq!(heard.matches('<').count(), 1, "{heard}");
    server.close().await;
}
