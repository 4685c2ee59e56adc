//! Heads are read and written; content goes along as it came.

use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

use super::{
    Condition, Content, Head, Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Refusal,
    Stanza,
};
use crate::jid::Jid;
use crate::xml::{Frame, element};

fn read(text: &str) -> Stanza {
    Stanza::read(Frame::from_bytes(text.to_owned()).unwrap()).unwrap()
}

fn written(stanza: &Stanza) -> String {
    stanza.to_xml()
}

fn refused(text: &str) -> (Option<Stanza>, Option<Condition>) {
    match Stanza::read(Frame::from_bytes(text.to_owned()).unwrap()) {
        Ok(stanza) => (Some(stanza), None),
        Err(Refusal::NotAStanza) => (None, None),
        Err(Refusal::Faulty(stanza, error)) => (Some(*stanza), Some(error.condition)),
    }
}

#[test]
fn a_head_is_written_anew_and_the_rest_as_it_came() {
    let cases = [
        ("<message/>", "<message/>"),
        ("<message></message>", "<message/>"),
        // RFC 6121 §5.2.2: all of these count as `normal`.
        ("<message type='normal'/>", "<message type='normal'/>"),
        ("<message type=\"unheard-of\"/>", "<message type='unheard-of'/>"),
        ("<message type='a&amp;b'/>", "<message type='a&amp;b'/>"),
        ("<message type=''/>", "<message type=''/>"),
        ("<message xml:lang=''/>", "<message xml:lang=''/>"),
        // What has a prefix goes along with its declaration.
        (
            "<message f:bar='y' id='1' xmlns:f='urn:f' xmlns:g=\"urn:g\" g:bar='z'/>",
            "<message id='1' xmlns:f='urn:f' xmlns:g=\"urn:g\" f:bar='y' g:bar='z'/>",
        ),
        (
            "<presence xmlns:f='urn:f' f:lang='x' f:to='y' f:type='z'/>",
            "<presence xmlns:f='urn:f' f:lang='x' f:to='y' f:type='z'/>",
        ),
        (
            "<message xmlns:f='urn:f'><f:a f:b='1'>f:c</f:a><d xmlns='urn:d' t='f:e'/></message>",
            "<message xmlns:f='urn:f'><f:a xmlns:f='urn:f' f:b='1'>f:c</f:a>\
             <d xmlns='urn:d' t='f:e'/></message>",
        ),
        ("<message xmlns='jabber:client' id=\"1\"/>", "<message id='1'/>"),
        ("<message id='a&amp;b&apos;c'/>", "<message id='a&amp;b&apos;c'/>"),
        ("<message xml:lang='de'/>", "<message xml:lang='de'/>"),
        // Neither of these is the head's.
        ("<message lang='de' xml:space='preserve'/>", "<message lang='de' xml:space='preserve'/>"),
        (
            "<message from='A@b.lit' to='c@D.lit/x' type='chat' id='1' xml:lang='en' mine=\"it's\"><body>x &lt; y</body></message>",
            "<message from='a@b.lit' to='c@d.lit/x' id='1' type='chat' xml:lang='en' mine=\"it's\"><body>x &lt; y</body></message>",
        ),
        ("<presence><priority> 5 </priority><x xmlns='urn:x'><!-- --></x></presence>", ""),
        (
            "<presence type='subscribe'>text<show/>\n</presence>",
            "<presence type='subscribe'>text<show/>\n</presence>",
        ),
    ];
    for (text, wanted) in cases {
        if wanted.is_empty() {
            assert!(Frame::from_bytes(text).is_err(), "comments never come as far as this");
            continue;
        }
        assert_eq!(written(&read(text)), wanted);
    }
}

#[test]
fn no_attribute_of_the_head_is_written_twice() {
    let mut stanza =
        read("<message from='a@b.lit' to='c@d.lit' id='1' type='chat' xml:lang='en'/>");
    let jid = |text| Some(Jid::parse(text).unwrap());
    let head = Head { from: jid("x@y.lit"), to: None, id: None, lang: Some("de".into()) };
    *stanza.head_mut() = head;
    assert_eq!(written(&stanza), "<message from='x@y.lit' type='chat' xml:lang='de'/>");
    let mut out = Vec::new();
    stanza.write(jid("z@y.lit").as_ref(), &mut out);
    assert_eq!(
        out, b"<message from='x@y.lit' to='z@y.lit' type='chat' xml:lang='de'/>",
        "`to` of who writes it"
    );
}

