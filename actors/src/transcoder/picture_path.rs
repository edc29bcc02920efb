//! What happens to pictures between two legs whose formats differ: other packets, or another codec. Pure; time is an argument.
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codecs::payload::{CodedPicture, LONGEST, Part, Payloads, h264, vp8};
use codecs::video::{Passing, VideoChain, VideoSettings};
use codecs::{CodecError, VideoCodec, VideoFormat};

use crate::rtp::key_frames::KeyFrames;
use crate::rtp::reorder::Reorder;
use crate::vocabulary::{Packet, Payload};

/// One direction of one call's pictures.
pub struct PicturePath {
    work: Work,
    to: VideoCodec,
    /// What the source is asked for.
    asks: KeyFrames,
    ssrc: u32,
}

enum Work {
    /// The same pictures in other packets.
    Repack(h264::Repacketiser),
    /// Decoded and encoded anew.
    Transcode(Box<Transcode>),
}

struct Transcode {
    order: Reorder<Packet>,
    parts: Parts,
    chain: VideoChain,
    payloads: Payloads,
    sequence: u16,
}

/// Payloads to pictures.
enum Parts {
    H264(h264::Depacketiser),
    Vp8(vp8::Depacketiser),
}

/// What the shell must know after a packet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Ask the source for a key frame.
    pub ask: bool,
    /// The packets of this picture do not fit a receiver of packetization-mode 0: it must be transcoded.
    pub does_not_fit: bool,
    /// Something could not be decoded.
    pub bad: bool,
}

/// A picture older than this when its turn comes is decoded, since the next one builds on it, but not encoded.
const LATE: Duration = Duration::from_millis(100);
/// Older than this, it is not even decoded: the path begins anew with the next key frame.
const TOO_LATE: Duration = Duration::from_millis(500);

impl PicturePath {
    /// A path of pictures from one format to another, in the way that [`VideoFormat::passing`] found.
    pub fn new(
        from: &VideoFormat,
        to: &VideoFormat,
        passing: Passing,
        settings: &VideoSettings,
        random: u32,
    ) -> Result<Self, CodecError> {
        let work = if passing == Passing::Transcode {
            let settings = VideoSettings { slice_bytes: LONGEST as u32, ..settings.clone() };
            let settings = match to {
                VideoFormat::H264(format) => settings.within(format.profile_level.level()),
                VideoFormat::Vp8 => settings,
            };
            Work::Transcode(Box::new(Transcode {
                order: Reorder::default(),
                parts: match from.codec() {
                    VideoCodec::H264 => Parts::H264(h264::Depacketiser::default()),
                    VideoCodec::Vp8 => Parts::Vp8(vp8::Depacketiser::default()),
                },
                chain: VideoChain::new(from.codec(), to.codec(), &settings)?,
                payloads: Payloads::new(to, LONGEST, random as u16),
                sequence: 0,
            }))
        } else {
            let mode = if let VideoFormat::H264(format) = to { format.packetization_mode } else { 0 };
            Work::Repack(h264::Repacketiser::new(mode, LONGEST, h264::ParameterSets::default()))
        };
        Ok(Self { work, to: to.codec(), asks: KeyFrames::default(), ssrc: random })
    }

