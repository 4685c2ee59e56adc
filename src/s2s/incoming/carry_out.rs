//! Carries out what the machine of an incoming stream says.

use std::time::Duration;

use tokio::time::Instant;

use super::action::{Action, Actions};
use super::serve::{Ended, Stream};
use crate::s2s::limits;
use crate::s2s::managed::Step;
use crate::s2s::on_its_way::OnItsWay;

impl Stream {
    /// Carries out these actions, in their order.
    ///
    /// # Errors
    /// How the stream ends.
    pub(super) async fn carry_out(&mut self, actions: Actions) -> Result<(), Ended> {
        self.flow.note(&self.connection);
        let mut todo: std::collections::VecDeque<_> = actions.into_iter().collect();
        while let Some(action) = todo.pop_front() {
            match action {
                Action::Open(header) => {
                    self.connection.open(&header);
                    self.keep_silent();
                }
                Action::Send(node) => self.flow.answer(&mut self.connection, &node),
                Action::Restart => self.restart(),
                Action::Secure => todo.extend(self.secure().await?),
                Action::Verify(question) => self.verify(question),
                Action::Refused(pair, why) => {
                    let pair = pair.as_ref().or(self.machine.claimed());
                    let (from, to) =
                        (pair.map(|pair| &*pair.remote), pair.map(|pair| &*pair.local));
                    tracing::info!(from, to, peer = %self.connection.peer, why, "another server is not believed");
                }
                Action::Proven(pair, proof) => {
                    let metrics = &self.servers.server().metrics;
                    metrics.server_streams.inc(["in", proof.word()]);
                    tracing::info!(
                        from = %pair.remote, to = %pair.local, proof = proof.word(),
                        peer = %self.connection.peer, "a stream of another server is open"
                    );
                    self.servers.remotes.forget(&pair);
                    let budgets = &self.servers.server().budgets;
                    self.flow.set_share(|| budgets.remote_traffic.share(Some(&pair.remote), None));
                    self.connection.set_limits(limits::of_servers(&self.config));
                    if self.machine.is_bidirectional() && self.sending.is_none() {
                        let link = self.servers.adopt(&pair, self.connection.peer);
                        self.sending = link.map(|link| (link, OnItsWay::default()));
                        self.keep_silent();
                        if self.machine.is_managed()
                            && let Some((_, on_its_way)) = &mut self.sending
                        {
                            on_its_way.count_from_now(&self.connection);
                        }
                    }
                }
                Action::Manage(Step::Resume(id)) => {
                    self.resume(&id).await;
                    self.keep_silent();
                }
                Action::Manage(step) => self.manage(step).map_err(Some)?,
                Action::Stanza(domain, frame) => {
                    self.silent_until = None;
                    let lang = self.connection.input.lang();
                    self.lanes.read(domain, frame, lang).await.map_err(Some)?;
                }
                Action::Close(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives the peer time to say whether it acknowledges what we send on its stream: from when it can know that it may.
    fn keep_silent(&mut self) {
        if self.sending.is_some() {
            self.silent_until = Some(Instant::now() + SILENCE);
        }
    }
}

/// For what a peer says after it is proven, and after the features that follow. One that acknowledges says so at once.
const SILENCE: Duration = Duration::from_millis(500);
