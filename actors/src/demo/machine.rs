//! The answering machines of `tandem demo`, as legs that are called: the call joins them to a SIP dialog as
//! it would join a browser.
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, SpawnHandle, WeakRecipient};
use bytes::Bytes;
use codecs::tone::Tone;
use codecs::{CodecId, Encoder, MAX_PAYLOAD, Settings};

use crate::leg::{LegCommand, LegEvent, LegReport};
use crate::vocabulary::{Alive, AudioFormat, EndReason, Meters, Packet, Payload, Side, Sink};

/// What a machine does. The name is what one dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Sends back what it hears.
    Echo,
    /// Plays 440 Hz, in PCMU.
    Tone,
    /// Counts in beeps from its first millisecond, and beeps once for each digit.
    Ivr,
    /// Answers 486.
    Busy,
    /// Rings for ever.
    NoAnswer,
}

/// The actor.
pub struct Machine {
    service: Service,
    call: WeakRecipient<LegReport>,
    sink: Option<Sink>,
    player: Option<Player>,
    tick: Option<SpawnHandle>,
    _alive: Alive,
}

/// Makes the sound of [`Service::Tone`] and [`Service::Ivr`], a frame at a time.
struct Player {
    script: Script,
    encoder: Box<dyn Encoder>,
    codec: CodecId,
    started: Instant,
    frames: u32,
    ssrc: u32,
}

/// Which sound there is at a sample.
enum Script {
    /// One tone for ever.
    Steady(Tone),
    /// Second *n* has *n* beeps (1 to 5, then again); a digit is answered by a beep of its own pitch.
    Counting { tone: Tone, digit: Tone, digit_left: u32 },
}

/// 20 ms at the 8 kHz of G.711.
const FRAME: usize = 160;
const FRAME_TIME: Duration = Duration::from_millis(20);
const RATE: u32 = 8000;
/// Frames made up at once after a pause of the lane: more would only be late.
const MAX_CATCH_UP: u32 = 10;

impl Service {
    /// The service of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "echo" => Self::Echo,
            "tone" => Self::Tone,
            "ivr" => Self::Ivr,
            "busy" => Self::Busy,
            "noanswer" => Self::NoAnswer,
            _ => return None,
        })
    }

    /// The codecs that its SIP side speaks.
    pub fn codecs(self) -> &'static [CodecId] {
        match self {
            Self::Tone => &[CodecId::Pcmu],
            Self::Ivr => &[CodecId::Pcmu, CodecId::Pcma],
            _ => &[CodecId::Opus, CodecId::Pcma, CodecId::Pcmu],
        }
    }
}

impl Machine {
    /// A machine that `call` will dial.
    pub fn new(service: Service, call: WeakRecipient<LegReport>, meters: &Meters) -> Self {
        let _alive = meters.alive("machine");
        Self { service, call, sink: None, player: None, tick: None, _alive }
    }

    fn report(&self, event: LegEvent) {
        if let Some(call) = self.call.upgrade() {
            call.do_send(LegReport { side: Side::Callee, event });
        }
    }

    fn dialled(&mut self) {
        match self.service {
            Service::Busy => {
                self.report(LegEvent::Ended(EndReason::from_sip(Side::Callee, 486, "Busy Here")))
            }
            Service::NoAnswer => self.report(LegEvent::Rang),
            Service::Echo | Service::Tone | Service::Ivr => {
                self.report(LegEvent::Rang);
                self.report(LegEvent::Answered);
            }
        }
    }

    /// The machine speaks whatever the other side speaks, so that nothing is transcoded.
    fn agree(&mut self, format: AudioFormat) {
        let codec = format.codec;
        if self.service != Service::Echo && self.player.as_ref().is_none_or(|player| player.codec != codec) {
            self.player = Player::new(self.service, codec);
        }
        self.report(LegEvent::MediaAgreed(format));
    }

    fn plug(&mut self, sink: Option<Sink>, ctx: &mut Context<Self>) {
        self.sink = sink;
        let plays = self.sink.is_some() && self.player.is_some();
        if let Some(tick) = self.tick.take_if(|_| !plays) {
            ctx.cancel_future(tick);
        }
        if plays && self.tick.is_none() {
            if let Some(player) = &mut self.player {
                player.restart(now());
            }
            self.play(); // from the first millisecond
            self.tick = Some(ctx.run_interval(FRAME_TIME, |machine, _| machine.play()));
        }
    }

    /// Sends the frames that are due.
    fn play(&mut self) {
        if let (Some(player), Some(sink)) = (&mut self.player, &mut self.sink) {
            while let Some(packet) = player.due(now()) {
                sink.send(packet);
            }
        }
    }
}

