//! Runs a script against a server, and tells where the conversation went wrong.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::client::{Came, Client, Transcript, named};
use super::element::{CLIENT, Element, Piece, STREAMS, elements};
use super::matcher::{difference, kept};
use super::pass::pass;
use super::script::{Action, ClientAction, Script, Step};
use super::server::Target;
use super::substitute::substitute;

/// Runs the whole script. The error is for people: the conversation so far, and what is wrong.
pub(crate) async fn run(script: &Script, path: &str, target: &dyn Target) -> Result<(), String> {
    let transcript: Transcript = Rc::new(RefCell::new(Vec::new()));
    for persona in script.clients.iter().filter(|c| c.has_account) {
        target.add_account(persona).await.map_err(|why| format!("{path}: {why}"))?;
    }
    let patience = Duration::from_secs(if target.knows_when_idle() { 20 } else { 5 });
    let clients = script.clients.iter().cloned();
    let clients =
        clients.map(|persona| Client::new(persona, Rc::clone(&transcript), patience)).collect();
    let mut conversation = Conversation { clients, target, fences: 0, kept: BTreeMap::new() };
    for step in &script.steps {
        transcript.borrow_mut().push(format!("   [{}] {}", step.line, step.text));
        if let Err(why) = conversation.step(step).await {
            let so_far = transcript.borrow().join("\n");
            return Err(format!("{so_far}\n\n{path}:{}: {}\n{why}\n", step.line, step.text));
        }
    }
    Ok(())
}

/// The clock is paused: it moves on only when all tasks wait, so that all has been dealt with that was sent before.
async fn settle() {
    pass(Duration::from_millis(10)).await;
}

struct Conversation<'a> {
    clients: Vec<Client>,
    target: &'a dyn Target,
    fences: usize,
    /// Values that a script wants to use later, by name.
    kept: BTreeMap<String, String>,
}

