//! The order of the house: who may know whom, how long a file may be, where things are made.
//!
//! Reads the text of `src/`, with comments and strings blanked, and compares the floor of each file
//! with the floors of the modules it names (`docs/architecture.md`). It reads text, not types: a
//! name brought in by a re-export is seen where it is re-exported, and nowhere else.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the source has failed")]

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src/`: its path below `src` and its text.
struct Source {
    path: String,
    text: String,
}

/// Something that is not as it should be, with the place.
#[derive(Debug, Eq, PartialEq)]
struct Fault {
    path: String,
    line: usize,
    what: String,
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.path, self.line, self.what)
    }
}

#[test]
fn modules_know_only_the_floors_below() {
    expect_none(&all(imports_of_other_floors));
}

#[test]
fn features_do_not_know_each_other() {
    expect_none(&all(imports_between_islands));
}

#[test]
fn no_file_is_longer_than_one_can_read() {
    expect_none(&all(too_long));
}

#[test]
fn a_pipeline_is_never_inside_a_select() {
    expect_none(&all(select_in_a_pipeline));
}

#[test]
fn origins_are_made_by_streams_only() {
    expect_none(&all(origins_made_elsewhere));
}

#[test]
fn each_namespace_is_written_in_one_file() {
    expect_none(&namespaces_written_twice(&sources()));
}

fn all(check: fn(&Source) -> Vec<Fault>) -> Vec<Fault> {
    sources().iter().flat_map(check).collect()
}

fn expect_none(faults: &[Fault]) {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(!found.is_empty(), "src is empty");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<Source>) {
    let entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

// ── floors ──

/// The floor of a module, and its place on the floor where that matters (floor 1).
fn floor(module: &str) -> Option<(u8, u8)> {
    let place = |list: &[&str]| list.iter().position(|m| *m == module);
    for (floor, modules) in FLOORS {
        if let Some(at) = place(modules) {
            return Some((*floor, u8::try_from(at).unwrap()));
        }
    }
    None
}

const FLOORS: &[(u8, &[&str])] = &[
    (9, &["admin", "cli", "server"]),
    (8, &["c2s", "cluster", "component", "http", "s2s", "stream"]),
    (7, &["router"]),
    (6, &["modules", "services"]),
    (5, &["archive", "pubsub", "roster"]),
    (4, &["host", "session"]),
    (3, &["auth", "storage"]),
    (2, &["clock", "config", "files", "limit", "log", "metrics", "random", "tasks", "tls"]),
    (1, &["ns", "xml", "jid", "stanza", "payload"]),
];

/// Whether `module` may name `path` (without the leading `crate`).
fn may_know(module: &str, path: &[String]) -> bool {
    let Some(other) = path.first() else { return true };
    if other == module {
        return true;
    }
    let (Some((own, own_place)), Some((theirs, their_place))) = (floor(module), floor(other))
    else {
        return false;
    };
    match (module, other.as_str()) {
        ("config", _) => theirs == 1,
        ("limit", "metrics") => true,
        ("clock", "payload") => path.get(1).is_some_and(|p| p == "datetime"),
        ("auth", "storage") | ("host", "session") => true,
        (_, "clock" | "config" | "files" | "tasks") if own == 2 => true,
        (_, "http" | "stream") if own == 8 => true,
        _ if own == 9 => true,
        _ if own == 1 && theirs == 1 => their_place < own_place,
        _ => theirs < own,
    }
}

fn imports_of_other_floors(source: &Source) -> Vec<Fault> {
    let module = module_of(&source.path);
    if matches!(module, "lib" | "main") {
        return Vec::new();
    }
    if floor(module).is_none() {
        let what = format!("`{module}` has no floor in tests/layering.rs");
        return vec![Fault { path: source.path.clone(), line: 1, what }];
    }
    let mut faults = Vec::new();
    for (line, path) in imports(&source.text) {
        // What the crate itself exports (macros, `crate::VERSION`) belongs to no floor.
        let is_module = path.first().is_some_and(|p| p.starts_with(|c: char| c.is_lowercase()));
        if is_module && !may_know(module, &path) {
            let what = format!("`{module}` may not know `crate::{}`", path.join("::"));
            faults.push(Fault { path: source.path.clone(), line, what });
        }
    }
    faults
}

/// `storage/mod.rs` and `storage/account.rs` are of `storage`, `clock.rs` of `clock`.
fn module_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn imports_between_islands(source: &Source) -> Vec<Fault> {
    let Some(rest) = source.path.strip_prefix("modules/") else { return Vec::new() };
    let island = module_of(rest);
    if island == "mod" {
        return Vec::new();
    }
    let deep = rest.contains('/');
    let mut faults = Vec::new();
    let mut report = |line: usize, path: String| {
        let what = format!("`{island}` may not know `{path}`: features do not know each other");
        faults.push(Fault { path: source.path.clone(), line, what });
    };
    for (line, path) in imports(&source.text) {
        if path.first().is_some_and(|p| p == "modules")
            && path.get(1).is_some_and(|p| p != island && !p.starts_with(char::is_uppercase))
        {
            report(line, format!("crate::{}", path.join("::")));
        }
    }
    // In the tests of a file, and in a module of several files, `super` is the feature itself.
    if !deep {
        for (line, path) in paths_after(&without_tests(&blanked(&source.text)), "super") {
            report(line, format!("super::{}", path.join("::")));
        }
    }
    faults
}

/// Each path that begins with `crate::`, groups taken apart, with its line.
fn imports(text: &str) -> Vec<(usize, Vec<String>)> {
    paths_after(&blanked(text), "crate")
}

fn paths_after(code: &str, root: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let start = format!("{root}::");
    let mut from = 0;
    while let Some(at) = code[from..].find(&start).map(|at| at + from) {
        from = at + start.len();
        let is_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || "_$:".contains(c));
        if !is_word {
            let line = code[..at].matches('\n').count() + 1;
            take_apart(&code[from..], line, &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one path, or a group of paths in braces; answers how many bytes it took.
fn take_apart(
    text: &str,
    line: usize,
    before: &mut Vec<String>,
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let depth = before.len();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        let here = line + text[..at].matches('\n').count();
        if let Some(group) = rest.strip_prefix('{') {
            at += 1;
            let mut inside = 0;
            loop {
                inside += group[inside..].len() - group[inside..].trim_start().len();
                match group[inside..].chars().next() {
                    None => break,
                    Some('}') => {
                        inside += 1;
                        break;
                    }
                    Some(',') => inside += 1,
                    Some(_) => {
                        let here = here + group[..inside].matches('\n').count();
                        let took = take_apart(&group[inside..], here, before, found);
                        // ` as name` and whatever else stands before the next comma
                        let skip = group[inside + took..].find([',', '}']).unwrap_or(0);
                        inside += (took + skip).max(1);
                    }
                }
            }
            at += inside;
            break;
        }
        let name = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if name == 0 {
            found.push((here, before.clone()));
            break;
        }
        before.push(rest[..name].to_owned());
        at += name;
        match text[at..].strip_prefix("::") {
            Some(_) => at += 2,
            None => {
                found.push((here, before.clone()));
                break;
            }
        }
    }
    before.truncate(depth);
    at
}

// ── sizes ──

fn too_long(source: &Source) -> Vec<Fault> {
    if is_test_file(&source.path) {
        return Vec::new();
    }
    let limit = match source.path.as_str() {
        path if path.starts_with("router/") => 250,
        _ => 500,
    };
    let lines = without_tests(&source.text).lines().count();
    if lines <= limit {
        return Vec::new();
    }
    let what = format!("{lines} lines without its tests, at most {limit}");
    vec![Fault { path: source.path.clone(), line: limit + 1, what }]
}

/// A file that `#[cfg(test)] mod tests;` brings in.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/")
}

