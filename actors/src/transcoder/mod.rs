//! One direction of one call through one codec pair: jitter buffer, decoder, encoder. Lives on the call's lane.
//!
//! Packets drive it and carry the time; its own timer fires only when a hole waits and no packet comes.
mod messages;

use std::fmt;
use std::time::Instant;

use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle, WeakRecipient};
use bytes::Bytes;
use codecs::{Chain, CodecError, Frame, Loss, Settings};

use crate::rtp::jitter::{JitterBuffer, Next};
use crate::rtp::packet::RtpPacket;
use crate::vocabulary::{Alive, Meters, Packet, Payload, Sink};
pub use messages::{Conversion, TranscoderGone};

/// The actor.
pub struct Transcoder {
    conversion: Conversion,
    chain: Chain,
    jitter: JitterBuffer,
    out: Output,
    timer: Option<SpawnHandle>,
    id: u64,
    owner: WeakRecipient<TranscoderGone>,
    meters: Meters,
    _alive: [Alive; 2],
}

/// The stream that comes out: numbered by itself, because a loss has been concealed.
struct Output {
    sink: Sink,
    ssrc: u32,
    sequence: u16,
}

/// Packets that wait for their turn: over a second of sound, so more would only be late.
const MAILBOX: usize = 64;

impl Transcoder {
    /// A transcoder in front of `sink`. `owner` hears when it is gone, by panic too.
    pub fn new(
        conversion: Conversion,
        sink: Sink,
        id: u64,
        owner: WeakRecipient<TranscoderGone>,
        meters: &Meters,
    ) -> Result<Self, CodecError> {
        let Conversion { from, to, ptime_ms } = conversion;
        let ssrc = getrandom::u32().expect("the operating system's generator does not fail after boot");
        Ok(Self {
            conversion,
            chain: Chain::new(from, to, ptime_ms, &Settings::default())?,
            jitter: JitterBuffer::new(),
            out: Output { sink, ssrc, sequence: 0 },
            timer: None,
            id,
            owner,
            meters: meters.clone(),
            _alive: [meters.alive("transcoder"), meters.transcoder(from.spec().name, to.spec().name)],
        })
    }

    /// Decodes what is in order, and comes back when a hole must be given up.
    fn drain(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let wait = loop {
            let kind = Payload::Audio(self.conversion.to);
            let out = &mut self.out;
            let mut emit = |frame: Frame<'_>| out.send(kind, frame, now);
            let done = match self.jitter.pop(now) {
                Next::Packet(packet) => self.chain.push(&packet.payload, packet.timestamp, &mut emit),
                Next::Lost { count, next } => {
                    let next = next.as_ref().map(|(payload, timestamp)| (payload.as_ref(), *timestamp));
                    self.chain.conceal(Loss { packets: count, next }, &mut emit)
                }
                Next::Restarted => {
                    self.chain.restart();
                    Ok(())
                }
                Next::Wait(until) => break until,
            };
            if done.is_err() {
                self.meters.dropped("transcoder_undecodable").inc();
            }
        };
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = wait.map(|until| {
            ctx.run_later(until.saturating_duration_since(now), |transcoder, ctx| {
                transcoder.timer = None;
                transcoder.drain(tokio::time::Instant::now().into_std(), ctx);
            })
        });
    }
}

impl Output {
    fn send(&mut self, payload_kind: Payload, frame: Frame<'_>, now: Instant) {
        let packet = Packet {
            payload_kind,
            ssrc: self.ssrc,
            sequence: self.sequence,
            timestamp: frame.timestamp,
            marker: frame.marker,
            payload: Bytes::copy_from_slice(frame.payload),
            received: now,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.sink.send(packet);
    }
}

impl fmt::Display for Transcoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chain.fmt(f)
    }
}

impl Actor for Transcoder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Drop for Transcoder {
    fn drop(&mut self) {
        let lost = self.jitter.counts().lost;
        self.meters.dropped("transcoder_concealed").inc_by(lost);
        self.meters.dropped("sink").inc_by(self.out.sink.refused());
        if let Some(owner) = self.owner.upgrade() {
            owner.do_send(TranscoderGone(self.id));
        }
    }
}

impl Handler<Packet> for Transcoder {
    type Result = ();
    fn handle(&mut self, packet: Packet, ctx: &mut Self::Context) {
        let now = packet.received;
        if packet.payload_kind == Payload::Audio(self.conversion.from) {
            let Packet { ssrc, sequence, timestamp, marker, payload, .. } = packet;
            self.jitter.push(now, RtpPacket { marker, payload_type: 0, sequence, timestamp, ssrc, payload });
        } else {
            self.jitter.skip(now, packet.ssrc, packet.sequence);
        }
        self.drain(now, ctx);
    }
}