#[test]
fn a_prefix_of_the_stanza_itself_is_gone_and_all_else_goes_along() {
    let text = "<c:message xmlns:c='jabber:client' xmlns:l='http://www.w3.org/XML/1998/namespace' \
                xmlns:o='urn:o' l:lang='fr' o:lang='xx' o:to='q@r.lit'><c:body>x</c:body></c:message>";
    // `l:` may not stand for the namespace of `xml:` (Namespaces in XML §3).
    assert!(Frame::from_bytes(text).is_err());
    let text = text.replace("xmlns:l='http://www.w3.org/XML/1998/namespace' ", "");
    let stanza = read(&text.replace("l:lang", "xml:lang"));
    assert_eq!(stanza.head().lang.as_deref(), Some("fr"));
    assert_eq!(stanza.head().to, None, "another attribute than the head's");
    let wanted = "<message xml:lang='fr' xmlns:c='jabber:client' xmlns:o='urn:o' o:lang='xx' \
                  o:to='q@r.lit'><body>x</body></message>";
    assert_eq!(written(&stanza), wanted);
    assert_eq!(written(&read(wanted)), wanted, "and so for ever");
}

#[test]
fn a_message_of_another_kind_forgets_the_type_that_came() {
    let Stanza::Message(mut message) = read("<message type='unheard-of'/>") else { panic!() };
    message.kind = MessageKind::Chat;
    assert_eq!(written(&Stanza::Message(message)), "<message type='chat'/>");
    let Stanza::Message(mut message) = read("<message type='groupchat'/>") else { panic!() };
    message.kind = MessageKind::Normal;
    assert_eq!(written(&Stanza::Message(message)), "<message/>");
}

#[test]
fn what_is_packed_keeps_its_attributes() {
    let text = "<presence xmlns:f='urn:f' own='1' f:own=\"2\" xml:space='preserve'><show>away</show></presence>";
    let Stanza::Presence(presence) = read(text) else { panic!("{text}") };
    let packed = Presence { content: presence.content.packed(), ..presence };
    let again = Presence { content: packed.content.packed(), ..packed.clone() };
    assert_eq!(written(&Stanza::Presence(packed)), text);
    assert_eq!(written(&Stanza::Presence(again)), text, "twice");
}

#[test]
fn children_are_taken_out_and_put_in() {
    let mut stanza = read(
        "<message> <a xmlns='urn:a'/>one<b xmlns='urn:b'><a xmlns='urn:a'/></b>two\
         <a xmlns='urn:a'>x</a><c xmlns='urn:c'/></message>",
    );
    let Stanza::Message(message) = &mut stanza else { panic!("{stanza:?}") };
    let content = &mut message.content;
    assert!(content.remove(|child| child.is("urn:c", "c")));
    assert!(content.remove(|child| child.is("urn:a", "a")));
    assert!(!content.remove(|child| child.is("urn:a", "a")), "there is none any more");
    assert!(!content.has_received_child("urn:a", "a") && content.has_received_child("urn:b", "b"));
    content.add(&element("d").ns("urn:d"));
    content.add(&element("subject").text("<&"));
    let wanted = "<message> one<b xmlns='urn:b'><a xmlns='urn:a'/></b>two\
                  <d xmlns='urn:d'/><subject>&lt;&amp;</subject></message>";
    assert_eq!(written(&stanza), wanted);
    assert_eq!(stanza.content().received_children().count(), 1, "what was put in is not read");
    // A copy that holds no larger buffer says the same.
    let Stanza::Message(message) = stanza else { unreachable!() };
    let packed = Message { content: message.content.packed(), ..message };
    assert_eq!(written(&Stanza::Message(packed)), wanted);
}

#[test]
fn a_stanza_without_children_any_more_is_an_empty_element() {
    let mut stanza = read("<message own='1'><body>x</body></message>");
    let Stanza::Message(message) = &mut stanza else { panic!("{stanza:?}") };
    message.content.remove(|_| true);
    assert_eq!(written(&stanza), "<message own='1'/>");
}

