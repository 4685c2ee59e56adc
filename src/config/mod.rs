//! The configuration: one TOML file. Each section is a struct in a file of its own.
//!
//! Each option is written once, in the file of its section. The struct, the default, the reader,
//! `waxwing config explain`, the file of `waxwing init` and `docs/configuration.md` are made from that
//! entry. To add an option, add an entry (`section.rs` explains its form). A file is read to its end,
//! and all errors are reported, not only the first.

mod admin;
mod api;
mod archive;
mod auth;
mod budgets;
mod client_state;
mod component;
mod component_of;
mod contact;
mod data_policy;
mod domain;
mod error;
mod external_services;
mod files;
mod files_url;
mod foreign_options;
mod host;
mod invitations;
mod limits;
mod listen;
mod log;
mod nearest;
mod origin;
mod print;
mod privilege;
mod proxy65_address;
mod pubsub;
mod read;
mod registration;
mod reload;
mod rooms;
mod s2s;
mod s3;
mod secret;
mod section;
mod service_uri;
mod static_files;
mod storage;
mod strangers;
#[cfg(test)]
mod tests;
mod top_level;
pub mod units;
mod value;
mod variables;
mod web_addresses;

use std::path::PathBuf;

pub use self::admin::AdminConfig;
pub use self::api::ApiConfig;
pub use self::archive::ArchiveConfig;
pub use self::auth::AuthConfig;
pub use self::budgets::BudgetsConfig;
pub use self::client_state::ClientStateConfig;
pub use self::component::ComponentConfig;
pub use self::contact::ContactConfig;
pub use self::data_policy::{DataAccess, DataPolicyConfig};
pub use self::domain::{DEFAULT_DOMAIN, prepare_domain};
pub use self::error::{ConfigError, ConfigErrors};
pub use self::external_services::ExternalServicesConfig;
pub use self::files::{FilesConfig, FilesFull};
pub use self::host::HostConfig;
pub use self::invitations::{InvitationsConfig, Inviters};
pub use self::limits::LimitsConfig;
pub use self::listen::ListenConfig;
pub use self::log::{LogConfig, LogFormat};
pub use self::origin::origin;
pub use self::print::{commented, explain, markdown};
pub use self::privilege::{Delegation, MessageGrant, NamespaceGrant, PresenceGrant, RequestGrant};
pub use self::pubsub::{NodeCreators, PubSubConfig};
pub use self::registration::RegistrationConfig;
pub use self::reload::Pending;
#[cfg(test)]
pub(crate) use self::rooms::TAKEN as TAKEN_PREFIXES;
pub use self::rooms::{RoomCreators, RoomWhois, RoomsConfig};
pub use self::s2s::{S2sConfig, S2sPolicy, StaticHost};
pub use self::s3::S3Config;
pub use self::secret::Secret;
pub use self::service_uri::ServiceUri;
pub use self::static_files::StaticFilesConfig;
pub use self::storage::{Backend, StorageConfig};
pub use self::strangers::{OfStrangers, StrangersConfig};
pub use self::top_level::DEFAULT_DATA;

use self::section::Section;

/// All options. A server without a configuration file uses the defaults.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The data directory. A relative path starts at the working directory of the program.
    pub data: PathBuf,
    /// The served domains; at least one.
    pub hosts: Vec<HostConfig>,
    /// The addresses for connections.
    pub listen: ListenConfig,
    /// Logins.
    pub auth: AuthConfig,
    /// What users may do to accounts without the administrator.
    pub registration: RegistrationConfig,
    /// Invitations.
    pub invitations: InvitationsConfig,
    /// The archives of messages.
    pub archive: ArchiveConfig,
    /// Files that users upload.
    pub files: FilesConfig,
    /// A bucket for them.
    pub s3: S3Config,
    /// The HTTP API.
    pub api: ApiConfig,
    /// Files of the operator.
    pub static_files: StaticFilesConfig,
    /// The service for nodes.
    pub pubsub: PubSubConfig,
    /// Inactive clients: those at which the user does not look.
    pub client_state: ClientStateConfig,
    /// The services for group chat; at least one, which may be switched off.
    pub rooms: Vec<RoomsConfig>,
    /// The external components.
    pub components: Vec<ComponentConfig>,
    /// Other servers.
    pub s2s: S2sConfig,
    /// People who are not contacts.
    pub strangers: StrangersConfig,
    /// The database.
    pub storage: StorageConfig,
    /// Limits on bytes, times and numbers.
    pub limits: LimitsConfig,
    /// Limits on the use of shared resources.
    pub budgets: BudgetsConfig,
    /// Administration of the running server.
    pub admin: AdminConfig,
    /// The addresses of the people who run the server.
    pub contact: ContactConfig,
    /// How data of users are handled, as users are told.
    pub data_policy: DataPolicyConfig,
    /// Servers for audio and video calls, which clients are told.
    pub external_services: ExternalServicesConfig,
    /// The log.
    pub log: LogConfig,
}

