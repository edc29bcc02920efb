//! Still pictures: encoded once for all who see the same words, and sent by the clock to one.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use codecs::payload::Payloads;
use codecs::video::{StillPicture, VIDEO_CLOCK, VideoFormat, card};

use crate::vocabulary::{Packet, Payload};

/// What is to be seen, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What the far end takes.
    pub format: VideoFormat,
    /// The first line stands larger.
    pub lines: Vec<String>,
}

/// From picture to picture.
pub const STEP: Duration = Duration::from_millis(1000 / card::MAX_FPS as u64);

/// Pictures that are kept, newest first: of some 20 KB each. Who calls again soon, or rings at several pages, is not drawn twice.
static KEPT: Mutex<VecDeque<(Drawn, Arc<StillPicture>)>> = Mutex::new(VecDeque::new());
const MOST_KEPT: usize = 64;

/// Held by whoever draws and encodes: one core is enough for that, the others carry sound.
static AT_WORK: Mutex<()> = Mutex::new(());

/// What a coded picture depends on.
#[derive(Clone, PartialEq)]
struct Drawn {
    codec: codecs::VideoCodec,
    size: (usize, usize),
    lines: Vec<String>,
}

impl Words {
    fn drawn(&self) -> Drawn {
        Drawn { codec: self.format.codec(), size: card::size_for(&self.format), lines: self.lines.clone() }
    }

    /// The picture, if it has been made already.
    pub fn ready(&self) -> Option<Arc<StillPicture>> {
        find(&self.drawn())
    }

    /// The picture; makes it if need be, which takes some tens of ms. `None`: the codec failed.
    pub fn picture(&self) -> Option<Arc<StillPicture>> {
        let drawn = self.drawn();
        let _one_at_a_time = AT_WORK.lock().unwrap_or_else(PoisonError::into_inner);
        find(&drawn).or_else(|| {
            let lines: Vec<&str> = drawn.lines.iter().map(String::as_str).collect();
            let still = Arc::new(StillPicture::of_size(drawn.codec, drawn.size, &lines).ok()?);
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            kept.truncate(MOST_KEPT - 1);
            kept.push_front((drawn, still.clone()));
            Some(still)
        })
    }
}

fn find(drawn: &Drawn) -> Option<Arc<StillPicture>> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.iter().find(|(known, _)| known == drawn).map(|(_, still)| still.clone())
}

/// One stream of a still picture. Pure; time is an argument.
#[derive(Debug)]
pub struct StillStream {
    still: Arc<StillPicture>,
    payloads: Payloads,
    ssrc: u32,
    sequence: u16,
    /// Number of the next picture in its rounds.
    number: usize,
    /// How many have been sent, or left out because nobody came to send them.
    steps: u32,
    started: Instant,
}

/// Pictures that are sent late when the lane stood still; older ones are left out.
const MAX_CATCH_UP: u32 = 2;

impl StillStream {
    /// One that begins now; its packets name `ssrc`.
    pub fn new(still: Arc<StillPicture>, format: &VideoFormat, ssrc: u32, now: Instant) -> Self {
        let payloads = Payloads::new(format, card::PACKET, ssrc as u16);
        Self { still, payloads, ssrc, sequence: 0, number: 0, steps: 0, started: now }
    }

    /// The next picture is a key picture.
    pub fn renew(&mut self) {
        self.number = StillPicture::next_key(self.number);
    }

