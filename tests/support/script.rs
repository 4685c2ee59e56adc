//! Reads a script (`docs/testing.md` has the grammar): a head, clients, and what happens, step by
//! step. The grammar is that of Prosody's scansion, with more actions.

use std::time::Duration;

pub(crate) use super::persona::{Certificate, Persona, Transport};

/// One conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// The transports over which it runs; all of them, if it names none.
    pub(crate) over: Option<Vec<String>>,
    /// What it covers: `XEP-0198 §5`.
    pub(crate) covers: Vec<String>,
    /// Lines of the server's configuration, as TOML.
    pub(crate) server: Vec<String>,
    /// The server has the service `echo.<host>` (`echo.rs`).
    pub(crate) has_echo: bool,
    /// The server has the service `push.<host>` (`push.rs`).
    pub(crate) has_push: bool,
    pub(crate) clients: Vec<Persona>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    /// The first line of it.
    pub(crate) text: String,
    pub(crate) action: Action,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Disk {
    /// What is to be written cannot be.
    Full,
    /// Rosters cannot be read.
    NoRosters,
    /// The next answer about a roster takes so long.
    Slow(Duration),
    /// The next page of an archive is read so late.
    SlowPage(Duration),
    /// The next publication at a node is stored so late.
    SlowPublication(Duration),
    /// The next document is removed so late.
    SlowRemoval(Duration),
    /// Each message is on the disk so late.
    SlowWrites(Duration),
    /// What waits, and what is in archives, cannot be read.
    Unreadable,
    Works,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Time passes.
    Pass(Duration),
    /// The server ends and begins again at once. Clients can still read what it has written before.
    End,
    /// The server ends and begins again, after so long; `true` if nothing is saved at its end.
    Restart(Duration, bool),
    /// The storage begins to fail in some way, or to work again.
    Storage(Disk),
    /// Features have been told of these events since the last such step, in this order.
    FeaturesAreTold(Vec<String>),
    /// The client of this index does something, or something happens to it.
    Client(usize, ClientAction),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ClientAction {
    /// As another server: a connection of the server under test.
    AcceptsConnection,
    /// There is none.
    AcceptsNothing,
    /// With TLS.
    AcceptsStream,
    AnswersPings,
    Authenticates(Option<String>),
    /// With this mechanism, by XEP-0388, and with this in `<authenticate/>`. What the server says then is still to
    /// be read.
    AuthenticatesBySasl2(String, String),
    Binds(Option<String>),
    Connects,
    /// TCP only, TLS from the first byte, or a WebSocket.
    ConnectsRaw(Transport),
    Discards,
    Disconnects,
    EnablesStreamManagement,
    FailsToLogIn(String),
    FailsToResume(String),
    Handshakes,
    IsDisconnected,
    /// As another server.
    LogsInByCertificate,
    LosesTheNetwork,
    /// With the proof of this secret (XEP-0114 §3).
    OpensComponent(String),
    /// As another server, with TLS.
    OpensSecuredStream(String),
    OpensStream(String),
    Receives {
        xml: String,
        in_any_order: bool,
    },
    ReceivesHeader(String),
    ReceivesNothing,
    Resumes,
    Sends(String),
    /// Over WebSocket: in one message.
    SendsBytes(Vec<u8>),
    /// A message of WebSocket that is no text.
    SendsBinary(Vec<u8>),
    /// With this code.
    SocketCloses(u16),
    StartsTls,
    StreamCloses,
    StreamEndsWith(Vec<String>),
    /// As another server: from the server under test.
    TakesCertificate,
}

impl Script {
    /// The same over another transport (RFC 7395, XEP-0124), if it does not speak of the bytes of a
    /// connection or of TLS.
    pub(crate) fn over(mut self, transport: Transport) -> Option<Self> {
        let word = if transport == Transport::Bosh { "bosh" } else { "websocket" };
        if self.over.as_ref().is_some_and(|over| !over.iter().any(|named| named == word)) {
            return None;
        }
        let is_raw = |step: &Step| {
            let Action::Client(_, action) = &step.action else { return false };
            let is_tls = matches!(action, ClientAction::Handshakes | ClientAction::StartsTls);
            is_tls || matches!(action, ClientAction::ConnectsRaw(_) | ClientAction::SendsBytes(_))
        };
        let is_usual = |client: &Persona| {
            client.transport == Transport::StartTls
                && client.mechanism.is_none()
                && !client.is_tls12
        };
        if self.steps.iter().any(is_raw) || !self.clients.iter().all(is_usual) {
            return None;
        }
        self.clients.iter_mut().for_each(|client| client.transport = transport);
        Some(self)
    }
}

/// Reads a whole file.
pub(crate) fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script::default();
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line)).peekable();
    for (number, line) in lines.by_ref() {
        if line.starts_with("-----") {
            break;
        }
        head(&mut script, line).map_err(|why| format!("line {number}: {why}"))?;
    }
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            return Err(format!("line {number}: this is indented, but belongs to nothing"));
        }
        let mut body = String::new();
        let is_body = |line: &str| line.starts_with([' ', '\t']) || line.trim().is_empty();
        while let Some((_, inner)) = lines.next_if(|(_, l)| line.ends_with(':') && is_body(l)) {
            body.push_str(inner.strip_prefix('\t').unwrap_or(inner));
            body.push('\n');
        }
        let action = action(&script.clients, line.trim_end(), body.trim_end())
            .map_err(|why| format!("line {number}: {why}"))?;
        script.steps.push(Step { line: number, text: line.trim_end().to_owned(), action });
    }
    if script.steps.is_empty() {
        return Err("there are no steps; is the line of hyphens missing?".to_owned());
    }
    Ok(script)
}

