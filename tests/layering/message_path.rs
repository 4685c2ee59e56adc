//! Rule: one message passes few files from socket to socket. `docs/architecture.md` lists them.

use std::fs;
use std::path::Path;

use crate::source::{Source, is_for_tests, sources};

/// The number of files that a reader must open to follow one message.
const MOST: usize = 13;

/// A row of the table: a file, and the functions in it that the message passes.
#[derive(Debug)]
struct Step {
    file: String,
    functions: Vec<String>,
}

#[test]
fn a_message_passes_few_files_each_of_which_leads_to_another() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let steps = steps(&fs::read_to_string(page).unwrap());
    let faults = faults(&steps, &sources());
    assert!(faults.is_empty(), "docs/architecture.md, one message: {faults:#?}");
}

/// The rows of the table below "One message, bytes to bytes".
fn steps(page: &str) -> Vec<Step> {
    let section = page.split("\n## ").find(|section| section.starts_with("One message"));
    let rows = section.unwrap_or_default().lines().filter(|line| line.starts_with("| "));
    let cells = rows.skip(1).map(|row| row.trim_matches('|').split(" | ").collect::<Vec<_>>());
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let step = |cells: Vec<&str>| match cells.as_slice() {
        [_, file, functions] => {
            let files: Vec<String> = words(file);
            Step { file: files.concat(), functions: words(functions) }
        }
        other => panic!("a row has a step, a file and functions: {other:?}"),
    };
    cells.map(step).collect()
}

fn faults(steps: &[Step], sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    if steps.is_empty() || steps.len() > MOST {
        faults.push(format!("{} files, at most {MOST}", steps.len()));
    }
    let codes: Vec<_> = steps.iter().map(|step| code(&step.file, sources)).collect();
    for (at, (step, code)) in steps.iter().zip(&codes).enumerate() {
        let Some(code) = code else {
            faults.push(format!("{} does not exist", step.file));
            continue;
        };
        for function in step.functions.iter().filter(|function| !code.contains(&defined(function)))
        {
            faults.push(format!("{} has no function {function}", step.file));
        }
        let leads = |(earlier, before): (&Step, &Option<String>)| {
            let before = before.as_deref().unwrap_or_default();
            step.functions.iter().any(|function| calls(before, function))
                || earlier.functions.iter().any(|function| calls(code, function))
        };
        if at > 0 && !steps[..at].iter().zip(&codes[..at]).any(leads) {
            faults.push(format!("no file before {} calls it, or is called by it", step.file));
        }
    }
    faults
}

/// The text of a file without its tests. `None` if there is no such file.
fn code(file: &str, sources: &[Source]) -> Option<String> {
    let source = sources.iter().find(|source| source.path == file)?;
    let has_tests = source
        .syntax
        .items
        .iter()
        .any(|item| matches!(item, syn::Item::Mod(module) if is_for_tests(&module.attrs)));
    let end = if has_tests { source.text.find("#[cfg(test)]\nmod tests") } else { None };
    Some(source.text[..end.unwrap_or(source.text.len())].to_owned())
}

fn defined(function: &str) -> String {
    format!("fn {function}")
}

/// Whether the code calls a function or a method with this name.
fn calls(code: &str, function: &str) -> bool {
    let is_call = |(at, _): (usize, &str)| {
        let before = &code[..at];
        before.ends_with(['.', ':', ' ', '(', '!']) && !before.ends_with("fn ")
    };
    code.match_indices(&format!("{function}(")).any(is_call)
}

#[test]
fn a_list_that_is_not_true_is_found() {
    let page = |rows: &str| {
        format!(
            "# A\n\n## One message\n\n| step | file | functions |\n|---|---|---|\n{rows}\n## B\n"
        )
    };
    let sources = [
        Source::parse("a.rs", "pub fn read() { b::carry(1); }"),
        Source::parse(
            "b.rs",
            "pub fn carry(_: u8) {}\n#[cfg(test)]\nmod tests { fn f() { super::super::c::end(); } }",
        ),
        Source::parse("c.rs", "pub fn end() {}"),
    ];
    let found = |rows: &str| faults(&steps(&page(rows)), &sources);
    let (a, b) =
        ("| It is read. | `a.rs` | `read` |\n", "| It goes on. | **`b.rs`** | `carry` |\n");
    assert_eq!(found(&format!("{a}{b}")), [""; 0]);
    assert_eq!(found(""), ["0 files, at most 13"]);
    assert_eq!(found(&b.repeat(14)).first().unwrap(), "14 files, at most 13");
    assert_eq!(found(&format!("{a}| | `d.rs` | `end` |\n")), ["d.rs does not exist"]);
    let gone = "| | `b.rs` | `carry`, `gone` |\n";
    assert_eq!(found(&format!("{a}{gone}")), ["b.rs has no function gone"]);
    let apart = "| | `c.rs` | `end` |\n";
    let alone = "no file before c.rs calls it, or is called by it";
    assert_eq!(found(&format!("{a}{b}{apart}")), [alone]);
}