    /// Takes a packet of the source; gives what goes on to the target.
    pub fn push(&mut self, packet: Packet, now: Instant, out: &mut dyn FnMut(Packet)) -> Outcome {
        let (kind, ssrc) = (Payload::Video(self.to), self.ssrc);
        let mut send = |part: Part<'_>| {
            out(Packet {
                payload_kind: kind,
                ssrc,
                sequence: part.sequence,
                timestamp: part.timestamp,
                marker: part.marker,
                payload: Bytes::copy_from_slice(part.payload),
                received: now,
            });
        };
        match &mut self.work {
            Work::Repack(repack) => {
                let before = repack.dropped();
                let pushed = repack.push(part(&packet), &mut send);
                Outcome { does_not_fit: repack.dropped() > before, bad: pushed.is_err(), ask: false }
            }
            Work::Transcode(transcode) => {
                let ends_picture = packet.marker;
                let bad = transcode.push(packet, now, &mut send);
                let ask = match (transcode.chain.wants_key_frame(), self.asks.is_waiting()) {
                    (true, true) => self.asks.due(now),
                    (true, false) => ends_picture && self.asks.wish(now), // before that it may be on its way
                    (false, _) => {
                        self.asks.came();
                        false
                    }
                };
                Outcome { ask, bad, does_not_fit: false }
            }
        }
    }

    /// The target cannot go on without a key frame. True: the source must make it.
    pub fn key_frame_wanted(&mut self) -> bool {
        match &mut self.work {
            Work::Repack(_) => true,
            Work::Transcode(transcode) => {
                transcode.chain.force_key_frame();
                false
            }
        }
    }

    /// The target takes no more than so many bits per second. True: the source must be told.
    pub fn limit(&mut self, bits: u32) -> bool {
        match &mut self.work {
            Work::Repack(_) => true,
            Work::Transcode(transcode) => transcode.chain.set_bitrate(bits).is_err(),
        }
    }
}

impl Transcode {
    /// True: something could not be decoded.
    fn push(&mut self, packet: Packet, now: Instant, send: &mut dyn FnMut(Part<'_>)) -> bool {
        let Self { order, parts, chain, payloads, sequence } = self;
        let mut bad = false;
        let number = packet.sequence;
        order.push(number, packet, now, &mut |packet| {
            let age = now.saturating_duration_since(packet.received);
            let part = part(&packet);
            let mut take = |picture: CodedPicture<'_>| {
                if age > TOO_LATE || picture.after_loss && !picture.key {
                    return chain.lost();
                }
                match chain.push(picture.data, picture.timestamp, age > LATE) {
                    Ok(Some(frame)) => {
                        let timestamp = frame.timestamp;
                        let packetised = payloads.packetise(frame.coded, &mut |payload, marker| {
                            send(Part { payload, sequence: *sequence, timestamp, marker });
                            *sequence = sequence.wrapping_add(1);
                        });
                        bad |= packetised.is_err();
                    }
                    Ok(None) => {}
                    Err(_) => bad = true,
                }
            };
            let taken = match parts {
                Parts::H264(parts) => parts.push(part, &mut take),
                Parts::Vp8(parts) => parts.push(part, &mut take),
            };
            bad |= taken.is_err();
        });
        bad
    }
}

fn part(packet: &Packet) -> Part<'_> {
    Part {
        payload: &packet.payload,
        sequence: packet.sequence,
        timestamp: packet.timestamp,
        marker: packet.marker,
    }
}

impl fmt::Display for PicturePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.work {
            Work::Repack(_) => write!(f, "{} in other packets", self.to.name()),
            Work::Transcode(transcode) => transcode.chain.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use codecs::video::{H264Format, pattern};

    use super::*;

    const VP8: VideoFormat = VideoFormat::Vp8;
    const MODE_1: VideoFormat = VideoFormat::H264(H264Format::BROWSER);
    const MODE_0: VideoFormat =
        VideoFormat::H264(H264Format { packetization_mode: 0, ..H264Format::BROWSER });

    /// A camera that speaks a format: frames of 160 × 120 in packets.
    struct Camera {
        encoder: Box<dyn codecs::video::VideoEncoder>,
        payloads: Payloads,
        codec: VideoCodec,
        sequence: u16,
        frames: usize,
        size: (usize, usize),
    }