fn head(script: &mut Script, line: &str) -> Result<(), String> {
    let trimmed = line.trim();
    if let Some(comment) = trimmed.strip_prefix('#') {
        let comment = comment.trim();
        if let Some(covers) = comment.strip_prefix("covers:") {
            script.covers.extend(covers.split(',').map(|part| part.trim().to_owned()));
        } else if let Some(option) = comment.strip_prefix("server:") {
            script.server.push(setting(option)?);
        } else if let Some(transports) = comment.strip_prefix("over:") {
            script.over = Some(transports.split_whitespace().map(str::to_owned).collect());
        } else if let Some(service) = comment.strip_prefix("service:") {
            match service.trim() {
                "echo" => script.has_echo = true,
                "push" => script.has_push = true,
                other => return Err(format!("there is no service `{other}`")),
            }
        }
        return Ok(());
    }
    if trimmed.is_empty() {
        return Ok(());
    }
    if let Some(name) = trimmed.strip_prefix("[Client]") {
        let name = name.trim().to_owned();
        script.clients.push(Persona { name, has_account: true, ..Persona::default() });
        return Ok(());
    }
    let client = script.clients.last_mut().ok_or("expected `[Client] Name`")?;
    client.set(trimmed)
}

/// `limits.silence=3 min` as a line of TOML: what is no number, no word of TOML and not quoted is.
fn setting(option: &str) -> Result<String, String> {
    let (key, value) = option.split_once('=').ok_or("expected `# server: key=value`")?;
    let (key, value) = (key.trim(), value.trim());
    let is_plain = value.parse::<f64>().is_ok()
        || ["false", "true"].contains(&value)
        || value.starts_with(['"', '\'', '[']);
    Ok(if is_plain { format!("{key} = {value}") } else { format!("{key} = \"{value}\"") })
}

fn action(clients: &[Persona], line: &str, body: &str) -> Result<Action, String> {
    if let Some(time) = line.strip_suffix(" pass").or_else(|| line.strip_suffix(" passes")) {
        return duration(time).map(Action::Pass).ok_or(format!("how long is `{time}`?"));
    }
    if line.starts_with("The ") {
        return of_the_server(line, body);
    }
    let meant = clients.iter().enumerate().filter(|(_, c)| {
        line.strip_prefix(&c.name).is_some_and(|rest| rest.starts_with([' ', '\'', '’']))
    });
    let (index, client) =
        meant.max_by_key(|(_, c)| c.name.len()).ok_or("the line begins with no client's name")?;
    let rest = line[client.name.len()..].replace('’', "'");
    client_action(rest.trim(), body).map(|action| Action::Client(index, action))
}

