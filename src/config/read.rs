//! Reads a [`Config`] from a text, section by section. Each value of the TOML document has its place
//! in the text, for errors.

use std::fs;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigErrors, Problems};
use super::foreign_options::{Meant, meant, meant_section, other_server, other_toml};
use super::nearest::nearest;
use super::print::{SectionDocs, sections};
use super::secret::has_secret;
use super::section::{Fields, Section, table_of};
use super::top_level::Head;
use super::variables::{self, Lookup};
use super::{
    AdminConfig, ApiConfig, ArchiveConfig, AuthConfig, BudgetsConfig, ClientStateConfig,
    ComponentConfig, Config, ContactConfig, DEFAULT_DOMAIN, DataPolicyConfig,
    ExternalServicesConfig, FilesConfig, HostConfig, InvitationsConfig, LimitsConfig, ListenConfig,
    LogConfig, PubSubConfig, RegistrationConfig, RoomsConfig, S2sConfig, S3Config,
    StaticFilesConfig, StorageConfig, StrangersConfig, admin, auth, component, contact,
    data_policy, external_services, host, limits, listen, rooms, s3,
};

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// If the file cannot be read, or all errors in it.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        file(path)
    }

    /// Reads a text. Errors call the file `name`. `${NAME}` in a string is replaced by the environment
    /// variable.
    ///
    /// # Errors
    /// All errors in the text.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigErrors> {
        parse(text, name, &|name| std::env::var(name).ok())
    }
}

fn file(path: &Path) -> Result<Config, ConfigErrors> {
    let name = path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let help = "`waxwing init` writes a configuration to begin with".to_owned();
            let help = (error.kind() == std::io::ErrorKind::NotFound).then_some(help);
            return Err(ConfigErrors::whole(name, format!("cannot be read: {error}"), help));
        }
    };
    match str::from_utf8(&bytes) {
        Ok(content) => Config::parse(content, &name),
        Err(error) => {
            let content = String::from_utf8_lossy(&bytes);
            let mut problems = Problems::new(&name, &content);
            let at = error.valid_up_to();
            let help = "save the file as UTF-8".to_owned();
            problems.add(&(at..at + 1), "this is no UTF-8", help);
            Err(problems.into_errors())
        }
    }
}

/// Reads a text. `lookup` returns the values of its variables.
pub(super) fn parse(text: &str, name: &str, lookup: Lookup<'_>) -> Result<Config, ConfigErrors> {
    let mut problems = Problems::new(name, text);
    let (mut document, errors) = DeTable::parse_recoverable(text);
    let other = other_server(text).filter(|_| !errors.is_empty());
    let other = other.map(|(whose, line)| (whose, text.find(line).unwrap_or(0), line.len()));
    let tables = document.get_ref().iter().filter(|(_, value)| is_section(value));
    let names: Vec<_> = tables.map(|(key, _)| key.get_ref().as_ref()).collect();
    let other =
        other.or(other_toml(&names).filter(|_| errors.is_empty()).map(|whose| (whose, 0, 1)));
    if let Some((whose, at, length)) = other {
        let help = "`waxwing init` writes a configuration to begin with".to_owned();
        problems.add(&(at..at + length), format!("this is a configuration of {whose}"), help);
        return Err(problems.into_errors());
    }
    for error in &errors {
        note_syntax(error, text, &mut problems);
    }
    if !errors.is_empty() {
        // After a syntax error, the rest of the document would cause false errors.
        // Most later errors in the same line are caused by the first one.
        let mut errors = problems.into_errors();
        errors.0.dedup_by_key(|error| error.line);
        return Err(errors);
    }
    variables::expand(document.get_mut(), lookup, &mut problems);
    if problems.count() > 0 {
        // A value with an unknown variable would be reported as invalid, too.
        return Err(problems.into_errors());
    }
    let document = Document { root: document.get_ref(), sections: sections(&[]) };
    document.refuse_unknown_sections(&mut problems);
    let config = document.config(&mut problems);
    if problems.count() == 0 { Ok(config) } else { Err(problems.into_errors()) }
}

