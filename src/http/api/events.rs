//! Follows the archive: `GET /api/v1/events`, server-sent events (WHATWG HTML §9.2).
//!
//! Each event is a message of the archive, with its id there. A program that was away tells the last id that it has, and
//! gets what came since from the archive. So nothing is held for it: while it is slow, the archive waits.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::time::{Instant, sleep_until};

use super::access::{Access, find};
use super::message::to_json;
use super::parameters::Parameters;
use super::problem::Problem;
use super::source::Source;
use crate::host::{ArchiveWatch, ArchiveWatchers, Scope, ServerState};
use crate::jid::Jid;
use crate::limit::{Action, Held};
use crate::storage::{MessageId, Query, Stored};

/// Answers the request: the answer has no end.
pub(super) async fn answer(
    server: &Arc<ServerState>,
    access: Access,
    head: &Parts,
) -> Result<Response, Problem> {
    let asked = Parameters::read(&head.uri, &["with", "room", "last_event_id"])?;
    if !server.config.load().archive.enabled {
        return Err(Problem::ArchiveOff);
    }
    let source = Source::of(server, &access.user, &asked).await?;
    let ids = &server.message_ids;
    let told = head.headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or("?"));
    let last = match told.filter(|told| !told.is_empty()) {
        Some(told) => Some(ids.read(told).ok_or_else(|| {
            Problem::BadRequest("`Last-Event-ID` is no id of a message.".to_owned())
        })?),
        None => asked.id("last_event_id", ids)?,
    };
    let level = &server.budgets.api_streams;
    let held = level.holder(Some(access.user.as_str()), None);
    held.try_add(1).map_err(|scope| {
        level.count(scope, Action::Error);
        Problem::TooMany(AGAIN)
    })?;
    let watch = server.shared::<ArchiveWatchers>().watch(&source.owner);
    let follow = Follow {
        server: Arc::clone(server),
        // What is stored from now on comes as an event.
        last: last.or_else(|| server.storage.archive().horizon()),
        with: asked.jid("with")?,
        source,
        access,
        watch,
        has_begun: false,
        checked: Instant::now(),
        _held: held,
    };
    let events = stream::unfold(follow, |mut follow| async move {
        let events = follow.next().await?;
        Some((Ok::<_, Infallible>(events), follow))
    });
    let head = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // nginx would hold events back.
        (ACCEL_BUFFERING, "no"),
    ];
    Ok((head, Body::from_stream(events)).into_response())
}

/// A program that follows an archive.
struct Follow {
    server: Arc<ServerState>,
    access: Access,
    source: Source,
    watch: ArchiveWatch,
    /// The newest message that it has.
    last: Option<MessageId>,
    /// Only messages with this address.
    with: Option<Jid>,
    has_begun: bool,
    /// When the token was looked at.
    checked: Instant,
    _held: Held,
}

impl Follow {
    /// What is to be written next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.has_begun {
            self.has_begun = true;
            // With the id a program that loses the stream before the first event misses nothing, either.
            let ids = &self.server.message_ids;
            let id = self.last.map_or(String::new(), |last| format!("id: {}\n", ids.write(last)));
            let retry = RETRY.as_millis();
            return Some(Bytes::from(format!("retry: {retry}\n{id}: welcome\n\n")));
        }
        let stopping = self.server.tasks.stopping();
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            let changed = Arc::clone(self.watch.changed());
            let mut changed = Box::pin(changed.notified());
            // From now on no message is missed.
            changed.as_mut().enable();
            match self.read().await {
                Ok(events) if !events.is_empty() => {
                    return self.is_still_allowed().await.then(|| events.into());
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot follow an archive: the stream of events ends");
                    return None;
                }
            }
            tokio::select! {
                () = changed => {}
                () = stopping.cancelled() => return None,
                () = sleep_until(heartbeat) => {
                    return self.is_still_allowed().await.then(|| Bytes::from_static(b": still here\n\n"));
                }
            }
        }
    }

    /// The events of messages that are newer than the last one.
    async fn read(&mut self) -> crate::storage::Result<String> {
        let archive = self.server.storage.archive();
        // With several nodes, messages above it may still get older neighbours.
        let horizon = archive.horizon();
        let query = Query {
            with: self.with.clone(),
            start: self.source.since,
            above: self.last,
            max: PAGE,
            ..Query::default()
        };
        let page = archive.page(&self.source.owner, &query).await?.unwrap_or_default();
        let rows: Vec<_> = page.rows.iter().filter(|row| Some(row.id) <= horizon).collect();
        if let Some(newest) = rows.last() {
            self.last = Some(newest.id);
        }
        self.pace(rows.len()).await;
        Ok(rows.into_iter().map(|row| self.event(row)).collect())
    }

    /// Clients that read a lot are slowed down; messages that come meanwhile stay in the archive.
    async fn pace(&self, count: usize) {
        let steps = u32::try_from(count).unwrap_or(u32::MAX);
        let pause = self.access.budget.worked(steps).and_then(|pause| pause.time());
        if let Some(time) = pause {
            tokio::time::sleep(time).await;
        }
    }

    fn event(&self, row: &Stored) -> String {
        let ids = &self.server.message_ids;
        // JSON has no line ends outside of escapes.
        format!(
            "id: {}\nevent: message\ndata: {}\n\n",
            ids.write(row.id),
            to_json(row, ids, self.source.is_room)
        )
    }

    /// Whether the token is still valid, and the archive may still be read. It is looked at once in [`HEARTBEAT`], however many events there are.
    async fn is_still_allowed(&mut self) -> bool {
        let now = Instant::now();
        if now < self.checked + HEARTBEAT {
            return true;
        }
        self.checked = now;
        self.is_allowed().await
    }

    async fn is_allowed(&self) -> bool {
        match find(&self.server, self.access.hash).await {
            Ok(Some((_, token))) => {
                Scope::Read.is_in(&token)
                    && self.source.is_open(&self.server, &self.access.user).await
            }
            Ok(None) => false,
            // The store fails: nobody is locked out for that.
            Err(_) => true,
        }
    }
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Proxies cut connections that are silent for a minute. Then, too, the token is looked at again.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client waits after a lost connection.
const RETRY: Duration = Duration::from_secs(3);
/// How long a client waits if there are too many streams.
const AGAIN: Duration = Duration::from_secs(30);
/// Messages that are read at once.
const PAGE: usize = 50;
