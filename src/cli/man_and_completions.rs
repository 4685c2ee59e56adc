//! Shell completions and manual pages, for packages.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::ArgMatches;
use serde_json::json;

use super::arguments;
use super::exit::{Exit, Problem};
use super::output::Output;

/// `completions`
pub(super) fn completions(matches: &ArgMatches) -> Result<Exit, Problem> {
    let shell = *matches.get_one::<clap_complete::Shell>("shell").expect("clap wants it");
    // The text goes to memory first, because the generator panics if it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut arguments::program(), "waxwing", &mut text);
    io::stdout().lock().write_all(&text)?;
    Ok(Exit::Ok)
}

/// `man`
pub(super) fn man(matches: &ArgMatches, output: &Output) -> Result<Exit, Problem> {
    match matches.get_one::<PathBuf>("out") {
        None => io::stdout().lock().write_all(&page()?)?,
        Some(directory) => {
            let failed = |error: io::Error| {
                Problem::new(Exit::Failed, format!("{}: {error}", directory.display()))
            };
            std::fs::create_dir_all(directory).map_err(failed)?;
            clap_mangen::generate_to(arguments::program(), directory).map_err(failed)?;
            std::fs::write(directory.join("waxwing.1"), page()?).map_err(failed)?;
            let text = format!("Wrote the manual pages into {}.", directory.display());
            output.say(&text, &json!({ "directory": directory }))?;
        }
    }
    Ok(Exit::Ok)
}

/// The manual page of the program: its arguments, and sections about everything else.
fn page() -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let man = clap_mangen::Man::new(arguments::program());
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    man.render_subcommands_section(&mut out)?;
    let codes = arguments::exit_codes();
    section(&mut out, "EXIT STATUS", &codes);
    section(&mut out, "ENVIRONMENT", ENVIRONMENT);
    section(&mut out, "FILES", FILES);
    section(&mut out, "SIGNALS", SIGNALS);
    section(&mut out, "EXAMPLES", EXAMPLES);
    man.render_version_section(&mut out)?;
    Ok(out)
}

/// A section that lists names, each with a sentence.
fn section(out: &mut Vec<u8>, title: &str, lines: &[(&str, &str)]) {
    let mut text = format!(".SH \"{title}\"\n");
    for (name, about) in lines {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", roff(name), roff(about)));
    }
    out.extend_from_slice(text.as_bytes());
}

/// A line of text as roff: hyphens stay hyphens, and nothing is read as a request.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

const ENVIRONMENT: &[(&str, &str)] = &[
    ("WAXWING_CONFIG", "The configuration, if --config is not given."),
    ("WAXWING_DATA", "The data directory, if --data is not given."),
    (
        "Any other",
        "In a text of the configuration, ${NAME} stands for the variable NAME of the environment.",
    ),
    ("NOTIFY_SOCKET", "Set by systemd: the server tells when it is ready, reloads and ends."),
    (
        "JOURNAL_STREAM",
        "Set by systemd: the log goes to journald, unless log.format says otherwise.",
    ),
];

const FILES: &[(&str, &str)] = &[
    ("./waxwing.toml", "The configuration, if it is there and no other is given."),
    ("/etc/waxwing/waxwing.toml", "The configuration, if there is no ./waxwing.toml."),
    ("./waxwing-data/", "The data directory, if neither --data nor the configuration names one."),
    ("waxwing.sqlite", "In the data directory: accounts, rosters, messages, sessions."),
    ("certs/", "In the data directory: self-signed certificates, and their keys."),
    ("admin.sock", "In the data directory: the socket over which commands ask a running server."),
    ("lock", "In the data directory: held by the program that uses it; says which one."),
    ("domain", "In the data directory: the domain of a server without a configuration."),
];

const SIGNALS: &[(&str, &str)] = &[
    ("SIGTERM, SIGINT", "The server ends in good order. A second one ends it at once."),
    ("SIGHUP", "The server reads the configuration and the certificates again."),
];

const EXAMPLES: &[(&str, &str)] = &[
    ("waxwing serve", "Runs a server for localhost. Its data are in ./waxwing-data."),
    (
        "waxwing serve --domain chat.example.org",
        "Runs a server for another domain, which it remembers.",
    ),
    (
        "waxwing init --domain chat.example.org",
        "Writes ./waxwing.toml, with all options explained.",
    ),
    ("waxwing config check", "Reports every mistake in the configuration."),
    ("waxwing user add romeo --random", "Makes an account and prints its password."),
    (
        "waxwing user import < accounts.txt",
        "Makes many accounts: an address and a password on each line.",
    ),
    ("waxwing status --json", "Tells whether the server runs, and how it does."),
];

#[cfg(test)]
mod tests {
    use super::roff;

    #[test]
    fn text_is_no_request_of_roff() {
        assert_eq!(roff("./a-b"), "\\&./a\\-b");
        assert_eq!(roff("'a\\b"), "\\&'a\\eb");
    }
}
