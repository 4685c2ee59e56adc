//! What a server must not believe: forged addresses, wrong certificates, keys and answers that nobody asked for.

use super::recorder::Records;
use super::remote::{DIALBACK, Listening, login, open};
use super::test_server::{Authority, Pair, TestServer, free_port};

#[tokio::test]
async fn only_what_is_proven_is_believed() {
    let authority = Authority::new();
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), "").await;
    let own = authority.certify(&["c.example"]);
    let mut romeo = server.online("romeo").await;
    let records = Records::begin();
    for (stanza, error) in [
        ("<message from='x@d.example' to='romeo@a.example'/>", "invalid-from"),
        ("<message from='x@rooms.c.example' to='romeo@a.example'/>", "invalid-from"),
        ("<message from='juliet@a.example' to='romeo@a.example'/>", "invalid-from"),
        ("<message from='x@c.example' to='y@d.example'/>", "host-unknown"),
        ("<message to='romeo@a.example'/>", "improper-addressing"),
        ("<message from='x@c.example'/>", "improper-addressing"),
        ("<other xmlns='urn:x'/>", "unsupported-stanza-type"),
        ("<message from='x@c.example' to='romeo@a.example'><", "not-well-formed"),
    ] {
        let (mut peer, offered) = open(at, Some(&own), "c.example", "a.example").await;
        assert!(offered.contains("EXTERNAL"), "{offered}");
        login(&mut peer, "c.example", "a.example").await;
        peer.say("<message from='x@c.example/r' to='romeo@a.example'><body>hi</body></message>")
            .await;
        romeo.hears("<body>hi</body>").await;
        let before = records.all().len();
        peer.say(if stanza.ends_with('<') { format!("{stanza}\0") } else { stanza.to_owned() })
            .await;
        let said = peer.hears("</stream:error>").await;
        assert!(said.contains(error), "{stanza}: {said}");
        let is_it = |line: &&String| {
            line.contains("refused: the stream ends") && line.contains(&format!("=\"{error}\""))
        };
        let found = records.all().split_off(before);
        assert_eq!(found.iter().filter(is_it).count(), 1, "{stanza}: {found:#?}");
    }
    server.close().await;
}

#[tokio::test]
async fn a_certificate_for_another_name_proves_nothing() {
    let authority = Authority::new();
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), "").await;
    for wrong in [
        Some(Pair::self_signed("c.example")),
        Some(Authority::new().certify(&["c.example"])),
        Some(authority.certify(&["d.example"])),
        Some(authority.certify_until(&["c.example"], 2020)),
        // Wildcards in the wrong place.
        Some(authority.certify(&["*.c.example"])),
        Some(authority.certify(&["c.*"])),
        Some(authority.certify(&["*c.example"])),
        Some(authority.certify(&["*"])),
        Some(authority.certify_common_name("c.example")),
        None,
    ] {
        let (mut peer, offered) = open(at, wrong.as_ref(), "c.example", "a.example").await;
        assert!(!offered.contains("EXTERNAL"), "{offered}");
        peer.say("<db:result from='c.example' to='a.example'>key</db:result>").await;
        assert!(peer.hears("</db:result>").await.contains("<not-authorized"));
        peer.say("<message from='x@c.example' to='romeo@a.example'/>").await;
        assert!(peer.hears("</stream:error>").await.contains("<not-authorized"));
    }
    server.close().await;
}

#[tokio::test]
async fn a_key_is_verified_by_the_domain_itself() {
    let authority = Authority::new();
    let at_c = Listening::new(&Pair::self_signed("c.example")).await;
    let (server, at) =
        TestServer::that_knows_c(&authority, at_c.address, "dialback = 'c.example'").await;
    let mut romeo = server.online("romeo").await;
    let verdicts = [("valid", true), ("invalid", false), ("error", false)];
    for (verdict, is_believed) in verdicts {
        let (mut peer, offered) = open(at, None, "c.example", "a.example").await;
        assert!(!offered.contains("EXTERNAL"), "{offered}");
        // Nobody has asked.
        peer.say("<db:result from='c.example' to='a.example' type='valid'/>").await;
        peer.say("<db:result from='c.example' to='a.example'>the key</db:result>").await;
        let (mut asked, _) = at_c.stream("c.example", "1", DIALBACK).await;
        let question = asked.hears("</db:verify>").await;
        assert!(question.contains("from='a.example' to='c.example'"), "{question}");
        assert!(question.contains(">the key<"), "{question}");
        let id = question.split("id='").nth(1).unwrap().split('\'').next().unwrap();
        // Of another stream, and of another domain.
        asked.say("<db:verify from='c.example' to='a.example' id='x' type='valid'/>").await;
        asked
            .say(format!("<db:verify from='d.example' to='a.example' id='{id}' type='valid'/>"))
            .await;
        asked
            .say(format!("<db:verify from='c.example' to='a.example' id='{id}' type='{verdict}'/>"))
            .await;
        let result = peer.hears("<db:result").await + &peer.hears(">").await;
        assert!(result.contains(&format!("type='{verdict}'")), "{result}");
        if is_believed {
            peer.say("<message from='x@c.example' to='romeo@a.example'><body>hi</body></message>")
                .await;
            romeo.hears("<body>hi</body>").await;
        } else if verdict == "invalid" {
            peer.hears("</stream:stream>").await;
        } else {
            peer.say("<message from='x@c.example' to='romeo@a.example'/>").await;
            assert!(peer.hears("</stream:error>").await.contains("<not-authorized"));
        }
    }
    server.close().await;
}

