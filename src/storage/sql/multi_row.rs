//! Statements of many rows, prepared for a few sizes: a statement costs more than a row.

use super::{Connection, Db};
use crate::storage::Result;

/// A statement with parameters.
pub(in crate::storage) type Statement =
    sqlx::query::Query<'static, Db, <Db as sqlx::Database>::Arguments>;

/// One statement in several sizes, largest first.
pub(in crate::storage) struct MultiRow(Vec<(usize, String)>);

impl MultiRow {
    /// `before`, a list of rows of `columns` parameters each, `after`.
    pub(in crate::storage) fn new(before: &str, columns: usize, after: &str) -> Self {
        let sized = |rows: usize| {
            // Parameters without a name: to look up names costs the square of their number.
            let row = format!("({})", vec!["?"; columns].join(", "));
            (rows, format!("{before}{}{after}", vec![row; rows].join(", ")))
        };
        Self(SIZES.map(sized).into())
    }

    /// Cuts `rows` into pieces for which there is a statement.
    pub(in crate::storage) fn pieces<T>(
        &'static self,
        mut rows: &[T],
        bind: impl Fn(Statement, &T) -> Statement,
    ) -> impl Iterator<Item = Statement> {
        let mut size = 0;
        std::iter::from_fn(move || {
            while !rows.is_empty() {
                let (count, text) = &self.0[size];
                let Some((now, later)) = rows.split_at_checked(*count) else {
                    size += 1;
                    continue;
                };
                rows = later;
                return Some(now.iter().fold(sqlx::query(text.as_str()), &bind));
            }
            None
        })
    }

    /// In all of its sizes.
    #[cfg(test)]
    pub(in crate::storage) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(_, text)| text.clone())
    }

    /// Executes it for all rows.
    pub(in crate::storage) async fn execute<T: Sync>(
        &'static self,
        on: &mut Connection,
        rows: &[T],
        bind: impl Fn(Statement, &T) -> Statement + Send,
    ) -> Result<()> {
        for statement in self.pieces(rows, bind) {
            statement.execute(&mut *on).await?;
        }
        Ok(())
    }
}

/// Rows of one statement. The last is 1, so that every number can be made of them.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];
