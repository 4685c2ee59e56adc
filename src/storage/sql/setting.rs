//! Settings: what belongs to the server itself, in bytes by name.

use super::Connection;
use crate::storage::{Result, StorageError};

/// Keeps the server's secret if there is none yet. Returns the one that is kept.
pub(in crate::storage) async fn secret(on: &mut Connection, new: &[u8; 32]) -> Result<[u8; 32]> {
    sqlx::query(
        "INSERT INTO setting (name, value) VALUES ('secret', $1) ON CONFLICT (name) DO NOTHING",
    )
    .bind(&new[..])
    .execute(&mut *on)
    .await?;
    let (value,) =
        sqlx::query_as::<_, (Vec<u8>,)>("SELECT value FROM setting WHERE name = 'secret'")
            .fetch_one(on)
            .await?;
    value.try_into().map_err(|value: Vec<u8>| StorageError::Inconsistent {
        table: "setting",
        key: "secret".into(),
        problem: format!("{} bytes instead of 32", value.len()),
    })
}

/// Raises how far ids of messages may be ahead of time. A lower value changes nothing. The bytes are in
/// the order in which they compare as numbers.
pub(in crate::storage) async fn raise_id_lag(on: &mut Connection, micros: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO setting (name, value) VALUES ('id_lag', $1) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value \
         WHERE setting.value < excluded.value",
    )
    .bind(micros.to_be_bytes().to_vec())
    .execute(on)
    .await?;
    Ok(())
}
