//! WAV files, 16-bit mono, the only kind that the bench needs.

use std::fs;
use std::path::Path;

/// Writes samples of -1.0 to 1.0.
pub fn write(path: &Path, rate: u32, samples: &[f32]) {
    let bytes: u32 = samples.len() as u32 * 2;
    let mut out = Vec::with_capacity(44 + bytes as usize);
    out.extend(b"RIFF");
    out.extend((36 + bytes).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16u32.to_le_bytes());
    out.extend(1u16.to_le_bytes()); // linear PCM
    out.extend(1u16.to_le_bytes()); // one channel
    out.extend(rate.to_le_bytes());
    out.extend((rate * 2).to_le_bytes());
    out.extend(2u16.to_le_bytes());
    out.extend(16u16.to_le_bytes());
    out.extend(b"data");
    out.extend(bytes.to_le_bytes());
    out.extend(samples.iter().flat_map(|s| ((s.clamp(-1.0, 1.0) * 32767.0) as i16).to_le_bytes()));
    fs::write(path, out).unwrap();
}

/// Reads rate and samples. A file whose writer was stopped has a length of 0 in its head: then all that follows counts.
pub fn read(path: &Path) -> (u32, Vec<f32>) {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(bytes.len() > 12 && &bytes[..4] == b"RIFF", "{} is no WAV file", path.display());
    let (mut rate, mut at) = (0, 12);
    while at + 8 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        let body = &bytes[at + 8..];
        match &bytes[at..at + 4] {
            b"fmt " => {
                rate = u32::from_le_bytes(body[4..8].try_into().unwrap());
                assert_eq!(&body[2..4], 1u16.to_le_bytes(), "{} is not mono", path.display());
                assert_eq!(&body[14..16], 16u16.to_le_bytes(), "{} is not 16 bit", path.display());
            }
            b"data" => {
                let length = if length == 0 { body.len() } else { length.min(body.len()) };
                let samples = body[..length].chunks_exact(2);
                return (
                    rate,
                    samples.map(|s| f32::from(i16::from_le_bytes([s[0], s[1]])) / 32768.0).collect(),
                );
            }
            _ => {}
        }
        at += 8 + length + length % 2;
    }
    panic!("{} has no sound in it", path.display());
}