    impl Camera {
        fn new(format: &VideoFormat) -> Self {
            let codec = format.codec();
            let settings = VideoSettings { slice_bytes: 60_000, ..VideoSettings::default() };
            let payloads = match codec {
                VideoCodec::H264 => Payloads::H264(h264::Packetiser::new(1, LONGEST)),
                VideoCodec::Vp8 => Payloads::Vp8(vp8::Packetiser::new(LONGEST, 1)),
            };
            Self {
                encoder: codec.encoder(&settings).unwrap(),
                payloads,
                codec,
                sequence: 65_530,
                frames: 0,
                size: (160, 120),
            }
        }

        fn frame(&mut self, key: bool, now: Instant) -> Vec<Packet> {
            let (timestamp, mut coded, mut packets) = (self.frames as u32 * 6_000, vec![], vec![]);
            let picture = pattern::picture(self.size, self.frames);
            self.encoder.encode(picture.view(), key, u64::from(timestamp), &mut coded).unwrap();
            let (codec, sequence) = (self.codec, &mut self.sequence);
            let packetised = self.payloads.packetise(&coded, &mut |payload, marker| {
                let payload = Bytes::copy_from_slice(payload);
                let (payload_kind, received) = (Payload::Video(codec), now);
                packets.push(Packet {
                    payload_kind,
                    ssrc: 1,
                    sequence: *sequence,
                    timestamp,
                    marker,
                    payload,
                    received,
                });
                *sequence = sequence.wrapping_add(1);
            });
            packetised.unwrap();
            self.frames += 1;
            packets
        }
    }

