//! Pictures: after a fallen codec they go on with the next key frame, which is asked for at once.
use bytes::Bytes;
use codecs::payload::{CodedPicture, Part, h264, vp8};
use codecs::video::{H264Format, VideoEncoder, VideoSettings, pattern};
use codecs::{CodecId, VideoCodec, VideoFormat};
use sip::sdp::Direction;
use tokio::time::{Instant, sleep};

use super::{Fall, MS, Talk};
use crate::leg::LegCommand;
use crate::vocabulary::{AudioFormat, MediaFormat, Packet, Payload, Sink, VideoLine};

const SIZE: (usize, usize) = (160, 120);
/// From one picture to the next, in ticks of 90 kHz: 15 a second.
const STEP: u32 = 6_000;

/// From a caller with VP8 to a callee with H.264.
struct Show {
    talk: Talk,
    /// Where the caller was told to send, and that it was asked for a key frame.
    sink: Option<Sink>,
    asked: bool,
    encoder: Box<dyn VideoEncoder>,
    packets: vp8::Packetiser,
    number: u32,
    sequence: u16,
}

impl Show {
    async fn new() -> Self {
        let audio = AudioFormat { codec: CodecId::Pcmu, ptime_ms: 20, telephone_event: true };
        let format = |format| {
            let direction = Direction::SendRecv;
            let line = VideoLine { takes: format, sends: format, direction, limit: None };
            MediaFormat { audio, video: Some(line) }
        };
        let talk = Talk::new(format(VideoFormat::Vp8), format(VideoFormat::H264(H264Format::BROWSER))).await;
        let encoder = VideoCodec::Vp8.encoder(&VideoSettings::default()).unwrap();
        let (sink, asked, packets) = (None, false, vp8::Packetiser::new(1_000, 0));
        Self { talk, sink, asked, encoder, packets, number: 0, sequence: 0 }
    }

    fn listen(&mut self) {
        while let Ok(command) = self.talk.caller_told.try_recv() {
            match command {
                LegCommand::PlugVideo(sink) => self.sink = sink,
                LegCommand::AskKeyFrame => self.asked = true,
                _ => {}
            }
        }
    }

    /// The caller shows its next picture, a key frame if it was asked for one, and a fifteenth of a second goes by.
    async fn show(&mut self) {
        self.listen();
        let (timestamp, mut coded) = (self.number * STEP, vec![]);
        let picture = pattern::picture(SIZE, self.number as usize);
        let key = std::mem::take(&mut self.asked);
        self.encoder.encode(picture.view(), key, timestamp.into(), &mut coded).unwrap();
        let Self { packets, sink, sequence, .. } = self;
        packets.packetise(&coded, &mut |payload, marker| {
            let packet = Packet {
                payload_kind: Payload::Video(VideoCodec::Vp8),
                ssrc: 1,
                sequence: *sequence,
                timestamp,
                marker,
                payload: Bytes::copy_from_slice(payload),
                received: Instant::now().into_std(),
            };
            *sequence = sequence.wrapping_add(1);
            if let Some(sink) = sink {
                sink.send(packet);
            }
        });
        self.number += 1;
        sleep(66 * MS).await;
    }

    /// The numbers of the pictures that the callee saw, each near enough to what was shown. A source that begins anew is another stream.
    fn seen(&mut self) -> Vec<u32> {
        let (mut numbers, mut ssrc, mut eye) = (vec![], None, None);
        while let Ok((_, packet)) = self.talk.heard.try_recv() {
            if ssrc.replace(packet.ssrc) != Some(packet.ssrc) {
                eye = Some((h264::Depacketiser::default(), VideoCodec::H264.decoder().unwrap()));
            }
            let Some((parts, decoder)) = &mut eye else { continue };
            let Packet { payload, sequence, timestamp, marker, .. } = &packet;
            let part = Part { payload, sequence: *sequence, timestamp: *timestamp, marker: *marker };
            let mut look = |picture: CodedPicture<'_>| {
                let number = picture.timestamp / STEP;
                let view = decoder.decode(picture.data).unwrap().unwrap();
                assert!(
                    pattern::psnr(view, pattern::picture(SIZE, number as usize).view()) > 25.0,
                    "{number}"
                );
                numbers.push(number);
            };
            parts.push(part, &mut look).unwrap();
        }
        numbers
    }
}

#[actix::test]
async fn a_picture_codec_that_panics_costs_its_call_a_picture_and_others_nothing_and_twice_ends_that_direction()
 {
    tokio::time::pause();
    let (mut show, mut other) = (Show::new().await, Show::new().await);
    for place in 0..45 {
        if place == 20 {
            show.talk.call.do_send(Fall::Pictures);
        }
        show.show().await;
        other.show().await;
    }
    assert_eq!(other.seen(), (0..45).collect::<Vec<_>>(), "the other call loses nothing");
    let seen = show.seen();
    let lost: Vec<u32> = (0..45).filter(|number| !seen.contains(number)).collect();
    assert!(lost.len() <= 2 && lost.iter().all(|number| (20..23).contains(number)), "lost: {lost:?}");

    while show.talk.callee_told.try_recv().is_ok() {}
    show.talk.call.do_send(Fall::Pictures);
    sleep(MS).await;
    show.listen();
    assert_eq!(show.sink, None, "nobody takes the caller's pictures any more");
    let told = std::iter::from_fn(|| show.talk.callee_told.try_recv().ok());
    let unplugged = told.filter(|command| matches!(command, LegCommand::PlugVideo(_))).count();
    assert_eq!(unplugged, 0, "the callee's go on");
    assert!(show.talk.ended.try_recv().is_err(), "and so does the call");
}
