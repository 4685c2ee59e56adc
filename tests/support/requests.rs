//! Every request that is answered, with whatever a client may put into it: each gets exactly one answer, no other
//! client gets anything, and nothing breaks (RFC 6120 §8.2.3).
//!
//! The list of requests is the registry's own, so a new feature is tried without being entered.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use waxwing::config::Config;
use waxwing::host::AddressKind;
use waxwing::modules;
use waxwing::stanza::{Condition, IqKind};

use super::answers::{Due, ask, ask_with, check, hear, without_address};
use super::client::{Came, Client, Transcript, named};
use super::element::{CLIENT, Element};
use super::payloads::{FORMS, OF_ROOMS, OPEN_TO_FRIENDS, SETS};
use super::script::{Persona, Script};
use super::server::Target;

/// A request that is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    address: AddressKind,
    kind: IqKind,
    ns: &'static str,
    name: &'static str,
}

/// All of them, in the order of their names.
pub(crate) fn all() -> Vec<Request> {
    let config = Config::parse("[[host]]\ndomain = \"localhost\"\n", "the test").unwrap();
    let registry = modules::registry(&config);
    let requests = registry.requests();
    let mut requests: Vec<_> =
        requests.map(|(address, kind, ns, name)| Request { address, kind, ns, name }).collect();
    requests.sort_by_key(|request| request.title());
    requests
}

/// What rooms answer (XEP-0045), and the extensions that they have.
pub(crate) fn of_rooms() -> Vec<Request> {
    let address = AddressKind::ServiceAddress;
    OF_ROOMS.iter().map(|&(kind, ns, name)| Request { address, kind, ns, name }).collect()
}

/// Whom it takes.
pub(crate) fn cast() -> Script {
    let persona = |name: &str, jid: &str| Persona {
        name: name.to_owned(),
        jid: jid.to_owned(),
        password: "secret".to_owned(),
        has_account: true,
        ..Persona::default()
    };
    let server = [
        "limits.nodes=131072",
        "limits.stanza=\"1 MiB\"",
        "admin.accounts=[\"romeo@localhost\"]",
        "data_policy.country=\"Italy\"",
        "external_services.uris=[\"turn:turn.localhost\"]",
        "external_services.secret=\"a-secret-of-the-tests\"",
    ];
    Script {
        clients: vec![persona("Romeo", ROMEO), persona("Juliet", JULIET), persona("Nurse", NURSE)],
        server: server.map(str::to_owned).to_vec(),
        has_echo: true,
        ..Script::default()
    }
}

impl Request {
    /// Names the test.
    pub(crate) fn title(&self) -> String {
        let address = match self.address {
            AddressKind::Account => "account",
            AddressKind::Host => "host",
            AddressKind::Service => "service",
            AddressKind::ServiceAddress => "address at a service",
        };
        format!("requests/{address}/{} {} of {}", self.kind.as_str(), self.name, self.ns)
    }

    /// Names the test of it at a room.
    pub(crate) fn title_at_a_room(&self) -> String {
        format!("requests/room/{} {} of {}", self.kind.as_str(), self.name, self.ns)
    }

    /// Whether it is of this kind.
    pub(crate) fn is(&self, address: AddressKind, kind: IqKind) -> bool {
        (self.address, self.kind) == (address, kind)
    }

    /// How its payload begins.
    pub(crate) fn start(&self) -> String {
        format!("<{0} xmlns='{1}'", self.name, self.ns)
    }

    /// Tries all of it.
    pub(crate) async fn run(self, cast: &Script, target: &dyn Target) -> Result<(), String> {
        let transcript: Transcript = Rc::new(RefCell::new(Vec::new()));
        let mut clients = log_in(cast, target, &transcript).await?;
        let done = match clients.as_mut_slice() {
            [romeo, juliet, nurse] => {
                befriend(romeo, nurse).await?;
                hear(juliet, "fence").await?;
                self.try_all(romeo, [juliet, nurse]).await
            }
            _ => Err("this takes three".to_owned()),
        };
        done.map_err(|why| with_the_end_of(&transcript, &why))
    }