impl Conversation<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match &step.action {
            Action::Pass(time) => self.pass(*time).await,
            Action::End => {
                settle().await;
                self.target.restart(Duration::ZERO, false).await
            }
            Action::Restart(down, crashes) => self.restart(*down, *crashes).await,
            Action::Storage(disk) => {
                self.target.change_storage(*disk);
                Ok(())
            }
            Action::FeaturesAreTold(events) => self.told(events).await,
            Action::Client(index, ClientAction::ReceivesNothing) => {
                self.receives_nothing(*index).await
            }
            Action::Client(index, action) => self.client_action(*index, action).await,
        }
    }

    async fn pass(&mut self, time: Duration) -> Result<(), String> {
        let mut left = time;
        while !left.is_zero() {
            let part = left.min(Duration::from_secs(5));
            self.target.pass(part).await?;
            left -= part;
            for client in self.clients.iter_mut().filter(|c| c.answers_pings) {
                let came = drain(client, self.target).await?;
                client.keep(came);
            }
        }
        Ok(())
    }

    /// When all has been dealt with that was sent before. The connections end with the server, and
    /// what was on its way to clients is gone.
    async fn restart(&mut self, down: Duration, crashes: bool) -> Result<(), String> {
        settle().await;
        self.target.restart(down, crashes).await?;
        for client in self.clients.iter_mut().filter(|client| client.is_connected()) {
            client.lose();
        }
        Ok(())
    }

    /// When all has been dealt with that was sent before.
    async fn told(&mut self, events: &[String]) -> Result<(), String> {
        settle().await;
        let told = self.target.told();
        if told == events { Ok(()) } else { Err(format!("told: {told:#?}")) }
    }

    async fn client_action(&mut self, index: usize, action: &ClientAction) -> Result<(), String> {
        let target = self.target;
        let action = self.substituted(action)?;
        let client = &mut self.clients[index];
        match action {
            ClientAction::AnswersPings => client.answers_pings = true,
            ClientAction::Authenticates(mechanism) => {
                let done = client.authenticate(mechanism.as_deref()).await?;
                return done.map_err(|condition| format!("refused: {condition}"));
            }
            ClientAction::AuthenticatesBySasl2(mechanism, inside) => {
                return client.authenticate_by_sasl2(&mechanism, &inside).await;
            }
            ClientAction::Binds(resource) => return client.bind(resource.as_deref()).await,
            ClientAction::Connects => return client.log_in(target).await,
            ClientAction::ConnectsRaw(how) => return client.connect(target, how).await,
            ClientAction::Discards => drain(client, target).await.map(drop)?,
            ClientAction::Disconnects => return disconnect(client).await,
            ClientAction::FailsToLogIn(condition) => {
                return fail_to_log_in(client, target, &condition).await;
            }
            ClientAction::EnablesStreamManagement => return client.enable().await,
            ClientAction::FailsToResume(condition) => {
                return fail_to_resume(client, target, &condition).await;
            }
            ClientAction::Resumes => {
                return client.resume(target).await?.map_err(|why| format!("refused: {why}"));
            }
            ClientAction::Handshakes => return client.handshake().await,
            ClientAction::IsDisconnected => return is_disconnected(client).await,
            ClientAction::LosesTheNetwork => client.lose(),
            ClientAction::OpensComponent(secret) => return client.open_component(&secret).await,
            ClientAction::OpensStream(domain) if !client.is_server() => {
                return client.open(&domain).await;
            }
            ClientAction::Receives { xml, in_any_order } => {
                let kept = receive(client, elements(&xml)?, in_any_order).await?;
                self.kept.extend(kept);
            }
            ClientAction::ReceivesHeader(xml) => {
                let expected = elements(&header_as_element(&xml))?;
                let expected = expected.first().ok_or("there is no header to expect")?;
                let got = client.header().await?;
                return difference(expected, &got).map_or(Ok(()), Err);
            }
            ClientAction::ReceivesNothing => {}
            ClientAction::Sends(xml) => return client.send(xml.as_bytes()).await,
            ClientAction::SendsBinary(bytes) => return client.send_binary(bytes).await,
            ClientAction::SendsBytes(bytes) => return client.send_raw(&bytes).await,
            ClientAction::SocketCloses(code) => return socket_closes(client, code).await,
            ClientAction::StartsTls => return client.start_tls().await,
            ClientAction::StreamCloses => return stream_closes(client, None).await,
            ClientAction::StreamEndsWith(conditions) => {
                return stream_closes(client, Some(&conditions)).await;
            }
            of_server => return as_a_server(client, target, &of_server).await,
        }
        Ok(())
    }

    /// The action with what stands for something in its XML.
    fn substituted(&self, action: &ClientAction) -> Result<ClientAction, String> {
        let names = |name: &str| self.named(name);
        Ok(match action {
            ClientAction::Sends(xml) => ClientAction::Sends(substitute(xml, names)?),
            ClientAction::AuthenticatesBySasl2(mechanism, inside) => {
                ClientAction::AuthenticatesBySasl2(mechanism.clone(), substitute(inside, names)?)
            }
            ClientAction::Receives { xml, in_any_order } => {
                let xml = substitute(xml, names)?;
                ClientAction::Receives { xml, in_any_order: *in_any_order }
            }
            other => other.clone(),
        })
    }

    /// What stands for something in a script: `Romeo's full JID`, `Romeo's JID`.
    fn named(&self, name: &str) -> Option<String> {
        if let Some(value) = self.kept.get(name) {
            return Some(value.clone());
        }
        let (who, what) = name.rsplit_once("'s ")?;
        let client = self.clients.iter().find(|c| c.persona.name == who)?;
        match what {
            "JID" => Some(client.persona.bare().to_owned()),
            "full JID" => client.full_jid.clone(),
            _ => None,
        }
    }

    /// Nothing has come, and nothing is on its way. In process we know when nobody works; else
    /// everybody asks the server for an answer, the one in question last: a sender's stanza has
    /// been dealt with when a later one is answered.
    async fn receives_nothing(&mut self, index: usize) -> Result<(), String> {
        if self.target.knows_when_idle() {
            return match self.clients[index].within(Duration::from_millis(10)).await? {
                Came::Nothing => Ok(()),
                other => Err(format!("expected nothing, got {}", named(&other))),
            };
        }
        let others = (0..self.clients.len()).filter(|i| *i != index);
        for i in others.chain([index]).collect::<Vec<_>>() {
            self.fences += 1;
            let before = fence(&mut self.clients[i], self.fences).await?;
            match before.first() {
                Some(piece) if i == index => {
                    return Err(format!(
                        "expected nothing, got {}",
                        named(&Came::Piece(piece.clone()))
                    ));
                }
                _ => self.clients[i].keep(before),
            }
        }
        Ok(())
    }
}

