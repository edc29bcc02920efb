//! One packet through the gateway's own code, both ways, without transcoding: what SRTP, numbering and headers cost, beside a
//! UDP hop over loopback on the same machine in the same run.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench, with criterion's macros")]

use std::hint::black_box;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use actors::browser::rtc::{Outgoing, Output};
use actors::rtp::packet::RtpPacket;
use actors::rtp::sequencer::{Incoming, Sequencer};
use actors::vocabulary::Payload;
use bytes::{Bytes, BytesMut};
use codecs::CodecId;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

#[path = "../actors/tests/page/mod.rs"]
mod page;

const PAYLOAD: [u8; 160] = [0x55; 160];
const KIND: Payload = Payload::Audio(CodecId::Pcmu);
/// Packets in one measured round: a second of one call.
const ROUND: u32 = 50;

fn connected() -> page::Call {
    let mut call = page::Call::page_offers(&[CodecId::Pcmu], Duration::ZERO, |offer| offer);
    call.connect();
    call
}

/// Browser to SIP: SRTP off, numbers rewritten, header before the payload.
fn browser_to_sip(bencher: &mut criterion::Bencher<'_>) {
    bencher.iter_custom(|rounds| {
        let mut call = connected();
        call.loss = Box::new(|from_page, _| from_page); // we hand the datagrams over ourselves
        let number = call.peer.agreed().payload_type(KIND).unwrap();
        let (bound, from) = (page::address(page::BOUND), page::address(page::PAGE));
        let mut sequencer = Sequencer::new(1, 8000, 0, 0);
        let mut datagram = BytesMut::with_capacity(2048);
        let (mut spent, mut timestamp) = (Duration::ZERO, 0u32);
        for _ in 0..rounds * u64::from(ROUND) {
            timestamp = timestamp.wrapping_add(160);
            call.page_sends(number, timestamp, &PAYLOAD);
            let protected = call.page_sent.pop().unwrap();
            call.page_sent.clear();
            let start = Instant::now();
            call.peer.receive(call.now, from, bound, &protected);
            while let Some(output) = call.peer.poll() {
                let Output::Packet(packet) = output else { continue };
                let incoming = Incoming {
                    source: u64::from(packet.ssrc),
                    sequence: Some(packet.sequence),
                    timestamp: packet.timestamp,
                    marker: packet.marker,
                };
                let stamp = sequencer.stamp(call.now, incoming).unwrap();
                datagram.clear();
                let rtp = RtpPacket {
                    marker: stamp.marker,
                    payload_type: 0,
                    sequence: stamp.sequence(),
                    timestamp: stamp.timestamp,
                    ssrc: stamp.ssrc,
                    payload: packet.payload,
                };
                rtp.write(&mut datagram);
                black_box(&datagram);
            }
            spent += start.elapsed();
        }
        spent
    });
}

/// SIP to browser: header read, numbers rewritten, SRTP on.
fn sip_to_browser(bencher: &mut criterion::Bencher<'_>) {
    bencher.iter_custom(|rounds| {
        let mut call = connected();
        let mut sequencer = Sequencer::new(1, 8000, 0, 0);
        let mut sequence = 0u16;
        let mut spent = Duration::ZERO;
        for count in 0..rounds * u64::from(ROUND) {
            sequence = sequence.wrapping_add(1);
            let mut wire = BytesMut::new();
            let timestamp = (count as u32).wrapping_mul(160);
            let packet = RtpPacket {
                marker: false,
                payload_type: 0,
                sequence,
                timestamp,
                ssrc: 7,
                payload: Bytes::from_static(&PAYLOAD),
            };
            packet.write(&mut wire);
            let wire = wire.freeze();
            let start = Instant::now();
            let rtp = RtpPacket::parse(&wire).unwrap();
            let incoming = Incoming {
                source: u64::from(rtp.ssrc),
                sequence: Some(rtp.sequence),
                timestamp: rtp.timestamp,
                marker: rtp.marker,
            };
            let stamp = sequencer.stamp(call.now, incoming).unwrap();
            let outgoing = Outgoing {
                kind: KIND,
                sequence: stamp.extended_sequence,
                timestamp: stamp.timestamp,
                marker: stamp.marker,
                payload: rtp.payload,
            };
            call.peer.send(outgoing, call.now).unwrap();
            while let Some(output) = call.peer.poll() {
                black_box(&output);
            }
            spent += start.elapsed();
        }
        spent
    });
}

/// The floor: one datagram sent and received over loopback.
fn udp_hop(bencher: &mut criterion::Bencher<'_>) {
    let (sender, receiver) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 2048];
    bencher.iter(|| {
        for _ in 0..ROUND {
            sender.send(&[0x55; 172]).unwrap();
            black_box(receiver.recv(&mut buffer).unwrap());
        }
    });
}

fn packet_path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(u64::from(ROUND)));
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    group.bench_function("browser to SIP", browser_to_sip);
    group.bench_function("SIP to browser", sip_to_browser);
    group.bench_function("UDP hop", udp_hop);
    group.finish();
}

criterion_group!(benches, packet_path);
criterion_main!(benches);
