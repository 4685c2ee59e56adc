//! The configuration: one TOML file, a section a struct, the docs beside the field.
//!
//! Each option is written once, in the file of its section; from there come the struct, the
//! default, the reader, `waxwing config explain`, the file of `waxwing init` and
//! `docs/configuration.md`. To add an option, add an entry there (`section.rs` tells its form).
//! A file is read to its end: all errors are reported, not the first.

mod admin;
mod archive;
mod auth;
mod budgets;
mod contact;
mod error;
mod foreign_options;
mod host;
mod limits;
mod listen;
mod log;
mod origin;
mod print;
mod read;
mod registration;
mod reload;
mod section;
mod storage;
#[cfg(test)]
mod tests;
mod top_level;
pub mod units;
mod value;
mod variables;

use std::path::{Path, PathBuf};

pub use self::admin::AdminConfig;
pub use self::archive::ArchiveConfig;
pub use self::auth::AuthConfig;
pub use self::budgets::BudgetsConfig;
pub use self::contact::ContactConfig;
pub use self::error::{ConfigError, ConfigErrors};
pub use self::host::{HostConfig, prepare_domain};
pub use self::limits::LimitsConfig;
pub use self::listen::ListenConfig;
pub use self::log::{LogConfig, LogFormat};
pub use self::origin::origin;
pub use self::print::{commented, explain, markdown};
pub use self::registration::RegistrationConfig;
pub use self::reload::Pending;
pub use self::storage::{Backend, StorageConfig};

use self::section::Section;

/// Everything that can be set. A server without a file runs with the defaults.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Where everything is kept. Relative paths are relative to where the program runs.
    pub data: PathBuf,
    /// The domains that are served; at least one.
    pub hosts: Vec<HostConfig>,
    /// Where we listen.
    pub listen: ListenConfig,
    /// How people log in.
    pub auth: AuthConfig,
    /// What people may do to accounts by themselves.
    pub registration: RegistrationConfig,
    /// What is kept of what people write to each other.
    pub archive: ArchiveConfig,
    /// How things are kept.
    pub storage: StorageConfig,
    /// Bounds: of bytes, of time, of numbers.
    pub limits: LimitsConfig,
    /// How much of what many share one of them may have.
    pub budgets: BudgetsConfig,
    /// The administrator's door.
    pub admin: AdminConfig,
    /// Where those who run the server can be reached.
    pub contact: ContactConfig,
    /// What is written about our doings.
    pub log: LogConfig,
}

/// The data directory if none is named.
pub const DEFAULT_DATA: &str = "waxwing-data";

/// The domain if none is named.
pub const DEFAULT_DOMAIN: &str = "localhost";

impl Config {
    /// What holds without a file, for one domain.
    ///
    /// The domain is prepared if that is possible; [`prepare_domain`] tells why not.
    #[must_use]
    pub fn default_for(domain: &str, data: PathBuf) -> Self {
        let domain = prepare_domain(domain).unwrap_or_else(|_| domain.to_owned());
        let domains = [domain.clone()];
        Self {
            data,
            hosts: vec![HostConfig { domain, ..HostConfig::defaults(&domains) }],
            listen: ListenConfig::defaults(&domains),
            auth: AuthConfig::defaults(&domains),
            registration: RegistrationConfig::defaults(&domains),
            archive: ArchiveConfig::defaults(&domains),
            storage: StorageConfig::defaults(&domains),
            limits: LimitsConfig::defaults(&domains),
            budgets: BudgetsConfig::defaults(&domains),
            admin: AdminConfig::defaults(&domains),
            contact: ContactConfig::defaults(&domains),
            log: LogConfig::defaults(&domains),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or all that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        read::file(path)
    }

    /// Reads a text; `name` stands for the file in errors. `${NAME}` in its texts is read from the
    /// environment.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigErrors> {
        read::text(text, name, &|name| std::env::var(name).ok())
    }

    /// The file of the SQLite database.
    #[must_use]
    pub fn database_path(&self) -> PathBuf {
        self.data.join("waxwing.sqlite")
    }

    /// The Unix socket of the administrator.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.admin.socket.clone().unwrap_or_else(|| self.data.join("admin.sock"))
    }

    /// The first domain: what a client gets that names none.
    #[must_use]
    pub fn default_domain(&self) -> &str {
        self.hosts.first().map_or(DEFAULT_DOMAIN, |host| &host.domain)
    }

    /// What is likely wrong with it, though every value is right: sentences that begin with the option.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for host in &self.hosts {
            host.warn(&mut warnings);
        }
        self.listen.warn(&mut warnings);
        self.auth.warn(&mut warnings);
        self.registration.warn(&mut warnings);
        self.archive.warn(&mut warnings);
        self.storage.warn(&mut warnings);
        self.limits.warn(&mut warnings);
        self.budgets.warn(&mut warnings);
        self.admin.warn(&mut warnings);
        self.contact.warn(&mut warnings);
        self.log.warn(&mut warnings);
        warnings
    }

    /// The host of a prepared domain.
    #[must_use]
    pub fn host(&self, domain: &str) -> Option<&HostConfig> {
        self.hosts.iter().find(|host| host.domain == domain)
    }
}

/// The name nearest to a misspelt one, if one is near enough to be meant.
fn nearest<'a>(misspelt: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let spelling = |name: &str| name.to_lowercase().replace('-', "_");
    let misspelt = spelling(misspelt);
    names
        .map(|name| (strsim::jaro_winkler(&misspelt, &spelling(name)), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
