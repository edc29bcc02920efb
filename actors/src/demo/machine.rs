//! The answering machines of `tandem demo`, as legs that are called: the call joins them to a SIP dialog as
//! it would join a browser.
use std::time::Instant;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, SpawnHandle, WeakRecipient};
use codecs::video::H264Format;
use codecs::{CodecId, VideoFormat};

use super::film::{self, Film};
use super::script::Script;
use crate::generator::{FRAME, Live, Player};
use crate::leg::{LegCommand, LegEvent, LegReport};
use crate::vocabulary::{
    Alive, EndReason, LegKind, Measured, MediaFormat, Meters, Packet, Side, Sink, VideoLine,
};

/// What a machine does. The name is what one dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Sends back what it hears and sees.
    Echo,
    /// Plays 440 Hz, in PCMU.
    Tone,
    /// Counts in beeps from its first millisecond, and beeps once for each digit.
    Ivr,
    /// Shows a picture that moves, in H.264, and plays 440 Hz.
    Video,
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
    video_sink: Option<Sink>,
    film: Option<Film>,
    film_tick: Option<SpawnHandle>,
    _alive: Alive,
}

impl Service {
    /// The service of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "echo" => Self::Echo,
            "tone" => Self::Tone,
            "ivr" => Self::Ivr,
            "video" => Self::Video,
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

    /// The same for pictures.
    pub fn video(self) -> &'static [VideoFormat] {
        match self {
            Self::Echo => &VIDEO,
            Self::Video => &VIDEO[..1],
            Self::Tone | Self::Ivr | Self::Busy | Self::NoAnswer => &[],
        }
    }
}

/// What the demo knows of pictures, best first.
pub(super) const VIDEO: [VideoFormat; 2] = [VideoFormat::H264(H264Format::BROWSER), VideoFormat::Vp8];

impl Machine {
    /// A machine that `call` will dial.
    pub fn new(service: Service, call: WeakRecipient<LegReport>, meters: &Meters) -> Self {
        let _alive = meters.alive("machine");
        let (sink, player, tick, video_sink, film, film_tick) = (None, None, None, None, None, None);
        Self { service, call, sink, player, tick, video_sink, film, film_tick, _alive }
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
            Service::Echo | Service::Tone | Service::Ivr | Service::Video => {
                self.report(LegEvent::Rang);
                self.report(LegEvent::Answered);
            }
        }
    }

    /// The machine speaks whatever the other side speaks, so that nothing is transcoded.
    fn agree(&mut self, MediaFormat { audio, video }: MediaFormat) {
        let codec = audio.codec;
        if self.service != Service::Echo && self.player.as_ref().is_none_or(|player| player.codec() != codec)
        {
            let service = self.service;
            let script = Live::new(codec, |rate| Script::of(service, rate)).ok();
            self.player = script.map(|script| Player::new(codec, script, random(), now()));
        }
        if let (Service::Video, Some(VideoFormat::H264(takes)), None) =
            (self.service, video.map(|line| line.takes), &self.film)
        {
            self.film = Film::new(&takes, random(), now()).ok();
        }
        let video = video.filter(|_| self.service == Service::Echo || self.film.is_some());
        self.report(LegEvent::MediaAgreed(MediaFormat { audio, video: video.map(|line| self.line(&line)) }));
    }

    /// Of pictures, echo makes what it takes, and the film what the other side takes.
    fn line(&self, other: &VideoLine) -> VideoLine {
        let sends = if self.film.is_some() { other.takes } else { other.sends };
        VideoLine { takes: other.sends, sends, direction: other.direction.reversed(), limit: None }
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

    fn plug_video(&mut self, sink: Option<Sink>, ctx: &mut Context<Self>) {
        self.video_sink = sink;
        if let Some(tick) = self.film_tick.take() {
            ctx.cancel_future(tick);
        }
        if let (Some(film), Some(_)) = (&mut self.film, &self.video_sink) {
            film.restart(now());
            self.show();
            self.film_tick = Some(ctx.run_interval(film::PERIOD, |machine, _| machine.show()));
        }
    }

    /// Sends the picture that is due.
    fn show(&mut self) {
        if let (Some(film), Some(sink)) = (&mut self.film, &mut self.video_sink) {
            film.due(now(), &mut |packet| {
                sink.send(packet);
            });
        }
    }

    /// The other side can show nothing without a key frame: the film makes it, echo's is its own.
    fn key_frame(&mut self) {
        match &mut self.film {
            Some(film) => film.key_frame(),
            None => self.report(LegEvent::KeyFrameWanted),
        }
    }

    fn limit_video(&mut self, bits: u32) {
        match &mut self.film {
            Some(film) => film.limit(bits),
            None => self.report(LegEvent::VideoLimited(bits)),
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

/// A machine calls nobody.
fn cannot_move() -> EndReason {
    EndReason::from_sip(Side::Callee, 501, "")
}

fn random() -> u32 {
    getrandom::u32().expect("the operating system's generator does not fail after boot")
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
            LegCommand::PlugVideo(sink) => self.plug_video(sink, ctx),
            LegCommand::AskKeyFrame => self.key_frame(),
            LegCommand::LimitVideo(bits) => self.limit_video(bits),
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
        let back = if packet.payload_kind.is_video() { &mut self.video_sink } else { &mut self.sink };
        if let (Service::Echo, Some(sink)) = (self.service, back) {
            sink.send(packet);
        }
    }
}
