//! Sound for a leg that gets none from the other: music on hold. Paced by the clock, lives on the call's lane, and lives as long as
//! its call holds it.
mod looped;
mod music;
mod player;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use codecs::{CodecError, CodecId};

use crate::vocabulary::{Alive, Meters, Sink};
pub use looped::{Looped, Repeated, silence};
pub use music::HoldMusic;
pub use player::{FRAME, Player, Sound};

/// The actor.
pub struct Generator {
    player: Player<HoldMusic>,
    sink: Sink,
    _alive: Alive,
}

/// A generator that plays until this is dropped: its own clock would keep it going for ever.
pub struct Playing(Addr<Generator>);

/// Ends a generator.
#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Generator {
    /// Starts music in `codec` for `sink`.
    pub fn hold_music(codec: CodecId, sink: Sink, meters: &Meters) -> Result<Playing, CodecError> {
        let player = Player::new(codec, now(), HoldMusic::new)?;
        Ok(Playing(Self { player, sink, _alive: meters.alive("generator") }.start()))
    }

    fn play(&mut self) {
        while let Some(packet) = self.player.due(now()) {
            self.sink.send(packet);
        }
    }
}

/// The clock that tests can stop.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.0.do_send(Stop);
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

    fn started(&mut self, ctx: &mut Self::Context) {
        self.play();
        ctx.run_interval(FRAME, |generator, _| generator.play());
    }
}
