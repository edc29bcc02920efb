//! One RTP stream of a SIP leg, both ways, whatever it carries: ports, the locked source, numbering, encryption, the books.
use std::net::{IpAddr, SocketAddr};
use std::time::{Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use sip::sdp::Stream;
use tracing::debug;

use super::random_u32;
use crate::rtp::latch::{Latch, Seen, Verdict};
use crate::rtp::packet::{RtpPacket, is_rtcp};
use crate::rtp::ports::PortPool;
use crate::rtp::resends::Resends;
use crate::rtp::rtcp::{NtpClock, Rtcp};
use crate::rtp::sequencer::{Incoming, Sequencer, Stamp};
use crate::rtp::socket::{self, Port, RtpSockets};
use crate::rtp::srtp::{Kind, Refused, Srtp};
use crate::rtp::tally::{NotTaken, Tally};
use crate::udp::Datagram;
use crate::vocabulary::{Counter, Meters, Packet, Payload, random_hex};

/// The stream.
pub struct Wire {
    sockets: RtpSockets,
    pub(super) meters: Meters,
    /// RTP packets from and to the far end.
    counted: [Counter; 2],
    pub(super) identity: Identity,
    /// Where their reports come from (RFC 4961).
    pub(super) reports_from: Option<SocketAddr>,
    pub(super) stream: Option<Stream>,
    /// What a payload type of the far end means.
    meanings: Vec<(u8, Payload)>,
    pub(super) latch: Latch,
    pub(super) tally: Tally,
    pub(super) sequencer: Sequencer,
    pub(super) sent: Sent,
    datagram: BytesMut,
    /// What the far end may want again; None: it does not ask.
    pub(super) resends: Option<Resends>,
    /// None: plain RTP.
    pub(super) srtp: Option<Srtp>,
    /// Packets that were not authentic, and those that came again.
    refused: [Counter; 2],
}

/// What all streams of a leg say of themselves, so that the far end can play them in step (RFC 3550 §6.4.1, §6.5.1).
#[derive(Clone)]
pub struct Identity {
    pub(super) cname: String,
    pub(super) ntp: NtpClock,
}

#[derive(Default)]
pub(super) struct Sent {
    pub(super) packets: u32,
    pub(super) octets: u32,
}

/// What a datagram brought.
pub enum Arrived {
    /// A packet of the far end's source.
    Packet(Packet),
    /// Its RTCP, which is in the books already.
    Reports(Vec<Rtcp>),
    /// Nothing for us.
    Nothing,
}

impl Identity {
    /// A fresh one.
    pub fn random(now: Instant) -> Self {
        Self { cname: random_hex::<8>(), ntp: NtpClock::new(now, SystemTime::now()) }
    }
}

impl Wire {
    /// Takes a pair of ports on `ip`, for a stream that counts at `clock` Hz until something else is agreed.
    pub fn bind(
        pool: &PortPool,
        ip: IpAddr,
        now: Instant,
        meters: &Meters,
        identity: Identity,
        clock: u32,
    ) -> std::io::Result<Self> {
        Ok(Self {
            sockets: RtpSockets::bind(pool, ip, now)?,
            meters: meters.clone(),
            counted: [meters.rtp("sip", "in"), meters.rtp("sip", "out")],
            identity,
            reports_from: None,
            stream: None,
            meanings: vec![],
            latch: Latch::new(now, None),
            tally: Tally::new(now, clock),
            sequencer: sequencer(clock),
            sent: Sent::default(),
            datagram: BytesMut::new(), // grows to what the codec needs
            resends: None,
            srtp: None,
            refused: [meters.dropped("sip_srtp_not_authentic"), meters.dropped("sip_srtp_replayed")],
        })
    }

    /// Our RTP port, for SDP.
    pub fn port(&self) -> u16 {
        self.sockets.port()
    }

    /// What comes in.
    pub fn incoming(&self) -> std::io::Result<socket::Incoming> {
        self.sockets.incoming()
    }

    /// What is agreed.
    pub fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    /// Follows a new agreement, in which these payload types of the far end have these meanings. False: nothing has changed but that
    /// the source may be another, for a refresh never touches media.
    pub fn follow(&mut self, stream: &Stream, meanings: Vec<(u8, Payload)>, now: Instant) -> bool {
        let before = self.stream.as_ref();
        self.latch.renegotiated(now, stream.remote_rtp);
        if before.is_some_and(|before| before == stream) {
            return false;
        }
        if before.is_none_or(|before| before.remote_rtp != stream.remote_rtp) {
            self.reports_from = None;
        }
        // Whoever has new keys or sits elsewhere begins with a roll-over counter of 0 (RFC 3711 §3.2.3), and so must we.
        let moved =
            stream.srtp.is_some() && before.is_some_and(|before| before.remote_rtp != stream.remote_rtp);
        let rekeyed = before.is_some_and(|before| before.srtp != stream.srtp);
        let clock = before.is_none_or(|before| before.send.clock != stream.send.clock);
        if clock || moved || rekeyed {
            // Another clock is another stream too: an SSRC keeps its clock (RFC 3550 §5.2).
            self.sequencer = sequencer(stream.send.clock);
            self.sent = Sent::default();
            self.resends = None;
        }
        match (&mut self.srtp, &stream.srtp) {
            (Some(srtp), Some(keys)) => srtp.follow(keys),
            (srtp, keys) => *srtp = keys.as_ref().map(Srtp::new),
        }
        if clock {
            self.tally.stream.set_clock_rate(stream.send.clock);
        }
        self.meanings = meanings;
        self.stream = Some(stream.clone());
        true
    }

    /// There is no agreement any more: nothing is sent or taken.
    pub fn forget(&mut self) {
        (self.stream, self.srtp) = (None, None);
        self.meanings.clear();
    }

    /// Looks at a datagram.
    pub fn receive(&mut self, port: Port, datagram: &Datagram) -> Arrived {
        if port == Port::Rtcp || is_rtcp(&datagram.bytes) {
            return self.receive_rtcp(datagram).map_or(Arrived::Nothing, Arrived::Reports);
        }
        self.receive_rtp(datagram).map_or(Arrived::Nothing, Arrived::Packet)
    }

    fn receive_rtp(&mut self, datagram: &Datagram) -> Option<Packet> {
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
        self.stream.as_ref()?;
        let meaning = self.meanings.iter().find(|(number, _)| *number == rtp.payload_type);
        let Some((_, payload_kind)) = meaning.copied() else {
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
        let RtpPacket { marker, sequence, timestamp, ssrc, payload, .. } = rtp;
        Some(Packet { payload_kind, ssrc, sequence, timestamp, marker, payload, received: now })
    }

    /// The packet in the clear; none if it is not the far end's, which is counted and has no other effect.
    pub(super) fn opened(&mut self, kind: Kind, packet: &Bytes) -> Option<Bytes> {
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

    /// Sends a packet of the other leg in the agreed codec, with its place in our stream; one that comes too late is left out. A source that begins
    /// sets the marker of sound, where it means a talkspurt; that of pictures stays as it is. True: it was sent.
    pub fn forward(&mut self, packet: &Packet) -> bool {
        let Some(stream) = &self.stream else { return false };
        let payload_type = stream.send.payload_type;
        let incoming = Incoming {
            source: u64::from(packet.ssrc),
            sequence: Some(packet.sequence),
            timestamp: packet.timestamp,
            marker: packet.marker,
        };
        let Some(mut stamp) = self.sequencer.stamp(packet.received, incoming) else { return false };
        if let Payload::Video(_) = packet.payload_kind {
            stamp.marker = packet.marker;
        }
        if let Some(resends) = &mut self.resends {
            resends.sent(stamp, packet.payload.clone());
        }
        self.transmit(&stamp, payload_type, packet.payload.clone())
    }

    /// Sends again what the far end lost, as it was.
    pub fn resend(&mut self, lost: &[u16], now: Instant) {
        let Some(payload_type) = self.stream.as_ref().map(|stream| stream.send.payload_type) else { return };
        for number in lost {
            let again = self.resends.as_mut().and_then(|resends| resends.again(*number, now));
            if let Some((stamp, payload)) = again {
                self.transmit(&stamp, payload_type, payload);
            }
        }
    }

    /// A packet of the other leg is not sent on.
    pub fn consume(&mut self, packet: &Packet) {
        self.sequencer.consumed(u64::from(packet.ssrc), packet.sequence);
    }

    pub(super) fn transmit(&mut self, stamp: &Stamp, payload_type: u8, payload: Bytes) -> bool {
        let Some(remote) = self.latch.remote() else { return false };
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
                None => return false,
            },
            None => None,
        };
        let sent = self.sockets.send(Port::Rtp, sealed.as_ref().unwrap_or(&self.datagram), remote).is_ok();
        if sent {
            self.counted[1].inc();
        } else {
            self.dropped("sip_socket");
        }
        sent
    }

    /// Sends RTCP.
    pub(super) fn transmit_rtcp(&mut self, compound: &[u8]) {
        let Some(remote) = self.rtcp_remote() else { return };
        let sealed = match &mut self.srtp {
            Some(srtp) => match srtp.protect(Kind::Rtcp, compound) {
                Some(sealed) => Some(sealed),
                None => return,
            },
            None => None,
        };
        if self.sockets.send(Port::Rtcp, sealed.as_deref().unwrap_or(compound), remote).is_err() {
            self.dropped("sip_socket");
        }
    }

    pub(super) fn foreign(&self) {
        self.meters.rtp_foreign_source_packets_total.inc();
    }

    pub(super) fn dropped(&self, place: &str) {
        self.meters.dropped(place).inc();
    }
}

/// Largest payload that is taken: more fits no Ethernet frame on the browser's side, and is many times the longest packet of any codec.
const MAX_PAYLOAD: usize = 1_400;

fn sequencer(clock: u32) -> Sequencer {
    let random = random_u32();
    // Below 2^15, so that nobody misjudges the first roll-over (RFC 3711 §3.3.1).
    Sequencer::new(random_u32(), clock, (random >> 17) as u16, random)
}