/// Asks the server for an answer and waits for it; gives what came before.
async fn fence(client: &mut Client, number: usize) -> Result<Vec<Piece>, String> {
    let mut before = Vec::new();
    if !client.is_connected() {
        return Ok(before);
    }
    if client.full_jid.is_none() {
        // Nobody to ask before there is a session.
        if let Came::Piece(piece) = client.within(Duration::from_millis(300)).await? {
            before.push(piece);
        }
        return Ok(before);
    }
    let id = format!("fence-{number}");
    let domain = client.persona.domain();
    let ping = format!("<iq type='get' id='{id}' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>");
    client.send(ping.as_bytes()).await?;
    loop {
        match client.next().await? {
            Came::Piece(Piece::Child(iq))
                if iq.is(CLIENT, "iq") && iq.attribute("id") == Some(&id) =>
            {
                return Ok(before);
            }
            Came::Piece(piece) => before.push(piece),
            other => return Err(format!("waiting for a pong, got {}", named(&other))),
        }
    }
}

/// What only another server does, or does otherwise than a client.
async fn as_a_server(
    client: &mut Client,
    target: &dyn Target,
    action: &ClientAction,
) -> Result<(), String> {
    match action {
        ClientAction::AcceptsConnection => client.accept(target).await,
        ClientAction::AcceptsNothing => {
            settle().await;
            match target.accept(client.persona.bare()) {
                Some(_) => Err("the server connects to it".to_owned()),
                None => Ok(()),
            }
        }
        ClientAction::AcceptsStream => client.accept_secured(target).await,
        ClientAction::LogsInByCertificate => client.log_in_by_certificate().await,
        ClientAction::OpensSecuredStream(domain) => client.open_secured(target, domain).await,
        ClientAction::OpensStream(domain) => client.open_to_server(domain).await,
        ClientAction::TakesCertificate => client.take_certificate().await,
        _ => Err("this is not for servers".to_owned()),
    }
}

/// Reads what is there.
async fn drain(client: &mut Client, target: &dyn Target) -> Result<Vec<Piece>, String> {
    let limit = Duration::from_millis(if target.knows_when_idle() { 10 } else { 300 });
    let mut pieces = Vec::new();
    while let Came::Piece(piece) = client.within(limit).await? {
        pieces.push(piece);
    }
    Ok(pieces)
}

async fn receive(
    client: &mut Client,
    mut expected: Vec<Element>,
    in_any_order: bool,
) -> Result<Vec<(String, String)>, String> {
    let mut values = Vec::new();
    while !expected.is_empty() {
        let got = match client.next().await? {
            Came::Piece(Piece::Child(element)) => element,
            Came::Piece(Piece::Header(_)) => continue,
            other => {
                return Err(format!("expected {}\ngot      {}", expected[0], named(&other)));
            }
        };
        let tries = if in_any_order { expected.len() } else { 1 };
        let fit = (0..tries).find(|i| difference(&expected[*i], &got).is_none());
        match fit {
            Some(at) => values.extend(kept(&expected.remove(at), &got)),
            None => {
                let near = (0..tries).find(|i| expected[*i].name == got.name).unwrap_or(0);
                let difference = difference(&expected[near], &got).unwrap_or_default();
                return Err(format!("expected {}\ngot      {got}\n{difference}", expected[near]));
            }
        }
    }
    Ok(values)
}

