//! RTP as the wiretap sees it: headers, G.711, telephone-events, and the sound on its time line.

use super::pcap::Packet;
use super::sound::Recording;
use std::net::SocketAddr;

/// One RTP packet.
#[derive(Clone, Debug)]
pub struct Rtp {
    /// When it passed, milliseconds since 1970.
    pub at: f64,
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Payload type.
    pub kind: u8,
    /// Marker bit.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
    /// Payload without padding, extension and CSRCs.
    pub payload: Vec<u8>,
}

/// Reads a packet as RTP; RTCP, STUN and DTLS give `None` (RFC 5761 section 4, RFC 7983).
pub fn parse(packet: &Packet) -> Option<Rtp> {
    let bytes = packet.payload.as_slice();
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    if packet.tcp || first >> 6 != 2 || (192..=223).contains(&second) || bytes.len() < 12 {
        return None;
    }
    let mut head = 12 + usize::from(first & 15) * 4;
    if first & 0x10 != 0 {
        head += 4 + usize::from(u16::from_be_bytes([*bytes.get(head + 2)?, *bytes.get(head + 3)?])) * 4;
    }
    let padding = if first & 0x20 != 0 { usize::from(*bytes.last()?) } else { 0 };
    let word = |i: usize| u32::from_be_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
    Some(Rtp {
        at: packet.at,
        from: packet.from,
        to: packet.to,
        kind: second & 127,
        marker: second & 128 != 0,
        sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
        timestamp: word(4),
        ssrc: word(8),
        payload: bytes.get(head..bytes.len().checked_sub(padding)?)?.to_vec(),
    })
}

/// The sound of a G.711 stream as a phone with a playout delay of [`DELAY_MS`] hears it: each packet is placed by its
/// timestamp, silence stands where none came in time. `None` without a packet.
pub fn play(stream: &[Rtp]) -> Option<Recording> {
    let sound = || stream.iter().filter(|p| p.kind == PCMU || p.kind == PCMA);
    let first = sound().next()?;
    let last = sound().next_back()?;
    let length = (last.at - first.at + DELAY_MS + 20.0) * 8.0;
    let mut samples = vec![0f32; length as usize];
    // A new source, or a timestamp that jumps by more than it may, starts a new time line at its arrival.
    let (mut ssrc, mut base_stamp, mut base_at) = (first.ssrc, first.timestamp, first.at);
    for packet in sound() {
        let due = |stamp: u32, at: f64| at + f64::from(packet.timestamp.wrapping_sub(stamp) as i32) / 8.0;
        if packet.ssrc != ssrc || (due(base_stamp, base_at) - packet.at).abs() > RESTART_MS {
            (ssrc, base_stamp, base_at) = (packet.ssrc, packet.timestamp, packet.at);
        }
        let play_at = due(base_stamp, base_at);
        if packet.at > play_at + DELAY_MS {
            continue; // too late to be played
        }
        let start = ((play_at - first.at) * 8.0).round().max(0.0) as usize;
        for (i, byte) in packet.payload.iter().enumerate() {
            if let Some(sample) = samples.get_mut(start + i) {
                *sample = if packet.kind == PCMU { from_mulaw(*byte) } else { from_alaw(*byte) };
            }
        }
    }
    // What ends in silence only because of the spare room is cut off.
    let end = ((last.at - first.at) * 8.0) as usize + last.payload.len();
    samples.truncate(end);
    Some(Recording { rate: 8000, samples, started_at: first.at })
}

/// One key as it was received: every event once, however many packets carried it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub digit: char,
    /// Milliseconds since 1970 of the first packet.
    pub at: f64,
    /// Length that the last packet told, in ticks of 1/8000 s.
    pub duration: u16,
    /// Packets with the end bit.
    pub ends: usize,
}

/// The keys in a stream whose telephone-events have payload type `kind` (RFC 4733): a new timestamp is a new key, and a packet
/// that comes after the next key's first still belongs to its own.
pub fn keys(stream: &[Rtp], kind: u8) -> Vec<Key> {
    let mut keys: Vec<(u32, Key)> = Vec::new();
    for packet in stream.iter().filter(|p| p.kind == kind && p.payload.len() >= 4) {
        let digit = *b"0123456789*#ABCD".get(usize::from(packet.payload[0])).unwrap_or(&b'?') as char;
        let duration = u16::from_be_bytes([packet.payload[2], packet.payload[3]]);
        let end = usize::from(packet.payload[1] >> 7);
        let known = keys.iter_mut().rev().take(3);
        match known.into_iter().find(|(stamp, key)| *stamp == packet.timestamp && key.digit == digit) {
            Some((_, key)) => (key.duration, key.ends) = (key.duration.max(duration), key.ends + end),
            None => keys.push((packet.timestamp, Key { digit, at: packet.at, duration, ends: end })),
        }
    }
    keys.into_iter().map(|(_, key)| key).collect()
}

/// The µ-law byte nearest to a sample.
pub fn to_mulaw(sample: f32) -> u8 {
    let off = |byte: &u8| (from_mulaw(*byte) - sample).abs();
    (0..=255).min_by(|a, b| off(a).total_cmp(&off(b))).expect("256 bytes")
}

/// The sound as packets of 20 ms of PCMU, a second of silence behind it.
pub fn pcmu(samples: &[f32]) -> Vec<Vec<u8>> {
    let mut bytes: Vec<u8> = samples.iter().map(|sample| to_mulaw(*sample)).collect();
    bytes.resize(bytes.len() + 8000, 0xff);
    let packet = |(place, payload): (usize, &[u8])| {
        let mut packet = vec![0x80, PCMU];
        packet.extend((place as u16).to_be_bytes());
        packet.extend((place as u32 * 160).to_be_bytes());
        packet.extend([7; 4]);
        packet.extend(payload);
        packet
    };
    bytes.chunks_exact(160).enumerate().map(packet).collect()
}

/// ITU-T G.711, µ-law.
fn from_mulaw(byte: u8) -> f32 {
    let byte = !byte;
    let (exponent, mantissa) = (i32::from(byte >> 4 & 7), i32::from(byte & 15));
    let magnitude = (((mantissa << 3) + 132) << exponent) - 132;
    (if byte & 0x80 != 0 { -magnitude } else { magnitude }) as f32 / 32768.0
}

/// ITU-T G.711, A-law.
fn from_alaw(byte: u8) -> f32 {
    let byte = byte ^ 0x55;
    let (exponent, mantissa) = (i32::from(byte >> 4 & 7), i32::from(byte & 15));
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 264) << (exponent - 1),
    };
    (if byte & 0x80 != 0 { magnitude } else { -magnitude }) as f32 / 32768.0
}

/// Payload types that RFC 3551 fixes.
pub const PCMU: u8 = 0;
/// A-law.
pub const PCMA: u8 = 8;
const DELAY_MS: f64 = 60.0;
const RESTART_MS: f64 = 500.0;
