//! The pictures of a SIP leg: their own [`Wire`], and wishes for key frames both ways.
use std::net::IpAddr;
use std::time::Instant;

use codecs::payload::{h264, vp8};
use codecs::video::format::VIDEO_CLOCK;
use codecs::video::{VideoCodec, VideoFormat};
use sip::sdp::{Direction, Feedback, Format, LocalVideo, Stream};

use super::wire::{Arrived, Identity, Wire};
use crate::rtp::holes::Holes;
use crate::rtp::key_frames::KeyFrames;
use crate::rtp::ports::PortPool;
use crate::rtp::rtcp::{self, Rtcp};
use crate::rtp::socket::{self, Port};
use crate::udp::Datagram;
use crate::vocabulary::{Meters, Packet, Payload, VideoLine};

/// The pictures of a leg.
pub struct VideoSession {
    wire: Wire,
    line: Option<VideoLine>,
    /// The far end's stream, once it has sent.
    source: Option<u32>,
    /// What is missing of it, and whether nobody can go on without that.
    holes: Holes,
    torn: bool,
    /// What the far end is asked for.
    wishes: KeyFrames,
    /// Questions since a key frame came.
    in_vain: u8,
    /// The number of our last FIR, and of theirs: a repeated number is the same wish (RFC 5104 §4.3.1.2).
    fir: u8,
    their_fir: Option<u8>,
}

/// What the far end sent.
pub enum Seen {
    /// A packet of its pictures.
    Picture(Packet),
    /// It cannot go on without a key frame.
    KeyFrameWanted,
}

impl VideoSession {
    /// Takes a pair of ports on `ip`, beside the sound of the same identity.
    pub fn bind(
        pool: &PortPool,
        ip: IpAddr,
        now: Instant,
        meters: &Meters,
        identity: Identity,
    ) -> std::io::Result<Self> {
        Ok(Self {
            wire: Wire::bind(pool, ip, now, meters, identity, VIDEO_CLOCK)?,
            line: None,
            source: None,
            holes: Holes::new(Holes::UNASKED),
            torn: false,
            wishes: KeyFrames::default(),
            in_vain: 0,
            fir: 0,
            their_fir: None,
        })
    }

    /// Our RTP port, for SDP.
    pub fn port(&self) -> u16 {
        self.wire.port()
    }

    /// What comes in.
    pub fn incoming(&self) -> std::io::Result<socket::Incoming> {
        self.wire.incoming()
    }

    /// Follows a new agreement; `None`: there are no pictures.
    pub fn agree(&mut self, stream: Option<&Stream>, now: Instant) -> Option<VideoLine> {
        self.line = stream.and_then(line);
        match (stream, self.line) {
            (Some(stream), Some(line)) => {
                let kind = Payload::Video(line.sends.codec());
                let same = stream.receive.iter().filter(|format| format.same_codec(&stream.receive[0]));
                self.wire.follow(stream, same.map(|format| (format.payload_type, kind)).collect(), now);
            }
            _ => self.wire.forget(),
        }
        self.line
    }

    /// Looks at a datagram.
    pub fn receive(&mut self, port: Port, datagram: &Datagram) -> Option<Seen> {
        match self.wire.receive(port, datagram) {
            Arrived::Packet(packet) => {
                let key = begins_key_picture(&packet);
                if key && self.wishes.is_waiting() {
                    self.wishes.came();
                    self.in_vain = 0;
                }
                self.look_for_holes(&packet, key);
                Some(Seen::Picture(packet))
            }
            Arrived::Reports(reports) => {
                let wanted = reports.iter().filter(|report| self.is_new_wish(report)).count() > 0;
                wanted.then_some(Seen::KeyFrameWanted)
            }
            Arrived::Nothing => None,
        }
    }

    /// A source that begins with anything but a key frame is of no use yet, and one that has lost something no more.
    fn look_for_holes(&mut self, packet: &Packet, key: bool) {
        if self.source.replace(packet.ssrc) != Some(packet.ssrc) {
            self.holes = Holes::new(Holes::UNASKED);
            self.torn = !key;
        }
        self.torn |= self.holes.arrive(packet.sequence, packet.received);
    }

    /// Whether whoever looks at the far end's pictures needs a key frame now; says so once.
    pub fn is_torn(&mut self) -> bool {
        std::mem::take(&mut self.torn)
    }

    /// Sends a packet of the other leg to the far end.
    pub fn send(&mut self, packet: &Packet) {
        let Some(line) = self.line else { return };
        if packet.payload_kind == Payload::Video(line.takes.codec()) && line.direction.sends() {
            self.wire.forward(packet);
        }
    }

    /// Sends an RTCP report.
    pub fn report(&mut self, now: Instant) {
        self.wire.report(now, false);
    }

    /// Says goodbye to the far end's RTCP.
    pub fn conclude(&mut self, now: Instant) {
        self.wire.report(now, true);
    }

    /// Somebody needs a key frame of the far end. True: it has to be asked by INFO too, now. Before the far end has begun there is nobody to
    /// ask: most begin with a key frame, and the others are asked as soon as they have begun.
    pub fn wish(&mut self, now: Instant) -> bool {
        self.source.is_some() && self.wishes.wish(now) && self.ask(now)
    }

    /// Time has passed; the same.
    pub fn due(&mut self, now: Instant) -> bool {
        self.wishes.due(now) && self.ask(now)
    }

    /// When to look again.
    pub fn deadline(&self) -> Option<Instant> {
        self.wishes.deadline()
    }

    /// Whether there are pictures at all.
    pub fn is_agreed(&self) -> bool {
        self.line.is_some()
    }

