//! Kinds of values: how each is read from TOML, what it is bound by, and how it is written.

use std::fmt::Display;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::host;
use super::units::{display_duration, display_size, parse_duration, parse_size};

/// How a value of type `T` is read and written.
pub(super) trait Kind<T> {
    /// What one may write, in words; begins lower case, without a full stop.
    fn describe(&self) -> String;

    /// # Errors
    /// All that is wrong with it.
    fn read(&self, value: &Spanned<DeValue<'_>>) -> Result<T, Vec<Refusal>>;

    /// As TOML. `None` if the value means that nothing is set.
    fn write(&self, value: &T) -> Option<String>;

    /// What one might write, as TOML, where the default is not to write anything.
    fn example(&self) -> Option<&'static str> {
        None
    }

    /// It must be written.
    fn required(&self) -> bool {
        false
    }
}

/// Why a value is refused. The message continues the name of the option.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) at: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

type Value<'a> = Spanned<DeValue<'a>>;

fn refuse<T>(
    value: &Value<'_>,
    message: impl Into<String>,
    help: String,
) -> Result<T, Vec<Refusal>> {
    Err(vec![Refusal { at: value.span(), message: message.into(), help: Some(help) }])
}

/// The value has another type than this kind.
fn wrong_type<T>(value: &Value<'_>, wanted: &str, help: impl Display) -> Result<T, Vec<Refusal>> {
    let found = match value.get_ref() {
        DeValue::Array(_) => "a list",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Float(_) => "a fraction",
        DeValue::Integer(_) => "a number",
        DeValue::String(_) => "a text",
        DeValue::Table(_) => "a table",
    };
    refuse(value, format!("must be {wanted}, not {found}"), help.to_string())
}

/// A text in quotes, as TOML.
pub(super) fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A whole number; what is out of reach is the nearest that is not.
fn plain(value: &Value<'_>) -> u64 {
    let nearest = if is_negative(value) { 0 } else { u64::MAX };
    let number = value.get_ref().as_integer();
    number
        .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
        .unwrap_or(nearest)
}

fn is_negative(value: &Value<'_>) -> bool {
    value.get_ref().as_integer().is_some_and(|number| number.as_str().starts_with('-'))
}

/// `true` or `false`.
pub(super) struct Switch;

