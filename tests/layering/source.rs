//! The files of `src/`, parsed, and what the rules report about them.

use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;

/// A file of `src/`.
pub(crate) struct Source {
    /// The path below `src`, with `/` between folders.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
}

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("src/{path}: {error}"));
        Self { path: path.to_owned(), text: text.to_owned(), syntax }
    }

    /// The module of the file: `storage/mod.rs` is `[storage]`, `storage/sql/find.rs` is
    /// `[storage, sql, find]`, `lib.rs` is `[]`.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        let names = path.split('/').map(str::to_owned);
        names.filter(|name| !matches!(name.as_str(), "lib" | "main")).collect()
    }

    /// Whether `#[cfg(test)] mod …;` in another file brings this file in.
    pub(crate) fn is_test(&self) -> bool {
        let path = &self.path;
        path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
    }

    pub(crate) fn fault(&self, line: usize, what: String) -> Fault {
        Fault { path: self.path.clone(), line, what }
    }
}

/// A place that breaks a rule.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.path, self.line, self.what)
    }
}

/// All files of `src/`, ordered by path.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(!found.is_empty(), "src is empty");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<Source>) {
    let entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(Source::parse(&name, &fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Fails, with each place, if any file of `src/` breaks the rule `check`.
pub(crate) fn expect_all(check: fn(&Source) -> Vec<Fault>) {
    expect_none(&sources().iter().flat_map(check).collect::<Vec<_>>());
}

pub(crate) fn expect_none(faults: &[Fault]) {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// The lines of the faults that `check` finds in a sample.
pub(crate) fn lines_of(check: fn(&Source) -> Vec<Fault>, path: &str, text: &str) -> Vec<usize> {
    check(&Source::parse(path, text)).iter().map(|fault| fault.line).collect()
}

/// Whether an item is compiled for tests only: it bears `#[cfg(test)]`.
pub(crate) fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    })
}

pub(crate) fn line_of(part: &impl Spanned) -> usize {
    part.span().start().line
}

#[test]
fn a_path_gives_the_module() {
    let module = |path| Source::parse(path, "").module().join("::");
    assert_eq!(module("lib.rs"), "");
    assert_eq!(module("clock.rs"), "clock");
    assert_eq!(module("storage/mod.rs"), "storage");
    assert_eq!(module("storage/sql/find.rs"), "storage::sql::find");
}
