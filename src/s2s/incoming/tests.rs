use super::action::{Action, Actions, Question};
use super::machine::Incoming;
use crate::ns;
use crate::s2s::announced_limits::OurLimits;
use crate::s2s::dialback::Verdict;
use crate::s2s::key::DialbackKey;
use crate::s2s::pair::Pair;
use crate::s2s::rules::Rules;
use crate::stanza::Condition;
use crate::tls::{CertificateFault, PeerCertificate};
use crate::xml::{Frame, Limits, Scope, header};

/// A machine, and what it has said, in short.
struct Talk {
    machine: Incoming,
    said: Vec<String>,
}

const OPEN: &str = "<s:stream xmlns='jabber:server' xmlns:s='http://etherx.jabber.org/streams' \
                    from='c.example' to='a.example' version='1.0'>";

impl Talk {
    /// Under TLS, from `c.example` to `a.example`, with this certificate.
    fn secured(certificate: PeerCertificate, config: &str) -> Self {
        let mut talk = Self::new(Some(certificate), config);
        talk.header(OPEN);
        talk.said.clear();
        talk
    }

    fn new(certificate: Option<PeerCertificate>, config: &str) -> Self {
        let our_limits = OurLimits { bytes: 10_000, idle: std::time::Duration::from_secs(60) };
        let (rules, key) = (Rules::for_tests(config), DialbackKey::new(&[7; 32]));
        Self { machine: Incoming::new(rules, key, our_limits, certificate), said: Vec::new() }
    }

    fn header(&mut self, text: &str) -> &mut Self {
        let actions = self.machine.header(&header(text.as_bytes()).unwrap());
        self.note(actions)
    }

    fn element(&mut self, text: &str) -> &mut Self {
        let open = header(
            OPEN.replace("xmlns:s=", "xmlns:db='jabber:server:dialback' xmlns:s=").as_bytes(),
        );
        let limits = Limits { bytes: 10_000, depth: 9, attributes: 20, nodes: 99 };
        let scope = Scope::from_header(&open.unwrap());
        let frame = Frame::parse(text.to_owned().into(), &scope, &limits).unwrap();
        let actions = self.machine.element(frame);
        self.note(actions)
    }

    fn note(&mut self, actions: Actions) -> &mut Self {
        self.said.extend(actions.into_iter().filter_map(|action| {
            Some(match action {
                Action::Open(header) => format!("open {}", header.from),
                Action::Send(node) => node.to_xml(),
                Action::Secure => "secure".to_owned(),
                Action::Restart => "restart".to_owned(),
                Action::Verify(Question { pair, key, certificate }) => {
                    let known = if certificate.is_some() { " if the DNS knows it" } else { "" };
                    format!("verify {} {} {key}{known}", pair.remote, pair.local)
                }
                Action::Refused(..) => return None,
                Action::Proven(pair, proof) => {
                    format!("proven {} {} {}", pair.remote, pair.local, proof.word())
                }
                Action::Stanza(domain, frame) => format!("{} of {domain}", frame.root().name()),
                Action::Manage(step) => format!("{step:?}"),
                Action::Close(None) => "close".to_owned(),
                Action::Close(Some(error)) => error.condition.as_str().to_owned(),
            })
        }));
        self
    }

    /// What was said since this was last asked.
    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// The last word.
    fn last(&mut self) -> String {
        self.said().pop().unwrap_or_default()
    }
}

fn valid() -> PeerCertificate {
    PeerCertificate::for_tests(&["c.example"], Ok(()))
}

fn self_signed() -> PeerCertificate {
    PeerCertificate::for_tests(&["c.example"], Err(CertificateFault::Untrusted))
}

const DIALBACK: &str = "dialback = 'c.example'";

