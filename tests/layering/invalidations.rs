//! Rule: `docs/decisions/0014-many-writers.md` says for each event of `Invalidation` what it announces, so that the
//! page names every value in memory that another node may change.

use std::fs;
use std::path::Path;

use crate::source::{Source, sources};

#[test]
fn each_invalidation_has_a_row_in_the_decision_about_several_nodes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decisions/0014-many-writers.md");
    let missing = missing(&sources(), &fs::read_to_string(page).unwrap());
    assert!(missing.is_empty(), "docs/decisions/0014-many-writers.md has no rows for {missing:?}");
}

/// The variants that no row of a table names.
fn missing(sources: &[Source], page: &str) -> Vec<String> {
    let items = sources.iter().flat_map(|source| &source.syntax.items);
    let variants = items.filter_map(|item| match item {
        syn::Item::Enum(item) if item.ident == "Invalidation" => Some(&item.variants),
        _ => None,
    });
    let names: Vec<_> = variants.flatten().map(|variant| variant.ident.to_string()).collect();
    assert!(!names.is_empty(), "there is no `Invalidation`");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with('|')).collect();
    let is_named = |name: &String| rows.iter().any(|row| row.contains(&format!("`{name}`")));
    names.into_iter().filter(|name| !is_named(name)).collect()
}

#[test]
fn a_variant_without_a_row_is_found() {
    let sources = [Source::parse("a.rs", "pub enum Invalidation { Account(u8), Push { at: u8 } }")];
    assert_eq!(missing(&sources, "| `Account` | x |\n`Push`"), ["Push"]);
    assert_eq!(missing(&sources, "| `Account` | x |\n| `Push` | x |"), [""; 0]);
}
