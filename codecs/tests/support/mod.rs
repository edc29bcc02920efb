//! A sound coded, sent through a chain, and decoded again.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod likeness;

use std::time::Duration;

use codecs::tone::Tone;
use codecs::voice::Voice;
use codecs::{Chain, CodecError, CodecId, Decoder, Encoder, Frame, Loss, MAX_PAYLOAD, Settings};

/// Level of the tones in dBFS.
pub(crate) const LEVEL: f64 = -12.0;

/// Writes the next samples of a sound.
type Fill = Box<dyn FnMut(&mut [i16])>;

/// Codes a sound packet by packet; its timestamps wrap after a few packets.
pub(crate) struct Source {
    fill: Fill,
    pub(crate) encoder: Box<dyn Encoder>,
    samples: usize,
    step: u32,
    timestamp: u32,
}

impl Source {
    pub(crate) fn tone(codec: CodecId, hz: f64, ptime_ms: u32) -> Self {
        let mut tone = Tone::new(codec.spec().full_rate(), hz, LEVEL);
        Self::new(codec, ptime_ms, move |pcm| tone.fill(pcm))
    }

    pub(crate) fn voice(codec: CodecId, ptime_ms: u32) -> Self {
        let mut voice = Voice::new(codec.spec().full_rate());
        Self::new(codec, ptime_ms, move |pcm| voice.fill(pcm))
    }

    /// Half a second of each tone, one after the other.
    pub(crate) fn tones(codec: CodecId, all: &'static [f64], ptime_ms: u32) -> Self {
        let rate = codec.spec().full_rate();
        let mut place = 0;
        let mut tone = Tone::new(rate, all[0], LEVEL);
        Self::new(codec, ptime_ms, move |pcm| {
            for sample in pcm.chunks_mut(1) {
                if place % (rate as usize / 2) == 0 {
                    tone = Tone::new(rate, all[place / (rate as usize / 2) % all.len()], LEVEL);
                }
                tone.fill(sample);
                place += 1;
            }
        })
    }

    fn new(codec: CodecId, ptime_ms: u32, fill: impl FnMut(&mut [i16]) + 'static) -> Self {
        let spec = codec.spec();
        let rate = spec.full_rate();
        Self {
            fill: Box::new(fill),
            encoder: (spec.encoder)(rate, &Settings::default()).unwrap(),
            samples: (rate / 1000 * ptime_ms) as usize,
            step: spec.clock_rate / 1000 * ptime_ms,
            timestamp: u32::MAX - 5_000,
        }
    }

    /// Lets time pass without a packet, as DTX does.
    pub(crate) fn pause(&mut self, ticks: u32) {
        self.timestamp = self.timestamp.wrapping_add(ticks);
    }
}

impl Iterator for Source {
    type Item = (Vec<u8>, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let mut pcm = vec![0; self.samples];
        (self.fill)(&mut pcm);
        let mut payload = vec![0; MAX_PAYLOAD];
        let length = self.encoder.encode(&pcm, &mut payload).unwrap();
        payload.truncate(length);
        let timestamp = self.timestamp;
        self.pause(self.step);
        Some((payload, timestamp))
    }
}

/// A chain with an ear at its end.
pub(crate) struct Line {
    pub(crate) chain: Chain,
    /// Decoded samples of all packets that came out, at the target's full rate.
    pub(crate) pcm: Vec<i16>,
    /// Their timestamps and markers.
    pub(crate) headers: Vec<(u32, bool)>,
    from: CodecId,
    ear: Box<dyn Decoder>,
}

impl Line {
    pub(crate) fn new(from: CodecId, to: CodecId, ptime_ms: u32) -> Self {
        let spec = to.spec();
        let chain = Chain::new(from, to, ptime_ms, &Settings::default()).unwrap();
        let ear = (spec.decoder)(spec.full_rate(), &Settings::default()).unwrap();
        Self { chain, pcm: Vec::new(), headers: Vec::new(), from, ear }
    }

    pub(crate) fn push(&mut self, payload: &[u8], timestamp: u32) -> Result<(), CodecError> {
        self.with(|chain, hear| chain.push(payload, timestamp, hear))
    }

    /// What the source says when it falls silent: a payload of its own codec if that has such, else RFC 3389's.
    pub(crate) fn silence(&mut self, payload: &[u8], timestamp: u32) -> Result<(), CodecError> {
        if self.from == CodecId::G729 {
            return self.push(payload, timestamp);
        }
        self.with(|chain, hear| chain.comfort_noise(payload, timestamp, hear))
    }

    pub(crate) fn idle(&mut self, since: Duration) -> Result<(), CodecError> {
        self.with(|chain, hear| chain.idle(since, hear))
    }

    pub(crate) fn conceal(&mut self, loss: Loss<'_>) -> Result<(), CodecError> {
        self.with(|chain, hear| chain.conceal(loss, hear))
    }

    /// Gives what was left out.
    pub(crate) fn push_or_shed(&mut self, payload: &[u8], timestamp: u32, spare: Duration) -> Duration {
        self.with(|chain, hear| chain.push_or_shed(payload, timestamp, spare, hear)).unwrap()
    }

    pub(crate) fn stretch(&mut self, length: Duration) {
        self.with(|chain, hear| chain.stretch(length, hear)).unwrap();
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Chain, &mut dyn FnMut(Frame<'_>)) -> T) -> T {
        let Self { chain, pcm, headers, ear, .. } = self;
        work(chain, &mut |frame| {
            let mut decoded = vec![0; codecs::codec::max_samples(ear.rate())];
            let samples = ear.decode(frame.payload, &mut decoded).unwrap();
            pcm.extend_from_slice(&decoded[..samples]);
            headers.push((frame.timestamp, frame.marker));
        })
    }
}
