//! One packet through the gateway's own code, both ways, without transcoding: what SRTP, numbering and headers cost, beside a
//! UDP hop over loopback on the same machine in the same run.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench, with criterion's macros")]

use std::hint::black_box;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use actors::browser::rtc::{Outgoing, Output, Peer};
use actors::browser::sdp::Description;
use actors::rtp::packet::{RtpPacket, is_rtcp};
use actors::rtp::sequencer::{Incoming, Sequencer};
use actors::vocabulary::Payload;
use bytes::{Bytes, BytesMut};
use codecs::CodecId;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

#[path = "../actors/tests/page/mod.rs"]
mod page;

const PAYLOAD: [u8; 160] = [0x55; 160];
const KIND: Payload = Payload::Audio(CodecId::Pcmu);
/// Packets in one measured round: five seconds of one call, so that its reports are in it.
const ROUND: u32 = 250;
const TICK: Duration = Duration::from_millis(20);

fn connected() -> page::Call {
    let mut call = page::Call::page_offers(&[CodecId::Pcmu], Duration::ZERO, |offer| offer);
    call.connect();
    call
}

/// Browser to SIP: SRTP off, numbers rewritten, header before the payload.
fn browser_to_sip(bencher: &mut criterion::Bencher<'_>) {
    bencher.iter_custom(|rounds| {
        let mut call = connected();
        let media = |datagram: &[u8]| page::kind(datagram) == page::Kind::Media && !is_rtcp(datagram);
        call.loss = Box::new(move |from_page, datagram| from_page && media(datagram)); // those we hand over ourselves
        let number = call.peer.agreed().payload_type(KIND).unwrap();
        let (bound, from) = (page::address(page::BOUND), page::address(page::PAGE));
        let mut sequencer = Sequencer::new(1, 8000, 0, 0);
        let mut datagram = BytesMut::with_capacity(2048);
        let (mut spent, mut timestamp) = (Duration::ZERO, 0u32);
        for _ in 0..rounds * u64::from(ROUND) {
            timestamp = timestamp.wrapping_add(160);
            call.run(TICK);
            call.page_sent.clear();
            call.page_sends(number, timestamp, &PAYLOAD);
            let protected = call.page_sent.iter().find(|datagram| media(datagram)).unwrap().clone();
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
        let (mut spent, mut outputs) = (Duration::ZERO, Vec::new());
        for count in 0..rounds * u64::from(ROUND) {
            call.run(TICK);
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
                outputs.push(black_box(output));
            }
            spent += start.elapsed();
            for output in outputs.drain(..) {
                let Output::Transmit { bytes, .. } = output else { continue };
                call.page_receives(&bytes); // which reports on it
            }
        }
        spent
    });
}

/// What a page's offer costs until our answer is there.
fn offer_answered(bencher: &mut criterion::Bencher<'_>) {
    let now = Instant::now();
    let config = page::config(&[CodecId::Pcmu]);
    let offer = Description::parse(include_str!("../actors/tests/sdp/offer-audio.sdp")).unwrap();
    bencher.iter(|| black_box(Peer::answer(&offer, &config, None, now).unwrap()));
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
    criterion.bench_function("offer answered", offer_answered);
}

criterion_group!(benches, packet_path);
criterion_main!(benches);
