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

/// A whole number; `None` if it is negative or has no place in 64 bits.
fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
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
    because: &'static str,
}

impl Bounds {
    const fn new(least: u64, most: u64) -> Self {
        Self { least, most, because: "" }
    }

    fn check(&self, number: u64, show: impl Fn(u64) -> String) -> Result<(), String> {
        let bound = match number {
            _ if number < self.least => format!("at least {}", show(self.least)),
            _ if number > self.most => format!("at most {}", show(self.most)),
            _ => return Ok(()),
        };
        Err(match self.because {
            "" => bound,
            because => format!("{bound}: {because}"),
        })
    }

    fn describe(&self, show: impl Fn(u64) -> String) -> String {
        format!("from {} to {}", show(self.least), show(self.most))
    }
}

/// A number of things.
pub(super) struct Count(Bounds);

impl Count {
    pub(super) const fn between(least: u64, most: u64) -> Self {
        Self(Bounds::new(least, most))
    }

    /// Why the bounds are where they are: the end of the sentence "at least 4096: …".
    pub(super) const fn because(mut self, because: &'static str) -> Self {
        self.0.because = because;
        self
    }
}

impl<T: TryFrom<u64> + TryInto<u64> + Copy> Kind<T> for Count {
    fn describe(&self) -> String {
        format!("a number, {}", self.0.describe(|number| number.to_string()))
    }

    fn read(&self, value: &Value<'_>) -> Result<T, Vec<Refusal>> {
        if !value.get_ref().is_integer() {
            let help =
                format!("write a whole number without quotes, {}", Kind::<T>::describe(self));
            return wrong_type(value, "a number", help.replace(", a number,", ","));
        }
        let number =
            whole(value.get_ref()).unwrap_or(if is_negative(value) { 0 } else { u64::MAX });
        let checked = self.0.check(number, |number| number.to_string());
        if let Err(bound) = checked {
            return refuse(value, "is out of range", format!("it must be {bound}"));
        }
        let too_large = |_| refuse(value, "is out of range", "write a smaller number".to_owned());
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

    /// Why the bounds are where they are.
    pub(super) const fn because(mut self, because: &'static str) -> Self {
        self.0.because = because;
        self
    }
}

impl Kind<usize> for Size {
    fn describe(&self) -> String {
        format!("a size, {}; a bare number is bytes", self.0.describe(display_size))
    }

    fn read(&self, value: &Value<'_>) -> Result<usize, Vec<Refusal>> {
        let parsed = match value.get_ref() {
            DeValue::Integer(_) if is_negative(value) => Ok(0),
            DeValue::Integer(_) => Ok(whole(value.get_ref()).unwrap_or(u64::MAX)),
            DeValue::String(text) => parse_size(text),
            _ => return wrong_type(value, "a size", "write for example \"64 KiB\""),
        };
        let bytes = parsed.or_else(|help| refuse(value, "is no size", help))?;
        let checked = self.0.check(bytes, display_size);
        checked.or_else(|bound| refuse(value, "is out of range", format!("it must be {bound}")))?;
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

    /// Why the bounds are where they are.
    pub(super) const fn because(mut self, because: &'static str) -> Self {
        self.0.because = because;
        self
    }
}

impl Kind<Duration> for Time {
    fn describe(&self) -> String {
        let show = |millis| display_duration(Duration::from_millis(millis));
        format!("a duration, {}; a bare number is seconds", self.0.describe(show))
    }

    fn read(&self, value: &Value<'_>) -> Result<Duration, Vec<Refusal>> {
        let parsed = match value.get_ref() {
            DeValue::Integer(_) if is_negative(value) => Ok(Duration::ZERO),
            DeValue::Integer(_) => {
                Ok(Duration::from_secs(whole(value.get_ref()).unwrap_or(u64::MAX)))
            }
            DeValue::String(text) => parse_duration(text),
            _ => return wrong_type(value, "a duration", "write for example \"30s\" or \"3 min\""),
        };
        let duration = parsed.or_else(|help| refuse(value, "is no duration", help))?;
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let checked =
            self.0.check(millis, |millis| display_duration(Duration::from_millis(millis)));
        checked.or_else(|bound| refuse(value, "is out of range", format!("it must be {bound}")))?;
        Ok(duration)
    }

    fn write(&self, value: &Duration) -> Option<String> {
        Some(quote(&display_duration(*value)))
    }
}

fn is_negative(value: &Value<'_>) -> bool {
    value.get_ref().as_integer().is_some_and(|number| number.as_str().starts_with('-'))
}

/// One of some words.
pub(super) struct OneOf<T: 'static>(pub(super) &'static [(&'static str, T, &'static str)]);

impl<T: Copy + PartialEq> Kind<T> for OneOf<T> {
    fn describe(&self) -> String {
        let words: Vec<_> = self
            .0
            .iter()
            .map(|(word, _, docs)| format!("`\"{word}\"` ({})", docs.trim().trim_end_matches('.')))
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
        "a list of addresses with ports; a bare port means all interfaces, an empty list that we \
         do not listen"
            .to_owned()
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
            let port = whole(value.get_ref()).and_then(|port| u16::try_from(port).ok());
            let refused = || refuse(value, "has no port", "a port is at most 65535".to_owned());
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
        format!("{}, or a list such as `\"info,waxwing::c2s=debug\"`", LEVELS.join(", "))
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
