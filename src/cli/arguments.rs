//! The command line: options of all subcommands, the subcommands of the program itself, and one subcommand
//! for each command of the administrator.

use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Arg, ArgAction, ArgMatches, Command as Clap, value_parser};
use serde_json::{Map, Value};

use super::exit::Problem;
use super::prompt;
use crate::admin::{COMMANDS, GROUPS};
use crate::host::command::{Argument, ArgumentKind, Arguments, Command};

/// Options that every subcommand has.
#[derive(Debug)]
pub(super) struct Options {
    /// The configuration, if it was given.
    pub(super) config: Option<PathBuf>,
    /// The data directory, if it was given.
    pub(super) data: Option<PathBuf>,
    /// The domain, if it was given.
    pub(super) domain: Option<String>,
    /// Whether answers are JSON, for programs.
    pub(super) is_json: bool,
}

impl Options {
    pub(super) fn read(matches: &ArgMatches) -> Self {
        Self {
            config: matches.get_one("config").cloned(),
            data: matches.get_one("data").cloned(),
            domain: matches.get_one("domain").cloned(),
            is_json: matches.get_flag("json"),
        }
    }
}

/// The whole command line.
pub(super) fn program() -> Clap {
    let mut program = Clap::new("waxwing")
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100)
        .args(options())
        .subcommands(ours());
    for (group, about) in GROUPS {
        let members = COMMANDS.iter().filter(|command| command.path[0] == *group);
        let of_group = Clap::new(*group).about(*about);
        let of_group = match default_of(group) {
            // `waxwing invite` with the options of `waxwing invite create`.
            Some(default) => of_group
                .args_conflicts_with_subcommands(true)
                .args(admin(default).get_arguments().cloned()),
            None => of_group.subcommand_required(true).arg_required_else_help(true),
        };
        program = program.subcommand(of_group.subcommands(members.map(|command| admin(command))));
    }
    let alone = COMMANDS.iter().filter(|command| command.path.len() == 1);
    program.subcommands(alone.map(|command| admin(command)))
}

/// The command of the administrator that was called, with its matches.
pub(super) fn admin_command(matches: &ArgMatches) -> (&'static Command, &ArgMatches) {
    let mut path = Vec::new();
    let mut matches = matches;
    while let Some((name, of_command)) = matches.subcommand() {
        path.push(name.to_owned());
        matches = of_command;
    }
    let of_group = path.first().filter(|_| path.len() == 1).and_then(|group| default_of(group));
    let command = of_group.or_else(|| crate::admin::find(&path));
    (command.expect("clap knows only these"), matches)
}

/// The command of a group that is meant if none is named.
fn default_of(group: &str) -> Option<&'static Command> {
    let name = DEFAULTS.iter().find(|(of, _)| *of == group)?.1;
    COMMANDS.iter().copied().find(|command| *command.path == [group, name])
}

/// The values of the arguments. Those that must not be on a command line are asked for, or read.
pub(super) fn collect(command: &Command, matches: &ArgMatches) -> Result<Arguments, Problem> {
    let mut values = Map::new();
    for argument in command.arguments {
        let value = match argument.kind {
            ArgumentKind::Flag => matches.get_flag(argument.name).then_some(Value::Bool(true)),
            ArgumentKind::Number => matches.get_one::<u64>(argument.name).map(|n| (*n).into()),
            ArgumentKind::Lines => {
                Some(prompt::lines(matches.get_one::<PathBuf>(argument.name))?.into())
            }
            ArgumentKind::Password => {
                let is_random = has_random(command) && matches.get_flag("random");
                match (is_random, matches.get_flag("password-stdin")) {
                    (true, _) => None,
                    (false, true) => Some(prompt::password_from_stdin()?.into()),
                    (false, false) => Some(prompt::new_password()?.into()),
                }
            }
            ArgumentKind::Account
            | ArgumentKind::Choice(_)
            | ArgumentKind::FullJid
            | ArgumentKind::Jid
            | ArgumentKind::Private
            | ArgumentKind::Text => {
                matches.get_one::<String>(argument.name).map(|text| text.as_str().into())
            }
        };
        if let Some(value) = value {
            values.insert(argument.name.to_owned(), value);
        }
    }
    Ok(Arguments(values))
}

