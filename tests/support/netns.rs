//! Network namespaces that the test makes itself, as separate machines.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A machine of its own: loopback up, nothing else. Gone with its links when dropped.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one; `role` tells it apart in `ip netns list`.
    pub fn new(role: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("td{}-{}-{role}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name };
        namespace.run("ip", &["link", "set", "lo", "up"]);
        namespace
    }

    /// Its name for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command inside and waits for it.
    #[track_caller]
    pub fn run(&self, program: &str, args: &[&str]) {
        let mut all = vec!["netns", "exec", &self.name, program];
        all.extend(args);
        run("ip", &all);
    }

    /// A cable to `other`: card `mine` with address `my_address` (as `10.0.0.1/24`) here, `theirs` there.
    #[track_caller]
    pub fn link(&self, mine: &str, my_address: &str, other: &Self, theirs: &str, their_address: &str) {
        let (here, there) = (self.name.as_str(), other.name.as_str());
        run(
            "ip",
            &["link", "add", mine, "netns", here, "type", "veth", "peer", "name", theirs, "netns", there],
        );
        for (side, card, address) in [(self, mine, my_address), (other, theirs, their_address)] {
            let family = if address.contains(':') { "-6" } else { "-4" };
            // No duplicate address detection: an IPv6 address is usable at once.
            let nodad: &[&str] = if family == "-6" { &["nodad"] } else { &[] };
            let mut args = vec![family, "addr", "add", address, "dev", card];
            args.extend(nodad);
            side.run("ip", &args);
            side.run("ip", &["link", "set", card, "up"]);
        }
    }

    /// One more address on a card.
    #[track_caller]
    pub fn address(&self, card: &str, address: &str) {
        let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        let mut args = vec!["addr", "add", address, "dev", card];
        args.extend(nodad);
        self.run("ip", &args);
    }

    /// All that has no better way goes through `gateway`.
    #[track_caller]
    pub fn default_route(&self, gateway: &str) {
        self.run("ip", &["route", "add", "default", "via", gateway]);
    }

    /// Lets this machine pass packets on.
    #[track_caller]
    pub fn forward(&self) {
        self.run("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    }

    /// 1:1 NAT as clouds do it: whoever asks for `public` reaches `private`, whose own packets leave as `public`.
    #[track_caller]
    pub fn one_to_one_nat(&self, public: &str, private: &str) {
        self.nft(&format!(
            "table ip nat {{
                chain in {{ type nat hook prerouting priority -100; ip daddr {public} dnat to {private}; }}
                chain out {{ type nat hook postrouting priority 100; ip saddr {private} snat to {public}; }}
            }}"
        ));
    }

    /// Drops every UDP packet that passes through or arrives.
    #[track_caller]
    pub fn drop_udp(&self) {
        self.nft(
            "table inet closed {
                chain in { type filter hook input priority 0; meta l4proto udp drop; }
                chain through { type filter hook forward priority 0; meta l4proto udp drop; }
            }",
        );
    }

    /// Loses the first `bytes` of DTLS handshake (RFC 7983: first byte 22) in each direction.
    #[track_caller]
    pub fn drop_first_dtls(&self, bytes: u32) {
        let lose = format!("meta l4proto udp @th,64,8 22 quota until {bytes} bytes drop");
        self.nft(&format!(
            "table inet lossy {{
                chain in {{ type filter hook input priority 0; {lose}; }}
                chain out {{ type filter hook output priority 0; {lose}; }}
            }}"
        ));
    }

    #[track_caller]
    fn nft(&self, rules: &str) {
        self.run("nft", &[rules]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

#[track_caller]
fn run(program: &str, args: &[&str]) {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
