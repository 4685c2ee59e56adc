//! Namespaces that a component answers instead of the server (XEP-0355).

use crate::peer::Peer;
use crate::test_server::TestServer;

const NS: &str = "urn:xmpp:delegation:2";
const OPTIONS: &str = "delegate = { 'urn:example:notes' = [], 'jabber:iq:private' = ['node'], \
    'urn:xmpp:delegation:2:bare:disco#info:*' = [], \
    'urn:xmpp:delegation:2:bare:disco#items:*' = [] }";

/// A component that was told of its namespaces, and has said what is announced for them.
async fn component(server: &TestServer) -> Peer {
    let mut irc = server.component().await;
    let heard = irc.hears("</message>").await;
    for expected in [
        "<message from='localhost' to='irc.localhost' id='".to_owned(),
        format!("<delegation xmlns='{NS}'>"),
        "<delegated namespace='urn:example:notes'/>".to_owned(),
        "<delegated namespace='jabber:iq:private'><attribute name='node'/></delegated>".to_owned(),
    ] {
        assert!(heard.contains(&expected), "{expected}: {heard}");
    }
    for _ in 0..4 {
        let heard = irc.hears("</iq>").await;
        let id = value(&heard, "id");
        let node = value(&heard, "node");
        let features = match node.as_str() {
            "urn:xmpp:delegation:2::urn:example:notes" => "<feature var='urn:example:notes#host'/>",
            "urn:xmpp:delegation:2:bare:urn:example:notes" => {
                "<identity category='notes' type='all'/><feature var='urn:example:notes#bare'/>"
            }
            _ => "",
        };
        irc.say(format!(
            "<iq from='irc.localhost' to='localhost' type='result' id='{id}'>\
             <query xmlns='http://jabber.org/protocol/disco#info' node='{node}'>{features}</query></iq>"
        ))
        .await;
    }
    // The last of them has been read.
    irc.say("<iq from='irc.localhost' to='localhost' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await;
    irc.hears("id='p'").await;
    irc
}

/// The last attribute of this name.
fn value(xml: &str, name: &str) -> String {
    let (_, rest) = xml.rsplit_once(&format!(" {name}='")).unwrap();
    rest.split('\'').next().unwrap().to_owned()
}

/// The first attribute of this name.
fn first(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!(" {name}='")).unwrap();
    rest.split('\'').next().unwrap().to_owned()
}

fn notes(id: &str) -> String {
    format!("<iq type='get' id='{id}'><notes xmlns='urn:example:notes' a='1'/></iq>")
}

/// The component answers what has come to it in this way.
async fn answers(irc: &mut Peer, id: &str, inner: &str) {
    irc.say(format!(
        "<iq from='irc.localhost' to='localhost' type='result' id='{id}'>\
         <delegation xmlns='{NS}'><forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded>\
         </delegation></iq>"
    ))
    .await;
}

/// Asks until the answer has this.
async fn until(peer: &mut Peer, said: &str, wanted: &str) -> String {
    for _ in 0..1000 {
        peer.say(said).await;
        let heard = peer.hears("</iq>").await;
        if heard.contains(wanted) {
            return heard;
        }
        tokio::task::yield_now().await;
    }
    panic!("never {wanted}");
}

#[tokio::test]
async fn a_request_in_a_delegated_namespace_is_answered_by_the_component() {
    let server = TestServer::new(OPTIONS).await;
    let mut romeo = server.romeo().await;
    let mut irc = component(&server).await;
    for to in ["", " to='romeo@localhost'", " to='localhost'", " to='juliet@localhost'"] {
        romeo.say(notes("n1").replace(" id=", &format!("{to} id="))).await;
        let heard = irc.hears("</delegation></iq>").await;
        assert!(heard.contains("<iq from='localhost' to='irc.localhost' id='"), "{heard}");
        assert!(heard.contains(" type='set'><delegation "), "{heard}");
        let inner = "<iq xmlns='jabber:client' from='romeo@localhost/orchard' to='";
        assert!(heard.contains(inner) && heard.contains("a='1'/></iq></forwarded>"), "{heard}");
        let id = first(&heard, "id");
        let result = "<iq xmlns='jabber:client' to='romeo@localhost/orchard' id='n1' type='result'>\
                      <notes xmlns='urn:example:notes'>Buy a dagger</notes></iq>";
        answers(&mut irc, &id, result).await;
        let heard = romeo.hears("</iq>").await;
        assert!(heard.contains("id='n1' type='result'>") && heard.contains("dagger"), "{heard}");
        assert!(!heard.contains("irc.localhost"), "{heard}");
    }
    // To a device: it is not for the server.
    romeo.say(notes("n2").replace(" id=", " to='romeo@localhost/orchard' id=")).await;
    romeo.hears("<notes ").await;
    server.close().await;
}

