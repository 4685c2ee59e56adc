//! Input that is not on the command line: passwords and long texts.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;

use super::exit::{Exit, Problem};
use crate::admin::socket::MAX_REQUEST;

/// Asks a question that must be answered with yes. An empty answer means no.
///
/// # Errors
/// If the answer is no, or there is no terminal.
pub(super) fn confirm(question: &str) -> Result<(), Problem> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let text = format!("{question} There is no terminal to ask on: use --yes to confirm");
        return Err(Problem::new(Exit::Unconfirmed, text));
    }
    let answer = dialoguer::Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact()
        .map_err(|error| Problem::new(Exit::Failed, error.to_string()))?;
    match answer {
        true => Ok(()),
        false => Err(Problem::new(Exit::Unconfirmed, "nothing was done")),
    }
}

/// A new password, typed twice.
pub(super) fn new_password() -> Result<String, Problem> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let text = "there is no terminal to ask for the password: use --password-stdin";
        return Err(Problem::new(Exit::Invalid, text));
    }
    dialoguer::Password::new()
        .with_prompt("Password")
        .with_confirmation("Repeat password", "The passwords differ.")
        .report(false)
        .interact()
        .map_err(|error| Problem::new(Exit::Failed, error.to_string()))
}

/// The first line of the standard input.
pub(super) fn password_from_stdin() -> Result<String, Problem> {
    first_line(io::stdin().lock())
}

/// The whole content of a file; of the standard input if the file is `-` or missing.
pub(super) fn lines(file: Option<&PathBuf>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let bound = MAX_REQUEST as u64;
    let (name, read) = match file.filter(|file| file.as_os_str() != "-") {
        None => {
            ("standard input".to_owned(), io::stdin().lock().take(bound).read_to_end(&mut bytes))
        }
        Some(file) => {
            let read = File::open(file).and_then(|file| file.take(bound).read_to_end(&mut bytes));
            (file.display().to_string(), read)
        }
    };
    read.map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Problem::new(exit, format!("{name}: {error}"))
    })?;
    if bytes.len() >= MAX_REQUEST {
        let text = format!("{name} is too long: split it into files of 30 MiB");
        return Err(Problem::new(Exit::Invalid, text));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|b| **b == b'\n').count();
        Problem::new(Exit::Invalid, format!("{name}: line {line} is not UTF-8"))
    })
}

fn first_line(input: impl BufRead) -> Result<String, Problem> {
    let mut line = String::new();
    let read = input.take(LONGEST_PASSWORD).read_line(&mut line);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Problem::new(Exit::Invalid, "the password is not UTF-8"),
        _ => Problem::new(Exit::Failed, format!("standard input: {error}")),
    })?;
    // Only the newline is removed: a password may end with spaces.
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(Problem::new(Exit::Invalid, "standard input has no password"));
    }
    Ok(password.to_owned())
}

const LONGEST_PASSWORD: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::first_line;

    #[test]
    fn the_password_is_the_first_line_without_its_end() {
        for (input, password) in [
            ("secret\n", Some("secret")),
            ("secret\r\nmore\n", Some("secret")),
            (" with spaces \n", Some(" with spaces ")),
            ("no end", Some("no end")),
            ("\nsecond\n", None),
            ("", None),
        ] {
            assert_eq!(first_line(input.as_bytes()).ok().as_deref(), password, "{input:?}");
        }
    }
}