impl Player {
    fn new(service: Service, codec: CodecId) -> Option<Self> {
        let encoder = (codec.spec().encoder)(RATE, &Settings::default()).ok()?;
        let script = match service {
            Service::Tone => Script::Steady(Tone::new(RATE, 440.0, -12.0)),
            _ => Script::Counting {
                tone: Tone::new(RATE, 800.0, -12.0),
                digit: Tone::new(RATE, 1200.0, -12.0),
                digit_left: 0,
            },
        };
        Some(Self { script, encoder, codec, started: now(), frames: 0, ssrc: 1 })
    }

    /// Sound starts over, as another source.
    fn restart(&mut self, now: Instant) {
        self.started = now;
        self.frames = 0;
        self.ssrc = self.ssrc.wrapping_add(1);
    }

    /// The next frame, if its time has come.
    fn due(&mut self, now: Instant) -> Option<Packet> {
        let due =
            (now.saturating_duration_since(self.started).as_millis() / FRAME_TIME.as_millis()) as u32 + 1;
        if due > self.frames + MAX_CATCH_UP {
            self.frames = due - 1;
        }
        if self.frames >= due {
            return None;
        }
        let frame = self.frames;
        self.frames += 1;
        let mut pcm = [0; FRAME];
        self.script.fill(frame, &mut pcm);
        let mut payload = [0; MAX_PAYLOAD];
        let len = self.encoder.encode(&pcm, &mut payload).ok()?;
        let ticks = self.codec.spec().clock_rate / 1000 * FRAME_TIME.as_millis() as u32;
        Some(Packet {
            payload_kind: Payload::Audio(self.codec),
            ssrc: self.ssrc,
            sequence: frame as u16,
            timestamp: frame.wrapping_mul(ticks),
            marker: frame == 0,
            payload: Bytes::copy_from_slice(&payload[..len]),
            received: now,
        })
    }
}

impl Script {
    fn fill(&mut self, frame: u32, pcm: &mut [i16; FRAME]) {
        match self {
            Self::Steady(tone) => tone.fill(pcm),
            Self::Counting { digit, digit_left, .. } if *digit_left > 0 => {
                *digit_left -= 1;
                digit.fill(pcm);
            }
            Self::Counting { tone, .. } => {
                let (second, place) = (frame / 50, frame % 50);
                let beeps = second % 5 + 1;
                // Each beep is 80 ms of sound and 80 ms of silence.
                if place / 8 < beeps && place % 8 < 4 {
                    tone.fill(pcm);
                }
            }
        }
    }

    /// A digit came: 200 ms of beep.
    fn digit(&mut self) {
        if let Self::Counting { digit_left, .. } = self {
            *digit_left = 10;
        }
    }
}

/// The clock that tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor for Machine {
    type Context = Context<Self>;
}

impl Handler<LegCommand> for Machine {
    type Result = ();
    fn handle(&mut self, command: LegCommand, ctx: &mut Self::Context) {
        match command {
            LegCommand::Dial => self.dialled(),
            LegCommand::Agree(format) => self.agree(format),
            LegCommand::Plug(sink) => self.plug(sink, ctx),
            LegCommand::Hold => self.report(LegEvent::Held),
            LegCommand::Resume => self.report(LegEvent::Resumed),
            LegCommand::SendDigits(_) => {
                if let Some(player) = &mut self.player {
                    player.script.digit();
                }
            }
            LegCommand::HangUp(_) => ctx.stop(),
            LegCommand::Ring | LegCommand::RingMedia | LegCommand::Answer | LegCommand::ShowHold(_) => {}
        }
    }
}

impl Handler<Packet> for Machine {
    type Result = ();
    fn handle(&mut self, packet: Packet, _: &mut Self::Context) {
        if self.service == Service::Echo
            && let Some(sink) = &mut self.sink
        {
            sink.send(packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_due_every_20_ms_from_the_first_millisecond() {
        let mut player = Player::new(Service::Tone, CodecId::Pcmu).unwrap();
        let start = now();
        player.restart(start);
        let mut at = |ms| std::iter::from_fn(|| player.due(start + Duration::from_millis(ms))).count();
        assert_eq!(at(0), 1);
        assert_eq!(at(19), 0);
        assert_eq!(at(20), 1);
        assert_eq!(at(100), 4);
        assert_eq!(at(60_000), 1, "a long pause is not made up");
    }

    #[test]
    fn the_counting_script_beeps_once_in_its_first_second_and_twice_in_the_next() {
        let Some(Player { mut script, .. }) = Player::new(Service::Ivr, CodecId::Pcmu) else { panic!() };
        let mut loud = |frame| {
            let mut pcm = [0; FRAME];
            script.fill(frame, &mut pcm);
            pcm.iter().any(|sample| *sample != 0)
        };
        let beeps = |frames: std::ops::Range<u32>, loud: &mut dyn FnMut(u32) -> bool| {
            let sound: Vec<bool> = frames.map(loud).collect();
            sound.windows(2).filter(|pair| pair[0] && !pair[1]).count()
        };
        assert!(loud(0));
        assert_eq!(beeps(0..50, &mut loud), 1);
        assert_eq!(beeps(50..100, &mut loud), 2);
    }
}