#[test]
fn nothing_but_tls_is_taken_before_tls() {
    let mut talk = Talk::new(None, "");
    talk.header(OPEN);
    let said = talk.said();
    assert_eq!(said[0], "open a.example");
    assert!(said[1].contains("<required/>") && !said[1].contains("EXTERNAL"), "{}", said[1]);
    assert!(said[1].contains("<bidi xmlns='urn:xmpp:features:bidi'/>"), "{}", said[1]);
    talk.element("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(talk.said()[1], "secure");
    let actions = talk.machine.secured(valid());
    assert_eq!(talk.note(actions).said(), ["restart"]);
    talk.header(OPEN);
    assert!(talk.said()[1].contains("<mechanism>EXTERNAL</mechanism>"));
    let mut talk = Talk::new(None, DIALBACK);
    let early = "<message from='x@c.example' to='y@a.example'/>";
    assert_eq!(talk.header(OPEN).element(early).last(), "policy-violation");
    // XEP-0220 §2.4: the stream goes on.
    let mut talk = Talk::new(None, DIALBACK);
    talk.header(OPEN);
    for early in [
        "<db:result from='c.example' to='a.example'>key</db:result>",
        "<db:verify from='c.example' to='a.example' id='1'>key</db:verify>",
    ] {
        let said = talk.element(early).last();
        assert!(said.contains("type='error'") && said.contains("<policy-violation"), "{said}");
    }
    talk.element("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(talk.last(), "secure");
}

#[test]
fn a_header_must_say_who_talks_to_whom() {
    let header = |from: &str, to: &str| {
        let text = OPEN.replace("from='c.example'", from).replace("to='a.example'", to);
        Talk::new(None, "deny = 'd.example'").header(&text).last()
    };
    let (from, to) = ("from='c.example'", "to='a.example'");
    assert!(header(from, to).starts_with("<stream:features>"));
    assert!(header(from, "to='rooms.a.example'").starts_with("<stream:features>"));
    assert_eq!(header(from, ""), "improper-addressing");
    assert_eq!(header("", to), "improper-addressing");
    assert_eq!(header(from, "to='c.example'"), "host-unknown");
    assert_eq!(header(from, "to='x@a.example'"), "host-unknown");
    assert_eq!(header("from='a.example'", to), "invalid-from");
    assert_eq!(header("from='rooms.a.example'", to), "invalid-from");
    assert_eq!(header("from='@'", to), "invalid-from");
    assert_eq!(header("from='d.example'", to), "policy-violation");
    let client = OPEN.replace("jabber:server", ns::CLIENT);
    assert_eq!(Talk::new(None, "").header(&client).last(), "invalid-namespace");
}

#[test]
fn a_valid_certificate_proves_the_pair_of_the_header() {
    let auth = |identity: &str| {
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>";
        let mut talk = Talk::secured(valid(), "");
        talk.element(&format!("{auth}{identity}</auth>"));
        talk
    };
    for identity in ["=", "Yy5leGFtcGxl"] {
        let mut talk = auth(identity);
        assert_eq!(talk.said()[1..], ["proven c.example a.example certificate", "restart"]);
        talk.header(OPEN).said();
        talk.element("<message from='x@c.example/r' to='y@a.example'/>");
        assert_eq!(talk.said(), ["message of c.example"]);
        for (stanza, error) in [
            ("<message from='x@d.example' to='y@a.example'/>", "invalid-from"),
            ("<message from='x@c.example' to='y@b.example'/>", "invalid-from"),
            ("<message from='x@c.example' to='y@d.example'/>", "host-unknown"),
            ("<message from='x@a.example' to='y@a.example'/>", "invalid-from"),
            ("<message to='y@a.example'/>", "improper-addressing"),
            ("<message from='x@c.example'/>", "improper-addressing"),
            ("<message from='@' to='y@a.example'/>", "improper-addressing"),
            ("<other/>", "improper-addressing"),
        ] {
            let mut talk = auth(identity);
            talk.header(OPEN);
            assert_eq!(talk.element(stanza).last(), error, "{stanza}");
        }
    }
    // `d.example`
    assert!(auth("ZC5leGFtcGxl").last().contains("invalid-authzid"));
    assert!(auth("!").last().contains("incorrect-encoding"));
    // No initial response.
    let mut talk = auth("");
    assert!(talk.last().starts_with("<challenge"));
    talk.element("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert_eq!(talk.last(), "restart");
}

#[test]
fn after_the_login_the_header_names_the_same_pair() {
    let mut talk = Talk::secured(valid(), "");
    talk.element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    assert_eq!(talk.header(&OPEN.replace("a.example", "b.example")).last(), "invalid-from");
}

#[test]
fn a_certificate_that_is_not_valid_proves_nothing() {
    for certificate in [
        self_signed(),
        PeerCertificate::none(),
        PeerCertificate::for_tests(&["d.example"], Ok(())),
        PeerCertificate::for_tests(&["c.example"], Err(CertificateFault::Expired)),
    ] {
        let mut talk = Talk::new(Some(certificate), "dane = false\nposh = false");
        talk.header(OPEN);
        assert!(!talk.last().contains("EXTERNAL"));
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
        assert!(talk.element(auth).last().contains("not-authorized"));
        talk.element("<db:result from='c.example' to='a.example'>key</db:result>");
        assert!(talk.last().contains("<not-authorized"));
        talk.element("<message from='x@c.example' to='y@a.example'/>");
        assert_eq!(talk.last(), "not-authorized");
    }
}

#[test]
fn a_key_is_taken_only_when_the_domain_says_so() {
    let pair = Pair { local: "a.example".into(), remote: "c.example".into() };
    let ask = "<db:result from='c.example' to='a.example'>key</db:result>";
    let message = "<message from='x@c.example' to='y@a.example'/>";
    for (certificate, config) in [(self_signed(), DIALBACK), (valid(), "")] {
        let mut talk = Talk::secured(certificate, config);
        assert_eq!(talk.element(ask).said(), ["verify c.example a.example key"]);
        // Twice at a time; before the answer; answers that nobody asked for.
        assert!(talk.element(ask).last().contains("<not-acceptable"));
        let forged = "<db:result from='c.example' to='a.example' type='valid'/>";
        assert!(talk.element(forged).said().is_empty());
        for id in ["1".to_owned(), talk.machine.id().to_owned()] {
            let verify = format!("<db:verify from='c.example' to='a.example' id='{id}'");
            assert!(talk.element(&format!("{verify} type='valid'/>")).said().is_empty());
        }
        let actions = talk.machine.checked(pair.clone(), Verdict::Valid);
        let said = talk.note(actions).said();
        assert_eq!(said[0], "proven c.example a.example dialback");
        assert_eq!(said[1], "<db:result from='a.example' to='c.example' type='valid'/>");
        assert_eq!(talk.element(message).said(), ["message of c.example"]);
        // A second pair on the same stream, which fails: the first one goes on.
        talk.element("<db:result from='c.example' to='b.example'>key</db:result>").said();
        let other = Pair { local: "b.example".into(), ..pair.clone() };
        let actions = talk.machine.checked(other, Verdict::Invalid);
        let said = talk.note(actions).said();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("type='error'") && said[0].contains("<forbidden"), "{said:?}");
        assert_eq!(talk.element(message).said(), ["message of c.example"]);
        talk.element("<message from='x@c.example' to='y@b.example'/>");
        assert_eq!(talk.last(), "invalid-from");
    }
    let mut talk = Talk::secured(self_signed(), DIALBACK);
    talk.element(ask).said();
    assert_eq!(talk.element(message).last(), "not-authorized");
    let mut talk = Talk::secured(self_signed(), DIALBACK);
    talk.element(ask).said();
    let actions = talk.machine.checked(pair.clone(), Verdict::Invalid);
    assert_eq!(talk.note(actions).last(), "close");
    let mut talk = Talk::secured(self_signed(), DIALBACK);
    talk.element(ask).said();
    let error = Verdict::Error(Condition::RemoteServerNotFound);
    let actions = talk.machine.checked(pair.clone(), error);
    assert!(talk.note(actions).last().contains("<remote-server-not-found"));
    assert_eq!(talk.element(ask).said(), ["verify c.example a.example key"]);
    let actions = talk.machine.checked(pair, Verdict::Valid);
    talk.note(actions);
}

#[test]
fn who_is_denied_meanwhile_proves_nothing() {
    let pair = Pair { local: "a.example".into(), remote: "c.example".into() };
    let ask = "<db:result from='c.example' to='a.example'>key</db:result>";
    let mut talk = Talk::secured(valid(), "");
    talk.element(ask).said();
    talk.machine.rules = Rules::for_tests("deny = 'c.example'");
    let actions = talk.machine.checked(pair, Verdict::Valid);
    assert!(talk.note(actions).last().contains("<policy-violation"));
    assert!(!talk.machine.is_proven());
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
    talk.element(auth).said();
    assert_eq!(talk.header(OPEN).last(), "policy-violation");
}

#[test]
fn who_is_proven_by_dialback_has_stream_management() {
    let enable = "<enable xmlns='urn:xmpp:sm:3'/>";
    let mut talk = Talk::new(Some(self_signed()), DIALBACK);
    let offered = talk.header(OPEN).said().pop().unwrap();
    assert!(offered.contains("<sm xmlns='urn:xmpp:sm:3'/>"), "{offered}");
    assert!(talk.element(enable).last().contains("<unexpected-request "));
    talk.element("<db:result from='c.example' to='a.example'>key</db:result>");
    let pair = Pair { local: "a.example".into(), remote: "c.example".into() };
    let actions = talk.machine.checked(pair, Verdict::Valid);
    talk.note(actions);
    assert_eq!(talk.element(enable).last(), "Enable(false)");
    // Who logs in is offered it after the login.
    let mut talk = Talk::new(Some(valid()), "");
    let offered = talk.header(OPEN).said().pop().unwrap();
    assert!(!offered.contains("<sm "), "{offered}");
}

#[test]
fn some_keys_are_not_even_verified() {
    for (ask, said) in [
        ("<db:result from='c.example' to='d.example'>key</db:result>", "<item-not-found"),
        ("<db:result from='d.example' to='a.example'>key</db:result>", "<not-authorized"),
        ("<db:result from='bad.example' to='a.example'>key</db:result>", "<policy-violation"),
        ("<db:result from='a.example' to='a.example'>key</db:result>", "invalid-from"),
        ("<db:result from='rooms.a.example' to='a.example'>key</db:result>", "invalid-from"),
        ("<db:result from='c.example'>key</db:result>", "improper-addressing"),
        ("<db:result to='a.example'>key</db:result>", "improper-addressing"),
        ("<db:result from='x@c.example' to='a.example'>key</db:result>", "improper-addressing"),
        ("<db:verify from='c.example' to='a.example'>key</db:verify>", "improper-addressing"),
    ] {
        let config = format!("{DIALBACK}\ndeny = 'bad.example'\ndane = false\nposh = false");
        let mut talk = Talk::secured(self_signed(), &config);
        let last = talk.element(ask).last();
        assert!(last.contains(said), "{ask}: {last}");
    }
}

#[test]
fn a_key_is_verified_if_the_dns_may_know_the_certificate() {
    let ask = "<db:result from='c.example' to='a.example'>key</db:result>";
    let said = Talk::secured(self_signed(), "").element(ask).last();
    assert_eq!(said, "verify c.example a.example key if the DNS knows it");
    assert_eq!(Talk::secured(valid(), "").element(ask).last(), "verify c.example a.example key");
    let said = Talk::secured(self_signed(), DIALBACK).element(ask).last();
    assert_eq!(said, "verify c.example a.example key");
    // Who needs it and cannot have it is told at once.
    let configured = "hosts = { 'c.example' = '192.0.2.1:7' }";
    for (certificate, config) in [(PeerCertificate::none(), ""), (self_signed(), configured)] {
        let said = Talk::secured(certificate, config).element(ask).last();
        assert!(said.contains("<not-authorized"), "{said}");
    }
}

#[test]
fn we_answer_for_our_own_keys() {
    let pair = Pair { local: "b.example".into(), remote: "d.example".into() };
    let key = DialbackKey::new(&[7; 32]).make(&pair, "their stream");
    let ask = |from: &str, to: &str, key: &str| {
        let text =
            format!("<db:verify from='{from}' to='{to}' id='their stream'>{key}</db:verify>");
        Talk::secured(self_signed(), "").element(&text).last()
    };
    let answer = "<db:verify from='b.example' to='d.example' id='their stream' type='valid'/>";
    assert_eq!(ask("d.example", "b.example", &key), answer);
    // A key that somebody has read, on another stream.
    let replayed =
        format!("<db:verify from='d.example' to='b.example' id='another'>{key}</db:verify>");
    let said = Talk::secured(self_signed(), "").element(&replayed).last();
    assert!(said.contains("type='invalid'"), "{said}");
    assert!(ask("d.example", "b.example", "other").contains("type='invalid'"));
    assert!(ask("d.example", "a.example", &key).contains("type='invalid'"));
    assert!(ask("e.example", "b.example", &key).contains("type='invalid'"));
    assert!(ask("d.example", "e.example", &key).contains("<item-not-found"));
}

#[test]
fn nothing_is_told_between_the_login_and_the_new_header() {
    let pair = Pair { local: "a.example".into(), remote: "c.example".into() };
    let mut talk = Talk::secured(valid(), "");
    talk.element("<db:result from='c.example' to='a.example'>key</db:result>");
    talk.element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    assert_eq!(talk.said().pop().unwrap(), "restart");
    assert!(talk.machine.is_proven() && !talk.machine.is_ready() && !talk.machine.is_settled());
    let actions = talk.machine.checked(pair, Verdict::Valid);
    assert!(talk.note(actions).said().is_empty());
    let said = talk.header(OPEN).said();
    assert_eq!(said[0], "open a.example");
    assert_eq!(said[3], "<db:result from='a.example' to='c.example' type='valid'/>");
    assert!(talk.machine.is_ready());
}

#[test]
fn who_has_proven_nothing_may_not_ask_for_ever() {
    let ask = "<db:result from='c.example' to='x.invalid'>key</db:result>";
    let mut talk = Talk::secured(self_signed(), "");
    for _ in 0..128 {
        assert!(talk.element(ask).last().contains("<item-not-found"));
    }
    assert_eq!(talk.element(ask).last(), "policy-violation");
    let mut talk = Talk::secured(valid(), "");
    talk.element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    talk.header(OPEN);
    for _ in 0..200 {
        assert!(talk.element(ask).last().contains("<item-not-found"));
    }
}

#[test]
fn a_peer_says_how_much_it_takes_on_its_own_stream() {
    let mut talk = Talk::secured(valid(), "");
    talk.element(
        "<bidi xmlns='urn:xmpp:bidi'><limits xmlns='urn:xmpp:stream-limits:0'>\
         <max-bytes>20000</max-bytes></limits></bidi>",
    );
    assert!(talk.machine.is_bidirectional());
    assert_eq!(talk.machine.peer_limits().bytes, Some(20_000));
}

#[test]
fn a_stream_has_few_keys_at_a_time_and_not_many_that_fail() {
    let ask =
        |number: u32| format!("<db:result from='{number}.example' to='a.example'>key</db:result>");
    let pair = |number: u32| Pair {
        local: "a.example".into(),
        remote: format!("{number}.example").into(),
    };
    let mut talk = Talk::secured(self_signed(), "policy = 'dialback'");
    for number in 0..4 {
        assert!(talk.element(&ask(number)).last().starts_with("verify "));
    }
    assert!(talk.element(&ask(4)).last().contains("<resource-constraint"));
    let error = Verdict::Error(Condition::RemoteServerTimeout);
    for number in 0..4 {
        let actions = talk.machine.checked(pair(number), error);
        talk.note(actions);
    }
    for number in 4..15 {
        talk.element(&ask(number));
        let actions = talk.machine.checked(pair(number), error);
        assert!(talk.note(actions).last().contains("<remote-server-timeout"));
    }
    talk.element(&ask(15));
    let actions = talk.machine.checked(pair(15), error);
    assert_eq!(talk.note(actions).last(), "policy-violation");
}

#[test]
fn what_a_peer_says_until_it_ends_its_stream_is_taken() {
    let mut talk = Talk::secured(valid(), "");
    talk.element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    talk.header(OPEN);
    let actions = talk.machine.leave();
    assert_eq!(talk.note(actions).last(), "close");
    talk.element("<message from='x@c.example' to='y@a.example'/>");
    assert_eq!(talk.last(), "message of c.example");
    assert!(talk.element("<other xmlns='urn:x'/>").said().is_empty());
    talk.element("<message from='x@d.example' to='y@a.example'/>");
    assert_eq!(talk.last(), "invalid-from");
}
