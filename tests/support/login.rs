//! How the client of the conversations logs in: TLS, SASL, resumption, binding.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sasl::client::Mechanism;
use sasl::client::mechanisms::{Plain, Scram};
use sasl::common::scram::{Sha1, Sha256};
use sasl::common::{ChannelBinding, Credentials};

use super::client::{Client, SM, TLS};
use super::element::{Element, Piece, STREAMS};
use super::script::Transport;
use super::server::Target;

impl Client {
    pub(crate) async fn log_in(&mut self, target: &dyn Target) -> Result<(), String> {
        self.prepare(target).await?;
        self.authenticate(None).await?.map_err(|failure| format!("refused: {failure}"))?;
        let resource = self.persona.resource().map(str::to_owned);
        self.bind(resource.as_deref()).await
    }

    /// Up to the features that list mechanisms, which stay to be read.
    pub(crate) async fn prepare(&mut self, target: &dyn Target) -> Result<(), String> {
        let domain = self.persona.domain().to_owned();
        self.connect(target, self.persona.transport).await?;
        self.open(&domain).await?;
        if self.persona.transport == Transport::StartTls {
            self.start_tls().await?;
            self.open(&domain).await?;
        }
        Ok(())
    }

    pub(crate) async fn start_tls(&mut self) -> Result<(), String> {
        self.send(format!("<starttls xmlns='{TLS}'/>").as_bytes()).await?;
        loop {
            let element = self.element().await?;
            if element.is(TLS, "proceed") {
                return self.handshake().await;
            }
            if !element.is(STREAMS, "features") {
                return Err(format!("expected <proceed/>, got {element}"));
            }
        }
    }

    /// Runs SASL. The inner error is the condition of the failure.
    pub(crate) async fn authenticate(
        &mut self,
        mechanism: Option<&str>,
    ) -> Result<Result<(), String>, String> {
        let wished = mechanism.map(str::to_owned).or_else(|| self.persona.mechanism.clone());
        let name = match wished {
            Some(name) => name,
            None => self.best_mechanism().await?,
        };
        let mut mechanism = self.mechanism(&name)?;
        let initial = STANDARD.encode(mechanism.initial());
        let initial = if initial.is_empty() { "=" } else { &initial };
        let auth = format!("<auth xmlns='{SASL}' mechanism='{name}'>{initial}</auth>");
        self.send(auth.as_bytes()).await?;
        loop {
            let element = self.element().await?;
            if element.ns != SASL {
                if element.is(STREAMS, "features") {
                    continue;
                }
                return Err(format!("expected an answer of SASL, got {element}"));
            }
            let data = STANDARD
                .decode(element.text().trim_matches('='))
                .or_else(|_| STANDARD.decode(element.text()));
            let data = data.map_err(|error| format!("no base64: {error}"))?;
            match element.name.as_str() {
                "challenge" => {
                    let response = mechanism.response(&data).map_err(|e| e.to_string())?;
                    let response = STANDARD.encode(response);
                    let response = format!("<response xmlns='{SASL}'>{response}</response>");
                    self.send(response.as_bytes()).await?;
                }
                "success" => {
                    mechanism.success(&data).map_err(|e| format!("the server's proof: {e}"))?;
                    let domain = self.persona.domain().to_owned();
                    return self.open(&domain).await.map(Ok);
                }
                _ => {
                    let condition = element.elements().next().map(|c| c.name.clone());
                    return Ok(Err(condition.unwrap_or_default()));
                }
            }
        }
    }

    /// Runs SASL by XEP-0388 up to the answer that is no challenge, which stays to be read.
    pub(crate) async fn authenticate_by_sasl2(
        &mut self,
        mechanism: &str,
        inside: &str,
    ) -> Result<(), String> {
        let mut running = self.mechanism(mechanism)?;
        let initial = STANDARD.encode(running.initial());
        let request = format!(
            "<authenticate xmlns='{SASL2}' mechanism='{mechanism}'>\
             <initial-response>{initial}</initial-response>{inside}</authenticate>"
        );
        self.send(request.as_bytes()).await?;
        loop {
            let element = self.element().await?;
            if !element.is(SASL2, "challenge") {
                self.keep(vec![Piece::Child(element)]);
                return Ok(());
            }
            let data = STANDARD.decode(element.text()).map_err(|error| error.to_string())?;
            let response = STANDARD.encode(running.response(&data).map_err(|e| e.to_string())?);
            let response = format!("<response xmlns='{SASL2}'>{response}</response>");
            self.send(response.as_bytes()).await?;
        }
    }

