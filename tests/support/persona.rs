//! Who talks in a script.

/// Somebody who talks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Persona {
    pub(crate) name: String,
    /// With the resource that is wished, if one is.
    pub(crate) jid: String,
    pub(crate) password: String,
    pub(crate) transport: Transport,
    pub(crate) mechanism: Option<String>,
    /// Speaks TLS 1.2 only.
    pub(crate) is_tls12: bool,
    /// The only hash of SCRAM for which its account has keys, as after an import.
    pub(crate) keys: Option<String>,
    /// Whether an account is made for it.
    pub(crate) has_account: bool,
    /// As another server: what it proves itself with.
    pub(crate) certificate: Option<Certificate>,
    /// As another server: domains besides that of its JID.
    pub(crate) serves: Vec<String>,
}

/// A certificate of another server.
#[derive(Clone, Debug)]
pub(crate) enum Certificate {
    /// Of the authority that the server under test trusts, for these domains.
    Of(Vec<String>),
    /// The same, with the domain as its common name only.
    CommonName(String),
    /// The same, which has expired.
    Expired(String),
    /// Of itself.
    SelfSigned(String),
    /// Of an authority that nobody knows.
    Unknown(String),
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Transport {
    Direct,
    #[default]
    StartTls,
    Tcp,
    /// RFC 7395.
    WebSocket,
    /// XEP-0124.
    Bosh,
    /// XEP-0114: the port for components.
    Component,
    /// The port for other servers.
    Server,
}

impl Persona {
    /// Reads a line of the head of a script about it.
    pub(super) fn set(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(':').ok_or("expected `key: value`")?;
        let value = value.trim();
        match (key.trim(), value) {
            ("jid", _) => value.clone_into(&mut self.jid),
            ("password", _) => value.clone_into(&mut self.password),
            ("mechanism", _) => self.mechanism = Some(value.to_owned()),
            ("keys", _) => self.keys = Some(value.to_owned()),
            ("tls", "1.2") => self.is_tls12 = true,
            ("transport", _) => self.transport = transport(value)?,
            ("account", "none") => self.has_account = false,
            ("certificate", _) => self.certificate = Some(certificate(value)),
            ("serves", _) => self.serves = list(value),
            _ => return Err(format!("what is `{line}`?")),
        }
        Ok(())
    }

    pub(crate) fn user(&self) -> &str {
        self.bare().split_once('@').map_or("", |(user, _)| user)
    }

    pub(crate) fn domain(&self) -> &str {
        self.bare().split_once('@').map_or(self.bare(), |(_, domain)| domain)
    }

    pub(crate) fn resource(&self) -> Option<&str> {
        self.jid.split_once('/').map(|(_, resource)| resource)
    }

    pub(crate) fn bare(&self) -> &str {
        self.jid.split_once('/').map_or(&self.jid, |(bare, _)| bare)
    }
}

fn transport(word: &str) -> Result<Transport, String> {
    match word {
        "starttls" => Ok(Transport::StartTls),
        "tcp" => Ok(Transport::Tcp),
        "tls" => Ok(Transport::Direct),
        "websocket" => Ok(Transport::WebSocket),
        "bosh" => Ok(Transport::Bosh),
        "component" => Ok(Transport::Component),
        "server" => Ok(Transport::Server),
        _ => Err(format!(
            "transport is starttls, tcp, tls, websocket, bosh, component or server, not `{word}`"
        )),
    }
}

/// `c.example, rooms.c.example`, or one domain with a word before it.
fn certificate(value: &str) -> Certificate {
    match value.split_once(' ') {
        Some(("common-name", domain)) => Certificate::CommonName(domain.to_owned()),
        Some(("expired", domain)) => Certificate::Expired(domain.to_owned()),
        Some(("self-signed", domain)) => Certificate::SelfSigned(domain.to_owned()),
        Some(("unknown", domain)) => Certificate::Unknown(domain.to_owned()),
        _ => Certificate::Of(list(value)),
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(|one| one.trim().to_owned()).collect()
}