#[test]
fn what_is_no_stanza_and_what_is_faulty_are_told_apart() {
    use Condition::{BadRequest, JidMalformed};
    let cases = [
        ("<x/>", false, None),
        ("<message xmlns='urn:x'/>", false, None),
        ("<message from='@@'/>", true, Some(JidMalformed)),
        ("<message to=''/>", true, Some(JidMalformed)),
        ("<presence type='here'/>", true, Some(BadRequest)),
        ("<iq type='get' id='1'/>", true, Some(BadRequest)),
        ("<iq type='get' id='1'><x xmlns='urn:x'/><y xmlns='urn:y'/></iq>", true, Some(BadRequest)),
        ("<iq type='set'><x xmlns='urn:x'/></iq>", true, Some(BadRequest)),
        ("<iq id='1'><x xmlns='urn:x'/></iq>", true, Some(BadRequest)),
        (
            "<iq type='result' id='1'><x xmlns='urn:x'/><y xmlns='urn:y'/></iq>",
            true,
            Some(BadRequest),
        ),
        ("<iq type='result' id='1'/>", true, None),
        ("<iq type='error' id='1'><x xmlns='urn:x'/><error/></iq>", true, None),
    ];
    for (text, is_stanza, condition) in cases {
        let (stanza, found) = refused(text);
        assert_eq!((stanza.is_some(), found), (is_stanza, condition), "{text}");
        assert!(found != Some(JidMalformed) || stanza.unwrap().head().to.is_none(), "{text}");
    }
}

/// RFC 6120 §8.3.3: for each condition, the types that may be expected.
#[test]
fn conditions_have_the_types_of_the_rfc() {
    let types = [
        ("auth", "forbidden not-authorized registration-required subscription-required"),
        ("cancel", "conflict feature-not-implemented gone internal-server-error item-not-found"),
        ("cancel", "not-allowed remote-server-not-found service-unavailable"),
        ("modify", "bad-request feature-not-implemented jid-malformed not-acceptable"),
        ("modify", "policy-violation redirect unexpected-request"),
        ("wait", "policy-violation recipient-unavailable remote-server-timeout"),
        ("wait", "resource-constraint unexpected-request"),
    ];
    assert_eq!(Condition::ALL.len(), 22);
    for condition in Condition::ALL.iter().filter(|c| **c != Condition::UndefinedCondition) {
        let (name, kind) = (condition.as_str(), condition.kind().as_str());
        let is_meant = |names: &str| names.split(' ').any(|one| one == name);
        assert!(types.iter().any(|(t, names)| *t == kind && is_meant(names)), "{name} {kind}");
    }
}

#[test]
fn errors_and_results_are_never_answered() {
    let answer = |text| {
        let answer = super::StanzaError::from(Condition::ItemNotFound).answer(&read(text));
        answer.map(|stanza| written(&stanza))
    };
    let error = "<error code='404' type='cancel'>\
                 <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let cases = [
        ("<iq type='get' id='1' from='a@b.lit' to='c.lit'><x/></iq>", Some("iq")),
        ("<iq type='result' id='1'/>", None),
        ("<iq type='error' id='1'/>", None),
        ("<message type='chat' id='1' from='a@b.lit' to='c.lit'/>", Some("message")),
        ("<message type='error' id='1'/>", None),
        ("<presence id='1' from='a@b.lit' to='c.lit'/>", Some("presence")),
        ("<presence type='error' id='1'/>", None),
    ];
    for (text, name) in cases {
        let wanted = name.map(|name| {
            format!("<{name} from='c.lit' to='a@b.lit' id='1' type='error'>{error}</{name}>")
        });
        assert_eq!(answer(text), wanted, "{text}");
    }
}

#[test]
fn priorities_are_read_as_far_as_they_can() {
    let priority = |text: &str| {
        let Stanza::Presence(presence) = read(text) else { panic!("{text}") };
        presence.priority()
    };
    for (text, wanted) in [("5", 5), (" -128 ", -128), ("128", 0), ("", 0), ("high", 0)] {
        assert_eq!(priority(&format!("<presence><priority>{text}</priority></presence>")), wanted);
    }
    assert_eq!(priority("<presence><priority xmlns='urn:x'>5</priority></presence>"), 0);
    assert_eq!(priority("<presence/>"), 0);
}