struct Document<'a> {
    root: &'a DeTable<'a>,
    /// The names of all sections, for suggestions.
    sections: Vec<SectionDocs>,
}

type Check<T> = fn(&T, &Fields<'_>, &mut Problems<'_>);

impl<'a> Document<'a> {
    fn config(&self, problems: &mut Problems<'_>) -> Config {
        let fields = Fields { table: self.root, at: 0..0 };
        let head = Head::read(&fields, &[], problems);
        let hosts = self.hosts(problems);
        let domains: Vec<_> = hosts.iter().map(|host| host.domain.clone()).collect();
        let domains = domains.as_slice();
        let components = self.components(&hosts, problems);
        let mut listen = self.section::<ListenConfig>(domains, listen::check, problems);
        let listens = self.root.get(ListenConfig::NAME).and_then(table_of);
        let is_set = listens.is_some_and(|table| table.contains_key("components"));
        if !is_set && !components.is_empty() {
            listen.components = listen::loopback(listen::COMPONENTS);
        }
        Config {
            data: head.data,
            listen,
            components,
            auth: self.section::<AuthConfig>(domains, auth::check, problems),
            registration: self.section::<RegistrationConfig>(domains, no_check, problems),
            invitations: self.section::<InvitationsConfig>(domains, no_check, problems),
            archive: self.section::<ArchiveConfig>(domains, no_check, problems),
            files: self.section::<FilesConfig>(domains, no_check, problems),
            s3: self.section::<S3Config>(domains, s3::check, problems),
            api: self.section::<ApiConfig>(domains, no_check, problems),
            static_files: self.section::<StaticFilesConfig>(domains, no_check, problems),
            pubsub: self.section::<PubSubConfig>(domains, no_check, problems),
            client_state: self.section::<ClientStateConfig>(domains, no_check, problems),
            rooms: self.rooms(&hosts, domains, problems),
            s2s: self.section::<S2sConfig>(domains, no_check, problems),
            strangers: self.section::<StrangersConfig>(domains, no_check, problems),
            storage: self.section::<StorageConfig>(domains, no_check, problems),
            limits: self.section::<LimitsConfig>(domains, limits::check, problems),
            budgets: self.section::<BudgetsConfig>(domains, no_check, problems),
            admin: self.section::<AdminConfig>(domains, admin::check, problems),
            contact: self.section::<ContactConfig>(domains, contact::check, problems),
            data_policy: self.section::<DataPolicyConfig>(domains, data_policy::check, problems),
            external_services: self.section::<ExternalServicesConfig>(
                domains,
                external_services::check,
                problems,
            ),
            log: self.section::<LogConfig>(domains, no_check, problems),
            hosts,
        }
    }

    /// Reads a section that may occur once.
    fn section<T: Section>(
        &self,
        domains: &[String],
        check: Check<T>,
        problems: &mut Problems<'_>,
    ) -> T {
        let Some((key, value)) = self.root.get_key_value(T::NAME) else {
            return T::defaults(domains);
        };
        let Some(table) = table_of(value) else {
            let message = format!("`{}` is a section", T::NAME);
            problems.add(&key.span(), message, format!("write [{}]", T::NAME));
            return T::defaults(domains);
        };
        self.fields(&Fields { table, at: key.span() }, domains, check, problems)
    }

    /// Reads the options of one table.
    fn fields<T: Section>(
        &self,
        fields: &Fields<'_>,
        domains: &[String],
        check: Check<T>,
        problems: &mut Problems<'_>,
    ) -> T {
        let before = problems.count();
        let section = T::read(fields, domains, problems);
        if problems.count() == before {
            // Otherwise the check would compare defaults, which replace invalid values.
            check(&section, fields, problems);
        }
        for key in fields.table.keys() {
            self.refuse_unknown_option(T::NAME, key.get_ref(), key.span(), problems);
        }
        section
    }

