//! What components may do in the name of users (XEP-0356).

use crate::peer::Peer;
use crate::recorder::Records;
use crate::test_server::TestServer;

const ALL: &str = "roster = 'both'\nmessage = 'outgoing'\niq = { 'jabber:iq:private' = 'both', \
    'urn:xmpp:ping' = 'get', 'jabber:iq:version' = 'get' }";
const NS: &str = "urn:xmpp:privilege:2";

/// A component says this about the roster of juliet.
fn roster(kind: &str, id: &str, content: &str) -> String {
    format!(
        "<iq from='irc.localhost' to='juliet@localhost' type='{kind}' id='{id}'>\
         <query xmlns='jabber:iq:roster'>{content}</query></iq>"
    )
}

/// A component says this for somebody.
fn written(to: &str, message: &str) -> String {
    format!(
        "<message from='irc.localhost' to='{to}' id='outer'><privilege xmlns='{NS}'>\
         <forwarded xmlns='urn:xmpp:forward:0'>{message}</forwarded></privilege></message>"
    )
}

/// A component asks this for somebody.
fn asked(to: &str, kind: &str, iq: &str) -> String {
    format!(
        "<iq from='irc.localhost' to='{to}' type='{kind}' id='outer'>\
         <privileged_iq xmlns='{NS}'>{iq}</privileged_iq></iq>"
    )
}

/// The component is refused this.
async fn is_refused(peer: &mut Peer, said: &str, condition: &str) {
    peer.say(said).await;
    let heard = peer.hears("</error>").await;
    assert!(heard.contains(&format!("<{condition} ")), "{said}: {heard}");
}

#[tokio::test]
async fn privileges_are_told_after_the_handshake() {
    let server = TestServer::new(ALL).await;
    let mut irc = server.component().await;
    let heard = irc.hears("</message>").await;
    assert!(heard.starts_with("<message from='localhost' to='irc.localhost' id='"), "{heard}");
    let expected = format!(
        "<privilege xmlns='{NS}'><perm access='roster' type='both' push='true'/>\
         <perm access='message' type='outgoing'/><perm access='iq'>"
    );
    assert!(heard.contains(&expected), "{heard}");
    for namespace in [
        "<namespace ns='jabber:iq:private' type='both'/>",
        "<namespace ns='urn:xmpp:ping' type='get'/>",
    ] {
        assert!(heard.contains(namespace), "{heard}");
    }
    server.close().await;

    let server = TestServer::new("roster = 'get'\nroster_push = false").await;
    let mut irc = server.component().await;
    let heard = irc.hears("</message>").await;
    assert!(
        heard.contains("<perm access='roster' type='get' push='false'/></privilege>"),
        "{heard}"
    );
    server.close().await;
}

