//! Stores messages: the body once, by its id, and a narrow row for each owner that holds it.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use super::admission::{self, Cleared, Owners};
use super::archive_segments;
use super::queued_message::QueuedMessage;
use super::write_tx::WriteTx;
use crate::storage::node;
use crate::storage::sql::multi_row::MultiRow;
use crate::storage::sql::setting;
use crate::storage::sql::undelivered::{self, Marker};
use crate::storage::{Result, Way};

/// The rows of a batch, table by table.
#[derive(Default)]
struct Rows<'a> {
    bodies: Vec<(i64, i64, &'a [u8], i64)>,
    /// Owner, id, the other side, way, bytes.
    archive: Vec<(i64, i64, &'a str, i64, i64)>,
    markers: Vec<Marker<'a>>,
    lag: i64,
}

/// Stores messages, however many, with a few statements.
pub(super) async fn insert_all(
    on: &mut WriteTx<'_>,
    all: &mut [&mut QueuedMessage],
    cleared: &Cleared<'_>,
) -> Result<()> {
    let owners = admission::admit(on, all, cleared).await?;
    let mut rows = Rows::default();
    for keep in all.iter() {
        rows.add(keep, &owners);
    }
    rows.insert(on).await?;
    owners.remember(on);
    Ok(())
}

impl<'a> Rows<'a> {
    fn add(&mut self, keep: &'a QueuedMessage, owners: &Owners) {
        let (id, message) = (keep.id.get(), &keep.message);
        if keep.refused.is_some() || message.holders.is_empty() {
            return;
        }
        let (at, bytes) = (message.at.as_micros(), message.xml.len() as i64);
        self.lag = self.lag.max(node::counter(id).saturating_sub(at));
        self.bodies.push((id, at, &message.xml, message.holders.len() as i64));
        for holder in &message.holders {
            let owner = owners.number(&holder.owner);
            if holder.archive {
                let way = i64::from(holder.way == Way::Sent);
                self.archive.push((owner, id, holder.with.as_str(), way, bytes));
            }
            if holder.waiting {
                let (is_only_holder, sender) = (!holder.archive, holder.with.bare_str());
                self.markers.push(Marker { owner, message: id, is_only_holder, sender });
            }
        }
    }

    async fn insert(mut self, on: &mut WriteTx<'_>) -> Result<()> {
        if self.lag > 0 {
            raise_lag(on, self.lag).await?;
        }
        BODIES
            .execute(&mut on.tx, &self.bodies, |q, (id, at, xml, holders)| {
                q.bind(*id).bind(*at).bind(*xml).bind(*holders)
            })
            .await?;
        // In the order of the table, so that neighbours are on one page.
        self.archive.sort_unstable();
        let places = self.archive.iter().map(|(owner, id, ..)| (*owner, *id));
        let segment = archive_segments::for_rows(on, places).await?;
        ARCHIVE
            .execute(&mut on.tx, &self.archive, |q, (owner, id, peer, way, bytes)| {
                q.bind(segment).bind(*owner).bind(*id).bind(*peer).bind(*way).bind(*bytes)
            })
            .await?;
        undelivered::insert(&mut on.tx, &self.markers).await
    }
}

/// After the clock has gone back, ids are ahead of the time in which messages were taken. The largest
/// difference is stored, so that a range of time is a range of ids for readers.
async fn raise_lag(on: &mut WriteTx<'_>, lag: i64) -> Result<()> {
    if lag <= on.memory.lag {
        return Ok(());
    }
    let lag = lag.unsigned_abs().next_power_of_two().try_into().unwrap_or(i64::MAX);
    setting::raise_id_lag(on.tx.connection().await?, lag).await?;
    on.memory.lag = lag;
    on.lag.fetch_max(lag, Ordering::AcqRel);
    Ok(())
}

static BODIES: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("INSERT INTO message (id, at, xml, holders) VALUES ", 4, ""));
static ARCHIVE: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new("INSERT INTO archive_row (segment, owner, id, peer, way, bytes) VALUES ", 6, "")
});
