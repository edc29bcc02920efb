//! The answering machines of `tandem demo`, as legs that are called: the call joins them to a SIP dialog as
//! it would join a browser.
use std::time::Instant;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, SpawnHandle, WeakRecipient};
use codecs::CodecId;
use codecs::tone::Tone;

use crate::generator::{FRAME, Live, Player, Sound};
use crate::leg::{LegCommand, LegEvent, LegReport};
use crate::vocabulary::{Alive, AudioFormat, EndReason, LegKind, Measured, Meters, Packet, Side, Sink};

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
    player: Option<Player<Live<Script>>>,
    tick: Option<SpawnHandle>,
    _alive: Alive,
}

/// Which sound there is at a sample.
enum Script {
    /// One tone for ever.
    Steady(Tone),
    /// Second *n* has *n* beeps (1 to 5, then again); a digit is answered by a beep of its own pitch.
    Counting { tone: Tone, digit: Tone, digit_left: u32 },
}

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
            call.do_send(LegReport { side: Side::Callee, branch: 0, event });
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
        if self.service != Service::Echo && self.player.as_ref().is_none_or(|player| player.codec() != codec)
        {
            let service = self.service;
            let script = Live::new(codec, |rate| Script::of(service, rate)).ok();
            let ssrc = getrandom::u32().expect("the operating system's generator does not fail after boot");
            self.player = script.map(|script| Player::new(codec, script, ssrc, now()));
        }
        self.report(LegEvent::MediaAgreed(format.into()));
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
            self.tick = Some(ctx.run_interval(FRAME, |machine, _| machine.play()));
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

impl Script {
    fn of(service: Service, rate: u32) -> Self {
        match service {
            Service::Tone => Self::Steady(Tone::new(rate, 440.0, -12.0)),
            _ => Self::Counting {
                tone: Tone::new(rate, 800.0, -12.0),
                digit: Tone::new(rate, 1200.0, -12.0),
                digit_left: 0,
            },
        }
    }

    /// A digit came: 200 ms of beep.
    fn digit(&mut self) {
        if let Self::Counting { digit_left, .. } = self {
            *digit_left = 10;
        }
    }
}

impl Sound for Script {
    fn fill(&mut self, frame: u32, pcm: &mut [i16]) {
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
}

/// A machine calls nobody.
fn cannot_move() -> EndReason {
    EndReason::from_sip(Side::Callee, 501, "")
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
            LegCommand::Agree(format) => self.agree(format.audio),
            LegCommand::Plug(sink) => self.plug(sink, ctx),
            LegCommand::Hold => self.report(LegEvent::Held),
            LegCommand::Resume => self.report(LegEvent::Resumed),
            LegCommand::SendDigits(_) => {
                if let Some(player) = &mut self.player {
                    player.source().sound().digit();
                }
            }
            LegCommand::Introduce => self.report(LegEvent::Introduced(None)),
            LegCommand::Measure => self.report(LegEvent::Measured(Measured::nothing(LegKind::Machine))),
            LegCommand::Transfer(_) => self.report(LegEvent::TransferRefused(cannot_move())),
            LegCommand::HangUp(_) => ctx.stop(),
            LegCommand::Ring
            | LegCommand::Quiet
            | LegCommand::StandIn(_)
            | LegCommand::RingMedia
            | LegCommand::Add(_)
            | LegCommand::PlugVideo(_)
            | LegCommand::AskKeyFrame
            | LegCommand::LimitVideo(_)
            | LegCommand::Answer
            | LegCommand::ShowHold(_)
            | LegCommand::ShowRemoteHold(_)
            | LegCommand::ShowSound(_)
            | LegCommand::SuccessorFared(_)
            | LegCommand::ShowTransferRefused { .. } => {}
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
    fn the_counting_script_beeps_once_in_its_first_second_and_twice_in_the_next() {
        let mut script = Script::of(Service::Ivr, 8000);
        let mut loud = |frame| {
            let mut pcm = [0; 160];
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
