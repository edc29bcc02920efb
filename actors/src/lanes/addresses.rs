//! Which addresses of this machine pages can reach. The only file that imports if-addrs.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// An address where a page can reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalAddress {
    /// Where our socket is bound. Never leaves the machine.
    pub bound: SocketAddr,
    /// What stands in our descriptions: the same, or the outside of a 1:1 NAT.
    pub advertised: SocketAddr,
}

/// Most addresses bound by one lane. Each costs a socket, and a candidate that every page checks.
const MAX_ADDRESSES: usize = 16;

/// The addresses to bind: `asked`, or the machine's; of the family of `advertised`, if there is one.
pub(super) fn to_bind(asked: &[IpAddr], advertised: Option<IpAddr>) -> io::Result<Vec<IpAddr>> {
    let needs_list = asked.is_empty() || asked.iter().any(IpAddr::is_unspecified);
    let machine = if needs_list { machine()? } else { Vec::new() };
    Ok(choose(asked, advertised, &machine))
}

fn machine() -> io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces
        .into_iter()
        .filter(|interface| interface.is_oper_up())
        .map(|interface| interface.ip())
        .collect())
}

/// IPv4 first, each once. Loopback only if it is asked for by name or there is nothing else; link-local never, as
/// it needs a scope that no candidate carries.
fn choose(asked: &[IpAddr], advertised: Option<IpAddr>, machine: &[IpAddr]) -> Vec<IpAddr> {
    let reachable = |address: &&IpAddr| !address.is_loopback() && !is_link_local(address);
    let mut listed: Vec<IpAddr> = machine.iter().filter(reachable).copied().collect();
    if listed.is_empty() {
        listed = machine
            .iter()
            .filter(|address| address.is_loopback())
            .copied()
            .collect();
    }
    let mut chosen = if asked.is_empty() {
        listed.clone()
    } else {
        Vec::new()
    };
    for address in asked {
        if address.is_unspecified() {
            chosen.extend(listed.iter().filter(|known| known.is_ipv4() == address.is_ipv4()));
        } else {
            chosen.push(*address);
        }
    }
    if let Some(advertised) = advertised {
        chosen.retain(|address| address.is_ipv4() == advertised.is_ipv4());
    }
    chosen.sort_by_key(IpAddr::is_ipv6);
    let mut seen = Vec::with_capacity(chosen.len());
    chosen.retain(|address| !seen.contains(address) && (seen.push(*address), true).1);
    chosen.truncate(MAX_ADDRESSES);
    chosen
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_chosen_so_that_pages_reach_them() {
        let check = |asked: &[&str], advertised: Option<&str>, machine: &[&str], expected: &[&str]| {
            let ips = |texts: &[&str]| {
                texts
                    .iter()
                    .map(|text| text.parse().unwrap())
                    .collect::<Vec<IpAddr>>()
            };
            let chosen = choose(
                &ips(asked),
                advertised.map(|text| text.parse().unwrap()),
                &ips(machine),
            );
            assert_eq!(chosen, ips(expected), "{asked:?} {advertised:?} {machine:?}");
        };
        let machine = [
            "127.0.0.1",
            "::1",
            "fd00::2",
            "fe80::1",
            "192.0.2.2",
            "169.254.3.4",
            "192.0.2.2",
        ];
        check(&[], None, &machine, &["192.0.2.2", "fd00::2"]);
        check(&["0.0.0.0"], None, &machine, &["192.0.2.2"]);
        check(&["::", "0.0.0.0"], None, &machine, &["192.0.2.2", "fd00::2"]);
        check(&["127.0.0.1"], None, &machine, &["127.0.0.1"]);
        check(&[], None, &["127.0.0.1", "::1"], &["127.0.0.1", "::1"]);
        check(&[], Some("198.51.100.7"), &machine, &["192.0.2.2"]);
        check(&["192.0.2.9"], None, &[], &["192.0.2.9"]);
        check(&[], None, &[], &[]);
    }

    #[test]
    fn more_addresses_than_a_page_can_check_are_cut() {
        let machine: Vec<IpAddr> = (1..100).map(|last| IpAddr::from([10, 0, 0, last])).collect();
        assert_eq!(choose(&[], None, &machine).len(), MAX_ADDRESSES);
    }
}
