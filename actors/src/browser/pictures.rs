//! The page's pictures on their way to the call, and the other side's on theirs to the page. While the page's path is down, what came since
//! the last key frame is held back, so that the page sees something as soon as it can; if that is nothing, a key frame is asked for.
use std::time::{Duration, Instant};

use actix::{AsyncContext, Context, SpawnHandle};
use codecs::VideoCodec;
use codecs::video::format::VIDEO_CLOCK;

use super::bandwidth::Bandwidth;
use super::peer::{MAX_PAYLOAD, Outgoing, Report};
use super::rtc::Peer;
use super::stand_in::Cover;
use super::{BrowserLeg, now};
use crate::generator::stand_in::{self, Action};
use crate::leg::LegEvent;
use crate::rtp::holes::Holes;
use crate::rtp::key_frames::KeyFrames;
use crate::rtp::pictures::PictureBooks;
use crate::rtp::reorder::Reorder;
use crate::rtp::sequencer::{Incoming, Sequencer};
use crate::rtp::tally::Tally;
use crate::vocabulary::{KeyFrameAsk, LegKind, Packet, Payload, Sink, VideoMeasured};

/// What a leg keeps for pictures.
pub(super) struct Pictures {
    /// Where the page's go.
    sink: Option<Sink>,
    /// Numbers those for the page: one stream, whoever sends them.
    outgoing: Sequencer,
    /// Whether the page has begun, and what is missing of what it sent.
    begun: bool,
    holes: Holes,
    order: Reorder<Packet>,
    /// What is wanted of the page, and when to ask again.
    key_frames: KeyFrames,
    timer: Option<SpawnHandle>,
    /// What the page may send.
    bandwidth: Bandwidth,
    /// Packets for the page since the last key frame, from before its path is up.
    held_back: Vec<Packet>,
    /// What the page sees if there is nothing else.
    pub(super) cover: Cover,
    packets: Tally,
    books: PictureBooks,
}

/// Most packets that are held back: a second of pictures of 2 Mbit/s. More would take too long to catch up with; then the page waits for a key
/// frame of its own.
const MAX_HELD_BACK: usize = 200;

impl Pictures {
    /// None yet.
    pub(super) fn new() -> Self {
        let outgoing = Sequencer::new(0, VIDEO_CLOCK, 0, 0);
        Self {
            sink: None,
            outgoing,
            begun: false,
            holes: Holes::new(Holes::ASKED_AGAIN),
            order: Reorder::default(),
            key_frames: KeyFrames::default(),
            timer: None,
            bandwidth: Bandwidth::default(),
            held_back: vec![],
            cover: Cover::default(),
            packets: Tally::new(now(), VIDEO_CLOCK),
            books: PictureBooks::default(),
        }
    }

    /// Looks at a packet of the page, and books it. True: who sees its pictures needs a key frame, for it begins without one or has lost something
    /// for good.
    fn is_torn(&mut self, packet: &Packet, codec: VideoCodec) -> bool {
        let key = codec.begins_key_picture(&packet.payload);
        if key {
            self.key_frames.came();
        }
        let Packet { ssrc, sequence, timestamp, received, .. } = *packet;
        self.packets.took(received, (ssrc, sequence, timestamp), packet.payload.len());
        self.books.received.on_packet(received, codec, timestamp, key);
        let begins = !std::mem::replace(&mut self.begun, true);
        self.holes.arrive(sequence, received) || begins && !key
    }

    /// Passes a packet of the page on, in its place: what the page sent again came late, and few phones put pictures in order. False: nobody
    /// could take it.
    fn take(&mut self, packet: Packet) -> bool {
        let Self { order, sink, .. } = self;
        let (sequence, now, mut taken) = (packet.sequence, packet.received, true);
        order.push(sequence, packet, now, &mut |packet| {
            taken &= sink.as_mut().is_none_or(|sink| sink.send(packet));
        });
        taken
    }

    /// A packet for a page that cannot see yet.
    fn hold_back(&mut self, packet: Packet, codec: VideoCodec) {
        // Parameter sets and slices of one picture have one timestamp, and each may look like its beginning.
        let other = self.held_back.first().is_none_or(|first| first.timestamp != packet.timestamp);
        let key = other && codec.begins_key_picture(&packet.payload);
        if key || self.held_back.len() >= MAX_HELD_BACK {
            self.held_back.clear();
        }
        if key || !self.held_back.is_empty() {
            self.held_back.push(packet);
        }
    }

