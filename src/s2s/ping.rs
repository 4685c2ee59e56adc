//! Whether the other server is still there: after a while without anything from it, it is asked (XEP-0199, or for an
//! acknowledgement of XEP-0198). Otherwise only the next message would show that a stream is dead.

use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use super::pair::Pair;
use crate::jid::Jid;
use crate::ns;
use crate::random::random_id;
use crate::stanza::{Content, Head, Iq, IqKind, Stanza};
use crate::xml::{Frame, element};

/// Asks on one stream.
pub(super) struct Ping {
    /// After how much silence it is asked.
    every: Duration,
    /// How long we wait for the answer.
    patience: Duration,
    heard: Instant,
    /// When it was asked, and the id of the request if it was one.
    asked: Option<(Instant, Option<SmolStr>)>,
}

impl Ping {
    pub(super) fn new(every: Duration, patience: Duration) -> Self {
        Self { every, patience, heard: Instant::now(), asked: None }
    }

    /// Notes that something has come, so the other server is there.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
        if let Some((asked, _)) = &mut self.asked {
            *asked = self.heard;
        }
    }

    /// Whether it is to be asked.
    pub(super) fn is_due(&self) -> bool {
        self.is_silent() && !self.is_waiting()
    }

    /// Notes that it was asked, by a request with this id if there is one.
    pub(super) fn asked(&mut self, id: Option<SmolStr>) {
        self.asked = Some((Instant::now(), id));
    }

    /// Whether nothing has come since it was asked.
    fn is_waiting(&self) -> bool {
        self.asked.as_ref().is_some_and(|(asked, _)| *asked > self.heard)
    }

    fn is_silent(&self) -> bool {
        self.heard + self.every <= Instant::now()
    }

    /// Whether it has not answered in time.
    pub(super) fn is_lost(&self) -> bool {
        let asked = self.asked.as_ref().filter(|_| self.is_waiting());
        asked.is_some_and(|(asked, _)| *asked + self.patience <= Instant::now())
    }

    /// When to look again.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        match &self.asked {
            Some((asked, _)) if self.is_waiting() => Some(*asked + self.patience),
            // One that cannot be asked on this stream is looked at again later.
            _ if self.is_silent() => Some(Instant::now() + self.every),
            _ => Some(self.heard + self.every),
        }
    }

    /// Whether this answers the request.
    pub(super) fn is_answer(&self, stanza: &Frame) -> bool {
        let root = stanza.root();
        let asked = self.asked.as_ref().and_then(|(_, id)| id.as_deref());
        root.name() == "iq"
            && asked.is_some_and(|id| root.attr("id").as_deref() == Some(id))
            && root.attr("type").is_some_and(|kind| kind == "result" || kind == "error")
    }

    /// A request from our domain of the pair to the other one, and its id (XEP-0199 §4.3).
    pub(super) fn request(pair: &Pair) -> Option<(SmolStr, Stanza)> {
        let (from, to) = (Jid::domain_only(&pair.local).ok()?, pair.remote_jid()?);
        let id: SmolStr = random_id();
        let head = Head { id: Some(id.clone()), ..Head::between(from, to) };
        let content = Content::from(element("ping").ns(ns::PING));
        Some((id, Stanza::Iq(Iq { head, kind: IqKind::Get, content })))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::xml::{Limits, Scope};

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_is_asked_and_given_up() {
        let mut ping = Ping::new(5 * MINUTE, MINUTE);
        advance(4 * MINUTE).await;
        assert!(!ping.is_due());
        ping.heard();
        assert_eq!(ping.wakes_at(), Some(Instant::now() + 5 * MINUTE));
        advance(5 * MINUTE).await;
        assert!(ping.is_due() && !ping.is_lost());
        let pair = Pair { local: "a.example".into(), remote: "c.example".into() };
        let (id, _) = Ping::request(&pair).unwrap();
        ping.asked(Some(id.clone()));
        assert!(!ping.is_due());
        assert_eq!(ping.wakes_at(), Some(Instant::now() + MINUTE));
        let frame = |kind: &str, id: &str| {
            let text = format!("<iq xmlns='jabber:client' type='{kind}' id='{id}'/>");
            let limits = Limits { bytes: 1000, depth: 9, attributes: 9, nodes: 9 };
            Frame::parse(text.into(), &Scope::none(), &limits).unwrap()
        };
        assert!(ping.is_answer(&frame("result", &id)) && ping.is_answer(&frame("error", &id)));
        assert!(!ping.is_answer(&frame("get", &id)) && !ping.is_answer(&frame("result", "x")));
        advance(MINUTE / 2).await;
        ping.heard();
        advance(MINUTE).await;
        assert!(!ping.is_lost(), "it has said something");
        advance(4 * MINUTE).await;
        assert!(ping.is_due());
        ping.asked(None);
        advance(MINUTE).await;
        assert!(ping.is_lost());
    }
}
