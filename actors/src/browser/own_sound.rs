//! A sound of our own for a page that waits: it goes on until anybody else is heard.
use std::sync::Arc;

use actix::{AsyncContext, Context};

use super::BrowserLeg;
use crate::generator::{Generator, Playing, Repeated};
use crate::vocabulary::{AudioFormat, Meters, Packet, Sink};

/// The sound, and whose packets it sends.
pub(super) struct OwnSound {
    meters: Meters,
    playing: Option<Playing>,
    /// Of the last one: some of its packets may still wait in the mailbox when it has stopped.
    ssrc: Option<u32>,
}

impl OwnSound {
    /// Nothing to hear.
    pub(super) fn new(meters: &Meters) -> Self {
        Self { meters: meters.clone(), playing: None, ssrc: None }
    }

    /// Begins; a page without a codec yet hears nothing.
    pub(super) fn play(
        &mut self,
        sound: Option<Arc<Repeated>>,
        format: Option<AudioFormat>,
        ctx: &mut Context<BrowserLeg>,
    ) {
        let (Some(sound), Some(format)) = (sound, format) else { return };
        let sink = Sink::new(&ctx.address().recipient());
        let playing = Generator::play(sound, format.codec, sink, &self.meters);
        self.ssrc = Some(playing.ssrc());
        self.playing = Some(playing);
    }

    /// Ends.
    pub(super) fn stop(&mut self) {
        self.playing = None;
    }

    /// Whether a packet goes on to the page; one of somebody else ends our own sound. What the page cannot hear yet is not kept for it.
    pub(super) fn lets_pass(&mut self, packet: &Packet, connected: bool) -> bool {
        if self.ssrc != Some(packet.ssrc) {
            self.stop();
            return true;
        }
        connected && self.playing.is_some()
    }
}
