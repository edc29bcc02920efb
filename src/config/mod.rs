//! Settings: one TOML file in the program, one of the user's, the environment. A wrong value is an error that names
//! file and line, key and value; everything wrong is reported at once.
mod codecs;
mod layers;
mod reader;
mod sections;
mod warnings;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::handle::{Secret, SwitchSettings};
// The TOML library by its names, for the files below: a swap begins here.
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

pub use layers::ConfigError;
pub use warnings::warnings;

use layers::Layers;
use reader::Reader;

use crate::origin::OriginRule;

/// Everything that the house must know to start, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The switch: SIP, media, calls.
    pub switch: SwitchSettings,
    /// Pages and their sockets.
    pub web: WebSettings,
    /// Metrics and probes.
    pub rest: RestSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Variables that begin like ours and name nothing.
    pub strange_variables: Vec<String>,
    /// What else the operator should know: a codec that is listed and not there.
    pub notes: Vec<String>,
}

/// Pages and WebSocket.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Plain listeners.
    pub listen: Vec<SocketAddr>,
    /// TLS listeners.
    pub listen_tls: Vec<SocketAddr>,
    /// Certificate chain and key; `None`: self-signed.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Which pages may open the WebSocket.
    pub allowed_origins: Vec<OriginRule>,
    /// How often a page is pinged; zero: never.
    pub ping_interval: Duration,
    /// After how many pings without a sign of life its socket is closed.
    pub ping_probes: u32,
}

/// The listener for machines and operators.
#[derive(Debug, Clone)]
pub struct RestSettings {
    /// Its addresses.
    pub listen: Vec<SocketAddr>,
    /// The bearer token that it asks for.
    pub token: Option<Secret>,
    /// Host names that it answers to, besides addresses and localhost.
    pub allowed_hosts: Vec<String>,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// One JSON object per line instead of text.
    pub json: bool,
    /// What is logged: a filter as `tracing-subscriber` reads it.
    pub filter: String,
}

/// What is wrong with the settings; one line each.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{file}: {source}", file = file.display())]
    File {
        /// Its path.
        file: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// Settings that cannot be used.
    #[error("{}", Lines(.0))]
    Values(Vec<ConfigError>),
}

struct Lines<'a>(&'a [ConfigError]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{error}")?;
        }
        Ok(())
    }
}

impl Settings {
    /// Reads `file`, if there is one, and the environment's `variables`.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::defaults();
        if let Some(file) = file {
            let text = std::fs::read_to_string(file)
                .map_err(|source| SettingsError::File { file: file.to_owned(), source })?;
            layers.add_file(&file.display().to_string(), &text).map_err(SettingsError::Values)?;
        }
        Self::finish(layers, variables)
    }

    /// The settings of `tandem demo`: no file, loopback only; the environment's `variables` still count.
    pub fn demo(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        let mut layers = Layers::defaults();
        for (key, port) in
            [("web", 8080), ("web_tls", 8443), ("rest", 8081), ("sip", 5060), ("sip_tls", 5061)]
        {
            layers.fix_for_demo(&format!("listen.{key}"), format!("127.0.0.1:{port}"));
        }
        layers.fix_for_demo("media.webrtc_addresses", vec!["127.0.0.1"]);
        layers.fix_for_demo("security.sip_target_deny", Vec::<String>::new());
        Self::finish(layers, variables)
    }

    fn finish(
        mut layers: Layers,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let strange_variables = layers.add_variables(variables).map_err(SettingsError::Values)?;
        let mut reader = Reader::new(layers);
        let settings = Self::read(&mut reader, strange_variables);
        reader.finish().map_err(SettingsError::Values)?;
        Ok(settings)
    }

    fn read(reader: &mut Reader, strange_variables: Vec<String>) -> Self {
        sections::later(reader);
        Self {
            switch: sections::switch(reader),
            web: sections::web(reader),
            rest: sections::rest(reader),
            log: sections::log(reader),
            strange_variables,
            notes: reader.notes(),
        }
    }
}

#[cfg(test)]
mod tests;
