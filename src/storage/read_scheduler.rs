//! Fair reading of archives: many queries of one account do not delay other accounts.
//!
//! A turn is the right to run one short statement. Each account has one turn at a time, however many of
//! its sessions ask. Accounts that wait are served one after another. A query that needs several
//! statements gives up its turn between them, and goes to the end of the line.
//!
//! Work in the background (retention) comes after all accounts, but gets one turn after each
//! [`TURNS_BEFORE_BACKGROUND`] turns of accounts.

use std::collections::{HashMap, VecDeque};
use std::sync::OnceLock;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::jid::BareJid;
use crate::limit::{Action, BudgetScope, Tally, archive_turns};
use crate::metrics::Metrics;

/// Gives turns: a fixed number at the same time.
#[derive(Debug)]
pub(super) struct ReadScheduler {
    line: Mutex<WaitingLine>,
    measures: OnceLock<Measures>,
}

/// Where waiting is counted.
#[derive(Debug)]
struct Measures {
    tally: Tally,
    metrics: Metrics,
}

/// What asks for a turn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Requester<'a> {
    /// A query of this account.
    Account(&'a BareJid),
    /// Work in the background, which no client waits for.
    Background,
}

/// A turn that lasts until it is dropped or given up.
#[derive(Debug)]
pub(super) struct ReadTurn<'a> {
    turns: &'a ReadScheduler,
    requester: Requester<'a>,
    is_held: bool,
}

#[derive(Debug)]
struct WaitingLine {
    free: usize,
    /// Accounts that wait and have no turn, in the order in which they are served.
    next: VecDeque<BareJid>,
    accounts: HashMap<BareJid, Account>,
    background: VecDeque<oneshot::Sender<()>>,
    /// How many turns accounts have had while the background waits.
    turns_since_background: usize,
    #[cfg(test)]
    given: Vec<Option<BareJid>>,
}

/// An account that has a turn, or waits for one.
#[derive(Debug, Default)]
struct Account {
    has_turn: bool,
    waiting: VecDeque<oneshot::Sender<()>>,
}

/// A place in the line. If it is dropped, a turn that it was just given goes to the next place.
struct Place<'a> {
    turns: &'a ReadScheduler,
    requester: Requester<'a>,
    called: oneshot::Receiver<()>,
    is_served: bool,
}

impl ReadScheduler {
    /// Gives at most `at_once` turns at the same time, and at least one.
    pub(super) fn new(at_once: usize) -> Self {
        let line = WaitingLine {
            free: at_once.max(1),
            next: VecDeque::new(),
            accounts: HashMap::new(),
            background: VecDeque::new(),
            turns_since_background: 0,
            #[cfg(test)]
            given: Vec::new(),
        };
        Self { line: Mutex::new(line), measures: OnceLock::new() }
    }

    /// Counts waiting in these metrics from now on.
    pub(super) fn measure(&self, metrics: &Metrics) {
        let tally = archive_turns(metrics);
        drop(self.measures.set(Measures { tally, metrics: metrics.clone() }));
    }

    /// Waits for a turn.
    pub(super) async fn take<'a>(&'a self, requester: Requester<'a>) -> ReadTurn<'a> {
        let mut turn = ReadTurn { turns: self, requester, is_held: false };
        turn.take().await;
        turn
    }

    async fn wait(
        &self,
        requester: Requester<'_>,
        has_own: bool,
        called: &mut oneshot::Receiver<()>,
    ) -> bool {
        let measures = self.measures.get().filter(|_| matches!(requester, Requester::Account(_)));
        let Some(measures) = measures else { return called.await.is_ok() };
        measures
            .tally
            .count(if has_own { BudgetScope::Account } else { BudgetScope::All }, Action::Delay);
        let begun = Instant::now();
        let is_served = called.await.is_ok();
        measures.metrics.waited_for_turn(begun.elapsed());
        is_served
    }

    /// Which accounts had the turns so far. `None` is the background.
    #[cfg(test)]
    pub(super) fn given(&self) -> Vec<Option<BareJid>> {
        self.line.lock().given.clone()
    }
}

