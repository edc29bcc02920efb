//! The RTP session of a SIP leg: sockets, the locked source, numbering, digits and RTCP put together.
//! No actor; the shell hands it datagrams, packets and `now`.
mod reports;
mod silence;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use codecs::CodecId;
use codecs::payload::comfort_noise;
use sip::sdp::{Format, Stream};
use tracing::debug;

use crate::rtp::digits::{DigitError, DigitReceiver, DigitSender};
use crate::rtp::latch::{Latch, Seen, Verdict};
use crate::rtp::packet::{RtpPacket, is_rtcp};
use crate::rtp::ports::PortPool;
use crate::rtp::rtcp::NtpClock;
use crate::rtp::sequencer::{Incoming, Sequencer, Stamp};
use crate::rtp::socket::{self, Port, RtpSockets};
use crate::rtp::srtp::{Kind, Refused, Srtp};
use crate::rtp::tally::{NotTaken, Tally};
use crate::udp::Datagram;
use crate::vocabulary::{AudioFormat, Counter, Meters, Packet, Payload, random_hex};
pub use reports::next_report;
use silence::Silence;

/// The RTP session.
pub struct RtpSession {
    sockets: RtpSockets,
    meters: Meters,
    /// RTP packets from and to the far end.
    counted: [Counter; 2],
    cname: String,
    ntp: NtpClock,
    /// Where their reports come from (RFC 4961).
    reports_from: Option<SocketAddr>,
    agreed: Option<Agreed>,
    latch: Latch,
    tally: Tally,
    heard: DigitReceiver,
    sequencer: Sequencer,
    digits: DigitSender,
    silence: Silence,
    sent: Sent,
    datagram: BytesMut,
    /// None: plain RTP.
    srtp: Option<Srtp>,
    /// Packets that were not authentic, and those that came again.
    refused: [Counter; 2],
}

/// What offer and answer settled, in the words of the packets' path.
struct Agreed {
    stream: Stream,
    codec: CodecId,
    /// What a payload type of the far end means.
    meanings: Vec<(u8, Payload)>,
}

#[derive(Default)]
struct Sent {
    packets: u32,
    octets: u32,
}

/// A packet of the far end that is worth passing on.
pub struct Heard {
    /// The packet; telephone-events too, so that whoever counts sequence numbers downstream sees no hole.
    pub packet: Packet,
    /// The digit that begins with it.
    pub digit: Option<char>,
}

impl RtpSession {
    /// Takes a pair of ports on `ip`.
    pub fn bind(pool: &PortPool, ip: IpAddr, now: Instant, meters: &Meters) -> std::io::Result<Self> {
        let random = random_u32();
        Ok(Self {
            sockets: RtpSockets::bind(pool, ip, now)?,
            meters: meters.clone(),
            counted: [meters.rtp("sip", "in"), meters.rtp("sip", "out")],
            cname: random_hex::<8>(),
            ntp: NtpClock::new(now, SystemTime::now()),
            reports_from: None,
            agreed: None,
            latch: Latch::new(now, None),
            tally: Tally::new(now, 8000),
            heard: DigitReceiver::new(),
            sequencer: sequencer(random_u32(), 8000, random),
            digits: DigitSender::new(now, 8000, Duration::from_millis(20)),
            silence: Silence::new(now),
            sent: Sent::default(),
            datagram: BytesMut::with_capacity(2048),
            srtp: None,
            refused: [meters.dropped("sip_srtp_not_authentic"), meters.dropped("sip_srtp_replayed")],
        })
    }

    /// Our RTP port, for SDP.
    pub fn port(&self) -> u16 {
        self.sockets.port()
    }

    /// What comes in.
    pub fn incoming(&self) -> socket::Incoming {
        self.sockets.incoming()
    }