    /// How near the pictures of these packets come to the pattern, in dB each.
    fn watch(format: &VideoFormat, packets: &[Packet]) -> Vec<f64> {
        let mut parts = match format.codec() {
            VideoCodec::H264 => Parts::H264(h264::Depacketiser::default()),
            VideoCodec::Vp8 => Parts::Vp8(vp8::Depacketiser::default()),
        };
        let mut decoder = format.codec().decoder().unwrap();
        let mut seen = vec![];
        for packet in packets {
            let mut look = |picture: CodedPicture<'_>| {
                if let Some(view) = decoder.decode(picture.data).unwrap() {
                    let number = picture.timestamp as usize / 6_000;
                    seen.push(pattern::psnr(view, pattern::picture((160, 120), number).view()));
                }
            };
            match &mut parts {
                Parts::H264(parts) => parts.push(part(packet), &mut look).unwrap(),
                Parts::Vp8(parts) => parts.push(part(packet), &mut look).unwrap(),
            }
        }
        seen
    }

    fn path(from: &VideoFormat, to: &VideoFormat) -> PicturePath {
        let passing = VideoFormat::passing(from, to);
        PicturePath::new(from, to, passing, &VideoSettings::default(), 7).unwrap()
    }

    #[test]
    fn pictures_arrive_in_another_codec_and_in_other_packets() {
        for (from, to) in [(VP8, MODE_1), (VP8, MODE_0), (MODE_1, VP8), (MODE_0, VP8)] {
            let (mut path, mut camera, mut got, start) =
                (path(&from, &to), Camera::new(&from), vec![], Instant::now());
            for number in 0..30 {
                let now = start + Duration::from_millis(number * 67);
                for packet in camera.frame(number == 0, now) {
                    let outcome = path.push(packet, now, &mut |packet| got.push(packet));
                    assert!(!outcome.bad && !outcome.does_not_fit, "{outcome:?}");
                }
            }
            assert!(got.iter().all(|packet| packet.payload.len() <= LONGEST && packet.ssrc == 7));
            let seen = watch(&to, &got);
            assert!(seen.len() >= 28 && seen[5..].iter().all(|db| *db > 28.0), "{from:?} {to:?}: {seen:?}");
        }
    }

    #[test]
    fn a_receiver_of_mode_0_gets_the_same_pictures_in_single_packets() {
        let (mut path, mut camera, mut got, now) =
            (path(&MODE_1, &MODE_0), Camera::new(&MODE_1), vec![], Instant::now());
        let mut misfits = 0;
        for number in 0..20 {
            for packet in camera.frame(number == 0, now) {
                misfits += u32::from(path.push(packet, now, &mut |packet| got.push(packet)).does_not_fit);
            }
        }
        assert!(got.iter().all(|packet| matches!(packet.payload[0] & 0x1f, 1..=23)), "no STAP-A, no FU-A");
        assert!(misfits > 0, "a key frame in one slice is longer than a packet, and the path says so");
        assert!(path.key_frame_wanted() && path.limit(1), "the source's affair");
    }

    #[test]
    fn after_a_loss_the_source_is_asked_and_nothing_broken_is_shown() {
        let (mut path, mut camera, mut got, start) =
            (path(&VP8, &MODE_1), Camera::new(&VP8), vec![], Instant::now());
        let (mut asked, mut shown) = (vec![], vec![]);
        for number in 0..60_u64 {
            let now = start + Duration::from_millis(number * 67);
            let key = number == 0 || number == 45;
            for (at, packet) in camera.frame(key, now).into_iter().enumerate() {
                if number == 20 && at == 0 {
                    continue;
                }
                if path.push(packet, now, &mut |packet| got.push(packet)).ask {
                    asked.push(number);
                }
            }
            shown.push(got.len());
        }
        // The hole is waited for 100 ms, then asked about at once and each second.
        assert!(asked.len() >= 2 && (21..25).contains(&asked[0]) && asked[1] - asked[0] >= 15, "{asked:?}");
        assert_eq!(shown[30], shown[44], "nothing between the loss and the key frame");
        assert!(shown[46] > shown[44]);
        assert!(watch(&MODE_1, &got).iter().skip(5).all(|db| *db > 28.0));
    }

    #[test]
    fn a_target_gets_its_key_frame_from_here_and_its_limit_is_kept() {
        let (mut path, mut camera, mut got, now) =
            (path(&VP8, &MODE_1), Camera::new(&VP8), vec![], Instant::now());
        let mut count = |path: &mut PicturePath, camera: &mut Camera, key| {
            got.clear();
            for packet in camera.frame(key, now) {
                path.push(packet, now, &mut |packet| got.push(packet));
            }
            got.iter().any(|packet| h264::begins_key_picture(&packet.payload))
        };
        assert!(count(&mut path, &mut camera, true));
        assert!(!count(&mut path, &mut camera, false));
        assert!(!path.key_frame_wanted());
        assert!(count(&mut path, &mut camera, false), "made here");
        assert!(!path.limit(100_000));
    }

    #[test]
    fn a_phone_of_a_low_level_gets_pictures_that_it_bears() {
        let low = H264Format::parse("profile-level-id=42e00d;packetization-mode=1").unwrap();
        let (mut path, now) = (path(&VP8, &VideoFormat::H264(low)), Instant::now());
        let mut camera = Camera { size: (640, 480), ..Camera::new(&VP8) };
        let (mut depacketiser, mut got) = (h264::Depacketiser::default(), vec![]);
        for packet in camera.frame(true, now) {
            path.push(packet, now, &mut |packet| got.push(packet));
        }
        got.iter().for_each(|packet| depacketiser.push(part(packet), &mut |_| ()).unwrap());
        let size = depacketiser.parameters().map(|parameters| (parameters.width, parameters.height));
        assert!(size.is_some_and(|(width, height)| width <= 352 && height <= 288), "{size:?}");
    }

    #[test]
    fn what_comes_too_late_is_not_shown() {
        let (mut path, mut camera, mut got, start) =
            (path(&VP8, &MODE_1), Camera::new(&VP8), vec![], Instant::now());
        for number in 0..10 {
            let late = Duration::from_millis(if (3..6).contains(&number) { 600 } else { 0 });
            for packet in camera.frame(number == 0, start) {
                path.push(packet, start + late, &mut |packet| got.push(packet));
            }
        }
        let last = got.iter().map(|packet| packet.timestamp / 6_000).max();
        assert_eq!(last, Some(2), "until the next key frame");
    }
}
