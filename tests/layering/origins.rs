//! Rule: `from` comes from authentication, so only the streams make the origins that stand for a
//! peer: `Origin::Client`, `Origin::Server` and `Origin::Component`. Only the router makes those that
//! stand for ourselves, `Origin::Internal` and `Origin::Service`: features send by the outbox or by
//! `Route`, and the router makes the origin from the address. Nobody else makes `Origin::Account`, for which a
//! component needs a privilege.

use syn::parse::{Parse, ParseStream, Parser};
use syn::visit::{self, Visit};
use syn::{Expr, Pat, Token};

use crate::paths::paths;
use crate::source::{Fault, Source, expect_all, is_for_tests, line_of, lines_of};

#[test]
fn origins_are_made_by_streams_and_the_router_only() {
    expect_all(origins_made_elsewhere);
}

/// Those with `http`, where a token is what authenticates.
const STREAMS: [&str; 5] = ["c2s", "component", "http", "s2s", "stream"];
/// Those who send to us.
const PEERS: [&str; 3] = ["Client", "Component", "Server"];
/// Ourselves.
const OURS: [&str; 3] = ["Account", "Internal", "Service"];

/// The origins that a module must not make.
fn forbidden(module: &str) -> Vec<&'static str> {
    let is_stream = STREAMS.contains(&module);
    let peers = PEERS.into_iter().filter(|_| !is_stream);
    peers.chain(OURS.into_iter().filter(|_| module != "router")).collect()
}

fn origins_made_elsewhere(source: &Source) -> Vec<Fault> {
    if source.is_test() {
        return Vec::new();
    }
    let forbidden = forbidden(source.module().first().map_or("", |module| module));
    let mut reader = Reader { forbidden: &forbidden, in_impl: false, found: Vec::new() };
    reader.visit_file(&source.syntax);
    let what = |name| format!("`{name}` is made here: `from` comes from authentication");
    let made = reader.found.into_iter().map(|(line, name)| source.fault(line, what(name)));
    made.chain(other_names(source)).collect()
}

/// Imports that give an origin, or one of its variants, a name that this rule does not see.
fn other_names(source: &Source) -> Vec<Fault> {
    let hides = |segments: &[String], place: &crate::paths::Place| match place {
        crate::paths::Place::Import { name, .. } => match segments {
            [.., origin] if origin == "Origin" => name != "Origin",
            [.., origin, _] => origin == "Origin",
            _ => false,
        },
        crate::paths::Place::Glob => segments.last().is_some_and(|name| name == "Origin"),
        crate::paths::Place::Code => false,
    };
    let found = paths(source).into_iter().filter(|path| hides(&path.segments, &path.place));
    found
        .map(|path| source.fault(path.line(), "an origin goes by the name of its type".to_owned()))
        .collect()
}

/// Visits expressions, which make a value, and no patterns, which only look at one.
struct Reader<'a> {
    /// The origins that must not be made here.
    forbidden: &'a [&'static str],
    /// Whether this place is inside `impl Origin`.
    in_impl: bool,
    found: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn path(&mut self, path: &syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let [.., origin, variant] = names.as_slice() else { return };
        let is_origin = origin == "Origin" || self.in_impl && origin == "Self";
        if is_origin && self.forbidden.contains(&&**variant) {
            self.found.push((line_of(path), format!("{origin}::{variant}")));
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_expr_path(&mut self, expression: &'ast syn::ExprPath) {
        self.path(&expression.path);
    }

    fn visit_expr_struct(&mut self, expression: &'ast syn::ExprStruct) {
        self.path(&expression.path);
        visit::visit_expr_struct(self, expression);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let is_origin = matches!(&*item.self_ty, syn::Type::Path(path)
            if path.path.segments.last().is_some_and(|s| s.ident == "Origin"));
        self.in_impl = is_origin;
        visit::visit_item_impl(self, item);
        self.in_impl = false;
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let is_matches = call.path.segments.last().is_some_and(|s| s.ident == "matches");
        let parsed = if is_matches {
            looked_at.parse2(call.tokens.clone())
        } else {
            arguments.parse2(call.tokens.clone())
        };
        match parsed {
            Ok(expressions) => expressions.iter().for_each(|e| self.expression(e)),
            // No list of expressions: each name counts, even if it only looks at a value.
            Err(_) => {
                let text = call.tokens.to_string().replace(' ', "");
                for variant in self.forbidden {
                    if text.contains(&format!("Origin::{variant}")) {
                        self.found.push((line_of(call), format!("Origin::{variant}")));
                    }
                }
            }
        }
    }
}

impl Reader<'_> {
    fn expression(&mut self, expression: &Expr) {
        let mut inside =
            Reader { forbidden: self.forbidden, in_impl: self.in_impl, found: Vec::new() };
        inside.visit_expr(expression);
        self.found.append(&mut inside.found);
    }
}

