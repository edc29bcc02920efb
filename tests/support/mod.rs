//! The bench: real peers round the `tandem` program.
//!
//! [`Bench`] gives a test its own ports, folder and log tails, and keeps every other house off the machine meanwhile.
//! Round it stand [`House`] (the program under test), [`Kamailio`] (registrar and proxy), [`Baresip`] and [`Sipp`]
//! (phones), [`Web`] (Chromium with the unmodified WebSDK), [`Wiretap`] (what really went over the wire) and [`sound`]
//! (what was really heard). All of it runs on loopback or in namespaces that the test made itself.

// Each test file is a crate of its own that uses a part of the bench.
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used)]

pub mod baresip;
pub mod bench;
pub mod browser;
pub mod cinema;
pub mod device;
pub mod dns;
pub mod fairly;
pub mod handset;
pub mod house;
pub mod kamailio;
pub mod linphone;
pub mod netns;
pub mod pattern;
pub mod pcap;
pub mod process;
pub mod record;
pub mod relay;
pub mod rtp;
pub mod scene;
pub mod sip_probe;
pub mod sipp;
pub mod sound;
pub mod speech;
pub mod stage;
pub mod tls;
pub mod tone;
pub mod videophone;
pub mod wav;
pub mod websocket;
pub mod wiretap;

pub use baresip::Baresip;
pub use bench::Bench;
pub use browser::{Page, Web};
pub use cinema::Cinema;
pub use device::Device;
pub use fairly::fairly;
pub use house::House;
pub use kamailio::{Kamailio, Media};
pub use linphone::Linphone;
pub use process::Process;
pub use sipp::Sipp;
pub use sound::Recording;
pub use speech::Speech;
pub use tone::Tone;
pub use videophone::Videophone;
pub use wiretap::Wiretap;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970: the clock that every peer of the bench shares.
pub fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}

/// Asks `ready` every 20 ms until it gives something; panics with `what` after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Seconds, for short test lines.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
