//! How components connect, what they may send, and what becomes of what is sent to them (XEP-0114).

use std::time::Duration;

use waxwing::host::command::ServerControl as _;
use waxwing::host::components::Components;

use crate::recorder::Records;
use crate::test_server::{TestServer, ends_with, header};

#[tokio::test]
async fn a_stream_that_is_not_that_of_a_component_ends_with_the_reason() {
    let server = TestServer::new("[auth]\nslow_addresses = false").await;
    for (said, condition) in [
        (header("irc.localhost", "jabber:client"), "invalid-namespace"),
        (header("irc.localhost", "jabber:component:connect"), "invalid-namespace"),
        (header("localhost", NS), "host-unknown"),
        (header("mail.localhost", NS), "host-unknown"),
        (header("libera.irc.localhost", NS), "host-unknown"),
        (header("@", NS), "host-unknown"),
        (header("irc.localhost", NS).replace("to='irc.localhost'", ""), "improper-addressing"),
        ("<message/>".to_owned(), "bad-format"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "bad-format"),
    ] {
        let mut peer = server.connect();
        peer.say(said).await;
        // RFC 6120 §4.9.1.2: an error comes in a stream.
        let heard = ends_with(&mut peer, condition).await;
        assert!(heard.contains("<stream:stream xmlns='jabber:component:accept'"), "{heard}");
    }
    for instead in ["<handshake>0</handshake>", "<handshake/>", "<message to='a@b' from='c@d'/>"] {
        let mut peer = server.connect();
        peer.say(header("irc.localhost", NS)).await;
        peer.say(instead).await;
        ends_with(&mut peer, "not-authorized").await;
    }
    let mut wrong = server.tries("irc.localhost", "south").await;
    ends_with(&mut wrong, "not-authorized").await;
    server.close().await;
}

const NS: &str = "jabber:component:accept";

