//! A silence that the source announces: its noise stands in until the next packet, by the clock.

use super::{Chain, Frame, MAX_CONCEALED_MS};
use crate::error::CodecError;
use crate::payload::comfort_noise::ComfortNoise;
use std::time::Duration;

impl Chain {
    /// Takes word of the source that it is silent (RFC 3389): noise of the payload's level stands in until its next packet.
    pub fn comfort_noise(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        out: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), CodecError> {
        self.keep_time(timestamp, out)?;
        self.noise = Some(ComfortNoise::decode(payload)?);
        self.expected = Some(timestamp);
        Ok(())
    }

    /// Whether the source has said that it is silent: [`idle`](Self::idle) is due until its next packet.
    pub fn is_silent(&self) -> bool {
        self.noise.is_some() || self.decoder.is_silent()
    }

    /// Makes the noise of an announced silence, when nothing has come for `since`. Stays behind by [`RESERVE_MS`], so that the next packet is
    /// not too early; what is left then is made when it comes.
    pub fn idle(&mut self, since: Duration, out: &mut dyn FnMut(Frame<'_>)) -> Result<(), CodecError> {
        let (Some(expected), true) = (self.expected, self.is_silent()) else { return Ok(()) };
        let (step, rate) = (self.decoder.rate() as usize / 50, u128::from(self.decoder.rate()));
        let due = since.saturating_sub(Duration::from_millis(RESERVE_MS)).as_micros() * rate / 1_000_000;
        let due =
            usize::try_from(due).unwrap_or(usize::MAX).saturating_sub(self.idled).min(step * MOST_STEPS);
        let due = due / step * step;
        self.idled += due;
        self.expected = Some(expected.wrapping_add(self.ticks(due)));
        self.make_up(due, out)
    }

    /// Keeps time in a silence that was announced, when the next packet comes: it is made whole to the sample, and none of it twice.
    pub(super) fn keep_silence(
        &mut self,
        ahead: i32,
        idled: usize,
        out: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), CodecError> {
        if ahead < 0 {
            self.overdrawn += self.samples(ahead.saturating_neg()).min(idled);
            return Ok(());
        }
        let missing = self.samples(ahead);
        let paid = missing.min(self.overdrawn);
        self.overdrawn -= paid;
        let missing = missing - paid;
        if missing > self.decoder.rate() as usize / 1000 * MAX_CONCEALED_MS as usize {
            return self.skip(ahead, out); // nobody called `idle`
        }
        let whole = missing / self.grain() * self.grain();
        self.make_up(whole, out)?;
        self.take_in(out, |_, pcm| {
            pcm[..missing - whole].fill(0);
            Ok(missing - whole)
        })
        .map(drop)
    }
}

/// Noise of an announced silence stays behind the clock by this: as much as packets are usually late.
const RESERVE_MS: u64 = 40;

/// Steps of 20 ms that a call of `idle` makes up for at most.
const MOST_STEPS: usize = 10;
