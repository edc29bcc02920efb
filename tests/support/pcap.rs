//! Reads pcap files down to UDP datagrams and TCP segments.

use std::net::{IpAddr, SocketAddr};

/// One packet of UDP or TCP.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When the kernel saw it, milliseconds since 1970.
    pub at: f64,
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// TCP rather than UDP.
    pub tcp: bool,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// Every packet of a capture; a last one that was cut short is left out.
pub fn packets(bytes: &[u8]) -> Vec<Packet> {
    if bytes.len() < 24 {
        return vec![];
    }
    let nanoseconds = match u32::from_le_bytes(bytes[..4].try_into().unwrap()) {
        0xa1b2_c3d4 => false,
        0xa1b2_3c4d => true,
        magic => panic!("no pcap file of this machine: {magic:08x}"),
    };
    let link = u32::from_le_bytes(bytes[20..24].try_into().unwrap());
    let (mut at, mut all) = (24, Vec::new());
    while at + 16 <= bytes.len() {
        let word = |i: usize| u32::from_le_bytes(bytes[at + i..at + i + 4].try_into().unwrap());
        let (seconds, fraction, length) = (word(0), word(4), word(8) as usize);
        let time = f64::from(seconds) * 1000.0 + f64::from(fraction) / if nanoseconds { 1e6 } else { 1e3 };
        let Some(frame) = bytes.get(at + 16..at + 16 + length) else { break };
        all.extend(frame_to_packet(link, frame, time));
        at += 16 + length;
    }
    all
}

/// Writes a capture of these UDP payloads, one each 20 ms, for SIPp to play.
pub fn write_played(path: &std::path::Path, payloads: &[Vec<u8>]) {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1u32] {
        file.extend(word.to_le_bytes());
    }
    for (place, payload) in payloads.iter().enumerate() {
        let (udp, at) = (payload.len() as u16 + 8, place as u32 * 20_000);
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((udp + 20).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        for word in [4000, 4000, udp, 0] {
            frame.extend(word.to_be_bytes());
        }
        frame.extend(payload);
        for word in [at / 1_000_000, at % 1_000_000, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    std::fs::write(path, file).unwrap();
}

fn frame_to_packet(link: u32, frame: &[u8], at: f64) -> Option<Packet> {
    // Ethernet (and loopback), "any" in its two forms, bare IP.
    let ip = frame.get(
        match link {
            1 => 14,
            113 => 16,
            276 => 20,
            _ => 0,
        }..,
    )?;
    let (protocol, source, target, body) = match ip.first()? >> 4 {
        4 => {
            let (head, total) =
                (usize::from(ip[0] & 15) * 4, usize::from(u16::from_be_bytes([*ip.get(2)?, *ip.get(3)?])));
            let address = |i: usize| Some(IpAddr::from(<[u8; 4]>::try_from(ip.get(i..i + 4)?).ok()?));
            (*ip.get(9)?, address(12)?, address(16)?, ip.get(head..total)?)
        }
        6 => {
            let address = |i: usize| Some(IpAddr::from(<[u8; 16]>::try_from(ip.get(i..i + 16)?).ok()?));
            (*ip.get(6)?, address(8)?, address(24)?, ip.get(40..)?)
        }
        _ => return None,
    };
    let port = |i: usize| Some(u16::from_be_bytes([*body.get(i)?, *body.get(i + 1)?]));
    let (tcp, head) = match protocol {
        17 => (false, 8),
        6 => (true, usize::from(body.get(12)? >> 4) * 4),
        _ => return None,
    };
    let payload = body.get(head..)?.to_vec();
    Some(Packet {
        at,
        from: SocketAddr::new(source, port(0)?),
        to: SocketAddr::new(target, port(2)?),
        tcp,
        payload,
    })
}
