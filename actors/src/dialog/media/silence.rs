//! Silence for a far end that would hear nothing: the page has no microphone, or one that sends no packets.
//!
//! A stream that stops looks dead: to a NAT on the way, which forgets where it leads, and to the timers of phones, PBXs and trunks, which
//! hang up. So from the first agreement on, whenever SDP lets us send and nobody else gives us anything to send, we send silence; the
//! first packet of the other leg replaces it at once. When it is due is pure; the frames are shared by all calls.
use std::time::{Duration, Instant};

use super::RtpSession;
use crate::generator::{FRAME, silence};

/// When the next frame is due.
#[derive(Debug)]
pub(super) struct Silence {
    due: Instant,
    frame: u32,
}

/// How long the other leg may pause until we fill in. Longer than any jitter buffer waits, so that a hole in the network does not put
/// silence between words that come late; far shorter than any timer or NAT. Opus, when it pauses (DTX), sends every 400 ms.
const PATIENCE: Duration = Duration::from_millis(500);

/// Frames made up at once after a pause of the lane: more would only be late.
const MAX_CATCH_UP: u32 = 10;

impl Silence {
    /// Due at once: whoever has something better to say says it within moments.
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now, frame: 0 }
    }

    /// The other leg speaks.
    pub(super) fn spoken(&mut self, now: Instant) {
        self.due = now + PATIENCE;
    }

    /// Whether a frame is due, and its number; call until there is none.
    fn next(&mut self, now: Instant) -> Option<u32> {
        if self.due > now {
            return None;
        }
        if now - self.due > FRAME * MAX_CATCH_UP {
            self.due = now;
        }
        self.due += FRAME;
        self.frame = self.frame.wrapping_add(1);
        Some(self.frame)
    }
}

impl RtpSession {
    /// Sends the silence that is due; when to come back.
    pub fn fill(&mut self, now: Instant) -> Instant {
        while let Some(frame) = self.silence.next(now) {
            let stream = self.wire.stream().filter(|stream| stream.direction.sends());
            let (Some(codec), Some(stream)) = (self.codec, stream) else {
                self.silence.due = now + PATIENCE;
                break;
            };
            // A digit on the wire stands for the sound of its time.
            if let Some(sound) = silence(codec).filter(|_| !self.digits.is_sending()) {
                let payload_type = stream.send.payload_type;
                let stamp = self.wire.sequencer.fill(now, codec.spec().clock_rate / 50);
                self.wire.transmit(&stamp, payload_type, sound.frame(frame));
            }
        }
        self.silence.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_comes_every_20_ms_until_somebody_speaks_and_half_a_second_after() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut silence = Silence::new(start);
        let due = |silence: &mut Silence, ms| std::iter::from_fn(|| silence.next(at(ms))).count();
        assert_eq!(due(&mut silence, 0), 1);
        assert_eq!(due(&mut silence, 19), 0);
        assert_eq!(due(&mut silence, 65), 3);
        silence.spoken(at(70));
        assert_eq!(due(&mut silence, 569), 0);
        assert_eq!(due(&mut silence, 570), 1);
        assert_eq!(due(&mut silence, 610), 2);
        assert_eq!(due(&mut silence, 60_000), 1, "a long pause is not made up");
        assert_eq!(due(&mut silence, 60_019), 0);
        assert_eq!(due(&mut silence, 60_020), 1);
    }
}
