//! One direction of one call through one codec pair: jitter buffer, decoder, encoder. Lives on the call's lane.
//!
//! Packets drive it and carry the time; its own timer fires only when something waits and no packet comes, and in a silence that the
//! source announced, which is filled with noise.
mod messages;
mod picture_path;
mod video;

use std::fmt;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, SpawnHandle, WeakRecipient};
use bytes::Bytes;
use codecs::payload::comfort_noise;
use codecs::{Chain, CodecError, Frame, Loss, Settings};
use tracing::debug;

use crate::rtp::jitter::{JitterBuffer, Next};
use crate::rtp::packet::RtpPacket;
use crate::vocabulary::{Alive, Meters, Packet, Payload, Playout, Sink};
pub use messages::{Conversion, ExpectLoss, Listen, TranscoderGone};
pub use video::{VideoAsk, VideoNews, VideoSaid, VideoTranscoder};

/// The actor.
pub struct Transcoder {
    conversion: Conversion,
    chain: Chain,
    jitter: JitterBuffer,
    out: Output,
    /// When it rings, and what rings.
    timer: Option<(Instant, SpawnHandle)>,
    /// When the last packet went into the chain, and the beat of the silence behind it.
    fed: Instant,
    silence: Option<SpawnHandle>,
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

/// What a packet of the codec says in the buffer, where its number on the wire means nothing.
const SOUND: u8 = 0;

/// How often noise is made in a silence.
const BEAT: Duration = Duration::from_millis(20);

/// Packets that wait for their turn: over a second of sound, so more would only be late.
const MAILBOX: usize = 64;

impl Transcoder {
    /// A transcoder in front of `sink`. `owner` hears when it is gone, by panic too.
    pub fn new(
        conversion: Conversion,
        encoding: &Settings,
        sink: Sink,
        id: u64,
        owner: WeakRecipient<TranscoderGone>,
        meters: &Meters,
    ) -> Result<Self, CodecError> {
        let Conversion { from, to, ptime_ms } = conversion;
        let ssrc = getrandom::u32().expect("the operating system's generator does not fail after boot");
        Ok(Self {
            conversion,
            chain: Chain::new(from, to, ptime_ms, encoding)?,
            jitter: JitterBuffer::new(from.spec().clock_rate),
            out: Output { sink, ssrc, sequence: 0 },
            timer: None,
            fed: tokio::time::Instant::now().into_std(),
            silence: None,
            id,
            owner,
            meters: meters.clone(),
            _alive: [meters.alive("transcoder"), meters.transcoder(from.spec().name, to.spec().name)],
        })
    }

    /// Decodes what is in order, and comes back when something is due.
    fn drain(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let wait = loop {
            let kind = Payload::Audio(self.conversion.to);
            let out = &mut self.out;
            let mut emit = |frame: Frame<'_>| out.send(kind, frame, now);
            let done = match self.jitter.pop(now) {
                Next::Packet(packet) => {
                    self.fed = now;
                    match packet.payload_type {
                        comfort_noise::PAYLOAD_TYPE => {
                            self.chain.comfort_noise(&packet.payload, packet.timestamp, &mut emit)
                        }
                        _ => {
                            let (payload, spare) = (&packet.payload, self.jitter.surplus());
                            let shed = self.chain.push_or_shed(payload, packet.timestamp, spare, &mut emit);
                            shed.map(|length| self.jitter.shed(length))
                        }
                    }
                }
                Next::Lost { count, next } => {
                    let next = next.as_ref().map(|(payload, timestamp)| (payload.as_ref(), *timestamp));
                    self.chain.conceal(Loss { packets: count, next }, &mut emit)
                }
                Next::Stretch(length) => self.chain.stretch(length, &mut emit),
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
        if self.chain.is_silent() && self.silence.is_none() {
            self.silence = Some(ctx.run_interval(BEAT, Self::idle));
        }
        self.arm(wait, now, ctx);
    }

    /// Comes back in time. A timer that is not needed any more rings in vain once: that costs less than to move it with each packet.
    fn arm(&mut self, until: Option<Instant>, now: Instant, ctx: &mut Context<Self>) {
        let Some(until) = until else { return };
        if let Some((rings, timer)) = self.timer {
            if rings <= until {
                return;
            }
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(until.saturating_duration_since(now), |transcoder, ctx| {
            transcoder.timer = None;
            transcoder.drain(tokio::time::Instant::now().into_std(), ctx);
        });
        self.timer = Some((until, timer));
    }

    /// Noise, as long as the source's silence lasts.
    fn idle(&mut self, ctx: &mut Context<Self>) {
        let now = tokio::time::Instant::now().into_std();
        let (kind, out) = (Payload::Audio(self.conversion.to), &mut self.out);
        let since = now.saturating_duration_since(self.fed);
        if self.chain.idle(since, &mut |frame| out.send(kind, frame, now)).is_err() {
            self.meters.dropped("transcoder_undecodable").inc();
        }
        if let (false, Some(beat)) = (self.chain.is_silent(), self.silence) {
            ctx.cancel_future(beat);
            self.silence = None;
        }
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
        let counts = self.jitter.counts();
        debug!(path = %self.chain, ?counts, "transcoder");
        let lost = counts.lost;
        self.meters.dropped("transcoder_concealed").inc_by(lost);
        self.meters.dropped("sink").inc_by(self.out.sink.refused());
        if let Some(owner) = self.owner.upgrade() {
            let playout = Playout { late: counts.late, concealed: self.chain.concealed() };
            owner.do_send(TranscoderGone { id: self.id, playout });
        }
    }
}

impl Handler<ExpectLoss> for Transcoder {
    type Result = ();
    fn handle(&mut self, ExpectLoss(percent): ExpectLoss, _: &mut Self::Context) {
        self.chain.expect_loss(percent);
    }
}

impl Handler<Listen> for Transcoder {
    type Result = MessageResult<Listen>;
    fn handle(&mut self, Listen: Listen, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.chain.hearing())
    }
}

impl Handler<Packet> for Transcoder {
    type Result = ();
    fn handle(&mut self, packet: Packet, ctx: &mut Self::Context) {
        let now = packet.received;
        let payload_type = match packet.payload_kind {
            Payload::Audio(codec) if codec == self.conversion.from => Some(SOUND),
            Payload::ComfortNoise => Some(comfort_noise::PAYLOAD_TYPE),
            Payload::Audio(_) | Payload::Video(_) | Payload::TelephoneEvent(_) => None,
        };
        if let Some(payload_type) = payload_type {
            let Packet { ssrc, sequence, timestamp, marker, payload, .. } = packet;
            self.jitter.push(now, RtpPacket { marker, payload_type, sequence, timestamp, ssrc, payload });
        } else {
            self.jitter.skip(now, packet.ssrc, packet.sequence);
        }
        self.drain(now, ctx);
    }
}
