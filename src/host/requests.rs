//! Requests that the server itself sends, and waits for the answer to: to a client, to a service, to
//! another server.
//!
//! ```ignore
//! let query = element("query").ns(NS);
//! let Ok((request, answer)) = cx.server.request(from, to, IqKind::Get, query) else { return };
//! cx.outbox.send(request);
//! let work = async move {
//!     if let Ok(result) = answer.within(Duration::from_secs(10)).await {
//!         read(&result);
//!     }
//! };
//! drop(cx.server.tasks.spawn("NAME", work));
//! ```
//!
//! The id of a request cannot be guessed, and only the address that was asked can answer it. Never wait
//! for an answer while handling a stanza: the answer of a client is read by the task that handles its
//! stanzas, so it would wait for itself. Start a task.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use smol_str::SmolStr;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::jid::Jid;
use crate::limit::{Action, Held, Level};
use crate::random::random_id;
use crate::session::SessionRef;
use crate::stanza::{Content, Head, Iq, IqKind, Stanza};
use crate::xml::Frame;

/// The requests that wait for an answer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Requests(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    /// By the address that was asked.
    waiting: Mutex<FxHashMap<Jid, SmallVec<[Waiting; 1]>>>,
    /// How many there may be.
    level: Level,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Waiting {
    id: SmolStr,
    /// Who asks.
    from: Jid,
    /// The session that was asked, if it is one of ours. Another one may have its address later.
    session: Option<SessionRef>,
    reply: oneshot::Sender<Outcome>,
    /// Its part of the budget, if it is not in another one.
    _held: Option<Held>,
}

type Outcome = Result<Iq, RequestError>;

/// The account in whose budget of requests a request is (`budgets.requests`).
#[derive(Clone, Copy, Debug)]
pub enum CountsFor<'a> {
    /// The account that is asked.
    Asked,
    /// The account on whose behalf the server asks.
    Asking(&'a Jid),
    /// None: the request is in a budget of its own kind.
    Nobody,
}

/// The answer to a request, when it comes. Dropping it gives up waiting.
#[derive(Debug)]
#[must_use = "the request is given up at once"]
pub struct Answer {
    requests: Requests,
    to: Jid,
    id: SmolStr,
    outcome: oneshot::Receiver<Outcome>,
}

/// Why a request has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// The answer is an error. This is the stanza as it came: from the address that was asked, or from
    /// our own server if that one cannot be reached.
    #[error("the answer is an error")]
    Refused(Box<Iq>),
    /// The session that was asked has ended.
    #[error("the session that was asked has ended")]
    SessionEnded,
    /// No answer came in time.
    #[error("no answer came in time")]
    Timeout,
    /// Too many requests to this account, or in all, wait for an answer (`budgets.requests`).
    #[error("too many requests wait for an answer")]
    TooMany,
}

