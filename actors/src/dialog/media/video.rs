//! The pictures of a SIP leg: their own [`Wire`], and wishes for key frames both ways.
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codecs::payload::{Part, h264};
use codecs::video::VideoCodec;
use codecs::video::format::VIDEO_CLOCK;
use sip::sdp::{Feedback, Format, Stream};

use super::formats::{line, video_of};
use super::limits::Limits;
use super::wire::{Arrived, Identity, Wire};
use crate::rtp::holes::Holes;
use crate::rtp::key_frames::KeyFrames;
use crate::rtp::pictures::PictureBooks;
use crate::rtp::ports::PortPool;
use crate::rtp::rate_limits::{Kind, RateLimit};
use crate::rtp::rtcp::{self, Rtcp};
use crate::rtp::socket::{self, Port};
use crate::udp::Datagram;
use crate::vocabulary::{KeyFrameAsk, LegKind, Meters, Packet, Payload, VideoLine, VideoMeasured};

/// The pictures of a leg.
pub struct VideoSession {
    wire: Wire,
    books: PictureBooks,
    line: Option<VideoLine>,
    /// When the far end last took to another codec of ours.
    switched: Option<Instant>,
    /// The far end's stream, once it has sent.
    source: Option<u32>,
    /// What H.264 of it lacks is put before its packets.
    completer: h264::Completer,
    limits: Limits,
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

/// What the far end said of our pictures.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// It cannot go on without a key frame.
    pub key_frame_wanted: bool,
    /// It takes no more bits per second than this now.
    pub limit: Option<u32>,
    /// It took to another codec.
    pub line: Option<VideoLine>,
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
            books: PictureBooks::default(),
            line: None,
            switched: None,
            source: None,
            completer: h264::Completer::default(),
            limits: Limits::default(),
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
            (Some(stream), Some(_)) => {
                let meaning =
                    |format: &Format| Some((format.payload_type, Payload::Video(video_of(format)?.codec())));
                let changed =
                    self.wire.follow(stream, stream.receive.iter().filter_map(meaning).collect(), now);
                self.completer.learn(stream.send.fmtp.as_deref().unwrap_or_default());
                // What was sent before a change may mean something else under its number now.
                let sent = self.wire.resends.take().filter(|_| !changed);
                self.wire.resends = stream.feedback.nack.then(|| sent.unwrap_or_default());
            }
            _ => self.wire.forget(),
        }
        self.line
    }

    /// Looks at a datagram; `show` gets the packets of pictures that it brings.
    pub fn receive(&mut self, port: Port, datagram: &Datagram, show: &mut dyn FnMut(Packet)) -> Heard {
        match self.wire.receive(port, datagram) {
            Arrived::Packet(packet) => {
                let line = match self.is_of_the_codec_in_use(&packet) {
                    true => None,
                    false => match self.take_to_codec_of(&packet) {
                        None => return Heard::default(),
                        line => line,
                    },
                };
                let key = packet.begins_key_picture();
                if let Payload::Video(codec) = packet.payload_kind {
                    if key && self.wishes.is_waiting() {
                        self.wishes.came();
                        self.in_vain = 0;
                    }
                    self.books.received.on_packet(packet.received, codec, packet.timestamp, key);
                }
                self.follow_source(&packet, key);
                self.complete(packet, show);
                Heard { line, ..Heard::default() }
            }
            Arrived::Reports(reports) => {
                let now = datagram.received;
                let mut wanted = false;
                for report in &reports {
                    self.hear_limit(report, now);
                    self.send_again(report, now);
                    if let Some(how) = self.new_wish(report) {
                        self.asked_by(how);
                        wanted = true;
                    }
                }
                Heard { key_frame_wanted: wanted, limit: self.limits.news(), line: None }
            }
            Arrived::Nothing => Heard::default(),
        }
    }

    fn is_of_the_codec_in_use(&self, packet: &Packet) -> bool {
        self.line.is_some_and(|line| packet.payload_kind == Payload::Video(line.sends.codec()))
    }

    /// An answer may name several codecs, and the far end may then send any of them (RFC 3264 §7). It is followed where a decoder can begin, and
    /// no more than once a second.
    fn take_to_codec_of(&mut self, packet: &Packet) -> Option<VideoLine> {
        let recently = self.switched.is_some_and(|at| packet.received < at + SWITCH);
        if recently || !packet.begins_key_picture() {
            return None;
        }
        let formats = self.wire.stream()?.receive.iter().filter_map(video_of);
        let sends =
            formats.into_iter().find(|format| packet.payload_kind == Payload::Video(format.codec()))?;
        self.switched = Some(packet.received);
        let line = self.line.as_mut()?;
        line.sends = sends;
        Some(*line)
    }

    /// Passes a packet on, behind the parameter sets that an IDR picture of H.264 lacks.
    fn complete(&mut self, mut packet: Packet, show: &mut dyn FnMut(Packet)) {
        if packet.payload_kind == Payload::Video(VideoCodec::H264) {
            let Packet { sequence, timestamp, marker, ref payload, .. } = packet;
            let part = Part { payload, sequence, timestamp, marker };
            packet.sequence = self.completer.push(part, &mut |unit, sequence| {
                let payload = Bytes::copy_from_slice(unit);
                show(Packet { sequence, marker: false, payload, ..packet.clone() });
            });
        }
        show(packet);
    }

    /// A source that begins with anything but a key frame is of no use yet, and one that has lost something no more.
    fn follow_source(&mut self, packet: &Packet, key: bool) {
        if self.source.replace(packet.ssrc) != Some(packet.ssrc) {
            self.holes = Holes::new(if self.mends() { Holes::ASKED_AGAIN } else { Holes::UNASKED });
            self.torn = !key;
            self.completer = h264::Completer::default();
            let fmtp = self.wire.stream().and_then(|stream| stream.send.fmtp.as_deref());
            self.completer.learn(fmtp.unwrap_or_default());
        }
        let now = packet.received;
        self.torn |= self.holes.arrive(packet.sequence, now);
        if self.mends() {
            let wanted = self.holes.wanted(now);
            if !wanted.is_empty() {
                let mut compound = self.wire.compound(now, false).to_vec();
                compound.extend_from_slice(&rtcp::lost(self.wire.sequencer.ssrc(), packet.ssrc, &wanted));
                self.wire.transmit_rtcp(&compound);
            }
        }
    }

    /// Whether lost packets are sent again.
    fn mends(&self) -> bool {
        self.wire.stream().is_some_and(|stream| stream.feedback.nack)
    }

    fn send_again(&mut self, report: &Rtcp, now: Instant) {
        if let Rtcp::Lost { media_ssrc, numbers } = report
            && *media_ssrc == self.wire.sequencer.ssrc()
        {
            self.wire.resend(numbers, now);
        }
    }

    /// Whether whoever looks at the far end's pictures needs a key frame now; says so once.
    pub fn is_torn(&mut self) -> bool {
        std::mem::take(&mut self.torn)
    }

    /// Sends a packet of the other leg to the far end.
    pub fn send(&mut self, packet: &Packet) {
        let Some(line) = self.line else { return };
        let codec = line.takes.codec();
        let taken = packet.payload_kind == Payload::Video(codec) && line.direction.sends();
        if taken && self.wire.forward(packet) {
            let key = codec.begins_key_picture(&packet.payload);
            self.books.sent.on_packet(packet.received, codec, packet.timestamp, key);
        }
    }

    /// Whoever is plugged in changes: what comes next may be some time off.
    pub fn pause(&mut self) {
        self.books.pause();
    }

    /// How the pictures fare; `None`: there never were any.
    pub fn measured(&self, now: Instant) -> Option<VideoMeasured> {
        let any = self.is_agreed() || !self.books.is_empty();
        any.then(|| self.books.measured(now, &self.wire.tally))
    }

    /// The far end was asked for a key frame by INFO.
    pub fn asked_by_info(&mut self) {
        self.books.received.asked();
        self.wire.meters.key_frame(KeyFrameAsk::Info, LegKind::Sip, "out");
    }

    /// The far end wants a key frame.
    pub fn asked_by(&mut self, how: KeyFrameAsk) {
        self.books.sent.asked();
        self.wire.meters.key_frame(how, LegKind::Sip, "in");
    }

    /// Sends an RTCP report, and what we take, for the word on that may have been lost.
    pub fn report(&mut self, now: Instant) {
        if !self.say_limit(now) {
            self.wire.report(now, false);
        }
    }

    /// The other leg takes no more bits per second than this.
    pub fn limit(&mut self, bits: u32, now: Instant) {
        self.limits.ours = Some(bits);
        self.say_limit(now);
    }

    /// Says so by TMMBR, if the far end understands it.
    fn say_limit(&mut self, now: Instant) -> bool {
        let understood = self.wire.stream().is_some_and(|stream| stream.feedback.tmmbr);
        let (Some(bits), Some(source), true) = (self.limits.ours, self.source, understood) else {
            return false;
        };
        self.send_limit(Kind::Request, RateLimit::new(source, bits), now);
        true
    }

    /// What the far end says of how much it takes; a TMMBR is noted to it (RFC 5104 §4.2.2.3).
    fn hear_limit(&mut self, report: &Rtcp, now: Instant) {
        let (own, sent) = (self.wire.sequencer.ssrc(), self.wire.tally.gone_out().bytes);
        if let Some((by, bits)) = self.limits.hear(now, report, own, sent) {
            self.send_limit(Kind::Notification, RateLimit::new(by, bits), now);
        }
    }

    fn send_limit(&mut self, kind: Kind, limit: RateLimit, now: Instant) {
        let mut compound = self.wire.compound(now, false).to_vec();
        compound.extend_from_slice(&limit.packet(kind, self.wire.sequencer.ssrc()));
        self.wire.transmit_rtcp(&compound);
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
            self.books.received.asked();
            let own = self.wire.sequencer.ssrc();
            let mut compound = self.wire.compound(now, false).to_vec();
            if pli {
                self.wire.meters.key_frame(KeyFrameAsk::Pli, LegKind::Sip, "out");
                compound.extend_from_slice(&rtcp::picture_loss(own, source));
            }
            if fir && (again || !pli) {
                self.wire.meters.key_frame(KeyFrameAsk::Fir, LegKind::Sip, "out");
                self.fir = self.fir.wrapping_add(1);
                compound.extend_from_slice(&rtcp::full_intra(own, source, self.fir));
            }
            self.wire.transmit_rtcp(&compound);
        }
        again || !pli && !fir
    }

    fn new_wish(&mut self, report: &Rtcp) -> Option<KeyFrameAsk> {
        match report {
            Rtcp::PictureLoss { .. } => Some(KeyFrameAsk::Pli),
            Rtcp::FullIntra { wishes } => {
                let number = wishes.first().map(|(_, number)| *number);
                let new = number.is_some() && std::mem::replace(&mut self.their_fir, number) != number;
                new.then_some(KeyFrameAsk::Fir)
            }
            _ => None,
        }
    }
}

/// The least time between two codecs of the far end.
const SWITCH: Duration = Duration::from_secs(1);
