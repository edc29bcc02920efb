//! How like a voice is to what became of it, for codecs that keep its spectrum rather than its waveform.

use codecs::probe;

/// Distance of two spectra in dB, over the telephone band: the root mean square over ten bands, averaged over the frames of 20 ms in which somebody
/// speaks. 0: the same; up to 2: hardly to be told from it; above 8: another sound. `heard` may be late by up to 150 ms.
pub(crate) fn distance_db(said: (&[i16], u32), heard: (&[i16], u32)) -> f64 {
    let late_ms = lag_ms(said, heard);
    let (mut sum, mut frames) = (0.0, 0);
    for ms in (0..said.0.len() * 1000 / said.1 as usize - 200).step_by(20) {
        let (Some(a), Some(b)) = (window(said, ms), window(heard, ms + late_ms)) else { break };
        if probe::level_dbfs(a) < SPEAKS_DBFS {
            continue;
        }
        let squares = BANDS.map(|low| (band_db(a, said.1, low) - band_db(b, heard.1, low)).powi(2));
        sum += (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        frames += 1;
    }
    assert!(frames > 20, "a second of speech");
    sum / f64::from(frames)
}

/// By how much `heard` is late: where the loudness rises and falls alike.
pub(crate) fn lag_ms(said: (&[i16], u32), heard: (&[i16], u32)) -> usize {
    let shape = |sound: (&[i16], u32)| -> Vec<f64> {
        let hop = sound.1 as usize / 1000;
        let power = |part: &[i16]| part.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
        sound.0.chunks_exact(hop).map(|part| power(part).sqrt()).collect()
    };
    let (said, heard) = (shape(said), shape(heard));
    let likeness = |late: usize| said.iter().zip(&heard[late..]).map(|(a, b)| a * b).sum::<f64>();
    (0..150).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap()
}

fn window((pcm, rate): (&[i16], u32), ms: usize) -> Option<&[i16]> {
    let start = ms * rate as usize / 1000;
    pcm.get(start..start + rate as usize / 50)
}

fn band_db(pcm: &[i16], rate: u32, low: f64) -> f64 {
    let bins = (0..6).map(|bin| probe::amplitude_at(pcm, rate, low + f64::from(bin) * 50.0).powi(2));
    10.0 * (bins.sum::<f64>() + FLOOR).log10()
}

/// Lower ends of bands of 300 Hz.
const BANDS: [f64; 10] = [300.0, 600.0, 900.0, 1200.0, 1500.0, 1800.0, 2100.0, 2400.0, 2700.0, 3000.0];
/// Some -60 dBFS in a band: what is below is not heard beside the rest.
const FLOOR: f64 = 1000.0;
const SPEAKS_DBFS: f64 = -35.0;
