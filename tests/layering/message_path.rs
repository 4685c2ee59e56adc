//! Rule: one message passes few files from socket to socket. `docs/architecture.md` lists them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::modules::{Modules, Target};
use crate::paths::{NamedPath, Place, paths};
use crate::source::{Source, is_for_tests, sources};

/// The number of files that a reader must open to follow one message.
const MOST: usize = 12;

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
    let modules = Modules::new(sources);
    let codes: Vec<_> = steps.iter().map(|step| Code::of(&step.file, sources)).collect();
    for (at, (step, code)) in steps.iter().zip(&codes).enumerate() {
        let Some(code) = code else {
            faults.push(format!("{} does not exist", step.file));
            continue;
        };
        for function in step.functions.iter().filter(|name| !code.defines(name)) {
            faults.push(format!("{} has no function {function}", step.file));
        }
        let leads = |(earlier, before): (&Step, &Option<Code>)| {
            let Some(before) = before else { return false };
            step.functions.iter().any(|function| before.calls(function, code, &modules))
                || earlier.functions.iter().any(|function| code.calls(function, before, &modules))
        };
        if at > 0 && !steps[..at].iter().zip(&codes[..at]).any(leads) {
            faults.push(format!("no file before {} calls it, or is called by it", step.file));
        }
    }
    faults
}

/// What a file defines and calls, without its tests.
#[derive(Default)]
struct Code {
    file: String,
    functions: BTreeSet<String>,
    /// Those of the functions that have `self`.
    methods: BTreeSet<String>,
    /// Those without `self` in an `impl`, with the type: a type may have functions in several files.
    associated: BTreeSet<(String, String)>,
    /// The names of the methods that are called. The type of the receiver is not known.
    called_methods: BTreeSet<String>,
    paths: Vec<NamedPath>,
}

impl Code {
    /// `None` if there is no such file.
    fn of(file: &str, sources: &[Source]) -> Option<Self> {
        let source = sources.iter().find(|source| source.path == file)?;
        let is_code = |path: &NamedPath| !path.is_for_tests && path.place == Place::Code;
        let paths = paths(source).into_iter().filter(is_code).collect();
        let mut code = Self { file: file.to_owned(), paths, ..Self::default() };
        code.visit_file(&source.syntax);
        Some(code)
    }

    fn defines(&self, function: &str) -> bool {
        self.functions.contains(function)
    }

    /// Whether this file calls a function of the other one: as a method, by a path that leads to that file, or by
    /// the name of a type with such a function there.
    fn calls(&self, function: &str, other: &Self, modules: &Modules) -> bool {
        let is_it = |path: &&NamedPath| path.segments.last().is_some_and(|name| name == function);
        let leads = |path: &NamedPath| {
            let kind = path.segments.iter().rev().nth(1);
            let name = kind.map(|kind| (kind.clone(), function.to_owned()));
            name.is_some_and(|name| other.associated.contains(&name))
                || modules.resolve(path) == Some(Target::Item(other.file.clone()))
        };
        other.methods.contains(function) && self.called_methods.contains(function)
            || other.defines(function) && self.paths.iter().filter(is_it).any(leads)
    }

    fn define(&mut self, signature: &syn::Signature) {
        let name = signature.ident.to_string();
        if signature.receiver().is_some() {
            self.methods.insert(name.clone());
        }
        self.functions.insert(name);
    }

    /// Methods that are called inside a macro: `.name(…)`.
    fn called_in_macro(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for at in 0..tokens.len() {
            if let [TokenTree::Punct(dot), TokenTree::Ident(name), TokenTree::Group(group), ..] =
                &tokens[at..]
                && dot.as_char() == '.'
                && group.delimiter() == Delimiter::Parenthesis
            {
                self.called_methods.insert(name.to_string());
            }
            if let TokenTree::Group(group) = &tokens[at] {
                self.called_in_macro(group.stream());
            }
        }
    }
}

impl<'ast> Visit<'ast> for Code {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let syn::Type::Path(kind) = &*item.self_ty
            && let Some(kind) = kind.path.segments.last()
        {
            let functions = item.items.iter().filter_map(|item| match item {
                syn::ImplItem::Fn(function) if function.sig.receiver().is_none() => Some(function),
                _ => None,
            });
            let names = functions.map(|function| function.sig.ident.to_string());
            self.associated.extend(names.map(|name| (kind.ident.to_string(), name)));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.define(signature);
        visit::visit_signature(self, signature);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.called_methods.insert(call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.called_in_macro(call.tokens.clone());
    }
}

#[test]
fn a_list_that_is_not_true_is_found() {
    let page = |rows: &str| {
        format!(
            "# A\n\n## One message\n\n| step | file | functions |\n|---|---|---|\n{rows}\n## B\n"
        )
    };
    let sources = [
        Source::parse("lib.rs", "mod a; mod b; mod c; mod d;"),
        Source::parse(
            "a.rs",
            "use crate::b; pub fn read() { b::carry(1); \"d::end()\"; } // end()",
        ),
        Source::parse(
            "b.rs",
            "pub fn carry(_: u8) {}\n#[cfg(test)]\nmod tests { fn f() { crate::c::end(); } }",
        ),
        Source::parse("c.rs", "pub fn end() {}"),
        Source::parse("d.rs", "pub fn end() { m!(x.close()); crate::F::new(); }"),
        Source::parse("e.rs", "impl E { pub fn close(&self) {} } impl F { pub fn new() {} }"),
    ];
    let found = |rows: &str| faults(&steps(&page(rows)), &sources);
    let (a, b) =
        ("| It is read. | `a.rs` | `read` |\n", "| It goes on. | **`b.rs`** | `carry` |\n");
    assert_eq!(found(&format!("{a}{b}")), [""; 0]);
    assert_eq!(found(""), ["0 files, at most 12"]);
    assert_eq!(found(&b.repeat(13)).first().unwrap(), "13 files, at most 12");
    assert_eq!(found(&format!("{a}| | `f.rs` | `end` |\n")), ["f.rs does not exist"]);
    let gone = "| | `b.rs` | `carry`, `gone` |\n";
    assert_eq!(found(&format!("{a}{gone}")), ["b.rs has no function gone"]);
    let apart = "| | `c.rs` | `end` |\n";
    let alone = "no file before c.rs calls it, or is called by it";
    assert_eq!(found(&format!("{a}{b}{apart}")), [alone]);
    // `d.rs` is named in a text and in a comment only; it calls a method of `e.rs`.
    let (d, e) = ("| | `d.rs` | `end` |\n", "| | `e.rs` | `close` |\n");
    let alone = "no file before d.rs calls it, or is called by it";
    assert_eq!(found(&format!("{a}{d}{e}")), [alone]);
    assert_eq!(found(&format!("{d}{}", e.replace("close", "new"))), [""; 0]);
}
