//! Describes the options, for `waxwing config explain`, `waxwing init` and the documents.

use std::fmt::Write as _;

use super::nearest::nearest;
use super::section::{Applies, Entry, Section};
use super::top_level::Head;
use super::{
    AdminConfig, ApiConfig, ArchiveConfig, AuthConfig, BudgetsConfig, ClientStateConfig,
    ComponentConfig, ContactConfig, DataPolicyConfig, ExternalServicesConfig, FilesConfig,
    HostConfig, InvitationsConfig, LimitsConfig, ListenConfig, LogConfig, PubSubConfig,
    RegistrationConfig, RoomsConfig, S2sConfig, S3Config, StaticFilesConfig, StorageConfig,
    StrangersConfig,
};

/// The description of a section.
pub(super) struct SectionDocs {
    pub(super) name: &'static str,
    docs: &'static [&'static str],
    pub(super) entries: Vec<Entry>,
}

/// All sections, in the order in which they are shown.
pub(super) fn sections(domains: &[String]) -> Vec<SectionDocs> {
    fn docs<T: Section>(domains: &[String]) -> SectionDocs {
        SectionDocs { name: T::NAME, docs: T::DOCS, entries: T::entries(domains) }
    }
    vec![
        docs::<Head>(domains),
        docs::<HostConfig>(domains),
        docs::<ListenConfig>(domains),
        docs::<AuthConfig>(domains),
        docs::<RegistrationConfig>(domains),
        docs::<InvitationsConfig>(domains),
        docs::<ArchiveConfig>(domains),
        docs::<FilesConfig>(domains),
        docs::<S3Config>(domains),
        docs::<ApiConfig>(domains),
        docs::<StaticFilesConfig>(domains),
        docs::<PubSubConfig>(domains),
        docs::<ClientStateConfig>(domains),
        docs::<RoomsConfig>(domains),
        docs::<ComponentConfig>(domains),
        docs::<S2sConfig>(domains),
        docs::<StrangersConfig>(domains),
        docs::<StorageConfig>(domains),
        docs::<LimitsConfig>(domains),
        docs::<BudgetsConfig>(domains),
        docs::<AdminConfig>(domains),
        docs::<ContactConfig>(domains),
        docs::<DataPolicyConfig>(domains),
        docs::<ExternalServicesConfig>(domains),
        docs::<LogConfig>(domains),
    ]
}

impl SectionDocs {
    /// The header of the section, as it is written in the file.
    pub(super) fn heading(&self) -> String {
        match self.name {
            "" => "the head of the file".to_owned(),
            // The sections that may be repeated.
            ComponentConfig::NAME | HostConfig::NAME | RoomsConfig::NAME => {
                format!("[[{}]]", self.name)
            }
            name => format!("[{name}]"),
        }
    }
}

/// Describes all options, those of one section (`limits`), or one option (`limits.stanza`).
#[must_use]
pub fn explain(wanted: Option<&str>) -> String {
    let all = sections(&example_domain());
    let mut out = String::new();
    let (section, option) = match wanted.map(|wanted| wanted.trim_matches(['[', ']'])) {
        None => (None, None),
        Some(wanted) => match wanted.split_once('.') {
            Some((section, option)) => (Some(section), Some(option)),
            None if all[0].entries.iter().any(|entry| entry.name == wanted) => {
                (Some(""), Some(wanted))
            }
            None => (Some(wanted), None),
        },
    };
    for docs in all.iter().filter(|docs| section.is_none_or(|section| section == docs.name)) {
        let entries = docs.entries.iter();
        let entries: Vec<_> =
            entries.filter(|entry| option.is_none_or(|option| option == entry.name)).collect();
        if entries.is_empty() {
            continue;
        }
        if option.is_none() {
            explain_heading(&mut out, docs);
        }
        for entry in entries {
            explain_entry(&mut out, docs.name, entry);
        }
    }
    match wanted {
        Some(wanted) if out.is_empty() => not_found(wanted, &all),
        _ => out,
    }
}

fn explain_heading(out: &mut String, docs: &SectionDocs) {
    if !out.is_empty() {
        out.push('\n');
    }
    if !docs.name.is_empty() {
        push(out, format_args!("{}\n", docs.heading()));
    }
    for line in docs.docs {
        push(out, format_args!("{}\n", line.trim()));
    }
    out.push('\n');
}

fn explain_entry(out: &mut String, section: &str, entry: &Entry) {
    match section {
        "" => push(out, format_args!("  {}\n", entry.name)),
        section => push(out, format_args!("  {section}.{}\n", entry.name)),
    }
    for line in entry.docs {
        push(out, format_args!("      {}\n", line.trim()));
    }
    for (index, line) in wrapped(&entry.kind).iter().enumerate() {
        let label = if index == 0 { "value:  " } else { "        " };
        push(out, format_args!("      {label} {line}\n"));
    }
    push(out, format_args!("      default: {}\n", default_of(entry)));
    push(out, format_args!("      changes: {}\n", applies(entry.applies)));
}

fn not_found(wanted: &str, all: &[SectionDocs]) -> String {
    let sections: Vec<_> = all.iter().map(|docs| docs.name).filter(|n| !n.is_empty()).collect();
    let options = all
        .iter()
        .flat_map(|docs| docs.entries.iter().map(|entry| format!("{}.{}", docs.name, entry.name)));
    let options: Vec<_> = options.collect();
    let names = sections.iter().copied().chain(options.iter().map(String::as_str));
    match nearest(wanted, names) {
        Some(meant) => format!("There is no `{wanted}`; did you mean `{meant}`?\n"),
        None => {
            format!("There is no `{wanted}`. The sections are {}.\n", sections.join(", "))
        }
    }
}

