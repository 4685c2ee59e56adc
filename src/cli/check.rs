//! `config check`: whether a server would start with this configuration on this machine, and whether
//! clients could use it. It opens the same things as `serve`, by the same code, and changes nothing.

use std::io;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, access};
use serde::Serialize;
use serde_json::{Value, json};

use super::arguments::Options;
use super::exit::{Exit, Problem};
use super::instance::{self, Place};
use super::output::Output;
use crate::clock::Clock;
use crate::config::{Backend, Config, DEFAULT_DOMAIN};
use crate::limit::{connections, raise_open_files};
use crate::payload::datetime::Timestamp;
use crate::{log, server, tls};

/// The severity of a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Severity {
    /// The server would not start, or no client could log in.
    Error,
    /// It could not be checked.
    NotChecked,
    /// The server would start, but the administrator should know.
    Warning,
}

/// A finding.
#[derive(Debug, Serialize)]
struct Finding {
    severity: Severity,
    /// An option or a host. Empty if the message names it.
    about: String,
    message: String,
}

/// Checks the configuration. The exit code is 6 if there is an error; warnings do not count.
pub(super) fn run(options: &Options, output: &Output) -> Result<Exit, Problem> {
    let place = instance::find(options)?;
    let findings = findings(&place)?;
    let subject = match &place.file {
        Some(file) => file.display().to_string(),
        None => "The default configuration".to_owned(),
    };
    let lines = findings.iter().map(|finding| format!("\n{}", finding.line())).collect::<String>();
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(Problem {
            exit: Exit::Configuration,
            message: format!("{subject} has errors:{lines}"),
            details: serde_json::to_value(&findings).ok(),
        });
    }
    let domains: Vec<_> = place.config.hosts.iter().map(|host| host.domain.as_str()).collect();
    let mut text = match &place.file {
        Some(_) => format!("{subject} is OK (serves {}).", domains.join(", ")),
        None => "No configuration file; the defaults are used.".to_owned(),
    };
    text.push_str(&lines);
    if let Some(note) = instance::here_alone(&place.config) {
        text.push_str(&format!("\nNote: {note}."));
    }
    let json = json!({
        "file": place.file,
        "ok": true,
        "domains": domains,
        "warnings": of(&findings, Severity::Warning),
        "not_checked": of(&findings, Severity::NotChecked),
    });
    output.say(&text, &json)?;
    Ok(Exit::Ok)
}

fn of(findings: &[Finding], severity: Severity) -> Vec<Value> {
    let some = findings.iter().filter(|finding| finding.severity == severity);
    some.map(|finding| json!({ "about": finding.about, "message": finding.message })).collect()
}

impl Finding {
    fn new(severity: Severity, about: impl Into<String>, message: &impl ToString) -> Self {
        Self { severity, about: about.into(), message: message.to_string() }
    }

    fn line(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::NotChecked => "not checked",
            Severity::Warning => "warning",
        };
        match self.about.as_str() {
            // The sentence begins with the option.
            "" => format!("{severity}: {}", self.message),
            about => format!("{severity}: {about}: {}", self.message),
        }
    }
}

fn findings(place: &Place) -> Result<Vec<Finding>, Problem> {
    let config = &place.config;
    let clock = Clock::system();
    let warnings = config.warnings().into_iter();
    let mut found: Vec<_> =
        warnings.map(|warning| Finding::new(Severity::Warning, "", &warning)).collect();
    check_certificates(config, clock.now(), &mut found);
    check_data(config, &mut found);
    check_clock(clock.now(), &mut found);
    check_open_files(config, &mut found);
    if let Err(error) = log::check(&config.log) {
        found.push(Finding::new(Severity::Error, "log", &error));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        check_ports(config, &mut found).await;
        check_names(config, &mut found).await;
    });
    // The program does not wait for a lookup that hangs.
    runtime.shutdown_background();
    Ok(found)
}

