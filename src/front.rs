//! What every request handler shares.
use actors::handle::Switch;
use tokio::sync::watch;

use crate::config::{RestSettings, WebSettings};
use crate::counters::Counters;
use crate::http::PhoneHints;

/// The front door's common things. Shared, never changed.
#[derive(Clone)]
pub struct Front {
    /// The switch.
    pub switch: Switch,
    /// Pages and sockets.
    pub web: WebSettings,
    /// Metrics and probes.
    pub rest: RestSettings,
    /// What the phone page may suggest.
    pub hints: PhoneHints,
    /// What is counted here.
    pub counters: Counters,
    /// True when Tandem stops.
    pub stopping: watch::Receiver<bool>,
}

/// A random UUID (RFC 9562, version 4).
pub fn uuid() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the operating system's generator does not fail after boot");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
