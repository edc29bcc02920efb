//! Where something is: a name or an address, and perhaps a port (RFC 3261 25.1 `host`, `hostport`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Malformed, grammar};

/// A host as it stands in URIs and Via: IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name, lower case.
    Name(Box<str>),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, printed as an IPv6 reference.
    V6(Ipv6Addr),
}

impl Host {
    /// The address, when the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(address) => Some((*address).into()),
            Host::V6(address) => Some((*address).into()),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Host::V4(address),
            IpAddr::V6(address) => Host::V6(address),
        }
    }
}

impl FromStr for Host {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some(inner) = text.strip_prefix('[') {
            return v6(inner.strip_suffix(']').ok_or(HOST)?).map(Host::V6);
        }
        if let Ok(address) = text.parse() {
            return Ok(Host::V4(address));
        }
        // `_` is not in the grammar, but container networks name hosts with it and nothing is ambiguous.
        let name = text.strip_suffix('.').unwrap_or(text);
        let legal = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let numeric_top = name.rsplit('.').next().is_some_and(|top| top.bytes().all(|b| b.is_ascii_digit()));
        if name.len() > 253 || numeric_top || !name.split('.').all(legal) {
            return Err(HOST);
        }
        Ok(Host::Name(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(address) => address.fmt(f),
            Host::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// A host and perhaps a port; no port means the default of the transport.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The name or address.
    pub host: Host,
    /// The port as written, if any.
    pub port: Option<u16>,
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        HostPort { host: address.ip().into(), port: Some(address.port()) }
    }
}

impl FromStr for HostPort {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let host_end = match text.strip_prefix('[') {
            Some(inner) => inner.find(']').ok_or(HOST)? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(host_end);
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return Err(HOST),
            Some(port) => Some(grammar::number(port, "port")?),
        };
        if port == Some(0) {
            return Err(Malformed("port"));
        }
        Ok(HostPort { host: host.parse()?, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// An IPv6 address without brackets. The old grammar allowed `:::` before an IPv4 tail (RFC 5118 4.10); it means `::`.
pub(crate) fn v6(text: &str) -> Result<Ipv6Addr, Malformed> {
    text.parse().or_else(|_| text.replacen(":::", "::", 1).parse()).map_err(|_| HOST)
}

const HOST: Malformed = Malformed("host");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_print_as_they_were_read() {
        for text in [
            "example.com",
            "example.com:5070",
            "192.0.2.1:5060",
            "[2001:db8::10]:5070",
            "[2001:db8::10:5070]",
        ] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "a".repeat(64);
        for text in [
            "",
            "2001:db8::10",
            "[2001:db8::10",
            "[::1]x",
            "a..b",
            "a b",
            "a:0",
            "a:65536",
            "a:",
            "300.1.2.3",
            "<a>",
            &long,
        ] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_third_colon_of_the_old_grammar_is_forgiven() {
        let host: Host = "[2001:db8:::192.0.2.1]".parse().unwrap();
        assert_eq!(host, "[2001:db8::192.0.2.1]".parse().unwrap());
    }
}
