//! Streams over BOSH (XEP-0124, XEP-0206): one connection, whose next request goes out when the one before is answered.

use std::rc::Rc;

use anyhow::{Context, ensure};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use crate::client::{LOGINS_AT_ONCE, Target, Wire, between, content};
use crate::scram;

/// A session, whose client is logged in.
pub(crate) struct Session {
    wire: Wire<TlsStream<TcpStream>>,
    domain: String,
    sid: String,
    rid: u64,
}

impl Session {
    /// Logs in account `number`, binds, and sends initial presence.
    async fn new(target: &Target, number: usize) -> anyhow::Result<Self> {
        let domain = target.domain.clone();
        let mut session =
            Self { wire: target.tls().await?, domain, sid: String::new(), rid: 1_000 };
        let (domain, user) = (&target.domain, target.user(number));
        let begun = session
            .ask(
                &format!(
                    "to='{domain}' hold='1' wait='60' ver='1.6' xml:lang='en' xmpp:version='1.0' \
                 xmlns:xmpp='urn:xmpp:xbosh'"
                ),
                "",
            )
            .await?;
        let sid = between(&begun, " sid='", "'").or_else(|| between(&begun, " sid=\"", "\""));
        session.sid = sid.with_context(|| format!("no session: {begun}"))?.to_owned();
        let first = scram::First::new(&user)?;
        let message = scram::base64(first.message().as_bytes());
        let challenge = session
            .ask("", &format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{message}</auth>"))
            .await?;
        let last = target.prove(&first, &content(&challenge, "<challenge")?)?;
        let message = scram::base64(last.message.as_bytes());
        let success =
            session.ask("", &format!("<response xmlns='{SASL}'>{message}</response>")).await?;
        last.check(&content(&success, "<success")?)?;
        session
            .ask(&format!("to='{domain}' xmpp:restart='true' xmlns:xmpp='urn:xmpp:xbosh'"), "")
            .await?;
        let bind = "<iq xmlns='jabber:client' type='set' id='b'>\
            <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        let bound = session.ask("", bind).await?;
        ensure!(bound.contains("<jid>"), "no address bound: {bound}");
        let appears = format!(
            "<presence xmlns='jabber:client'/><iq xmlns='jabber:client' type='get' id='settled' \
             to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
        );
        let mut answer = session.ask("", &appears).await?;
        while !answer.contains("settled") {
            answer = session.ask("", "").await?;
        }
        // The request that is held.
        session.send("", "").await?;
        Ok(session)
    }

    async fn ask(&mut self, attributes: &str, content: &str) -> anyhow::Result<String> {
        self.send(attributes, content).await?;
        let head = self.wire.expect("\r\n\r\n").await?.to_ascii_lowercase();
        let length = between(&head, "content-length: ", "\r").context("no content-length")?;
        let body = self.wire.take(length.parse()?).await?;
        ensure!(head.starts_with("http/1.1 200"), "{head}{body}");
        ensure!(!body.contains("terminate"), "the session ends: {body}");
        Ok(body)
    }

    async fn send(&mut self, attributes: &str, content: &str) -> anyhow::Result<()> {
        self.rid += 1;
        let (rid, sid) = (self.rid, &self.sid);
        let sid = if sid.is_empty() { String::new() } else { format!(" sid='{sid}'") };
        let body = format!(
            "<body xmlns='http://jabber.org/protocol/httpbind' rid='{rid}'{sid} {attributes}>\
             {content}</body>"
        );
        let request = format!(
            "POST /http-bind HTTP/1.1\r\nHost: {}\r\nContent-Type: text/xml\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.domain,
            body.len()
        );
        self.wire.send(&request).await
    }
}

/// Logs in the accounts 1 to `count`, each with initial presence and one request that is held.
pub(crate) async fn present(target: &Rc<Target>, count: usize) -> anyhow::Result<Vec<Session>> {
    let permits = Rc::new(Semaphore::new(LOGINS_AT_ONCE));
    let mut logins = JoinSet::new();
    for number in 1..=count {
        let (target, permits) = (Rc::clone(target), Rc::clone(&permits));
        logins.spawn_local(async move {
            let _permit = permits.acquire().await.expect("the semaphore is never closed");
            Session::new(&target, number).await.with_context(|| format!("login of {number}"))
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(login) = logins.join_next().await {
        all.push(login??);
    }
    Ok(all)
}

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