    /// The packets of all pictures whose time has come.
    pub fn due(&mut self, now: Instant, out: &mut dyn FnMut(Packet)) {
        let elapsed = now.saturating_duration_since(self.started).as_millis() / STEP.as_millis();
        let due = u32::try_from(elapsed).unwrap_or(u32::MAX - 1) + 1;
        self.steps = self.steps.max(due.saturating_sub(MAX_CATCH_UP));
        while self.steps < due {
            let timestamp = self.steps.wrapping_mul(VIDEO_CLOCK / card::MAX_FPS);
            let (kind, ssrc, sequence) = (Payload::Video(self.still.codec()), self.ssrc, &mut self.sequence);
            let (picture, _) = self.still.picture(self.number);
            // No error: the slices of a still picture are made to fit.
            let _ = self.payloads.packetise(picture, &mut |payload, marker| {
                let payload = Bytes::copy_from_slice(payload);
                let (payload_kind, received) = (kind, now);
                out(Packet { payload_kind, ssrc, sequence: *sequence, timestamp, marker, payload, received });
                *sequence = sequence.wrapping_add(1);
            });
            self.number += 1;
            self.steps += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use codecs::VideoCodec;
    use codecs::payload::{CodedPicture, Part, h264, vp8};
    use codecs::video::H264Format;

    use super::*;

    fn formats() -> [VideoFormat; 3] {
        let mode = |packetization_mode| H264Format { packetization_mode, ..H264Format::BROWSER };
        [VideoFormat::H264(mode(0)), VideoFormat::H264(mode(1)), VideoFormat::Vp8]
    }

    fn words(format: VideoFormat, name: &str) -> Words {
        Words { format, lines: vec![name.to_owned(), "audio only".to_owned()] }
    }

    /// Decodes packets; gives the time of each picture, and whether it is a key picture.
    fn seen(codec: VideoCodec, packets: &[Packet]) -> Vec<(u32, bool)> {
        let mut decoder = codec.decoder().unwrap();
        let mut seen = vec![];
        let mut take = |picture: CodedPicture<'_>| {
            assert!(decoder.decode(picture.data).unwrap().is_some());
            seen.push((picture.timestamp, picture.key));
        };
        let (mut avc, mut vp8) = (h264::Depacketiser::default(), vp8::Depacketiser::default());
        for packet in packets {
            let Packet { payload, sequence, timestamp, marker, .. } = packet;
            let part = Part { payload, sequence: *sequence, timestamp: *timestamp, marker: *marker };
            match codec {
                VideoCodec::H264 => avc.push(part, &mut take).unwrap(),
                VideoCodec::Vp8 => vp8.push(part, &mut take).unwrap(),
            }
        }
        seen
    }

    #[test]
    fn five_pictures_a_second_are_sent_that_any_decoder_reads_and_few_bits_for_them() {
        for format in formats() {
            let still = words(format, "Anna").picture().unwrap();
            let start = Instant::now();
            let mut stream = StillStream::new(still, &format, 7, start);
            let mut packets = vec![];
            for ms in (0..10_000).step_by(50) {
                stream.due(start + Duration::from_millis(ms), &mut |packet| packets.push(packet));
            }
            let seen = seen(format.codec(), &packets);
            let times: Vec<u32> = seen.iter().map(|(timestamp, _)| *timestamp).collect();
            assert_eq!(times, (0..50).map(|n| n * 18_000).collect::<Vec<_>>());
            let headers = packets.len() * 48;
            let bits = (packets.iter().map(|packet| packet.payload.len()).sum::<usize>() + headers) * 8 / 10;
            println!("{format:?}: {bits} bit/s, {} packets", packets.len());
            assert!(bits <= card::MAX_BITRATE as usize);
            assert!(packets.iter().all(|packet| packet.payload.len() <= card::PACKET));
        }
    }

    #[test]
    fn a_key_picture_comes_when_it_is_wanted_and_a_lane_that_stood_still_makes_no_burst() {
        let format = VideoFormat::Vp8;
        let start = Instant::now();
        let mut stream = StillStream::new(words(format, "Anna").picture().unwrap(), &format, 7, start);
        let mut packets = vec![];
        let mut at = |stream: &mut StillStream, ms| {
            stream.due(start + Duration::from_millis(ms), &mut |packet| packets.push(packet));
        };
        at(&mut stream, 0);
        at(&mut stream, 200);
        stream.renew();
        at(&mut stream, 400);
        at(&mut stream, 60_000);
        let expected =
            [(0, true), (18_000, false), (36_000, true), (299 * 18_000, false), (300 * 18_000, false)];
        assert_eq!(seen(VideoCodec::Vp8, &packets), expected);
    }

    #[test]
    fn the_same_words_are_drawn_once_and_few_are_kept() {
        let mine = words(VideoFormat::Vp8, "drawn once");
        assert_eq!(mine.ready(), None);
        let still = mine.picture().unwrap();
        assert!(Arc::ptr_eq(&still, &mine.picture().unwrap()) && Arc::ptr_eq(&still, &mine.ready().unwrap()));
        assert_eq!(words(formats()[0], "drawn once").ready(), None, "another codec is another picture");
        let kept = || KEPT.lock().unwrap().len();
        for n in 0..MOST_KEPT {
            words(VideoFormat::Vp8, &n.to_string()).picture().unwrap();
        }
        assert_eq!((kept(), mine.ready()), (MOST_KEPT, None));
    }
}
