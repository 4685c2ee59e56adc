//! A transaction that sends its statements together.
//!
//! The connection has a thread of its own. To wait for a statement costs several changes of threads,
//! which is more than most statements need themselves. So statements whose results nobody needs are
//! queued. They are sent as one script, before the next statement whose result is needed, or with COMMIT.
//!
//! Only SQLite takes several statements with parameters at once: for PostgreSQL, a transaction will send each
//! statement of the queue by itself.

use futures_util::TryStreamExt as _;
use sqlx::{Execute as _, Executor as _};

use super::{Connection, Db, Statement};
use crate::storage::Result;

/// A transaction that writes.
pub(in crate::storage) struct Transaction<'a> {
    connection: &'a mut Connection,
    /// The queued statements.
    script: Script,
    has_begun: bool,
}

/// How many statements go together at most.
const TOGETHER: usize = 8;

impl<'a> Transaction<'a> {
    /// A transaction that begins with its first statement. `begin` is the statement that begins it.
    pub(in crate::storage) fn new(connection: &'a mut Connection, begin: &str) -> Self {
        let mut script = Script::default();
        script.push(begin, |statement| statement);
        Self { connection, script, has_begun: false }
    }

    /// A transaction that has begun on this connection.
    pub(in crate::storage) fn begun(connection: &'a mut Connection) -> Self {
        Self { connection, script: Script::default(), has_begun: true }
    }

    /// The connection, for a statement whose result is needed. Sends what is queued.
    ///
    /// # Errors
    /// If BEGIN or one of the queued statements fails.
    pub(in crate::storage) async fn connection(&mut self) -> Result<&mut Connection> {
        self.send().await?;
        Ok(self.connection)
    }

    /// Queues a statement whose result nobody needs. Its parameters are `$1`, `$2` …, in this order, each once; or
    /// they are written by [`parameter`](super::parameter).
    pub(super) fn queue(&mut self, text: &str, bind: impl FnOnce(Statement) -> Statement) {
        self.script.push(text, bind);
    }

    /// Called before so many statements of one kind are queued. Sends what is queued if the script would
    /// become too long. A script is prepared once and found by its text, so scripts are cut between kinds
    /// only: otherwise there would be too many different texts.
    ///
    /// # Errors
    /// As [`Transaction::connection`].
    pub(super) async fn make_room(&mut self, statements: usize) -> Result<()> {
        if self.script.statements + statements > TOGETHER { self.send().await } else { Ok(()) }
    }

    /// Sends what is queued, and COMMIT. The inner result is that of COMMIT.
    ///
    /// # Errors
    /// As [`Transaction::connection`].
    pub(in crate::storage) async fn commit(&mut self) -> Result<Result<()>> {
        if !self.has_begun && self.script.statements == 1 {
            return Ok(Ok(())); // There is nothing to write.
        }
        self.make_room(1).await?;
        self.script.push("COMMIT", |statement| statement);
        let before = self.script.statements - 1;
        match self.send_script().await {
            Ok(()) => Ok(Ok(())),
            Err(failed) if failed.done == before => Ok(Err(failed.error.into())),
            Err(failed) => Err(failed.error.into()),
        }
    }

    /// Whether BEGIN was carried out. It was not if another process has the database.
    pub(in crate::storage) fn has_begun(&self) -> bool {
        self.has_begun
    }

    async fn send(&mut self) -> Result<()> {
        self.send_script().await.map_err(|failed| failed.error.into())
    }

    async fn send_script(&mut self) -> std::result::Result<(), ScriptError> {
        let sent = std::mem::take(&mut self.script).send(self.connection).await;
        self.has_begun |= sent.as_ref().err().is_none_or(|failed| failed.done > 0);
        sent
    }
}

/// Statements in order.
#[derive(Default)]
struct Script {
    text: String,
    /// Has the parameters of all statements, and no text.
    parameters: Option<Statement>,
    statements: usize,
}

/// Where a script failed.
#[derive(Debug)]
struct ScriptError {
    /// How many statements were carried out.
    done: usize,
    error: sqlx::Error,
}

impl Script {
    fn push(&mut self, text: &str, bind: impl FnOnce(Statement) -> Statement) {
        if self.statements > 0 {
            self.text.push_str("; ");
        }
        self.push_text(text);
        self.parameters = Some(bind(self.parameters.take().unwrap_or_else(|| sqlx::query(""))));
        self.statements += 1;
    }

