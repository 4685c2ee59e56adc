//! The implemented specifications, and their page `docs/xeps.md`, which is made from manifests and checked by
//! `tests/docs.rs`.
//!
//! The specifications of a feature are in its manifest, in `src/modules/`. This file lists only those
//! that belong to no feature: streams, logins, addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::specification_names::TITLES;
use crate::host::{Manifest, Status, Xep};
use crate::modules;

/// A conversation of the tests, with the sections that it covers.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Its path below `tests/scripts`, without extension.
    pub name: String,
    /// Specification and section, for example `XEP-0198` and `§5`.
    pub covers: Vec<(String, String)>,
}

/// The page of the implemented specifications, with the conversations that test them.
#[must_use]
pub fn markdown(conversations: &[Conversation]) -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n## Extensions\n\n");
    out.push_str("| specification | version | | where | conversations |\n|---|---|---|---|---|\n");
    for (xep, manifest) in xeps() {
        let status = match xep.status {
            Status::Complete => "complete",
            Status::Partial => "partial",
        };
        let name = format!("XEP-{:04}", xep.number);
        let row = format_args!(
            "| [{name}]({}): {} | {} | {status} | `{}` | {} |\n",
            address(xep.number),
            title(xep.number),
            xep.version,
            manifest.name,
            count(conversations, &name),
        );
        push(&mut out, row);
    }
    out.push_str("\n## Standards\n\n| standard | where | conversations |\n|---|---|---|\n");
    for (number, title, place) in RFCS {
        let name = format!("RFC {number}");
        let link = format!("https://www.rfc-editor.org/rfc/rfc{number}");
        let count = count(conversations, &name);
        push(&mut out, format_args!("| [{name}]({link}): {title} | {place} | {count} |\n"));
    }
    out.push_str("\n## What each part does\n\n| part | |\n|---|---|\n");
    for manifest in manifests() {
        push(&mut out, format_args!("| `{}` | {} |\n", manifest.name, manifest.summary));
    }
    conversations_by_section(&mut out, conversations);
    out
}

/// All implemented XEPs by number, with the part that implements each.
pub(super) fn xeps() -> Vec<(&'static Xep, &'static Manifest)> {
    let mut all: Vec<_> = manifests().flat_map(|m| m.xeps.iter().map(move |x| (x, m))).collect();
    all.sort_by_key(|(xep, manifest)| (xep.number, manifest.name));
    all
}

fn manifests() -> impl Iterator<Item = &'static Manifest> {
    BESIDE.iter().chain(modules::ALL.iter().map(|module| module.manifest()))
}

pub(super) fn address(xep: u16) -> String {
    format!("https://xmpp.org/extensions/xep-{xep:04}.html")
}

fn title(xep: u16) -> &'static str {
    TITLES.iter().find(|(number, _)| *number == xep).map_or("(title unknown)", |(_, title)| title)
}

/// The number of conversations that cover a specification; a dash if there is none.
fn count(conversations: &[Conversation], specification: &str) -> String {
    let covers = |c: &&Conversation| c.covers.iter().any(|(name, _)| name == specification);
    match conversations.iter().filter(covers).count() {
        0 => "–".to_owned(),
        n => n.to_string(),
    }
}

fn conversations_by_section(out: &mut String, conversations: &[Conversation]) {
    out.push_str("\n## Conversations\n\nWhich tests show what a section says.\n");
    // Sections are sorted by number, not by letters: §2 comes before §10.
    type Sections<'a> = BTreeMap<(Vec<u32>, &'a str), BTreeSet<&'a str>>;
    let mut all: BTreeMap<&str, Sections<'_>> = BTreeMap::new();
    for conversation in conversations {
        for (specification, section) in &conversation.covers {
            let sections = all.entry(specification).or_default();
            let names = sections.entry((numbers(section), section)).or_default();
            names.insert(&conversation.name);
        }
    }
    for (specification, sections) in all {
        push(out, format_args!("\n### {specification}\n\n"));
        for ((_, section), names) in sections {
            let link = |name: &&str| format!("[{name}](../tests/scripts/{name}.xmpp)");
            let names: Vec<_> = names.iter().map(link).collect();
            let section = if section.is_empty() { "as a whole" } else { section };
            push(out, format_args!("- {section}: {}\n", names.join(", ")));
        }
    }
}

fn numbers(section: &str) -> Vec<u32> {
    section.trim_start_matches('§').split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

pub(super) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes all");
}

const HEAD: &str = "\
# What is implemented

Made from the program and its tests: `WAXWING_REGENERATE=1 cargo test --test docs` writes it anew.
\"Complete\" means all that concerns a server. The version is that of the text we followed.
XEP-0198 holds between servers, too; only streams of clients are resumed.
";

