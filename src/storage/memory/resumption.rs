//! Sessions in memory: they do not outlive the server.

use async_trait::async_trait;

use super::storage::MemoryStorage;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;
use crate::storage::{
    Handled, Receipt, Result, Resumable, ResumptionStore, SavedSession, SessionNumber, StorageError,
};

#[async_trait]
impl ResumptionStore for MemoryStorage {
    async fn begin(
        &self,
        owner: &BareJid,
        resource: &str,
        key: &str,
    ) -> Result<(SessionNumber, Receipt)> {
        let mut state = self.state()?;
        state.last_session += 1;
        let number = SessionNumber::new(self.node, state.last_session);
        if state.sessions.values().any(|s| s.key == key) {
            let error = StorageError::Database("a session has this key".into());
            return Ok((number, Receipt::settled(Err(error))));
        }
        state.owner(owner);
        let session = Resumable {
            number,
            owner: owner.clone(),
            resource: resource.into(),
            key: key.into(),
            handled: 0,
            ended: None,
            state: None,
        };
        state.sessions.insert(number, session);
        Ok((number, Receipt::settled(Ok(()))))
    }

    async fn handled(&self, handled: Handled) -> Result<Receipt> {
        if let Some(session) = self.state()?.sessions.get_mut(&handled.session)
            && handled.is_ahead(session.handled)
        {
            session.handled = handled.count;
        }
        Ok(Receipt::settled(Ok(())))
    }

    async fn save(&self, sessions: Vec<SavedSession>) -> Result<()> {
        let mut state = self.state()?;
        for saved in sessions {
            if let Some(session) = state.sessions.get_mut(&saved.number) {
                session.handled = saved.handled;
                session.state = Some(saved.state);
                session.ended = None;
            }
        }
        Ok(())
    }

    async fn find(&self, key: &str) -> Result<Option<Resumable>> {
        Ok(self.state()?.sessions.values().find(|s| s.key == key).cloned())
    }

    async fn all(&self) -> Result<Vec<Resumable>> {
        let state = self.state()?;
        let sessions = state.sessions.values().filter(|s| s.ended.is_none());
        Ok(sessions.filter(|s| s.number.is_of(self.node)).cloned().collect())
    }

    async fn begin_anew(&self, at: Timestamp) -> Result<()> {
        let mut state = self.state()?;
        let sessions = state.sessions.values_mut().filter(|s| s.ended.is_none());
        for session in sessions.filter(|s| s.number.is_of(self.node)) {
            session.ended = session.state.is_none().then_some(at);
            session.state = None;
        }
        Ok(())
    }

    async fn end(&self, session: SessionNumber, at: Timestamp) -> Result<()> {
        if let Some(session) = self.state()?.sessions.get_mut(&session) {
            session.ended = Some(at);
            session.state = None;
        }
        Ok(())
    }

    async fn end_all(&self, owner: &BareJid, at: Timestamp) -> Result<u64> {
        let mut ended = 0;
        for session in self.state()?.sessions.values_mut() {
            if session.owner == *owner && session.ended.is_none() {
                ended += u64::from(session.state.is_some());
                session.ended = Some(at);
                session.state = None;
            }
        }
        Ok(ended)
    }

    async fn expire(&self, before: Timestamp) -> Result<u64> {
        let mut state = self.state()?;
        let all = state.sessions.len();
        state.sessions.retain(|_, session| session.ended.is_none_or(|ended| ended >= before));
        Ok((all - state.sessions.len()) as u64)
    }
}
