//! `src/storage/sql/` holds statements that PostgreSQL takes, too
//! (docs/decisions/0014-many-writers.md).
//!
//! This finds words that only SQLite knows, parameters without numbers, and uses of `src/storage/sqlite/`. It does not
//! prove that a statement works in PostgreSQL: new statements are prepared there once, by hand.

use std::fs;
use std::path::Path;

/// What only SQLite knows, in lower case.
const SQLITE_ONLY: &[&str] = &[
    "insert or ",
    "replace into",
    "pragma ",
    "json_each",
    "json_extract",
    "json_group_array",
    "rowid",
    "without rowid",
    "autoincrement",
    "sqlite_",
    "storage::sqlite",
    "super::sqlite",
    "iif(",
    "ifnull(",
    "instr(",
    "printf(",
    "unhex(",
    "max(value,",
    "cross join",
    " glob ",
    "strftime(",
    "unixepoch(",
    "begin immediate",
    "= 1 where",
    // A parameter without a number.
    "= ?",
    "(?",
    ", ?",
    "archive_row",
    "archive_segment",
    "archive_volume",
    "archive_block",
];

/// The words of [`SQLITE_ONLY`] in a text, with the lines in which they are. Comments do not count.
fn sqlite_only(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.to_lowercase();
        if !line.trim_start().starts_with("//") {
            found
                .extend(SQLITE_ONLY.iter().filter(|w| line.contains(**w)).map(|w| (index + 1, *w)));
        }
    }
    found
}

#[test]
fn portable_statements_have_no_words_of_sqlite() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage/sql");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        files += usize::from(text.contains("sqlx::query"));
        assert_eq!(sqlite_only(&text), [], "{}", path.display());
    }
    assert!(files >= 6, "the statements are somewhere else");
}

/// The check can fail: the statements of SQLite have such words.
#[test]
fn words_of_sqlite_are_found() {
    assert_eq!(
        sqlite_only("// PRAGMA x\n  \"INSERT OR REPLACE INTO t VALUES (?)\""),
        [(2, "insert or "), (2, "replace into"), (2, "(?")]
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage/sqlite");
    for name in ["archive_query.rs", "delete_messages.rs", "archive_segments.rs"] {
        assert_ne!(sqlite_only(&fs::read_to_string(folder.join(name)).unwrap()), [], "{name}");
    }
}
