//! Sound files: WAV with 16-bit PCM, mono or stereo, mixed down to mono. Pure: bytes in, samples out.

use crate::error::CodecError;
use crate::resample::Resampler;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A sound from a file. Cheap to clone: the samples are shared.
#[derive(Clone, PartialEq, Eq)]
pub struct Wav {
    rate: u32,
    /// Mono.
    samples: Arc<[i16]>,
}

/// Why bytes are no sound of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// No RIFF header of a WAVE file.
    #[error("is no WAV file")]
    NoWav,
    /// A chunk is missing, or longer than the file.
    #[error("is a WAV file without a whole {0:?} chunk")]
    Chunk(&'static str),
    /// Compressed, or floating point.
    #[error("must be PCM; its format is number {0}")]
    Format(u16),
    /// Other samples than 16 bit.
    #[error("must have samples of 16 bit, not of {0}")]
    Bits(u16),
    /// Neither mono nor stereo.
    #[error("must be mono or stereo; it has {0} channels")]
    Channels(u16),
    /// Too slow or too fast.
    #[error("must have between {low} and {high} samples a second, not {0}", low = RATES.start(), high = RATES.end())]
    Rate(u32),
    /// Nothing to hear.
    #[error("holds less than a second of sound")]
    Short,
    /// Too long.
    #[error("must not be longer than {MAX_SECONDS} s; it has {0}")]
    Long(usize),
}

/// Sampling rates that we take.
const RATES: RangeInclusive<u32> = 8_000..=48_000;
/// Longest sound: 29 MB at 48 kHz, and some 3 MB more for each codec that plays it.
const MAX_SECONDS: usize = 300;
/// Largest file that can hold a sound of ours: stereo at 48 kHz, with a megabyte for what else a file says.
pub const MAX_FILE: u64 = 4 * 48_000 * MAX_SECONDS as u64 + (1 << 20);

/// Plain PCM, and the form that says so further down.
const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;

impl Wav {
    /// Reads a whole file.
    pub fn read(bytes: &[u8]) -> Result<Self, WavError> {
        let Some((head, chunks)) = bytes.split_first_chunk::<12>() else { return Err(WavError::NoWav) };
        if !head.starts_with(b"RIFF") || !head.ends_with(b"WAVE") {
            return Err(WavError::NoWav);
        }
        let mut format = None;
        for (name, content) in Chunks(chunks) {
            match name {
                b"fmt " => format = Some(content),
                // Whoever writes to a pipe cannot know the length: it says too much, and the file ends where it ends.
                b"data" => return Self::of(format.ok_or(WavError::Chunk("fmt "))?, content),
                _ => {}
            }
        }
        Err(WavError::Chunk(if format.is_none() { "fmt " } else { "data" }))
    }

    fn of(format: &[u8], data: &[u8]) -> Result<Self, WavError> {
        let short = |at: usize| Some(u16::from_le_bytes([*format.get(at)?, *format.get(at + 1)?]));
        let short = |at| short(at).ok_or(WavError::Chunk("fmt "));
        let (channels, bits) = (short(2)?, short(14)?);
        let rate = u32::from(short(4)?) | u32::from(short(6)?) << 16;
        let kind = if short(0)? == EXTENSIBLE { short(24)? } else { short(0)? };
        if kind != PCM {
            return Err(WavError::Format(kind));
        }
        if bits != 16 {
            return Err(WavError::Bits(bits));
        }
        if !(1..=2).contains(&channels) {
            return Err(WavError::Channels(channels));
        }
        if !RATES.contains(&rate) {
            return Err(WavError::Rate(rate));
        }
        let seconds = data.len() / (usize::from(channels) * 2 * rate as usize);
        match seconds {
            0 => return Err(WavError::Short),
            1..MAX_SECONDS => {}
            _ => return Err(WavError::Long(seconds)),
        }
        let sample = |bytes: &[u8]| i32::from(i16::from_le_bytes([bytes[0], bytes[1]]));
        let frames = data.chunks_exact(usize::from(channels) * 2);
        let mixed = frames.map(|frame| match channels {
            1 => sample(frame) as i16,
            _ => ((sample(frame) + sample(&frame[2..])) / 2) as i16,
        });
        Ok(Self { rate, samples: mixed.collect() })
    }

    /// All of it at another sampling rate.
    pub fn at_rate(&self, rate: u32) -> Result<Vec<i16>, CodecError> {
        if rate == self.rate {
            return Ok(self.samples.to_vec());
        }
        let mut resampler = Resampler::new(self.rate, rate)?;
        let mut out = Vec::with_capacity(self.samples.len() / self.rate as usize * rate as usize);
        for part in self.samples.chunks(self.rate as usize / 50) {
            let start = out.len();
            out.resize(start + resampler.room_for(part.len()), 0);
            let written = resampler.resample(part, &mut out[start..])?;
            out.truncate(start + written);
        }
        Ok(out)
    }
}

impl fmt::Debug for Wav {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wav({} samples at {} Hz)", self.samples.len(), self.rate)
    }
}