#[tokio::test]
async fn a_component_is_an_item_of_its_host_and_talks_to_users() {
    let server = TestServer::new("").await;
    let mut romeo = server.romeo().await;
    let items = "<iq type='get' id='1' to='localhost'>\
                 <query xmlns='http://jabber.org/protocol/disco#items'/></iq>";
    romeo.say(items).await;
    let heard = romeo.hears("</iq>").await;
    assert!(!heard.contains("irc.localhost"), "{heard}");
    let mut irc = server.component().await;
    romeo.say(items).await;
    let heard = romeo.hears("</iq>").await;
    assert!(heard.contains("jid='irc.localhost' name='IRC'"), "{heard}");

    romeo.say("<message to='a%b@irc.localhost' type='chat'><body>Hi</body></message>").await;
    let heard = irc.hears("</message>").await;
    assert!(heard.contains("from='romeo@localhost/orchard'"), "{heard}");
    irc.say("<message from='a%b@irc.localhost/x' to='romeo@localhost' type='chat'><body>Ho</body></message>").await;
    let heard = romeo.hears("</message>").await;
    assert!(heard.contains("from='a%b@irc.localhost/x'") && heard.contains("<body>Ho<"), "{heard}");
    // A request in each direction, and its answer.
    romeo
        .say("<iq type='get' id='2' to='irc.localhost'><query xmlns='jabber:iq:version'/></iq>")
        .await;
    irc.hears("</iq>").await;
    irc.say("<iq type='result' id='2' from='irc.localhost' to='romeo@localhost/orchard'/>").await;
    romeo.hears("id='2'").await;
    irc.say("<iq type='get' id='3' from='irc.localhost' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let heard = irc.hears("id='3'").await;
    assert!(heard.contains("from='localhost'"), "{heard}");
    // What is malformed is answered, and the stream goes on.
    irc.say("<iq type='get' id='4' from='irc.localhost' to='@'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await;
    irc.hears("<jid-malformed ").await;
    irc.say(
        "<iq type='get' from='irc.localhost' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>",
    )
    .await;
    irc.hears("<bad-request ").await;
    irc.say("</stream:stream>").await;
    irc.hears("</stream:stream>").await;
    server.close().await;
}

#[tokio::test]
async fn a_component_sends_in_its_own_name_only() {
    let records = Records::begin();
    let server = TestServer::new("").await;
    for (stanza, condition) in [
        ("<message from='romeo@localhost' to='romeo@localhost'/>", "invalid-from"),
        ("<message from='a@other.localhost' to='romeo@localhost'/>", "invalid-from"),
        ("<message from='a@x.irc.localhost' to='romeo@localhost'/>", "invalid-from"),
        ("<message to='romeo@localhost'/>", "improper-addressing"),
        ("<message from='@' to='romeo@localhost'/>", "improper-addressing"),
        ("<message from='irc.localhost'/>", "improper-addressing"),
        ("<log xmlns='jabber:component:accept' from='irc.localhost'/>", "unsupported-stanza-type"),
        ("<message from='irc.localhost' to='romeo@localhost'><a></message>", "not-well-formed"),
    ] {
        let mut irc = server.component().await;
        let before = records.all().len();
        irc.say(stanza).await;
        ends_with(&mut irc, condition).await;
        let condition = format!("condition=\"{condition}\"");
        let found = records.all().split_off(before);
        let is_it = |line: &&String| line.contains(": refused") && line.contains(&condition);
        assert_eq!(found.iter().filter(is_it).count(), 1, "{stanza}: {found:#?}");
    }
    let mut irc = server.component().await;
    irc.say("<message from='irc.localhost' to='romeo@localhost'><body>").await;
    let much = "x".repeat(1 << 16);
    for _ in 0..5 {
        irc.say(&much).await;
    }
    ends_with(&mut irc, "policy-violation").await;
    server.close().await;
}

#[tokio::test]
async fn who_writes_to_a_component_that_is_away_is_told() {
    let server = TestServer::new("").await;
    let mut romeo = server.romeo().await;
    for told in ["is away", "is away again"] {
        romeo
            .say("<message to='a@irc.localhost' type='chat' id='m'><body>Hi</body></message>")
            .await;
        let heard = romeo.hears("</message>").await;
        assert!(
            heard.contains("<remote-server-timeout ") && heard.contains("type='error'"),
            "{told}: {heard}"
        );
        let mut irc = server.component().await;
        irc.say("</stream:stream>").await;
        irc.hears("</stream:stream>").await;
        let table = server.server.state().shared::<Components>();
        while table.is_connected("irc.localhost") {
            tokio::task::yield_now().await;
        }
    }
    romeo
        .say("<iq type='get' id='9' to='irc.localhost'><query xmlns='jabber:iq:version'/></iq>")
        .await;
    romeo.hears("<remote-server-timeout ").await;
    server.close().await;
}

#[tokio::test]
async fn contacts_at_a_component_that_has_come_back_are_asked_for_their_presence() {
    let server = TestServer::new("").await;
    let mut romeo = server.romeo().await;
    let mut irc = server.component().await;
    romeo.say("<presence to='a@irc.localhost' type='subscribe'/>").await;
    let heard = irc.hears("<presence ").await + &irc.hears(">").await;
    assert!(
        heard.contains("type='subscribe'") && heard.contains("from='romeo@localhost'"),
        "{heard}"
    );
    irc.say("<presence from='a@irc.localhost' to='romeo@localhost' type='subscribed'/>").await;
    romeo.hears("subscription='to'").await;
    drop(irc);
    let table = server.server.state().shared::<Components>();
    while table.is_connected("irc.localhost") {
        tokio::task::yield_now().await;
    }
    let mut irc = server.component().await;
    let heard = irc.hears("type='probe'").await;
    assert!(
        heard.contains("from='romeo@localhost'") && heard.contains("to='a@irc.localhost'"),
        "{heard}"
    );
    irc.say("<presence from='a@irc.localhost/x' to='romeo@localhost'><show>dnd</show></presence>")
        .await;
    romeo.hears("<show>dnd</show>").await;
    server.close().await;
}

#[tokio::test]
async fn a_component_has_as_many_connections_as_it_may_and_domains_below_its_own() {
    let server = TestServer::new("connections = 2\nsubdomains = true").await;
    let mut romeo = server.romeo().await;
    let mut both = [server.component().await, server.component().await];
    let mut third = server.tries("irc.localhost", "north").await;
    ends_with(&mut third, "conflict").await;
    for number in 0..20 {
        romeo
            .say(format!(
                "<message to='a{number}@x.irc.localhost' id='m{number}'><body/></message>"
            ))
            .await;
    }
    // Each comes to one of the two.
    assert_eq!(server.server.state().shared::<Components>().of("irc.localhost").len(), 2);
    let mut seen = 0;
    while seen < 20 {
        for irc in &mut both {
            let more = tokio::io::AsyncReadExt::read_buf(&mut irc.reader, &mut irc.heard);
            drop(tokio::time::timeout(Duration::from_millis(20), more).await);
        }
        let heard = both.iter().map(|irc| String::from_utf8_lossy(&irc.heard));
        seen = heard.map(|heard| heard.matches("<message ").count()).sum();
    }
    both[1]
        .say("<message from='a1@x.irc.localhost/y' to='romeo@localhost/orchard'><body>Ho</body></message>")
        .await;
    romeo.hears("from='a1@x.irc.localhost/y'").await;
    assert_eq!(seen, 20);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn wrong_secrets_are_answered_late() {
    let server = TestServer::new("").await;
    let began = tokio::time::Instant::now();
    for _ in 0..12 {
        let mut wrong = server.tries("irc.localhost", "south").await;
        ends_with(&mut wrong, "not-authorized").await;
    }
    assert!(began.elapsed() > Duration::from_secs(20), "{:?}", began.elapsed());
    server.close().await;
}

#[tokio::test]
async fn what_was_not_written_when_the_connection_breaks_goes_back() {
    let records = Records::begin();
    let server = TestServer::new("").await;
    let mut romeo = server.romeo().await;
    let irc = server.component().await;
    // More than the connection takes. Several are written at once.
    let body = "x".repeat(6000);
    for number in 0..100 {
        romeo
            .say(format!(
                "<message to='a@irc.localhost' id='m{number}' type='chat'><body>{body}</body></message>"
            ))
            .await;
    }
    romeo.say("<iq type='get' id='end' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    romeo.hears("id='end'").await;
    drop(irc);
    let mut back = Vec::new();
    while back.last() != Some(&99) {
        let error = romeo.hears("</message>").await;
        assert!(error.contains("<remote-server-timeout "), "{error}");
        let (_, id) = error.rsplit_once(" id='m").unwrap();
        back.push(id.split('\'').next().unwrap().parse::<i32>().unwrap());
    }
    // From the first one that was not written to its end.
    let first = back[0];
    assert_eq!(back, (first..100).collect::<Vec<_>>());
    assert!((30..50).contains(&first), "{first}");
    assert_eq!(records.of(&format!("m{}", first - 1)), ["handed over"]);
    let why =
        "bounced condition=\"remote-server-timeout\" reason=\"the component is not connected\"";
    for number in back {
        assert_eq!(records.of(&format!("m{number}")), ["handed over", why]);
    }
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_wrong_secrets_hold_up_nobody_else() {
    let server = TestServer::new("[[component]]\ndomain = 'sms.localhost'\nsecret = 'west'").await;
    let began = tokio::time::Instant::now();
    for _ in 0..1000 {
        let mut wrong = server.tries("irc.localhost", "south").await;
        ends_with(&mut wrong, "not-authorized").await;
    }
    // An attacker has a guess every few seconds.
    assert!(began.elapsed() > Duration::from_secs(2000), "{:?}", began.elapsed());
    // At the same time: most get no answer to their guess, not even if it is right.
    let mut all = Vec::new();
    for _ in 0..200 {
        all.push(server.tries("irc.localhost", "south").await);
    }
    let mut right = server.tries("irc.localhost", "north").await;
    ends_with(&mut right, "not-authorized").await;
    let began = tokio::time::Instant::now();
    for domain in ["irc.localhost", "sms.localhost"] {
        let secret = if domain == "irc.localhost" { "north" } else { "west" };
        let mut other = server.tries_from(2, domain, secret).await;
        other.hears("<handshake/>").await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    server.close().await;
}

#[tokio::test]
async fn a_component_is_added_and_removed_while_the_server_runs() {
    let mut server = TestServer::new("").await;
    let mut romeo = server.romeo().await;
    let section = "[[component]]\ndomain = 'sms.localhost'\nsecret = 'west'\nroster = 'get'";
    assert!(server.server.set_component("sms.localhost", Some(section)).await.unwrap());
    let mut sms = server.tries("sms.localhost", "west").await;
    sms.hears("<perm access='roster' type='get' push='true'/>").await;
    romeo.say("<message to='a@sms.localhost'><body>Hi</body></message>").await;
    sms.hears("<body>Hi</body>").await;
    // A reload of the configuration, and a restart.
    server.reload("connections = 2");
    assert_eq!(server.server.components().len(), 2);
    server.restart("").await;
    let mut sms = server.tries("sms.localhost", "west").await;
    sms.hears("<handshake/>").await;
    // With another secret it is another component.
    let section = section.replace("west", "east");
    assert!(server.server.set_component("sms.localhost", Some(&section)).await.unwrap());
    ends_with(&mut sms, "reset").await;
    let mut sms = server.tries("sms.localhost", "east").await;
    sms.hears("<handshake/>").await;
    assert!(server.server.set_component("sms.localhost", None).await.unwrap());
    ends_with(&mut sms, "reset").await;
    assert!(!server.server.set_component("sms.localhost", None).await.unwrap());
    let mut gone = server.connect();
    gone.say(header("sms.localhost", NS)).await;
    ends_with(&mut gone, "host-unknown").await;
    // What the configuration has, counts more.
    let section = "[[component]]\ndomain = 'irc.localhost'\nsecret = 'west'";
    for _ in 0..2 {
        assert!(server.server.set_component("irc.localhost", Some(section)).await.unwrap());
    }
    server.component().await;
    server.close().await;
}