impl Kind<bool> for Switch {
    fn describe(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<bool, Vec<Refusal>> {
        let refused =
            || wrong_type(value, "`true` or `false`", "write true or false, without quotes");
        value.get_ref().as_bool().map_or_else(refused, Ok)
    }

    fn write(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

/// Bounds of a number, both included, and why they are there.
#[derive(Clone, Copy)]
struct Bounds {
    least: u64,
    most: u64,
    why_least: &'static str,
    why_most: &'static str,
}

impl Bounds {
    const fn new(least: u64, most: u64) -> Self {
        Self { least, most, why_least: "", why_most: "" }
    }

    /// A negative number is taken for 0 and refused here.
    fn check(
        &self,
        number: u64,
        value: &Value<'_>,
        show: impl Fn(u64) -> String,
    ) -> Result<(), Vec<Refusal>> {
        let (is, bound, why) = match number {
            _ if number < self.least || is_negative(value) => {
                ("small", format!("at least {}", show(self.least)), self.why_least)
            }
            _ if number > self.most => {
                ("large", format!("at most {}", show(self.most)), self.why_most)
            }
            _ => return Ok(()),
        };
        let written = match value.get_ref() {
            DeValue::Integer(number) => number.to_string(),
            _ => show(number),
        };
        let help = match why {
            "" => format!("write {bound}"),
            why => format!("write {bound}: {why}"),
        };
        refuse(value, format!("is too {is}: {written}"), help)
    }

    fn describe(&self, show: impl Fn(u64) -> String) -> String {
        format!("from {} to {}", show(self.least), show(self.most))
    }
}

/// The reasons for the bounds of a kind; each ends the sentence "write at least 4096: …".
macro_rules! reasons {
    () => {
        /// Why it must not be less.
        pub(super) const fn not_less(mut self, why: &'static str) -> Self {
            self.0.why_least = why;
            self
        }

        /// Why it must not be more.
        pub(super) const fn not_more(mut self, why: &'static str) -> Self {
            self.0.why_most = why;
            self
        }
    };
}

/// A number of things.
pub(super) struct Count(Bounds);

impl Count {
    pub(super) const fn between(least: u64, most: u64) -> Self {
        Self(Bounds::new(least, most))
    }

    reasons!();
}

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Kind<T> for Count {
    fn describe(&self) -> String {
        format!("a number, {}", self.0.describe(|number| number.to_string()))
    }

    fn read(&self, value: &Value<'_>) -> Result<T, Vec<Refusal>> {
        let show = |number: u64| number.to_string();
        if !value.get_ref().is_integer() {
            let bounds = self.0.describe(show);
            return wrong_type(value, "a number", format!("write a whole number, {bounds}"));
        }
        let number = plain(value);
        self.0.check(number, value, show)?;
        let too_large = |_| refuse(value, "is too large", "write a smaller number".to_owned());
        T::try_from(number).or_else(too_large)
    }

    fn write(&self, value: &T) -> Option<String> {
        (*value).try_into().ok().map(|number: u64| number.to_string())
    }
}

/// A size in bytes.
pub(super) struct Size(Bounds);

impl Size {
    pub(super) const fn between(least: usize, most: usize) -> Self {
        Self(Bounds::new(least as u64, most as u64))
    }

    reasons!();
}

impl Kind<usize> for Size {
    fn describe(&self) -> String {
        format!("a size, {}; a bare number is bytes", self.0.describe(display_size))
    }

    fn read(&self, value: &Value<'_>) -> Result<usize, Vec<Refusal>> {
        let parsed = match value.get_ref() {
            DeValue::Integer(_) => Ok(plain(value)),
            DeValue::String(text) => parse_size(text),
            _ => return wrong_type(value, "a size", "write for example \"64 KiB\""),
        };
        let bytes = parsed.or_else(|help| refuse(value, "is no size", help))?;
        self.0.check(bytes, value, display_size)?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn write(&self, value: &usize) -> Option<String> {
        Some(quote(&display_size(*value as u64)))
    }
}

/// A duration.
pub(super) struct Time(Bounds);

impl Time {
    pub(super) const fn between(least: Duration, most: Duration) -> Self {
        // Bounds are constants of some hours at most.
        Self(Bounds::new(least.as_millis() as u64, most.as_millis() as u64))
    }

    reasons!();
}

impl Kind<Duration> for Time {
    fn describe(&self) -> String {
        let show = |millis| display_duration(Duration::from_millis(millis));
        format!("a duration, {}; a bare number is seconds", self.0.describe(show))
    }

    fn read(&self, value: &Value<'_>) -> Result<Duration, Vec<Refusal>> {
        let parsed = match value.get_ref() {
            DeValue::Integer(_) => Ok(Duration::from_secs(plain(value))),
            DeValue::String(text) => parse_duration(text),
            _ => return wrong_type(value, "a duration", "write for example \"30s\" or \"3 min\""),
        };
        let duration = parsed.or_else(|help| refuse(value, "is no duration", help))?;
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.0.check(millis, value, |millis| display_duration(Duration::from_millis(millis)))?;
        Ok(duration)
    }

    fn write(&self, value: &Duration) -> Option<String> {
        Some(quote(&display_duration(*value)))
    }
}

/// One of some words.
pub(super) struct OneOf<T: 'static>(pub(super) &'static [(&'static str, T, &'static str)]);

impl<T: Copy + PartialEq> Kind<T> for OneOf<T> {
    fn describe(&self) -> String {
        let words: Vec<_> = self
            .0
            .iter()
            .map(|(word, _, docs)| format!("`\"{word}\"` ({})", phrase(docs)))
            .collect();
        format!("one of {}", words.join(", "))
    }

    fn read(&self, value: &Value<'_>) -> Result<T, Vec<Refusal>> {
        let words: Vec<_> = self.0.iter().map(|(word, ..)| *word).collect();
        let help = format!("write one of \"{}\"", words.join("\", \""));
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "a text", help);
        };
        let found = self.0.iter().find(|(word, ..)| *word == text);
        let refused = || {
            let help = match super::nearest(text, words.iter().copied()) {
                Some(meant) => format!("write \"{meant}\""),
                None => help,
            };
            refuse(value, format!("cannot be {}", quote(text)), help)
        };
        found.map_or_else(refused, |(_, meaning, _)| Ok(*meaning))
    }

    fn write(&self, value: &T) -> Option<String> {
        self.0.iter().find(|(_, meaning, _)| meaning == value).map(|(word, ..)| quote(word))
    }
}

/// A doc sentence as a part of another sentence. A word in capitals remains.
fn phrase(docs: &str) -> String {
    let docs = docs.trim().trim_end_matches('.');
    let mut chars = docs.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => docs.to_owned(),
    }
}

/// A path. As an `Option` it may be left out, and the text is an example.
pub(super) struct Path(pub(super) &'static str);

impl Kind<PathBuf> for Path {
    fn describe(&self) -> String {
        "a path".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<PathBuf, Vec<Refusal>> {
        let help = || format!("write a path in quotes, for example {}", self.0);
        match value.get_ref().as_str() {
            None => wrong_type(value, "a path", help()),
            Some("") => refuse(value, "is empty", help()),
            Some(text) if text.contains('\0') => refuse(value, "has a NUL character", help()),
            Some(text) => Ok(PathBuf::from(text)),
        }
    }

    fn write(&self, value: &PathBuf) -> Option<String> {
        Some(quote(&value.to_string_lossy()))
    }
}

impl Kind<Option<PathBuf>> for Path {
    fn describe(&self) -> String {
        Kind::<PathBuf>::describe(self)
    }

    fn read(&self, value: &Value<'_>) -> Result<Option<PathBuf>, Vec<Refusal>> {
        Kind::<PathBuf>::read(self, value).map(Some)
    }

    fn write(&self, value: &Option<PathBuf>) -> Option<String> {
        value.as_ref().and_then(|path| self.write(path))
    }

    fn example(&self) -> Option<&'static str> {
        Some(self.0)
    }
}

/// A domain that we serve; must be written.
pub(super) struct Domain;

impl Kind<String> for Domain {
    fn describe(&self) -> String {
        "a domain name".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<String, Vec<Refusal>> {
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "a domain name", "write for example \"example.org\"");
        };
        let refused = |help| refuse(value, "is no domain that can be served", help);
        host::prepare_domain(text).or_else(refused)
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(quote(value))
    }

    fn example(&self) -> Option<&'static str> {
        Some("\"example.org\"")
    }

    fn required(&self) -> bool {
        true
    }
}