    /// The parameters of all statements are numbered together, so those of one lose their numbers: `$1` becomes `?`.
    fn push_text(&mut self, text: &str) {
        let mut parts = text.split('$');
        self.text.push_str(parts.next().unwrap_or_default());
        for (before, part) in parts.enumerate() {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            debug_assert_eq!(part[..part.len() - rest.len()].parse(), Ok(before + 1), "{text}");
            self.text.push('?');
            self.text.push_str(rest);
        }
    }

    /// Waits until all of it is carried out, or one statement has failed.
    async fn send(self, on: &mut Connection) -> std::result::Result<(), ScriptError> {
        let mut done = 0;
        let Some(mut parameters) = self.parameters else { return Ok(()) };
        let parameters = match parameters.take_arguments() {
            Ok(parameters) => parameters.unwrap_or_default(),
            Err(error) => return Err(ScriptError { done, error: sqlx::Error::Encode(error) }),
        };
        // The text consists of constants. SQLite takes several statements with parameters at once.
        let script = sqlx::query_with::<Db, _>(sqlx::AssertSqlSafe(self.text), parameters);
        let mut outcomes = on.execute_many(script);
        loop {
            match outcomes.try_next().await {
                Ok(Some(_)) => done += 1,
                Ok(None) => return Ok(()),
                Err(error) => return Err(ScriptError { done, error }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    async fn connect() -> Connection {
        let mut on = Connection::connect("sqlite::memory:").await.unwrap();
        sqlx::query("CREATE TABLE t (n INTEGER PRIMARY KEY)").execute(&mut on).await.unwrap();
        on
    }

    async fn rows(on: &mut Connection) -> Vec<i64> {
        let rows = sqlx::query_as::<_, (i64,)>("SELECT n FROM t ORDER BY n");
        rows.fetch_all(on).await.unwrap().into_iter().map(|(n,)| n).collect()
    }

    #[tokio::test]
    async fn queued_statements_are_done_in_order_and_before_a_question() {
        let mut on = connect().await;
        let mut all = Transaction::new(&mut on, "BEGIN");
        all.queue("INSERT INTO t VALUES ($1), ($2)", |q| q.bind(1).bind(2));
        all.queue("UPDATE t SET n = n + $1 WHERE n = $2", |q| q.bind(10).bind(2));
        assert!(!all.has_begun());
        assert_eq!(rows(all.connection().await.unwrap()).await, [1, 12]);
        assert!(all.has_begun());
        for n in 20..20 + 2 * TOGETHER {
            all.make_room(1).await.unwrap();
            all.queue("INSERT INTO t VALUES ($1)", |q| q.bind(n as i64));
        }
        all.commit().await.unwrap().unwrap();
        sqlx::query("BEGIN").execute(&mut on).await.unwrap();
        assert_eq!(rows(&mut on).await.len(), 2 + 2 * TOGETHER);
    }

    #[tokio::test]
    async fn a_statement_that_fails_ends_the_script_and_is_no_failed_commit() {
        let mut on = connect().await;
        let mut all = Transaction::new(&mut on, "BEGIN");
        all.queue("INSERT INTO t VALUES ($1)", |q| q.bind(1));
        all.queue("INSERT INTO t VALUES ($1)", |q| q.bind(1));
        all.queue("INSERT INTO t VALUES ($1)", |q| q.bind(2));
        assert!(all.commit().await.is_err());
        assert!(all.has_begun());
        assert_eq!(rows(&mut on).await, [1]);
    }

    #[tokio::test]
    async fn a_transaction_that_cannot_begin_has_not_begun() {
        const BEGIN: &str = "BEGIN EXCLUSIVE";
        let dir = tempfile::tempdir().unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(dir.path().join("t.sqlite"))
            .create_if_missing(true)
            .busy_timeout(std::time::Duration::ZERO);
        let mut other = Connection::connect_with(&options).await.unwrap();
        sqlx::query("CREATE TABLE t (n INTEGER PRIMARY KEY)").execute(&mut other).await.unwrap();
        let mut on = Connection::connect_with(&options).await.unwrap();
        sqlx::query(BEGIN).execute(&mut other).await.unwrap();
        let mut all = Transaction::new(&mut on, BEGIN);
        all.queue("INSERT INTO t VALUES ($1)", |q| q.bind(1));
        assert!(all.commit().await.is_err());
        assert!(!all.has_begun());
        other.close().await.unwrap();
        let mut all = Transaction::new(&mut on, BEGIN);
        assert!(all.commit().await.unwrap().is_ok(), "there is nothing to write");
        assert!(!all.has_begun());
        assert!(rows(&mut on).await.is_empty());
    }
}
