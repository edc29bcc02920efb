//! The RTP session of a SIP leg: sound with its digits and its silence on one [`Wire`]; [`VideoSession`] has pictures on another.
//! No actor; the shell hands it datagrams, packets and `now`.
mod formats;
mod limits;
mod reports;
mod silence;
mod video;
mod wire;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use codecs::CodecId;
use codecs::payload::comfort_noise;
use sip::sdp::{Format, Stream};

use crate::rtp::digits::{DigitError, DigitReceiver, DigitSender};
use crate::rtp::ports::PortPool;
use crate::rtp::socket::{self, Port};
use crate::udp::Datagram;
use crate::vocabulary::{AudioFormat, Meters, Packet, Payload};
pub use formats::{local_video, video_of};
pub use reports::next_report;
use silence::Silence;
pub use video::VideoSession;
use wire::{Arrived, Identity, Wire};

/// The sound of a leg.
pub struct RtpSession {
    wire: Wire,
    /// What is agreed.
    codec: Option<CodecId>,
    heard: DigitReceiver,
    digits: DigitSender,
    silence: Silence,
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
        Ok(Self {
            wire: Wire::bind(pool, ip, now, meters, Identity::random(now), 8000)?,
            codec: None,
            heard: DigitReceiver::new(),
            digits: DigitSender::new(now, 8000, Duration::from_millis(20)),
            silence: Silence::new(now),
        })
    }

    /// Who the leg is to the far end's RTCP.
    pub fn identity(&self) -> Identity {
        self.wire.identity.clone()
    }

    /// Our RTP port, for SDP.
    pub fn port(&self) -> u16 {
        self.wire.port()
    }

    /// What comes in.
    pub fn incoming(&self) -> std::io::Result<socket::Incoming> {
        self.wire.incoming()
    }

    /// Follows a new agreement. The same one again changes nothing but that the source may be another: a refresh never touches media.
    /// `None`: the codec is none of ours, which our own offers and answers rule out.
    pub fn agree(&mut self, stream: &Stream, now: Instant) -> Option<AudioFormat> {
        let codec = codec_of(&stream.send)?;
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
        let pace =
            |stream: &Stream| (stream.send_events.as_ref().map_or(8000, |events| events.clock), stream.ptime);
        let before = self.wire.stream().map(pace);
        if self.wire.follow(stream, meanings, now) && before != Some(pace(stream)) {
            // Else digits that wait go on: a new address or a hold loses none.
            let (event_clock, ptime) = pace(stream);
            self.digits = DigitSender::new(now, event_clock, Duration::from_millis(u64::from(ptime)));
        }
        self.codec = Some(codec);
        Some(format(codec, stream))
    }

    /// Looks at a datagram. RTCP ends here; RTP of the call's source comes back.
    pub fn receive(&mut self, port: Port, datagram: &Datagram) -> Option<Heard> {
        let Arrived::Packet(packet) = self.wire.receive(port, datagram) else { return None };
        let digit = match packet.payload_kind {
            Payload::TelephoneEvent(_) => {
                self.heard.on_packet(&packet.payload, packet.timestamp, packet.marker).ok().flatten()
            }
            Payload::Audio(_) | Payload::Video(_) | Payload::ComfortNoise => None,
        };
        Some(Heard { packet, digit })
    }

    /// Sends a packet of the other leg to the far end.
    pub fn send(&mut self, packet: &Packet) {
        let (Some(codec), Some(stream)) = (self.codec, self.wire.stream()) else { return };
        if packet.payload_kind != Payload::Audio(codec) || self.digits.is_sending() {
            // A digit on the wire stands for the sound of its time.
            self.wire.consume(packet);
        } else if stream.direction.sends() {
            self.silence.spoken(packet.received);
            self.wire.forward(packet);
        }
    }

    /// Whether the far end takes telephone-events.
    pub fn takes_events(&self) -> bool {
        self.wire.stream().is_some_and(|stream| stream.send_events.is_some())
    }

    /// Queues digits for the far end, as telephone-events; they wait while it takes none.
    pub fn queue_digits(&mut self, digits: &str) -> Result<(), DigitError> {
        self.digits.queue(digits, None)
    }

    /// Sends the digit packets that are due; when to come back, if any wait.
    pub fn pump_digits(&mut self, now: Instant) -> Option<Instant> {
        let number = self.wire.stream()?.send_events.as_ref()?.payload_type;
        while let Some(packet) = self.digits.poll(now, self.wire.sequencer.timestamp_at(now)) {
            let stamp = self.wire.sequencer.insert(now, packet.timestamp, packet.marker);
            self.wire.transmit(&stamp, number, packet.payload.to_vec().into());
        }
        self.digits.deadline()
    }
}

/// A codec as our SDP has it.
pub(super) fn format_of(codec: CodecId) -> Format {
    let spec = codec.spec();
    let format = Format::new(spec.payload_type, spec.name, spec.clock_rate, spec.sdp_channels);
    Format { fmtp: spec.fmtp.map(str::to_owned), ..format }
}

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

fn random_u32() -> u32 {
    getrandom::u32().expect("the operating system's generator does not fail after boot")
}