impl Requests {
    /// None yet. `level` bounds how many there may be.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self(Arc::new(Parts { waiting: Mutex::default(), level }))
    }

    pub(super) fn begin(
        &self,
        from: Jid,
        to: Jid,
        session: Option<SessionRef>,
        (kind, content): (IqKind, Content),
        counts: CountsFor<'_>,
    ) -> Result<(Stanza, Answer), RequestError> {
        let account = match counts {
            CountsFor::Asked => Some(&to),
            CountsFor::Asking(by) => Some(by),
            CountsFor::Nobody => None,
        };
        let held = account.map(|of| self.0.level.holder(Some(of.bare_str()), None));
        if let Some(Err(scope)) = held.as_ref().map(|held| held.try_add(1)) {
            self.0.level.count(scope, Action::Error);
            return Err(RequestError::TooMany);
        }
        let id = random_id();
        let (reply, outcome) = oneshot::channel();
        let waiting = Waiting { id: id.clone(), from: from.clone(), session, reply, _held: held };
        self.0.waiting.lock().entry(to.clone()).or_default().push(waiting);
        let mut head = Head::between(from, to.clone());
        head.id = Some(id.clone());
        let request = Stanza::Iq(Iq { head, kind, content });
        Ok((request, Answer { requests: self.clone(), to, id, outcome }))
    }

    /// Gives an answer that has come to an address of ours to the request that waits for it. Returns the stanza if there is
    /// no such request, or if the answer comes from an address that was not asked.
    pub fn answered(&self, iq: Iq) -> Option<Iq> {
        let head = &iq.head;
        let (Some(from), Some(to), Some(id)) = (&head.from, &head.to, &head.id) else {
            return Some(iq);
        };
        match self.take(from, |waiting| waiting.id == *id && waiting.from == *to).pop() {
            Some(waiting) => {
                let iq = read_back(iq);
                let is_error = iq.kind == IqKind::Error;
                let outcome =
                    if is_error { Err(RequestError::Refused(Box::new(iq))) } else { Ok(iq) };
                // The task that waited may have given up at this moment.
                drop(waiting.reply.send(outcome));
                None
            }
            None => Some(iq),
        }
    }

    /// Ends the requests to a session that has ended: they have no answer.
    pub fn session_ended(&self, session: &SessionRef) {
        for waiting in self.take(session.jid(), |waiting| waiting.session.as_ref() == Some(session))
        {
            drop(waiting.reply.send(Err(RequestError::SessionEnded)));
        }
    }

    /// How many wait for an answer.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.waiting.lock().values().map(SmallVec::len).sum()
    }

    /// Takes out those to this address for which `which` holds.
    fn take(&self, to: &Jid, which: impl Fn(&Waiting) -> bool) -> SmallVec<[Waiting; 1]> {
        let mut all = self.0.waiting.lock();
        let Some(of_address) = all.get_mut(to) else { return SmallVec::new() };
        let (taken, left) = of_address.drain(..).partition(which);
        *of_address = left;
        if of_address.is_empty() {
            all.remove(to);
        }
        taken
    }
}

impl Answer {
    /// Waits for the result, at most for this time.
    ///
    /// # Errors
    /// [`RequestError`], also if the answer is an error.
    pub async fn within(mut self, time: Duration) -> Result<Iq, RequestError> {
        match timeout(time, &mut self.outcome).await {
            Ok(Ok(outcome)) => outcome,
            // What waits is taken out only to be told, or by our own drop.
            Ok(Err(_)) | Err(_) => Err(RequestError::Timeout),
        }
    }

