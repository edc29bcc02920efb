//! How we look from a peer: which of our addresses reaches it, and what Via and Contact say.
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sip::message::HostPort;

/// Our addresses, as bound and as seen.
#[derive(Debug)]
pub(super) struct LocalAddresses {
    listening: Vec<SocketAddr>,
    advertised: Option<IpAddr>,
    known: HashMap<IpAddr, (IpAddr, Instant)>,
}

/// How we look from one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The listener that serves this peer, as bound.
    pub(super) listener: SocketAddr,
    /// Our address that reaches it.
    pub(super) ip: IpAddr,
    /// For Via and Contact.
    pub(super) contact: HostPort,
}

/// How long an answer of the routing table is believed: routes change when a VPN comes up.
const BELIEVED: Duration = Duration::from_secs(30);
/// Peers remembered; beyond, all are asked anew.
const MAX_KNOWN: usize = 1024;

impl LocalAddresses {
    /// `listening`: bound addresses, port included; `advertised`: what peers must be told instead (1:1 NAT).
    pub(super) fn new(listening: Vec<SocketAddr>, advertised: Option<IpAddr>) -> Self {
        Self { listening, advertised, known: HashMap::new() }
    }

    /// Where we listen, as bound.
    pub(super) fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// How we look from `remote`; `None`: no listener of ours can reach it.
    pub(super) fn seen_from(&mut self, remote: IpAddr, now: Instant) -> Option<Seen> {
        let ip = self.reaches(remote, now)?;
        let exact = self.listening.iter().find(|at| at.ip() == ip);
        let any = self.listening.iter().find(|at| at.ip().is_unspecified() && at.is_ipv4() == ip.is_ipv4());
        let family = self.listening.iter().find(|at| at.is_ipv4() == ip.is_ipv4());
        let listener = *exact.or(any).or(family)?;
        // A listener on one address sends from that address, whatever the routes prefer.
        let ip = if listener.ip().is_unspecified() { ip } else { listener.ip() };
        let host = self.advertised.filter(|advertised| advertised.is_ipv4() == ip.is_ipv4()).unwrap_or(ip);
        let contact = HostPort::from(SocketAddr::new(host, listener.port()));
        Some(Seen { listener, ip, contact })
    }

    fn reaches(&mut self, remote: IpAddr, now: Instant) -> Option<IpAddr> {
        if let Some((ip, at)) = self.known.get(&remote)
            && now < *at + BELIEVED
        {
            return Some(*ip);
        }
        let ip = probe(remote).ok()?;
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(remote, (ip, now));
        Some(ip)
    }
}

/// Asks the routing table: a connected UDP socket sends nothing, but knows from where it would.
fn probe(remote: IpAddr) -> io::Result<IpAddr> {
    let any = match remote {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((remote, 9))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        listening: &[&str],
        advertised: Option<&str>,
        remote: &str,
        listener: Option<&str>,
        contact: &str,
    ) {
        let listening = listening.iter().map(|at| at.parse().unwrap()).collect();
        let mut local = LocalAddresses::new(listening, advertised.map(|ip| ip.parse().unwrap()));
        let seen = local.seen_from(remote.parse().unwrap(), Instant::now());
        assert_eq!(seen.as_ref().map(|seen| seen.listener.to_string()).as_deref(), listener);
        assert_eq!(seen.map(|seen| seen.contact.to_string()).unwrap_or_default(), contact);
    }

    #[test]
    fn a_peer_is_told_the_address_that_reaches_it() {
        let any = "0.0.0.0:5060";
        check(&[any], None, "127.0.0.1", Some(any), "127.0.0.1:5060");
        check(&["127.0.0.2:5080"], None, "127.0.0.1", Some("127.0.0.2:5080"), "127.0.0.2:5080");
        check(&[any, "127.0.0.1:5070"], None, "127.0.0.1", Some("127.0.0.1:5070"), "127.0.0.1:5070");
    }

    #[test]
    fn an_advertised_address_stands_before_all_others_of_its_family() {
        check(&["0.0.0.0:5060"], Some("203.0.113.7"), "127.0.0.1", Some("0.0.0.0:5060"), "203.0.113.7:5060");
        check(&["0.0.0.0:5060"], Some("2001:db8::7"), "127.0.0.1", Some("0.0.0.0:5060"), "127.0.0.1:5060");
    }

    #[test]
    fn a_family_without_a_listener_is_not_reached() {
        check(&["[::1]:5060"], None, "127.0.0.1", None, "");
    }
}
