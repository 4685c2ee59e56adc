//! Statements with many rows of parameters. They are prepared for a few numbers of rows, because a
//! statement costs more than a row.

use smallvec::SmallVec;

use super::transaction::Transaction;
use super::{Statement, parameter};
use crate::storage::Result;

/// One statement for several numbers of rows, the most first.
pub(in crate::storage) struct MultiRow(Vec<(usize, String)>);

impl MultiRow {
    /// The statement is `before`, then rows of `columns` parameters each, then `after`.
    pub(in crate::storage) fn new(before: &str, columns: usize, after: &str) -> Self {
        let row = |n: usize| {
            let parameters: Vec<_> = (1..=columns).map(|c| parameter(n * columns + c)).collect();
            format!("({})", parameters.join(", "))
        };
        let sized = |rows: usize| {
            (rows, format!("{before}{}{after}", (0..rows).map(row).collect::<Vec<_>>().join(", ")))
        };
        Self(SIZES.map(sized).into())
    }

    /// Cuts `rows` into pieces for which there is a statement. `bind` adds the parameters of one row.
    pub(in crate::storage) fn pieces<T>(
        &'static self,
        rows: &[T],
        bind: impl Fn(Statement, &T) -> Statement,
    ) -> impl Iterator<Item = Statement> {
        self.cut(rows).map(move |(text, rows)| rows.iter().fold(sqlx::query(text), &bind))
    }

    fn cut<'a, T>(
        &'static self,
        mut rows: &'a [T],
    ) -> impl Iterator<Item = (&'static str, &'a [T])> {
        let mut size = 0;
        std::iter::from_fn(move || {
            while !rows.is_empty() {
                let (count, text) = &self.0[size];
                let Some((now, later)) = rows.split_at_checked(*count) else {
                    size += 1;
                    continue;
                };
                rows = later;
                return Some((text.as_str(), now));
            }
            None
        })
    }

    /// Its texts, for tests.
    #[cfg(test)]
    pub(in crate::storage) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(_, text)| text.clone())
    }

    /// Executes it for all rows: statements of many rows at once, the others together with what else is
    /// queued.
    pub(in crate::storage) async fn execute<T: Sync>(
        &'static self,
        on: &mut Transaction<'_>,
        rows: &[T],
        bind: impl Fn(Statement, &T) -> Statement + Send,
    ) -> Result<()> {
        let (many, few): (SmallVec<[_; 8]>, SmallVec<[_; 8]>) =
            self.cut(rows).partition(|(_, rows)| rows.len() > FEW);
        for (text, rows) in many {
            let statement = rows.iter().fold(sqlx::query(text), &bind);
            statement.execute(on.connection().await?).await?;
        }
        on.make_room(few.len()).await?;
        for (text, rows) in few {
            on.queue(text, |statement| rows.iter().fold(statement, &bind));
        }
        Ok(())
    }
}

/// Rows of a statement that is sent together with others, at most.
const FEW: usize = 4;
/// Rows of one statement. The last is 1, so that every number of rows is a sum of these.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];
