//! Our addresses for WebRTC: those that sockets bind, and those that pages are told. The only file that imports if-addrs.
use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::vocabulary::MediaSettings;

/// An address where a page can reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalAddress {
    /// Where our socket is bound. Never leaves the machine, unless it is the advertised one.
    pub bound: SocketAddr,
    /// What stands in our descriptions: the same, or the outside of a 1:1 NAT.
    pub advertised: SocketAddr,
}

/// The IP addresses to bind: those of the settings, else those of the machine.
pub fn to_bind(settings: &MediaSettings) -> io::Result<Vec<IpAddr>> {
    if !settings.webrtc_addresses.is_empty() {
        return Ok(settings.webrtc_addresses.clone());
    }
    let found = if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip());
    Ok(usable(found.collect()))
}

/// Most addresses that one lane binds. Each costs a socket, and a candidate that every page checks.
const MAX_ADDRESSES: usize = 16;

/// Loopback comes last: it serves clients on our own machine, and all where there is nothing else. Link-local addresses never: an IPv6 one means nothing without
/// its interface, an IPv4 one is the sign of a network that failed.
fn usable(found: Vec<IpAddr>) -> Vec<IpAddr> {
    let link_local = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let (loopback, mut used): (Vec<IpAddr>, Vec<IpAddr>) =
        found.into_iter().filter(|ip| !link_local(ip)).partition(IpAddr::is_loopback);
    used.sort_by_key(IpAddr::is_ipv6); // IPv4 first: pages try candidates in order
    used.dedup();
    used.truncate(MAX_ADDRESSES);
    used.extend(loopback);
    used
}

/// What pages are told of a bound address. An advertised address stands for every bound one of its family.
pub fn told(bound: SocketAddr, advertised: Option<IpAddr>) -> LocalAddress {
    let same_family = advertised.filter(|ip| ip.is_ipv4() == bound.is_ipv4());
    let ip = same_family.unwrap_or(bound.ip());
    LocalAddress { bound, advertised: SocketAddr::new(ip, bound.port()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &[&str], used: &[&str]) {
        let found = found.iter().map(|ip| ip.parse().unwrap()).collect();
        let names: Vec<String> = usable(found).iter().map(IpAddr::to_string).collect();
        assert_eq!(names, used);
    }

    #[test]
    fn loopback_comes_last_and_link_local_addresses_never() {
        check(
            &["127.0.0.1", "10.0.0.5", "fe80::1", "2001:db8::5", "::1"],
            &["10.0.0.5", "2001:db8::5", "127.0.0.1", "::1"],
        );
        check(&["127.0.0.1", "::1"], &["127.0.0.1", "::1"]);
        check(&["169.254.3.4", "127.0.0.1"], &["127.0.0.1"]);
    }

    #[test]
    fn an_advertised_address_replaces_the_bound_one_of_its_family() {
        let bound = "10.0.0.5:30000".parse().unwrap();
        let outside = "203.0.113.5".parse().unwrap();
        assert_eq!(told(bound, Some(outside)).advertised.to_string(), "203.0.113.5:30000");
        assert_eq!(
            told("[2001:db8::5]:30000".parse().unwrap(), Some(outside)).advertised.to_string(),
            "[2001:db8::5]:30000"
        );
        assert_eq!(told(bound, None).advertised, bound);
    }
}
