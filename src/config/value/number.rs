//! Numbers, sizes and durations, with their limits.

use std::time::Duration;

use toml::de::DeValue;

use super::{Kind, Refusal, Value, quote, refuse, wrong_type};
use crate::config::units::{
    display_duration, display_size, is_short, no_unit, parse_duration, parse_size,
};

/// The limits of a number, both included, with the reasons for them.
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

    /// A negative number is read as 0, and refused here.
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

/// The reasons for the limits of a kind. Each one ends the sentence "write at least 4096: …".
macro_rules! reasons {
    () => {
        /// The reason for the lower limit.
        pub(in crate::config) const fn not_less(mut self, why: &'static str) -> Self {
            self.0.why_least = why;
            self
        }

        /// The reason for the upper limit.
        pub(in crate::config) const fn not_more(mut self, why: &'static str) -> Self {
            self.0.why_most = why;
            self
        }
    };
}

/// A number of things.
pub(in crate::config) struct Count(Bounds);

impl Count {
    pub(in crate::config) const fn between(least: u64, most: u64) -> Self {
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
pub(in crate::config) struct Size(Bounds);

impl Size {
    pub(in crate::config) const fn between(least: usize, most: usize) -> Self {
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
        let bytes = parsed.or_else(|help| refuse(value, "is not a size", help))?;
        self.0.check(bytes, value, display_size)?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn write(&self, value: &usize) -> Option<String> {
        Some(quote(&display_size(*value as u64)))
    }
}

/// A duration.
pub(in crate::config) struct Time(Bounds);

impl Time {
    pub(in crate::config) const fn between(least: Duration, most: Duration) -> Self {
        // The limits are constants of some years at most.
        Self(Bounds::new(least.as_millis() as u64, most.as_millis() as u64))
    }

    reasons!();
}

impl Kind<Duration> for Time {
    fn describe(&self) -> String {
        let show = |millis| display_duration(Duration::from_millis(millis));
        format!("a duration with its unit, {}", self.0.describe(show))
    }

    fn read(&self, value: &Value<'_>) -> Result<Duration, Vec<Refusal>> {
        let parsed = match value.get_ref() {
            DeValue::Integer(_) if is_negative(value) => Ok(Duration::ZERO),
            DeValue::Integer(number) => no_unit(number.as_str()).map(Duration::from_millis),
            DeValue::String(text) => parse_duration(text),
            _ => return wrong_type(value, "a duration", "write for example \"30s\" or \"3 min\""),
        };
        let duration = parsed.or_else(|help| refuse(value, "is not a duration", help))?;
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.0.check(millis, value, |millis| display_duration(Duration::from_millis(millis)))?;
        Ok(duration)
    }

    fn write(&self, value: &Duration) -> Option<String> {
        Some(quote(&display_duration(*value)))
    }
}

/// How long something is kept before it is deleted. 0: forever. There is a warning about a duration that
/// is valid but probably too short.
pub(in crate::config) struct Retention(Time);

impl Retention {
    pub(in crate::config) const fn up_to(most: Duration) -> Self {
        Self(Time::between(Duration::ZERO, most))
    }
}

impl Kind<Duration> for Retention {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn read(&self, value: &Value<'_>) -> Result<Duration, Vec<Refusal>> {
        self.0.read(value)
    }

    fn write(&self, value: &Duration) -> Option<String> {
        self.0.write(value)
    }

    fn warning(&self, value: &Duration) -> Option<String> {
        let kept = display_duration(*value);
        is_short(*value).then(|| format!("is {kept}: what is older is removed for good"))
    }
}

/// A whole number. A number outside the range of `u64` becomes the nearest one inside.
pub(super) fn plain(value: &Value<'_>) -> u64 {
    let nearest = if is_negative(value) { 0 } else { u64::MAX };
    let number = value.get_ref().as_integer();
    number
        .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
        .unwrap_or(nearest)
}

pub(super) fn is_negative(value: &Value<'_>) -> bool {
    value.get_ref().as_integer().is_some_and(|number| number.as_str().starts_with('-'))
}
