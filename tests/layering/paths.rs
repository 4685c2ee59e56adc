//! The paths that a file names: in imports, types, expressions, patterns, and inside macros.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::source::{Source, is_for_tests};

/// One path, as it is written.
pub(crate) struct NamedPath {
    span: Span,
    pub(crate) segments: Vec<String>,
    pub(crate) place: Place,
    /// The modules, one inside the other, in which it stands: the file's and those written in it.
    pub(crate) module: Vec<String>,
    /// Whether it is compiled for tests only.
    pub(crate) is_for_tests: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// `use a::b as name;`. A re-export is visible outside its module.
    Import { name: String, is_reexport: bool },
    /// `use a::b::*;`
    Glob,
    /// Anywhere but in `use`.
    Code,
}

impl NamedPath {
    pub(crate) fn line(&self) -> usize {
        self.span.start().line
    }

    /// The path from the root of the crate, if it begins with `crate`, `self` or `super`.
    pub(crate) fn absolute(&self) -> Option<Vec<String>> {
        let mut base = match self.segments.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            _ => return None,
        };
        for segment in &self.segments {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => drop(base.pop()),
                name => base.push(name.to_owned()),
            }
        }
        Some(base)
    }
}

pub(crate) fn paths(source: &Source) -> Vec<NamedPath> {
    let mut reader = Reader { module: source.module(), tests: 0, found: Vec::new() };
    if source.is_test() {
        reader.tests = 1;
    }
    reader.visit_file(&source.syntax);
    reader.found
}

struct Reader {
    module: Vec<String>,
    /// How many items around this place are for tests only.
    tests: usize,
    found: Vec<NamedPath>,
}

impl Reader {
    fn add(&mut self, span: Span, segments: Vec<String>, place: Place) {
        let (module, is_for_tests) = (self.module.clone(), self.tests > 0);
        self.found.push(NamedPath { span, segments, place, module, is_for_tests });
    }