/// The text before the tests: before the first `#[cfg(test)]` that stands over a module.
fn without_tests(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let is_over_module = |i: usize| {
        lines[i + 1..]
            .iter()
            .find(|l| !l.trim_start().starts_with("#["))
            .is_some_and(|l| l.contains("mod "))
    };
    let end = (0..lines.len())
        .find(|i| lines[*i].trim_start().starts_with("#[cfg(test)]") && is_over_module(*i));
    lines[..end.unwrap_or(lines.len())].join("\n")
}

// ── pipelines and origins ──

fn select_in_a_pipeline(source: &Source) -> Vec<Fault> {
    if !source.path.starts_with("router/") && !source.path.starts_with("modules/") {
        return Vec::new();
    }
    lines_with(&blanked(&source.text), "select!")
        .map(|line| Fault {
            path: source.path.clone(),
            line,
            what: "`select!` may drop half a pipeline".to_owned(),
        })
        .collect()
}

fn lines_with(code: &str, word: &str) -> impl Iterator<Item = usize> {
    code.lines()
        .enumerate()
        .filter(move |(_, l)| l.contains(word))
        .map(|(i, _)| i + 1)
        .collect::<Vec<_>>()
        .into_iter()
}

fn origins_made_elsewhere(source: &Source) -> Vec<Fault> {
    let streams = ["c2s/", "component/", "s2s/", "stream/"];
    if streams.iter().any(|dir| source.path.starts_with(dir)) || is_test_file(&source.path) {
        return Vec::new();
    }
    let code = without_tests(&blanked(&source.text));
    let mut faults = Vec::new();
    for name in ["Origin::Client", "Origin::Component", "Origin::Server"] {
        for (at, _) in code.match_indices(name) {
            let (before, after) = (&code[..at], &code[at + name.len()..]);
            let is_longer = after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
            if !is_longer && !is_pattern(before, after) {
                let line = before.matches('\n').count() + 1;
                let what = format!("`{name}` is made here: `from` comes from authentication");
                faults.push(Fault { path: source.path.clone(), line, what });
            }
        }
    }
    faults
}

