//! The pictures of a SIP leg: their own [`Wire`], and wishes for key frames both ways.
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codecs::VideoFormat;
use codecs::payload::{Part, h264};
use codecs::video::VideoCodec;
use codecs::video::format::VIDEO_CLOCK;
use sip::sdp::{Direction, Feedback, Format, LocalVideo, Stream};

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
                self.wire.follow(stream, stream.receive.iter().filter_map(meaning).collect(), now);
                self.completer.learn(stream.send.fmtp.as_deref().unwrap_or_default());
                let mends = stream.feedback.nack;
                self.wire.resends = mends.then(|| self.wire.resends.take().unwrap_or_default());
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
        offered,
        feedback: Feedback { pli: true, fir: true, nack: true, tmmbr: true },
        limit: None,
        direction: Direction::SendRecv,
        meet,
    }
}

/// Away from the numbers of our sound: some phones keep one table for all lines.
const FIRST_NUMBER: u8 = 120;

/// One of each codec, and of H.264 one of each packetization-mode: many phones know mode 0 alone, and an answer may not name what was not offered
/// (RFC 6184 §8.2.2). Mode 0 needs no word. Nor do we offer levels of our own: to be sent more than they take is all that phones would lose by it.
fn offered(formats: &[Format]) -> Vec<Format> {
    let mut offered: Vec<(VideoCodec, u8)> = vec![];
    let in_few_words = |format: &Format| {
        let video = video_of(format)?;
        let (mode, fmtp) = match video {
            VideoFormat::H264(h264) => (h264.packetization_mode, Some(h264.in_few_words())),
            VideoFormat::Vp8 => (0, None),
        };
        let new = !offered.contains(&(video.codec(), mode));
        offered.push((video.codec(), mode));
        new.then(|| Format { fmtp, ..format.clone() })
    };
    formats.iter().filter_map(in_few_words).collect()
}

/// Theirs of H.264 will do if it is of our profile or a smaller one, and we take its packets (RFC 6184 §8.2.2); what does not pass to the other leg is
/// encoded anew. We answer with their profile, to the byte, for some compare it so; with their mode; and with our level, but without both sides'
/// leave with the lower one.
fn meet(ours: &Format, theirs: &Format) -> Option<Format> {
    match (video_of(ours)?, video_of(theirs)?) {
        (VideoFormat::H264(own), VideoFormat::H264(theirs)) => {
            let (mine, other) = (own.profile_level, theirs.profile_level);
            let taken = other.at_level_of(&mine).is_taken_by(&mine)
                && theirs.packetization_mode <= own.packetization_mode;
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

#[cfg(test)]
mod tests {
    use codecs::video::{H264Format, Passing, ProfileLevel};
    use sip::sdp::{LocalMedia, OfferAnswer, Session};

    use super::*;

    /// How pictures of a page with H.264 as browsers have it pass to a phone with this format alone, and back.
    fn ways(phone: &str, page_calls: bool) -> Option<(Passing, Passing)> {
        let h264 = |mode, profile: &str| {
            let profile_level = ProfileLevel::parse(profile).unwrap();
            VideoFormat::H264(H264Format { profile_level, packetization_mode: mode, level_asymmetry: true })
        };
        // As config/tandem.toml.
        let formats = [h264(1, "42e01f"), h264(1, "640028"), h264(0, "42e01f"), VideoFormat::Vp8];
        let sound = vec![Format::new(0, "PCMU", 8000, 1)];
        let local = LocalMedia::audio([127, 0, 0, 1].into(), 4000, sound);
        let local = LocalMedia { video: Some(local_video(&formats, 4002)), ..local };
        let theirs = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n\
             m=video 5002 RTP/AVP 120\r\na=rtpmap:120 H264/90000\r\na=fmtp:120 {phone}\r\n"
        );
        let theirs = Session::parse(theirs.as_bytes()).unwrap();
        let mut ours = OfferAnswer::new(1);
        let agreed = if page_calls {
            ours.make_offer(&local).unwrap();
            ours.receive_answer(&theirs).unwrap()
        } else {
            ours.receive_offer(theirs).unwrap();
            ours.answer(&local).unwrap().1
        };
        let (phone, page) = (line(&agreed.video?)?, VideoFormat::H264(H264Format::BROWSER));
        Some((VideoFormat::passing(&page, &phone.takes), VideoFormat::passing(&phone.sends, &page)))
    }

    #[test]
    fn rq17_h264_passes_where_it_can_and_is_transcoded_else_whatever_its_words() {
        let small = ["42e01f", "42E01F", "42001f", "42801F", "42801f"].map(|id| (id, Passing::Whole));
        // The page takes no more than constrained baseline.
        let large = ["4d001f", "4D001F", "640028"].map(|id| (id, Passing::Transcode));
        for (id, back) in small.into_iter().chain(large) {
            for (mode, there) in [
                ("", Passing::Repacketise),
                (";packetization-mode=0", Passing::Repacketise),
                (";packetization-mode=1", Passing::Whole),
            ] {
                for page_calls in [true, false] {
                    let phone = format!("profile-level-id={id}{mode}");
                    assert_eq!(ways(&phone, page_calls), Some((there, back)), "{phone}, {page_calls}");
                }
            }
        }
        assert_eq!(ways("profile-level-id=f4001f", true), None, "nobody here could decode it");
    }

    #[test]
    fn an_offer_has_one_format_of_each_codec_and_mode_in_few_words() {
        let h264 = |mode, id: &str| {
            let fmtp = format!("level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={id}");
            VideoFormat::from_sdp("H264", VIDEO_CLOCK, Some(&fmtp)).unwrap()
        };
        let check = |formats: &[VideoFormat], want: &[&str]| {
            let local = local_video(formats, 4000);
            let rows = (local.offered)(&local.formats).into_iter();
            let rows =
                rows.map(|format| format!("{} {}", format.payload_type, format.fmtp.unwrap_or_default()));
            assert_eq!(rows.collect::<Vec<_>>(), want);
        };
        let (one, single) = ("packetization-mode=1;profile-level-id=", "profile-level-id=");
        check(
            &[h264(1, "640028"), h264(1, "42e01f"), h264(0, "42e01f"), VideoFormat::Vp8],
            &[&format!("120 {one}640028"), &format!("122 {single}42e01f"), "123 "],
        );
        check(&[VideoFormat::Vp8, h264(1, "42e01f")], &["120 ", &format!("121 {one}42e01f")]);
        check(
            &[h264(0, "42e01f"), VideoFormat::Vp8, VideoFormat::Vp8],
            &[&format!("120 {single}42e01f"), "121 "],
        );
    }

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
