//! `waxwing s2s test`: what another server shows and offers.

use super::remote::{DIALBACK, Listening};
use super::test_server::{Authority, Pair, TestServer};

#[tokio::test]
async fn what_another_server_shows_and_offers_is_told() {
    let authority = Authority::new();
    let features = format!(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>\
         <bidi xmlns='urn:xmpp:features:bidi'/>{DIALBACK}\
         <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>20000</max-bytes></limits>"
    );
    for (certificate, verdict) in [
        (authority.certify(&["c.example", "*.c.example"]), "would log in by its certificate"),
        (Pair::self_signed("c.example"), "is of no trusted authority"),
    ] {
        let there = Listening::new(&certificate).await;
        let (server, _) = TestServer::that_knows_c(&authority, there.address, "").await;
        let servers = server.server.state().remote_servers().unwrap();
        let hears = async {
            let (mut peer, _) = there.stream("c.example", "1", &features).await;
            let said = peer.hears("</stream:stream>").await;
            assert!(!said.contains("<auth") && !said.contains("<db:"), "{said}");
        };
        let (facts, ()) = tokio::join!(servers.test("a.example", "c.example"), hears);
        let facts: serde_json::Map<_, _> =
            facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect();
        let expected =
            ["mechanisms (EXTERNAL)", "bidi", "dialback (errors)", "limits (max-bytes 20000)"];
        assert_eq!(facts["features"], serde_json::json!(expected));
        let [own] = facts["chain"].as_array().unwrap().as_slice() else { panic!("{facts:?}") };
        for part in ["subject", "issuer", "valid_until"] {
            assert!(own[part].as_str().is_some_and(|text| !text.is_empty()), "{part}: {own}");
        }
        assert!(facts["verdict"].as_str().unwrap().contains(verdict), "{facts:?}");
        server.close().await;
    }
}