impl Config {
    /// The defaults of a server of one domain.
    ///
    /// The domain is prepared if it is valid; otherwise it is used as it is.
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
            invitations: InvitationsConfig::defaults(&domains),
            archive: ArchiveConfig::defaults(&domains),
            files: FilesConfig::defaults(&domains),
            s3: S3Config::defaults(&domains),
            api: ApiConfig::defaults(&domains),
            static_files: StaticFilesConfig::defaults(&domains),
            pubsub: PubSubConfig::defaults(&domains),
            client_state: ClientStateConfig::defaults(&domains),
            rooms: vec![RoomsConfig::defaults(&domains)],
            components: Vec::new(),
            s2s: S2sConfig::defaults(&domains),
            strangers: StrangersConfig::defaults(&domains),
            storage: StorageConfig::defaults(&domains),
            limits: LimitsConfig::defaults(&domains),
            budgets: BudgetsConfig::defaults(&domains),
            admin: AdminConfig::defaults(&domains),
            contact: ContactConfig::defaults(&domains),
            data_policy: DataPolicyConfig::defaults(&domains),
            external_services: ExternalServicesConfig::defaults(&domains),
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

    /// The first domain: the domain of a client that names none.
    #[must_use]
    pub fn default_domain(&self) -> &str {
        self.hosts.first().map_or(DEFAULT_DOMAIN, |host| &host.domain)
    }

    /// Warnings about values that are valid but probably wrong. Each sentence begins with the option.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for host in &self.hosts {
            host.warn(&mut warnings);
        }
        self.listen.warn(&mut warnings);
        self.auth.warn(&mut warnings);
        self.registration.warn(&mut warnings);
        self.invitations.warn(&mut warnings);
        self.archive.warn(&mut warnings);
        self.files.warn(&mut warnings);
        self.s3.warn(&mut warnings);
        self.api.warn(&mut warnings);
        self.static_files.warn(&mut warnings);
        self.pubsub.warn(&mut warnings);
        self.client_state.warn(&mut warnings);
        for rooms in &self.rooms {
            rooms.warn(&mut warnings);
        }
        for component in &self.components {
            component.warn(&mut warnings);
        }
        self.s2s.warn(&mut warnings);
        self.strangers.warn(&mut warnings);
        self.storage.warn(&mut warnings);
        self.limits.warn(&mut warnings);
        self.budgets.warn(&mut warnings);
        self.admin.warn(&mut warnings);
        self.contact.warn(&mut warnings);
        self.data_policy.warn(&mut warnings);
        self.external_services.warn(&mut warnings);
        self.log.warn(&mut warnings);
        warnings
    }

    /// The addresses for connections, without those of servers if there are no other servers to talk to.
    #[must_use]
    pub fn open_ports(&self) -> ListenConfig {
        let mut listen = self.listen.clone();
        if !self.s2s.enabled {
            listen.s2s.clear();
            listen.s2s_tls.clear();
        }
        listen
    }

    /// The host of a prepared domain.
    #[must_use]
    pub fn host(&self, domain: &str) -> Option<&HostConfig> {
        self.hosts.iter().find(|host| host.domain == domain)
    }

    /// The services for group chat that are offered.
    pub fn room_services(&self) -> impl Iterator<Item = &RoomsConfig> {
        self.rooms.iter().filter(|rooms| rooms.enabled)
    }

    /// The service for group chat with this prefix, if it is offered.
    #[must_use]
    pub fn room_service(&self, prefix: &str) -> Option<&RoomsConfig> {
        self.room_services().find(|rooms| rooms.prefix == prefix)
    }
}
