//! What is allowed but seldom meant: said once at start.
use std::net::{IpAddr, SocketAddr};

use super::Settings;

/// Where Linux says which ports it gives to outgoing connections.
const EPHEMERAL_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Sentences about `settings` that an operator should read, given this machine's `addresses`.
pub fn warnings(settings: &Settings, addresses: &[IpAddr]) -> Vec<String> {
    let mut all =
        ephemeral(settings, std::fs::read_to_string(EPHEMERAL_FILE).ok().as_deref().and_then(range));
    all.extend(private(settings, addresses));
    all.extend(settings.notes.iter().cloned());
    all.extend(settings.strange_variables.iter().map(|name| format!("the variable {name} names no setting")));
    all
}

/// Ports of ours that the kernel may have given to somebody else when we want them.
fn ephemeral(settings: &Settings, kernel: Option<(u16, u16)>) -> Vec<String> {
    let Some(kernel) = kernel else { return Vec::new() };
    let media = &settings.switch.media;
    let last_lane = media.webrtc_port.saturating_add(media.lanes.saturating_sub(1) as u16);
    let mut ours = vec![
        ("media.webrtc_port and its lanes", (media.webrtc_port, last_lane)),
        ("media.rtp_port_from to media.rtp_port_to", media.rtp_ports),
    ];
    let single = |address: &SocketAddr| (address.port(), address.port());
    ours.extend(settings.switch.sip.listen.iter().map(|address| ("listen.sip", single(address))));
    ours.extend(settings.switch.sip.tls.listen.iter().map(|address| ("listen.sip_tls", single(address))));
    ours.extend(settings.web.listen.iter().map(|address| ("listen.web", single(address))));
    ours.into_iter()
        .filter(|(_, (from, to))| *from <= kernel.1 && kernel.0 <= *to)
        .map(|(what, (from, to))| {
            let (low, high) = kernel;
            format!("{what} ({from}-{to}) overlaps the kernel's ephemeral ports ({low}-{high}); a port may be taken")
        })
        .collect()
}

/// Addresses that nobody outside the network can reach.
fn private(settings: &Settings, addresses: &[IpAddr]) -> Vec<String> {
    let media = settings.switch.media.advertised_address;
    let named = [
        ("media.advertised_address", media),
        ("sip.advertised_address", settings.switch.sip.advertised_address),
    ];
    let mut all: Vec<_> = named
        .into_iter()
        .filter_map(|(key, address)| address.filter(is_private).map(|address| (key, address)))
        .map(|(key, address)| {
            format!("{key} = {address} is a private address; nobody outside its network reaches it")
        })
        .collect();
    let bound = &settings.switch.media.webrtc_addresses;
    let shown: Vec<_> =
        if bound.is_empty() { addresses.iter().filter(|ip| !ip.is_loopback()).collect() } else { Vec::new() };
    if media.is_none() && !shown.is_empty() && shown.iter().all(|ip| is_private(ip)) {
        all.push(
            "all addresses of this machine are private; pages outside its network hear nothing unless \
                  media.advertised_address names the public one"
                .into(),
        );
    }
    all
}

/// RFC 1918, RFC 6598, link-local, loopback and unique local addresses.
fn is_private(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let owned = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Settings::load(None, owned).unwrap()
    }

    fn check(variables: &[(&str, &str)], kernel: (u16, u16), addresses: &[&str], words: &[&str]) {
        let settings = settings(variables);
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let mut said = ephemeral(&settings, Some(kernel));
        said.extend(private(&settings, &addresses));
        assert_eq!(said.len(), words.len(), "{said:?}");
        for (said, word) in said.iter().zip(words) {
            assert!(said.contains(word), "{said:?} should speak of {word}");
        }
    }

    #[test]
    fn the_defaults_stand_below_the_kernels_usual_range() {
        check(&[], (32_768, 60_999), &["198.51.100.7"], &[]);
    }

    #[test]
    fn a_port_that_the_kernel_may_give_away_is_mentioned() {
        check(&[("TANDEM_MEDIA__WEBRTC_PORT", "40000")], (32_768, 60_999), &[], &["media.webrtc_port"]);
        check(&[], (10_000, 20_000), &[], &["media.rtp_port_from"]);
    }

    #[test]
    fn a_private_address_is_mentioned_unless_a_public_one_is_advertised() {
        check(&[], (32_768, 60_999), &["127.0.0.1", "10.0.0.2"], &["media.advertised_address"]);
        check(&[], (32_768, 60_999), &["10.0.0.2", "198.51.100.7"], &[]);
        let public = ("TANDEM_MEDIA__ADVERTISED_ADDRESS", "198.51.100.7");
        check(&[public], (32_768, 60_999), &["10.0.0.2"], &[]);
        let private = ("TANDEM_SIP__ADVERTISED_ADDRESS", "192.168.0.7");
        check(&[public, private], (32_768, 60_999), &["10.0.0.2"], &["sip.advertised_address"]);
    }
}
