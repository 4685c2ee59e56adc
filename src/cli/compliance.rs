//! `docs/compliance.md`: the compliance suites of 2023 (XEP-0479), row by row, as far as they bind a server. What
//! is there comes from the manifests, so the page cannot claim what the program does not.

use super::specifications::{Conversation, address, xeps};
use crate::host::Status;

/// The page.
#[must_use]
pub fn markdown(conversations: &[Conversation]) -> String {
    let mut out = HEAD.to_owned();
    for (suite, rows) in SUITES {
        let core: Vec<_> = rows.iter().filter(|row| row.level == Core).collect();
        let met =
            |rows: &[&Row]| rows.iter().filter(|row| row.progress() == Progress::Complete).count();
        let all: Vec<_> = rows.iter().collect();
        let [core_met, all_met] = [met(&core), met(&all)];
        out.push_str(&format!(
            "\n## {suite}\n\nServer: {core_met} of {} rows. Advanced server: {all_met} of {} rows.\n\n{COLUMNS}",
            core.len(),
            all.len(),
        ));
        for row in *rows {
            let level = match row.level {
                Advanced => "advanced",
                Core => "server",
            };
            let needs = row.needs.iter().map(|need| cell(*need, conversations));
            let needs = needs.collect::<Vec<_>>().join("<br>");
            let state = word(row.progress());
            out.push_str(&format!("| {} | {level} | {state} | {needs} |\n", row.feature));
        }
    }
    out.push_str(NOTE);
    for (number, what) in OF_NOTE {
        let need = cell(Xep(*number), conversations);
        out.push_str(&format!("| {what} | {need} |\n"));
    }
    out
}

/// A row of a suite.
struct Row {
    feature: &'static str,
    level: Level,
    needs: &'static [Need],
}

/// How far a specification is implemented, or a row is met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    Complete,
    Missing,
    Partial,
}

/// The lower of the levels that want it.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Level {
    Advanced,
    Core,
}

/// A specification that a row wants.
#[derive(Clone, Copy)]
enum Need {
    Rfc(u16),
    Xep(u16),
}

impl Row {
    /// A row is met if all that it needs is there.
    fn progress(&self) -> Progress {
        let all: Vec<_> = self.needs.iter().map(|need| need.progress()).collect();
        let is = |wanted| move |progress: &Progress| *progress == wanted;
        match () {
            () if all.iter().all(is(Progress::Complete)) => Progress::Complete,
            () if all.iter().all(is(Progress::Missing)) => Progress::Missing,
            () => Progress::Partial,
        }
    }
}

impl Need {
    fn progress(self) -> Progress {
        match self {
            Self::Rfc(_) => Progress::Complete,
            Self::Xep(number) => {
                let found = xeps().into_iter().find(|(xep, _)| xep.number == number);
                found.map_or(Progress::Missing, |(xep, _)| match xep.status {
                    Status::Complete => Progress::Complete,
                    Status::Partial => Progress::Partial,
                })
            }
        }
    }
}

fn word(progress: Progress) -> &'static str {
    match progress {
        Progress::Complete => "yes",
        Progress::Missing => "no",
        Progress::Partial => "partly",
    }
}

/// The specification, how far it is there, and the conversations that test it.
fn cell(need: Need, conversations: &[Conversation]) -> String {
    let (name, link) = match need {
        Rfc(number) => {
            (format!("RFC {number}"), format!("https://www.rfc-editor.org/rfc/rfc{number}"))
        }
        Xep(number) => (format!("XEP-{number:04}"), address(number)),
    };
    let covers = |c: &&Conversation| c.covers.iter().any(|(of, _)| *of == name);
    let tests = match conversations.iter().filter(covers).count() {
        0 => String::new(),
        number => {
            let anchor = name.to_lowercase().replace(' ', "-");
            format!(", [conversations](xeps.md#{anchor}): {number}")
        }
    };
    let state = match (need, need.progress()) {
        (_, Progress::Complete) => "complete",
        (Rfc(_), _) => "streams of clients; other servers come later",
        (Xep(number), progress) => {
            let why = LATER.iter().find(|(of, _)| *of == number).map(|(_, why)| *why);
            why.unwrap_or(match progress {
                Progress::Missing => "missing",
                Progress::Complete | Progress::Partial => "partial",
            })
        }
    };
    format!("[{name}]({link}): {state}{tests}")
}

const HEAD: &str = "\
# Compliance

Made from the manifests of the program: `WAXWING_REGENERATE=1 cargo test --test docs` writes it anew.