    async fn best_mechanism(&mut self) -> Result<String, String> {
        let features = self.expect(STREAMS, "features").await?;
        let offered: Vec<_> = features
            .child(SASL, "mechanisms")
            .map(|m| m.elements().map(Element::text).collect())
            .unwrap_or_default();
        let best = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
            .into_iter()
            .find(|known| offered.iter().any(|o| o == known));
        best.map(str::to_owned).ok_or(format!("no mechanism to log in with: {offered:?}"))
    }

    fn mechanism(&self, name: &str) -> Result<Box<dyn Mechanism>, String> {
        let binding = match (name.strip_suffix("-PLUS"), &self.exporter) {
            (Some(_), Some(key)) => ChannelBinding::TlsExporter(key.clone()),
            (Some(_), None) => return Err("there is nothing to bind to".to_owned()),
            (None, _) => ChannelBinding::None,
        };
        let credentials = Credentials::default()
            .with_username(self.persona.user())
            .with_password(self.persona.password.as_str())
            .with_channel_binding(binding);
        Ok(match name.trim_end_matches("-PLUS") {
            "PLAIN" => Box::new(Plain::from_credentials(credentials).map_err(|e| e.to_string())?),
            "SCRAM-SHA-1" => {
                Box::new(Scram::<Sha1>::from_credentials(credentials).map_err(|e| e.to_string())?)
            }
            "SCRAM-SHA-256" => {
                Box::new(Scram::<Sha256>::from_credentials(credentials).map_err(|e| e.to_string())?)
            }
            _ => return Err(format!("the tests cannot do {name}")),
        })
    }

    /// XEP-0198 §3: from now on stanzas are counted, and `<r/>` is answered unasked.
    pub(crate) async fn enable(&mut self) -> Result<(), String> {
        self.send(format!("<enable xmlns='{SM}' resume='true'/>").as_bytes()).await?;
        let enabled = self.expect(SM, "enabled").await?;
        let id = enabled.attribute("id").ok_or("it cannot be resumed: there is no id")?;
        self.managed = Some((id.to_owned(), 0));
        Ok(())
    }

    /// XEP-0198 §5: a new connection takes the old session. The inner error is the condition of
    /// the failure.
    pub(crate) async fn resume(
        &mut self,
        target: &dyn Target,
    ) -> Result<Result<(), String>, String> {
        let (id, read) = self.managed.take().ok_or("it has nothing to resume")?;
        self.prepare(target).await?;
        self.authenticate(None).await?.map_err(|failure| format!("refused: {failure}"))?;
        let resume = format!("<resume xmlns='{SM}' previd='{id}' h='{read}'/>");
        self.send(resume.as_bytes()).await?;
        loop {
            let element = self.element().await?;
            if element.is(STREAMS, "features") {
                continue;
            }
            if element.is(SM, "resumed") {
                self.full_jid = Some(self.persona.jid.clone());
                self.managed = Some((id, read));
                return Ok(Ok(()));
            }
            let condition = element.elements().next().map(|c| c.name.clone());
            return Ok(Err(condition.unwrap_or_else(|| element.to_string())));
        }
    }

    pub(crate) async fn bind(&mut self, resource: Option<&str>) -> Result<(), String> {
        let resource = resource.map(|r| format!("<resource>{r}</resource>")).unwrap_or_default();
        let bind = format!("<iq type='set' id='bind'><bind xmlns='{BIND}'>{resource}</bind></iq>");
        self.send(bind.as_bytes()).await?;
        loop {
            let element = self.element().await?;
            if element.is(STREAMS, "features") {
                continue;
            }
            let jid = element.child(BIND, "bind").and_then(|bind| bind.child(BIND, "jid"));
            self.full_jid = Some(jid.ok_or(format!("not bound: {element}"))?.text());
            return Ok(());
        }
    }
}

const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const SASL2: &str = "urn:xmpp:sasl:2";
