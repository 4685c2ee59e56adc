//! The tree of modules, and which file defines the item that a path names.
//!
//! Imports are followed: what `storage/mod.rs` re-exports from `storage/archive.rs` belongs to
//! `storage/archive.rs`.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{NamedPath, Place, paths};
use crate::source::Source;

/// All modules of the crate, by their paths.
pub(crate) struct Modules(BTreeMap<Vec<String>, Module>);

#[derive(Default)]
struct Module {
    /// The file in which its items are written.
    file: String,
    items: BTreeSet<String>,
    /// The names that `use` brings in, with the paths they stand for. One name can stand for two
    /// items of different kinds, or be brought in by two functions.
    imports: Vec<(String, NamedPath)>,
    globs: Vec<NamedPath>,
}

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Target {
    Module(Vec<String>),
    /// The file of an item.
    Item(String),
}

/// More imports in a row than this are a circle of imports.
const MOST_STEPS: usize = 16;

impl Modules {
    pub(crate) fn new(sources: &[Source]) -> Self {
        let mut modules = Self(BTreeMap::new());
        for source in sources.iter().filter(|source| !source.is_test()) {
            modules.enter(&source.module(), &source.path, &source.syntax.items);
            for path in paths(source) {
                let Some(module) = modules.0.get_mut(&path.module) else { continue };
                match path.place.clone() {
                    Place::Import { name, .. } => module.imports.push((name, path)),
                    Place::Glob => module.globs.push(path),
                    Place::Code => {}
                }
            }
        }
        modules
    }

    fn enter(&mut self, path: &[String], file: &str, items: &[syn::Item]) {
        let names = items.iter().filter_map(name_of).collect();
        let module = Module { file: file.to_owned(), items: names, ..Module::default() };
        self.0.insert(path.to_vec(), module);
        for item in items {
            if let syn::Item::Mod(inner) = item
                && let Some((_, items)) = &inner.content
            {
                let path = [path, &[inner.ident.to_string()]].concat();
                self.enter(&path, file, items);
            }
        }
    }

    /// Whether `name` is brought into `module` by `pub use`.
    pub(crate) fn is_reexported(&self, module: &[String], name: &str) -> bool {
        let is_it = |(known, path): &(String, NamedPath)| {
            known == name && matches!(path.place, Place::Import { is_reexport: true, .. })
        };
        self.0.get(module).is_some_and(|module| module.imports.iter().any(is_it))
    }

    pub(crate) fn file_of(&self, module: &[String]) -> Option<&str> {
        self.0.get(module).map(|module| module.file.as_str())
    }

    /// What `path` names; `None` if it is not of this crate.
    pub(crate) fn resolve(&self, path: &NamedPath) -> Option<Target> {
        self.from(&path.module, &path.segments, MOST_STEPS)
    }

    fn from(&self, module: &[String], segments: &[String], steps: usize) -> Option<Target> {
        let mut module = module.to_vec();
        let mut is_anchored = false;
        for (at, segment) in segments.iter().enumerate() {
            match segment.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()),
                name => {
                    let is_last = at + 1 == segments.len();
                    match self.find(&module, name, is_last, steps.checked_sub(1)?) {
                        Some(Target::Module(inner)) => module = inner,
                        Some(item) => return Some(item),
                        // Something that a macro makes.
                        None if is_anchored => return self.item_of(&module),
                        None => return None,
                    }
                }
            }
            is_anchored = true;
        }
        self.0.contains_key(&module).then_some(Target::Module(module))
    }

    /// What `name` is inside `module`. What stands last is an item rather than a module.
    fn find(&self, module: &[String], name: &str, is_last: bool, steps: usize) -> Option<Target> {
        let here = self.0.get(module)?;
        let inner = || {
            let path = [module, &[name.to_owned()]].concat();
            self.0.contains_key(&path).then_some(Target::Module(path))
        };
        let item = || here.items.contains(name).then(|| Target::Item(here.file.clone()));
        let imported = || {
            let paths = here.imports.iter().filter(|(known, _)| known == name).map(|(_, p)| p);
            // `use serde::serde` does not say what its own first name is.
            let others = paths.filter(|path| path.segments[0] != name || inner().is_some());
            let targets = others.filter_map(|path| self.from(module, &path.segments, steps));
            let (modules, items): (Vec<_>, Vec<_>) =
                targets.partition(|target| matches!(target, Target::Module(_)));
            let mut targets = modules.into_iter().chain(items);
            if is_last { targets.next_back() } else { targets.next() }
        };
        let globbed = || {
            here.globs.iter().find_map(|glob| {
                let Target::Module(other) = self.from(module, &glob.segments, steps)? else {
                    return None;
                };
                self.find(&other, name, is_last, steps.checked_sub(1)?)
            })
        };
        if is_last {
            item().or_else(imported).or_else(globbed).or_else(inner)
        } else {
            inner().or_else(item).or_else(imported).or_else(globbed)
        }
    }

    fn item_of(&self, module: &[String]) -> Option<Target> {
        self.file_of(module).map(|file| Target::Item(file.to_owned()))
    }
}

fn name_of(item: &syn::Item) -> Option<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Macro(item) => item.ident.as_ref()?,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

#[test]
fn an_item_is_found_in_the_file_that_defines_it() {
    let sources = [
        Source::parse("lib.rs", "pub mod a;"),
        Source::parse(
            "a/mod.rs",
            "mod b; pub mod c; pub use b::{B, call as run}; use c::*; pub struct A; made!(Made);\n\
             mod inner { pub struct I; } pub use d::d;",
        ),
        Source::parse("a/b.rs", "pub struct B; pub fn call() {}"),
        Source::parse("a/c.rs", "pub fn c() {} pub use super::B as Again;"),
        Source::parse("a/d.rs", "pub fn d() {}"),
    ];
    let modules = Modules::new(&sources);
    let item = |module: &str, path: &str| {
        let text = format!("fn f() {{ {path} }}");
        let path = paths(&Source::parse(module, &text)).remove(0);
        match modules.resolve(&path) {
            Some(Target::Item(file)) => file,
            Some(Target::Module(path)) => path.join("::"),
            None => "elsewhere".to_owned(),
        }
    };
    assert_eq!(item("x.rs", "crate::a::A"), "a/mod.rs");
    assert_eq!(item("x.rs", "crate::a::B::new"), "a/b.rs");
    assert_eq!(item("x.rs", "crate::a::run()"), "a/b.rs");
    assert_eq!(item("x.rs", "crate::a::Made"), "a/mod.rs");
    assert_eq!(item("x.rs", "crate::a::inner::I"), "a/mod.rs");
    assert_eq!(item("x.rs", "crate::a::c::c()"), "a/c.rs");
    assert_eq!(item("x.rs", "crate::a::c::Again"), "a/b.rs");
    assert_eq!(item("x.rs", "crate::a::d()"), "a/d.rs");
    assert_eq!(item("x.rs", "crate::a"), "a");
    assert_eq!(item("a/c.rs", "super::B"), "a/b.rs");
    assert_eq!(item("a/c.rs", "Again::new()"), "a/b.rs");
    assert_eq!(item("a/mod.rs", "c()"), "a/c.rs");
    assert_eq!(item("a/mod.rs", "self::c::c()"), "a/c.rs");
    assert_eq!(item("a/mod.rs", "String::new()"), "elsewhere");
}