#[tokio::test]
async fn an_answer_that_is_not_to_the_request_is_none() {
    let server = TestServer::new(OPTIONS).await;
    let mut romeo = server.romeo().await;
    let mut irc = component(&server).await;
    for inner in [
        "<iq xmlns='jabber:client' to='juliet@localhost' id='n1' type='result'/>",
        "<iq xmlns='jabber:client' to='romeo@localhost/orchard' id='n2' type='result'/>",
        "<iq xmlns='jabber:client' to='romeo@localhost/orchard' id='n1' type='error'/>",
        "<iq xmlns='jabber:client' to='romeo@localhost/orchard' id='n1' type='set'><a xmlns='b'/></iq>",
        "<iq xmlns='jabber:client' to='romeo@localhost/orchard' from='juliet@localhost' id='n1' type='result'/>",
        "<iq to='romeo@localhost/orchard' id='n1' type='result'/>",
        "",
    ] {
        romeo.say(notes("n1")).await;
        let heard = irc.hears("</delegation></iq>").await;
        answers(&mut irc, &first(&heard, "id"), inner).await;
        let heard = romeo.hears("</iq>").await;
        assert!(heard.contains("id='n1' type='error'"), "{inner}: {heard}");
        assert!(heard.contains("<service-unavailable "), "{inner}: {heard}");
    }
    romeo.say(notes("n1")).await;
    let id = first(&irc.hears("</delegation></iq>").await, "id");
    irc.say(format!(
        "<iq from='irc.localhost' to='localhost' type='error' id='{id}'><error type='auth'>\
         <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ))
    .await;
    romeo.hears("<service-unavailable ").await;
    // It goes away with the request, and is away then.
    romeo.patience = std::time::Duration::from_secs(20);
    romeo.say(notes("n1")).await;
    irc.hears("</delegation></iq>").await;
    drop(irc);
    // That is told at once.
    let heard = romeo.hears("<service-unavailable ").await;
    assert!(heard.contains("id='n1' type='error'"), "{heard}");
    let table = server.server.state().shared::<waxwing::host::components::Components>();
    while table.is_connected("irc.localhost") {
        tokio::task::yield_now().await;
    }
    romeo.say(notes("n3")).await;
    let heard = romeo.hears("<service-unavailable ").await;
    assert!(heard.contains("id='n3' type='error'"), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn the_server_answers_what_lacks_the_attribute_and_what_the_component_asks() {
    let server = TestServer::new(&format!("{OPTIONS}\nroster = 'both'")).await;
    let mut romeo = server.romeo().await;
    let mut irc = server.component().await;
    irc.hears("<delegation ").await;
    romeo
        .say("<iq type='get' id='1'><query xmlns='jabber:iq:private'><a xmlns='b'/></query></iq>")
        .await;
    let heard = romeo.hears("</iq>").await;
    assert!(heard.contains("id='1' type='result'"), "{heard}");
    romeo
        .say("<iq type='get' id='2'><query xmlns='jabber:iq:private' node=''><a xmlns='b'/></query></iq>")
        .await;
    irc.hears("<query xmlns='jabber:iq:private' node=''>").await;
    irc.say(notes("3").replace(" id=", " from='irc.localhost' to='localhost' id=")).await;
    let heard = irc.hears("</error></iq>").await;
    assert!(heard.contains("to='irc.localhost' id='3' type='error'"), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn what_a_component_announces_for_its_namespaces_is_announced_by_the_server() {
    let server = TestServer::new(OPTIONS).await;
    let mut romeo = server.romeo().await;
    let mut irc = component(&server).await;
    let asks = |to: &str, node: &str, what: &str| {
        format!(
            "<iq type='get' id='d' to='{to}'>\
             <query xmlns='http://jabber.org/protocol/disco#{what}'{node}/></iq>"
        )
    };
    // The answer of the component to the last question comes to the server in its own time.
    let heard = until(&mut romeo, &asks("localhost", "", "info"), "notes#host").await;
    assert!(heard.contains(&format!("<feature var='{NS}'/>")), "{heard}");
    assert!(!heard.contains("urn:example:notes#bare"), "{heard}");
    let heard = until(&mut romeo, &asks("romeo@localhost", "", "info"), "notes#bare").await;
    assert!(heard.contains("category='notes'") && heard.contains("category='account'"), "{heard}");
    // Nodes that nobody else knows, and all items.
    for (node, what) in [(" node='urn:x'", "info"), (" node='urn:x'", "items"), ("", "items")] {
        romeo.say(asks("romeo@localhost", node, what)).await;
        let heard = irc.hears("</delegation></iq>").await;
        assert!(heard.contains(&format!("disco#{what}'{node}/></iq></forwarded>")), "{heard}");
        let query =
            format!("<query xmlns='http://jabber.org/protocol/disco#{what}'{node}><x/></query>");
        let inner = format!(
            "<iq xmlns='jabber:client' to='romeo@localhost/orchard' id='d' type='result'>{query}</iq>"
        );
        answers(&mut irc, &first(&heard, "id"), &inner).await;
        let heard = romeo.hears("</iq>").await;
        assert!(heard.contains("id='d' type='result'") && heard.contains("<x/>"), "{heard}");
    }
    server.close().await;
}

/// A component asks this in the name of juliet.
fn for_juliet(component: &str, kind: &str, payload: &str) -> String {
    format!(
        "<iq from='{component}' to='juliet@localhost' type='{kind}' id='outer'>\
         <privileged_iq xmlns='urn:xmpp:privilege:2'><iq xmlns='jabber:client' type='{kind}' id='inner'>\
         {payload}</iq></privileged_iq></iq>"
    )
}

#[tokio::test]
async fn what_a_component_asks_for_a_user_is_answered_by_the_server_or_by_another_component() {
    let server = TestServer::new(
        "delegate = { 'urn:example:notes' = [], 'jabber:iq:private' = [] }\n\
         iq = { 'jabber:iq:private' = 'both' }\n\
         [[component]]\ndomain = 'sms.localhost'\nsecret = 'north'\n\
         iq = { 'urn:example:notes' = 'get' }",
    )
    .await;
    let mut irc = server.component().await;
    let mut sms = server.component_at("sms.localhost").await;
    sms.hears("<privilege ").await;
    // The component that answers in the namespace.
    let query = "<query xmlns='jabber:iq:private'><a xmlns='b'>c</a></query>";
    irc.say(for_juliet("irc.localhost", "set", query)).await;
    let heard = irc.hears("</privilege></iq>").await;
    assert!(heard.contains("id='inner' type='result'/>"), "{heard}");
    assert!(!heard.contains("</delegation></iq>"), "{heard}");
    irc.say(for_juliet(
        "irc.localhost",
        "get",
        "<query xmlns='jabber:iq:private'><a xmlns='b'/></query>",
    ))
    .await;
    irc.hears("<a xmlns='b'>c</a>").await;
    // Another one.
    sms.say(for_juliet("sms.localhost", "get", "<notes xmlns='urn:example:notes'/>")).await;
    let heard = irc.hears("</delegation></iq>").await;
    let inner = "<iq xmlns='jabber:client' from='juliet@localhost' to='juliet@localhost' id='";
    let (_, asked) = heard.split_once(inner).unwrap();
    let inner_id = asked.split('\'').next().unwrap();
    let (_, outer) = heard.rsplit_once("<iq from='localhost' to='irc.localhost' id='").unwrap();
    let result = format!(
        "<iq xmlns='jabber:client' to='juliet@localhost' id='{inner_id}' type='result'>\
         <notes xmlns='urn:example:notes'>Buy a dagger</notes></iq>"
    );
    answers(&mut irc, outer.split('\'').next().unwrap(), &result).await;
    let heard = sms.hears("</privilege></iq>").await;
    assert!(heard.contains("id='inner' type='result'>") && heard.contains("dagger"), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn what_a_component_has_announced_is_announced_while_it_is_connected() {
    let server =
        TestServer::new("delegate = { 'urn:example:notes' = [], 'jabber:iq:private' = [] }").await;
    let mut romeo = server.romeo().await;
    let ask = "<iq type='get' id='d' to='localhost'>\
               <query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    // Nobody answers in its namespaces.
    romeo.say(ask).await;
    let heard = romeo.hears("</iq>").await;
    assert!(!heard.contains("jabber:iq:private") && heard.contains("<feature "), "{heard}");
    for _ in 0..2 {
        let mut irc = server.component().await;
        irc.hears("<delegation ").await;
        for _ in 0..4 {
            let heard = irc.hears("</iq>").await;
            let (id, node) = (value(&heard, "id"), value(&heard, "node"));
            irc.say(format!(
                "<iq from='irc.localhost' to='localhost' type='result' id='{id}'>\
                 <query xmlns='http://jabber.org/protocol/disco#info' node='{node}'>\
                 <feature var='urn:example:more'/></query></iq>"
            ))
            .await;
        }
        until(&mut romeo, ask, "urn:example:more").await;
        drop(irc);
        let table = server.server.state().shared::<waxwing::host::components::Components>();
        while table.is_connected("irc.localhost") {
            tokio::task::yield_now().await;
        }
        romeo.say(ask).await;
        let heard = romeo.hears("</iq>").await;
        assert!(!heard.contains("urn:example:more"), "{heard}");
    }
    server.close().await;
}
