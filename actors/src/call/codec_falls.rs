//! What a codec's panic does: the hook that makes one panic is here, out of reach for a running house.
mod pictures;
mod sound;

use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message};
use codecs::Settings;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

use super::{Begin, Call, CallEnded, CallOrder};
use crate::leg::{Leg, LegCommand, LegEvent, LegReport};
use crate::transcoder::{Transcoder, VideoTranscoder};
use crate::vocabulary::{ActivityLimits, CallId, MediaFormat, Meters, Packet, Side};

/// Makes a transcoder panic as a codec would.
#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

/// Whose codec panics.
#[derive(Message)]
#[rtype(result = "()")]
enum Fall {
    /// That of the sound for the callee.
    Sound,
    /// That of its pictures.
    Pictures,
}

impl Handler<Panic> for Transcoder {
    type Result = ();
    fn handle(&mut self, Panic: Panic, _: &mut Self::Context) {
        panic!("a codec panics: the test wants it");
    }
}

impl Handler<Panic> for VideoTranscoder {
    type Result = ();
    fn handle(&mut self, Panic: Panic, _: &mut Self::Context) {
        panic!("a codec of pictures panics: the test wants it");
    }
}

impl Handler<Fall> for Call {
    type Result = ();
    fn handle(&mut self, fall: Fall, _: &mut Self::Context) {
        match fall {
            Fall::Sound => self.transcoders.running[0].transcoder.do_send(Panic), // the first one is the callee's
            Fall::Pictures => self.pictures.transcoder(Side::Caller).expect("one runs").do_send(Panic),
        }
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

/// An answered call.
struct Talk {
    call: Addr<Call>,
    caller_told: UnboundedReceiver<LegCommand>,
    callee_told: UnboundedReceiver<LegCommand>,
    /// What the callee heard and saw.
    heard: UnboundedReceiver<(Instant, Packet)>,
    ended: UnboundedReceiver<CallEnded>,
    _owner: Addr<Owner>,
}

const NEVER: ActivityLimits =
    ActivityLimits { detecting: false, first: Duration::ZERO, running: Duration::ZERO, hold: Duration::ZERO };
const MS: Duration = Duration::from_millis(1);

impl Talk {
    /// Between a caller and a callee who have agreed on these.
    async fn new(caller: MediaFormat, callee: MediaFormat) -> Self {
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
        let ((tell_caller, caller_told), (tell_callee, callee_told)) =
            (unbounded_channel(), unbounded_channel());
        let ((deaf, _), (hear, heard)) = (unbounded_channel(), unbounded_channel());
        call.do_send(Begin { caller: leg(tell_caller, deaf), callees: vec![leg(tell_callee, hear)] });
        for (side, format) in [(Side::Caller, caller), (Side::Callee, callee)] {
            call.do_send(LegReport { side, branch: 0, event: LegEvent::MediaAgreed(format) });
        }
        call.do_send(LegReport { side: Side::Callee, branch: 0, event: LegEvent::Answered });
        sleep(MS).await;
        Self { call, caller_told, callee_told, heard, ended, _owner: owner }
    }
}
