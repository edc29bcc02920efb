//! Sound made here: frames of one codec, due by the clock. Pure: time is an argument.
use std::time::{Duration, Instant};

use bytes::Bytes;
use codecs::{CodecError, CodecId, Encoder, MAX_PAYLOAD, Settings};

use crate::vocabulary::{Packet, Payload};

/// What there is to hear. Mono, at the rate that the player asks for.
pub trait Sound: Send {
    /// Writes the next samples; `frame` counts frames of 20 ms from the start.
    fn fill(&mut self, frame: u32, pcm: &mut [i16]);
}

/// Where the frames of a player come from.
pub trait Source {
    /// Frame `number`, counted from the start. None, or an empty one: there is nothing to send.
    fn next(&mut self, number: u32) -> Option<Bytes>;
}

/// A sound that is made and encoded while it is played.
pub struct Live<S> {
    sound: S,
    encoder: Box<dyn Encoder>,
    pcm: Vec<i16>,
}

/// Plays frames of a codec. They step exactly, whatever the clock of the lane does.
pub struct Player<F> {
    source: F,
    codec: CodecId,
    started: Instant,
    frames: u32,
    ssrc: u32,
    sequence: u16,
    /// The next packet is the first, or the first after a pause.
    marker: bool,
}

/// Frames of this length; every codec has it and every phone takes it.
pub const FRAME: Duration = Duration::from_millis(20);

/// Frames made up at once after a pause of the lane: more would only be late.
const MAX_CATCH_UP: u32 = 10;

impl<S: Sound> Live<S> {
    /// `sound` makes it at the rate that it is given.
    pub fn new(codec: CodecId, sound: impl FnOnce(u32) -> S) -> Result<Self, CodecError> {
        let spec = codec.spec();
        let rate = *spec.sample_rates.first().expect("every codec has a rate");
        let encoder = (spec.encoder)(rate, &Settings::default())?;
        Ok(Self { sound: sound(rate), encoder, pcm: vec![0; (rate / 50) as usize] })
    }

    /// What it plays.
    pub fn sound(&mut self) -> &mut S {
        &mut self.sound
    }
}

impl<S: Sound> Source for Live<S> {
    fn next(&mut self, number: u32) -> Option<Bytes> {
        self.pcm.fill(0);
        self.sound.fill(number, &mut self.pcm);
        let mut payload = [0; MAX_PAYLOAD];
        let length = self.encoder.encode(&self.pcm, &mut payload).ok()?;
        Some(Bytes::copy_from_slice(&payload[..length]))
    }
}

impl<F: Source> Player<F> {
    /// A player of frames in `codec`; its packets name `ssrc`.
    pub fn new(codec: CodecId, source: F, ssrc: u32, now: Instant) -> Self {
        Self { source, codec, started: now, frames: 0, ssrc, sequence: 0, marker: true }
    }

    /// Where its frames come from.
    pub fn source(&mut self) -> &mut F {
        &mut self.source
    }

    /// The codec that it plays in.
    pub fn codec(&self) -> CodecId {
        self.codec
    }

    /// Starts over, as another source.
    pub fn restart(&mut self, now: Instant) {
        self.started = now;
        self.frames = 0;
        self.ssrc = self.ssrc.wrapping_add(1);
        (self.sequence, self.marker) = (0, true);
    }

    /// The next frame, if its time has come; call until there is none.
    pub fn due(&mut self, now: Instant) -> Option<Packet> {
        let elapsed = now.saturating_duration_since(self.started).as_millis() / FRAME.as_millis();
        let due = u32::try_from(elapsed).unwrap_or(u32::MAX - 1) + 1;
        if due > self.frames.saturating_add(MAX_CATCH_UP) {
            self.frames = due - 1;
        }
        while self.frames < due {
            let frame = self.frames;
            self.frames += 1;
            match self.source.next(frame).filter(|payload| !payload.is_empty()) {
                Some(payload) => return Some(self.packet(frame, payload, now)),
                None => self.marker = true,
            }
        }
        None
    }

    fn packet(&mut self, frame: u32, payload: Bytes, now: Instant) -> Packet {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Packet {
            payload_kind: Payload::Audio(self.codec),
            ssrc: self.ssrc,
            sequence,
            timestamp: frame.wrapping_mul(self.codec.spec().clock_rate / 50),
            marker: std::mem::take(&mut self.marker),
            payload,
            received: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Quiet;

    impl Sound for Quiet {
        fn fill(&mut self, _: u32, _: &mut [i16]) {}
    }

    #[test]
    fn frames_come_due_every_20_ms_from_the_first_millisecond() {
        let start = Instant::now();
        let mut player = Player::new(CodecId::Opus, Live::new(CodecId::Opus, |_| Quiet).unwrap(), 7, start);
        let mut at = |ms| {
            let now = start + Duration::from_millis(ms);
            std::iter::from_fn(|| player.due(now)).map(|packet| packet.timestamp).collect::<Vec<_>>()
        };
        assert_eq!(at(0), [0]);
        assert_eq!(at(19), [0; 0]);
        assert_eq!(at(20), [960]);
        assert_eq!(at(100), [1920, 2880, 3840, 4800]);
        assert_eq!(at(60_000), [3000 * 960], "a long pause is not made up");
    }

    #[test]
    fn frames_without_anything_in_them_are_a_pause_and_not_a_loss() {
        /// Ten frames of sound, ten empty ones, and so on.
        struct Speech;

        impl Source for Speech {
            fn next(&mut self, number: u32) -> Option<Bytes> {
                Some(if (number / 10).is_multiple_of(2) {
                    Bytes::from_static(b"sound")
                } else {
                    Bytes::new()
                })
            }
        }

        let start = Instant::now();
        let mut player = Player::new(CodecId::Pcmu, Speech, 7, start);
        let mut heard = vec![];
        for tick in 0..40 {
            heard.extend(std::iter::from_fn(|| player.due(start + FRAME * tick)));
        }
        let headers = heard.iter().map(|packet| (packet.sequence, packet.timestamp / 160, packet.marker));
        let expected = (0..20).map(|n| (n, u32::from(n) + u32::from(n) / 10 * 10, n % 10 == 0));
        assert_eq!(headers.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}
