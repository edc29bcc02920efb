//! What a caller hears while the far side rings: the tones of some countries, after ITU-T E.180 and its supplement 2.

use crate::tone::Tone;
use std::f64::consts::TAU;

/// The ringing tone of a country.
#[derive(Debug, PartialEq)]
pub struct RingBack {
    /// ISO 3166-1 alpha-2, small.
    country: &'static str,
    /// In Hz; several sound together.
    tones: &'static [f64],
    /// In Hz: the tone swells and fades so often; 0: not.
    beat: f64,
    /// Sound and silence in ms, one after the other, then from the start.
    cadence: &'static [(u32, u32)],
}

/// One row per country, by its code.
static COUNTRIES: [RingBack; 25] = [
    country("at", &[420.0], ONE_FIVE),
    country("au", &[413.0, 438.0], DOUBLE),
    country("be", &[425.0], &[(1000, 3000)]),
    country("br", &[425.0], ONE_FOUR),
    country("ca", &[440.0, 480.0], TWO_FOUR),
    country("ch", &[425.0], ONE_FOUR),
    country("cn", &[450.0], ONE_FOUR),
    country("de", &[425.0], ONE_FOUR),
    country("dk", &[425.0], ONE_FOUR),
    country("es", &[425.0], &[(1500, 3000)]),
    country("fi", &[425.0], ONE_FOUR),
    country("fr", &[440.0], &[(1500, 3500)]),
    country("gb", &[400.0, 450.0], DOUBLE),
    country("ie", &[400.0, 450.0], DOUBLE),
    country("it", &[425.0], ONE_FOUR),
    RingBack { beat: 16.0, ..country("jp", &[400.0], &[(1000, 2000)]) },
    country("nl", &[425.0], ONE_FOUR),
    country("no", &[425.0], ONE_FOUR),
    country("nz", &[400.0, 450.0], DOUBLE),
    country("pl", &[425.0], ONE_FOUR),
    country("pt", &[425.0], ONE_FIVE),
    country("ru", &[425.0], &[(800, 3200)]),
    country("se", &[425.0], ONE_FIVE),
    country("uk", &[400.0, 450.0], DOUBLE), // as people say; ISO's code is gb
    country("us", &[440.0, 480.0], TWO_FOUR),
];

const ONE_FOUR: &[(u32, u32)] = &[(1000, 4000)];
const ONE_FIVE: &[(u32, u32)] = &[(1000, 5000)];
const TWO_FOUR: &[(u32, u32)] = &[(2000, 4000)];
const DOUBLE: &[(u32, u32)] = &[(400, 200), (400, 2000)];

/// Peak of all tones together, against full scale: as loud as a network's, not as loud as a voice nearby.
const LEVEL_DBFS: f64 = -20.0;
/// The tone rises and falls within so many ms, so that it does not click.
const EDGE_MS: u32 = 5;

const fn country(country: &'static str, tones: &'static [f64], cadence: &'static [(u32, u32)]) -> RingBack {
    RingBack { country, tones, beat: 0.0, cadence }
}

impl RingBack {
    /// The tone of a country, by its code.
    pub fn of(country: &str) -> Option<&'static Self> {
        COUNTRIES.iter().find(|row| row.country.eq_ignore_ascii_case(country))
    }

    /// The codes of all countries that are known.
    pub fn countries() -> impl Iterator<Item = &'static str> {
        COUNTRIES.iter().map(|row| row.country)
    }

    /// One round of it at `rate` samples a second.
    pub fn round(&self, rate: u32) -> Vec<i16> {
        let samples = |ms: u32| (rate / 1000 * ms) as usize;
        let each = LEVEL_DBFS - 20.0 * (self.tones.len() as f64).log10();
        let mut pcm = vec![];
        for (on, off) in self.cadence {
            let start = pcm.len();
            pcm.resize(start + samples(*on), 0);
            let burst = &mut pcm[start..];
            for hz in self.tones {
                Tone::new(rate, *hz, each).add(burst);
            }
            self.shape(burst, rate, samples(EDGE_MS));
            pcm.resize(start + samples(on + off), 0);
        }
        pcm
    }

    /// Swells, if the country's tone does, and soft edges.
    fn shape(&self, burst: &mut [i16], rate: u32, edge: usize) {
        let length = burst.len();
        for (place, sample) in burst.iter_mut().enumerate() {
            let nearest = place.min(length - 1 - place);
            let mut gain = (nearest as f64 / edge as f64).min(1.0);
            if self.beat > 0.0 {
                gain *= 0.55 - 0.45 * (TAU * self.beat * place as f64 / f64::from(rate)).cos();
            }
            *sample = (f64::from(*sample) * gain) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{dominant_hz, largest_step, level_dbfs, step_of_tone, tone_dbfs};

    const RATE: u32 = 8_000;

    /// Length of sound and silence in ms, one after the other, in blocks of 5 ms.
    fn cadence(pcm: &[i16]) -> Vec<u32> {
        let mut runs: Vec<(bool, u32)> = vec![];
        for block in pcm.chunks_exact(RATE as usize / 200) {
            let loud = level_dbfs(block) > -60.0;
            match runs.last_mut() {
                Some((last, ms)) if *last == loud => *ms += 5,
                _ => runs.push((loud, 5)),
            }
        }
        runs.into_iter().map(|(_, ms)| ms).collect()
    }

    #[test]
    fn every_country_has_its_frequencies_and_its_cadence() {
        for row in &COUNTRIES {
            let pcm = row.round(RATE);
            let expected: Vec<u32> = row.cadence.iter().flat_map(|(on, off)| [*on, *off]).collect();
            assert_eq!(cadence(&pcm), expected, "{}", row.country);
            assert_eq!(pcm.len() % 160, 0, "{}: whole frames", row.country);
            let burst = &pcm[..(row.cadence[0].0 * RATE / 1000) as usize];
            let loudest = dominant_hz(burst, RATE).unwrap();
            assert!(row.tones.iter().any(|hz| (hz - loudest).abs() < 2.0), "{}: {loudest}", row.country);
            for hz in row.tones {
                assert!(tone_dbfs(burst, RATE, *hz) > -28.0, "{}: {hz}", row.country);
            }
            let peak = burst.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert!((2900..3290).contains(&peak), "{}: {peak}", row.country);
            let steepest: i32 = row.tones.iter().map(|hz| step_of_tone(RATE, *hz, LEVEL_DBFS)).max().unwrap();
            assert!(largest_step(&pcm) <= steepest + 2, "{}: a click", row.country);
        }
    }

    #[test]
    fn the_well_known_ones_are_what_one_knows() {
        let ms = |country: &str| cadence(&RingBack::of(country).unwrap().round(RATE));
        assert_eq!(ms("us"), [2000, 4000]);
        assert_eq!(ms("UK"), [400, 200, 400, 2000]);
        assert_eq!(ms("gb"), ms("uk"));
        assert_eq!(ms("de"), [1000, 4000]);
        assert_eq!(ms("fr"), [1500, 3500]);
        assert_eq!(ms("ru"), [800, 3200]);
        assert_eq!(RingBack::of("us").unwrap().tones, [440.0, 480.0]);
        assert_eq!(RingBack::of("xx"), None);
    }

    #[test]
    fn japans_swells_sixteen_times_a_second() {
        let pcm = RingBack::of("jp").unwrap().round(RATE);
        let burst = &pcm[..RATE as usize];
        for side in [384.0, 416.0] {
            let apart = tone_dbfs(burst, RATE, 400.0) - tone_dbfs(burst, RATE, side);
            assert!((6.5..9.0).contains(&apart), "{side}: {apart}");
        }
    }
}