/// Addresses to listen on: one or a list of `"[::]:5222"`, `"127.0.0.1:5222"` or a bare port.
pub(super) struct Addresses;

impl Kind<Vec<SocketAddr>> for Addresses {
    fn describe(&self) -> String {
        "a list of addresses with ports; an empty list means not to listen".to_owned()
    }

    fn read(&self, value: &Value<'_>) -> Result<Vec<SocketAddr>, Vec<Refusal>> {
        let Some(list) = value.get_ref().as_array() else {
            return address(value).map(|address| vec![address]);
        };
        let (mut addresses, mut refusals) = (Vec::new(), Vec::new());
        for item in list.iter() {
            match address(item) {
                // Port 0 is any free one, each time another.
                Ok(address) if address.port() != 0 && addresses.contains(&address) => {
                    refusals.push(Refusal {
                        at: item.span(),
                        message: format!("has {address} twice"),
                        help: Some("remove one of them".to_owned()),
                    });
                }
                Ok(address) => addresses.push(address),
                Err(refused) => refusals.extend(refused),
            }
        }
        if refusals.is_empty() { Ok(addresses) } else { Err(refusals) }
    }

    fn write(&self, value: &Vec<SocketAddr>) -> Option<String> {
        let all: Vec<_> = value.iter().map(|address| format!("\"{address}\"")).collect();
        Some(format!("[{}]", all.join(", ")))
    }
}

fn address(value: &Value<'_>) -> Result<SocketAddr, Vec<Refusal>> {
    let everywhere = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let text = match value.get_ref() {
        DeValue::Integer(_) => {
            let port = u16::try_from(plain(value)).ok().filter(|_| !is_negative(value));
            let help = || "a port is a number from 0 to 65535".to_owned();
            let refused = || refuse(value, "has a number that is no port", help());
            return port.map(everywhere).map_or_else(refused, Ok);
        }
        DeValue::String(text) => text.trim(),
        _ => return wrong_type(value, "a list of addresses", "write for example [\"[::]:5222\"]"),
    };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(port) = text.parse() {
        return Ok(everywhere(port));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let help = match (bare, text.rsplit_once(':')) {
        (Ok(ip), _) => {
            format!("write it with a port, for example \"{}\"", SocketAddr::new(ip, 5222))
        }
        (_, Some(("*" | "", port))) => format!("for all interfaces write \"[::]:{port}\""),
        (_, Some(("localhost", port))) => format!("write [\"127.0.0.1:{port}\", \"[::1]:{port}\"]"),
        _ => "write an IP address and a port, for example \"192.0.2.7:5222\" or \"[::]:5222\""
            .to_owned(),
    };
    refuse(value, format!("has {}, which is no address", quote(text)), help)
}

/// What is logged: a level, or a list of `part=level`.
pub(super) struct Levels;

impl Kind<String> for Levels {
    fn describe(&self) -> String {
        format!("a level ({}), or a list such as `\"info,waxwing::c2s=debug\"`", LEVELS.join(", "))
    }

    fn read(&self, value: &Value<'_>) -> Result<String, Vec<Refusal>> {
        let example = "write for example \"info\" or \"info,waxwing::c2s=debug\"";
        let Some(text) = value.get_ref().as_str() else {
            return wrong_type(value, "a text", example);
        };
        for directive in text.split(',') {
            let (part, level) = match directive.rsplit_once('=') {
                Some((part, level)) => (Some(part.trim()), level.trim()),
                None => (None, directive.trim()),
            };
            if !LEVELS.contains(&level) {
                let help = match super::nearest(level, LEVELS.iter().copied()) {
                    Some(meant) => format!("write \"{meant}\""),
                    None => format!("the levels are {}", LEVELS.join(", ")),
                };
                return refuse(value, format!("has no level {}", quote(level)), help);
            }
            if part.is_some_and(|part| !part.chars().all(is_of_a_path) || part.is_empty()) {
                return refuse(value, "has no part of the program before `=`", example.to_owned());
            }
        }
        Ok(text.to_owned())
    }

    fn write(&self, value: &String) -> Option<String> {
        Some(quote(value))
    }
}

fn is_of_a_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
