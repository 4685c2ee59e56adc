//! `user import`: creates many accounts, one for each line.
//!
//! ```text
//! # a comment
//! romeo@montague.lit  wherefore art thou
//! juliet@capulet.lit beauteous
//! ```
//!
//! The address ends at the first space or tab. The password begins after all spaces and tabs, and goes to the
//! end of the line: it may contain spaces, and end with them. A local part alone belongs to the domain
//! that the caller named, or else to the default domain. Empty lines, and lines that begin with `#`, are
//! ignored. Accounts that exist are not changed.

use rustc_hash::FxHashMap;
use serde_json::json;

use super::account::{must_be_served, needed};
use crate::host::command::{
    ArgumentKind, Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::jid::BareJid;
use crate::storage::{Created, NewAccount};

pub(super) static IMPORT: Command = Command {
    path: &["user", "import"],
    about: "Create many accounts: each line has an address, a space or tab, and a password",
    arguments: &[needed("accounts", ArgumentKind::Lines, "The accounts")],
    permission: Permission::Write,
    question: None,
    without_server: WithoutServer::OnData,
    run: |cx, arguments| Box::pin(import(cx, arguments)),
};

async fn import(cx: &CommandCx, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let mut report = Report::default();
    let entries = read(cx, arguments.required("accounts")?, &mut report);
    for batch in entries.chunks(BATCH) {
        make(cx, batch, &mut report).await?;
    }
    Ok(report.into_outcome())
}

/// A good line.
struct Entry<'a> {
    line: usize,
    user: BareJid,
    password: &'a str,
}

#[derive(Default)]
struct Report {
    made: usize,
    exists: Vec<BareJid>,
    /// Line and problem.
    bad: Vec<(usize, String)>,
}

fn read<'a>(cx: &CommandCx, text: &'a str, report: &mut Report) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    let mut seen = FxHashMap::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with('#') || text.trim().is_empty() {
            continue;
        }
        match entry(cx, line, text) {
            Ok(entry) => match seen.get(&entry.user) {
                Some(first) => {
                    let problem = format!("{} occurs already on line {first}", entry.user);
                    report.bad.push((line, problem));
                }
                None => {
                    seen.insert(entry.user.clone(), line);
                    entries.push(entry);
                }
            },
            Err(problem) => report.bad.push((line, problem)),
        }
    }
    entries
}

/// Reads one line. The error never contains the password.
fn entry<'a>(cx: &CommandCx, line: usize, text: &'a str) -> Result<Entry<'a>, String> {
    let (address, password) =
        text.split_once([' ', '\t']).ok_or("no password after the address")?;
    if address.is_empty() {
        return Err("the line begins with a space".to_owned());
    }
    let password = password.trim_start_matches([' ', '\t']);
    if password.is_empty() {
        return Err("no password after the address".to_owned());
    }
    let user = cx.account(address).map_err(|error| error.to_string())?;
    must_be_served(cx, &user).map_err(|error| error.to_string())?;
    Ok(Entry { line, user, password })
}

async fn make(
    cx: &CommandCx,
    batch: &[Entry<'_>],
    report: &mut Report,
) -> Result<(), CommandError> {
    let mut new = Vec::with_capacity(batch.len());
    for entry in batch {
        // Before the keys are derived, which costs a thousand times more.
        match cx.storage.accounts().find(&entry.user).await? {
            Some(_) => report.exists.push(entry.user.clone()),
            None => new.push(entry),
        }
    }
    let passwords = new.iter().map(|entry| entry.password.to_owned()).collect();
    let keys = cx.derivations.keys_of_many(passwords, cx.config.auth.iterations).await;
    let mut accounts = Vec::with_capacity(new.len());
    for (entry, keys) in new.iter().zip(keys) {
        match keys {
            Ok(keys) => {
                let user = entry.user.clone();
                accounts.push(NewAccount { user, keys, created: cx.clock.now(), admin: false });
            }
            Err(problem) if problem.is_internal() => return Err(problem.into()),
            Err(problem) => report.bad.push((entry.line, problem.to_string())),
        }
    }
    let created = cx.storage.accounts().create(&accounts).await?;
    for (account, created) in accounts.into_iter().zip(created) {
        match created {
            Created::Exists => report.exists.push(account.user),
            Created::Made => report.made += 1,
        }
    }
    Ok(())
}

impl Report {
    fn into_outcome(mut self) -> Outcome {
        self.bad.sort();
        let mut text = format!("Created {}, {} already exist", self.made, self.exists.len());
        if self.bad.is_empty() {
            text.push('.');
        } else {
            text.push_str(&format!(", {} lines are invalid:", self.bad.len()));
        }
        for (line, problem) in &self.bad {
            text.push_str(&format!("\nline {line}: {problem}"));
        }
        for user in &self.exists {
            text.push_str(&format!("\nexists: {user}"));
        }
        let bad = self.bad.iter().map(|(line, problem)| json!({"line": line, "problem": problem}));
        let bad: Vec<_> = bad.collect();
        let json = json!({ "made": self.made, "exists": self.exists, "bad": bad });
        match bad.is_empty() {
            true => Outcome::Done { text, json },
            false => Outcome::Partly { text, json },
        }
    }
}

/// Accounts that are created in one transaction. Few enough that their keys need little memory.
const BATCH: usize = 500;
