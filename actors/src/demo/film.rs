//! The moving picture of the demo, in H.264: drawn and encoded as it is shown. Pure; time is an argument.
use std::time::{Duration, Instant};

use bytes::Bytes;
use codecs::payload::LONGEST;
use codecs::payload::h264::Packetiser;
use codecs::video::{H264Format, Picture, VIDEO_CLOCK, VideoEncoder, VideoSettings, pattern};
use codecs::{CodecError, VideoCodec};

use crate::vocabulary::{Packet, Payload};

/// The film of one call.
pub struct Film {
    encoder: Box<dyn VideoEncoder>,
    packets: Packetiser,
    picture: Picture,
    coded: Vec<u8>,
    started: Instant,
    /// The number of the picture that comes next at the earliest.
    next: u32,
    /// That one has to be a key frame.
    key: bool,
    ssrc: u32,
    sequence: u16,
}

/// Pictures a second.
const FPS: u32 = 15;
/// From one picture to the next, or a little less.
pub const PERIOD: Duration = Duration::from_millis(1000 / FPS as u64);
/// Pixels: what every level from 1.2 on bears.
const SIZE: (usize, usize) = (320, 240);
/// Bits per second.
const BITRATE: u32 = 300_000;

impl Film {
    /// A film for a receiver of this format, as a source of its own.
    pub fn new(format: &H264Format, ssrc: u32, now: Instant) -> Result<Self, CodecError> {
        let settings = VideoSettings { bitrate: BITRATE, max_fps: FPS, ..VideoSettings::default() };
        Ok(Self {
            encoder: VideoCodec::H264.encoder(&settings.within(format.profile_level.level()))?,
            packets: Packetiser::new(format.packetization_mode, LONGEST),
            picture: Picture::new(SIZE.0, SIZE.1)?,
            coded: vec![],
            started: now,
            next: 0,
            key: true,
            ssrc,
            sequence: 0,
        })
    }

    /// Starts over, as another source.
    pub fn restart(&mut self, now: Instant) {
        (self.started, self.next, self.key) = (now, 0, true);
        (self.ssrc, self.sequence) = (self.ssrc.wrapping_add(1), 0);
    }

    /// The next picture will be a key frame.
    pub fn key_frame(&mut self) {
        self.key = true;
    }

    /// No more than so many bits per second from now on.
    pub fn limit(&mut self, bits: u32) {
        let limited = self.encoder.set_bitrate(bits.min(BITRATE));
        limited.unwrap_or_else(|problem| tracing::debug!(%problem, "the film's bitrate stays"));
    }

    /// Sends the newest picture whose time has come, if it was not sent before; those that were missed are left out.
    pub fn due(&mut self, now: Instant, out: &mut dyn FnMut(Packet)) {
        let elapsed = now.saturating_duration_since(self.started).as_millis() * u128::from(FPS) / 1000;
        let number = elapsed as u32; // nine years of pictures
        if number < self.next {
            return;
        }
        self.next = number + 1;
        pattern::draw(&mut self.picture, number as usize);
        let at = u64::from(number) * u64::from(VIDEO_CLOCK / FPS);
        let key = std::mem::take(&mut self.key);
        let Self { encoder, packets, picture, coded, ssrc, sequence, .. } = self;
        let encoded = encoder.encode(picture.view(), key, at, coded);
        let sent = encoded.and_then(|_| {
            packets.packetise(coded, &mut |payload, marker| {
                out(Packet {
                    payload_kind: Payload::Video(VideoCodec::H264),
                    ssrc: *ssrc,
                    sequence: *sequence,
                    timestamp: at as u32,
                    marker,
                    payload: Bytes::copy_from_slice(payload),
                    received: now,
                });
                *sequence = sequence.wrapping_add(1);
            })
        });
        sent.unwrap_or_else(|problem| tracing::debug!(%problem, "a picture of the film is left out"));
    }
}

#[cfg(test)]
mod tests {
    use codecs::payload::{CodedPicture, Part, h264};

    use super::*;

    /// Shows the film for so many ticks of 10 ms; the packets, and how near each picture comes to the pattern (dB).
    fn show(film: &mut Film, start: Instant, ticks: std::ops::Range<u64>) -> (Vec<Packet>, Vec<f64>) {
        let (mut parts, mut decoder) = (h264::Depacketiser::default(), VideoCodec::H264.decoder().unwrap());
        let (mut sent, mut seen) = (vec![], vec![]);
        for tick in ticks {
            film.due(start + Duration::from_millis(tick * 10), &mut |packet| sent.push(packet));
        }
        for Packet { payload, sequence, timestamp, marker, .. } in &sent {
            let part = Part { payload, sequence: *sequence, timestamp: *timestamp, marker: *marker };
            let mut look = |picture: CodedPicture<'_>| {
                let number = picture.timestamp / (VIDEO_CLOCK / FPS);
                let view = decoder.decode(picture.data).unwrap().unwrap();
                seen.push(pattern::psnr(view, pattern::picture(SIZE, number as usize).view()));
            };
            parts.push(part, &mut look).unwrap();
        }
        (sent, seen)
    }

    fn keys(packets: &[Packet]) -> Vec<u32> {
        let mut keys: Vec<u32> = packets
            .iter()
            .filter(|packet| h264::begins_key_picture(&packet.payload))
            .map(|packet| packet.timestamp / (VIDEO_CLOCK / FPS))
            .collect();
        keys.dedup();
        keys
    }

    #[test]
    fn fifteen_pictures_a_second_are_seen_and_key_frames_come_when_asked_for() {
        for packetization_mode in [0, 1] {
            let start = Instant::now();
            let format = H264Format { packetization_mode, ..H264Format::BROWSER };
            let mut film = Film::new(&format, 7, start).unwrap();
            let (sent, seen) = show(&mut film, start, 0..200);
            assert!((28..=30).contains(&seen.len()), "{}", seen.len());
            assert!(seen.iter().all(|db| *db > 28.0), "{seen:?}");
            assert!(sent.iter().all(|packet| packet.payload.len() <= LONGEST));
            assert_eq!(keys(&sent), [0]);
            film.key_frame();
            assert_eq!(keys(&show(&mut film, start, 200..300).0), [30]);
            film.restart(start);
            let (sent, seen) = show(&mut film, start, 0..50);
            assert_eq!((sent[0].ssrc, sent[0].sequence, keys(&sent)), (8, 0, vec![0]));
            assert!(seen.len() >= 6);
        }
    }

    #[test]
    fn pictures_that_were_missed_are_left_out() {
        let start = Instant::now();
        let mut film = Film::new(&H264Format::BROWSER, 7, start).unwrap();
        let mut numbers = vec![];
        for ms in [0, 10, 1_000, 1_001] {
            film.due(start + Duration::from_millis(ms), &mut |packet| numbers.push(packet.timestamp / 6_000));
        }
        numbers.dedup();
        assert_eq!(numbers, [0, 15]);
    }
}
