//! Rule: files do not name each other in circles.
//!
//! A file depends on the file that defines what it names. So a `mod.rs` that only declares its
//! children and re-exports from them depends on none of them, and a child that takes an item of a
//! sibling through the parent depends on the sibling. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};

use crate::modules::{Modules, Target};
use crate::paths::{NamedPath, Place, paths};
use crate::source::{Source, sources};

#[test]
fn files_do_not_name_each_other_in_circles() {
    let circles: Vec<_> = circles(&sources()).iter().map(Circle::to_string).collect();
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

/// Which file names which, and where: the line and the path as it is written.
type Edges = BTreeMap<(String, String), Vec<String>>;

/// Files each of which leads to each other one.
struct Circle {
    files: BTreeSet<String>,
    edges: Edges,
}

impl std::fmt::Display for Circle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "a circle of {} files:", self.files.len())?;
        for ((file, other), names) in &self.edges {
            writeln!(f, "  src/{file} names src/{other}: {}", names.join(", "))?;
        }
        Ok(())
    }
}

fn circles(sources: &[Source]) -> Vec<Circle> {
    let edges = edges(sources);
    let mut next: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for (file, other) in edges.keys() {
        next.entry(file).or_default().push(other);
    }
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        next.keys().map(|file| (*file, reached_from(file, &next))).collect();
    let mut done: BTreeSet<&String> = BTreeSet::new();
    let mut circles = Vec::new();
    for file in next.keys().copied() {
        if !reached[file].contains(file) || done.contains(file) {
            continue;
        }
        let leads_back = |other: &&&String| reached.get(*other).is_some_and(|r| r.contains(file));
        let members: BTreeSet<&String> = reached[file].iter().filter(leads_back).copied().collect();
        done.extend(&members);
        let inside =
            edges.iter().filter(|((from, to), _)| members.contains(from) && members.contains(to));
        circles.push(Circle {
            edges: inside.map(|(edge, names)| (edge.clone(), names.clone())).collect(),
            files: members.into_iter().cloned().collect(),
        });
    }
    circles
}

fn reached_from<'a>(
    file: &'a String,
    next: &BTreeMap<&'a String, Vec<&'a String>>,
) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        let others = next.get(file).into_iter().flatten();
        open.extend(others.filter(|other| reached.insert(**other)));
    }
    reached
}

fn edges(sources: &[Source]) -> Edges {
    let modules = Modules::new(sources);
    let mut edges = Edges::new();
    for source in sources {
        for path in paths(source) {
            if let Some(other) = depends_on(&path, &modules)
                && other != source.path
            {
                let name = format!("{} (line {})", path.segments.join("::"), path.line());
                edges.entry((source.path.clone(), other)).or_default().push(name);
            }
        }
    }
    edges
}

/// The file on which a path makes its own file depend.
fn depends_on(path: &NamedPath, modules: &Modules) -> Option<String> {
    if path.is_for_tests {
        return None;
    }
    let target = modules.resolve(path)?;
    match (&path.place, target) {
        // A re-export uses nothing. A module that is imported is used by the paths that begin
        // with its name.
        (Place::Import { is_reexport: true, .. }, _)
        | (Place::Import { .. } | Place::Code, Target::Module(_)) => None,
        // A name alone is defined here or imported, and the import counts. A re-export does not
        // count, so the name does.
        (Place::Code, Target::Item(file)) => {
            let is_import =
                path.segments.len() == 1 && !modules.is_reexported(&path.module, &path.segments[0]);
            (!is_import).then_some(file)
        }
        (Place::Import { .. } | Place::Glob, Target::Item(file)) => Some(file),
        (Place::Glob, Target::Module(module)) => modules.file_of(&module).map(str::to_owned),
    }
}

/// The files of each circle among samples.
#[cfg(test)]
fn found(samples: &[(&str, &str)]) -> Vec<String> {
    let root = Source::parse("lib.rs", "");
    let samples = samples.iter().map(|(path, text)| Source::parse(path, text));
    let sources: Vec<_> = samples.chain([root]).collect();
    let names = |circle: Circle| circle.files.into_iter().collect::<Vec<_>>().join(" ");
    circles(&sources).into_iter().map(names).collect()
}

#[test]
fn a_circle_is_found_whichever_way_the_names_are_written() {
    let b = ("x/b.rs", "pub struct B; fn f() { super::a::call(); }");
    let other = |text: &str| found(&[("x/mod.rs", "mod a; mod b; use b::B;"), ("x/a.rs", text), b]);
    assert_eq!(other("use crate::x::b::B; pub fn call() {}"), ["x/a.rs x/b.rs"]);
    assert_eq!(other("use super::b::B; pub fn call() {}"), ["x/a.rs x/b.rs"]);
    assert_eq!(other("use super::{b::{B as C}}; pub fn call() {}"), ["x/a.rs x/b.rs"]);
    assert_eq!(other("use super::b; pub fn call() { b::B }"), ["x/a.rs x/b.rs"]);
    assert_eq!(other("use super::b::*; pub fn call() { B }"), ["x/a.rs x/b.rs"]);
    assert_eq!(other("pub fn call(b: super::b::B) {}"), ["x/a.rs x/b.rs"]);
    assert_eq!(other("pub fn call() { m!(super::b::B) }"), ["x/a.rs x/b.rs"]);
    // Through an import of the parent.
    assert_eq!(other("use super::B; pub fn call() {}"), ["x/a.rs x/b.rs"]);
    assert_eq!(other("pub fn call() {}"), [""; 0]);
    assert_eq!(other("use super::b; pub fn call() {}"), [""; 0]);
    assert_eq!(other("pub fn call() {} #[cfg(test)] mod t { use super::super::b::B; }"), [""; 0]);
}

#[test]
fn a_parent_that_only_declares_and_reexports_is_in_no_circle() {
    let parent = |text: &str| {
        let text = format!("mod a; mod b; pub use a::A; pub use self::b::B; pub struct X; {text}");
        found(&[
            ("x/mod.rs", &text),
            ("x/a.rs", "use super::X; pub struct A;"),
            ("x/b.rs", "use super::A; pub struct B;"),
        ])
    };
    assert_eq!(parent(""), [""; 0]);
    assert_eq!(parent("fn f(a: A) {}"), ["x/a.rs x/mod.rs"]);
    assert_eq!(parent("fn f() { m!(A::new()) }"), ["x/a.rs x/mod.rs"]);
    assert_eq!(parent("fn f() { a::A; }"), ["x/a.rs x/mod.rs"]);
    assert_eq!(parent("use b::B as C; fn f() {}"), ["x/a.rs x/b.rs x/mod.rs"]);
}

#[test]
fn a_circle_of_several_files_is_one() {
    let circles = found(&[
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::c::C; pub struct B;"),
        ("c.rs", "use crate::a::A; use crate::d::D; pub struct C;"),
        ("d.rs", "use crate::e::E; pub struct D;"),
        ("e.rs", "use crate::d::D; pub struct E;"),
        ("f.rs", "use crate::a::A;"),
    ]);
    assert_eq!(circles, ["a.rs b.rs c.rs", "d.rs e.rs"]);
}

#[test]
fn a_circle_says_what_ties_it() {
    let sources = [
        Source::parse("lib.rs", "mod a; mod b;"),
        Source::parse("a.rs", "\nuse crate::b::B; pub struct A;"),
        Source::parse("b.rs", "pub struct B; fn f() { crate::a::A }"),
    ];
    let text = circles(&sources)[0].to_string();
    assert!(text.contains("src/a.rs names src/b.rs: crate::b::B (line 2)"), "{text}");
}