    fn import(&mut self, tree: &syn::UseTree, before: &[String], is_reexport: bool) {
        let mut segments = before.to_vec();
        let (path, name) = match tree {
            syn::UseTree::Path(path) => {
                segments.push(path.ident.to_string());
                return self.import(&path.tree, &segments, is_reexport);
            }
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|t| self.import(t, before, is_reexport));
            }
            syn::UseTree::Glob(glob) => {
                return self.add(glob.star_token.span, segments, Place::Glob);
            }
            syn::UseTree::Name(name) => (&name.ident, &name.ident),
            syn::UseTree::Rename(rename) => (&rename.ident, &rename.rename),
        };
        if path != "self" {
            segments.push(path.to_string());
        }
        let name = if name == "self" { segments.last().cloned() } else { Some(name.to_string()) };
        let place = Place::Import { name: name.unwrap_or_default(), is_reexport };
        self.add(path.span(), segments, place);
    }

    /// Reads the paths among the tokens of a macro, which need not be Rust.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(_) if !follows_colons(&tokens, at) => {
                    at = self.token_path(&tokens, at, Vec::new());
                }
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Reads one path or, after `::`, a group of paths in braces. Answers where it ends.
    fn token_path(&mut self, tokens: &[TokenTree], mut at: usize, mut path: Vec<String>) -> usize {
        let mut span = tokens[at].span();
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(ident)) => {
                    span = ident.span();
                    path.push(ident.to_string());
                    at += 1;
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                    for part in inside.split(|token| is_punct(token, ',')) {
                        if !part.is_empty() {
                            self.token_path(part, 0, path.clone());
                        }
                    }
                    return at + 1;
                }
                _ => break,
            }
            if !colons(tokens, at) {
                break;
            }
            at += 2;
        }
        self.add(span, path, Place::Code);
        at
    }

    fn inside(&mut self, attributes: &[syn::Attribute], read: impl FnOnce(&mut Self)) {
        let tests = usize::from(is_for_tests(attributes));
        self.tests += tests;
        read(self);
        self.tests -= tests;
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Const(item) => &item.attrs,
            syn::Item::Enum(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Macro(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Static(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Trait(item) => &item.attrs,
            syn::Item::Type(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            _ => &[],
        };
        self.inside(attributes, |reader| visit::visit_item(reader, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.inside(&item.attrs, |reader| visit::visit_impl_item_fn(reader, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_reexport = !matches!(item.vis, syn::Visibility::Inherited);
        self.import(&item.tree, &[], is_reexport);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if let Some(last) = path.segments.last() {
            self.add(last.ident.span(), segments, Place::Code);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }

    /// `pub(in crate::storage)` uses nothing of `storage`.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn colons(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at..at + 2).is_some_and(|two| two.iter().all(|token| is_punct(token, ':')))
}

fn follows_colons(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && colons(tokens, at - 2)
}

/// The absolute paths of a sample.
#[cfg(test)]
fn absolute(path: &str, text: &str) -> Vec<String> {
    let paths = paths(&Source::parse(path, text));
    paths.iter().filter_map(NamedPath::absolute).map(|path| path.join("::")).collect()
}

#[test]
fn groups_renames_and_globs_are_taken_apart() {
    let text = "use crate::{a::{self, B as C}, d::*, e};";
    assert_eq!(absolute("x.rs", text), ["a", "a::B", "d", "e"]);
    let names = paths(&Source::parse("x.rs", text)).into_iter().map(|path| path.place);
    let import = |name: &str| Place::Import { name: name.to_owned(), is_reexport: false };
    assert!(names.eq([import("a"), import("C"), Place::Glob, import("e")]));
}

#[test]
fn super_and_self_start_at_the_module_of_the_place() {
    assert_eq!(absolute("a/b.rs", "use super::c; use self::d;"), ["a::c", "a::b::d"]);
    assert_eq!(absolute("a/mod.rs", "use super::c; fn f() { self::d::e() }"), ["c", "a::d::e"]);
    assert_eq!(absolute("a/b.rs", "use super::super::c;"), ["c"]);
    assert_eq!(absolute("a/b.rs", "mod t { use super::super::c; }"), ["a::c"]);
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let found = |text| absolute("x.rs", text);
    assert_eq!(found("fn f(x: &crate::a::B<crate::c::D>) {}"), ["a::B", "c::D"]);
    assert_eq!(found("fn f() { match x { crate::a::B::C(_) => {} } }"), ["a::B::C"]);
    assert_eq!(found("fn f() { crate::a::b::<u8>() }"), ["a::b"]);
    assert_eq!(found("impl crate::a::B for crate::c::D where E: crate::f::G {}").len(), 3);
    assert_eq!(found("fn f() { x!(y, [crate::a::B], \"{}\", super::c()) }"), ["a::B", "c"]);
    assert_eq!(found("macro_rules! m { () => { $crate::a::B; use crate::{c::D, e}; } }").len(), 3);
    assert_eq!(found("#[x(crate::a::B)] struct S;"), ["a::B"]);
    assert_eq!(found("thread_local!(static X: Cell<crate::a::B> = f());"), ["a::B"]);
}

#[test]
fn what_is_no_path_is_not_found() {
    let text = "//! crate::a\n/* crate::b */ const A: &str = \"crate::c\"; const B: char = '\"';\n\
        const C: &str = r#\"crate::d \"#; fn f<'a>(x: &'a str) { my_crate::router(x) }\n\
        /// [`crate::e`]\npub(in crate::f) struct S;";
    assert_eq!(absolute("x.rs", text), [""; 0]);
}

#[test]
fn what_is_for_tests_is_known() {
    let text = "#[cfg(test)] mod t { use crate::a; } #[cfg(test)] use crate::b;\n\
        impl X { #[cfg(test)] fn f() { crate::c() } }\n#[cfg(unix)] use crate::d;";
    let found = paths(&Source::parse("x.rs", text));
    let found: Vec<_> = found.iter().filter(|path| path.absolute().is_some()).collect();
    assert_eq!(
        found.iter().map(|path| path.is_for_tests).collect::<Vec<_>>(),
        [true, true, true, false]
    );
    assert!(paths(&Source::parse("x/tests.rs", "use crate::a;"))[0].is_for_tests);
}