// ── properties ──

fn value() -> impl Strategy<Value = String> {
    // What a parser would fold into a space, if it were not escaped, is among them.
    prop::collection::vec(
        prop_oneof![
            select(vec!['<', '>', '&', '"', '\'', '\t', '\n', '\r', ' ', '\u{85}', '\u{2028}']),
            select(vec!['a', 'ä', '😀', ']', '\u{e000}']),
        ],
        0..12,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn jid() -> impl Strategy<Value = Jid> {
    select(vec!["a@b.lit", "b.lit", "b.lit/x y", "it's@b.lit/<&>\"", "ä@b.lit/😀"])
        .prop_filter_map("an address", |text| Jid::parse(text).ok())
}

fn head() -> impl Strategy<Value = Head> {
    let jid = || proptest::option::of(jid());
    let value = || proptest::option::of(value());
    (jid(), jid(), value(), value()).prop_map(|(from, to, id, lang)| Head {
        from,
        to,
        id: id.map(Into::into),
        lang: lang.map(Into::into),
    })
}

fn stanza() -> impl Strategy<Value = Stanza> {
    use {MessageKind as M, PresenceKind as P};
    let iq = select(vec![IqKind::Error, IqKind::Get, IqKind::Result, IqKind::Set]);
    let message = select(vec![M::Chat, M::Error, M::Groupchat, M::Headline, M::Normal]);
    let presence = select(vec![P::Available, P::Error, P::Probe, P::Subscribe, P::Unavailable]);
    let payload =
        || value().prop_map(|v| Content::from(element("x").ns("urn:x").attr("v", &v).text(&v)));
    prop_oneof![
        (head(), iq, payload(), value()).prop_map(|(head, kind, content, id)| {
            let head = Head { id: Some(id.into()), ..head };
            Stanza::Iq(Iq { head, kind, content })
        }),
        (head(), message, payload()).prop_map(|(head, kind, content)| Stanza::Message(Message {
            head,
            kind,
            content
        })),
        (head(), presence, payload())
            .prop_map(|(head, kind, content)| Stanza::Presence(Presence { head, kind, content })),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(stanza in stanza()) {
        let text = written(&stanza);
        let again = read(&text);
        let (old, new) = (stanza.head(), again.head());
        prop_assert_eq!((&old.from, &old.to), (&new.from, &new.to));
        prop_assert_eq!((&old.id, &old.lang), (&new.id, &new.lang), "{}", text);
        prop_assert_eq!((stanza.name(), stanza.kind()), (again.name(), again.kind()));
        // And so for ever: a stanza may pass many servers.
        prop_assert_eq!(written(&again), text);
    }

    #[test]
    fn a_head_can_be_changed_in_whatever_came(
        first in stanza(),
        own in value(),
        head in head(),
    ) {
        // With an attribute of the sender's own, and its head in another order.
        let text = written(&first);
        let mut attribute = Vec::new();
        crate::xml::escape_attr(&mut attribute, &own);
        let attribute = String::from_utf8(attribute).unwrap();
        let at = first.name().len() + 1;
        let text = format!("{} own='{attribute}'{}", &text[..at], &text[at..]);
        let mut stanza = read(&text);
        let id = head.id.clone().or_else(|| Some("1".into()));
        *stanza.head_mut() = Head { id, ..head };
        let text = written(&stanza);
        let frame = Frame::from_bytes(text.clone());
        prop_assert!(frame.is_ok(), "double attributes are not well-formed: {text}");
        let frame = frame.unwrap();
        let found = frame.root().attr("own");
        prop_assert_eq!(found.as_deref(), Some(own.as_str()));
        let again = read(&text);
        prop_assert_eq!(&again.head().to, &stanza.head().to);
        prop_assert_eq!(&again.head().id, &stanza.head().id);
        prop_assert_eq!(&again.head().lang, &stanza.head().lang);
    }
}