/// Whether a variant between `before` and `after` is matched, not made: an arm, a `let`, `matches!`.
fn is_pattern(before: &str, after: &str) -> bool {
    let statement = &before[before.rfind([';', '{', '}']).map_or(0, |at| at + 1)..];
    if statement.contains("matches!(") {
        return true;
    }
    let mut depth = 0_i32;
    let end = after.char_indices().find(|(_, c)| {
        match c {
            '(' | '{' if depth > 0 => depth += 1,
            '(' | '{' => depth = 1,
            ')' | '}' => depth -= 1,
            _ => {}
        }
        depth <= 0
    });
    let opened = after.trim_start().starts_with(['(', '{']);
    let rest = match end {
        Some((at, c)) if opened => {
            // The space before ` { .. }` ends the search at once: look again behind it.
            if c == ' ' { return is_pattern(before, after.trim_start()) } else { &after[at + 1..] }
        }
        _ => after,
    };
    let rest = rest.trim_start_matches(|c: char| c == ')' || c.is_whitespace());
    let is_let = rest.starts_with('=') && !rest.starts_with("==");
    is_let || rest.starts_with('|') && !rest.starts_with("||") || rest.starts_with("if ")
}

// ── namespaces ──

fn namespaces_written_twice(sources: &[Source]) -> Vec<Fault> {
    let mut places: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for source in sources.iter().filter(|s| !is_test_file(&s.path)) {
        for (line, string) in strings(&without_tests(&source.text)) {
            for ns in namespaces(&string) {
                places.entry(ns).or_default().entry(&source.path).or_insert(line);
            }
        }
    }
    let mut faults = Vec::new();
    for (ns, files) in places.iter().filter(|(_, files)| files.len() > 1) {
        for (path, line) in files {
            let others: Vec<_> = files.keys().filter(|f| *f != path).copied().collect();
            let what = format!("{ns} is written in {}, too", others.join(", "));
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

// ── reading Rust, as far as needed ──

/// The text with comments and the insides of strings blanked; lines stay where they are.
fn blanked(text: &str) -> String {
    lex(text).0
}

/// The string literals outside comments, with their lines.
fn strings(text: &str) -> Vec<(usize, String)> {
    lex(text).1
}

fn lex(text: &str) -> (String, Vec<(usize, String)>) {
    let mut code = String::with_capacity(text.len());
    let mut strings = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let rest = &text[at..];
        let after_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let (kind, len) = token(rest, after_word);
        let token = &rest[..len];
        match kind {
            Token::Code => code.push_str(token),
            Token::Comment => blank(token, &mut code),
            Token::Text => {
                strings.push((line, token.to_owned()));
                blank(token, &mut code);
            }
        }
        line += token.matches('\n').count();
        at += len;
    }
    (code, strings)
}

enum Token {
    Code,
    Comment,
    Text,
}

fn token(rest: &str, after_word: bool) -> (Token, usize) {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        return (Token::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Token::Comment, rest.find("*/").map_or(rest.len(), |at| at + 2));
    }
    let raw = rest.strip_prefix('b').unwrap_or(rest);
    if let Some(raw) = raw.strip_prefix('r').filter(|_| !after_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let begin = rest.len() - raw.len() + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            let end = rest[begin..].find(&close).map_or(rest.len(), |at| begin + at + close.len());
            return (Token::Text, end);
        }
    }
    if rest.starts_with('"') {
        return (Token::Text, end_of_quoted(rest, '"').unwrap_or(rest.len()));
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        // A character, unless it is a lifetime.
        let is_char = inside.starts_with('\\') || inside.chars().nth(1) == Some('\'');
        if is_char {
            return (Token::Comment, end_of_quoted(rest, '\'').unwrap_or(rest.len()));
        }
    }
    (Token::Code, first)
}