    /// Asks by what SDP says that the far end understands. When it understands nothing, or a question of ours has brought
    /// nothing, everything else is tried besides: phones announce what they do not do.
    fn ask(&mut self, now: Instant) -> bool {
        let Some(feedback) = self.wire.stream().map(|stream| stream.feedback) else { return false };
        let again = self.in_vain > 0;
        self.in_vain = self.in_vain.saturating_add(1);
        let Feedback { pli, fir, .. } = feedback;
        if let Some(source) = self.source.filter(|_| pli || fir) {
            let own = self.wire.sequencer.ssrc();
            let mut compound = self.wire.compound(now, false).to_vec();
            if pli {
                compound.extend_from_slice(&rtcp::picture_loss(own, source));
            }
            if fir && (again || !pli) {
                self.fir = self.fir.wrapping_add(1);
                compound.extend_from_slice(&rtcp::full_intra(own, source, self.fir));
            }
            self.wire.transmit_rtcp(&compound);
        }
        again || !pli && !fir
    }

    fn is_new_wish(&mut self, report: &Rtcp) -> bool {
        match report {
            Rtcp::PictureLoss { .. } => true,
            Rtcp::FullIntra { wishes } => {
                let number = wishes.first().map(|(_, number)| *number);
                number.is_some() && std::mem::replace(&mut self.their_fir, number) != number
            }
            _ => false,
        }
    }
}

/// What we have for pictures, as our SDP has it.
pub fn local_video(formats: &[VideoFormat], port: u16) -> LocalVideo {
    let named = |(number, format): (u8, &VideoFormat)| {
        let row = Format::new(number, format.codec().name(), VIDEO_CLOCK, 1);
        Format { fmtp: format.fmtp(), ..row }
    };
    LocalVideo {
        rtp_port: port,
        rtcp_port: port + 1,
        formats: (FIRST_NUMBER..=127).zip(formats).map(named).collect(),
        feedback: Feedback { pli: true, fir: true, tmmbr: false },
        limit: None,
        direction: Direction::SendRecv,
        meet,
    }
}

/// Away from the numbers of our sound: some phones keep one table for all lines.
const FIRST_NUMBER: u8 = 120;

/// Two of H.264 go together if they are of one profile and we take their packets (RFC 6184 §8.2.2). We answer with their profile, to the
/// byte, for some compare it so; with their mode; and with our level, but without both sides' leave with the lower one.
fn meet(ours: &Format, theirs: &Format) -> Option<Format> {
    match (video_of(ours)?, video_of(theirs)?) {
        (VideoFormat::H264(own), VideoFormat::H264(theirs)) => {
            let (mine, other) = (own.profile_level, theirs.profile_level);
            let alike =
                mine.at_level_of(&other).is_taken_by(&other) && other.at_level_of(&mine).is_taken_by(&mine);
            let taken = alike && theirs.packetization_mode <= own.packetization_mode;
            taken.then(|| Format { fmtp: Some(theirs.sent_to(&own).to_string()), ..ours.clone() })
        }
        (VideoFormat::Vp8, VideoFormat::Vp8) => Some(ours.clone()),
        _ => None,
    }
}

/// A format of SDP, if its codec is one of ours.
pub fn video_of(format: &Format) -> Option<VideoFormat> {
    VideoFormat::from_sdp(&format.encoding, format.clock, format.fmtp.as_deref())
}

/// What a stream is to the call.
fn line(stream: &Stream) -> Option<VideoLine> {
    let (theirs, ours) = (video_of(&stream.send)?, video_of(stream.receive.first()?)?);
    let sends = match (theirs, ours) {
        (VideoFormat::H264(theirs), VideoFormat::H264(ours)) => VideoFormat::H264(theirs.sent_to(&ours)),
        (theirs, _) => theirs,
    };
    Some(VideoLine { takes: theirs, sends, direction: stream.direction, limit: stream.limit })
}

/// Whether a decoder can begin with this packet.
pub fn begins_key_picture(packet: &Packet) -> bool {
    match packet.payload_kind {
        Payload::Video(VideoCodec::H264) => h264::begins_key_picture(&packet.payload),
        Payload::Video(VideoCodec::Vp8) => vp8::begins_key_picture(&packet.payload),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h264_of_one_profile_meets_whatever_its_bytes_and_levels() {
        let h264 =
            |fmtp: &str| Format { fmtp: Some(fmtp.to_owned()), ..Format::new(99, "H264", VIDEO_CLOCK, 1) };
        let ours = h264("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f");
        let check = |theirs: &str, answer: Option<&str>| {
            let met = meet(&ours, &h264(theirs)).and_then(|format| format.fmtp);
            assert_eq!(met.as_deref(), answer, "{theirs}");
        };
        check(
            "profile-level-id=42E01F;packetization-mode=1;level-asymmetry-allowed=1",
            Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
        );
        check("profile-level-id=42801F", Some("packetization-mode=0;profile-level-id=42801f"));
        check(
            "profile-level-id=42e00c;packetization-mode=1",
            Some("packetization-mode=1;profile-level-id=42e00c"),
        );
        check(
            "profile-level-id=42e028;packetization-mode=1",
            Some("packetization-mode=1;profile-level-id=42e01f"),
        );
        check("profile-level-id=640028;packetization-mode=1", None);
        check("profile-level-id=4d001f", None);
        check("packetization-mode=2;profile-level-id=42e01f", None);
        let single = h264("profile-level-id=42e01f");
        assert_eq!(meet(&single, &ours), None, "we said that we take single units alone");
        let vp8 = Format::new(100, "VP8", VIDEO_CLOCK, 1);
        assert!(meet(&vp8, &vp8).is_some() && meet(&vp8, &ours).is_none());
    }
}
