//! What a codec's panic does: the hook that makes one panic is here, out of reach for a running house.
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message};
use bytes::Bytes;
use codecs::tone::Tone;
use codecs::{CodecId, Settings, probe};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Begin, Call, CallEnded, CallOrder};
use crate::leg::{Leg, LegCommand, LegEvent, LegReport};
use crate::transcoder::Transcoder;
use crate::vocabulary::{ActivityLimits, AudioFormat, CallId, Cause, Meters, Packet, Payload, Side, Sink};

/// Makes a transcoder panic as a codec would.
#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for Transcoder {
    type Result = ();
    fn handle(&mut self, Panic: Panic, _: &mut Self::Context) {
        panic!("a codec panics: the test wants it");
    }
}

impl Handler<Panic> for Call {
    type Result = ();
    fn handle(&mut self, Panic: Panic, _: &mut Self::Context) {
        // The first one is plugged in front of the callee.
        self.transcoders.running[0].transcoder.do_send(Panic);
    }
}

/// A leg that passes on what it is told and what it hears.
struct Ear {
    told: UnboundedSender<LegCommand>,
    heard: UnboundedSender<(Instant, Packet)>,
}

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<LegCommand> for Ear {
    type Result = ();
    fn handle(&mut self, command: LegCommand, _: &mut Self::Context) {
        let _ = self.told.send(command);
    }
}

impl Handler<Packet> for Ear {
    type Result = ();
    fn handle(&mut self, packet: Packet, _: &mut Self::Context) {
        let _ = self.heard.send((Instant::now(), packet));
    }
}

struct Owner(UnboundedSender<CallEnded>);

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Handler<CallEnded> for Owner {
    type Result = ();
    fn handle(&mut self, ended: CallEnded, _: &mut Self::Context) {
        let _ = self.0.send(ended);
    }
}

/// An answered call from a caller with Opus to a callee with PCMU.
struct Talk {
    call: Addr<Call>,
    /// Where the caller was told to send.
    sink: Option<Sink>,
    caller_told: UnboundedReceiver<LegCommand>,
    heard: UnboundedReceiver<(Instant, Packet)>,
    ended: UnboundedReceiver<CallEnded>,
    tone: Tone,
    encoder: Box<dyn codecs::Encoder>,
    sent: u16,
    _owner: Addr<Owner>,
}

const NEVER: ActivityLimits =
    ActivityLimits { detecting: false, first: Duration::ZERO, running: Duration::ZERO, hold: Duration::ZERO };
const MS: Duration = Duration::from_millis(1);
const HZ: f64 = 440.0;
const LEVEL: f64 = -12.0;

impl Talk {
    async fn new() -> Self {
        let (say, ended) = unbounded_channel();
        let owner = Owner(say).start();
        let order = CallOrder {
            call_id: CallId::random(),
            direction: "outgoing",
            no_answer: Duration::from_secs(60),
            max_duration: None,
            activity: NEVER,
            stand_in: Default::default(),
            sounds: Default::default(),
            encoding: Settings::default(),
            video: Default::default(),
            codec_lane: actix::Arbiter::current(),
            owner: owner.downgrade().recipient(),
            meters: Meters::new(),
        };
        let call = Call::new(order).start();
        let leg = |told, heard| {
            let leg = Ear { told, heard }.start();
            Leg { commands: leg.clone().recipient(), packets: leg.recipient() }
        };
        let ((tell_caller, caller_told), (tell_callee, _)) = (unbounded_channel(), unbounded_channel());
        let ((deaf, _), (hear, heard)) = (unbounded_channel(), unbounded_channel());
        call.do_send(Begin { caller: leg(tell_caller, deaf), callees: vec![leg(tell_callee, hear)] });
        for (side, codec) in [(Side::Caller, CodecId::Opus), (Side::Callee, CodecId::Pcmu)] {
            let format = AudioFormat { codec, ptime_ms: 20, telephone_event: true };
            call.do_send(LegReport { side, branch: 0, event: LegEvent::MediaAgreed(format.into()) });
        }
        call.do_send(LegReport { side: Side::Callee, branch: 0, event: LegEvent::Answered });
        sleep(MS).await;
        let encoder = (CodecId::Opus.spec().encoder)(48_000, &Settings::default()).unwrap();
        let tone = Tone::new(48_000, HZ, LEVEL);
        Self { call, sink: None, caller_told, heard, ended, tone, encoder, sent: 0, _owner: owner }
    }

    /// The caller says its next 20 ms. True: somebody took them.
    fn speak(&mut self) -> bool {
        while let Ok(command) = self.caller_told.try_recv() {
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
        while let Ok((at, packet)) = self.heard.try_recv() {
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
    let (mut talk, mut other) = (Talk::new().await, Talk::new().await);
    let (mut refused, mut refused_other) = (0, 0);
    let start = Instant::now();
    for place in 0..100 {
        refused += u32::from(!talk.speak());
        refused_other += u32::from(!other.speak());
        sleep_until(start + (20 * place + 10) * MS).await;
        if place == 50 {
            talk.call.do_send(Panic);
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

    talk.call.do_send(Panic);
    sleep(MS).await;
    let ended = talk.ended.recv().await.unwrap();
    assert_eq!((ended.0.reason.by, ended.0.reason.cause), (None, Cause::Internal));
    assert!(other.speak(), "the other call goes on");
}
