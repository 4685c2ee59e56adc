//! Replaces the stanza of a message, for all who hold it.

use async_trait::async_trait;
use bytes::Bytes;

use super::change::Change;
use super::write_tx::WriteTx;
use crate::storage::Result;

/// The new stanza of a message. Answers whether there is such a message.
pub(super) struct ReplaceMessage {
    pub(super) id: i64,
    pub(super) xml: Bytes,
}

#[async_trait]
impl Change for ReplaceMessage {
    type Answer = bool;

    async fn apply(&self, on: &mut WriteTx<'_>) -> Result<bool> {
        let connection = on.tx.connection().await?;
        let done = sqlx::query(REPLACE)
            .bind(self.id)
            .bind(&self.xml[..])
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(FORGET_WORDS).bind(self.id).execute(connection).await?;
        Ok(true)
    }
}

const REPLACE: &str = "UPDATE message SET xml = $2 WHERE id = $1";
const FORGET_WORDS: &str = "DELETE FROM archive_text WHERE rowid = $1";