#[tokio::test]
async fn several_pairs_are_proven_on_one_stream() {
    let authority = Authority::new();
    let there = Listening::new(&Pair::self_signed("c.example")).await;
    let hosts = ["c.example", "rooms.c.example"].map(|name| (name, there.address.to_string()));
    let (server, at) =
        TestServer::that_knows(&authority, hosts.to_vec(), "policy = 'dialback'").await;
    let mut romeo = server.online("romeo").await;
    let (mut peer, _) = open(at, None, "c.example", "a.example").await;
    for (from, to, verdict, told) in [
        ("c.example", "a.example", "valid", "type='valid'"),
        ("c.example", "conference.a.example", "valid", "type='valid'"),
        // The others stay.
        ("rooms.c.example", "a.example", "invalid", "<forbidden "),
        ("rooms.c.example", "a.example", "valid", "type='valid'"),
    ] {
        let names = format!("from='{from}' to='{to}'");
        peer.say(format!("<db:result {names}>key</db:result>")).await;
        let (mut asked, _) = there.stream(from, "1", DIALBACK).await;
        let question = asked.hears("</db:verify>").await;
        let id = question.split("id='").nth(1).unwrap().split('\'').next().unwrap();
        asked.say(format!("<db:verify {names} id='{id}' type='{verdict}'/>")).await;
        let end = if told.starts_with('<') { "</db:result>" } else { "/>" };
        let result = peer.hears("<db:result").await + &peer.hears(end).await;
        assert!(result.contains(told), "{result}");
        assert!(result.contains(&format!("from='{to}' to='{from}'")), "{result}");
        peer.say("<message from='x@c.example' to='romeo@a.example'><body>hi</body></message>")
            .await;
        romeo.hears("<body>hi</body>").await;
    }
    peer.say("<message from='x@rooms.c.example' to='romeo@a.example'><body>in</body></message>")
        .await;
    romeo.hears("<body>in</body>").await;
    // A pair that is made of two others is not proven.
    peer.say("<message from='x@rooms.c.example' to='y@conference.a.example'/>").await;
    assert!(peer.hears("</stream:error>").await.contains("<invalid-from"));
    server.close().await;
}

#[tokio::test]
async fn who_sends_many_keys_waits_for_its_turn() {
    let authority = Authority::new();
    let there = Listening::new(&Pair::self_signed("c.example")).await;
    let domains = ["c1.example", "c2.example", "c3.example", "c4.example", "c5.example"];
    let hosts = domains.map(|domain| (domain, there.address.to_string()));
    let (server, at) =
        TestServer::that_knows(&authority, hosts.to_vec(), "policy = 'dialback'").await;
    let (mut one, _) = open(at, None, domains[0], "a.example").await;
    let mut asked = Vec::new();
    for domain in &domains[..4] {
        one.say(format!("<db:result from='{domain}' to='a.example'>key</db:result>")).await;
        asked.push(there.stream(domain, "1", DIALBACK).await.0);
    }
    // As many keys of one address are verified at a time.
    let (mut other, _) = open(at, None, domains[4], "a.example").await;
    other.say(format!("<db:result from='{}' to='a.example'>key</db:result>", domains[4])).await;
    asked.remove(0).hears("</db:verify>").await;
    let (mut fifth, _) = there.stream(domains[4], "1", DIALBACK).await;
    let question = fifth.hears("</db:verify>").await;
    let id = question.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let names = format!("from='{}' to='a.example'", domains[4]);
    fifth.say(format!("<db:verify {names} id='{id}' type='valid'/>")).await;
    let result = other.hears("<db:result").await + &other.hears(">").await;
    assert!(result.contains("type='valid'"), "{result}");
    server.close().await;
}

#[tokio::test]
async fn who_floods_before_it_is_proven_is_cut_off() {
    let authority = Authority::new();
    let (server, at) = TestServer::that_knows_c(&authority, free_port(), "").await;
    let own = authority.certify(&["c.example"]);
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    peer.say(format!("<db:result from='c.example' to='a.example'>{}", "x".repeat(20_000))).await;
    assert!(peer.hears("</stream:error>").await.contains("<policy-violation"));
    let (mut peer, _) = open(at, Some(&own), "c.example", "a.example").await;
    login(&mut peer, "c.example", "a.example").await;
    let long = "x".repeat(600_000);
    peer.say(format!("<message from='x@c.example' to='romeo@a.example'><body>{long}")).await;
    assert!(peer.hears("</stream:error>").await.contains("<policy-violation"));
    server.close().await;
}
