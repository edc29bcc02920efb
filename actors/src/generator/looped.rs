//! Sound that goes round and round, encoded once per codec for all calls that hear it. Pure.
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use codecs::{CODECS, CodecError, CodecId, MAX_PAYLOAD, Settings};

use super::player::Source;

/// Frames of 20 ms in one codec; empty where the encoder has nothing to send (DTX). Cheap to clone: the frames are shared.
#[derive(Debug, Clone)]
pub struct Looped(Arc<[Bytes]>);

/// A sound and what became of it in each codec so far.
pub struct Repeated {
    settings: Settings,
    /// Samples at a rate: one round.
    round: Box<dyn Fn(u32) -> Vec<i16> + Send + Sync>,
    /// In the order of the table of codecs; `None` inside: the codec failed.
    made: [OnceLock<Option<Looped>>; CODECS.len()],
}

impl Looped {
    /// One round of sound in `codec`, at its full rate. The round goes through the encoder twice and the second time is kept, so that
    /// codecs that remember what was before begin a round as the last one ends. A round should end softly all the same.
    fn encode(
        codec: CodecId,
        settings: &Settings,
        round: &dyn Fn(u32) -> Vec<i16>,
    ) -> Result<Self, CodecError> {
        let spec = codec.spec();
        let rate = spec.full_rate();
        let mut encoder = (spec.encoder)(rate, settings)?;
        let (mut pcm, frame) = (round(rate), (rate / 50) as usize);
        pcm.resize(pcm.len().next_multiple_of(frame).max(frame), 0);
        let mut payload = [0; MAX_PAYLOAD];
        let mut frames = Vec::with_capacity(pcm.len() / frame);
        for time in 0..2 {
            for samples in pcm.chunks_exact(frame) {
                let length = encoder.encode(samples, &mut payload)?;
                if time == 1 {
                    frames.push(Bytes::copy_from_slice(&payload[..length]));
                }
            }
        }
        Ok(Self(frames.into()))
    }

    /// Frame `number`, counted from the start of the first round.
    pub fn frame(&self, number: u32) -> Bytes {
        self.0[number as usize % self.0.len()].clone()
    }
}

impl Source for Looped {
    fn next(&mut self, number: u32) -> Option<Bytes> {
        Some(self.frame(number))
    }
}

impl Repeated {
    /// A sound whose rounds `round` makes at the rate that it is given, encoded by these settings.
    pub fn new(settings: &Settings, round: impl Fn(u32) -> Vec<i16> + Send + Sync + 'static) -> Self {
        Self { settings: settings.clone(), round: Box::new(round), made: Default::default() }
    }

    /// The sound in `codec`; encodes it at the first call, which takes some hundredths of the sound's time.
    pub fn encoded(&self, codec: CodecId) -> Option<&Looped> {
        let make = || Looped::encode(codec, &self.settings, &self.round).ok();
        self.place(codec).get_or_init(make).as_ref()
    }

    /// The same, if that is done.
    pub fn ready(&self, codec: CodecId) -> Option<&Looped> {
        self.place(codec).get()?.as_ref()
    }

    fn place(&self, codec: CodecId) -> &OnceLock<Option<Looped>> {
        let place = CODECS.iter().position(|spec| spec.id == codec);
        &self.made[place.expect("the table has a row for every id")]
    }
}

impl fmt::Debug for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repeated")
    }
}

/// Silence, for all calls of the process: never left out (DTX), for it is sent so that something comes. Half a second, so that even
/// the slowest codec has made it within a few ms.
pub fn silence(codec: CodecId) -> Option<&'static Looped> {
    static SILENCE: OnceLock<Repeated> = OnceLock::new();
    let settings = Settings::default();
    SILENCE.get_or_init(|| Repeated::new(&settings, |rate| vec![0; rate as usize / 2])).encoded(codec)
}

