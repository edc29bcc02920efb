//! Machines on cables: page, house and PBX in namespaces of their own.

use super::netns::Namespace;
use super::process::{Process, Start};
use super::{Bench, secs};
use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::process::ChildStdin;

/// Everyone in `net` except the house, which stands in `cloud` behind a router that does 1:1 NAT.
///
/// ```text
/// net 203.0.113.10 ── 203.0.113.5 router 10.0.0.1 ── 10.0.0.5 cloud
/// ```
pub struct Nat {
    /// Browser, PBX and phone.
    pub net: Namespace,
    /// The house.
    pub cloud: Namespace,
    _router: Namespace,
}

impl Nat {
    /// Where the house is reached.
    pub const PUBLIC: &str = "203.0.113.5";
    /// Where the house listens.
    pub const PRIVATE: &str = "10.0.0.5";
    /// Everyone else.
    pub const NET: &str = "203.0.113.10";

    /// Lays the cables.
    #[track_caller]
    pub fn new() -> Self {
        let (net, router, cloud) = (Namespace::new("net"), Namespace::new("router"), Namespace::new("cloud"));
        net.link("wan0", "203.0.113.10/24", &router, "out0", "203.0.113.5/24");
        router.link("in0", "10.0.0.1/24", &cloud, "eth0", "10.0.0.5/24");
        cloud.default_route("10.0.0.1");
        router.forward();
        router.one_to_one_nat(Self::PUBLIC, Self::PRIVATE);
        Self { net, cloud, _router: router }
    }
}

impl Default for Nat {
    fn default() -> Self {
        Self::new()
    }
}

/// Two machines with three cables each: a LAN of both families, a VPN, and a card that leads nowhere.
///
/// ```text
/// here  lan0 192.168.7.1, fd07::1   ── there lan0 192.168.7.2, fd07::2
///       vpn0 10.8.0.1               ──       vpn0 10.8.0.2
///       spare0 172.20.0.1, fd20::1  ── (nobody)
/// ```
pub struct ThreeCards {
    /// Browser, PBX and phone.
    pub here: Namespace,
    /// The house.
    pub there: Namespace,
    _nobody: Namespace,
}

impl ThreeCards {
    /// The house on the LAN.
    pub const HOUSE: &str = "192.168.7.2";
    /// The house on the LAN, IPv6.
    pub const HOUSE_V6: &str = "fd07::2";
    /// The house by way of the VPN.
    pub const HOUSE_VPN: &str = "10.8.0.2";
    /// The others on the LAN.
    pub const HERE: &str = "192.168.7.1";
    /// The others on the LAN, IPv6.
    pub const HERE_V6: &str = "fd07::1";

    /// Lays the cables.
    #[track_caller]
    pub fn new() -> Self {
        let (here, there, nobody) =
            (Namespace::new("here"), Namespace::new("there"), Namespace::new("nobody"));
        here.link("lan0", "192.168.7.1/24", &there, "lan0", "192.168.7.2/24");
        here.address("lan0", "fd07::1/64");
        there.address("lan0", "fd07::2/64");
        here.link("vpn0", "10.8.0.1/24", &there, "vpn0", "10.8.0.2/24");
        here.link("spare0", "172.20.0.1/24", &nobody, "far0", "172.20.0.2/24");
        here.address("spare0", "fd20::1/64");
        there.link("spare0", "172.21.0.1/24", &nobody, "far1", "172.21.0.2/24");
        Self { here, there, _nobody: nobody }
    }
}

impl Default for ThreeCards {
    fn default() -> Self {
        Self::new()
    }
}

/// Two machines on one cable that have no IPv4 address but loopback's.
pub struct OnlyIpv6 {
    /// Browser, PBX and phone.
    pub here: Namespace,
    /// The house.
    pub there: Namespace,
}

impl OnlyIpv6 {
    /// The house.
    pub const HOUSE: &str = "fd09::2";
    /// The others.
    pub const HERE: &str = "fd09::1";

    /// Lays the cable.
    #[track_caller]
    pub fn new() -> Self {
        let (here, there) = (Namespace::new("here"), Namespace::new("there"));
        here.link("lan0", "fd09::1/64", &there, "lan0", "fd09::2/64");
        Self { here, there }
    }
}

impl Default for OnlyIpv6 {
    fn default() -> Self {
        Self::new()
    }
}

/// A browser behind a bad cable; the house, PBX and phone on either end of it.
///
/// ```text
/// here lan0 192.168.8.1 ── near0 (link.py) far0 ── there lan0 192.168.8.2
/// ```
pub struct BadCable {
    /// The browser.
    pub here: Namespace,
    /// The others.
    pub there: Namespace,
    input: RefCell<ChildStdin>,
    _process: Process,
    _between: Namespace,
}

impl BadCable {
    /// The browser's end.
    pub const HERE: &str = "192.168.8.1";
    /// The other end.
    pub const THERE: &str = "192.168.8.2";

    /// Lays the cable, which is good at first.
    #[track_caller]
    pub fn new(bench: &Bench) -> Self {
        let (here, between, there) =
            (Namespace::new("here"), Namespace::new("cable"), Namespace::new("there"));
        here.link("lan0", "192.168.8.1/24", &between, "near0", "10.255.0.1/32");
        there.link("lan0", "192.168.8.2/24", &between, "far0", "10.255.0.2/32");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/link.py");
        let start = Start::new("link.py", "python3", &bench.path("link.log"), Some(&between));
        let (mut process, input) = start.args([&script.to_string_lossy(), "near0", "far0"]).spawn_talking();
        process.wait_for_log("ready", secs(5));
        Self { here, there, input: RefCell::new(input), _process: process, _between: between }
    }

    /// From now on this many percent are lost, and the others delayed by up to `jitter_ms`.
    pub fn set(&self, loss: u32, jitter_ms: u32) {
        writeln!(self.input.borrow_mut(), "{loss} {jitter_ms}").unwrap();
    }
}
