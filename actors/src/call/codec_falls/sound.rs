//! Sound: a fallen codec is not heard.
use std::time::Duration;

use bytes::Bytes;
use codecs::tone::Tone;
use codecs::{CodecId, Settings, probe};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Fall, MS, Talk};
use crate::leg::LegCommand;
use crate::vocabulary::{AudioFormat, Cause, Packet, Payload, Sink};

const HZ: f64 = 440.0;
const LEVEL: f64 = -12.0;

/// From a caller with Opus to a callee with PCMU.
struct Speech {
    talk: Talk,
    /// Where the caller was told to send.
    sink: Option<Sink>,
    tone: Tone,
    encoder: Box<dyn codecs::Encoder>,
    sent: u16,
}

impl Speech {
    async fn new() -> Self {
        let format = |codec| AudioFormat { codec, ptime_ms: 20, telephone_event: true }.into();
        let talk = Talk::new(format(CodecId::Opus), format(CodecId::Pcmu)).await;
        let encoder = (CodecId::Opus.spec().encoder)(48_000, &Settings::default()).unwrap();
        let tone = Tone::new(48_000, HZ, LEVEL);
        Self { talk, sink: None, tone, encoder, sent: 0 }
    }

    /// The caller says its next 20 ms. True: somebody took them.
    fn speak(&mut self) -> bool {
        while let Ok(command) = self.talk.caller_told.try_recv() {
            if let LegCommand::Plug(sink) = command {
                self.sink = sink;
            }
        }
        let (mut pcm, mut payload) = ([0; 960], [0; 1500]);
        self.tone.fill(&mut pcm);
        let length = self.encoder.encode(&pcm, &mut payload).unwrap();
        let packet = Packet {
            payload_kind: Payload::Audio(CodecId::Opus),
            ssrc: 1,
            sequence: self.sent,
            timestamp: u32::from(self.sent) * 960,
            marker: self.sent == 0,
            payload: Bytes::copy_from_slice(&payload[..length]),
            received: Instant::now().into_std(),
        };
        self.sent += 1;
        self.sink.as_mut().is_some_and(|sink| sink.send(packet))
    }

    /// What the callee heard, and the longest time in which nothing came.
    fn heard(&mut self) -> (Vec<i16>, Duration) {
        let mut ear = (CodecId::Pcmu.spec().decoder)(8000, &Settings::default()).unwrap();
        let (mut sound, mut longest, mut last) = (Vec::new(), Duration::ZERO, None::<Instant>);
        while let Ok((at, packet)) = self.talk.heard.try_recv() {
            let mut pcm = [0; 1600];
            let samples = ear.decode(&packet.payload, &mut pcm).unwrap();
            sound.extend_from_slice(&pcm[..samples]);
            longest = longest.max(last.map_or(Duration::ZERO, |last| at - last));
            last = Some(at);
        }
        (sound, longest)
    }
}

#[actix::test]
async fn a_codec_that_panics_costs_its_call_no_packet_and_others_nothing_and_twice_ends_it() {
    tokio::time::pause();
    let (mut talk, mut other) = (Speech::new().await, Speech::new().await);
    let (mut refused, mut refused_other) = (0, 0);
    let start = Instant::now();
    for place in 0..100 {
        refused += u32::from(!talk.speak());
        refused_other += u32::from(!other.speak());
        sleep_until(start + (20 * place + 10) * MS).await;
        if place == 50 {
            talk.talk.call.do_send(Fall::Sound);
        }
        sleep_until(start + (20 * place + 20) * MS).await;
    }
    let (sound, longest) = talk.heard();
    let (whole, _) = other.heard();
    assert_eq!((refused, refused_other, whole.len()), (0, 0, 100 * 160));
    // The next packet finds a transcoder; only what the old one's decoder kept for itself is gone. Timers are good to 1 ms.
    assert_eq!(sound.len(), 100 * 160);
    assert!(longest <= 21 * MS, "nothing came for {longest:?}");
    let steepest = probe::step_of_tone(8000, HZ, LEVEL);
    assert!(
        probe::largest_step(&sound[800..]) < steepest * 3 / 2,
        "a click of {}",
        probe::largest_step(&sound[800..])
    );
    assert!(probe::longest_quiet_ms(&sound[800..], 8000, -30.0) <= 20);

    talk.talk.call.do_send(Fall::Sound);
    sleep(MS).await;
    let ended = talk.talk.ended.recv().await.unwrap();
    assert_eq!((ended.0.reason.by, ended.0.reason.cause), (None, Cause::Internal));
    assert!(other.speak(), "the other call goes on");
}