/// Name and content of what follows each other in a RIFF file; a last one that is cut short is given as far as it goes.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let content = &rest[..length.min(rest.len())];
        self.0 = rest.get(length.saturating_add(length % 2)..).unwrap_or_default(); // padded to even lengths
        Some((name, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe;
    use crate::tone::Tone;
    use proptest::prelude::*;

    fn file(kind: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend([kind.to_le_bytes(), channels.to_le_bytes()].concat());
        bytes.extend([rate.to_le_bytes(), [0; 4]].concat());
        bytes.extend([[0; 2], bits.to_le_bytes()].concat());
        bytes.extend([&b"data"[..], &(data.len() as u32).to_le_bytes(), data].concat());
        bytes
    }

    fn tone(rate: u32, hz: f64, seconds: u32) -> Vec<i16> {
        let mut pcm = vec![0; (rate * seconds) as usize];
        Tone::new(rate, hz, -12.0).fill(&mut pcm);
        pcm
    }

    fn little_endian(pcm: &[i16]) -> Vec<u8> {
        pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    #[test]
    fn a_file_keeps_its_tone_at_every_rate() {
        for from in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000] {
            let wav = Wav::read(&file(PCM, 1, from, 16, &little_endian(&tone(from, 1000.0, 1)))).unwrap();
            for to in [8_000, 48_000] {
                let heard = wav.at_rate(to).unwrap();
                let seconds = heard.len() as f64 / f64::from(to);
                assert!((seconds - 1.0).abs() < 0.005, "{from} to {to}: {seconds} s");
                let middle = &heard[to as usize / 4..to as usize / 2];
                assert!((probe::dominant_hz(middle, to).unwrap() - 1000.0).abs() < 1.0, "{from} to {to}");
                assert!((probe::tone_dbfs(middle, to, 1000.0) + 12.0).abs() < 0.5, "{from} to {to}");
                assert!(probe::snr_db(middle, to, 1000.0) > 35.0, "{from} to {to}");
            }
        }
    }

    #[test]
    fn stereo_is_mixed_down() {
        let (left, right) = (tone(8_000, 500.0, 1), tone(8_000, 900.0, 1));
        let both: Vec<i16> = left.iter().zip(&right).flat_map(|(left, right)| [*left, *right]).collect();
        let heard =
            Wav::read(&file(PCM, 2, 8_000, 16, &little_endian(&both))).unwrap().at_rate(8_000).unwrap();
        assert_eq!(heard.len(), 8_000);
        for hz in [500.0, 900.0] {
            assert!((probe::tone_dbfs(&heard, 8_000, hz) + 18.0).abs() < 0.2);
        }
    }

    #[test]
    fn a_file_of_unknown_length_ends_where_it_ends() {
        let mut bytes = file(PCM, 1, 8_000, 16, &[0; 16_001]);
        let at = bytes.len() - 16_001 - 4;
        bytes[at..at + 4].fill(0xff);
        assert_eq!(Wav::read(&bytes).unwrap().samples.len(), 8_000);
    }

    #[test]
    fn extensible_pcm_is_pcm() {
        let mut format = file(EXTENSIBLE, 1, 8_000, 16, &[])[32..48].to_vec();
        format.extend([22, 0, 16, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 16, 0]);
        assert!(Wav::of(&format, &[0; 16_000]).is_ok());
        format[24] = 3;
        assert_eq!(Wav::of(&format, &[0; 16_000]), Err(WavError::Format(3)));
    }

    #[test]
    fn what_is_no_sound_of_ours_is_refused_with_its_reason() {
        let check = |bytes: &[u8], why| assert_eq!(Wav::read(bytes), Err(why));
        let second = [0; 16_000];
        check(b"", WavError::NoWav);
        check(b"ID3\x04 some other music", WavError::NoWav);
        check(b"RIFF\0\0\0\0WAVE", WavError::Chunk("fmt "));
        check(&file(PCM, 1, 8_000, 16, &[])[..48], WavError::Chunk("data"));
        check(&file(7, 1, 8_000, 8, &second), WavError::Format(7)); // µ-law
        check(&file(PCM, 1, 8_000, 24, &second), WavError::Bits(24));
        check(&file(PCM, 6, 8_000, 16, &second), WavError::Channels(6));
        check(&file(PCM, 0, 8_000, 16, &second), WavError::Channels(0));
        check(&file(PCM, 1, 96_000, 16, &second), WavError::Rate(96_000));
        check(&file(PCM, 1, 0, 16, &second), WavError::Rate(0));
        check(&file(PCM, 1, 8_000, 16, &second[..15_998]), WavError::Short);
        check(&file(PCM, 1, 8_000, 16, &vec![0; 16_000 * 300]), WavError::Long(300));
    }

    proptest! {
        #[test]
        fn any_bytes_read_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), head in 0usize..=56) {
            let whole = [&file(PCM, 1, 8_000, 16, &[])[..head], &bytes].concat();
            let _ = Wav::read(&whole);
        }
    }
}