/// Whether the caller confirms a destructive command on the command line.
pub(super) fn is_confirmed(command: &Command, matches: &ArgMatches) -> bool {
    command.is_destructive() && matches.get_flag("yes")
}

fn options() -> [Arg; 4] {
    let option = |name| Arg::new(name).long(name).global(true).help_heading("Global options");
    let path = |name, help| option(name).value_parser(value_parser!(PathBuf)).help(help);
    [
        path("config", "Configuration file [default: ./waxwing.toml or /etc/waxwing/waxwing.toml]")
            .value_name("FILE")
            .value_hint(ValueHint::FilePath)
            .env("WAXWING_CONFIG"),
        path("data", "Data directory [default: as configured, or ./waxwing-data]")
            .value_name("DIR")
            .value_hint(ValueHint::DirPath)
            .env("WAXWING_DATA"),
        option("domain").value_name("DOMAIN").help(
            "Domain for names without one, and for lists [default: the first one, or localhost]",
        ),
        option("json").action(ArgAction::SetTrue).help("Answer in JSON"),
    ]
}

fn ours() -> [Clap; 7] {
    let shell = Arg::new("shell").required(true).value_name("SHELL");
    let shell = shell.value_parser(value_parser!(clap_complete::Shell));
    let section = Arg::new("section")
        .value_name("SECTION")
        .help("Explain only this section or option, such as `limits`");
    let out = Arg::new("out").long("out").value_name("DIR").value_hint(ValueHint::DirPath);
    let out = out.value_parser(value_parser!(PathBuf));
    let directory = Arg::new("directory").required(true).value_name("DIRECTORY");
    let directory = directory.value_hint(ValueHint::DirPath).value_parser(value_parser!(PathBuf));
    let package = Arg::new("package").long("package").value_name("FILE");
    let package = package.value_hint(ValueHint::FilePath).value_parser(value_parser!(PathBuf));
    let force = Arg::new("force").long("force").action(ArgAction::SetTrue);
    [
        Clap::new("serve").about("Run the server").after_help(SERVE_HELP),
        Clap::new("init")
            .about("Write a configuration file with all options explained")
            .arg(force.help("Replace an existing file")),
        Clap::new("config")
            .about("Check and explain the configuration")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(Clap::new("check").about("Check the configuration and report every error"))
            .subcommand(
                Clap::new("explain").about("Print all options with their defaults").arg(section),
            ),
        // Without a subcommand, it is `check dns`.
        Clap::new("check").about("Check what others see of this server").subcommand(
            Clap::new("dns").about(
                "Look for the DNS records, ports and certificates by which this server is found",
            ),
        ),
        Clap::new("completions").about("Print completions for a shell").arg(shell),
        Clap::new("man")
            .about("Print the manual page")
            .arg(out.help("Write one page per command into this directory")),
        Clap::new("web-chat")
            .about("Put Converse.js and a page that runs it for this server into a directory")
            .arg(directory.help("The directory, which is made if it is not there"))
            .arg(package.help("The package of Converse.js, so that npm need not fetch it")),
    ]
}

fn admin(command: &Command) -> Clap {
    let name = command.path.last().expect("a command has a name");
    let arguments = command.arguments.iter().flat_map(|argument| match argument.kind {
        ArgumentKind::Password => vec![password_stdin(command)],
        _ => vec![one(argument)],
    });
    let yes = Arg::new("yes").long("yes").action(ArgAction::SetTrue);
    let yes = yes.help("Do not ask for confirmation (required without a terminal)");
    let yes = command.is_destructive().then_some(yes);
    Clap::new(*name).about(command.about).args(arguments).args(yes)
}

