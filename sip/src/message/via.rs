//! The way back of an answer, one line per hop (RFC 3261 20.42, 18.2; RFC 3581).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::grammar::{self, Scanner};
use super::{HostPort, InvalidField, Malformed, Params, host};

/// A branch that begins so is unique and names a transaction (RFC 3261 8.1.1.7).
pub const BRANCH_COOKIE: &str = "z9hG4bK";

/// The transports that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams; the transaction layer retransmits.
    Udp,
    /// A byte stream.
    Tcp,
    /// A byte stream that is encrypted.
    Tls,
}

impl Transport {
    /// Whether the transport itself cares for loss, so that the transaction layer need not.
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// 5061 for TLS, else 5060 (RFC 3261 19.1.2).
    pub fn default_port(self) -> u16 {
        if self == Transport::Tls { 5061 } else { 5060 }
    }

    /// The name in a Via: `UDP`, `TCP`, `TLS`.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        }
    }
}

impl FromStr for Transport {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        [Transport::Udp, Transport::Tcp, Transport::Tls]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text))
            .ok_or(Malformed("transport"))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One Via value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Via {
    transport: Box<str>,
    /// Where the sender of the request listens, by its own account.
    pub sent_by: HostPort,
    /// `branch`, `received`, `rport`, `maddr`, `ttl` and others.
    pub params: Params,
}

impl Via {
    /// The Via of a request that we send: with `rport`, so that the answer finds its way through a NAT (RFC 3581).
    pub fn new(transport: Transport, sent_by: HostPort, branch: &str) -> Result<Self, InvalidField> {
        grammar::check_token("branch", branch)?;
        let mut params = Params::default();
        params.set("branch", branch)?;
        params.set_flag("rport")?;
        Ok(Self { transport: transport.as_str().into(), sent_by, params })
    }

    /// The transport as written, for example `SCTP`.
    pub fn transport_name(&self) -> &str {
        &self.transport
    }

    /// The transport, if it is one that we speak.
    pub fn transport(&self) -> Option<Transport> {
        self.transport.parse().ok()
    }

    /// The branch as written.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// The branch, if it can serve as the name of a transaction: magic cookie and something behind it (RFC 4475 3.2.1).
    pub fn unique_branch(&self) -> Option<&str> {
        let branch = self.branch()?;
        let (cookie, rest) = branch.split_at_checked(BRANCH_COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(BRANCH_COOKIE) && !rest.is_empty()).then_some(branch)
    }

    /// The address from which the next hop saw the request come; brackets are forgiven (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        match text.strip_prefix('[') {
            Some(inner) => host::v6(inner.strip_suffix(']')?).ok().map(IpAddr::V6),
            None => text.parse().ok().or_else(|| host::v6(text).ok().map(IpAddr::V6)),
        }
    }

    /// The port from which the next hop saw the request come.
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok().filter(|port| *port != 0)
    }

    /// Notes on a request that came in from where it came (RFC 3261 18.2.1, RFC 3581 4).
    ///
    /// `received` is set when the sender's word differs from what we saw, or when it asked by `rport`. What the sender
    /// itself wrote into these two is replaced: only the receiver may say it.
    pub fn stamp(&mut self, source: SocketAddr) {
        let address = source.ip().to_canonical();
        let asked = self.params.has("rport");
        let differs = self.sent_by.host.ip().map(|ip| ip.to_canonical()) != Some(address);
        self.params.remove("received");
        if asked || differs {
            self.params
                .set("received", &address.to_string())
                .expect("an IP address is a legal parameter value");
        }
        if asked {
            self.params.set("rport", &source.port().to_string()).expect("a port is a token");
        }
    }
}

impl FromStr for Via {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        const VIA: &str = "Via";
        let mut scanner = Scanner::new(text);
        let mut part = |slash: bool| -> Result<&str, Malformed> {
            scanner.skip_lws();
            let part = scanner.token(VIA)?;
            scanner.skip_lws();
            if slash && !scanner.eat(b'/') { Err(Malformed(VIA)) } else { Ok(part) }
        };
        let (protocol, version, transport) = (part(true)?, part(true)?, part(false)?);
        if !protocol.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return Err(Malformed("Via protocol"));
        }
        let sent_by: String = scanner.take_while(|b| b != b';').split([' ', '\t']).collect();
        let params = Params::scan_header(&mut scanner)?;
        if !scanner.is_empty() {
            return Err(Malformed(VIA));
        }
        Ok(Self { transport: transport.into(), sent_by: sent_by.parse()?, params })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}{}", self.transport, self.sent_by, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_in_every_legal_place_is_read_over() {
        let via: Via =
            "SIP  / 2.0  / TCP     spindle.example.com  : 5070 ; branch  =   z9hG4bK9ikj8".parse().unwrap();
        assert_eq!(via.to_string(), "SIP/2.0/TCP spindle.example.com:5070;branch=z9hG4bK9ikj8");
        assert_eq!(via.transport(), Some(Transport::Tcp));
    }

    #[test]
    fn a_malformed_via_is_refused() {
        for bad in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0 UDP a",
            "SIP/2.0/UDP a;;",
            "SIP/3.0/UDP a",
            "SIP/2.0/UDP a b;;",
            "SIP/2.0/UDP a;branch=",
        ] {
            assert!(bad.parse::<Via>().is_err(), "{bad}");
        }
    }

    #[test]
    fn received_is_read_with_and_without_brackets() {
        for (text, address) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::9:255", "2001:db8::9:255"),
            ("[2001:db8::9:255]", "2001:db8::9:255"),
        ] {
            let via: Via = format!("SIP/2.0/UDP a.example;received={text};branch=z9hG4bKx").parse().unwrap();
            assert_eq!(via.received(), Some(address.parse().unwrap()));
        }
    }

    #[test]
    fn only_the_cookie_with_something_behind_it_names_a_transaction() {
        for (branch, unique) in
            [("z9hG4bKa", true), ("Z9HG4BKa", true), ("z9hG4bK", false), ("1", false), ("390skdjuw", false)]
        {
            let via: Via = format!("SIP/2.0/UDP a.example;branch={branch}").parse().unwrap();
            assert_eq!(via.unique_branch().is_some(), unique, "{branch}");
        }
    }

    #[test]
    fn stamping_writes_what_was_seen_and_forgets_what_the_sender_claims() {
        for (params, source, stamped) in [
            (";branch=b", "192.0.2.1:9", ";branch=b"),
            (";branch=b", "192.0.2.7:9", ";branch=b;received=192.0.2.7"),
            (";rport;branch=b", "192.0.2.1:9", ";rport=9;branch=b;received=192.0.2.1"),
            (";rport=4;received=10.0.0.1", "[2001:db8::1]:9", ";rport=9;received=2001:db8::1"),
            (";received=10.0.0.1", "[::ffff:192.0.2.1]:9", ""),
        ] {
            let mut via: Via = format!("SIP/2.0/UDP 192.0.2.1{params}").parse().unwrap();
            via.stamp(source.parse().unwrap());
            assert_eq!(via.params.to_string(), stamped);
        }
    }
}
