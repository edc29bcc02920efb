//! Concealment for codecs that have none of their own: repeat the last pitch period, fade it out, fade back in.
//!
//! The idea is that of G.711 Appendix I (pitch 66–200 Hz, full level for 10 ms, silent after 60 ms); unlike it, this one
//! delays nothing: the seam at the start of a loss is smoothed on the concealed side only.

/// The recent past of one stream, and the waveform that stands in for what is lost.
pub struct Concealer {
    /// What was heard or made up, newest last.
    history: Vec<i16>,
    /// One pitch period, shaped so that its end runs into its start.
    cycle: Vec<f32>,
    /// Length of the period in use.
    period: usize,
    /// Samples made up since the last good one.
    made_up: usize,
    /// Step between the last good sample and the cycle, to be faded out.
    seam: f32,
    shortest: usize,
    longest: usize,
    template: usize,
    full_level: usize,
    silent_after: usize,
    rejoin: usize,
}

impl Concealer {
    /// For samples at `rate` Hz; takes 35 ms of memory.
    pub fn new(rate: u32) -> Self {
        let ms = |thousandths: usize| rate as usize * thousandths / 1_000_000;
        let (longest, template) = (ms(15_000), ms(20_000));
        Self {
            history: vec![0; longest + template],
            cycle: vec![0.0; longest],
            period: 0,
            made_up: 0,
            seam: 0.0,
            shortest: ms(5_000),
            longest,
            template,
            full_level: ms(10_000),
            silent_after: ms(60_000),
            rejoin: ms(5_000),
        }
    }

    /// Good samples came. If they follow a loss, their first 5 ms are blended with what was made up.
    pub fn heard(&mut self, pcm: &mut [i16]) {
        if self.made_up > 0 {
            let length = self.rejoin.min(pcm.len());
            for (place, sample) in pcm.iter_mut().take(length).enumerate() {
                let good = (place + 1) as f32 / (length + 1) as f32;
                *sample = (f32::from(*sample) * good + self.next_made_up() * (1.0 - good)).round() as i16;
            }
            self.made_up = 0;
        }
        self.remember(pcm);
    }

    /// Fills `pcm` with a continuation of what was heard.
    pub fn conceal(&mut self, pcm: &mut [i16]) {
        if self.made_up == 0 {
            self.find_cycle();
        }
        for sample in pcm.iter_mut() {
            *sample = self.next_made_up().round() as i16; // `as` saturates
        }
        self.remember(pcm);
    }

    fn next_made_up(&mut self) -> f32 {
        let place = self.made_up;
        self.made_up += 1;
        if self.period == 0 || place >= self.silent_after {
            return 0.0;
        }
        let fading = (self.silent_after - self.full_level) as f32;
        let level = 1.0 - place.saturating_sub(self.full_level) as f32 / fading;
        let quarter = self.period / 4;
        let seam = self.seam * quarter.saturating_sub(place) as f32 / quarter as f32;
        (self.cycle[place % self.period] + seam) * level
    }

    /// Takes the last period of the history as the cycle; its last quarter glides towards what came before its start.
    fn find_cycle(&mut self) {
        let Some(period) = self.find_period() else {
            self.period = 0;
            return;
        };
        let end = self.history.len();
        let quarter = period / 4;
        let at = |index: usize| f32::from(self.history[index]);
        for place in 0..period {
            let glide = (place + 1 + quarter).saturating_sub(period) as f32 / quarter as f32;
            let earlier = if glide > 0.0 { at(end - 2 * period + place) } else { 0.0 };
            self.cycle[place] = at(end - period + place) * (1.0 - glide) + earlier * glide;
        }
        self.seam = at(end - 1) - self.cycle[period - 1];
        self.period = period;
    }

    /// The lag at which the last 20 ms are most like what stood before; none if there was only silence.
    fn find_period(&self) -> Option<usize> {
        let end = self.history.len();
        let recent = &self.history[end - self.template..];
        if recent.iter().all(|sample| sample.unsigned_abs() < SILENCE) {
            return None;
        }
        let likeness = |lag: usize| {
            let earlier = &self.history[end - self.template - lag..end - lag];
            let (mut product, mut energy) = (0i64, 1i64);
            for (now, then) in recent.iter().zip(earlier) {
                product += i64::from(*now) * i64::from(*then);
                energy += i64::from(*then) * i64::from(*then);
            }
            product as f64 / (energy as f64).sqrt()
        };
        (self.shortest..=self.longest).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b)))
    }

    fn remember(&mut self, pcm: &[i16]) {
        let keep = self.history.len();
        if pcm.len() >= keep {
            self.history.copy_from_slice(&pcm[pcm.len() - keep..]);
        } else {
            self.history.copy_within(pcm.len().., 0);
            self.history[keep - pcm.len()..].copy_from_slice(pcm);
        }
    }
}

/// Below this (about -72 dBFS) there is nothing worth repeating.
const SILENCE: u16 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe;
    use crate::tone::Tone;

    const RATE: u32 = 8_000;

    /// One second of a tone in 20 ms frames; `lost` says which frames never come.
    fn concealed(hz: f64, lost: impl Fn(usize) -> bool) -> Vec<i16> {
        let mut tone = Tone::new(RATE, hz, -10.0);
        let mut concealer = Concealer::new(RATE);
        let mut heard = Vec::new();
        for place in 0..50 {
            let mut frame = [0i16; 160];
            tone.fill(&mut frame);
            if lost(place) {
                concealer.conceal(&mut frame);
            } else {
                concealer.heard(&mut frame);
            }
            heard.extend_from_slice(&frame);
        }
        heard
    }

    #[test]
    fn a_lost_frame_of_a_tone_leaves_no_click_and_no_hole() {
        for hz in [200.0, 440.0, 1000.0] {
            let whole = probe::largest_step(&concealed(hz, |_| false));
            let heard = concealed(hz, |place| place % 10 == 5);
            assert!(probe::largest_step(&heard) < whole * 5 / 4, "{hz} Hz: click");
            assert!(probe::longest_quiet_ms(&heard, RATE, -20.0) == 0, "{hz} Hz: hole");
            assert!(
                probe::snr_db(&heard, RATE, hz) > 12.0,
                "{hz} Hz: snr {}",
                probe::snr_db(&heard, RATE, hz)
            );
        }
    }

    #[test]
    fn a_long_loss_fades_to_silence_within_60_ms() {
        let heard = concealed(440.0, |place| place >= 25);
        let loss = &heard[25 * 160..];
        assert!(probe::level_dbfs(&loss[..80]) > -12.0);
        assert!(loss[480..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn silence_is_concealed_by_silence() {
        let mut concealer = Concealer::new(RATE);
        let mut frame = [1i16; 160];
        concealer.conceal(&mut frame);
        assert!(frame.iter().all(|sample| *sample == 0));
    }

    #[test]
    fn the_loudest_noise_neither_overflows_nor_panics() {
        let mut concealer = Concealer::new(RATE);
        let mut noise: Vec<i16> = (0..2000u32)
            .map(|n| if n.wrapping_mul(2_654_435_761) >> 31 == 0 { i16::MIN } else { i16::MAX })
            .collect();
        concealer.heard(&mut noise);
        let mut frame = [0i16; 700];
        concealer.conceal(&mut frame);
        concealer.heard(&mut noise);
        concealer.conceal(&mut frame[..1]);
        concealer.heard(&mut noise[..3]);
    }
}