/// The expressions of `matches!(expression, pattern if condition)`.
fn looked_at(input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    let mut expressions = vec![input.parse()?];
    input.parse::<Token![,]>()?;
    Pat::parse_multi_with_leading_vert(input)?;
    if input.parse::<Option<Token![if]>>()?.is_some() {
        expressions.push(input.parse()?);
    }
    input.parse::<Option<Token![,]>>()?;
    Ok(expressions)
}

/// The expressions of a macro that is called like a function.
fn arguments(input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    let parsed = input.parse_terminated(Expr::parse, Token![,])?;
    Ok(parsed.into_iter().collect())
}

#[test]
fn an_origin_made_outside_the_streams_is_found() {
    let faults = |path, text: &str| {
        lines_of(origins_made_elsewhere, path, &format!("fn f() {{\n{text}\n}}"))
    };
    assert_eq!(faults("router/mod.rs", "\nlet o = Origin::Client(jid.clone());"), [3]);
    assert_eq!(faults("admin/mod.rs", "route(Origin::Server { domain }, stanza)"), [2]);
    assert_eq!(faults("admin/mod.rs", "route(&Origin::Component(name)).await"), [2]);
    assert_eq!(faults("admin/mod.rs", "jids.map(host::Origin::Client)"), [2]);
    assert_eq!(faults("admin/mod.rs", "vec![1, Origin::Client(jid)]"), [2]);
    assert_eq!(faults("admin/mod.rs", "m!(a => Origin::Client(jid))"), [2]);
    assert_eq!(faults("admin/mod.rs", "matches!(o, x if x == Origin::Client(jid))"), [2]);
    assert_eq!(faults("c2s/mod.rs", "let o = Origin::Client(jid);"), []);
    assert_eq!(faults("c2s/mod.rs", "let o = Origin::Internal;"), [2]);
    assert_eq!(faults("modules/muc.rs", "route(&Origin::Service(at.domain.clone()))"), [2]);
    assert_eq!(faults("modules/muc.rs", "if matches!(cx.origin, Origin::Internal) {}"), []);
    assert_eq!(faults("router/accept.rs", "let o = Origin::Internal;"), []);
}

#[test]
fn an_origin_under_another_name_is_found() {
    let faults = |text| lines_of(origins_made_elsewhere, "router/mod.rs", text);
    assert_eq!(faults("use crate::host::Origin as O;"), [1]);
    assert_eq!(faults("use crate::host::Origin::{Client, Internal};"), [1, 1]);
    assert_eq!(faults("use crate::host::Origin::*;"), [1]);
    assert_eq!(faults("use crate::host::{Cx, Origin};"), []);
    assert_eq!(faults("impl Origin { fn new(j: Jid) -> Self { Self::Client(j) } }"), [1]);
    assert_eq!(faults("impl Other { fn new(j: Jid) -> Self { Self::Client(j) } }"), []);
}

#[test]
fn an_origin_that_is_looked_at_is_no_fault() {
    let faults = |text: &str| {
        lines_of(origins_made_elsewhere, "router/mod.rs", &format!("fn f() {{\n{text}\n}}"))
    };
    assert_eq!(faults("match o { Origin::Client(j) => a, Origin::Host => b }"), []);
    assert_eq!(faults("match o { Origin::Client { jid } if f(jid) => a, _ => b }"), []);
    assert_eq!(faults("match o { Origin::Client(_) | Origin::Server(_) => a, _ => b }"), []);
    assert_eq!(faults("if let Origin::Client(jid) = origin { a }"), []);
    assert_eq!(faults("if let Some(Origin::Server { domain, .. }) = o { a }"), []);
    assert_eq!(faults("let mine = matches!(o, Origin::Client(_));"), []);
    assert_eq!(faults("assert!(matches!(o, Origin::Client(_) | Origin::Internal), \"x\");"), []);
}
