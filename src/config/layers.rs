//! Where a setting's value comes from: the built-in file, the user's file, the environment; the later one wins.
use std::collections::BTreeMap;
use std::fmt;

use super::{DeTable, DeValue, Spanned, Table, Value};

/// The built-in file: every key, its default, its comment. The only place where a key's name is decided.
const DEFAULTS: &str = include_str!("../../config/tandem.toml");

/// What every variable of ours begins with.
const PREFIX: &str = "TANDEM_";

/// All settings by their full path, each with its origin.
#[derive(Debug)]
pub(super) struct Layers {
    entries: BTreeMap<String, Entry>,
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) default: Value,
    pub(super) origin: Origin,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The built-in file.
    Default,
    /// A line of the user's file.
    File { name: String, line: usize },
    /// A variable of the environment.
    Variable(String),
    /// `tandem demo` fixes it.
    Demo,
    /// Several settings that do not go together.
    Together,
}

/// A setting that cannot be used: where it stands, what stands there, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {key}{value}: {problem}")]
pub struct ConfigError {
    pub(super) origin: Origin,
    pub(super) key: String,
    /// ` = value`, or nothing where there is none to show.
    pub(super) value: String,
    pub(super) problem: String,
}

impl Layers {
    /// The built-in values alone.
    pub(super) fn defaults() -> Self {
        let table: Table = DEFAULTS.parse().expect("config/tandem.toml is valid: held by a test");
        let mut entries = BTreeMap::new();
        flatten("", &table, &mut entries);
        Self { entries }
    }

    /// Lays the user's file `name` over what there is.
    pub(super) fn add_file(&mut self, name: &str, text: &str) -> Result<(), Vec<ConfigError>> {
        let table = DeTable::parse(text).map_err(|error| {
            let origin =
                Origin::File { name: name.into(), line: line_of(text, error.span().map_or(0, |s| s.start)) };
            let (key, value) = (source_line(text, &origin).to_owned(), String::new());
            vec![ConfigError { origin, key, value, problem: error.message().to_owned() }]
        })?;
        let mut errors = Vec::new();
        self.add_table("", table.get_ref(), &File { name, text }, &mut errors);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Lays the environment over what there is. Returns the variables that look like ours but name no setting
    /// and carry no `__`: somebody else's perhaps, so only a warning.
    pub(super) fn add_variables(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Vec<String>, Vec<ConfigError>> {
        let (mut strangers, mut errors) = (Vec::new(), Vec::new());
        for (name, text) in variables {
            let Some(path) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let key = path.to_ascii_lowercase().replace("__", ".");
            let origin = Origin::Variable(name.clone());
            match self.entries.get_mut(&key) {
                Some(entry) => {
                    entry.value = from_text(&text, &entry.default);
                    entry.origin = origin;
                }
                None if path.contains("__") => errors.push(unknown(origin, &key, &text)),
                None => strangers.push(name),
            }
        }
        if errors.is_empty() { Ok(strangers) } else { Err(errors) }
    }

    /// Sets `key` for the demo.
    pub(super) fn fix_for_demo(&mut self, key: &str, value: impl Into<Value>) {
        let entry = self.entries.get_mut(key).expect("the demo names keys that config/tandem.toml has");
        entry.value = value.into();
        entry.origin = Origin::Demo;
    }

    /// Takes a setting out, so that what is left in the end is what nobody reads.
    pub(super) fn take(&mut self, key: &str) -> Entry {
        self.entries.remove(key).unwrap_or_else(|| panic!("config/tandem.toml has the key {key}, read once"))
    }

    /// Keys that nobody took.
    #[cfg(test)]
    pub(super) fn left(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    fn add_table(&mut self, path: &str, table: &DeTable<'_>, file: &File<'_>, errors: &mut Vec<ConfigError>) {
        for (name, value) in table {
            let key = join(path, name.get_ref());
            let origin = Origin::File { name: file.name.into(), line: line_of(file.text, name.span().start) };
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.value = plain(value);
                entry.origin = origin;
                continue;
            }
            match value.get_ref() {
                DeValue::Table(inner) if self.has_section(&key) => self.add_table(&key, inner, file, errors),
                _ => errors.push(unknown(origin, &key, &plain(value).to_string())),
            }
        }
    }

    fn has_section(&self, path: &str) -> bool {
        let start = format!("{path}.");
        self.entries.keys().any(|key| key.starts_with(&start))
    }
}

/// A user's file while it is read.
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

fn flatten(path: &str, table: &Table, entries: &mut BTreeMap<String, Entry>) {
    for (name, value) in table {
        let key = join(path, name);
        match value {
            Value::Table(inner) => flatten(&key, inner, entries),
            value => {
                let (value, default) = (value.clone(), value.clone());
                entries.insert(key, Entry { value, default, origin: Origin::Default });
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn unknown(origin: Origin, key: &str, value: &str) -> ConfigError {
    ConfigError {
        origin,
        key: key.into(),
        value: shown(key, value),
        problem: "there is no such setting".into(),
    }
}

/// ` = value`, except for secrets.
pub(super) fn shown(key: &str, value: &str) -> String {
    let secret = ["token", "password", "secret"].iter().any(|word| key.contains(word));
    if secret { " = ***".into() } else { format!(" = {value}") }
}

/// The text of a variable as the kind of value that the default is; what does not fit stays text, and the reader
/// of the key says what it wanted.
fn from_text(text: &str, default: &Value) -> Value {
    let text = text.trim();
    match default {
        Value::Array(_) if text.is_empty() => Value::Array(Vec::new()),
        Value::Array(_) => {
            Value::Array(text.split(',').map(|item| Value::String(item.trim().into())).collect())
        }
        Value::Integer(_) => text.parse().map_or_else(|_| Value::String(text.into()), Value::Integer),
        Value::Boolean(_) => text.parse().map_or_else(|_| Value::String(text.into()), Value::Boolean),
        _ => Value::String(text.into()),
    }
}

/// The value without its spans. Numbers that TOML allows and we do not (floats, too large) stay text.
fn plain(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Array(items) => Value::Array(items.iter().map(plain).collect()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.as_str().into()), Value::Integer),
        DeValue::Float(number) => Value::String(number.as_str().into()),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Table(_) => Value::String("{…}".into()),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

fn source_line<'a>(text: &'a str, origin: &Origin) -> &'a str {
    let Origin::File { line, .. } = origin else {
        return "";
    };
    text.lines().nth(line - 1).unwrap_or_default().trim()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => write!(f, "environment, {name}"),
            Self::Demo => f.write_str("demo"),
            Self::Together => f.write_str("settings"),
        }
    }
}