fn end_of_quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if !escaped && c == quote {
            return Some(at + 1);
        }
        escaped = !escaped && c == '\\';
    }
    None
}

fn blank(token: &str, code: &mut String) {
    code.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
}

// ── the checks can fail ──

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn lines(faults: &[Fault]) -> Vec<usize> {
    faults.iter().map(|f| f.line).collect()
}

#[test]
fn an_upward_import_is_found_with_its_line() {
    let text = "//! crate::router\nuse std::fmt;\nuse crate::router::message;\n";
    assert_eq!(lines(&imports_of_other_floors(&source("storage/mod.rs", text))), [3]);
    let text = "fn f() { crate::c2s::run(); }";
    assert_eq!(lines(&imports_of_other_floors(&source("router/iq.rs", text))), [1]);
}

#[test]
fn a_sideways_import_is_found_in_a_group_of_several_lines() {
    let text =
        "use crate::{\n    jid::{Jid, Host as H},\n    session,\n    storage,\n    metrics,\n};\n";
    assert_eq!(lines(&imports_of_other_floors(&source("tls.rs", text))), [3, 4, 5]);
}

#[test]
fn exceptions_hold_in_one_direction() {
    let faults = |path, text| imports_of_other_floors(&source(path, text)).len();
    assert_eq!(faults("auth/mod.rs", "use crate::storage::account::Account;"), 0);
    assert_eq!(faults("storage/mod.rs", "use crate::auth::Stored;"), 1);
    assert_eq!(faults("host/mod.rs", "use crate::session::Session;"), 0);
    assert_eq!(faults("session/mod.rs", "use crate::host::Cx;"), 1);
    assert_eq!(faults("limit/budget.rs", "use crate::metrics::Metrics;"), 0);
    assert_eq!(faults("metrics.rs", "use crate::limit::Budgets;"), 1);
    assert_eq!(faults("clock.rs", "use crate::payload::datetime::Timestamp;"), 0);
    assert_eq!(faults("clock.rs", "use crate::payload::disco::Info;"), 1);
    assert_eq!(faults("tls.rs", "use crate::{clock::Clock, config::Config, tasks::Tasks};"), 0);
    assert_eq!(faults("config/mod.rs", "use crate::tls::Certificates;"), 1);
    assert_eq!(faults("stanza/mod.rs", "use crate::xml::Frame; use crate::jid::Jid;"), 0);
    assert_eq!(faults("xml/mod.rs", "use crate::stanza::Stanza;"), 1);
    assert_eq!(faults("c2s/mod.rs", "use crate::stream::Wire;"), 0);
    assert_eq!(faults("stream/mod.rs", "use crate::c2s::run;"), 1);
    assert_eq!(faults("server.rs", "use crate::admin; use crate::cli; use crate::config;"), 0);
    assert_eq!(faults("kitchen/mod.rs", ""), 1);
    assert_eq!(faults("lib.rs", "use crate::kitchen::sink;"), 0);
}