/// The specifications that no module implements.
const BESIDE: &[Manifest] = &[
    Manifest {
        name: "auth",
        summary: "Logins by both profiles of SASL: SCRAM with channel binding, certificates, PLAIN, ANONYMOUS",
        xeps: &[
            Xep { number: 175, version: "1.2", status: Status::Complete },
            Xep { number: 178, version: "1.2", status: Status::Complete },
            Xep { number: 386, version: "1.1.0", status: Status::Complete },
            Xep { number: 388, version: "1.0.4", status: Status::Complete },
            // Without `tls-server-end-point` on TLS 1.2: decisions/0011-channel-binding-on-tls-1.2.md.
            Xep { number: 440, version: "1.0.0", status: Status::Partial },
            Xep { number: 474, version: "0.5.0", status: Status::Complete },
            Xep { number: 480, version: "0.2.0", status: Status::Complete },
            Xep { number: 484, version: "0.2.0", status: Status::Complete },
            Xep { number: 509, version: "0.2.0", status: Status::Complete },
            Xep { number: 515, version: "0.1.0", status: Status::Complete },
        ],
    },
    Manifest {
        name: "s2s",
        summary: "Streams between servers: certificates, dialback, direct TLS",
        xeps: &[
            Xep { number: 185, version: "1.0", status: Status::Complete },
            Xep { number: 220, version: "1.1.1", status: Status::Complete },
            Xep { number: 288, version: "1.0.1", status: Status::Complete },
            Xep { number: 495, version: "0.1.0", status: Status::Complete },
        ],
    },
    Manifest {
        name: "session",
        summary: "Sessions that outlive their connection, and leave phones asleep",
        xeps: &[
            Xep { number: 198, version: "1.6.3", status: Status::Complete },
            Xep { number: 352, version: "1.0.0", status: Status::Complete },
        ],
    },
    Manifest {
        name: "stream",
        summary: "Streams of clients: STARTTLS, direct TLS, WebSocket, BOSH, limits",
        xeps: &[
            Xep { number: 124, version: "1.11.2", status: Status::Complete },
            Xep { number: 156, version: "1.4.0", status: Status::Complete },
            Xep { number: 206, version: "1.4", status: Status::Complete },
            Xep { number: 368, version: "1.1.0", status: Status::Complete },
            Xep { number: 478, version: "0.2.0", status: Status::Complete },
            // Without QUIC, keys and ECH.
            Xep { number: 487, version: "0.1.0", status: Status::Partial },
        ],
    },
];

/// Number, title, and where, or how far, it is implemented.
pub(super) const RFCS: &[(u16, &str, &str)] = &[
    (4422, "Simple Authentication and Security Layer (SASL)", "`auth`"),
    (4505, "Anonymous SASL Mechanism", "`auth`"),
    (4616, "The PLAIN SASL Mechanism", "`auth`"),
    (
        5802,
        "Salted Challenge Response Authentication Mechanism (SCRAM)",
        "`auth`; SHA-512 likewise",
    ),
    (5929, "Channel Bindings for TLS", "`auth`: tls-server-end-point"),
    (6120, "XMPP: Core", "`stream`, `c2s`, `s2s`, `router`"),
    (6121, "XMPP: Instant Messaging and Presence", "`router`, `roster`"),
    (6455, "The WebSocket Protocol", "`http`; no extensions"),
    (7395, "An XMPP Subprotocol for WebSocket", "`http`, `stream`, `c2s`"),
    (7590, "Use of TLS in XMPP", "`tls`"),
    (7622, "XMPP: Address Format", "`jid`; local parts and resources by RFC 6122, as others do"),
    (7677, "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS", "`auth`"),
    (9266, "Channel Bindings for TLS 1.3", "`auth`: tls-exporter"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Conversation, TITLES, manifests, markdown, numbers, xeps};

    #[test]
    fn each_extension_has_a_title_and_one_home() {
        let titles: HashSet<_> = TITLES.iter().map(|(number, _)| *number).collect();
        assert_eq!(titles.len(), TITLES.len(), "a title stands twice");
        assert!(TITLES.is_sorted_by_key(|(number, _)| *number));
        let mut seen = HashSet::new();
        for (xep, manifest) in xeps() {
            assert!(titles.contains(&xep.number), "XEP-{:04} has no title", xep.number);
            assert!(
                seen.insert(xep.number),
                "XEP-{:04}: {}, and another",
                xep.number,
                manifest.name
            );
        }
        let names: Vec<_> = manifests().map(|m| m.name).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn conversations_stand_with_their_sections_in_order() {
        let covers = |s: &str| ("XEP-0199".to_owned(), s.to_owned());
        let one =
            Conversation { name: "a/one".into(), covers: vec![covers("§10"), covers("§2")] };
        let two = Conversation { name: "b/two".into(), covers: vec![covers("§2")] };
        let page = markdown(&[two, one]);
        assert!(page.contains("XMPP Ping | 2.0.1 | complete | `ping` | 2 |"), "{page}");
        let list = "### XEP-0199\n\n- §2: [a/one](../tests/scripts/a/one.xmpp), \
                    [b/two](../tests/scripts/b/two.xmpp)\n- §10: [a/one]";
        assert!(page.contains(list), "{page}");
        assert_eq!(numbers("§8.5.2.1.1"), [8, 5, 2, 1, 1]);
    }
}