    /// Follows a new agreement. The same one again changes nothing but that the source may be another: a refresh never touches media.
    /// `None`: the codec is none of ours, which our own offers and answers rule out.
    pub fn agree(&mut self, stream: &Stream, now: Instant) -> Option<AudioFormat> {
        let codec = codec_of(&stream.send)?;
        let before = self.agreed.as_ref();
        self.latch.renegotiated(now, stream.remote_rtp);
        if before.is_some_and(|agreed| agreed.stream == *stream) {
            return Some(format(codec, stream));
        }
        if before.is_none_or(|agreed| agreed.stream.remote_rtp != stream.remote_rtp) {
            self.reports_from = None;
        }
        // Whoever has new keys or sits elsewhere begins with a roll-over counter of 0 (RFC 3711 §3.2.3), and so must we.
        let moved = stream.srtp.is_some()
            && before.is_some_and(|agreed| agreed.stream.remote_rtp != stream.remote_rtp);
        let rekeyed = before.is_some_and(|agreed| agreed.stream.srtp != stream.srtp);
        let clock = before.is_none_or(|agreed| agreed.stream.send.clock != stream.send.clock);
        if clock || moved || rekeyed {
            // Another clock is another stream too: an SSRC keeps its clock (RFC 3550 §5.2).
            let random = random_u32();
            self.sequencer = sequencer(random_u32(), stream.send.clock, random);
            self.sent = Sent::default();
        }
        match (&mut self.srtp, &stream.srtp) {
            (Some(srtp), Some(keys)) => srtp.follow(keys),
            (srtp, keys) => *srtp = keys.as_ref().map(Srtp::new),
        }
        if clock {
            self.tally.stream.set_clock_rate(stream.send.clock);
        }
        let pace =
            |stream: &Stream| (stream.send_events.as_ref().map_or(8000, |events| events.clock), stream.ptime);
        if before.is_none_or(|agreed| pace(&agreed.stream) != pace(stream)) {
            // Else digits that wait go on: a new address or a hold loses none.
            let (event_clock, ptime) = pace(stream);
            self.digits = DigitSender::new(now, event_clock, Duration::from_millis(u64::from(ptime)));
        }
        let sound = stream
            .receive
            .iter()
            .filter_map(|format| Some((format.payload_type, Payload::Audio(codec_of(format)?))));
        let events = stream
            .receive_events
            .iter()
            .map(|format| (format.payload_type, Payload::TelephoneEvent(format.clock)));
        let mut meanings: Vec<_> = sound.chain(events).collect();
        // Never agreed, for nobody shall send it; sent all the same by phones that save packets in silence.
        if stream.send.clock == 8000
            && meanings.iter().all(|(number, _)| *number != comfort_noise::PAYLOAD_TYPE)
        {
            meanings.push((comfort_noise::PAYLOAD_TYPE, Payload::ComfortNoise));
        }
        self.agreed = Some(Agreed { stream: stream.clone(), codec, meanings });
        Some(format(codec, stream))
    }

    /// Looks at a datagram. RTCP ends here; RTP of the call's source comes back.
    pub fn receive(&mut self, port: Port, datagram: &Datagram) -> Option<Heard> {
        if port == Port::Rtcp || is_rtcp(&datagram.bytes) {
            self.receive_rtcp(datagram);
            return None;
        }
        let now = datagram.received;
        // Before the latch sees it: nobody without the key gets the lock.
        let bytes = self.opened(Kind::Rtp, &datagram.bytes)?;
        let Ok(rtp) = RtpPacket::parse(&bytes) else {
            self.dropped("sip_rtp_malformed");
            return None;
        };
        if rtp.payload.len() > MAX_PAYLOAD {
            self.dropped("sip_rtp_too_long");
            return None;
        }
        let agreed = self.agreed.as_ref()?;
        let meaning = agreed.meanings.iter().find(|(number, _)| *number == rtp.payload_type);
        let Some((_, kind)) = meaning.copied() else {
            self.dropped("sip_rtp_unknown_payload_type");
            self.tally.refused(NotTaken::WrongPayloadType);
            return None;
        };
        let seen = Seen { from: datagram.from, ssrc: rtp.ssrc, sequence: rtp.sequence };
        match self.latch.judge(now, seen) {
            Verdict::Drop => {
                self.meters.rtp_foreign_source_packets_total.inc();
                self.tally.refused(NotTaken::Foreign);
                return None;
            }
            Verdict::AcceptAndLock(source) => debug!(%source, "media source locked"),
            Verdict::Accept => {}
        }
        self.tally.took(now, (rtp.ssrc, rtp.sequence, rtp.timestamp), rtp.payload.len());
        self.counted[0].inc();
        let digit = match kind {
            Payload::TelephoneEvent(_) => {
                self.heard.on_packet(&rtp.payload, rtp.timestamp, rtp.marker).ok().flatten()
            }
            Payload::Audio(_) | Payload::Video(_) | Payload::ComfortNoise => None,
        };
        let RtpPacket { marker, sequence, timestamp, ssrc, payload, .. } = rtp;
        let packet = Packet { payload_kind: kind, ssrc, sequence, timestamp, marker, payload, received: now };
        Some(Heard { packet, digit })
    }

