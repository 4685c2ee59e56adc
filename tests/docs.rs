//! Generated documents are up to date. `WAXWING_REGENERATE=1 cargo test --test docs` writes them.

use std::path::Path;
use std::{env, fs};

#[test]
fn the_page_of_the_configuration_is_what_the_program_says() {
    is_up_to_date("docs/configuration.md", &waxwing::config::markdown());
}

/// Compares a file of the project with what it should be, or writes it if that is wanted.
fn is_up_to_date(path: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("WAXWING_REGENERATE").is_some_and(|value| value == "1") {
        fs::write(&file, wanted).expect("a generated document can be written");
        return;
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    let line = differs.unwrap_or_else(|| found.lines().count().min(wanted.lines().count())) + 1;
    assert!(
        found == wanted,
        "{path} is out of date from line {line} on;\n\
         WAXWING_REGENERATE=1 cargo test --test docs writes it anew"
    );
}