    /// Reads all `[[host]]` sections. Returns at least one host.
    fn hosts(&self, problems: &mut Problems<'_>) -> Vec<HostConfig> {
        let example = "write [[host]], and below it domain = \"example.org\"";
        let hosts = self.repeated::<HostConfig>(&[], host::check, example, problems);
        host::check_all(&hosts, problems);
        if hosts.is_empty() {
            let domains = [DEFAULT_DOMAIN.to_owned()];
            return vec![HostConfig::defaults(&domains)];
        }
        hosts.into_iter().map(|(host, _)| host).collect()
    }

    /// Reads all `[[rooms]]` sections. Returns at least one service.
    fn rooms(
        &self,
        hosts: &[HostConfig],
        domains: &[String],
        problems: &mut Problems<'_>,
    ) -> Vec<RoomsConfig> {
        let example = "write [[rooms]], and below it prefix = \"conference\"";
        let services = self.repeated::<RoomsConfig>(domains, rooms::check, example, problems);
        rooms::check_all(&services, hosts, problems);
        if services.is_empty() {
            return vec![RoomsConfig::defaults(domains)];
        }
        services.into_iter().map(|(service, _)| service).collect()
    }

    /// Reads all `[[component]]` sections.
    fn components(
        &self,
        hosts: &[HostConfig],
        problems: &mut Problems<'_>,
    ) -> Vec<ComponentConfig> {
        let example = "write [[component]], and below it domain and secret";
        let all = self.repeated::<ComponentConfig>(&[], component::check, example, problems);
        component::check_all(&all, hosts, problems);
        all.into_iter().map(|(component, _)| component).collect()
    }

    /// Reads all sections of a kind that may be repeated.
    fn repeated<T: Section>(
        &self,
        domains: &[String],
        check: Check<T>,
        example: &str,
        problems: &mut Problems<'_>,
    ) -> Vec<(T, Fields<'a>)> {
        let mut all: Vec<(T, Fields<'a>)> = Vec::new();
        let Some((key, value)) = self.root.get_key_value(T::NAME) else { return all };
        let items = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => {
                let help = format!("write [[{}]], in double brackets", T::NAME);
                let message = format!("`{}` is a section that may be repeated", T::NAME);
                problems.add(&key.span(), message, help);
                Vec::from_iter(table_of(value).map(|_| value))
            }
        };
        for item in items {
            let Some(table) = table_of(item) else {
                let message = format!("`{}` is a list of sections", T::NAME);
                problems.add(&item.span(), message, example.to_owned());
                continue;
            };
            let fields = Fields { table, at: item.span() };
            let section = self.fields(&fields, domains, check, problems);
            all.push((section, fields));
        }
        all
    }

    fn refuse_unknown_sections(&self, problems: &mut Problems<'_>) {
        for (key, value) in self.root.iter() {
            let name = key.get_ref().as_ref();
            if self.sections.iter().any(|section| section.name == name && !name.is_empty()) {
                continue;
            }
            if is_section(value) {
                let names = self.sections.iter().map(|section| section.name);
                let names = names.filter(|name| !name.is_empty());
                let is_static =
                    name == "http" && table_of(value).is_some_and(|all| all.contains_key("static"));
                let meant = is_static.then_some("static_files").or_else(|| meant_section(name));
                let help = match meant.or(nearest(name, names.clone())) {
                    Some(meant @ ("component" | "host" | "rooms")) => format!("write [[{meant}]]"),
                    Some(meant) => format!("write [{meant}]"),
                    None => format!("the sections are {}", names.collect::<Vec<_>>().join(", ")),
                };
                problems.add(&key.span(), format!("there is no section `{name}`"), help);
            } else {
                self.refuse_unknown_option("", name, key.span(), problems);
            }
        }
    }

    /// What to write for a word of another server.
    fn known_elsewhere(&self, section: &str, word: &str) -> Option<String> {
        let (of, option) = match meant(section, word)? {
            Meant::Option(of, option) => (of, option),
            Meant::Nothing(why) => return Some(why.to_owned()),
        };
        let of = self.sections.iter().find(|docs| docs.name == of)?;
        Some(match (of.name, option) {
            (_, "") => format!("write {}", of.heading()),
            (name, option) if name == section => format!("write `{option}`"),
            ("", option) => format!("write `{option}`, at the head of the file"),
            (_, option) => format!("write `{option}`, below {}", of.heading()),
        })
    }

