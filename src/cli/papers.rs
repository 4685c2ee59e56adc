//! What packagers install beside the program: completions and manual pages.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::ArgMatches;
use serde_json::json;

use super::output::Output;
use super::{Exit, Problem, arguments};

/// `completions`
pub(super) fn completions(matches: &ArgMatches) -> Result<Exit, Problem> {
    let shell = *matches.get_one::<clap_complete::Shell>("shell").expect("clap wants it");
    // Into memory first: the generator panics if it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut arguments::program(), "waxwing", &mut text);
    io::stdout().lock().write_all(&text)?;
    Ok(Exit::Ok)
}

/// `man`
pub(super) fn man(matches: &ArgMatches, output: &Output) -> Result<Exit, Problem> {
    match matches.get_one::<PathBuf>("out") {
        None => {
            let page = clap_mangen::Man::new(arguments::program());
            page.render(&mut io::stdout().lock())?;
        }
        Some(directory) => {
            let failed = |error: io::Error| {
                Problem::new(Exit::Failed, format!("{}: {error}", directory.display()))
            };
            std::fs::create_dir_all(directory).map_err(failed)?;
            clap_mangen::generate_to(arguments::program(), directory).map_err(failed)?;
            let text = format!("Wrote the manual pages into {}.", directory.display());
            output.say(&text, &json!({ "directory": directory }))?;
        }
    }
    Ok(Exit::Ok)
}
