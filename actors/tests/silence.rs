//! A transcoder in front of a source that falls silent, in virtual time: noise goes on without packets, and ends with them.
#![allow(clippy::unwrap_used)]
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler};
use actors::transcoder::{Conversion, Transcoder, TranscoderGone};
use actors::vocabulary::{CodecId, Meters, Packet, Payload, Sink};
use codecs::Settings;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Keeps what comes.
struct Ear(UnboundedSender<Packet>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<Packet> for Ear {
    type Result = ();
    fn handle(&mut self, packet: Packet, _: &mut Self::Context) {
        let _ = self.0.send(packet);
    }
}

impl Handler<TranscoderGone> for Ear {
    type Result = ();
    fn handle(&mut self, _: TranscoderGone, _: &mut Self::Context) {}
}

struct Stage {
    transcoder: Addr<Transcoder>,
    heard: UnboundedReceiver<Packet>,
    sequence: u16,
    /// The far end's clock: timers that are late by 1 ms each would make it a slow one.
    clock: tokio::time::Instant,
    _ear: Addr<Ear>,
}

impl Stage {
    fn new(from: CodecId) -> Self {
        tokio::time::pause();
        let (tell, heard) = unbounded_channel();
        let ear = Ear(tell).start();
        let conversion = Conversion { from, to: CodecId::Pcma, ptime_ms: 20 };
        let (sink, owner) = (Sink::new(&ear.clone().recipient()), ear.downgrade().recipient());
        let transcoder = Transcoder::new(conversion, &Settings::default(), sink, 1, owner, &Meters::new());
        Self {
            transcoder: transcoder.unwrap().start(),
            heard,
            sequence: 0,
            clock: tokio::time::Instant::now(),
            _ear: ear,
        }
    }

    async fn says(&mut self, payload_kind: Payload, payload: &[u8], timestamp: u32) {
        let payload = payload.to_vec().into();
        let received = now();
        let (sequence, ssrc) = (self.sequence, 7);
        self.sequence += 1;
        let packet = Packet { payload_kind, ssrc, sequence, timestamp, marker: false, payload, received };
        self.transcoder.send(packet).await.unwrap();
    }

    /// Packets since the last time.
    async fn hears(&mut self, within: Duration) -> Vec<Packet> {
        self.clock += within;
        tokio::time::sleep_until(self.clock).await;
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Ten packets of sound, word of silence, a second later sound again.
async fn noise_between(from: CodecId, sound: &[u8], silence: (Payload, &[u8])) {
    let mut stage = Stage::new(from);
    let twenty = Duration::from_millis(20);
    let mut heard = Vec::new();
    for packet in 0..10 {
        stage.says(Payload::Audio(from), sound, packet * 160).await;
        heard.extend(stage.hears(twenty).await);
    }
    stage.says(silence.0, silence.1, 1600).await;
    let noise = stage.hears(Duration::from_secs(1)).await;
    assert!((46..=50).contains(&noise.len()), "{} packets in a second of silence", noise.len());
    assert!(
        noise.iter().any(|packet| packet.payload.iter().any(|code| code & 0x7f != 0x55)),
        "noise, not nothing"
    );
    heard.extend(noise);
    for packet in 0..10 {
        stage.says(Payload::Audio(from), sound, 1600 + 8000 + packet * 160).await;
        heard.extend(stage.hears(twenty).await);
    }
    heard.extend(stage.hears(Duration::from_secs(1)).await);
    let stamps: Vec<u32> = heard.iter().map(|packet| packet.timestamp).collect();
    assert_eq!(
        stamps,
        (0..70).map(|packet| packet * 160).collect::<Vec<_>>(),
        "no gap, and nothing after it"
    );
    assert!(heard.iter().skip(1).all(|packet| !packet.marker));
}

#[actix::test]
async fn comfort_noise_of_a_phone_goes_on_until_it_speaks() {
    noise_between(CodecId::Pcmu, &[0xff; 160], (Payload::ComfortNoise, &[50])).await;
}

#[actix::test]
async fn rq11_a_silence_frame_of_g729_goes_on_as_noise_until_the_phone_speaks() {
    let silence: &[u8] = &[0, 16 << 1];
    noise_between(CodecId::G729, &[0; 20], (Payload::Audio(CodecId::G729), silence)).await;
}
