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
mod domain;
mod error;
mod foreign_options;
mod host;
mod limits;
mod listen;
mod log;
mod nearest;
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

use std::path::PathBuf;

pub use self::admin::AdminConfig;
pub use self::archive::ArchiveConfig;
pub use self::auth::AuthConfig;
pub use self::budgets::BudgetsConfig;
pub use self::contact::ContactConfig;
pub use self::domain::{DEFAULT_DOMAIN, prepare_domain};
pub use self::error::{ConfigError, ConfigErrors};
pub use self::host::HostConfig;
pub use self::limits::LimitsConfig;
pub use self::listen::ListenConfig;
pub use self::log::{LogConfig, LogFormat};
pub use self::origin::origin;
pub use self::print::{commented, explain, markdown};
pub use self::registration::RegistrationConfig;
pub use self::reload::Pending;
pub use self::storage::{Backend, StorageConfig};
pub use self::top_level::DEFAULT_DATA;

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