    /// A packet for the page, numbered anew. The marker stays: it ends a picture, and does not begin a source. None: it comes too late.
    fn number(&mut self, packet: Packet) -> Option<Outgoing> {
        let Packet { payload_kind: kind, ssrc, sequence, timestamp, marker, payload, received } = packet;
        let incoming = Incoming { source: ssrc.into(), sequence: Some(sequence), timestamp, marker };
        let stamp = self.outgoing.stamp(received, incoming)?;
        let (sequence, timestamp) = (stamp.extended_sequence, stamp.timestamp);
        Some(Outgoing { kind, sequence, timestamp, marker, payload })
    }

    /// What the page says of ours.
    pub(super) fn page_reports(&mut self, report: &Report) {
        let Some(lost) = report.lost else { return };
        let jitter = Duration::from_secs(u64::from(report.jitter)) / VIDEO_CLOCK;
        self.packets.told(lost, jitter, report.round_trip);
    }

    /// How they fare, both ways.
    pub(super) fn measured(&self, now: Instant) -> VideoMeasured {
        self.books.measured(now, &self.packets)
    }
}

impl BrowserLeg {
    /// Where the page's pictures go from now on.
    pub(super) fn plug_video(&mut self, sink: Option<Sink>) {
        self.pictures.sink = sink;
        self.pictures.books.pause();
    }

    /// The page has asked for a key frame.
    pub(super) fn count_wish(&mut self, how: KeyFrameAsk) {
        self.pictures.books.sent.asked();
        self.order.meters.key_frame(how, LegKind::Browser, "in");
    }

    /// A picture of the page, or a part of one.
    pub(super) fn page_shows(&mut self, packet: Packet, codec: VideoCodec, ctx: &mut Context<Self>) {
        self.counted[0].inc();
        let torn = self.pictures.is_torn(&packet, codec) && self.pictures.sink.is_some();
        if !self.pictures.take(packet) {
            self.order.meters.dropped("sink").inc();
        }
        if torn {
            self.ask_key_frame(ctx);
        }
    }

    /// A picture for the page, or a part of one.
    pub(super) fn show_page(&mut self, packet: Packet, ctx: &mut Context<Self>) {
        let Payload::Video(codec) = packet.payload_kind else { return };
        if !self.peer.as_ref().is_some_and(Peer::is_connected) {
            return self.pictures.hold_back(packet, codec);
        }
        if packet.payload.len() > MAX_PAYLOAD {
            return self.order.meters.dropped("webrtc_rtp_too_long").inc();
        }
        let key = codec.begins_key_picture(&packet.payload);
        match stand_in::judge(self, &packet, key, ctx) {
            Action::Pass => {}
            Action::DropAndAsk => return self.report(LegEvent::KeyFrameWanted),
            _ => return,
        }
        let (Some(packet), Some(peer)) = (self.pictures.number(packet), &mut self.peer) else { return };
        let (timestamp, length) = (packet.timestamp, packet.payload.len());
        if peer.send(packet, now()).is_ok() {
            self.counted[1].inc();
            self.pictures.packets.sent(length);
            self.pictures.books.sent.on_packet(now(), codec, timestamp, key);
        }
        self.drive(ctx);
    }

    /// The page's path is up: it sees what was held back, or else what comes after the next key frame.
    pub(super) fn page_can_see(&mut self, ctx: &mut Context<Self>) {
        self.consider_stand_in(ctx);
        self.pictures.bandwidth.begin(now());
        self.limit_again(now());
        let held_back = std::mem::take(&mut self.pictures.held_back);
        if !held_back.is_empty() {
            return held_back.into_iter().for_each(|packet| self.show_page(packet, ctx));
        }
        let agreed = self.peer.as_ref().and_then(|peer| peer.agreed().video.as_ref());
        if agreed.is_some_and(|video| video.page_receives) {
            self.report(LegEvent::KeyFrameWanted);
        }
    }

    /// Asks the page for a key frame, again each second until one comes. A page that has not begun is about to begin with one.
    pub(super) fn ask_key_frame(&mut self, ctx: &mut Context<Self>) {
        if !self.pictures.begun {
            return;
        }
        if self.pictures.key_frames.wish(now()) {
            self.ask_page(ctx);
        }
        self.await_key_frame(ctx);
    }

    fn ask_page(&mut self, ctx: &mut Context<Self>) {
        if let Some(how) = self.peer.as_mut().and_then(|peer| peer.ask_key_frame(now())) {
            self.pictures.books.received.asked();
            self.order.meters.key_frame(how, LegKind::Browser, "out");
        }
        self.drive(ctx);
    }