    /// Tries it at a room: as its owner, who is in it, as a stranger, and where there is no room.
    pub(crate) async fn run_at_a_room(
        self,
        cast: &Script,
        target: &dyn Target,
    ) -> Result<(), String> {
        let transcript: Transcript = Rc::new(RefCell::new(Vec::new()));
        let mut clients = log_in(cast, target, &transcript).await?;
        let done = match clients.as_mut_slice() {
            [romeo, juliet, _] => self.try_at_a_room(romeo, juliet).await,
            _ => Err("this takes three".to_owned()),
        };
        done.map_err(|why| with_the_end_of(&transcript, &why))
    }

    async fn try_at_a_room(self, romeo: &mut Client, juliet: &mut Client) -> Result<(), String> {
        romeo.send(MAKE_A_ROOM.as_bytes()).await?;
        hear(romeo, "made").await?;
        self.try_at(romeo, ROOM).await.map_err(|why| format!("the owner: {why}"))?;
        self.try_at(juliet, ROOM).await.map_err(|why| format!("a stranger: {why}"))?;
        self.try_at(romeo, NO_ROOM).await.map_err(|why| format!("where no room is: {why}"))?;
        // The room is as it was.
        let word =
            format!("<message type='groupchat' id='word' to='{ROOM}'><body>x</body></message>");
        romeo.send(word.as_bytes()).await?;
        let came = hear(romeo, "said").await?;
        let is_heard = |element: &Element| {
            element.attribute("id") == Some("word")
                && element.attribute("type") == Some("groupchat")
        };
        match came.iter().any(is_heard) {
            true => Ok(()),
            false => Err("the owner is not heard in the room any more".to_owned()),
        }
    }

    async fn try_at(self, client: &mut Client, to: &str) -> Result<(), String> {
        let (bare, full) = (client.persona.bare().to_owned(), client.persona.jid.clone());
        for (number, (what, stanza, due)) in self.cases().into_iter().enumerate() {
            let id = format!("case-{number}");
            let stanza = stanza
                .replace("ID", &id)
                .replace(&format!("from='{ROMEO}'"), &format!("from='{full}'"))
                .replace("from='romeo@localhost'", &format!("from='{bare}'"))
                .replace("to='echo@echo.localhost'", &format!("to='{to}'"));
            client.send(stanza.as_bytes()).await?;
            let came = hear(client, &format!("{id}-fence")).await?;
            let (answers, others): (Vec<_>, Vec<_>) =
                came.into_iter().partition(|element| element.attribute("id") == Some(&id));
            // Occupants are told of changes.
            if let Some(other) = others.iter().find(|element| element.is(CLIENT, "iq")) {
                return Err(format!("{what}: nobody asked for {other}"));
            }
            // A room knows more than the one request.
            let is_other = due == Due::Error(Condition::ServiceUnavailable);
            let due = if is_other { Due::Answer } else { due };
            check(&answers, due).map_err(|why| format!("{what}: {why}"))?;
        }
        Ok(())
    }

    async fn try_all(self, romeo: &mut Client, others: [&mut Client; 2]) -> Result<(), String> {
        for (number, (what, stanza, due)) in self.cases().into_iter().enumerate() {
            let id = format!("case-{number}");
            let answers = ask(romeo, &id, &stanza.replace("ID", &id)).await?;
            check(&answers, due).map_err(|why| format!("{what}: {why}"))?;
        }
        self.with_odd_ids(romeo).await?;
        self.to_others(romeo).await?;
        self.to_a_friend(romeo).await?;
        let [juliet, nurse] = others;
        self.to_a_blocker(romeo, juliet).await?;
        for other in [juliet, nurse] {
            match other.within(Duration::from_millis(10)).await? {
                Came::Nothing => {}
                came => return Err(format!("somebody else heard of it: {}", named(&came))),
            }
        }
        Ok(())
    }

