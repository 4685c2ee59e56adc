//! The schema of the database: its steps, and bringing a file up to date.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Connection as _, SqlSafeStr};

use super::open_error::explain;
use crate::storage::sql::Connection;
use crate::storage::{Result, StorageError};

/// The steps of the schema, oldest first: number, name, statements.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "init", include_str!("../../../schema/sqlite/0001_init.sql")),
    (2, "archive", include_str!("../../../schema/sqlite/0002_archive.sql")),
    (3, "roster", include_str!("../../../schema/sqlite/0003_roster.sql")),
    (4, "sessions", include_str!("../../../schema/sqlite/0004_sessions.sql")),
    (5, "segments", include_str!("../../../schema/sqlite/0005_segments.sql")),
    (6, "blocks", include_str!("../../../schema/sqlite/0006_blocks.sql")),
    (7, "quota", include_str!("../../../schema/sqlite/0007_quota.sql")),
    (8, "admin", include_str!("../../../schema/sqlite/0008_admin.sql")),
    (9, "nodes", include_str!("../../../schema/sqlite/0009_nodes.sql")),
    (10, "push", include_str!("../../../schema/sqlite/0010_push.sql")),
    (11, "pubsub", include_str!("../../../schema/sqlite/0011_pubsub.sql")),
    (12, "capabilities", include_str!("../../../schema/sqlite/0012_capabilities.sql")),
    (13, "devices", include_str!("../../../schema/sqlite/0013_devices.sql")),
    (14, "node_creators", include_str!("../../../schema/sqlite/0014_node_creators.sql")),
    (15, "rooms", include_str!("../../../schema/sqlite/0015_rooms.sql")),
    (16, "approvals", include_str!("../../../schema/sqlite/0016_approvals.sql")),
    (17, "files", include_str!("../../../schema/sqlite/0017_files.sql")),
    (18, "api_tokens", include_str!("../../../schema/sqlite/0018_api_tokens.sql")),
    (19, "invitations", include_str!("../../../schema/sqlite/0019_invitations.sql")),
    (20, "upload_hours", include_str!("../../../schema/sqlite/0020_upload_hours.sql")),
    (21, "collections", include_str!("../../../schema/sqlite/0021_collections.sql")),
];

/// "WXWG" in the header of the file (`PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x5758_5747;

/// Refuses a file of another program, or of a newer version.
pub(super) async fn refuse_foreign(connection: &mut Connection, path: &Path) -> Result<()> {
    let fail = |e: sqlx::Error| explain(path, &e);
    let (id,): (i64,) =
        sqlx::query_as("PRAGMA application_id").fetch_one(&mut *connection).await.map_err(fail)?;
    let (tables,): (i64,) = sqlx::query_as("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .map_err(fail)?;
    if tables == 0 {
        return Ok(());
    }
    if id != APPLICATION_ID {
        return Err(StorageError::Unusable(format!(
            "{} is a database of another program: give waxwing another data directory",
            path.display()
        )));
    }
    let (schema,): (Option<i64>,) = sqlx::query_as("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await
        .map_err(fail)?;
    let known = MIGRATIONS.last().map_or(0, |m| m.0);
    match schema {
        Some(schema) if schema > known => Err(StorageError::Unusable(format!(
            "{} was written by a newer version of waxwing (schema {schema}, this program knows \
             {known}): run that version, or restore a backup from before the upgrade",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Applies the steps that are missing, all in one transaction.
pub(super) async fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let fail = |e: sqlx::Error| explain(path, &e);
    let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode = WAL")
        .fetch_one(&mut *connection)
        .await
        .map_err(fail)?;
    if mode != "wal" {
        return Err(StorageError::Unusable(format!(
            "{} cannot be used with a write-ahead log: the data directory must be on a local disk",
            path.display()
        )));
    }
    let steps = MIGRATIONS.iter().map(|(number, name, sql)| {
        let kind = MigrationType::Simple;
        Migration::new(*number, (*name).into(), kind, sql.into_sql_str(), false)
    });
    // The steps are savepoints of this transaction: all of them are applied, or none.
    let mut all = connection.begin().await.map_err(fail)?;
    Migrator::with_migrations(steps.collect()).run(&mut *all).await.map_err(|e| match &e {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            explain(path, error)
        }
        _ => StorageError::Unusable(format!("cannot bring {} up to date: {e}", path.display())),
    })?;
    all.commit().await.map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_the_schema_is_known_and_in_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/sqlite");
        let entries = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        let known = MIGRATIONS.iter().map(|(number, name, _)| format!("{number:04}_{name}.sql"));
        assert_eq!(files, known.collect::<Vec<_>>());
        assert!(MIGRATIONS.iter().map(|m| m.0).eq(1..=MIGRATIONS.len() as i64));
    }
}