#[tokio::test]
async fn a_component_is_told_when_its_privileges_change() {
    let server = TestServer::new("roster = 'both'\niq = { 'urn:xmpp:ping' = 'get' }").await;
    let mut irc = server.component().await;
    irc.hears("</message>").await;
    server.reload("roster = 'get'\nroster_push = false\nmessage = 'outgoing'");
    let heard = irc.hears("</message>").await;
    let expected = format!(
        "<privilege xmlns='{NS}'><perm access='roster' type='get' push='false'/>\
         <perm access='message' type='outgoing'/>\
         <perm access='iq'><namespace ns='urn:xmpp:ping' type='none'/></perm>\
         <perm access='presence' type='none'/></privilege>"
    );
    assert!(heard.contains(&expected), "{heard}");
    is_refused(&mut irc, &roster("set", "1", "<item jid='a@b'/>"), "forbidden").await;
    // What has not changed is not told.
    server.reload("roster = 'get'\nroster_push = false\nmessage = 'outgoing'");
    irc.say(roster("get", "2", "")).await;
    let heard = irc.hears("id='2'").await;
    assert!(!heard.contains("<message"), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn a_component_reads_and_changes_the_roster_of_a_user() {
    let server = TestServer::new(ALL).await;
    let mut juliet = server.client("juliet", "balcony").await;
    let mut irc = server.component().await;
    irc.hears("</message>").await;
    irc.say(roster("set", "1", "<item jid='nurse@irc.localhost' name='Nurse'/>")).await;
    juliet.hears("jid='nurse@irc.localhost' name='Nurse'").await;
    // The component is told, too (§4.4), as is the user's client.
    let heard = irc.hears("</iq>").await;
    assert!(
        heard.contains("from='juliet@localhost' to='irc.localhost' id='push")
            && heard.contains(" type='set'")
            && heard.contains("jid='nurse@irc.localhost'"),
        "{heard}"
    );
    irc.hears("<iq from='juliet@localhost' to='irc.localhost' id='1' type='result'/>").await;
    let id = heard.split(" id='").nth(1).unwrap().split('\'').next().unwrap();
    let done = format!("<iq from='irc.localhost' to='juliet@localhost' id='{id}' type='result'/>");
    irc.say(done).await;
    irc.say(roster("get", "2", "")).await;
    let heard = irc.hears("</iq>").await;
    assert!(
        heard.contains("id='2' type='result'") && heard.contains("jid='nurse@irc.localhost'"),
        "{heard}"
    );
    // What others change is told, too.
    juliet.say("<presence to='romeo@localhost' type='subscribe'/>").await;
    let heard = irc.hears("</iq>").await;
    assert!(
        heard.contains("jid='romeo@localhost'") && heard.contains("ask='subscribe'"),
        "{heard}"
    );
    irc.say(roster("set", "3", "<item jid='nurse@irc.localhost' subscription='remove'/>")).await;
    juliet.hears("subscription='remove'").await;
    irc.hears("subscription='remove'").await;
    irc.hears("id='3' type='result'/>").await;
    // The usual errors (RFC 6121 §2.3.3, §2.1.4).
    is_refused(&mut irc, &roster("set", "4", ""), "bad-request").await;
    is_refused(
        &mut irc,
        &roster("set", "5", "<item jid='x@localhost' subscription='remove'/>"),
        "item-not-found",
    )
    .await;
    let nobody = roster("get", "6", "").replace("juliet@", "nobody@");
    is_refused(&mut irc, &nobody, "item-not-found").await;
    server.close().await;
}

#[tokio::test]
async fn a_component_may_do_only_what_it_was_granted() {
    let server = TestServer::new("roster = 'set'\niq = { 'urn:xmpp:ping' = 'none' }").await;
    let mut irc = server.component().await;
    let heard = irc.hears("</message>").await;
    assert!(
        heard.contains("><perm access='roster' type='set' push='false'/></privilege>"),
        "{heard}"
    );
    irc.say(roster("set", "1", "<item jid='nurse@irc.localhost'/>")).await;
    // No push.
    let heard = irc.hears("id='1' type='result'/>").await;
    assert!(!heard.contains("push"), "{heard}");
    is_refused(&mut irc, &roster("get", "2", ""), "forbidden").await;
    let message = "<message xmlns='jabber:client' from='juliet@localhost' to='romeo@localhost'/>";
    is_refused(&mut irc, &written("localhost", message), "forbidden").await;
    for ns in ["urn:xmpp:ping", "jabber:iq:version"] {
        let ping = format!("<iq xmlns='jabber:client' type='get' id='i'><ping xmlns='{ns}'/></iq>");
        is_refused(&mut irc, &asked("juliet@localhost", "get", &ping), "forbidden").await;
    }
    server.close().await;

    let server = TestServer::new("").await;
    let mut irc = server.component().await;
    is_refused(&mut irc, &roster("get", "2", ""), "forbidden").await;
    is_refused(&mut irc, &roster("set", "3", "<item jid='a@b'/>"), "forbidden").await;
    server.close().await;
}

/// What a component sends has a record, and what is done for it in the name of others has another one.
#[tokio::test]
async fn the_log_says_what_becomes_of_what_a_component_does_for_users() {
    let records = Records::begin();
    let server = TestServer::new("message = 'outgoing'").await;
    let mut romeo = server.romeo().await;
    let mut irc = server.component().await;
    let message = "<message xmlns='jabber:client' from='juliet@localhost' to='romeo@localhost' \
                   type='chat' id='inner'><body>secret</body></message>";
    irc.say(written("localhost", message)).await;
    romeo.hears("id='inner'").await;
    is_refused(&mut irc, &roster("get", "roster", ""), "forbidden").await;
    let ends = |text: &str| {
        let lines = records.all().into_iter().filter(|line| line.contains(text));
        let lines = lines.filter(|line| !line.contains("archived for the sender"));
        // Without the span of the stream.
        let begin = |line: &str| line.find("message{").or(line.find("iq{")).unwrap();
        lines.map(|line| line[begin(&line)..].to_owned()).collect::<Vec<_>>()
    };
    let of =
        |kind: &str, addresses: &str, rest: &str| format!("{kind}{{{addresses} origin=\"{rest}");
    let addresses = "kind=\"chat\" from=\"juliet@localhost\" to=\"romeo@localhost\" id=\"inner\"";
    let inner = "privileged component\"}: waxwing::stanza: delivered sessions=1";
    assert_eq!(ends("id=\"inner\""), [of("message", addresses, inner)]);
    let addresses = "from=\"irc.localhost\" to=\"localhost\" id=\"outer\"";
    let done = of("message", addresses, "component\"}: waxwing::stanza: done");
    records.until(|| ends("id=\"outer\"") == [done.clone()]).await;
    let addresses = "kind=\"get\" from=\"irc.localhost\" to=\"juliet@localhost\" id=\"roster\"";
    let why = "component\"}: waxwing::stanza: bounced condition=\"forbidden\" \
               reason=\"the component has no privilege for rosters\"";
    let refused = of("iq", addresses, why);
    assert_eq!(ends("from=\"irc.localhost\" to=\"juliet@localhost\""), [refused]);
    assert!(!records.all().concat().contains("secret"));
    server.close().await;
}

#[tokio::test]
async fn a_message_in_the_name_of_a_user_is_archived_and_copied() {
    let server = TestServer::new(ALL).await;
    let mut romeo = server.romeo().await;
    let mut juliet = server.client("juliet", "balcony").await;
    juliet.say("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>").await;
    juliet.hears("id='c'").await;
    let mut irc = server.component().await;
    irc.hears("</message>").await;
    let message = "<message xmlns='jabber:client' from='juliet@localhost' to='romeo@localhost' \
                   type='chat' id='m1'><body>By the gateway</body></message>";
    irc.say(written("localhost", message)).await;
    let heard = romeo.hears("</message>").await;
    assert!(
        heard.contains("<message from='juliet@localhost' to='romeo@localhost' id='m1' type='chat'")
            && heard.contains("<body>By the gateway</body>"),
        "{heard}"
    );
    let heard = juliet.hears("</sent>").await;
    assert!(heard.contains("<body>By the gateway</body>"), "{heard}");
    juliet.say("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>").await;
    let heard = juliet.hears("<fin ").await;
    assert!(heard.contains("<body>By the gateway</body>"), "{heard}");
    // The namespace of the stream of components counts as that of clients; the host writes, too.
    let message = message.replace("jabber:client", "jabber:component:accept");
    irc.say(written("localhost", &message.replace("juliet@localhost", "localhost"))).await;
    let heard = romeo.hears("</message>").await;
    assert!(heard.contains("<message from='localhost' to='romeo@localhost'"), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn a_message_in_the_name_of_others_is_refused() {
    let server = TestServer::new(ALL).await;
    let mut romeo = server.romeo().await;
    let mut irc = server.component().await;
    irc.hears("</message>").await;
    let body = "<body>No</body>";
    for (from, condition) in [
        ("from='juliet@localhost/balcony'", "forbidden"),
        ("from='localhost/r'", "forbidden"),
        ("from='nobody@localhost'", "forbidden"),
        ("from='romeo@example.org'", "forbidden"),
        ("from='someone@irc.localhost'", "forbidden"),
        ("from='room@conference.localhost'", "forbidden"),
        ("", "forbidden"),
        ("from='@'", "jid-malformed"),
    ] {
        let message =
            format!("<message xmlns='jabber:client' {from} to='romeo@localhost'>{body}</message>");
        is_refused(&mut irc, &written("localhost", &message), condition).await;
    }
    for message in [
        "",
        "<message from='juliet@localhost' to='romeo@localhost'/>",
        "<iq xmlns='jabber:client' from='juliet@localhost' type='get' id='1'><a xmlns='b'/></iq>",
    ] {
        is_refused(&mut irc, &written("localhost", message), "bad-request").await;
    }
    let empty =
        format!("<message from='irc.localhost' to='localhost'><privilege xmlns='{NS}'/></message>");
    is_refused(&mut irc, &empty, "bad-request").await;
    romeo.say("<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let heard = romeo.hears("id='end'").await;
    assert!(!heard.contains(body), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn a_request_in_the_name_of_a_user_is_answered_to_the_component() {
    let server = TestServer::new(ALL).await;
    let mut irc = server.component().await;
    irc.hears("</message>").await;
    let mark = "<mark xmlns='urn:x'>here</mark>";
    let query = |content: &str, kind: &str, id: &str| {
        format!(
            "<iq xmlns='jabber:client' type='{kind}' id='{id}'>\
             <query xmlns='jabber:iq:private'>{content}</query></iq>"
        )
    };
    irc.say(asked("juliet@localhost", "set", &query(mark, "set", "in1"))).await;
    let heard = irc.hears("</privilege></iq>").await;
    let expected = format!(
        "<iq from='juliet@localhost' to='irc.localhost' id='outer' type='result'>\
         <privilege xmlns='{NS}'><forwarded xmlns='urn:xmpp:forward:0'><iq xmlns='jabber:client' \
         from='juliet@localhost' to='juliet@localhost' id='in1' type='result'/></forwarded>"
    );
    assert!(heard.contains(&expected), "{heard}");
    let get = query("<mark xmlns='urn:x'/>", "get", "in2");
    irc.say(asked("juliet@localhost", "get", &get)).await;
    let heard = irc.hears("</privilege></iq>").await;
    assert!(heard.contains("id='in2' type='result'>") && heard.contains(mark), "{heard}");
    // To somebody else, who answers.
    let get = "<iq xmlns='jabber:client' type='get' id='in3' from='juliet@localhost' \
               to='a@irc.localhost'><query xmlns='jabber:iq:version'/></iq>";
    irc.say(asked("juliet@localhost", "get", get)).await;
    let heard = irc.hears("</iq>").await;
    assert!(heard.contains("<iq from='juliet@localhost' to='a@irc.localhost' id='"), "{heard}");
    let id = heard.split(" id='").nth(1).unwrap().split('\'').next().unwrap();
    irc.say(format!(
        "<iq type='result' from='a@irc.localhost' to='juliet@localhost' id='{id}'>\
         <query xmlns='jabber:iq:version'><name>A</name></query></iq>"
    ))
    .await;
    let heard = irc.hears("</privilege></iq>").await;
    assert!(
        heard.contains("id='in3' type='result'>") && heard.contains("<name>A</name>"),
        "{heard}"
    );
    // An error is told as one, and as it came: a stranger does not learn who is online.
    let get = get.replace("a@irc.localhost", "romeo@localhost/orchard");
    irc.say(asked("juliet@localhost", "get", &get)).await;
    let heard = irc.hears("</error></iq>").await;
    assert!(heard.contains("id='outer' type='error'><privilege "), "{heard}");
    assert!(
        heard.contains("from='romeo@localhost/orchard' to='juliet@localhost' id='in3'"),
        "{heard}"
    );
    assert_eq!(heard.matches("<service-unavailable ").count(), 1, "{heard}");
    irc.hears("</iq>").await;
    server.close().await;
}

#[tokio::test]
async fn a_request_in_the_name_of_others_is_refused() {
    let server = TestServer::new(ALL).await;
    let mut irc = server.component().await;
    irc.hears("</message>").await;
    let ping = |from: &str| {
        format!(
            "<iq xmlns='jabber:client' type='get' {from} to='localhost' id='i'>\
             <ping xmlns='urn:xmpp:ping'/></iq>"
        )
    };
    // XEP-0356 §6.3.
    for to in [
        "localhost",
        "juliet@localhost/balcony",
        "nobody@localhost",
        "room@conference.localhost",
        "juliet@example.org",
    ] {
        is_refused(&mut irc, &asked(to, "get", &ping("")), "forbidden").await;
    }
    for from in ["from='romeo@localhost'", "from='juliet@localhost/balcony'", "from='localhost'"] {
        is_refused(&mut irc, &asked("juliet@localhost", "get", &ping(from)), "forbidden").await;
    }
    is_refused(&mut irc, &asked("juliet@localhost", "set", &ping("")), "forbidden").await;
    let set = ping("").replace("'get'", "'set'");
    is_refused(&mut irc, &asked("juliet@localhost", "set", &set), "forbidden").await;
    let other = ping("").replace(" xmlns='jabber:client'", "");
    is_refused(&mut irc, &asked("juliet@localhost", "get", &other), "forbidden").await;
    is_refused(&mut irc, &asked("juliet@localhost", "get", &ping("").repeat(2)), "forbidden").await;
    is_refused(&mut irc, &asked("juliet@localhost", "get", ""), "bad-request").await;
    let empty = "<iq xmlns='jabber:client' type='get' id='i'/>";
    is_refused(&mut irc, &asked("juliet@localhost", "get", empty), "bad-request").await;
    let anonymous = ping("").replace(" id='i'", "");
    is_refused(&mut irc, &asked("juliet@localhost", "get", &anonymous), "bad-request").await;
    // A client has no privileges.
    let mut romeo = server.romeo().await;
    let asked = asked("juliet@localhost", "get", &ping("")).replace(" from='irc.localhost'", "");
    is_refused(&mut romeo, &asked, "service-unavailable").await;
    server.close().await;
}

#[tokio::test]
async fn a_request_that_the_server_answers_for_clients_is_answered_for_a_component() {
    let namespaces = [
        "urn:xmpp:blocking",
        "urn:xmpp:mam:2",
        "urn:xmpp:push:0",
        "urn:xmpp:inbox:1",
        "jabber:iq:register",
    ];
    let granted = namespaces.map(|ns| format!("'{ns}' = 'both'")).join(", ");
    let server = TestServer::new(&format!("iq = {{ {granted} }}")).await;
    let mut juliet = server.client("juliet", "balcony").await;
    juliet.say("<iq type='get' id='b'><blocklist xmlns='urn:xmpp:blocking'/></iq>").await;
    juliet.hears("id='b'").await;
    let mut irc = server.component().await;
    irc.hears("</message>").await;
    for (kind, to, payload, expected) in [
        (
            "set",
            "",
            "<block xmlns='urn:xmpp:blocking'><item jid='tybalt@localhost'/></block>",
            "id='i' type='result'/>",
        ),
        ("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>", "<item jid='tybalt@localhost'/>"),
        ("get", "", "<prefs xmlns='urn:xmpp:mam:2'/>", "<prefs xmlns='urn:xmpp:mam:2' default="),
        ("get", "", "<metadata xmlns='urn:xmpp:mam:2'/>", "<metadata "),
        // What comes in messages is for clients.
        ("set", "", "<query xmlns='urn:xmpp:mam:2'/>", "<forbidden "),
        ("get", "", "<inbox xmlns='urn:xmpp:inbox:1'/>", "<forbidden "),
        (
            "set",
            "",
            "<enable xmlns='urn:xmpp:push:0' jid='push.irc.localhost' node='n'/>",
            "id='i' type='result'/>",
        ),
        (
            "set",
            "",
            "<disable xmlns='urn:xmpp:push:0' jid='push.irc.localhost'/>",
            "id='i' type='result'/>",
        ),
        ("get", "to='localhost'", "<query xmlns='jabber:iq:register'/>", "<registered/>"),
        (
            "set",
            "to='localhost'",
            "<query xmlns='jabber:iq:register'><username>romeo</username><password>p</password></query>",
            "<not-allowed ",
        ),
        (
            "set",
            "to='localhost'",
            "<query xmlns='jabber:iq:register'><username>juliet</username><password>a new one</password></query>",
            "id='i' type='result'/>",
        ),
    ] {
        let request = format!("<iq xmlns='jabber:client' type='{kind}' id='i' {to}>{payload}</iq>");
        irc.say(asked("juliet@localhost", kind, &request)).await;
        let heard = irc.hears("</privilege>").await + &irc.hears("</iq>").await;
        assert!(heard.contains(expected), "{payload}: {heard}");
    }
    juliet.hears("<block xmlns='urn:xmpp:blocking'><item jid='tybalt@localhost'/>").await;
    server.close().await;
}

#[tokio::test]
async fn a_message_in_the_name_of_the_host_has_no_rights_in_rooms() {
    const ROOM: &str = "garden@conference.localhost";
    let server = TestServer::new(ALL).await;
    let mut romeo = server.romeo().await;
    let mut juliet = server.client("juliet", "balcony").await;
    let mut irc = server.component().await;
    irc.hears("</message>").await;
    let muc = "http://jabber.org/protocol/muc";
    romeo.say(format!("<presence to='{ROOM}/Romeo'><x xmlns='{muc}'/></presence>")).await;
    romeo.hears("<status code='201'").await;
    romeo
        .say(format!(
            "<iq type='set' id='c' to='{ROOM}'><query xmlns='{muc}#owner'><x xmlns='jabber:x:data' type='submit'>\
             <field var='muc#roomconfig_moderatedroom'><value>1</value></field></x></query></iq>"
        ))
        .await;
    romeo.hears("id='c'").await;
    juliet.say(format!("<presence to='{ROOM}/Juliet'><x xmlns='{muc}'/></presence>")).await;
    juliet.hears("<status code='110'").await;
    let approval = "<x xmlns='jabber:x:data' type='submit'>\
        <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>\
        <field var='muc#role'><value>participant</value></field>\
        <field var='muc#jid'><value>juliet@localhost/balcony</value></field>\
        <field var='muc#roomnick'><value>Juliet</value></field>\
        <field var='muc#request_allow'><value>true</value></field></x>";
    // An administrator may do some of this, and the server itself.
    for (kind, content) in [
        ("groupchat", "<body>No</body>"),
        ("groupchat", "<subject>No</subject>"),
        ("normal", approval),
        (
            "normal",
            "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='juliet@localhost'>\
             <reason>No</reason></invite></x>",
        ),
    ] {
        let message = format!(
            "<message xmlns='jabber:client' from='localhost' to='{ROOM}' type='{kind}'>{content}</message>"
        );
        irc.say(written("localhost", &message)).await;
    }
    irc.say("<iq from='irc.localhost' to='localhost' type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    irc.hears("id='end'").await;
    romeo
        .say(format!("<message to='{ROOM}' type='groupchat'><body>the end</body></message>"))
        .await;
    for peer in [&mut romeo, &mut juliet] {
        let heard = peer.hears("<body>the end</body>").await;
        assert!(!heard.contains(">No<") && !heard.contains("role='participant'"), "{heard}");
    }
    server.close().await;
}