    /// What, the stanza (with `ID` for its id), and what is due.
    fn cases(self) -> Vec<(String, String, Due)> {
        let mut cases = Vec::new();
        let kind = self.kind.as_str();
        for (what, payload) in self.payloads() {
            cases.push((what, self.iq(kind, "", &payload), Due::Answer));
        }
        let empty = self.payload("", "");
        let mut heads = |what: &str, stanza: String, due| {
            cases.push((what.to_owned(), stanza, due));
        };
        heads("with a language", self.iq(kind, " xml:lang='tlh'", &empty), Due::Answer);
        heads(
            "from the bare address",
            self.iq(kind, " from='romeo@localhost'", &empty),
            Due::Answer,
        );
        heads("from itself", self.iq(kind, &format!(" from='{ROMEO}'"), &empty), Due::Answer);
        heads(
            "with unknown attributes",
            self.iq(kind, " a='1' xmlns:b='urn:b' b:c=''", &empty),
            Due::Answer,
        );
        let bad = Due::Error(Condition::BadRequest);
        heads("without payload", self.iq(kind, "", ""), bad);
        heads("with two payloads", self.iq(kind, "", &format!("{empty}{empty}")), bad);
        heads("of no known type", self.iq("dance", "", &empty), bad);
        heads("without type", format!("<iq id='ID'{}>{empty}</iq>", self.to()), bad);
        heads("as a result", self.iq("result", "", &empty), Due::Nothing);
        heads("as an error", self.iq("error", "", &empty), Due::Nothing);
        let away = Due::Error(Condition::ServiceUnavailable);
        let other_ns = format!("<{0} xmlns='{1}#'/>", self.name, self.ns);
        heads("in another namespace", self.iq(kind, "", &other_ns), away);
        heads("in no namespace of its own", self.iq(kind, "", &format!("<{}/>", self.name)), away);
        let other_name = format!("<{0}- xmlns='{1}'/>", self.name, self.ns);
        heads("with another name", self.iq(kind, "", &other_name), away);
        let turned = if self.kind == IqKind::Get { IqKind::Set } else { IqKind::Get };
        let is_known = all().iter().any(|other| {
            (other.address, other.kind, other.ns, other.name)
                == (self.address, turned, self.ns, self.name)
        });
        let due = if is_known { Due::Answer } else { away };
        heads("in the other direction", self.iq(turned.as_str(), "", &empty), due);
        cases
    }

    /// What may stand in it.
    fn payloads(self) -> Vec<(String, String)> {
        let mut payloads = vec![
            ("empty".to_owned(), self.payload("", "")),
            ("with text".to_owned(), self.payload("", "some text")),
            (
                "with foreign children".to_owned(),
                self.payload("", "<a xmlns='urn:a'/><b xmlns=''/>"),
            ),
            ("with unknown children".to_owned(), self.payload("", "<a/><b c='d'>e</b><a/>")),
            ("with items without anything".to_owned(), self.payload("", "<item/><item/>")),
            ("in depth".to_owned(), {
                self.payload("", &format!("{}{}", "<a>".repeat(60), "</a>".repeat(60)))
            }),
            ("under a prefix".to_owned(), format!("<p:{0} xmlns:p='{1}'/>", self.name, self.ns)),
            ("near the limit of bytes".to_owned(), self.payload("", &"a".repeat(1_000_000))),
            ("with 10,000 children".to_owned(), self.payload("", &"<item/>".repeat(10_000))),
        ];
        for name in ["action", "jid", "node", "queryid", "sessionid", "ver", "version", "xml:lang"]
        {
            for value in ["", " ", "-1", "\u{1F600}", "a@b@c", &"a".repeat(5000)] {
                let shown: String = value.chars().take(5).collect();
                let attribute = format!(" {name}='{value}'");
                payloads.push((format!("{name}={shown}"), self.payload(&attribute, "")));
            }
        }
        for set in SETS {
            let set = format!("<set xmlns='http://jabber.org/protocol/rsm'>{set}</set>");
            payloads.push((format!("with {set}"), self.payload("", &set)));
        }
        for kind in ["", " type=''", " type='form'", " type='cancel'", " type='dance'"] {
            let form = format!("<x xmlns='jabber:x:data'{kind}/>");
            payloads.push((format!("with {form}"), self.payload("", &form)));
        }
        let many: String =
            (0..10_000).map(|n| format!("<field var='{n}'><value/></field>")).collect();
        for fields in FORMS.iter().copied().chain([many.as_str()]) {
            let form = format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>");
            let shown: String = form.chars().take(120).collect();
            payloads.push((format!("with {shown}"), self.payload("", &form)));
        }
        payloads
    }