#[test]
fn a_name_in_a_comment_or_string_is_no_import() {
    let text = "// crate::router\n/* crate::c2s */ const A: &str = \"crate::c2s\"; const B: char = '\"';\n\
                const C: &str = r#\"crate::c2s \"#; fn f<'a>(x: &'a str) { my_crate::router(x) }\n";
    assert_eq!(imports(text), []);
}

#[test]
fn a_feature_that_knows_another_is_found() {
    let faults = |path, text| lines(&imports_between_islands(&source(path, text)));
    assert_eq!(faults("modules/carbons.rs", "\nuse crate::modules::mam;"), [2]);
    assert_eq!(faults("modules/carbons.rs", "use super::mam;"), [1]);
    assert_eq!(faults("modules/mam/query.rs", "use crate::modules::mam::keep;"), []);
    assert_eq!(faults("modules/mam/query.rs", "use super::keep;"), []);
    assert_eq!(faults("modules/mod.rs", "use self::mam; use crate::modules::mam;"), []);
    let tests = "#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
    assert_eq!(faults("modules/carbons.rs", tests), []);
}

#[test]
fn a_long_file_is_found_and_tests_do_not_count() {
    let long = "x();\n".repeat(501);
    assert_eq!(too_long(&source("xml/strict.rs", &long)).len(), 1);
    assert_eq!(too_long(&source("xml/tests.rs", &long)).len(), 0);
    let tests = format!("x();\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert_eq!(too_long(&source("xml/strict.rs", &tests)).len(), 0);
    let half = "x();\n".repeat(251);
    assert_eq!(too_long(&source("router/message.rs", &half)).len(), 1);
    assert_eq!(too_long(&source("modules/roster.rs", &half)).len(), 0);
}

#[test]
fn a_select_in_a_feature_is_found() {
    let text = "async fn f() {\n    tokio::select! { _ = a => {} }\n} // select!\n";
    assert_eq!(lines(&select_in_a_pipeline(&source("modules/ping.rs", text))), [2]);
    assert_eq!(lines(&select_in_a_pipeline(&source("c2s/mod.rs", text))), []);
}

#[test]
fn an_origin_made_outside_the_streams_is_found() {
    let faults = |path, text| lines(&origins_made_elsewhere(&source(path, text)));
    assert_eq!(faults("router/mod.rs", "\nlet o = Origin::Client(jid.clone());"), [2]);
    assert_eq!(faults("admin/mod.rs", "route(Origin::Server { domain }, stanza)"), [1]);
    assert_eq!(faults("admin/mod.rs", "route(&Origin::Component(name)).await"), [1]);
    assert_eq!(faults("c2s/mod.rs", "let o = Origin::Client(jid);"), []);
    assert_eq!(
        faults("router/mod.rs", "match o { Origin::Client(j) => a, Origin::Host => b }"),
        []
    );
    assert_eq!(faults("router/mod.rs", "match o { Origin::Client { jid } if f(jid) => a }"), []);
    assert_eq!(faults("router/mod.rs", "Origin::Client(_) | Origin::Server(_) => a,"), []);
    assert_eq!(faults("router/mod.rs", "if let Origin::Client(jid) = origin {"), []);
    assert_eq!(faults("router/mod.rs", "if let Some(Origin::Server { domain, .. }) = o {"), []);
    assert_eq!(faults("router/mod.rs", "let mine = matches!(o, Origin::Client(_));"), []);
}

#[test]
fn a_namespace_in_two_files_is_found() {
    let ping = "const NS: &str = \"urn:xmpp:ping\";\n";
    let twice = [
        source("modules/ping.rs", ping),
        source("c2s/idle.rs", "\nlet x = \"<ping xmlns='urn:xmpp:ping'/>\";\n"),
        source("ns.rs", "/// \"urn:xmpp:ping\"\nconst A: &str = \"jabber:client\";\n"),
    ];
    let faults = namespaces_written_twice(&twice);
    assert_eq!(lines(&faults), [2, 1]);
    assert!(faults[0].to_string().starts_with("src/c2s/idle.rs:2: urn:xmpp:ping is written in"));
    let in_tests = format!("#[cfg(test)]\nmod tests {{\n{ping}}}\n");
    let once = [source("modules/ping.rs", ping), source("router/iq.rs", &in_tests)];
    assert_eq!(namespaces_written_twice(&once), []);
}
