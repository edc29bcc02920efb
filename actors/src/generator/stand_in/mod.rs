//! A still picture ("Anna, audio only") in place of pictures that the other side of a call does not send.
//!
//! It stands at the outgoing end of a leg, where all that its far end sees comes by: [`state`] decides, this file carries out. The pictures
//! themselves come from a [`StillGenerator`], through the leg's mailbox as those of anybody else.
mod state;
mod still;

use std::time::Instant;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle,
    WrapFuture,
};
use codecs::video::StillPicture;
use std::sync::Arc;
use tracing::warn;

use crate::vocabulary::{Alive, Meters, Packet, Sink};
use state::State;
pub use state::{Action, Event, STOPPED};
pub use still::Words;
use still::{STEP, StillStream};

/// What a leg keeps for it.
#[derive(Default)]
pub struct StandIn {
    state: State,
    words: Option<Words>,
    shown: Option<Shown>,
    /// The last one's: some of its packets may still be in the mailbox when it has ended.
    ssrc: Option<u32>,
    timer: Option<(Instant, SpawnHandle)>,
}

/// A leg whose far end may see still pictures.
pub trait Stage: Actor<Context = Context<Self>> + Handler<Packet> {
    /// What it keeps for them.
    fn stand_in(&mut self) -> &mut StandIn;
    /// Where it counts.
    fn meters(&self) -> &Meters;
}

/// The far end can see pictures, and shall see these words when nothing has come for `delay`.
pub fn open<L: Stage>(leg: &mut L, words: Words, delay: std::time::Duration, ctx: &mut Context<L>) {
    let stand_in = leg.stand_in();
    if stand_in.words.as_ref() != Some(&words) {
        shut(leg, ctx);
    }
    leg.stand_in().words = Some(words);
    step(leg, Event::Opened(delay), ctx);
}

/// It cannot, or shall not.
pub fn shut<L: Stage>(leg: &mut L, ctx: &mut Context<L>) {
    leg.stand_in().words = None;
    step(leg, Event::Shut, ctx);
}

/// What to do with a packet that is on its way to the far end; `key`: whether a decoder can begin with it.
pub fn judge<L: Stage>(leg: &mut L, packet: &Packet, key: bool, ctx: &mut Context<L>) -> Action {
    let stand_in = leg.stand_in();
    if stand_in.ssrc == Some(packet.ssrc) {
        return if stand_in.shown.is_some() { Action::Pass } else { Action::Drop };
    }
    step(leg, Event::Came { key }, ctx)
}

/// Something happened; says what is left to do.
pub fn step<L: Stage>(leg: &mut L, event: Event, ctx: &mut Context<L>) -> Action {
    let action = leg.stand_in().state.on(event, now());
    if let (Action::Renew, Some(shown)) = (action, &leg.stand_in().shown) {
        shown.generator.do_send(Renew);
    }
    match (leg.stand_in().state.shows(), leg.stand_in().shown.is_some()) {
        (true, false) => show(leg, ctx),
        (false, true) => leg.stand_in().shown = None,
        _ => {}
    }
    arm(leg, ctx);
    action
}

fn show<L: Stage>(leg: &mut L, ctx: &mut Context<L>) {
    let Some(words) = leg.stand_in().words.clone() else { return };
    let ssrc = getrandom::u32().expect("the operating system's generator does not fail after boot");
    let sink = Sink::new(&ctx.address().recipient());
    let alive = leg.meters().alive("still_generator");
    let generator = StillGenerator { words, ssrc, stream: None, sink, _alive: alive }.start();
    let stand_in = leg.stand_in();
    (stand_in.shown, stand_in.ssrc) = (Some(Shown { generator }), Some(ssrc));
}

/// One timer, which is early at worst: packets put the time off, and do not touch it.
fn arm<L: Stage>(leg: &mut L, ctx: &mut Context<L>) {
    let Some(at) = leg.stand_in().state.deadline() else { return };
    if let Some((armed, timer)) = leg.stand_in().timer.take() {
        if armed <= at {
            leg.stand_in().timer = Some((armed, timer));
            return;
        }
        ctx.cancel_future(timer);
    }
    let timer = ctx.run_later(at.saturating_duration_since(now()), |leg, ctx| {
        leg.stand_in().timer = None;
        step(leg, Event::Due, ctx);
    });
    leg.stand_in().timer = Some((at, timer));
}

/// The clock that tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A still picture that is sent until this is dropped.
struct Shown {
    generator: Addr<StillGenerator>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.generator.do_send(Stop);
    }
}

/// The actor: sends a still picture by the clock, on its leg's lane.
struct StillGenerator {
    words: Words,
    ssrc: u32,
    /// None until the picture is made.
    stream: Option<StillStream>,
    sink: Sink,
    _alive: Alive,
}

/// Begin anew: somebody needs a key picture.
#[derive(Message)]
#[rtype(result = "()")]
struct Renew;

/// End.
#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl StillGenerator {
    fn begin(&mut self, still: Option<Arc<StillPicture>>, ctx: &mut Context<Self>) {
        let Some(still) = still else {
            return warn!(format = ?self.words.format, "a still picture could not be made");
        };
        self.stream = Some(StillStream::new(still, &self.words.format, self.ssrc, now()));
        self.send();
        ctx.run_interval(STEP, |generator, _| generator.send());
    }

    fn send(&mut self) {
        let sink = &mut self.sink;
        if let Some(stream) = &mut self.stream {
            stream.due(now(), &mut |packet| {
                sink.send(packet);
            });
        }
    }
}

impl Actor for StillGenerator {
    type Context = Context<Self>;

    /// Drawn and encoded away from the lane, unless somebody has seen the same before.
    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(ready) = self.words.ready() {
            return self.begin(Some(ready), ctx);
        }
        let words = self.words.clone();
        let made = tokio::task::spawn_blocking(move || words.picture());
        ctx.spawn(
            made.into_actor(self).map(|made, generator, ctx| generator.begin(made.ok().flatten(), ctx)),
        );
    }
}

impl Handler<Renew> for StillGenerator {
    type Result = ();
    fn handle(&mut self, Renew: Renew, _: &mut Self::Context) {
        if let Some(stream) = &mut self.stream {
            stream.renew();
        }
    }
}

impl Handler<Stop> for StillGenerator {
    type Result = ();
    fn handle(&mut self, Stop: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