    /// Sends a packet of the other leg to the far end.
    pub fn send(&mut self, packet: &Packet) {
        let Some(agreed) = &self.agreed else { return };
        let source = u64::from(packet.ssrc);
        if packet.payload_kind != Payload::Audio(agreed.codec) || self.digits.is_sending() {
            // A digit on the wire stands for the sound of its time.
            self.sequencer.consumed(source, packet.sequence);
            return;
        }
        if !agreed.stream.direction.sends() {
            return;
        }
        let payload_type = agreed.stream.send.payload_type;
        let incoming = Incoming {
            source,
            sequence: Some(packet.sequence),
            timestamp: packet.timestamp,
            marker: packet.marker,
        };
        self.silence.spoken(packet.received);
        if let Some(stamp) = self.sequencer.stamp(packet.received, incoming) {
            self.transmit(&stamp, payload_type, packet.payload.clone());
        }
    }

    /// Whether the far end takes telephone-events.
    pub fn takes_events(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.stream.send_events.is_some())
    }

    /// Queues digits for the far end, as telephone-events; they wait while it takes none.
    pub fn queue_digits(&mut self, digits: &str) -> Result<(), DigitError> {
        self.digits.queue(digits, None)
    }

    /// Sends the digit packets that are due; when to come back, if any wait.
    pub fn pump_digits(&mut self, now: Instant) -> Option<Instant> {
        let number = self.agreed.as_ref()?.stream.send_events.as_ref()?.payload_type;
        while let Some(packet) = self.digits.poll(now, self.sequencer.timestamp_at(now)) {
            let stamp = self.sequencer.insert(now, packet.timestamp, packet.marker);
            self.transmit(&stamp, number, packet.payload.to_vec().into());
        }
        self.digits.deadline()
    }

    /// The packet in the clear; none if it is not the far end's, which is counted and has no other effect.
    fn opened(&mut self, kind: Kind, packet: &Bytes) -> Option<Bytes> {
        let Some(srtp) = &mut self.srtp else { return Some(packet.clone()) };
        match srtp.unprotect(kind, packet) {
            Ok(bytes) => return Some(bytes),
            Err(Refused::NotAuthentic) => {
                self.refused[0].inc();
                self.tally.refused(NotTaken::Undecryptable);
            }
            Err(Refused::Replayed) => self.refused[1].inc(),
            Err(Refused::Malformed) => self.dropped("sip_srtp_malformed"),
        }
        None
    }

    fn transmit(&mut self, stamp: &Stamp, payload_type: u8, payload: bytes::Bytes) {
        let Some(remote) = self.latch.remote() else { return };
        self.sent.packets = self.sent.packets.wrapping_add(1);
        self.sent.octets = self.sent.octets.wrapping_add(payload.len() as u32);
        self.tally.sent(payload.len());
        let packet = RtpPacket {
            marker: stamp.marker,
            payload_type,
            sequence: stamp.sequence(),
            timestamp: stamp.timestamp,
            ssrc: stamp.ssrc,
            payload,
        };
        self.datagram.clear();
        packet.write(&mut self.datagram);
        let sealed = match &mut self.srtp {
            Some(srtp) => match srtp.protect(Kind::Rtp, &self.datagram) {
                Some(sealed) => Some(sealed),
                None => return,
            },
            None => None,
        };
        if self.sockets.send(Port::Rtp, sealed.as_ref().unwrap_or(&self.datagram), remote).is_ok() {
            self.counted[1].inc();
        } else {
            self.dropped("sip_socket");
        }
    }

    fn dropped(&self, place: &str) {
        self.meters.dropped(place).inc();
    }
}

/// A codec as our SDP has it.
pub(super) fn format_of(codec: CodecId) -> Format {
    let spec = codec.spec();
    let format = Format::new(spec.payload_type, spec.name, spec.clock_rate, spec.sdp_channels);
    Format { fmtp: spec.fmtp.map(str::to_owned), ..format }
}

/// Largest payload that is taken: more fits no Ethernet frame on the browser's side, and is many times the longest packet of any codec.
const MAX_PAYLOAD: usize = 1_400;

fn codec_of(format: &Format) -> Option<CodecId> {
    CodecId::from_rtpmap(&format.encoding, format.clock)
}

fn format(codec: CodecId, stream: &Stream) -> AudioFormat {
    AudioFormat {
        codec,
        ptime_ms: codec.spec().ptime_at_most(u32::from(stream.ptime)),
        telephone_event: stream.send_events.is_some(),
    }
}

fn sequencer(ssrc: u32, clock: u32, random: u32) -> Sequencer {
    // Below 2^15, so that nobody misjudges the first roll-over (RFC 3711 §3.3.1).
    Sequencer::new(ssrc, clock, (random >> 17) as u16, random)
}

fn random_u32() -> u32 {
    getrandom::u32().expect("the operating system's generator does not fail after boot")
}
