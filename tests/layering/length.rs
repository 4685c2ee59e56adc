//! Rule: no file is longer than a reader can hold in mind.

use syn::spanned::Spanned;

use crate::source::{Fault, Source, expect_all, is_for_tests, lines_of};

#[test]
fn no_file_is_too_long() {
    expect_all(too_long);
}

/// How many lines a file may have, without its tests.
fn limit(path: &str) -> usize {
    if path.starts_with("router/") { 250 } else { 500 }
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
    assert_eq!(faults("modules/roster.rs", &code(251)), []);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", code(501));
    assert_eq!(faults("xml/strict.rs", &tests), []);
    let after_tests = format!("#[cfg(test)]\nmod tests;\n{}", code(501));
    assert_eq!(faults("xml/strict.rs", &after_tests), [501]);
    let no_tests = format!("#[cfg(unix)]\nmod files {{\n{}}}\n", code(501));
    assert_eq!(faults("xml/strict.rs", &no_tests), [501]);
}