[XEP-0479](https://xmpp.org/extensions/xep-0479.html), XMPP Compliance Suites 2023, version 0.1.0, is the newest suite.
Here are the rows that bind a server. A row is met (yes) if all specifications that it names are complete.
\"Complete\" means all that concerns a server, in the version that [xeps.md](xeps.md) names; the conversations
there are the tests. A suite is met only together with the suite Core. An advanced server meets all rows.
Waxwing needs no external component for any of them.
";

const COLUMNS: &str = "| feature | level | | needs |\n|---|---|---|---|\n";

const NOTE: &str = "
## Of note, and for the future

What the suite mentions and does not require.

| | |
|---|---|
";

/// Why a specification is not there.
const LATER: &[(u16, &str)] = &[
    (48, "missing: see XEP-0049 and XEP-0402"),
    (369, "missing, and not planned"),
    (397, "missing: see XEP-0388"),
    (409, "missing: see XEP-0388"),
];

use Level::{Advanced, Core};
use Need::{Rfc, Xep};

const fn row(feature: &'static str, level: Level, needs: &'static [Need]) -> Row {
    Row { feature, level, needs }
}

/// XEP-0479 §2.
const SUITES: &[(&str, &[Row])] = &[
    (
        "Core",
        &[
            row("Core features", Core, &[Rfc(6120)]),
            row("TLS", Core, &[Rfc(7590)]),
            row("Direct TLS", Advanced, &[Xep(368)]),
            row("Feature discovery", Core, &[Xep(30)]),
            row("Feature broadcasts", Advanced, &[Xep(115)]),
            row("Server extensibility", Core, &[Xep(114)]),
            row("Event publishing", Advanced, &[Xep(163)]),
        ],
    ),
    ("Web", &[row("Web connection mechanisms", Core, &[Rfc(7395), Xep(206)])]),
    (
        "IM",
        &[
            row("Core features", Core, &[Rfc(6121)]),
            row("User avatar compatibility", Advanced, &[Xep(398), Xep(153)]),
            row("vcard-temp", Core, &[Xep(54)]),
            row("Outbound message synchronization", Core, &[Xep(280)]),
            row("User blocking", Advanced, &[Xep(191)]),
            row("Group chat", Core, &[Xep(45), Xep(249)]),
            row("Advanced group chat", Advanced, &[Xep(48), Xep(313), Xep(402), Xep(410)]),
            row("Persistent storage of private data via PubSub", Advanced, &[Xep(223)]),
            row("Private XML storage", Advanced, &[Xep(49)]),
            row("Stream management", Advanced, &[Xep(198)]),
            row("History storage and retrieval", Advanced, &[Xep(313)]),
            row("File upload", Core, &[Xep(363)]),
        ],
    ),
    (
        "Mobile",
        &[
            row("Stream management", Core, &[Xep(198)]),
            row("Client state indication", Core, &[Xep(352)]),
            row("Third-party push notifications", Advanced, &[Xep(357)]),
        ],
    ),
    ("A/V calling", &[row("STUN and TURN server discovery", Core, &[Xep(215)])]),
];

/// XEP-0479 §2.3, §3, as far as it concerns a server.
const OF_NOTE: &[(u16, &str)] = &[
    (77, "registration, off by default"),
    (157, "contact addresses"),
    (386, "connections in fewer round trips"),
    (390, "the successor of XEP-0115"),
    (397, "resumption with the login"),
    (402, "bookmarks in PEP"),
    (409, "resumption without a login"),
    (424, "retraction of messages"),
    (425, "moderation in rooms"),
    (433, "search for rooms"),
    (445, "registration by invitation"),
    (455, "outage of the service"),
    (369, "another group chat"),
];

#[cfg(test)]
mod tests {
    use super::super::specifications::RFCS;
    use super::{Level, Need, Progress, SUITES, markdown, row, word};

    #[test]
    fn each_standard_of_a_suite_is_listed() {
        let needs = SUITES.iter().flat_map(|(_, rows)| *rows).flat_map(|row| row.needs);
        for need in needs {
            let Need::Rfc(number) = need else { continue };
            assert!(RFCS.iter().any(|(rfc, ..)| rfc == number), "RFC {number}");
        }
    }

    #[test]
    fn a_row_is_met_only_by_all_that_it_names() {
        const NONE: Need = Need::Xep(9999);
        const DONE: Need = Need::Xep(30);
        const HALF: Need = Need::Xep(158);
        for (needs, progress) in [
            (&[DONE] as &[Need], Progress::Complete),
            (&[DONE, Need::Rfc(7590)], Progress::Complete),
            (&[DONE, NONE], Progress::Partial),
            (&[NONE, HALF], Progress::Partial),
            (&[HALF], Progress::Partial),
            (&[NONE, NONE], Progress::Missing),
        ] {
            let needs: &'static [Need] = Vec::leak(needs.to_vec());
            assert!(row("", Level::Core, needs).progress() == progress, "{}", word(progress));
        }
        assert!(markdown(&[]).contains("| Private XML storage | advanced | yes | [XEP-0049]"));
    }
}
