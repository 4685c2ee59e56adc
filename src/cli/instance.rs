//! Finds the server that is meant: its configuration, its data directory and its domain.
//!
//! The configuration is the given file, else `./waxwing.toml`, else `/etc/waxwing/waxwing.toml`, else the
//! defaults for one domain. That domain is stored in the file `domain` of the data directory, so that
//! the administrator gives it only once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::arguments::Options;
use super::exit::{Exit, Problem};
use crate::config::{Config, ConfigErrors, DEFAULT_DATA, DEFAULT_DOMAIN, prepare_domain};
use crate::files;

/// A server, running or not.
pub(super) struct Place {
    pub(super) config: Config,
    /// The file of the configuration; `None` if there is none.
    pub(super) file: Option<PathBuf>,
    /// The domain of account names without a domain.
    pub(super) default_domain: String,
    /// Options with which another call of the program finds the same server.
    pub(super) again: Vec<String>,
}

/// Finds the server for these options. Changes nothing.
pub(super) fn find(options: &Options) -> Result<Place, Problem> {
    let file = options.config.clone().or_else(found);
    let domain = options.domain.as_deref().map(prepared).transpose()?;
    let mut again = Vec::new();
    for (name, value) in [("--config", &options.config), ("--data", &options.data)] {
        if let Some(value) = value {
            again.extend([name.to_owned(), value.display().to_string()]);
        }
    }
    let (config, default_domain) = match &file {
        Some(file) => from_file(file, domain, options)?,
        None => without_file(domain, options)?,
    };
    Ok(Place { config, file, default_domain, again })
}

/// The configuration file that is used if none is given.
pub(super) fn found() -> Option<PathBuf> {
    // A file that cannot be accessed is used, so that reading it reports the reason.
    FILES.iter().map(PathBuf::from).find(|file| file.try_exists().unwrap_or(true))
}

/// A hint about a configuration that only serves `localhost`, mostly because it names no domain.
pub(super) fn here_alone(config: &Config) -> Option<&'static str> {
    let is_default = config.hosts.iter().all(|host| host.domain == DEFAULT_DOMAIN);
    is_default.then_some(
        "the only domain is localhost, which nobody reaches from elsewhere; a [[host]] names another",
    )
}

impl Place {
    /// Stores the domain for the next call, if there is no configuration file.
    pub(super) fn remember(&self) -> Result<(), Problem> {
        if self.file.is_some() {
            return Ok(());
        }
        let path = self.config.data.join(DOMAIN);
        let failed = |e: io::Error| Problem::new(Exit::Failed, format!("{}: {e}", path.display()));
        if remembered(&self.config.data)?.is_some() {
            return Ok(());
        }
        // The file is written in one step, so that a crash leaves no empty name.
        let text = format!("{}\n", self.config.default_domain());
        files::write_whole(&path, text.as_bytes(), 0o600).map_err(failed)
    }
}

/// The domain of a data directory that has been used without a configuration.
pub(super) fn remembered(data: &Path) -> Result<Option<String>, Problem> {
    let path = data.join(DOMAIN);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let domain = prepare_domain(text.trim()).map_err(|problem| {
                Problem::new(Exit::Configuration, format!("{}: {problem}", path.display()))
            })?;
            Ok(Some(domain))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        // The server of another user: its socket decides whether we have access.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(Problem::new(Exit::Failed, format!("{}: {error}", path.display()))),
    }
}

/// A domain, prepared as in stanzas.
pub(super) fn prepared(domain: &str) -> Result<String, Problem> {
    prepare_domain(domain)
        .map_err(|problem| Problem::new(Exit::Invalid, format!("--domain {domain}: {problem}")))
}

fn from_file(
    file: &Path,
    domain: Option<String>,
    options: &Options,
) -> Result<(Config, String), Problem> {
    let mut config = Config::read(file).map_err(|errors| wrong(&errors))?;
    if let Some(data) = &options.data {
        config.data.clone_from(data);
    }
    let domain = match domain {
        Some(domain) if config.host(&domain).is_none() => {
            let ours: Vec<_> = config.hosts.iter().map(|host| host.domain.as_str()).collect();
            let message = format!(
                "{domain} is not a domain of {}, which has {}; add it there as a [[host]]",
                file.display(),
                ours.join(", ")
            );
            return Err(Problem::new(Exit::Invalid, message));
        }
        Some(domain) => domain,
        None => config.default_domain().to_owned(),
    };
    Ok((config, domain))
}

fn without_file(domain: Option<String>, options: &Options) -> Result<(Config, String), Problem> {
    let data = options.data.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA));
    let remembered = remembered(&data)?;
    let domain = match (domain, remembered) {
        (Some(domain), Some(before)) if domain != before => {
            let message = format!(
                "the data in {} are of the domain {before}, not {domain}: leave --domain away, \
                 give another --data, or write a configuration with both domains (`waxwing init`)",
                data.display()
            );
            return Err(Problem::new(Exit::Invalid, message));
        }
        (given, before) => given.or(before).unwrap_or_else(|| DEFAULT_DOMAIN.to_owned()),
    };
    Ok((Config::default_for(&domain, data), domain))
}

/// The errors in a configuration as a failure of the program.
pub(super) fn wrong(errors: &ConfigErrors) -> Problem {
    Problem {
        exit: Exit::Configuration,
        message: errors.to_string(),
        details: serde_json::to_value(errors).ok(),
    }
}

/// The name of the file with the domain, in the data directory.
const DOMAIN: &str = "domain";

/// The places where a configuration file is searched.
const FILES: [&str; 2] = ["waxwing.toml", "/etc/waxwing/waxwing.toml"];

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Options, find};

    fn options(config: Option<PathBuf>, data: PathBuf, domain: Option<&str>) -> Options {
        let domain = domain.map(str::to_owned);
        Options { config, data: Some(data), domain, is_json: false }
    }

    #[test]
    fn a_domain_is_said_once_and_another_one_refused() {
        let data = tempfile::tempdir().unwrap();
        let at = |domain| find(&options(None, data.path().to_owned(), domain));
        assert_eq!(at(None).unwrap().default_domain, "localhost");
        at(Some("Example.org")).unwrap().remember().unwrap();
        assert_eq!(at(None).unwrap().default_domain, "example.org");
        assert_eq!(at(Some("example.org")).unwrap().config.default_domain(), "example.org");
        let problem = at(Some("example.net")).err().unwrap();
        assert_eq!(problem.exit, super::Exit::Invalid);
        assert!(problem.message.contains("are of the domain example.org"), "{}", problem.message);
    }

    #[test]
    fn with_a_configuration_the_domain_chooses_among_its_own() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("c.toml");
        let text = "[[host]]\ndomain = \"a.example\"\n\n[[host]]\ndomain = \"b.example\"\n";
        std::fs::write(&file, text).unwrap();
        let at = |domain| find(&options(Some(file.clone()), data.path().to_owned(), domain));
        assert_eq!(at(None).unwrap().default_domain, "a.example");
        let place = at(Some("b.example")).unwrap();
        assert_eq!(place.default_domain, "b.example");
        assert_eq!(place.config.data, data.path());
        assert_eq!(at(Some("c.example")).err().unwrap().exit, super::Exit::Invalid);
    }
}