    /// Reports an unknown option, with the section where it might belong.
    fn refuse_unknown_option(
        &self,
        section: &str,
        name: &str,
        at: Range<usize>,
        problems: &mut Problems<'_>,
    ) {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            self.sections.iter().partition(|known| known.name == section);
        let options = || here.iter().flat_map(|known| &known.entries).map(|entry| entry.name);
        if options().any(|known| known == name) {
            return;
        }
        let owner = elsewhere.iter().find(|known| known.entries.iter().any(|e| e.name == name));
        let help = match (owner, nearest(name, options())) {
            // A known word of another server comes before a similar name: `c2s_ports` is not `c2s_tls`.
            _ if let Some(help) = self.known_elsewhere(section, name) => help,
            (Some(owner), _) if owner.name.is_empty() => {
                format!("`{name}` stands at the head of the file, before all sections")
            }
            (Some(owner), _) => format!("`{name}` belongs below {}", owner.heading()),
            (None, Some(meant)) => format!("write `{meant}`"),
            (None, None) if section.is_empty() => {
                format!(
                    "only `{}` may stand before the sections",
                    options().collect::<Vec<_>>().join("`, `")
                )
            }
            (None, None) => format!("it has {}", options().collect::<Vec<_>>().join(", ")),
        };
        let message = match here.first() {
            Some(known) if !section.is_empty() => {
                format!("{} has no option `{name}`", known.heading())
            }
            _ => format!("there is no option `{name}`"),
        };
        problems.add(&at, message, help);
    }
}

fn no_check<T>(_: &T, _: &Fields<'_>, _: &mut Problems<'_>) {}

/// Whether a value is a table or a list of tables, which is written with a header in brackets.
fn is_section(value: &Spanned<DeValue<'_>>) -> bool {
    match value.get_ref() {
        DeValue::Table(_) => true,
        DeValue::Array(list) => {
            !list.is_empty() && list.iter().all(|item| table_of(item).is_some())
        }
        _ => false,
    }
}

/// Reports a syntax error. The parser guesses the type of an unquoted text from its first letter
/// (`info` would be a float). This guess is not shown.
fn note_syntax(error: &toml::de::Error, text: &str, problems: &mut Problems<'_>) {
    let mut at = error.span().unwrap_or(text.len()..text.len());
    let message = error.message();
    if NO_VALUE.iter().any(|start| message.starts_with(start)) {
        let before = text[..at.start].rfind(['=', ',', '[', ' ', '\t', '\n']);
        at.start = before.map_or(0, |index| index + 1);
        let message = match text[at.clone()].trim() {
            "" => "invalid TOML: a value is missing".to_owned(),
            _ if has_secret(&text[..at.start]) => "invalid TOML: the value is not valid".to_owned(),
            value => format!("invalid TOML: `{value}` is not a valid value"),
        };
        let help = "write a text in double quotes, a number without".to_owned();
        problems.add(&at, message, help);
        return;
    }
    let help = SYNTAX.iter().find(|(part, _)| message.contains(part));
    let help = help.map(|(_, help)| (*help).to_owned());
    problems.add(&at, format!("invalid TOML: {message}"), help);
}

/// The parser's messages about a text that is not a value.
const NO_VALUE: &[&str] = &["string values must be quoted", "invalid float", "invalid boolean"];

/// Corrections for the most common syntax errors, by a part of the parser's message.
const SYNTAX: &[(&str, &str)] = &[
    ("duplicate key", "it is there already further up: put both together, or remove one"),
    ("invalid basic string", "end the text with a double quote, in the same line"),
    ("unclosed table", "end the heading with a bracket"),
    ("unexpected key or value", "write each option in a line of its own"),
];