impl ReadTurn<'_> {
    /// Gives the turn to others if they wait, and waits for the next one. Costs next to nothing if nobody
    /// waits.
    pub(super) async fn pass(&mut self) {
        let others_wait = self.turns.line.lock().others_wait(self.requester);
        if others_wait {
            self.give_up();
        }
        self.take().await;
    }

    /// Ends the turn, while the query does something else than read.
    pub(super) fn give_up(&mut self) {
        if std::mem::take(&mut self.is_held) {
            self.turns.line.lock().end(self.requester);
        }
    }

    async fn take(&mut self) {
        if self.is_held {
            return;
        }
        let (has_own, called) = self.turns.line.lock().enter(self.requester);
        let mut place =
            Place { turns: self.turns, requester: self.requester, called, is_served: false };
        // The line calls every place, unless it is dropped together with them.
        place.is_served = match place.called.try_recv() {
            Ok(()) => true,
            Err(_) => self.turns.wait(self.requester, has_own, &mut place.called).await,
        };
        self.is_held = true;
    }
}

impl Drop for ReadTurn<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.called.close();
        if !self.is_served && self.called.try_recv().is_ok() {
            self.turns.line.lock().end(self.requester);
        }
    }
}

impl WaitingLine {
    /// Another query could go on if this turn ended.
    fn others_wait(&self, requester: Requester<'_>) -> bool {
        let sessions_wait = match requester {
            Requester::Account(jid) => {
                self.accounts.get(jid).is_some_and(|a| !a.waiting.is_empty())
            }
            Requester::Background => false,
        };
        sessions_wait || !self.next.is_empty() || !self.background.is_empty()
    }

    /// Enters the line. Returns whether the account has a turn already, and the channel that calls it.
    fn enter(&mut self, requester: Requester<'_>) -> (bool, oneshot::Receiver<()>) {
        let (call, called) = oneshot::channel();
        let mut has_own = false;
        match requester {
            Requester::Background => self.background.push_back(call),
            Requester::Account(jid) => {
                let account = self.accounts.entry(jid.clone()).or_default();
                has_own = account.has_turn;
                account.waiting.push_back(call);
                if !account.has_turn && account.waiting.len() == 1 {
                    self.next.push_back(jid.clone());
                }
            }
        }
        self.give();
        (has_own, called)
    }

    fn end(&mut self, requester: Requester<'_>) {
        self.free += 1;
        if let Requester::Account(jid) = requester
            && let Some(account) = self.accounts.get_mut(jid)
        {
            account.has_turn = false;
            if account.waiting.is_empty() {
                self.accounts.remove(jid);
            } else {
                self.next.push_back(jid.clone());
            }
        }
        self.give();
    }

    fn give(&mut self) {
        while self.free > 0 {
            let is_due =
                self.next.is_empty() || self.turns_since_background >= TURNS_BEFORE_BACKGROUND;
            if is_due && let Some(call) = self.background.pop_front() {
                if call.send(()).is_ok() {
                    self.begin(None);
                }
                continue;
            }
            let Some(jid) = self.next.pop_front() else { return };
            let Some(account) = self.accounts.get_mut(&jid) else { continue };
            // Places that have left the line are skipped.
            while let Some(call) = account.waiting.pop_front() {
                if call.send(()).is_ok() {
                    account.has_turn = true;
                    break;
                }
            }
            if account.has_turn {
                self.begin(Some(&jid));
            } else {
                self.accounts.remove(&jid);
            }
        }
    }

    fn begin(&mut self, requester: Option<&BareJid>) {
        self.free -= 1;
        let waits = requester.is_some() && !self.background.is_empty();
        self.turns_since_background = if waits { self.turns_since_background + 1 } else { 0 };
        #[cfg(test)]
        self.given.push(requester.cloned());
    }
}

