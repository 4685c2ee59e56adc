//! Rule: the table of tasks in `docs/architecture.md` names each kind of task that the server starts, once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

use crate::source::{Source, is_for_tests, sources};

#[test]
fn the_table_of_tasks_names_all_of_them() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let listed = listed(&fs::read_to_string(page).unwrap());
    let faults = faults(&listed, &started(&sources()));
    assert!(faults.is_empty(), "docs/architecture.md, tasks: {faults:#?}");
}

/// The names in the first column of the table below "Tasks".
fn listed(page: &str) -> Vec<String> {
    let section = page.split("\n## ").find(|section| section.starts_with("Tasks"));
    let rows = section.unwrap_or_default().lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect()
}

/// The kinds of tasks that are started, with a file in which that is done.
fn started(sources: &[Source]) -> BTreeMap<String, String> {
    let mut started = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let mut spawns = Spawns::default();
        spawns.visit_file(&source.syntax);
        for name in spawns.names() {
            started.insert(name, source.path.clone());
        }
    }
    started
}

fn faults(listed: &[String], started: &BTreeMap<String, String>) -> Vec<String> {
    let missing = started.iter().filter(|(name, _)| !listed.contains(name));
    let mut faults: Vec<_> = missing
        .map(|(name, path)| format!("src/{path} starts `{name}`, which has no row"))
        .collect();
    for (at, name) in listed.iter().enumerate() {
        if listed[..at].contains(name) {
            faults.push(format!("`{name}` has two rows"));
        } else if !started.contains_key(name) {
            faults.push(format!("nothing starts `{name}`"));
        }
    }
    faults
}

/// The first arguments of `spawn(name, task)`, and the constants of the file, which may be such names.
#[derive(Default)]
struct Spawns {
    texts: Vec<String>,
    constants: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Spawns {
    fn names(self) -> impl Iterator<Item = String> {
        let Self { texts, constants, values } = self;
        let named = constants.into_iter().filter_map(move |name| values.get(&name).cloned());
        texts.into_iter().chain(named)
    }
}

impl<'ast> Visit<'ast> for Spawns {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        if let Some(value) = text(&item.expr) {
            self.values.insert(item.ident.to_string(), value);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "spawn" && call.args.len() == 2 {
            match &call.args[0] {
                syn::Expr::Path(path) => self
                    .constants
                    .extend(path.path.segments.last().map(|segment| segment.ident.to_string())),
                name => self.texts.extend(text(name)),
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}

fn text(value: &syn::Expr) -> Option<String> {
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

#[test]
fn a_task_without_a_row_and_a_row_without_a_task_are_found() {
    let sources = [
        Source::parse("a.rs", "const A: &str = \"one\"; fn f(t: Tasks) { drop(t.spawn(A, x)); }"),
        Source::parse(
            "b.rs",
            "fn f(t: Tasks) { t.spawn(\"two\", async { t.spawn(\"three\", x) }); }",
        ),
        Source::parse("c.rs", "#[cfg(test)] mod tests { fn f() { t.spawn(\"test\", x); } }"),
    ];
    let page = "## Other\n| `three` | x |\n## Tasks\n| task | number |\n|---|---|\n";
    let found = |rows: &str| faults(&listed(&format!("{page}{rows}\n## B\n")), &started(&sources));
    assert_eq!(found("| `one` | x |\n| `two` | x |\n| `three` | x |"), [""; 0]);
    assert_eq!(
        found("| `one` | x |\n| `two` | x |\n| `two` | x |\n| `four` | `three` |"),
        [
            "src/b.rs starts `three`, which has no row",
            "`two` has two rows",
            "nothing starts `four`"
        ]
    );
}
