//! DNS in four questions and six answers: all that RFC 3263 needs.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Ask this; names are without the final dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// Which services and transports a domain has.
    Naptr(String),
    /// Which hosts give a service.
    Srv(String),
    /// IPv4 addresses of a host.
    A(String),
    /// IPv6 addresses of a host.
    Aaaa(String),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Question::Srv`].
    Srv(Vec<Srv>),
    /// To [`Question::A`].
    A(Vec<Ipv4Addr>),
    /// To [`Question::Aaaa`].
    Aaaa(Vec<Ipv6Addr>),
    /// The name or the record type does not exist.
    Missing,
    /// No answer in time, or the server failed: it may exist.
    Failed,
}

/// One NAPTR record (RFC 3403); regular expressions are not used by SIP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Smaller first.
    pub order: u16,
    /// Smaller first within one order.
    pub preference: u16,
    /// `s` for "ask SRV next".
    pub flags: String,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`…
    pub service: String,
    /// The name to ask next.
    pub replacement: String,
}

/// One SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Smaller first.
    pub priority: u16,
    /// Share of the load within one priority.
    pub weight: u16,
    /// Port.
    pub port: u16,
    /// Host; `.` or empty says that the service does not exist.
    pub target: String,
}

/// A name as we compare and ask it: no final dot.
pub(super) fn plain(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}
