//! `init` and `config explain`.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use rustix::process::geteuid;
use serde_json::json;

use super::arguments::Options;
use super::exit::{Exit, Problem};
use super::output::Output;
use super::{check, instance};
use crate::config::{DEFAULT_DATA, DEFAULT_DOMAIN, commented, explain};
use crate::files;

/// `init`: writes a configuration.
pub(super) fn init(
    matches: &ArgMatches,
    options: &Options,
    output: &Output,
) -> Result<Exit, Problem> {
    if matches.value_source("data") == Some(ValueSource::CommandLine) {
        let text = "--data has no place here; set `data` in the file that is written";
        return Err(Problem::new(Exit::Invalid, text));
    }
    let domain = match &options.domain {
        Some(domain) => instance::prepared(domain)?,
        None => instance::remembered(Path::new(DEFAULT_DATA))?.unwrap_or(DEFAULT_DOMAIN.to_owned()),
    };
    let file = options.config.clone().unwrap_or_else(|| PathBuf::from("waxwing.toml"));
    write(&file, &commented(&domain), matches.get_flag("force")).map_err(|error| {
        let name = file.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Problem::new(Exit::Conflict, format!("{name} exists; --force replaces it"))
            }
            _ => Problem::new(Exit::Failed, format!("{name}: {error}")),
        }
    })?;
    let text = format!("Wrote {} for the domain {domain}.", file.display());
    output.say(&text, &json!({ "file": file, "domain": domain }))?;
    Ok(Exit::Ok)
}

/// `config`
pub(super) fn dispatch(
    matches: &ArgMatches,
    options: &Options,
    output: &Output,
) -> Result<Exit, Problem> {
    match matches.subcommand() {
        Some(("check", _)) => check::run(options, output),
        Some(("explain", matches)) => {
            explain_one(matches.get_one::<String>("section").map(String::as_str), output)
        }
        _ => unreachable!("clap wants one of these"),
    }
}

fn explain_one(section: Option<&str>, output: &Output) -> Result<Exit, Problem> {
    let text = explain(section);
    let text = text.trim_end();
    if section.is_some_and(|section| text.starts_with(&format!("There is no `{section}`"))) {
        return Err(Problem::new(Exit::NotFound, text));
    }
    output.say(text, &json!({ "text": text }))?;
    Ok(Exit::Ok)
}

fn write(file: &Path, text: &str, replace: bool) -> io::Result<()> {
    if replace {
        files::write_whole(file, text.as_bytes(), 0o644)?;
    } else {
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o644).open(file)?;
        files::hand_over(&out, file)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
    }
    if geteuid().is_root() {
        // The server reads the file as another user, so the mode must not depend on the umask of root.
        // The file contains no secrets.
        fs::set_permissions(file, Permissions::from_mode(0o644))?;
    }
    Ok(())
}
