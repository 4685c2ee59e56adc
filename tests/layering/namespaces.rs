//! Rule: each namespace of XMPP is written in one file.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::source::{Fault, Source, expect_none, is_for_tests, sources};

#[test]
fn each_namespace_is_written_in_one_file() {
    expect_none(&namespaces_written_twice(&sources()));
}

fn namespaces_written_twice(sources: &[Source]) -> Vec<Fault> {
    let mut places: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        for (line, string) in strings(source) {
            for namespace in namespaces(&string) {
                places.entry(namespace).or_default().entry(&source.path).or_insert(line);
            }
        }
    }
    let mut faults = Vec::new();
    for (namespace, files) in places.iter().filter(|(_, files)| files.len() > 1) {
        for (path, line) in files {
            let others: Vec<_> = files.keys().filter(|f| *f != path).copied().collect();
            let what = format!("{namespace} is written in {}, too", others.join(", "));
            faults.push(Fault { path: (*path).to_owned(), line: *line, what });
        }
    }
    faults
}

/// The namespaces of XMPP in a string: alone, or as part of an element.
fn namespaces(string: &str) -> Vec<String> {
    let is_end = |c: char| c.is_whitespace() || "'\"<>{}\\,;()".contains(c);
    let mut found = Vec::new();
    for start in ["urn:", "http://jabber.org/", "http://etherx.jabber.org/", "jabber:"] {
        for (at, _) in string.match_indices(start) {
            if string[..at].ends_with(|c: char| c.is_alphanumeric() || c == ':') {
                continue;
            }
            let rest = &string[at..];
            let ns = rest[..rest.find(is_end).unwrap_or(rest.len())].trim_end_matches(['.', ':']);
            if ns.len() > start.len() {
                found.push(ns.to_owned());
            }
        }
    }
    found
}

/// The string literals outside tests, with their lines.
fn strings(source: &Source) -> Vec<(usize, String)> {
    let mut reader = Strings(Vec::new());
    reader.visit_file(&source.syntax);
    reader.0
}

struct Strings(Vec<(usize, String)>);

impl Strings {
    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(literal) => self.visit_lit(&syn::Lit::new(literal)),
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Strings {
    fn visit_lit(&mut self, literal: &'ast syn::Lit) {
        let string = match literal {
            syn::Lit::Str(string) => string.value(),
            syn::Lit::ByteStr(string) => String::from_utf8_lossy(&string.value()).into_owned(),
            _ => return,
        };
        self.0.push((literal.span().start().line, string));
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        // A comment for documentation is an attribute with a string.
        match &attribute.meta {
            syn::Meta::List(list) => self.tokens(list.tokens.clone()),
            meta if meta.path().is_ident("doc") => {}
            _ => visit::visit_attribute(self, attribute),
        }
    }
}

#[test]
fn a_namespace_in_two_files_is_found() {
    let ping = "const NS: &str = \"urn:xmpp:ping\";\n";
    let faults = |other: &str| {
        let sources = [
            Source::parse("modules/ping.rs", ping),
            Source::parse("c2s/idle.rs", other),
            Source::parse("ns.rs", "/// \"urn:xmpp:ping\"\nconst A: &str = \"jabber:client\";\n"),
        ];
        namespaces_written_twice(&sources)
    };
    let found = faults("\nfn f() { let x = \"<ping xmlns='urn:xmpp:ping'/>\"; }\n");
    assert_eq!(found.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 1]);
    assert!(found[0].to_string().starts_with("src/c2s/idle.rs:2: urn:xmpp:ping is written in"));
    assert_eq!(faults("const A: &[u8] = b\"urn:xmpp:ping\";").len(), 2);
    assert_eq!(faults("const A: &str = r#\"<a xmlns=\"urn:xmpp:ping\"/>\"#;").len(), 2);
    assert_eq!(faults("fn f() { write!(x, \"<ping xmlns='urn:xmpp:ping'>{}\", y) }").len(), 2);
    assert_eq!(faults("#[command(about = \"urn:xmpp:ping\")] struct A;").len(), 2);
    assert_eq!(faults("// \"urn:xmpp:ping\"\nconst A: &str = \"urn:xmpp:pings\";"), []);
    assert_eq!(faults(&format!("#[cfg(test)]\nmod tests {{\n{ping}}}\n")), []);
}