async fn disconnect(client: &mut Client) -> Result<(), String> {
    client.send(b"</stream:stream>").await?;
    loop {
        match client.next().await? {
            Came::Piece(Piece::End) | Came::Closed => break,
            Came::Piece(_) => {}
            Came::Nothing => return Err("the server does not close its stream".to_owned()),
        }
    }
    client.lose();
    Ok(())
}

async fn fail_to_log_in(
    client: &mut Client,
    target: &dyn Target,
    condition: &str,
) -> Result<(), String> {
    client.prepare(target).await?;
    match client.authenticate(None).await? {
        Ok(()) => Err("it logged in".to_owned()),
        Err(got) if got == condition => Ok(()),
        Err(got) => Err(format!("expected {condition}, got {got}")),
    }
}

async fn fail_to_resume(
    client: &mut Client,
    target: &dyn Target,
    condition: &str,
) -> Result<(), String> {
    match client.resume(target).await? {
        Ok(()) => Err("it has resumed".to_owned()),
        Err(got) if got == condition => Ok(()),
        Err(got) => Err(format!("expected {condition}, got {got}")),
    }
}

async fn is_disconnected(client: &mut Client) -> Result<(), String> {
    loop {
        match client.next().await? {
            Came::Closed => return Ok(()),
            Came::Nothing => return Err("the connection stays open".to_owned()),
            Came::Piece(_) => {}
        }
    }
}

/// RFC 6120 §4.4, §4.9.1: a header (if there was none yet), an error (if one is expected), the
/// end of the stream, the end of the connection. Features that nobody asked for are passed over.
async fn stream_closes(client: &mut Client, conditions: Option<&[String]>) -> Result<(), String> {
    let mut wanted = conditions;
    let mut has_ended = false;
    loop {
        let came = client.next().await?;
        match (&came, wanted) {
            (Came::Piece(Piece::Header(header)), _) if header.is(STREAMS, "stream") => {}
            (Came::Piece(Piece::Child(element)), _) if element.is(STREAMS, "features") => {}
            (Came::Piece(Piece::Child(element)), Some(conditions))
                if element.is(STREAMS, "error") =>
            {
                let of = "urn:ietf:params:xml:ns:xmpp-streams";
                let condition = element.elements().find(|c| c.ns == of && c.name != "text");
                let name = condition.map_or("", |c| c.name.as_str());
                if !conditions.iter().any(|c| c == name) {
                    return Err(format!("expected {}, got {element}", conditions.join(" or ")));
                }
                wanted = None;
            }
            (Came::Piece(Piece::End), None) => has_ended = true,
            (Came::Closed, None) if has_ended => return Ok(()),
            (Came::Closed, None) => return Err("no </stream:stream> came".to_owned()),
            (other, _) => {
                let wanted = wanted.map_or("the end".to_owned(), |c| c.join(" or "));
                return Err(format!("expected {wanted}, got {}", named(other)));
            }
        }
    }
}

/// RFC 6455 §7.1.2: the closing frame comes before the end of the connection.
async fn socket_closes(client: &mut Client, code: u16) -> Result<(), String> {
    is_disconnected(client).await?;
    match client.code {
        Some(got) if got == code => Ok(()),
        got => Err(format!("expected the code {code}, got {got:?}")),
    }
}

/// A header is an element that does not end; in a script it may be written either way.
fn header_as_element(xml: &str) -> String {
    let xml = xml.trim();
    if xml.ends_with("/>") { xml.to_owned() } else { format!("{xml}</stream:stream>") }
}