    /// The same, unless something else happens first: then `None`, and the request is given up.
    ///
    /// # Errors
    /// As [`Answer::within`].
    pub async fn within_unless(
        self,
        time: Duration,
        other: impl Future<Output = ()>,
    ) -> Option<Result<Iq, RequestError>> {
        tokio::select! {
            biased; // an answer that is there counts
            answer = self.within(time) => Some(answer),
            () = other => None,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        drop(self.requests.take(&self.to, |waiting| waiting.id == self.id));
    }
}

/// The payload of a stanza that our own server has made can be read only when it has been written.
fn read_back(iq: Iq) -> Iq {
    if iq.payload().is_some() {
        return iq;
    }
    let written = Stanza::Iq(iq.clone()).to_bytes();
    match Frame::from_bytes(written).map(Stanza::read) {
        Ok(Ok(Stanza::Iq(read))) => read,
        _ => iq,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, CountsFor, RequestError, Requests};
    use crate::config::Config;
    use crate::jid::Jid;
    use crate::limit::{Bounds, Budgets};
    use crate::metrics::Metrics;
    use crate::stanza::{Condition, Iq, IqKind, Stanza, StanzaError};
    use crate::xml::element;

    const SERVER: &str = "montague.lit";
    const ROMEO: &str = "romeo@montague.lit/orchard";

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn requests() -> Requests {
        let config = Config::default_for("montague.lit", "/nowhere".into());
        let level = Budgets::new(&config, &Metrics::new()).requests;
        level.set(Bounds { account: Some(2), address: None, all: Some(3) });
        Requests::new(level)
    }

    fn ask(requests: &Requests, to: &str) -> Result<(Iq, Answer), RequestError> {
        let payload = element("query").ns("jabber:iq:version");
        let (request, answer) = requests.begin(
            jid(SERVER),
            jid(to),
            None,
            (IqKind::Get, payload.into()),
            CountsFor::Asked,
        )?;
        let Stanza::Iq(iq) = request else { unreachable!("a request is an iq") };
        Ok((iq, answer))
    }

    /// What `from` answers to a request.
    fn answer(request: &Iq, from: &str) -> Iq {
        let mut iq = request.result(None);
        iq.head.from = Some(jid(from));
        iq
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_address_that_was_asked_can_answer_and_once() {
        let requests = requests();
        let (request, waiting) = ask(&requests, ROMEO).unwrap();
        assert_eq!(request.head.id.as_ref().map(|id| id.len()), Some(22));
        for other in
            ["romeo@montague.lit", "romeo@montague.lit/other", "tybalt@capulet.lit/street", SERVER]
        {
            assert!(requests.answered(answer(&request, other)).is_some(), "{other}");
        }
        let mut wrong = answer(&request, ROMEO);
        wrong.head.id = Some("guessed".into());
        assert!(requests.answered(wrong).is_some());
        let mut wrong = answer(&request, ROMEO);
        wrong.head.to = Some(jid("capulet.lit"));
        assert!(requests.answered(wrong).is_some());
        assert!(requests.answered(answer(&request, ROMEO)).is_none());
        assert!(requests.answered(answer(&request, ROMEO)).is_some(), "a second answer");
        assert_eq!(waiting.within(Duration::from_secs(1)).await.unwrap().kind, IqKind::Result);
        assert_eq!(requests.count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_passed_on_as_it_came() {
        let requests = requests();
        let (request, waiting) = ask(&requests, ROMEO).unwrap();
        let error = StanzaError::from(Condition::Forbidden);
        let Some(Stanza::Iq(error)) = error.answer(&Stanza::Iq(request)) else {
            unreachable!("a request is answered with an iq")
        };
        assert!(requests.answered(error).is_none());
        let refused = waiting.within(Duration::from_secs(1)).await;
        let Err(RequestError::Refused(iq)) = refused else { unreachable!("{refused:?}") };
        assert!(Stanza::Iq(*iq).to_xml().contains("<forbidden "));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_the_deadline_and_the_answer_is_too_late() {
        let requests = requests();
        let (request, waiting) = ask(&requests, ROMEO).unwrap();
        let begin = tokio::time::Instant::now();
        let outcome = waiting.within(Duration::from_secs(30)).await;
        assert!(matches!(outcome, Err(RequestError::Timeout)), "{outcome:?}");
        assert_eq!(begin.elapsed().as_secs(), 30);
        assert_eq!(requests.count(), 0);
        assert!(requests.answered(answer(&request, ROMEO)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn their_number_is_bounded_for_an_account_and_in_all() {
        let requests = requests();
        let to = |resource: &str| format!("romeo@montague.lit/{resource}");
        let first = ask(&requests, &to("a")).unwrap();
        let second = ask(&requests, &to("b")).unwrap();
        assert!(matches!(ask(&requests, &to("c")), Err(RequestError::TooMany)));
        let other = ask(&requests, "juliet@capulet.lit/balcony").unwrap();
        assert!(matches!(ask(&requests, "nurse@capulet.lit/house"), Err(RequestError::TooMany)));
        // An answer, and giving up, make room.
        assert!(requests.answered(answer(&first.0, &to("a"))).is_none());
        let third = ask(&requests, &to("c")).unwrap();
        drop(other);
        let fourth = ask(&requests, "nurse@capulet.lit/house").unwrap();
        assert_eq!(requests.count(), 3);
        drop((first, second, third, fourth));
        assert_eq!(requests.count(), 0);
    }
}
