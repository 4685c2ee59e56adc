use super::action::{Action, Actions, Purpose};
use super::machine::Outgoing;
use crate::s2s::announced_limits::OurLimits;
use crate::s2s::key::DialbackKey;
use crate::s2s::pair::Pair;
use crate::s2s::rules::Rules;
use crate::tls::{CertificateFault, PeerCertificate};
use crate::xml::{Frame, Limits, Scope, header};

struct Talk {
    machine: Outgoing,
    said: Vec<String>,
}

const OPEN: &str = "<s:stream xmlns='jabber:server' xmlns:s='http://etherx.jabber.org/streams' \
                    xmlns:db='jabber:server:dialback' from='c.example' id='7' version='1.0'>";
const STARTTLS: &str =
    "<s:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></s:features>";
const EXTERNAL: &str = "<s:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms><dialback xmlns='urn:xmpp:features:dialback'/></s:features>";
const DIALBACK: &str = "<s:features><dialback xmlns='urn:xmpp:features:dialback'/></s:features>";

fn pair() -> Pair {
    Pair { local: "a.example".into(), remote: "c.example".into() }
}

impl Talk {
    fn new(purpose: Purpose, certificate: Option<PeerCertificate>, config: &str) -> Self {
        let (rules, key) = (Rules::for_tests(config), DialbackKey::new(&[7; 32]));
        let our_limits = OurLimits { bytes: 20_000, idle: std::time::Duration::from_secs(60) };
        let machine = Outgoing::new(pair(), purpose, rules, key, our_limits, certificate);
        let mut talk = Self { machine, said: Vec::new() };
        let actions = talk.machine.begin();
        talk.note(actions);
        talk
    }

    /// Under TLS, with these features.
    fn secured(
        purpose: Purpose,
        fault: Option<CertificateFault>,
        config: &str,
        features: &str,
    ) -> Self {
        let chain = fault.map_or(Ok(()), Err);
        let certificate = PeerCertificate::for_tests(&["c.example"], chain);
        let mut talk = Self::new(purpose, Some(certificate), config);
        talk.header().said.clear();
        talk.element(features);
        talk
    }

    fn header(&mut self) -> &mut Self {
        self.header_of(OPEN)
    }

    fn header_of(&mut self, text: &str) -> &mut Self {
        let actions = self.machine.header(&header(text.as_bytes()).unwrap());
        self.note(actions)
    }

    fn element(&mut self, text: &str) -> &mut Self {
        let scope = Scope::from_header(&header(OPEN.as_bytes()).unwrap());
        let limits = Limits { bytes: 10_000, depth: 9, attributes: 20, nodes: 99 };
        let frame = Frame::parse(text.to_owned().into(), &scope, &limits).unwrap();
        let actions = self.machine.element(frame);
        self.note(actions)
    }

    fn note(&mut self, actions: Actions) -> &mut Self {
        self.said.extend(actions.into_iter().map(|action| match action {
            Action::Open(header) => format!("open {} {}", header.from, header.to.unwrap()),
            Action::Send(node) => node.to_xml(),
            Action::Secure => "secure".to_owned(),
            Action::Restart => "restart".to_owned(),
            Action::Ready => "ready".to_owned(),
            Action::Manage(step) => format!("{step:?}"),
            Action::Answered(verdict) => format!("{verdict:?}"),
            Action::Seen(seen) => format!("{seen:?}"),
            Action::Stanza(frame) => frame.root().name().to_owned(),
            Action::Fail(failure) => format!("{} {}", failure.condition.as_str(), failure.why),
            Action::Close(None) => "close".to_owned(),
            Action::Close(Some(error)) => format!("close {}", error.condition.as_str()),
        }));
        self
    }

    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    fn last(&mut self) -> String {
        self.said().pop().unwrap_or_default()
    }
}

