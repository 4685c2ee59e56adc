//! Rule: a module names only modules of the floors below its own (`docs/architecture.md`).

use crate::paths::paths;
use crate::source::{Fault, Source, expect_all, lines_of};

#[test]
fn modules_know_only_the_floors_below() {
    expect_all(names_of_other_floors);
}

const FLOORS: &[(u8, &[&str])] = &[
    (9, &["admin", "cli", "server"]),
    (8, &["stream", "listen", "bytestream", "http", "c2s", "component", "s2s"]),
    (7, &["router"]),
    (6, &["modules"]),
    (5, &["archive", "muc", "pubsub", "roster"]),
    (4, &["host", "session"]),
    (3, &["auth", "storage", "upload"]),
    (2, &["clock", "config", "files", "limit", "log", "metrics", "random", "tasks", "tls"]),
    (1, &["ns", "xml", "jid", "stanza", "payload"]),
];

/// The floor of a module, and its place on the floor, which matters on floor 1.
fn floor(module: &str) -> Option<(u8, usize)> {
    FLOORS.iter().find_map(|(floor, modules)| {
        let place = modules.iter().position(|name| *name == module)?;
        Some((*floor, place))
    })
}

/// Whether `module` may name `path`, which begins at the root of the crate.
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
        ("limit", "metrics") | ("muc", "archive") => true,
        // Engines are values: time, chance and rows are given to them. Of the storage they know what a row is.
        ("archive" | "muc" | "pubsub" | "roster", "storage") => true,
        ("archive" | "muc" | "pubsub" | "roster", _) => theirs == 1,
        ("clock", "payload") => path.get(1).is_some_and(|p| p == "datetime"),
        ("auth" | "upload", "storage") | ("host", "session") => true,
        (_, "clock" | "config" | "files" | "tasks") if own == 2 => true,
        (_, "stream" | "listen" | "http") if own == 8 => their_place < own_place,
        _ if own == 9 => true,
        _ if own == 1 && theirs == 1 => their_place < own_place,
        _ => theirs < own,
    }
}

fn names_of_other_floors(source: &Source) -> Vec<Fault> {
    let modules = source.module();
    let Some(module) = modules.first() else { return Vec::new() };
    if floor(module).is_none() {
        return vec![
            source.fault(1, format!("`{module}` has no floor in tests/layering/floors.rs")),
        ];
    }
    let mut faults = Vec::new();
    for path in paths(source) {
        let Some(absolute) = path.absolute() else { continue };
        // What the crate itself exports (macros, `crate::VERSION`) belongs to no floor.
        let is_module = absolute.first().is_some_and(|p| p.starts_with(char::is_lowercase));
        if is_module && !may_know(module, &absolute) {
            let what = format!("`{module}` may not know `crate::{}`", absolute.join("::"));
            faults.push(source.fault(path.line(), what));
        }
    }
    faults
}

#[cfg(test)]
fn faults(path: &str, text: &str) -> Vec<usize> {
    lines_of(names_of_other_floors, path, text)
}

#[test]
fn an_upward_import_is_found_with_its_line() {
    let text = "//! crate::router\nuse std::fmt;\nuse crate::router::message;\n";
    assert_eq!(faults("storage/mod.rs", text), [3]);
    assert_eq!(faults("router/iq.rs", "fn f() { crate::c2s::run(); }"), [1]);
    assert_eq!(faults("router/iq.rs", "fn f() { super::super::c2s::run(); }"), [1]);
    assert_eq!(faults("router/iq.rs", "fn f() { debug!(\"{}\", crate::c2s::run()); }"), [1]);
    assert_eq!(faults("router/iq.rs", "#[cfg(test)] mod tests { use crate::c2s; }"), [1]);
}

#[test]
fn a_sideways_import_is_found_in_a_group_of_several_lines() {
    let text =
        "use crate::{\n    jid::{Jid, Host as H},\n    session,\n    storage,\n    metrics,\n};\n";
    assert_eq!(faults("tls.rs", text), [3, 4, 5]);
}

#[test]
fn exceptions_hold_in_one_direction() {
    let faults = |path, text| faults(path, text).len();
    assert_eq!(faults("auth/mod.rs", "use crate::storage::account::Account;"), 0);
    assert_eq!(faults("storage/mod.rs", "use crate::auth::Stored;"), 1);
    assert_eq!(faults("host/mod.rs", "use crate::session::Session;"), 0);
    assert_eq!(faults("session/mod.rs", "use crate::host::Cx;"), 1);
    assert_eq!(faults("muc/mod.rs", "use crate::archive::policy; use crate::jid::Jid;"), 0);
    assert_eq!(faults("archive/mod.rs", "use crate::muc::Room;"), 1);
    assert_eq!(faults("muc/room.rs", "use crate::clock::Clock; use crate::host::Cx;"), 2);
    assert_eq!(faults("pubsub/node.rs", "use crate::random::random_id; use crate::tasks;"), 2);
    assert_eq!(faults("muc/stored.rs", "use crate::storage::RoomOccupant;"), 0);
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
    assert_eq!(faults("http/mod.rs", "use crate::listen::Accepted; use crate::stream::wire;"), 0);
    assert_eq!(faults("stream/mod.rs", "use crate::listen::Accepted;"), 1);
    assert_eq!(faults("s2s/mod.rs", "use crate::c2s::C2s;"), 1);
    assert_eq!(faults("server.rs", "use crate::admin; use crate::cli; use crate::config;"), 0);
    assert_eq!(faults("kitchen/mod.rs", ""), 1);
    assert_eq!(faults("lib.rs", "use crate::kitchen::sink;"), 0);
}