/// What happens to the server.
fn of_the_server(line: &str, body: &str) -> Result<Action, String> {
    if let Some(time) = line.strip_prefix("The server is down for ") {
        let down = duration(time).ok_or(format!("how long is `{time}`?"))?;
        return Ok(Action::Restart(down, false));
    }
    type Slow = (&'static str, fn(Duration) -> Disk);
    let slow: [Slow; 5] = [
        ("The next answer about a roster takes ", Disk::Slow),
        ("The next page of an archive is read after ", Disk::SlowPage),
        ("The next document is removed after ", Disk::SlowRemoval),
        ("The next publication is stored after ", Disk::SlowPublication),
        ("The disk is written after ", Disk::SlowWrites),
    ];
    for (words, disk) in slow {
        if let Some(time) = line.strip_prefix(words) {
            let time = duration(time).ok_or(format!("how long is `{time}`?"))?;
            return Ok(Action::Storage(disk(time)));
        }
    }
    match line {
        "The rosters cannot be read" => Ok(Action::Storage(Disk::NoRosters)),
        "The server ends" => Ok(Action::End),
        "The server crashes" => Ok(Action::Restart(Duration::ZERO, true)),
        "The server restarts" => Ok(Action::Restart(Duration::ZERO, false)),
        "The storage cannot be read" => Ok(Action::Storage(Disk::Unreadable)),
        "The storage fails" => Ok(Action::Storage(Disk::Full)),
        "The features are told:" => {
            Ok(Action::FeaturesAreTold(body.lines().map(|line| line.trim().to_owned()).collect()))
        }
        "The features are told nothing" => Ok(Action::FeaturesAreTold(Vec::new())),
        "The storage works" => Ok(Action::Storage(Disk::Works)),
        _ => Err(format!("what is `{line}`?")),
    }
}

fn client_action(words: &str, body: &str) -> Result<ClientAction, String> {
    let xml = body.to_owned();
    Ok(match words {
        "accepts a connection" => ClientAction::AcceptsConnection,
        "accepts a secured stream" => ClientAction::AcceptsStream,
        "accepts nothing" => ClientAction::AcceptsNothing,
        "answers pings" => ClientAction::AnswersPings,
        "authenticates" => ClientAction::Authenticates(None),
        "binds" => ClientAction::Binds(None),
        "connects" => ClientAction::Connects,
        "connects raw" => ClientAction::ConnectsRaw(Transport::Tcp),
        "connects raw as a component" => ClientAction::ConnectsRaw(Transport::Component),
        "connects raw as a server" => ClientAction::ConnectsRaw(Transport::Server),
        "connects raw over WebSocket" => ClientAction::ConnectsRaw(Transport::WebSocket),
        "connects raw over TLS" => ClientAction::ConnectsRaw(Transport::Direct),
        "disconnects" => ClientAction::Disconnects,
        "enables stream management" => ClientAction::EnablesStreamManagement,
        "resumes" => ClientAction::Resumes,
        "discards what has come" => ClientAction::Discards,
        "is disconnected" => ClientAction::IsDisconnected,
        "logs in by its certificate" => ClientAction::LogsInByCertificate,
        "loses the network" => ClientAction::LosesTheNetwork,
        "makes the TLS handshake" => ClientAction::Handshakes,
        "receives nothing" => ClientAction::ReceivesNothing,
        "receives a stream header:" => ClientAction::ReceivesHeader(xml),
        "receives in any order:" => ClientAction::Receives { xml, in_any_order: true },
        "receives:" => ClientAction::Receives { xml, in_any_order: false },
        "sends:" => ClientAction::Sends(xml),
        "takes the server's certificate" => ClientAction::TakesCertificate,
        "starts TLS" => ClientAction::StartsTls,
        "'s stream is closed" => ClientAction::StreamCloses,
        _ => return action_with_text(words, xml),
    })
}

fn action_with_text(words: &str, body: String) -> Result<ClientAction, String> {
    if let Some(mechanism) = words.strip_prefix("authenticates by SASL2 with \"") {
        let mechanism = mechanism.strip_suffix("\":").ok_or("expected `\"MECHANISM\":`")?;
        return Ok(ClientAction::AuthenticatesBySasl2(mechanism.to_owned(), body));
    }
    if let Some(terms) = words.strip_prefix("sends bytes ") {
        return bytes(terms).map(ClientAction::SendsBytes);
    }
    if let Some(terms) = words.strip_prefix("sends binary ") {
        return bytes(terms).map(ClientAction::SendsBinary);
    }
    if let Some(code) = words.strip_prefix("'s WebSocket is closed with ") {
        let code = code.parse().map_err(|_| format!("what code is `{code}`?"))?;
        return Ok(ClientAction::SocketCloses(code));
    }
    let (words, text) = words.split_once('"').ok_or_else(|| format!("what is `{words}`?"))?;
    let text = text.strip_suffix('"').ok_or("the text does not end")?.to_owned();
    match words.trim() {
        "authenticates with" => Ok(ClientAction::Authenticates(Some(text))),
        "binds" => Ok(ClientAction::Binds(Some(text))),
        "fails to resume with" => Ok(ClientAction::FailsToResume(text)),
        "fails to log in with" => Ok(ClientAction::FailsToLogIn(text)),
        "opens a secured stream to" => Ok(ClientAction::OpensSecuredStream(text)),
        "opens a stream to" => Ok(ClientAction::OpensStream(text)),
        "opens the stream of a component with" => Ok(ClientAction::OpensComponent(text)),
        "'s stream ends with" => {
            let conditions = text.split("\" or \"").map(str::to_owned).collect();
            Ok(ClientAction::StreamEndsWith(conditions))
        }
        other => Err(format!("what is `{other}`?")),
    }
}

/// `2 minutes`, `1 second`.
fn duration(words: &str) -> Option<Duration> {
    let (number, unit) = words.split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    if unit.trim_end_matches('s') == "millisecond" {
        return Some(Duration::from_millis(number));
    }
    let seconds = match unit.trim_end_matches('s') {
        "day" => 86_400,
        "hour" => 3_600,
        "minute" => 60,
        "second" => 1,
        _ => return None,
    };
    Some(Duration::from_secs(number * seconds))
}

/// `"<a" + 2000 x " b" + "\x01"`: texts with the escapes of Rust, repeated where wanted.
fn bytes(terms: &str) -> Result<Vec<u8>, String> {
    let mut found = Vec::new();
    let mut rest = terms.trim();
    loop {
        let mut times = 1;
        if let Some((number, behind)) = rest.split_once(" x ")
            && let Ok(number) = number.trim().parse()
        {
            times = number;
            rest = behind.trim_start();
        }
        let inner = rest.strip_prefix('"').ok_or("expected a text in quotes")?;
        let end = end_of_text(inner).ok_or("a text does not end")?;
        let text = unescape(&inner[..end])?;
        for _ in 0..times {
            found.extend_from_slice(&text);
        }
        rest = inner[end + 1..].trim_start();
        match rest.strip_prefix('+') {
            Some(behind) => rest = behind.trim_start(),
            None if rest.is_empty() => return Ok(found),
            None => return Err(format!("expected `+`, found `{rest}`")),
        }
    }
}

fn end_of_text(inner: &str) -> Option<usize> {
    let mut is_escaped = false;
    inner.char_indices().find_map(|(at, c)| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end.then_some(at)
    })
}

pub(super) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next() {
            Some('"') => bytes.push(b'"'),
            Some('0') => bytes.push(0),
            Some('\\') => bytes.push(b'\\'),
            Some('n') => bytes.push(b'\n'),
            Some('r') => bytes.push(b'\r'),
            Some('t') => bytes.push(b'\t'),
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                let byte = u8::from_str_radix(&digits, 16).map_err(|_| "\\x wants two digits")?;
                bytes.push(byte);
            }
            other => return Err(format!("what is `\\{}`?", other.unwrap_or(' '))),
        }
    }
    Ok(bytes)
}