#[test]
fn a_stream_begins_with_tls_and_a_login_by_certificate() {
    let mut talk = Talk::new(Purpose::Stanzas, None, "");
    assert_eq!(talk.said(), ["open a.example c.example"]);
    talk.header().element(STARTTLS);
    assert!(talk.last().starts_with("<starttls"));
    talk.element("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(talk.last(), "secure");
    let actions = talk.machine.secured(PeerCertificate::for_tests(&["c.example"], Ok(())));
    assert_eq!(talk.note(actions).said(), ["restart", "open a.example c.example"]);
    talk.header().element(EXTERNAL);
    // `a.example`
    assert!(talk.last().ends_with("mechanism='EXTERNAL'>YS5leGFtcGxl</auth>"));
    talk.element("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert_eq!(talk.said(), ["restart", "open a.example c.example"]);
    talk.header().element("<s:features/>");
    assert_eq!(talk.said(), ["ready"]);
    talk.element("<message from='x@c.example' to='y@a.example'/>");
    assert_eq!(talk.said(), ["close not-authorized"]);
}

#[test]
fn without_tls_nothing_is_said() {
    let mut talk = Talk::new(Purpose::Stanzas, None, "policy = 'dialback'");
    assert!(talk.header().element(DIALBACK).last().ends_with("has no TLS"));
}

#[test]
fn a_server_with_a_wrong_certificate_is_told_nothing() {
    for fault in [CertificateFault::Untrusted, CertificateFault::Expired] {
        for features in [EXTERNAL, DIALBACK] {
            let mut talk = Talk::secured(Purpose::Stanzas, Some(fault), "", features);
            assert!(talk.last().starts_with("remote-server-timeout the certificate"));
        }
    }
    let other = PeerCertificate::for_tests(&["d.example"], Ok(()));
    let mut talk = Talk::new(Purpose::Stanzas, Some(other), "");
    assert!(talk.header().element(EXTERNAL).last().ends_with("does not name the domain"));
    let config = "dialback = 'c.example'";
    let untrusted = Some(CertificateFault::Untrusted);
    let mut talk = Talk::secured(Purpose::Stanzas, untrusted, config, EXTERNAL);
    assert!(talk.last().starts_with("<auth"));
}

#[test]
fn if_the_certificate_is_not_taken_a_key_is_sent() {
    let key = DialbackKey::new(&[7; 32]).make(&pair(), "7");
    let ask = format!("<db:result from='a.example' to='c.example'>{key}</db:result>");
    let ready = || {
        let mut talk = Talk::secured(Purpose::Stanzas, None, "", EXTERNAL);
        talk.element(
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
        );
        talk
    };
    assert_eq!(ready().last(), ask);
    let mut talk = Talk::secured(Purpose::Stanzas, None, "", DIALBACK);
    assert_eq!(talk.last(), ask);
    // Of other pairs.
    talk.element("<db:result from='d.example' to='a.example' type='valid'/>");
    talk.element("<db:result from='c.example' to='b.example' type='valid'/>");
    talk.element("<db:verify from='c.example' to='a.example' id='7' type='valid'/>");
    talk.element("<db:result from='c.example' to='a.example'>key</db:result>");
    assert!(talk.said().is_empty());
    talk.element("<db:result from='c.example' to='a.example' type='valid'/>");
    assert_eq!(talk.said(), ["ready"]);
    let mut talk = ready();
    talk.element("<db:result from='c.example' to='a.example' type='invalid'/>");
    assert!(talk.last().starts_with("internal-server-error"));
    let mut talk = ready();
    talk.element("<db:result from='c.example' to='a.example' type='error'/>");
    assert!(talk.last().starts_with("remote-server-timeout"));
}

#[test]
fn the_header_says_whether_there_is_dialback() {
    let undeclared = OPEN.replace("xmlns:db='jabber:server:dialback' ", "");
    for (text, features, is_there) in [
        (OPEN, DIALBACK, true),
        // The feature says that errors are known.
        (OPEN, "<s:features/>", true),
        (&undeclared, DIALBACK, true),
        (&undeclared, "<s:features/>", false),
    ] {
        let certificate = || Some(PeerCertificate::for_tests(&["c.example"], Ok(())));
        let mut talk = Talk::new(Purpose::Stanzas, certificate(), "");
        let said = talk.header_of(text).element(features).last();
        assert_eq!(said.starts_with("<db:result "), is_there, "{text} {features}: {said}");
        assert_eq!(said.starts_with("remote-server-timeout"), !is_there, "{said}");
        let mut talk = Talk::new(Purpose::Look, certificate(), "");
        let said = talk.header_of(text).element(features).last();
        assert!(said.contains(&format!("has_dialback: {is_there}")), "{said}");
    }
}

#[test]
fn a_key_of_somebody_else_is_verified() {
    let purpose = Purpose::Verify { stream: "our id".into(), key: "their key".into() };
    let mut talk = Talk::secured(purpose, None, "", EXTERNAL);
    let ask = "<db:verify from='a.example' to='c.example' id='our id'>their key</db:verify>";
    assert_eq!(talk.said(), [ask]);
    talk.element("<db:verify from='c.example' to='a.example' id='other' type='valid'/>");
    talk.element("<db:verify from='d.example' to='a.example' id='our id' type='valid'/>");
    talk.element("<db:result from='c.example' to='a.example' type='valid'/>");
    assert!(talk.said().is_empty());
    talk.element("<db:verify from='c.example' to='a.example' id='our id' type='valid'/>");
    assert_eq!(talk.said(), ["Valid"]);
}

#[test]
fn an_error_says_what_the_senders_are_told() {
    for (condition, expected) in [
        ("host-unknown", "remote-server-not-found"),
        ("host-gone", "remote-server-not-found"),
        ("policy-violation", "remote-server-timeout"),
        ("not-authorized", "remote-server-timeout"),
        ("system-shutdown", "remote-server-timeout"),
        ("unheard-of", "remote-server-timeout"),
    ] {
        let mut talk = Talk::new(Purpose::Stanzas, None, "");
        let error = format!(
            "<s:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></s:error>"
        );
        assert!(talk.header().element(&error).last().starts_with(expected), "{condition}");
    }
    let mut talk = Talk::new(Purpose::Stanzas, None, "");
    let actions = talk.header().machine.ended();
    assert!(talk.note(actions).last().ends_with("has hung up"));
}

#[test]
fn on_a_bidirectional_stream_stanzas_of_its_pair_come_back() {
    let bidi = EXTERNAL.replace("<dialback", "<bidi xmlns='urn:xmpp:features:bidi'/><dialback");
    let ready = || {
        let mut talk = Talk::secured(Purpose::Stanzas, None, "", &bidi);
        let bidi = talk.said().remove(0);
        assert!(bidi.starts_with("<bidi xmlns='urn:xmpp:bidi'><limits "), "{bidi}");
        talk.element("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        talk.header().element("<s:features/>").said();
        talk
    };
    for (stanza, expected) in [
        ("<message from='x@c.example/r' to='y@a.example'/>", "message"),
        ("<message from='x@d.example' to='y@a.example'/>", "close invalid-from"),
        ("<message from='x@a.example' to='y@a.example'/>", "close invalid-from"),
        ("<message from='x@c.example' to='y@b.example'/>", "close host-unknown"),
        ("<message from='x@c.example'/>", "close improper-addressing"),
        ("<other xmlns='urn:x'/>", "close unsupported-stanza-type"),
    ] {
        assert_eq!(ready().element(stanza).last(), expected, "{stanza}");
    }
    let mut talk = ready();
    talk.element("<db:result from='d.example' to='a.example'>key</db:result>");
    assert!(talk.last().contains("<resource-constraint"));
    talk.element("<db:verify from='c.example' to='a.example' id='1'>key</db:verify>");
    assert!(talk.last().contains("type='invalid'"));
    talk.element("<db:verify from='c.example' to='a.example' id='1' type='valid'/>");
    assert!(talk.said().is_empty());
}

#[test]
fn the_last_features_say_how_much_is_taken() {
    let limits = |bytes: u32| {
        format!("<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>{bytes}</max-bytes></limits>")
    };
    let features = EXTERNAL.replace("<s:features>", &format!("<s:features>{}", limits(10_000)));
    let mut talk = Talk::secured(Purpose::Stanzas, None, "", &features);
    assert_eq!(talk.machine.peer_limits().bytes, Some(10_000));
    talk.element("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").header();
    talk.element(&format!("<s:features>{}</s:features>", limits(131_072)));
    assert_eq!(talk.machine.peer_limits().bytes, Some(131_072));
}

#[test]
fn acknowledgements_are_asked_for_after_the_login() {
    let sm = "<sm xmlns='urn:xmpp:sm:3'/>";
    let element = |name: &str| format!("<{name} xmlns='urn:xmpp:sm:3'/>");
    let ready = |features: &str| {
        let before = EXTERNAL.replace("<s:features>", &format!("<s:features>{sm}"));
        let mut talk = Talk::secured(Purpose::Stanzas, None, "", &before);
        talk.element("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").header().said();
        talk.element(&format!("<s:features>{features}</s:features>"));
        talk
    };
    // Only the features after the login count.
    let mut talk = ready("");
    assert_eq!(talk.said(), ["ready"]);
    assert!(!talk.machine.asks_for_acknowledgements());
    assert!(talk.element(&element("a h='1'")).said().is_empty());
    let mut talk = ready(sm);
    assert_eq!(
        talk.said(),
        ["<enable xmlns='urn:xmpp:sm:3' resume='true'/>".to_owned(), "ready".to_owned()]
    );
    assert!(talk.machine.asks_for_acknowledgements() && !talk.machine.is_managed());
    assert_eq!(talk.element(&element("enabled")).last(), "Begin");
    assert!(talk.machine.is_managed());
    assert!(talk.element(&element("enabled")).said().is_empty(), "it comes twice");
    assert_eq!(talk.element(&element("r")).last(), "Asked");
    assert_eq!(talk.element(&element("a h='3'")).last(), "Handled(3)");
    assert!(talk.element(&element("enable")).last().contains("<unexpected-request"));
    assert_eq!(talk.element(&element("a h='x'")).last(), "close invalid-xml");
    let mut talk = ready(sm);
    assert_eq!(talk.element(&element("failed")).last(), "Refused");
    assert!(!talk.machine.asks_for_acknowledgements());
    // A stream before this one was cut.
    for (answer, handled) in [("failed h='3'", Some(3)), ("failed", None)] {
        let mut talk = Talk::secured(Purpose::Stanzas, None, "", EXTERNAL);
        talk.machine.follows(Some(("s1".into(), 5)));
        talk.element("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").header().said();
        talk.element(&format!("<s:features>{sm}</s:features>"));
        assert_eq!(talk.said(), ["<resume xmlns='urn:xmpp:sm:3' h='5' previd='s1'/>"]);
        talk.element(&element(answer));
        assert_eq!(talk.machine.resumed(), None);
        assert_eq!(talk.last(), "ready");
        assert_eq!(talk.machine.handled_before(), handled);
        talk.element("<enabled xmlns='urn:xmpp:sm:3' id='s2' resume='true'/>");
        assert_eq!(talk.machine.own_id().map(|id| id.as_str()), Some("s2"));
    }
}

/// It has asked about the stream `s1`, on which five stanzas have come.
fn resuming() -> Talk {
    let bidi = EXTERNAL.replace("<dialback", "<bidi xmlns='urn:xmpp:features:bidi'/><dialback");
    let mut talk = Talk::secured(Purpose::Stanzas, None, "", &bidi);
    talk.machine.follows(Some(("s1".into(), 5)));
    talk.element("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").header();
    talk.element("<s:features><sm xmlns='urn:xmpp:sm:3'/></s:features>");
    assert_eq!(talk.last(), "<resume xmlns='urn:xmpp:sm:3' h='5' previd='s1'/>");
    assert!(talk.machine.is_resuming());
    talk
}

#[test]
fn a_stream_may_be_resumed() {
    let mut talk = resuming();
    talk.element("<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='3'/>");
    assert_eq!(talk.said(), ["ready"], "it is not enabled again");
    assert_eq!(talk.machine.resumed(), Some((3, 5)));
    assert_eq!(talk.machine.handled_before(), Some(3));
    assert_eq!(talk.machine.own_id().map(|id| id.as_str()), Some("s1"));
    assert!(talk.machine.is_managed());
    assert_eq!(talk.element("<r xmlns='urn:xmpp:sm:3'/>").last(), "Asked");
    assert!(talk.element("<enabled xmlns='urn:xmpp:sm:3'/>").said().is_empty());
    let said = resuming().element("<resumed xmlns='urn:xmpp:sm:3' previd='s1'/>").last();
    assert!(said.ends_with("without a count"), "{said}");
}

#[test]
fn what_comes_before_the_answer_about_the_previous_stream_is_kept() {
    let message = |from: &str| format!("<message from='{from}' to='y@a.example'/>");
    let failed = "<failed xmlns='urn:xmpp:sm:3'/>";
    let mut talk = resuming();
    assert!(talk.element(&message("x@c.example")).said().is_empty());
    assert!(talk.element(&message("x@d.example")).said().is_empty());
    assert_eq!(talk.element(failed).last(), "ready");
    for actions in talk.machine.kept() {
        talk.note(actions);
    }
    assert_eq!(talk.said(), ["message", "close invalid-from"]);
    assert!(talk.machine.kept().is_empty());
    let mut talk = resuming();
    for _ in 0..256 {
        assert!(talk.element(&message("x@c.example")).said().is_empty());
    }
    assert!(talk.element(&message("x@c.example")).last().ends_with("before it answers"));
}

#[test]
fn a_key_needs_an_id() {
    let mut talk = Talk::secured(Purpose::Stanzas, None, "", EXTERNAL);
    talk.machine.id = Default::default();
    talk.element("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert!(talk.last().ends_with("gives its stream no id"));
}
