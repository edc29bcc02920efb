//! What really went over the wire, by dumpcap: the bench's word against any peer's.

use super::netns::Namespace;
use super::pcap::{self, Packet};
use super::process::{Process, Start};
use super::rtp::{self, Key, Rtp};
use super::sound::Recording;
use super::{Bench, secs};
use std::path::PathBuf;

/// A running capture. [`Wiretap::stop`] gives what it saw.
pub struct Wiretap {
    process: Process,
    file: PathBuf,
}

/// A finished capture.
pub struct Capture {
    /// Every UDP datagram and TCP segment with a payload, in order.
    pub packets: Vec<Packet>,
}

impl Wiretap {
    /// Listens to loopback.
    #[track_caller]
    pub fn start(bench: &Bench) -> Self {
        Self::on(bench, "lo", None)
    }

    /// Listens to one card of a namespace.
    #[track_caller]
    pub fn on(bench: &Bench, interface: &str, namespace: Option<&Namespace>) -> Self {
        let place = namespace.map_or("host", Namespace::name);
        let file = bench.path(&format!("wire-{place}-{interface}.pcap"));
        let mut process = Start::new(
            "dumpcap",
            "dumpcap",
            &bench.path(&format!("wire-{place}-{interface}.log")),
            namespace,
        )
        .args(["-i", interface, "-P", "-q", "-B", "16", "-f", "udp or tcp", "-w", &file.to_string_lossy()])
        .spawn();
        process.wait_for_log("File:", secs(10));
        Self { process, file }
    }

    /// Ends the capture and reads it.
    pub fn stop(mut self) -> Capture {
        // Packets lie in the kernel's ring for some time before dumpcap writes them.
        std::thread::sleep(std::time::Duration::from_millis(300));
        self.process.stop(secs(5));
        let mut packets = pcap::packets(&std::fs::read(&self.file).unwrap());
        packets.retain(|packet| !packet.payload.is_empty());
        Capture { packets }
    }
}

impl Capture {
    /// The RTP that arrived at a range of ports.
    pub fn rtp_to(&self, ports: (u16, u16)) -> Vec<Rtp> {
        self.packets
            .iter()
            .filter(|p| (ports.0..=ports.1).contains(&p.to.port()))
            .filter_map(rtp::parse)
            .collect()
    }

    /// What a phone at these ports could hear, on the true time line.
    #[track_caller]
    pub fn heard(&self, ports: (u16, u16)) -> Recording {
        rtp::play(&self.rtp_to(ports)).unwrap_or_else(|| panic!("no G.711 came to the ports {ports:?}"))
    }

    /// Asserts that a WebRTC port of Tandem sent one stream without a missing number: whatever happened on the SIP side, the browser saw
    /// nothing of it.
    #[track_caller]
    pub fn assert_one_stream(&self, port: u16) {
        let sent = self.packets.iter().filter(|packet| packet.from.port() == port);
        let stream: Vec<Rtp> = sent.filter_map(rtp::parse).collect();
        assert!(stream.len() > 50, "{} packets", stream.len());
        for pair in stream.windows(2) {
            assert_eq!(pair[0].ssrc, pair[1].ssrc, "the source changed within a call");
            assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1, "a number is missing");
        }
    }

    /// The keys that were pressed towards these ports; `kind` is the payload type of telephone-event.
    pub fn keys_to(&self, ports: (u16, u16), kind: u8) -> Vec<Key> {
        rtp::keys(&self.rtp_to(ports), kind)
    }

    /// The SIP messages from or to a port, with their time, UDP only.
    pub fn sip(&self, port: u16) -> Vec<(f64, String)> {
        let mine = self.packets.iter().filter(|p| !p.tcp && (p.from.port() == port || p.to.port() == port));
        mine.filter(|p| is_sip(&p.payload))
            .map(|p| (p.at, String::from_utf8_lossy(&p.payload).into_owned()))
            .collect()
    }

    /// The SIP messages that a port sent, UDP only.
    pub fn sip_from(&self, port: u16) -> Vec<(f64, String)> {
        let mine = self.packets.iter().filter(|p| !p.tcp && p.from.port() == port && is_sip(&p.payload));
        mine.map(|p| (p.at, String::from_utf8_lossy(&p.payload).into_owned())).collect()
    }
}

/// Asserts what every RTP stream owes its listener: sequence numbers one by one and timestamps in even steps. Keys may
/// share a timestamp; sound may not.
#[track_caller]
pub fn assert_even_steps(stream: &[Rtp]) {
    let sound: Vec<&Rtp> = stream.iter().filter(|p| p.kind == rtp::PCMU || p.kind == rtp::PCMA).collect();
    for pair in sound.windows(2) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        let expected =
            pair[0].payload.len() as u32 * u32::from(pair[1].sequence.wrapping_sub(pair[0].sequence));
        assert_eq!(pair[0].ssrc, pair[1].ssrc, "the source changed within a call");
        assert_eq!(step, expected, "timestamp step {step} after sequence {}", pair[0].sequence);
    }
}

fn is_sip(payload: &[u8]) -> bool {
    let line = payload.split(|b| *b == b'\r' || *b == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    line.starts_with("SIP/2.0 ") || line.ends_with(" SIP/2.0")
}
