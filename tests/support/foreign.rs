//! Every request that is answered, as clients send it, and the same with what we do not know in it: an
//! element and attributes of other namespaces. The answer must be the same (RFC 6120 §8.4).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use waxwing::host::AddressKind;
use waxwing::stanza::IqKind;

use super::answers::{ask, without_address};
use super::client::{Client, Transcript};
use super::element::Element;
use super::requests;
use super::script::Script;
use super::server::Target;

/// A request that must be answered with a result; `@` and `+` stand where foreign attributes and
/// children go.
type Sample = (AddressKind, IqKind, &'static str);

const SAMPLES: &[Sample] = &[
    (A, Get, "<query xmlns='http://jabber.org/protocol/disco#info' @>+</query>"),
    (H, Get, "<query xmlns='http://jabber.org/protocol/disco#info' @>+</query>"),
    (A, Get, "<query xmlns='http://jabber.org/protocol/disco#items' @>+</query>"),
    (H, Get, "<query xmlns='http://jabber.org/protocol/disco#items' @>+</query>"),
    (S, Get, "<query xmlns='http://jabber.org/protocol/disco#info' @>+</query>"),
    (S, Get, "<query xmlns='http://jabber.org/protocol/disco#items' @>+</query>"),
    (S, Get, "<ping xmlns='urn:xmpp:ping' @>+</ping>"),
    (T, Get, "<query xmlns='http://jabber.org/protocol/disco#info' @>+</query>"),
    (T, Get, "<query xmlns='http://jabber.org/protocol/disco#items' @>+</query>"),
    (A, Get, "<ping xmlns='urn:xmpp:ping' @>+</ping>"),
    (H, Get, "<ping xmlns='urn:xmpp:ping' @>+</ping>"),
    (H, Get, "<query xmlns='jabber:iq:version' @>+</query>"),
    (H, Get, "<time xmlns='urn:xmpp:time' @>+</time>"),
    (A, Get, "<query xmlns='jabber:iq:last' @>+</query>"),
    (H, Get, "<query xmlns='jabber:iq:last' @>+</query>"),
    (A, Set, "<session xmlns='urn:ietf:params:xml:ns:xmpp-session' @>+</session>"),
    (H, Set, "<session xmlns='urn:ietf:params:xml:ns:xmpp-session' @>+</session>"),
    (A, Set, "<vCard xmlns='vcard-temp' @><FN @>Romeo</FN>+</vCard>"),
    (A, Get, "<vCard xmlns='vcard-temp' @>+</vCard>"),
    (A, Set, "<query xmlns='jabber:iq:private' @><a xmlns='urn:a'>+</a></query>"),
    (A, Get, "<query xmlns='jabber:iq:private' @><b xmlns='urn:b' @>+</b></query>"),
    (
        A,
        Set,
        "<query xmlns='jabber:iq:roster' @>+<item jid='a@b' name='A' @>+<group @>g</group></item></query>",
    ),
    (A, Get, "<query xmlns='jabber:iq:roster' @>+</query>"),
    (A, Get, "<query xmlns='jabber:iq:roster' ver='' @>+</query>"),
    (
        A,
        Set,
        "<query xmlns='jabber:iq:roster' @>+<item jid='a@b' subscription='remove' @>+</item></query>",
    ),
    (A, Set, "<block xmlns='urn:xmpp:blocking' @>+<item jid='a@b' @>+</item></block>"),
    (A, Set, "<unblock xmlns='urn:xmpp:blocking' @>+<item jid='a@b' @>+</item></unblock>"),
    (A, Set, "<unblock xmlns='urn:xmpp:blocking' @>+</unblock>"),
    (A, Get, "<blocklist xmlns='urn:xmpp:blocking' @>+</blocklist>"),
    (A, Set, PUBLISH),
    (
        A,
        Get,
        "<pubsub xmlns='http://jabber.org/protocol/pubsub' @>+<items node='n' @>+</items></pubsub>",
    ),
    (
        A,
        Get,
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner' @>+<configure node='n' @>+</configure></pubsub>",
    ),
    (
        A,
        Set,
        "<pubsub xmlns='http://jabber.org/protocol/pubsub#owner' @>+<purge node='n' @>+</purge></pubsub>",
    ),
    (A, Get, "<query xmlns='urn:xmpp:mam:2' @>+</query>"),
    (A, Set, "<query xmlns='urn:xmpp:mam:2' queryid='q' @>+</query>"),
    (A, Set, "<enable xmlns='urn:xmpp:carbons:2' @>+</enable>"),
    (A, Set, "<disable xmlns='urn:xmpp:carbons:2' @>+</disable>"),
    (
        A,
        Set,
        "<query xmlns='urn:xmpp:mam:2' @>+<x xmlns='jabber:x:data' type='submit' @>+\
         <field var='FORM_TYPE' @><value @>urn:xmpp:mam:2</value></field>\
         <field var='with' @>+<value @>a@b</value></field></x>\
         <set xmlns='http://jabber.org/protocol/rsm' @>+<max @>5</max></set></query>",
    ),
    (A, Get, "<inbox xmlns='urn:xmpp:inbox:1' @>+</inbox>"),
    (A, Get, "<metadata xmlns='urn:xmpp:mam:2' @>+</metadata>"),
    (
        A,
        Set,
        "<enable xmlns='urn:xmpp:push:0' jid='push.example' node='n' @>+\
         <x xmlns='jabber:x:data' type='submit' @>+\
         <field var='secret' @><value @>s</value></field></x></enable>",
    ),
    (A, Set, "<disable xmlns='urn:xmpp:push:0' jid='push.example' node='n' @>+</disable>"),
    (
        A,
        Set,
        "<prefs xmlns='urn:xmpp:mam:2' default='roster' @>+<always @>+<jid @>a@b</jid></always>\
         <never @>+</never></prefs>",
    ),
    (A, Get, "<prefs xmlns='urn:xmpp:mam:2' @>+</prefs>"),
    (A, Get, "<list xmlns='urn:xmpp:cam:0' @>+</list>"),
    (A, Set, "<revoke xmlns='urn:xmpp:cam:0' id='other' @>+</revoke>"),
    (A, Get, "<query xmlns='jabber:iq:register' @>+</query>"),
    (H, Get, "<query xmlns='jabber:iq:register' @>+</query>"),
    (A, Set, REGISTER),
    (H, Set, REGISTER),
    (
        H,
        Get,
        "<pubsub xmlns='http://jabber.org/protocol/pubsub' @>+\
         <items node='http://jabber.org/protocol/geoloc' @>+</items></pubsub>",
    ),
    (H, Get, "<services xmlns='urn:xmpp:extdisco:2' @>+</services>"),
    (
        H,
        Get,
        "<credentials xmlns='urn:xmpp:extdisco:2' @>+<service host='turn.localhost' type='turn' @>+</service></credentials>",
    ),
    (H, Set, "<command xmlns='http://jabber.org/protocol/commands' node='status' @>+</command>"),
    (
        A,
        Set,
        "<command xmlns='http://jabber.org/protocol/commands' node='stranger-requests' @>+</command>",
    ),
];

const PUBLISH: &str = "<pubsub xmlns='http://jabber.org/protocol/pubsub' @>+<publish node='n' @>+\
                       <item id='i' @><a xmlns='urn:a'/></item></publish></pubsub>";

const REGISTER: &str = "<query xmlns='jabber:iq:register' @>+<username @>romeo</username>\
                        <password @>secret</password></query>";

const A: AddressKind = AddressKind::Account;
const H: AddressKind = AddressKind::Host;
const S: AddressKind = AddressKind::Service;
const T: AddressKind = AddressKind::ServiceAddress;
use IqKind::{Get, Set};

/// Sends all of them: once so that the second time changes nothing, then without and with what is
/// foreign.
pub(crate) async fn run(cast: &Script, target: &dyn Target) -> Result<(), String> {
    every_request_has_a_sample()?;
    let transcript: Transcript = Rc::new(RefCell::new(Vec::new()));
    let persona = &cast.clients[0];
    target.add_account(persona).await?;
    let mut romeo = Client::new(persona.clone(), transcript, Duration::from_secs(20));
    romeo.log_in(target).await?;
    for (number, (address, kind, payload)) in SAMPLES.iter().enumerate() {
        let is_new = payload.contains("remove");
        let mut answers = Vec::new();
        for (turn, (attributes, inside)) in
            [("", ""), ("", ""), (" xmlns:f='urn:f' f:g='1' unknown='2'", FOREIGN)]
                .iter()
                .enumerate()
        {
            if is_new {
                let add = "<iq type='set' id='add'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>";
                ask(&mut romeo, "add", add).await?;
            }
            let to = requests::to(*address);
            let payload = payload.replace(" @", attributes).replace('+', inside);
            let id = format!("foreign-{number}-{turn}");
            let stanza = format!("<iq type='{}' id='{id}'{to}>{payload}</iq>", kind.as_str());
            let came = ask(&mut romeo, &id, &stanza).await?;
            let [answer] = came.as_slice() else { return Err(format!("{stanza}: {came:?}")) };
            // The only client knows the password, and is connected.
            let is_refused = payload.starts_with("<revoke ");
            if answer.attribute("type") != Some("result") && !is_refused {
                return Err(format!("{stanza} is refused: {answer}"));
            }
            answers.push(comparable(answer));
        }
        // What is stored for its owner comes back as it was.
        let keeps = payload.contains("vcard-temp") || payload.contains("urn:b");
        if answers[1] != answers[2] && !keeps {
            return Err(format!("{payload}: {} and {} differ", answers[1], answers[2]));
        }
    }
    Ok(())
}

/// Without what is different each time.
fn comparable(answer: &Element) -> Element {
    fn strip(element: &mut Element) {
        element.attributes.retain(|(_, name, _)| name != "sessionid");
        for child in &mut element.children {
            if let super::element::Node::Element(child) = child {
                strip(child);
            }
        }
    }
    let mut answer = without_address(answer);
    strip(&mut answer);
    answer
}

fn every_request_has_a_sample() -> Result<(), String> {
    let is_sampled = |request: &requests::Request| {
        SAMPLES.iter().any(|(address, kind, payload)| {
            request.is(*address, *kind) && payload.starts_with(&request.start())
        })
    };
    match requests::all().iter().find(|request| !is_sampled(request)) {
        Some(request) => Err(format!("no sample of {}", request.title())),
        None => Ok(()),
    }
}

const FOREIGN: &str = "<annotate xmlns='urn:xmpp:mix:roster:0'><b>text</b></annotate>";
