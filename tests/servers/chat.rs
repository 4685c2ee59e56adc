//! Users of two servers talk to each other.

use super::test_server::{Authority, Pair, Two};

#[tokio::test]
async fn messages_and_requests_go_both_ways_in_order() {
    let two = Two::certified("").await;
    let (mut romeo, mut juliet) = (two.a.online("romeo").await, two.b.online("juliet").await);
    for number in 0..100 {
        let body = format!("<body>{number} &amp; &lt;b/&gt;</body><x xmlns='urn:x'><y/></x>");
        let to = "juliet@b.example";
        romeo.say(format!("<message to='{to}' type='chat' xml:lang='it'>{body}</message>")).await;
    }
    for number in 0..100 {
        let message = juliet.hears("</message>").await;
        assert!(message.contains(&format!("<body>{number} &amp; &lt;b/&gt;</body>")), "{message}");
        assert!(message.contains("from='romeo@a.example/r'"), "{message}");
        assert!(message.contains("xml:lang='it'"), "{message}");
        assert!(message.contains("<x xmlns='urn:x'><y/></x>"), "{message}");
        assert!(!message.contains("jabber:"), "{message}");
    }
    juliet.say("<message to='romeo@a.example/r'><body>hi</body></message>").await;
    assert!(romeo.hears("</message>").await.contains("from='juliet@b.example/r'"));
    romeo.say("<iq type='get' id='7' to='b.example'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let answer = romeo.hears("id='7'").await;
    assert!(answer.contains("from='b.example'"), "{answer}");
    assert!(two.a.metric("waxwing_server_streams_total{direction=\"out\",outcome=\"success\"} 1"));
    assert!(
        two.b.metric("waxwing_server_streams_total{direction=\"in\",outcome=\"certificate\"} 1")
    );
    // The answers came on the same stream (XEP-0288).
    assert!(!two.b.metric("waxwing_server_streams_total{direction=\"out\""));
    two.close().await;
}

#[tokio::test]
async fn a_subscription_is_asked_for_and_given_and_presence_follows() {
    let two = Two::certified("").await;
    let (mut romeo, mut juliet) = (two.a.online("romeo").await, two.b.online("juliet").await);
    romeo.say("<presence type='subscribe' to='juliet@b.example'/>").await;
    let request = juliet.hears("type='subscribe'").await;
    assert!(request.contains("from='romeo@a.example'"), "{request}");
    juliet.say("<presence type='subscribed' to='romeo@a.example'/>").await;
    romeo.hears("type='subscribed'").await;
    let presence = romeo.hears("from='juliet@b.example/r'").await;
    assert!(!presence.contains("unavailable"), "{presence}");
    juliet.say("<presence><show>away</show></presence>").await;
    romeo.hears("<show>away</show>").await;
    // A second session learns by a probe.
    drop(romeo);
    let mut romeo = two.a.login("romeo").await;
    romeo.say("<presence/>").await;
    romeo.hears("from='juliet@b.example/r'").await;
    romeo.hears("<show>away</show>").await;
    drop(juliet);
    let gone = romeo.hears("type='unavailable'").await;
    assert!(gone.contains("from='juliet@b.example/r'"), "{gone}");
    two.close().await;
}

#[tokio::test]
async fn a_message_waits_for_a_user_who_is_offline() {
    let two = Two::certified("").await;
    let mut romeo = two.a.online("romeo").await;
    romeo.say("<message to='juliet@b.example' type='chat'><body>late</body></message>").await;
    romeo.say("<message to='nobody@b.example' type='chat'><body>?</body></message>").await;
    let error = romeo.hears("</message>").await;
    assert!(error.contains("from='nobody@b.example'"), "{error}");
    assert!(error.contains("<service-unavailable"), "{error}");
    let mut juliet = two.b.login("juliet").await;
    juliet.say("<presence/>").await;
    juliet.hears("<body>late</body>").await;
    two.close().await;
}

#[tokio::test]
async fn when_a_server_comes_back_it_is_reached_again() {
    let mut two = Two::certified("").await;
    let mut romeo = two.a.online("romeo").await;
    romeo.say("<message to='juliet@b.example' type='chat'><body>one</body></message>").await;
    let mut juliet = two.b.online("juliet").await;
    juliet.hears("<body>one</body>").await;
    two.b.restart().await;
    let mut juliet = two.b.online("juliet").await;
    romeo.say("<message to='juliet@b.example' type='chat'><body>two</body></message>").await;
    juliet.hears("<body>two</body>").await;
    two.close().await;
}

#[tokio::test]
async fn contacts_on_another_server_hear_that_the_server_ends() {
    let mut two = Two::certified("").await;
    let (mut romeo, mut juliet) = (two.a.online("romeo").await, two.b.online("juliet").await);
    romeo.say("<presence type='subscribe' to='juliet@b.example'/>").await;
    juliet.hears("type='subscribe'").await;
    juliet.say("<presence type='subscribed' to='romeo@a.example'/>").await;
    romeo.hears("from='juliet@b.example/r'").await;
    // On the stream that romeo's server has opened, and on the one that goes both ways.
    two.b.restart().await;
    let gone = romeo.hears("type='unavailable'").await;
    assert!(gone.contains("from='juliet@b.example/r'"), "{gone}");
    let mut juliet = two.b.online("juliet").await;
    juliet.say("<presence type='subscribe' to='romeo@a.example'/>").await;
    romeo.hears("type='subscribe'").await;
    romeo.say("<presence type='subscribed' to='juliet@b.example'/>").await;
    juliet.hears("from='romeo@a.example/r'").await;
    two.a.restart().await;
    let gone = juliet.hears("type='unavailable'").await;
    assert!(gone.contains("from='romeo@a.example/r'"), "{gone}");
    two.close().await;
}

#[tokio::test]
async fn dialback_proves_a_domain_where_that_is_allowed() {
    let authority = Authority::new();
    let [one, other] = ["a.example", "b.example"].map(Pair::self_signed);
    let two = Two::start(&authority, one, other, "dialback = ['*.example']").await;
    let (mut romeo, mut juliet) = (two.a.online("romeo").await, two.b.online("juliet").await);
    romeo.say("<message to='juliet@b.example' type='chat'><body>hi</body></message>").await;
    juliet.hears("<body>hi</body>").await;
    juliet.say("<message to='romeo@a.example' type='chat'><body>ho</body></message>").await;
    romeo.hears("<body>ho</body>").await;
    assert!(two.b.metric("waxwing_server_streams_total{direction=\"in\",outcome=\"dialback\"} 1"));
    two.close().await;
}

#[tokio::test]
async fn without_a_valid_certificate_there_is_no_stream() {
    let authority = Authority::new();
    let other_authority = Authority::new();
    for wrong in [
        Pair::self_signed("b.example"),
        other_authority.certify(&["b.example"]),
        authority.certify(&["c.example"]),
        authority.certify_until(&["b.example"], 2020),
    ] {
        let two = Two::start(&authority, authority.certify(&["a.example"]), wrong, "").await;
        let (mut romeo, mut juliet) = (two.a.online("romeo").await, two.b.online("juliet").await);
        romeo.say("<message to='juliet@b.example' type='chat'><body>hi</body></message>").await;
        let error = romeo.hears("</message>").await;
        assert!(error.contains("<remote-server-timeout"), "{error}");
        assert!(error.contains("the certificate of the other server"), "{error}");
        juliet.say("<message to='romeo@a.example' type='chat'><body>hi</body></message>").await;
        assert!(juliet.hears("</message>").await.contains("<remote-server-timeout"));
        two.close().await;
    }
}

#[tokio::test]
async fn a_room_has_occupants_of_other_servers() {
    let two = Two::certified("").await;
    let (mut romeo, mut juliet) = (two.a.online("romeo").await, two.b.online("juliet").await);
    let enter = |nick: &str| {
        let muc = "<x xmlns='http://jabber.org/protocol/muc'/>";
        format!("<presence to='garden@conference.a.example/{nick}'>{muc}</presence>")
    };
    romeo.say(enter("Romeo")).await;
    romeo.hears("<status code='201'").await;
    romeo
        .say("<iq type='set' id='make' to='garden@conference.a.example'><query \
              xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
        .await;
    romeo.hears("id='make'").await;
    juliet.say(enter("Juliet")).await;
    juliet.hears("<status code='110'").await;
    romeo.hears("from='garden@conference.a.example/Juliet'").await;
    juliet
        .say("<message to='garden@conference.a.example' type='groupchat'><body>hi all</body></message>")
        .await;
    romeo.hears("<body>hi all</body>").await;
    juliet.hears("<body>hi all</body>").await;
    drop(juliet);
    romeo.hears("type='unavailable'").await;
    two.close().await;
}

#[tokio::test]
async fn a_contact_on_another_server_hears_of_what_a_user_publishes() {
    let two = Two::certified("").await;
    let (mut romeo, mut juliet) = (two.a.online("romeo").await, two.b.online("juliet").await);
    romeo.say("<presence type='subscribe' to='juliet@b.example'/>").await;
    juliet.hears("type='subscribe'").await;
    juliet.say("<presence type='subscribed' to='romeo@a.example'/>").await;
    romeo.hears("type='subscribed'").await;
    juliet.say("<presence type='subscribe' to='romeo@a.example'/>").await;
    romeo.hears("type='subscribe'").await;
    romeo.say("<presence type='subscribed' to='juliet@b.example'/>").await;
    juliet.hears("type='subscribed'").await;
    // A hash that nobody knows: the server of the user asks what it stands for.
    juliet
        .say("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='x'/></presence>")
        .await;
    // Her own server asks, and that of the user.
    let answer = |id: &str, to: &str| {
        format!(
            "<iq type='result' id='{id}' to='{to}'><query xmlns='http://jabber.org/protocol/disco#info'>\
             <identity category='client' type='pc'/><feature var='urn:x:mood+notify'/></query></iq>"
        )
    };
    let mut asked = 0;
    while asked < 2 {
        let request = juliet.hears("disco#info").await;
        let start = request.rfind("<iq").unwrap();
        let value = |name: &str| {
            request[start..]
                .split(&format!(" {name}='"))
                .nth(1)
                .unwrap()
                .split('\'')
                .next()
                .unwrap()
        };
        asked += 1;
        juliet.say(answer(value("id"), value("from"))).await;
    }
    // The answer is on its way to the server of the user.
    for number in 0.. {
        assert!(number < 100, "nothing was heard");
        romeo
            .say(format!(
                "<iq type='set' id='mood{number}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish \
                 node='urn:x:mood'><item id='1'><mood xmlns='urn:x:mood'>glad</mood></item></publish></pubsub></iq>"
            ))
            .await;
        romeo.hears(&format!("id='mood{number}'")).await;
        juliet
            .say(format!(
                "<iq type='get' id='p{number}' to='a.example'><ping xmlns='urn:xmpp:ping'/></iq>"
            ))
            .await;
        let heard = juliet.hears(&format!("id='p{number}'")).await;
        if heard.contains("<mood xmlns='urn:x:mood'>glad</mood>") {
            assert!(heard.contains("from='romeo@a.example'"), "{heard}");
            break;
        }
    }
    two.close().await;
}

/// Nobody here is a contact of hers, so her client is not asked.
#[tokio::test]
async fn a_stranger_on_another_server_is_not_asked_what_its_client_can_do() {
    let two = Two::certified("").await;
    let (mut romeo, mut juliet) = (two.a.online("romeo").await, two.b.online("juliet").await);
    for to in ["romeo@a.example", "nobody@a.example"] {
        juliet
            .say(format!(
                "<presence to='{to}'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
                 node='urn:x' ver='{to}'/></presence>"
            ))
            .await;
    }
    romeo.hears("ver='romeo@a.example'").await;
    juliet
        .say("<message to='romeo@a.example' type='chat'><body>who art thou</body></message>")
        .await;
    romeo.hears("who art thou").await;
    romeo.say("<message to='juliet@b.example' type='chat'><body>nobody</body></message>").await;
    let heard = juliet.hears("<body>nobody</body>").await;
    assert!(!heard.contains("disco#info"), "{heard}");
    two.close().await;
}