#[cfg(test)]
mod tests {
    use codecs::probe::{dominant_hz, level_dbfs, tone_dbfs};
    use codecs::tone::Tone;

    use super::*;

    /// So many frames, decoded.
    fn decoded(looped: &Looped, codec: CodecId, frames: u32) -> (Vec<i16>, u32) {
        let rate = codec.spec().full_rate();
        let mut decoder = (codec.spec().decoder)(rate, &Settings::default()).unwrap();
        let mut heard = vec![];
        for number in 0..frames {
            let mut pcm = vec![0; codecs::codec::max_samples(rate)];
            let samples = decoder.decode(&looped.frame(number), &mut pcm).unwrap();
            assert_eq!(samples, rate as usize / 50, "{codec}");
            heard.extend_from_slice(&pcm[..samples]);
        }
        (heard, rate)
    }

    #[test]
    fn silence_is_silent_in_every_codec() {
        for spec in CODECS.iter().filter(|spec| (spec.missing)().is_none()) {
            let (heard, rate) = decoded(silence(spec.id).unwrap(), spec.id, 100);
            assert!(level_dbfs(&heard[rate as usize / 10..]) < -65.0, "{}", spec.name);
        }
    }

    #[test]
    fn every_round_sounds_like_the_first_in_every_codec() {
        // Its last 40 ms are silent: coders of speech (G.729, Speex) carry a difference over the seam as long as a tone lasts.
        let tone = Repeated::new(&Settings::default(), |rate| {
            let mut pcm = vec![0; rate as usize / 5];
            Tone::new(rate, 400.0, -12.0).fill(&mut pcm[..rate as usize * 4 / 25]);
            pcm
        });
        for spec in CODECS.iter().filter(|spec| (spec.missing)().is_none()) {
            let (heard, rate) = decoded(tone.encoded(spec.id).unwrap(), spec.id, 30);
            for round in heard.chunks_exact(rate as usize / 5) {
                let middle = &round[rate as usize / 25..rate as usize * 3 / 25];
                assert!((dominant_hz(middle, rate).unwrap() - 400.0).abs() < 15.0, "{}", spec.name);
                let level = tone_dbfs(middle, rate, 400.0);
                assert!((level + 12.0).abs() < 4.0, "{}: {level} dBFS", spec.name);
            }
        }
    }

    #[test]
    fn a_sound_shorter_than_a_frame_is_filled_up() {
        for samples in [0, 1] {
            let short = Repeated::new(&Settings::default(), move |_| vec![5; samples]);
            let looped = short.encoded(CodecId::Pcmu).unwrap();
            assert_eq!((looped.frame(0).len(), looped.frame(7).len()), (160, 160));
        }
    }

    #[test]
    fn a_sound_is_encoded_by_the_settings_and_its_silence_left_out_if_they_say_so() {
        let silent = |dtx| {
            let mut settings = Settings::default();
            (settings.opus.dtx, settings.opus.bitrate) = (dtx, 12_000);
            let sound = Repeated::new(&settings, |rate| {
                let mut pcm = vec![0; rate as usize * 3];
                Tone::new(rate, 400.0, -12.0).fill(&mut pcm[..rate as usize]);
                pcm
            });
            let looped = sound.encoded(CodecId::Opus).unwrap();
            let lengths: Vec<usize> = (0..150).map(|number| looped.frame(number).len()).collect();
            assert!(lengths[..50].iter().sum::<usize>() < 50 * 45, "12 kbit/s are 30 bytes a frame");
            lengths.iter().filter(|length| **length == 0).count()
        };
        assert_eq!(silent(false), 0);
        assert!(silent(true) > 50, "of 100 silent frames");
    }

    #[test]
    fn all_calls_share_the_frames() {
        let (one, other) = (silence(CodecId::Pcma).unwrap(), silence(CodecId::Pcma).unwrap());
        assert_eq!(one.frame(3).as_ptr(), other.frame(28).as_ptr(), "25 frames later is the next round");
    }
}