/// How many turns accounts have before the background has one.
const TURNS_BEFORE_BACKGROUND: usize = 16;

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::{ReadScheduler, Requester, TURNS_BEFORE_BACKGROUND};
    use crate::jid::BareJid;
    use crate::metrics::Metrics;

    fn user(name: &str) -> BareJid {
        BareJid::from_parts(Some(name), "localhost").unwrap()
    }

    #[tokio::test]
    async fn an_account_with_many_sessions_has_every_second_turn() {
        let turns = ReadScheduler::new(1);
        let (many, one) = (user("many"), user("one"));
        let mut held = turns.take(Requester::Account(&many)).await;
        let mut sessions: Vec<_> =
            (0..20).map(|_| Box::pin(turns.take(Requester::Account(&many)))).collect();
        for session in &mut sessions {
            assert!(session.as_mut().now_or_never().is_none());
        }
        let mut page = pin!(turns.take(Requester::Account(&one)));
        assert!(page.as_mut().now_or_never().is_none());
        let mut pass = pin!(held.pass());
        assert!(pass.as_mut().now_or_never().is_none(), "the others have a turn first");
        // `many` waits at the end of the line since its turn ended, behind `one`.
        drop(page.await);
        let given: Vec<_> = turns.given().into_iter().flatten().collect();
        assert_eq!(given[..3], [many.clone(), one.clone(), many.clone()]);
    }

    #[tokio::test]
    async fn waiting_for_a_turn_is_counted() {
        let (turns, metrics) = (ReadScheduler::new(1), Metrics::new());
        turns.measure(&metrics);
        let (romeo, juliet) = (user("romeo"), user("juliet"));
        let held = turns.take(Requester::Account(&romeo)).await;
        let again = turns.take(Requester::Account(&romeo));
        let other = turns.take(Requester::Account(&juliet));
        let end = async { drop(held) };
        tokio::join!(async { drop(again.await) }, async { drop(other.await) }, end);
        let text = metrics.render();
        let count = |scope| {
            let series = "waxwing_budget_actions_total{budget=\"archives\",scope=\"SCOPE\"";
            let line = format!("{},action=\"delay\"}} 1", series.replace("SCOPE", scope));
            text.lines().any(|l| l == line)
        };
        assert!(count("account") && count("all"), "{text}");
        assert!(text.contains("waxwing_archive_wait_seconds_count 2"), "{text}");
    }

    #[tokio::test]
    async fn an_account_has_one_turn_at_a_time() {
        let turns = ReadScheduler::new(3);
        let (romeo, juliet) = (user("romeo"), user("juliet"));
        let first = turns.take(Requester::Account(&romeo)).await;
        let mut second = Box::pin(turns.take(Requester::Account(&romeo)));
        assert!(second.as_mut().now_or_never().is_none());
        let other = turns.take(Requester::Account(&juliet)).await;
        drop(first);
        drop(second.await);
        drop(other);
        assert!(turns.line.lock().accounts.is_empty(), "nothing is left behind");
        assert_eq!(turns.line.lock().free, 3);
    }

    #[tokio::test]
    async fn a_query_that_leaves_the_line_takes_no_turn_along() {
        let turns = ReadScheduler::new(1);
        let (romeo, juliet) = (user("romeo"), user("juliet"));
        let held = turns.take(Requester::Account(&romeo)).await;
        let mut leaves = Box::pin(turns.take(Requester::Account(&juliet)));
        assert!(leaves.as_mut().now_or_never().is_none());
        let mut called = Box::pin(turns.take(Requester::Account(&romeo)));
        assert!(called.as_mut().now_or_never().is_none());
        drop(leaves);
        drop(held);
        // It was given its turn and never looked.
        drop(called);
        let last = turns.take(Requester::Background).await;
        drop(last);
        assert_eq!(turns.line.lock().free, 1);
        assert!(turns.line.lock().accounts.is_empty());
    }

    async fn read(turns: &ReadScheduler, jid: &BareJid) {
        let mut turn = turns.take(Requester::Account(jid)).await;
        for _ in 0..10 * TURNS_BEFORE_BACKGROUND {
            tokio::task::yield_now().await;
            turn.pass().await;
        }
    }

    #[tokio::test]
    async fn the_background_comes_last_and_comes() {
        let turns = ReadScheduler::new(1);
        let (romeo, juliet) = (user("romeo"), user("juliet"));
        let background = async { drop(turns.take(Requester::Background).await) };
        tokio::join!(read(&turns, &romeo), background, read(&turns, &juliet));
        let before = turns.given().iter().position(Option::is_none).unwrap();
        assert!(
            (TURNS_BEFORE_BACKGROUND..=TURNS_BEFORE_BACKGROUND + 2).contains(&before),
            "{before}"
        );
        assert_eq!(turns.line.lock().free, 1);
    }
}