    fn await_key_frame(&mut self, ctx: &mut Context<Self>) {
        let Some(at) = self.pictures.key_frames.deadline().filter(|_| self.pictures.timer.is_none()) else {
            return;
        };
        let timer = ctx.run_later(at.saturating_duration_since(now()), |leg, ctx| {
            leg.pictures.timer = None;
            if leg.pictures.key_frames.due(now()) {
                leg.ask_page(ctx);
            }
            leg.await_key_frame(ctx);
        });
        self.pictures.timer = Some(timer);
    }

    /// Tells the page how many bits per second of pictures the other side takes.
    pub(super) fn limit_video(&mut self, bits: u32, ctx: &mut Context<Self>) {
        self.pictures.bandwidth.limit(bits);
        self.limit_again(now());
        self.drive(ctx);
    }

    /// REMB may be lost: it is said with each report of the page.
    pub(super) fn limit_again(&mut self, now: Instant) {
        if let (Some(bits), Some(peer)) = (self.pictures.bandwidth.told(now), &mut self.peer) {
            peer.limit_video(bits, now);
        }
    }
}

/// The codec, if it is a packet of pictures.
pub(super) fn codec_of(packet: &Packet) -> Option<VideoCodec> {
    match packet.payload_kind {
        Payload::Video(codec) => Some(codec),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// The first packet of an IDR picture, and one of another.
    const KEY: &[u8] = &[0x65, 0x88, 0x80];
    const OTHER: &[u8] = &[0x41, 0x9a, 0x00];

    fn packet(ssrc: u32, sequence: u16, timestamp: u32, received: Instant, payload: &'static [u8]) -> Packet {
        Packet {
            payload_kind: Payload::Video(VideoCodec::H264),
            ssrc,
            sequence,
            timestamp,
            marker: sequence % 2 == 1,
            payload: Bytes::from_static(payload),
            received,
        }
    }

    #[test]
    fn numbers_and_times_for_the_page_go_on_whoever_shows_and_markers_stay() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pictures = Pictures::new();
        let mut sent = |ssrc, sequence, timestamp, ms| {
            let sent = pictures.number(packet(ssrc, sequence, timestamp, at(ms), OTHER)).unwrap();
            (sent.sequence, sent.timestamp, sent.marker)
        };
        assert_eq!(sent(1, 10, 5_000, 0), (0, 0, false), "no marker of ours on the first");
        assert_eq!(sent(1, 11, 5_000, 1), (1, 0, true));
        assert_eq!(sent(1, 13, 8_000, 33), (3, 3_000, true), "a loss stays a loss");
        assert_eq!(sent(1, 12, 8_000, 34), (2, 3_000, false), "and is mended late");
        assert_eq!(sent(2, 900, 77, 133), (4, 12_000, false), "another source goes on behind");
        assert_eq!(sent(2, 901, 77, 134), (5, 12_000, true));
    }

    #[test]
    fn what_came_since_the_last_key_frame_waits_for_the_page_and_no_more() {
        let now = Instant::now();
        let mut pictures = Pictures::new();
        let mut hold = |sequence, timestamp, payload| {
            pictures.hold_back(packet(1, sequence, timestamp, now, payload), VideoCodec::H264);
            pictures.held_back.iter().map(|packet| packet.sequence).collect::<Vec<_>>()
        };
        assert_eq!(hold(1, 10, OTHER), [0; 0], "of no use");
        assert_eq!(hold(2, 20, KEY), [2]);
        assert_eq!(hold(3, 20, KEY), [2, 3], "another slice of it");
        assert_eq!(hold(4, 30, OTHER), [2, 3, 4]);
        assert_eq!(hold(5, 40, KEY), [5]);
        for number in 0..MAX_HELD_BACK as u16 {
            hold(6 + number, 50 + u32::from(number), OTHER);
        }
        assert_eq!(hold(1000, 9_000, OTHER), [0; 0], "too many, so a key frame is asked for");
    }

    #[test]
    fn the_page_is_asked_until_its_key_frame_comes() {
        let start = Instant::now();
        let mut pictures = Pictures::new();
        assert!(pictures.key_frames.wish(start));
        assert!(pictures.take(packet(1, 1, 0, start, OTHER)), "nobody is there: no drop");
        assert!(
            pictures.is_torn(&packet(1, 1, 0, start, OTHER), VideoCodec::H264),
            "it begins in the middle"
        );
        assert!(pictures.key_frames.is_waiting());
        assert!(!pictures.is_torn(&packet(1, 2, 0, start, KEY), VideoCodec::H264));
        assert!(!pictures.key_frames.is_waiting());
        let received = pictures.measured(start).received;
        assert_eq!((received.pictures, received.key_frames, received.flow.packets), (1, 1, 2));
    }
}