fn one(argument: &Argument) -> Arg {
    let arg = Arg::new(argument.name).help(argument.help);
    if argument.kind == ArgumentKind::Lines {
        return arg
            .help(format!("{}: a file [default: standard input]", argument.help))
            .value_name("FILE")
            .value_hint(ValueHint::FilePath)
            .value_parser(value_parser!(PathBuf));
    }
    let arg = match argument.required {
        true => arg.required(true),
        false => arg.long(argument.name.replace('_', "-")),
    };
    match argument.kind {
        ArgumentKind::Flag => arg.action(ArgAction::SetTrue),
        ArgumentKind::Number => arg.value_name("NUMBER").value_parser(value_parser!(u64)),
        ArgumentKind::Account => arg.value_name("ACCOUNT").value_hint(ValueHint::EmailAddress),
        ArgumentKind::Choice(words) => arg.value_parser(words.to_vec()),
        ArgumentKind::FullJid | ArgumentKind::Jid => arg.value_name("JID"),
        ArgumentKind::Lines
        | ArgumentKind::Password
        | ArgumentKind::Private
        | ArgumentKind::Text => arg.value_name("TEXT"),
    }
}

/// A password on the command line could be read by all users of the machine.
fn password_stdin(command: &Command) -> Arg {
    let arg = Arg::new("password-stdin").long("password-stdin").action(ArgAction::SetTrue);
    let arg = arg.help("Read the password from the first line of standard input instead of asking");
    if has_random(command) { arg.conflicts_with("random") } else { arg }
}

fn has_random(command: &Command) -> bool {
    let mut arguments = command.arguments.iter();
    arguments.any(|argument| argument.name == "random" && argument.kind == ArgumentKind::Flag)
}

/// The exit codes with their meanings, as in the help.
pub(super) fn exit_codes() -> Vec<(&'static str, &'static str)> {
    let lines = AFTER_HELP.lines().skip_while(|line| !line.starts_with("Exit codes"));
    lines.filter_map(|line| line.trim().split_once("  ")).collect()
}

const DEFAULTS: &[(&str, &str)] = &[("invite", "create")];

const AFTER_HELP: &str = "\
Commands talk to the running server over its admin socket. If no server runs, they work on the data
directory.

Exit codes:
  0  success
  1  storage, input or output failed
  2  invalid arguments or input
  3  not found
  4  already exists
  5  the server is not running or cannot be reached
  6  invalid configuration
  7  not confirmed: the command deletes data and needs --yes";

const SERVE_HELP: &str = "\
Without a configuration file the server serves one domain (--domain; default: `localhost`) and
remembers it in its data directory. The first start creates the account `admin` and prints its password.

SIGTERM and SIGINT stop the server; SIGHUP reloads certificates and configuration.";

#[cfg(test)]
mod tests {
    use super::program;

    #[test]
    fn the_command_line_is_consistent() {
        program().debug_assert();
    }

    #[test]
    fn a_password_is_never_an_argument() {
        assert!(program().try_get_matches_from(["waxwing", "user", "add", "a", "secret"]).is_err());
        for option in ["--password=secret", "--password"] {
            let line = ["waxwing", "user", "add", "a", option];
            assert!(program().try_get_matches_from(line).is_err(), "{option}");
        }
    }

    #[test]
    fn a_group_may_mean_one_of_its_commands() {
        for line in [["waxwing", "invite", "--json"], ["waxwing", "invite", "create"]] {
            let matches = program().try_get_matches_from(line).unwrap();
            let (command, of_command) = super::admin_command(&matches);
            assert_eq!(command.path, ["invite", "create"]);
            assert!(super::collect(command, of_command).is_ok());
        }
        let matches = program().try_get_matches_from(["waxwing", "invite", "list"]).unwrap();
        assert_eq!(super::admin_command(&matches).0.path, ["invite", "list"]);
        for line in [vec!["waxwing", "check"], vec!["waxwing", "check", "dns"]] {
            assert!(program().try_get_matches_from(&line).is_ok(), "{line:?}");
        }
        assert!(program().try_get_matches_from(["waxwing", "invite", "nothing"]).is_err());
    }

    #[test]
    fn options_for_all_stand_before_and_behind_a_command() {
        for line in [["waxwing", "--json", "user", "list"], ["waxwing", "user", "list", "--json"]] {
            let matches = program().try_get_matches_from(line).unwrap();
            assert!(super::Options::read(&matches).is_json, "{line:?}");
        }
    }
}
