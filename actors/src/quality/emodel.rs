//! How good a hop sounds, by the E-model (ITU-T G.107) in its simplified form: R = 93.2 − Idd − Ie,eff, everything else at
//! the defaults of G.107 table 2. Echo is left out: browsers and phones cancel it, and nobody here can measure it.
//!
//! - *Idd* is G.107 (7-27): delay above 100 ms.
//! - *Ie,eff* = Ie + (95 − Ie) · Ppl / (Ppl + Bpl) is (7-29) for losses at random, with Ie and Bpl of G.113 Appendix I.
//! - MOS is G.107 Annex B.
//!
//! The scale is the narrow-band one, which ends at 4.41. A wide-band codec without loss is placed at its top; what it sounds better
//! than G.711 the scale cannot say.
use std::fmt;
use std::time::Duration;

use codecs::CodecId;

/// A mean opinion score, 1 to 4.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mos(u16);

/// What a hop is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hop {
    /// Its codec.
    pub codec: CodecId,
    /// Packets that the decoder misses, 0 to 1.
    pub loss: f64,
    /// From mouth to ear.
    pub delay: Duration,
}

impl Hop {
    /// The score.
    pub fn mos(&self) -> Mos {
        let (ie, bpl) = impairment(self.codec);
        let ppl = self.loss.clamp(0.0, 1.0) * 100.0;
        let effective = ie + (95.0 - ie) * ppl / (ppl + bpl);
        Mos::of_rating(BEST - delay_impairment(self.delay) - effective)
    }
}

impl Mos {
    /// G.107 Annex B.
    fn of_rating(r: f64) -> Self {
        let mos = match r {
            r if r <= 0.0 => 1.0,
            r if r >= 100.0 => 4.5,
            r => 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6,
        };
        Self((mos.max(1.0) * 100.0).round() as u16)
    }

    /// As a number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Mos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.as_f64())
    }
}

/// G.107 (7-27).
fn delay_impairment(delay: Duration) -> f64 {
    let ms = delay.as_secs_f64() * 1000.0;
    if ms <= 100.0 {
        return 0.0;
    }
    let x = (ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

/// Ie and Bpl: G.711 with concealment and G.729A as in G.113 Appendix I. On this scale it knows neither Opus nor G.722, which get the
/// row of G.711, since each lost packet of theirs is concealed too; nor Speex, which gets that of its kin.
fn impairment(codec: CodecId) -> (f64, f64) {
    match codec {
        CodecId::Pcmu | CodecId::Pcma | CodecId::G722 | CodecId::Opus => (0.0, 25.1),
        CodecId::G729 | CodecId::SpeexWide | CodecId::SpeexNarrow => (11.0, 19.0),
    }
}

/// R of G.711 without loss and delay.
const BEST: f64 = 93.2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mos(loss: f64, ms: u64) -> f64 {
        Hop { codec: CodecId::Pcmu, loss, delay: Duration::from_millis(ms) }.mos().as_f64()
    }

    /// Values of G.107 and of what it is known for: 4.41 at the top, 150 ms not heard, 400 ms annoying.
    #[test]
    fn the_score_is_that_of_g_107() {
        let check = |loss, ms, wanted: f64| {
            let found = mos(loss, ms);
            assert!((found - wanted).abs() < 0.006, "{loss} {ms} ms: {found} instead of {wanted}");
        };
        check(0.0, 0, 4.41);
        check(0.0, 100, 4.41);
        check(0.0, 150, 4.41); // Idd = 0.2
        check(0.0, 400, 3.56); // Idd = 24.1
        check(0.01, 0, 4.33); // Ie,eff = 3.6
        check(0.05, 0, 3.92); // Ie,eff = 15.8
        check(0.10, 0, 3.41);
        check(0.20, 0, 2.63);
        check(1.0, 0, 1.18);
    }

    #[test]
    fn ratings_end_at_both_ends() {
        assert_eq!(Mos::of_rating(-5.0).as_f64(), 1.0);
        assert_eq!(Mos::of_rating(3.0).as_f64(), 1.0, "the formula dips below");
        assert_eq!(Mos::of_rating(120.0).to_string(), "4.50");
    }

    proptest! {
        #[test]
        fn more_loss_and_more_delay_never_sound_better(loss in 0.0..1.0f64, more in 0.0..1.0f64, ms in 0u64..2000, later in 0u64..2000) {
            prop_assert!(mos(loss + more, ms + later) <= mos(loss, ms));
            prop_assert!((1.0..=4.41).contains(&mos(loss, ms)));
        }
    }
}
