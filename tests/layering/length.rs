//! Rule: no file is longer than a reader can hold in mind.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use syn::spanned::Spanned;

use crate::source::{Fault, Source, expect_all, is_for_tests, lines_of, sources};

#[test]
fn no_file_is_too_long() {
    expect_all(too_long);
}

/// Tests, benchmarks and examples, too: at most 500 lines.
#[test]
fn no_test_is_too_long() {
    let mut long = Vec::new();
    let mut folders: Vec<PathBuf> = ["tests", "benches", "examples"].map(Into::into).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            match path.extension().and_then(OsStr::to_str) {
                _ if path.is_dir() => folders.push(path),
                Some("rs" | "py" | "mjs") => {
                    let lines = fs::read_to_string(&path).expect("it is text").lines().count();
                    long.extend((lines > 500).then(|| format!("{}: {lines}", path.display())));
                }
                _ => {}
            }
        }
    }
    assert_eq!(long, [""; 0]);
}

/// How many lines a file may have, without its tests.
fn limit(path: &str) -> usize {
    match path {
        _ if path.starts_with("router/") => 250,
        _ if LONG_FILES.iter().any(|(long, _)| *long == path) => 500,
        _ => 300,
    }
}

/// Files that may have more than 300 lines, each with the reason why it will not grow.
const LONG_FILES: &[(&str, &str)] = &[
    ("config/read.rs", "reads values of a finished grammar (TOML)"),
    ("payload/data_form.rs", "the parser of a finished grammar (XEP-0004)"),
    ("xml/framer.rs", "the parser of a finished grammar (XML)"),
    ("xml/strict.rs", "the parser of a finished grammar (XML)"),
];

#[test]
fn no_exception_outlives_its_length() {
    let short = shorter_than_allowed(&sources());
    assert!(short.is_empty(), "these files fit: delete {short:?} from LONG_FILES");
}

/// The entries of [`LONG_FILES`] whose file needs no exception, or is gone.
fn shorter_than_allowed(sources: &[Source]) -> Vec<&'static str> {
    let is_long = |path: &str| {
        sources.iter().any(|source| source.path == path && lines_without_tests(source) > 300)
    };
    LONG_FILES.iter().map(|(path, _)| *path).filter(|path| !is_long(path)).collect()
}

fn too_long(source: &Source) -> Vec<Fault> {
    let (lines, limit) = (lines_without_tests(source), limit(&source.path));
    if source.is_test() || lines <= limit {
        return Vec::new();
    }
    let what = format!("{lines} lines without its tests, at most {limit}");
    vec![source.fault(limit + 1, what)]
}

fn lines_without_tests(source: &Source) -> usize {
    let tests = source.syntax.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if is_for_tests(&module.attrs) => {
            let span = module.span();
            Some(span.end().line - span.start().line + 1)
        }
        _ => None,
    });
    source.text.lines().count() - tests.sum::<usize>()
}

#[test]
fn a_long_file_is_found_and_tests_do_not_count() {
    let code = |lines| "const _: () = ();\n".repeat(lines);
    let faults = |path, text: &str| lines_of(too_long, path, text);
    assert_eq!(faults("xml/strict.rs", &code(500)), []);
    assert_eq!(faults("xml/strict.rs", &code(501)), [501]);
    assert_eq!(faults("xml/tests.rs", &code(501)), []);
    assert_eq!(faults("router/message.rs", &code(251)), [251]);
    assert_eq!(faults("modules/roster.rs", &code(300)), []);
    assert_eq!(faults("modules/roster.rs", &code(301)), [301]);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", code(501));
    assert_eq!(faults("xml/strict.rs", &tests), []);
    let after_tests = format!("#[cfg(test)]\nmod tests;\n{}", code(501));
    assert_eq!(faults("xml/strict.rs", &after_tests), [501]);
    let no_tests = format!("#[cfg(unix)]\nmod files {{\n{}}}\n", code(501));
    assert_eq!(faults("xml/strict.rs", &no_tests), [501]);
}

#[test]
fn an_exception_for_a_file_that_fits_is_found() {
    let sources = |lines| {
        let code = "const _: () = ();\n".repeat(lines);
        LONG_FILES.iter().map(|(path, _)| Source::parse(path, &code)).collect::<Vec<_>>()
    };
    assert!(shorter_than_allowed(&sources(301)).is_empty());
    assert_eq!(shorter_than_allowed(&sources(300)).len(), LONG_FILES.len());
    assert_eq!(shorter_than_allowed(&[]).len(), LONG_FILES.len());
}