    /// Whatever the id is, the answer has it; without one there is an error (RFC 6120 §8.1.3), with an
    /// empty one (§8.3.1).
    async fn with_odd_ids(self, romeo: &mut Client) -> Result<(), String> {
        let payload = self.payload("", "");
        let (kind, to) = (self.kind.as_str(), self.to());
        let long = "a".repeat(5000);
        let ids = ["", " ", "\u{1F600}", "<'&\"", "fence", long.as_str()];
        for (number, id) in ids.into_iter().enumerate() {
            let escaped = id.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;");
            let stanza = format!("<iq type='{kind}' id='{escaped}'{to}>{payload}</iq>");
            // Twice: an id that was used is as good as any.
            for time in ["first", "second"] {
                let fence = format!("{time}-{number}-fence");
                let came = ask_with(romeo, id, &stanza, &fence).await?;
                check(&came, Due::Answer).map_err(|why| format!("with the id '{id}': {why}"))?;
            }
        }
        let stanza = format!("<iq type='{kind}'{to}>{payload}</iq>");
        let came = ask_with(romeo, "", &stanza, "none-fence").await?;
        check(&came, Due::Error(Condition::BadRequest)).map_err(|why| format!("without id: {why}"))
    }

    /// To others the answer is the same whether they exist or not (RFC 6120 §13.10.2).
    async fn to_others(self, romeo: &mut Client) -> Result<(), String> {
        let mut number = 0;
        for payload in
            [self.payload("", ""), self.payload("", "<item jid='a@b'/><a xmlns='urn:a'/>")]
        {
            for pair in [["juliet@localhost", "nobody@localhost"], [ABSENT, "nobody@localhost/x"]] {
                let mut answers = Vec::new();
                for to in pair {
                    number += 1;
                    let id = format!("other-{number}");
                    let stanza = format!(
                        "<iq type='{}' id='{id}' to='{to}'>{payload}</iq>",
                        self.kind.as_str()
                    );
                    let came = ask(romeo, &id, &stanza).await?;
                    check(&came, Due::Answer).map_err(|why| format!("to {to}: {why}"))?;
                    answers.push(without_address(&came[0]));
                }
                if answers[0] != answers[1] {
                    return Err(format!("{} and {} can be told apart", pair[0], pair[1]));
                }
            }
            for (to, due) in [
                ("somebody@elsewhere.example", Due::Error(Condition::RemoteServerNotFound)),
                ("elsewhere.example/x", Due::Error(Condition::RemoteServerNotFound)),
                ("a@b@c", Due::Error(Condition::JidMalformed)),
                ("", Due::Error(Condition::JidMalformed)),
                ("romeo@localhost/nowhere", Due::Error(Condition::ServiceUnavailable)),
                ("localhost/x", Due::Answer),
                ("romeo@localhost", Due::Answer),
                ("localhost", Due::Answer),
            ] {
                number += 1;
                let id = format!("other-{number}");
                let kind = self.kind.as_str();
                let stanza = format!("<iq type='{kind}' id='{id}' to='{to}'>{payload}</iq>");
                let came = ask(romeo, &id, &stanza).await?;
                check(&came, due).map_err(|why| format!("to '{to}': {why}"))?;
            }
        }
        Ok(())
    }

    /// A blocked contact gets the error of an address that does not exist, also where such an address would give a result
    /// (XEP-0191 §3.3 against XEP-0030 §8).
    async fn to_a_blocker(self, romeo: &mut Client, juliet: &mut Client) -> Result<(), String> {
        let block = "<block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block>";
        let done = ask(juliet, "block", &format!("<iq type='set' id='block'>{block}</iq>")).await?;
        let is_error = |answer: &Element| answer.attribute("type") == Some("error");
        check(&done, Due::Answer)?;
        assert!(!is_error(&done[0]));
        let kind = self.kind.as_str();
        for (number, inside) in ["", "<item jid='a@b'/>"].iter().enumerate() {
            let payload = self.payload("", inside);
            for resource in ["", "/balcony"] {
                let mut answers = Vec::new();
                for who in ["juliet", "nobody"] {
                    let id = format!("blocked-{number}-{who}{}", resource.len());
                    let to = format!("{who}@localhost{resource}");
                    let stanza = format!("<iq type='{kind}' id='{id}' to='{to}'>{payload}</iq>");
                    let came = ask(romeo, &id, &stanza).await?;
                    check(&came, Due::Answer).map_err(|why| format!("to {to}: {why}"))?;
                    answers.push(without_address(&came[0]));
                }
                let [juliet, nobody] = [&answers[0], &answers[1]];
                if !is_error(juliet) || is_error(nobody) && juliet != nobody {
                    return Err(format!("{juliet} tells of a block, {nobody} of nobody"));
                }
            }
        }
        Ok(())
    }

