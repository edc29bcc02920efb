//! Takes settings out of the layers as the types that the house wants, and keeps what was wrong.
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::Value;
use super::layers::{ConfigError, Layers, shown};

/// Reads each key once. A bad value is noted, its default used, and reading goes on: the user sees all errors at once.
pub(super) struct Reader {
    layers: Layers,
    errors: Vec<ConfigError>,
    notes: Vec<String>,
}

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers, errors: Vec::new(), notes: Vec::new() }
    }

    /// Everything that was wrong.
    pub(super) fn finish(self) -> Result<(), Vec<ConfigError>> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    /// Says something that is no error and that the operator should know.
    pub(super) fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    /// What was said.
    pub(super) fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Keys that nobody read.
    #[cfg(test)]
    pub(super) fn left(&self) -> Vec<String> {
        self.layers.left().map(str::to_owned).collect()
    }

    /// The value of `key` as `parse` understands it.
    pub(super) fn read<T>(&mut self, key: &str, parse: impl Fn(&Value) -> Result<T, String>) -> T {
        let entry = self.layers.take(key);
        parse(&entry.value).unwrap_or_else(|problem| {
            let text = entry.value.to_string();
            self.errors.push(ConfigError {
                origin: entry.origin,
                key: key.into(),
                value: shown(key, &text),
                problem,
            });
            parse(&entry.default).unwrap_or_else(|problem| panic!("the default of {key} is valid: {problem}"))
        })
    }

    /// Notes that the values of two or more settings do not go together.
    pub(super) fn clash(&mut self, key: &str, value: impl ToString, problem: impl Into<String>) {
        let (origin, value) = (super::layers::Origin::Together, shown(key, &value.to_string()));
        self.errors.push(ConfigError { origin, key: key.into(), value, problem: problem.into() });
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.read(key, |value| value.as_bool().ok_or_else(|| "must be true or false".into()))
    }

    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<i64>) -> i64 {
        self.read(key, |value| {
            let number = value.as_integer().ok_or("must be a whole number")?;
            let (low, high) = (range.start(), range.end());
            if range.contains(&number) {
                Ok(number)
            } else {
                Err(format!("must be between {low} and {high}"))
            }
        })
    }

    pub(super) fn port(&mut self, key: &str) -> u16 {
        self.number(key, 1..=65_535) as u16
    }

    pub(super) fn duration_ms(&mut self, key: &str, range: RangeInclusive<i64>) -> Duration {
        Duration::from_millis(self.number(key, range).unsigned_abs())
    }

    pub(super) fn duration_s(&mut self, key: &str, range: RangeInclusive<i64>) -> Duration {
        Duration::from_secs(self.number(key, range).unsigned_abs())
    }

    /// A line of text without control characters.
    pub(super) fn text(&mut self, key: &str) -> String {
        self.read(key, |value| line(value).map(str::to_owned))
    }

    /// A file that must exist; empty: none.
    pub(super) fn file(&mut self, key: &str) -> Option<PathBuf> {
        self.maybe(key, |path| match PathBuf::from(path) {
            path if path.is_file() => Ok(path),
            _ => Err("there is no such file".into()),
        })
    }

    /// What `parse` makes of a file of at most `most` bytes; empty: none.
    pub(super) fn content<T>(
        &mut self,
        key: &str,
        most: u64,
        parse: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Option<T> {
        self.maybe(key, |path| {
            let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
            if size > most {
                return Err(format!("is too large: {size} bytes of at most {most}"));
            }
            parse(&std::fs::read(path).map_err(|error| error.to_string())?)
        })
    }

    /// A text as `parse` understands it; empty: none.
    pub(super) fn maybe<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.read(key, |value| match line(value)? {
            "" => Ok(None),
            text => parse(text).map(Some),
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> T {
        self.read(key, |value| one_of(line(value)?, words))
    }

    /// A list of texts, each as `parse` understands it.
    pub(super) fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.read(key, |value| items(value)?.into_iter().map(|item| about(item, parse(item))).collect())
    }

    /// An address; empty: none.
    pub(super) fn address(&mut self, key: &str) -> Option<IpAddr> {
        self.maybe(key, ip)
    }

    /// Addresses with ports to listen on; a text (several by commas) or a list.
    pub(super) fn listeners(&mut self, key: &str) -> Vec<SocketAddr> {
        self.list(key, |item| {
            item.parse().map_err(|_| "must be an address with a port, such as 0.0.0.0:8080".into())
        })
    }
}

/// The text of a value, for settings that are one line.
fn line(value: &Value) -> Result<&str, String> {
    let text = value.as_str().ok_or("must be a text in quotes")?;
    if text.chars().any(char::is_control) { Err("has a control character".into()) } else { Ok(text.trim()) }
}

/// The items of a list, or of a text with commas.
fn items(value: &Value) -> Result<Vec<&str>, String> {
    match value {
        Value::Array(values) => values.iter().map(line).collect(),
        value => Ok(line(value)?.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
    }
}

/// Says which item of a list the problem is about.
fn about<T>(item: &str, parsed: Result<T, String>) -> Result<T, String> {
    parsed.map_err(|problem| format!("{item:?} {problem}"))
}

/// `text` as one of `words`.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| format!("must be one of {}", known()))
}

/// `text` as an IP address.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "must be an IP address".into())
}
