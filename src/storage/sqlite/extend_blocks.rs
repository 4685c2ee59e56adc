//! Counts the rows of an archive that are in no block yet, for a query that needs their counts.

use super::block_counts::{self, SaveBlocks};
use super::database::Database;
use crate::storage::Result;
use crate::storage::read_scheduler::ReadTurn;

/// Counts blocks after the id `end`, up to which there are blocks, and stores them. Returns up to which id
/// there are blocks then. If they cannot be stored, this is logged, and the query can be answered without
/// them.
pub(super) async fn extend_blocks(
    database: &Database,
    turn: &mut ReadTurn<'_>,
    owner: i64,
    mut end: i64,
) -> Result<i64> {
    loop {
        let (after, mut blocks) = (end, Vec::new());
        while blocks.len() < BLOCKS_OF_A_CHANGE {
            let counted =
                block_counts::count_next(&mut *database.reader().await?, owner, end).await?;
            let Some(block) = counted else { break };
            end = block.last;
            blocks.push(block);
            turn.pass().await;
        }
        if blocks.is_empty() {
            return Ok(after);
        }
        let is_all = blocks.len() < BLOCKS_OF_A_CHANGE;
        // This account reads nothing while it waits for the writer.
        turn.give_up();
        if let Err(error) = database.writer.write(SaveBlocks { owner, after, blocks }).await {
            tracing::debug!(%error, "blocks of an archive were not kept");
            return Ok(after);
        }
        turn.pass().await;
        end = block_counts::end(&mut *database.reader().await?, owner).await?;
        if is_all || end <= after {
            return Ok(end);
        }
    }
}

/// Blocks that are handed to the writer together.
const BLOCKS_OF_A_CHANGE: usize = if cfg!(test) { 2 } else { 64 };
