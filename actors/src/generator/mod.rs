//! [`stand_in`]: pictures for a leg that gets none from the other. The rest: sound for one that gets none, music on hold, the tone of a far side that rings. Paced by the clock, lives on the
//! call's lane, and lives as long as its owner holds it. What is played is encoded once for all calls; here it only gets its time.
mod looped;
mod music;
mod player;
mod sounds;
pub mod stand_in;

use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WrapFuture};
use codecs::CodecId;
use tracing::warn;

use crate::vocabulary::{Alive, Meters, Sink};
pub use looped::{Looped, Repeated, silence};
pub use player::{FRAME, Live, Player, Sound, Source};
pub use sounds::Sounds;

/// The actor.
pub struct Generator {
    sound: Arc<Repeated>,
    codec: CodecId,
    ssrc: u32,
    /// None until the sound is encoded.
    player: Option<Player<Looped>>,
    sink: Sink,
    _alive: Alive,
}

/// A generator that plays until this is dropped: its own clock would keep it going for ever.
pub struct Playing {
    generator: Addr<Generator>,
    ssrc: u32,
}

/// Ends a generator.
#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Generator {
    /// Starts `sound` in `codec` for `sink`.
    pub fn play(sound: Arc<Repeated>, codec: CodecId, sink: Sink, meters: &Meters) -> Playing {
        let ssrc = getrandom::u32().expect("the operating system's generator does not fail after boot");
        let generator =
            Self { sound, codec, ssrc, player: None, sink, _alive: meters.alive("generator") }.start();
        Playing { generator, ssrc }
    }

    fn begin(&mut self, sound: Option<&Looped>, ctx: &mut Context<Self>) {
        let Some(sound) = sound.cloned() else {
            return warn!(codec = %self.codec, "a sound could not be encoded");
        };
        self.player = Some(Player::new(self.codec, sound, self.ssrc, now()));
        self.send();
        ctx.run_interval(FRAME, |generator, _| generator.send());
    }

    fn send(&mut self) {
        while let Some(packet) = self.player.as_mut().and_then(|player| player.due(now())) {
            self.sink.send(packet);
        }
    }
}

impl Playing {
    /// The source that its packets name.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }
}

/// The clock that tests can stop.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.generator.do_send(Stop);
    }
}

impl Handler<Stop> for Generator {
    type Result = ();
    fn handle(&mut self, Stop: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Actor for Generator {
    type Context = Context<Self>;

    /// The first call that hears a sound in a codec has it encoded, away from the lane.
    fn started(&mut self, ctx: &mut Self::Context) {
        let (sound, codec) = (self.sound.clone(), self.codec);
        if let Some(ready) = sound.ready(codec) {
            return self.begin(Some(ready), ctx);
        }
        let encoding = tokio::task::spawn_blocking(move || sound.encoded(codec).cloned());
        ctx.spawn(encoding.into_actor(self).map(|encoded, generator, ctx| {
            generator.begin(encoded.ok().flatten().as_ref(), ctx);
        }));
    }
}