fn check_certificates(config: &Config, now: Timestamp, found: &mut Vec<Finding>) {
    if let Err(error) = tls::inspect_authorities(config) {
        found.push(Finding::new(Severity::Error, "auth.certificate_authorities", &error));
    }
    for host in &config.hosts {
        let about = format!("host {}", host.domain);
        match tls::inspect(host, config, now) {
            Ok(doubts) => found.extend(doubts.into_iter().map(|doubt| {
                let severity = match doubt.is_refused_by_clients() {
                    true => Severity::Error,
                    false => Severity::Warning,
                };
                Finding::new(severity, about.clone(), &doubt)
            })),
            Err(error) => found.push(Finding::new(Severity::Error, about, &error)),
        }
    }
}

/// Checks the data directory, or the place where it will be created. (The server denies other users
/// access to it.)
fn check_data(config: &Config, found: &mut Vec<Finding>) {
    if config.storage.backend == Backend::Memory {
        return;
    }
    let data = &config.data;
    let there = data.ancestors().find(|dir| dir.as_os_str().is_empty() || dir.exists());
    let there = there.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut add = |severity, message: String| found.push(Finding::new(severity, "data", &message));
    if !there.is_dir() {
        return add(
            Severity::Error,
            format!("{} is not a directory: name another `data`", there.display()),
        );
    }
    if access(there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let text = format!(
            "this user may not write in {}: run the check as the user who runs the server, or give \
             that user the directory",
            there.display()
        );
        add(Severity::Error, text);
    }
}

fn check_clock(now: Timestamp, found: &mut Vec<Finding>) {
    if Timestamp::parse(BUILT).is_some_and(|built| now < built) {
        let text = format!("this machine believes that it is {now}, which is past: set its clock");
        found.push(Finding::new(Severity::Warning, "clock", &text));
    }
}

fn check_open_files(config: &Config, found: &mut Vec<Finding>) {
    let wanted = config.limits.connections;
    let possible = connections(wanted, raise_open_files());
    // The default is more than most machines allow. It means: as many as possible.
    let is_default = wanted == Config::default_for(DEFAULT_DOMAIN, "".into()).limits.connections;
    if possible < wanted && (!is_default || possible < FEW) {
        let text = format!(
            "{wanted} connections are allowed, and this process may open files for {possible} only: \
             raise the limit of open files (`ulimit -n`, LimitNOFILE), or lower the option"
        );
        found.push(Finding::new(Severity::Warning, "limits.connections", &text));
    }
}

/// Checks whether the ports are free, unless the server itself uses them.
async fn check_ports(config: &Config, found: &mut Vec<Finding>) {
    let refused = match UnixStream::connect(config.admin_socket()) {
        Ok(_) => Err("a server runs and has them"),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err("a server of another user may run")
        }
        Err(_) => Ok(server::refused_ports(&config.open_ports())),
    };
    match refused {
        Ok(refused) => found.extend(
            refused
                .into_iter()
                .map(|refused| Finding::new(Severity::Error, refused.option, &refused)),
        ),
        Err(why) => found.push(Finding::new(Severity::NotChecked, "listen", &why)),
    }
}

/// Checks whether the domains have addresses. Without a network, this is unknown.
async fn check_names(config: &Config, found: &mut Vec<Finding>) {
    for host in &config.hosts {
        let domain = host.domain.as_str();
        let is_address = domain.starts_with('[') || domain.parse::<IpAddr>().is_ok();
        let is_local = domain == "localhost" || domain.ends_with(".localhost");
        if is_address || is_local {
            continue;
        }
        let Ok(name) = idna::domain_to_ascii(domain) else { continue };
        let lookup = tokio::net::lookup_host((name, 0));
        let why = match tokio::time::timeout(PATIENCE, lookup).await {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "there was no answer".to_owned(),
        };
        let text = format!(
            "the DNS gave no address for {domain} ({why}); clients find the server only if the DNS \
             has an address or SRV records for it"
        );
        found.push(Finding::new(Severity::NotChecked, format!("host {domain}"), &text));
    }
}

/// The program did not exist before this time: if the clock shows an earlier one, it is wrong.
const BUILT: &str = "2026-11-01T00:00:00Z";
/// A limit of fewer connections is probably a mistake.
const FEW: usize = 900;
/// The time limit for the answer of a name server.
const PATIENCE: Duration = Duration::from_secs(3);
