//! The `waxwing` program: the server, and the commands of the administrator.
//!
//! The commands themselves are in [`crate::admin`]. This module reads their arguments from the command line
//! and shows their answers as text or JSON. With `--json`, standard output is one JSON document, even
//! after a failure. Without it, failures go to standard error. The keys of all objects are in snake case.
//!
//! | exit code | |
//! |---|---|
//! | 0 | success |
//! | 1 | storage, input or output failed |
//! | 2 | invalid arguments or input |
//! | 3 | not found |
//! | 4 | already exists |
//! | 5 | the server is not running or cannot be reached |
//! | 6 | invalid configuration |
//! | 7 | not confirmed: the command deletes data and needs `--yes` |

mod arguments;
mod check;
mod check_dns;
pub mod compliance;
mod configuration;
mod converse;
pub mod doap;
mod exit;
mod first_run;
mod instance;
mod man_and_completions;
mod output;
mod prompt;
mod run_admin_command;
mod serve;
mod specification_names;
pub mod specifications;
mod web_chat;

use std::process::ExitCode;

use clap::ArgMatches;

use crate::admin::{Request, VERSION};
use crate::host::command::Format;
use arguments::Options;
use exit::{Exit, Problem};
use output::Output;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let matches = match arguments::program().try_get_matches() {
        Ok(matches) => matches,
        // If writing fails, nobody reads the output.
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            let problem = Problem::new(Exit::Invalid, error.to_string().trim_end());
            drop(Output { is_json: true }.problem(&problem));
            return Exit::Invalid.into();
        }
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { Exit::Invalid } else { Exit::Ok }.into();
        }
    };
    let options = Options::read(&matches);
    let output = Output { is_json: options.is_json };
    match dispatch(&matches, &options, &output) {
        Ok(exit) => exit.into(),
        Err(problem) => {
            // As above.
            drop(output.problem(&problem));
            problem.exit.into()
        }
    }
}

fn dispatch(matches: &ArgMatches, options: &Options, output: &Output) -> Result<Exit, Problem> {
    let (name, of_command) = matches.subcommand().expect("clap wants a subcommand");
    match name {
        "check" => check_dns::run(options, output),
        "completions" => man_and_completions::completions(of_command),
        "config" => configuration::dispatch(of_command, options, output),
        "init" => configuration::init(of_command, options, output),
        "man" => man_and_completions::man(of_command, output),
        "serve" => serve::run(options),
        "web-chat" => web_chat::run(of_command, options, output),
        _ => {
            let (command, of_command) = arguments::admin_command(matches);
            let request = Request {
                version: VERSION,
                command: command.path.iter().map(|word| (*word).to_owned()).collect(),
                arguments: arguments::collect(command, of_command)?,
                domain: options.domain.clone(),
                confirmed: arguments::is_confirmed(command, of_command),
                format: Some(if options.is_json { Format::Json } else { Format::Text }),
            };
            let place = instance::find(options)?;
            let (outcome, exit) = run_admin_command::run(&place, command, request)?;
            match output.outcome(&outcome)? {
                Exit::Ok => Ok(exit),
                partly => Ok(partly),
            }
        }
    }
}