/// The file that `waxwing init` writes. Each option has its description and its default as comments.
/// Required options are set.
#[must_use]
pub fn commented(domain: &str) -> String {
    let mut out = String::from(COMMENTED_HEAD);
    for docs in sections(&[domain.to_owned()]) {
        out.push('\n');
        for line in docs.docs {
            comment(&mut out, line);
        }
        // A section that would add something is written as comments alone.
        let off = if docs.name == ComponentConfig::NAME { "#" } else { "" };
        if !docs.name.is_empty() {
            push(&mut out, format_args!("{off}{}\n", docs.heading()));
        }
        for entry in &docs.entries {
            out.push('\n');
            for line in entry.docs {
                comment(&mut out, line);
            }
            for line in wrapped(&format!("Value: {}.", entry.kind)) {
                comment(&mut out, &line);
            }
            comment(&mut out, &format!("A change is applied {}.", applies(entry.applies)));
            match (&entry.default, entry.example) {
                (_, _) if entry.required && !off.is_empty() => {
                    let value = super::value::quote(&format!("irc.{domain}"));
                    push(&mut out, format_args!("{off}{} = {value}\n", entry.name));
                }
                (_, _) if entry.required => {
                    let value = super::value::quote(domain);
                    push(&mut out, format_args!("{} = {value}\n", entry.name));
                }
                (Some(default), _) => push(&mut out, format_args!("#{} = {default}\n", entry.name)),
                (None, Some(example)) => {
                    comment(&mut out, "Not set by default; for example:");
                    push(&mut out, format_args!("#{} = {example}\n", entry.name));
                }
                (None, None) => {}
            }
        }
    }
    out
}

/// `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(MARKDOWN_HEAD);
    for docs in sections(&example_domain()) {
        match docs.name {
            "" => out.push_str("\n## The head of the file\n\n"),
            _ => push(&mut out, format_args!("\n## `{}`\n\n", docs.heading())),
        }
        for line in docs.docs {
            push(&mut out, format_args!("{}\n", line.trim()));
        }
        for entry in &docs.entries {
            push(&mut out, format_args!("\n### `{}`\n\n", entry.name));
            for line in entry.docs {
                push(&mut out, format_args!("{}\n", line.trim()));
            }
            push(&mut out, format_args!("\n- Value: {}.\n", entry.kind));
            push(&mut out, format_args!("- Default: {}.\n", markdown_default(entry)));
            push(&mut out, format_args!("- A change is applied {}.\n", applies(entry.applies)));
        }
    }
    out
}

/// The defaults are shown for a server with a public domain.
fn example_domain() -> [String; 1] {
    ["example.org".to_owned()]
}

fn default_of(entry: &Entry) -> String {
    match &entry.default {
        _ if entry.required => "none, it must be set".to_owned(),
        Some(default) => default.clone(),
        None => "not set".to_owned(),
    }
}

fn markdown_default(entry: &Entry) -> String {
    match &entry.default {
        Some(default) if !entry.required => format!("`{} = {default}`", entry.name),
        _ => default_of(entry),
    }
}

fn applies(applies: Applies) -> &'static str {
    match applies {
        Applies::Reload => "by a reload (SIGHUP)",
        Applies::Restart => "by a restart",
    }
}

fn comment(out: &mut String, line: &str) {
    push(out, format_args!("{}\n", format!("# {}", line.trim()).trim_end()));
}

/// Wraps a text into lines that are as long as those of the documentation.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            lines[last].push_str(word);
        } else if lines[last].len() + word.len() < 96 {
            push(&mut lines[last], format_args!(" {word}"));
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String does not fail");
}

const COMMENTED_HEAD: &str = "\
# The configuration of Waxwing.
#
# Lines that begin with `#` and a name show what holds anyway; remove the `#` to change it.
# `waxwing config check` finds all mistakes, `waxwing config explain` shows this text.
# In a text, `${NAME}` is the environment variable NAME.
# Each option says whether a reload (SIGHUP, `systemctl reload waxwing`) applies a change, or only a
# restart. A reload reads the files of the certificates anew, too.
";

const MARKDOWN_HEAD: &str = "\
<!-- Generated from src/config/; WAXWING_REGENERATE=1 cargo test --test docs writes it anew. -->

# Configuration

One TOML file has all options. Without a file, the defaults hold, for the domain `localhost`.

- `waxwing init` writes a file with all options, their docs, and their defaults commented out.
- `waxwing config check` reports every mistake of a file, with line, column, and what to write instead.
- `waxwing config explain` prints this page; `waxwing config explain limits` prints one section, and
  `waxwing config explain limits.stanza` one option.

A size is a whole number with one of the units B, KB, KiB, MB, MiB, GB, GiB: `\"64 KiB\"`. A duration has
one of ms, s, min, h, d: `\"30s\"`, `\"3 min\"`.

In a text, `${NAME}` stands for the environment variable `NAME`: `data = \"${STATE_DIRECTORY}\"`. One that
is not set is an error. `$${` stands for `${` itself. Names of options and comments are left alone. The
environment is that of the start: a reload does not change it.
";