    /// A contact that sees an account's presence may ask what `OPEN_TO_FRIENDS` lists, and nothing else.
    async fn to_a_friend(self, romeo: &mut Client) -> Result<(), String> {
        for (number, inside) in ["", "<a xmlns='urn:a'/>", "<item jid='a@b'/>"].iter().enumerate() {
            let id = format!("friend-{number}");
            let (kind, payload) = (self.kind.as_str(), self.payload("", inside));
            let stanza = format!("<iq type='{kind}' id='{id}' to='nurse@localhost'>{payload}</iq>");
            let came = ask(romeo, &id, &stanza).await?;
            check(&came, Due::Answer).map_err(|why| format!("to a friend: {why}"))?;
            let is_open = OPEN_TO_FRIENDS.contains(&(self.kind, self.ns, self.name));
            if !is_open && came[0].attribute("type") == Some("result") {
                return Err(format!("a friend may do this: {}", came[0]));
            }
        }
        Ok(())
    }

    fn payload(self, attributes: &str, inside: &str) -> String {
        format!("<{0} xmlns='{1}'{attributes}>{inside}</{0}>", self.name, self.ns)
    }

    fn iq(self, kind: &str, attributes: &str, inside: &str) -> String {
        format!("<iq type='{kind}' id='ID'{}{attributes}>{inside}</iq>", self.to())
    }

    fn to(self) -> &'static str {
        to(self.address)
    }
}

/// The address of a request, as an attribute.
pub(crate) fn to(address: AddressKind) -> &'static str {
    match address {
        AddressKind::Account => "",
        AddressKind::Host => " to='localhost'",
        AddressKind::Service => " to='echo.localhost'",
        AddressKind::ServiceAddress => " to='echo@echo.localhost'",
    }
}

/// All of the cast, with presence.
async fn log_in(
    cast: &Script,
    target: &dyn Target,
    transcript: &Transcript,
) -> Result<Vec<Client>, String> {
    let mut clients = Vec::new();
    for persona in &cast.clients {
        target.add_account(persona).await?;
        let transcript = Rc::clone(transcript);
        let mut client = Client::new(persona.clone(), transcript, Duration::from_secs(20));
        client.log_in(target).await?;
        client.send(b"<presence/>").await?;
        clients.push(client);
    }
    Ok(clients)
}

/// What went wrong, and what was said before.
fn with_the_end_of(transcript: &Transcript, why: &str) -> String {
    let said = transcript.borrow();
    let last = &said[said.len().saturating_sub(6)..];
    format!("{}\n\n{why}\n", last.join("\n"))
}

/// Romeo may see the nurse, and both have heard all about it.
async fn befriend(romeo: &mut Client, nurse: &mut Client) -> Result<(), String> {
    romeo.send(b"<presence to='nurse@localhost' type='subscribe'/>").await?;
    hear(romeo, "asked").await?;
    nurse.send(b"<presence to='romeo@localhost' type='subscribed'/>").await?;
    hear(nurse, "approved").await?;
    let came = hear(romeo, "seen").await?;
    match came.iter().any(|element| element.attribute("type") == Some("subscribed")) {
        true => Ok(()),
        false => Err("they are no friends".to_owned()),
    }
}

const ROMEO: &str = "romeo@localhost/orchard";
const JULIET: &str = "juliet@localhost/balcony";
/// Nobody has this resource.
const ABSENT: &str = "juliet@localhost/bed";
const NURSE: &str = "nurse@localhost/house";

const ROOM: &str = "garden@conference.localhost";
const NO_ROOM: &str = "nowhere@conference.localhost";
const MAKE_A_ROOM: &str = "<presence to='garden@conference.localhost/Romeo'>\
     <x xmlns='http://jabber.org/protocol/muc'/></presence>\
     <iq type='set' id='make' to='garden@conference.localhost'>\
     <query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>";
