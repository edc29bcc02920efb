//! Decode, resample only if needed, encode: one direction of one call. Allocates nothing once it is built.

mod silence;

use crate::codec::{CodecId, CodecSpec, Decoder, Encoder, MAX_PAYLOAD, Settings, max_samples};
use crate::error::CodecError;
use crate::payload::comfort_noise::ComfortNoise;
use crate::resample::Resampler;
use std::fmt;
use std::time::Duration;

/// A transcoder of one stream.
///
/// Packets of any duration go in, packets of one duration come out. Timestamps out step by exactly one packet;
/// where the input skips (DTX, silence), the output skips as far and sets the marker (RFC 3551 §4.1), unless the source said that it falls
/// silent (RFC 3389, G.729 annex B, Opus): then its noise stands there, by the clock ([`Chain::idle`]). Both codecs
/// run at the lowest rate that loses nothing: Opus to PCMU is decoded straight to 8 kHz. Level is kept: gain is 1.
pub struct Chain {
    from: &'static CodecSpec,
    to: &'static CodecSpec,
    decoder: Box<dyn Decoder>,
    resampler: Option<(Resampler, Vec<i16>)>,
    encoder: Box<dyn Encoder>,
    /// Samples at the encoder's rate that wait for a full packet; the first `filled` count.
    pcm: Vec<i16>,
    filled: usize,
    /// Samples of one outgoing packet.
    packet: usize,
    payload: Vec<u8>,
    /// Timestamp that the next packet in should carry; none before the first and after a restart.
    expected: Option<u32>,
    /// Samples of the last packet in, at the decoder's rate.
    last_in: usize,
    /// Timestamp of the next packet out.
    timestamp: u32,
    marker: bool,
    /// What the source said that its silence is like, for codecs that cannot say so themselves.
    noise: Option<ComfortNoise>,
    /// Samples at the decoder's rate that [`idle`](Self::idle) has made since the last packet.
    idled: usize,
    /// Of these, those that the source then spoke over: the next silence is shorter by them.
    overdrawn: usize,
    /// Samples at the decoder's rate that it made up for lost packets.
    concealed: u64,
    hearing: Hearing,
}

/// What the decoder made of the packets that came, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hearing {
    /// Packets that it took.
    pub decoded: u64,
    /// Of these, those that were not digital silence. The most silent microphone is heard to hiss.
    pub audible: u64,
    /// Packets that it refused.
    pub undecodable: u64,
}

/// One outgoing packet. The payload is lent for the length of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What goes behind the RTP header.
    pub payload: &'a [u8],
    /// In the target's RTP clock, from 0 at the first packet; the sender adds its own offset.
    pub timestamp: u32,
    /// First packet after a silence or a restart.
    pub marker: bool,
}

/// Packets that will not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss<'a> {
    /// How many, by their sequence numbers.
    pub packets: u32,
    /// Payload and timestamp of the packet that follows the hole, if it is here: it tells how much sound is missing
    /// and may carry a copy (Opus FEC). Push it afterwards.
    pub next: Option<(&'a [u8], u32)>,
}

impl Chain {
    /// A chain that sends packets of `ptime_ms`.
    pub fn new(from: CodecId, to: CodecId, ptime_ms: u32, settings: &Settings) -> Result<Self, CodecError> {
        let (from, to) = (from.spec(), to.spec());
        if !to.ptimes_ms.contains(&ptime_ms) {
            return Err(CodecError::Ptime { codec: to.name, ptime_ms });
        }
        let (rate_in, rate_out) = rates(from, to);
        let resampler = if rate_in == rate_out {
            None
        } else {
            Some((Resampler::new(rate_in, rate_out)?, vec![0; max_samples(rate_in)]))
        };
        let packet = (rate_out / 1000 * ptime_ms) as usize;
        Ok(Self {
            from,
            to,
            decoder: (from.decoder)(rate_in, settings)?,
            resampler,
            encoder: (to.encoder)(rate_out, settings)?,
            pcm: vec![0; max_samples(rate_out) + 1 + packet],
            filled: 0,
            packet,
            payload: vec![0; MAX_PAYLOAD],
            expected: None,
            last_in: 0,
            timestamp: 0,
            marker: true,
            noise: None,
            idled: 0,
            overdrawn: 0,
            concealed: 0,
            hearing: Hearing::default(),
        })
    }

    /// Sound that the decoder made up for packets that never came, so far.
    pub fn concealed(&self) -> Duration {
        Duration::from_secs(self.concealed) / self.decoder.rate()
    }

    /// What the packets held that came so far.
    pub fn hearing(&self) -> Hearing {
        self.hearing
    }

    /// Takes one packet in, gives zero or more out. On an error the packet counts as lost and is concealed.
    pub fn push(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        out: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), CodecError> {
        self.push_or_shed(payload, timestamp, Duration::ZERO, out).map(drop)
    }

    /// The same where the stream that goes out may become shorter by up to `spare`: a packet that fits and is quiet
    /// is left out. Gives the length of what was left out.
    pub fn push_or_shed(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        spare: Duration,
        out: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Duration, CodecError> {
        self.keep_time(timestamp, out)?;
        self.noise = None;
        let (mut length_in, mut shed, mut audible) = (0, Duration::ZERO, false);
        let decoded = self.take_in(out, |decoder, pcm| {
            let samples = decoder.decode(payload, pcm)?;
            length_in = samples;
            audible = !is_flat(&pcm[..samples]);
            let length = Duration::from_secs(1) * samples as u32 / decoder.rate();
            let quiet = || pcm[..samples].iter().all(|sample| sample.unsigned_abs() < QUIET);
            if length > spare || !quiet() {
                return Ok(samples);
            }
            shed = length;
            Ok(0)
        });
        let result = match decoded {
            Ok(_) => {
                self.last_in = length_in;
                self.hearing.decoded += 1;
                self.hearing.audible += u64::from(audible);
                Ok(shed)
            }
            Err(error) => {
                self.hearing.undecodable += 1;
                self.make_up(self.last_in, out).and(Err(error))
            }
        };
        self.expected = Some(timestamp.wrapping_add(self.ticks(self.last_in)));
        result
    }

    /// Fills the hole of lost packets: by their copy in the next one where there is one, else by concealment, for
    /// at most [`MAX_CONCEALED_MS`]; what is longer becomes a gap.
    pub fn conceal(&mut self, loss: Loss<'_>, out: &mut dyn FnMut(Frame<'_>)) -> Result<(), CodecError> {
        let Some(expected) = self.expected else {
            return Ok(());
        };
        if self.last_in == 0 {
            return Ok(());
        }
        let lost = self.last_in.saturating_mul(loss.packets as usize);
        let hole =
            loss.next.map(|(_, timestamp)| self.samples(timestamp.wrapping_sub(expected).cast_signed()));
        // Sequence numbers may be missing where no sound is (telephone-events): the timestamps know better.
        let missing = hole.map_or(lost, |hole| hole.min(lost));
        let most = (self.decoder.rate() / 1000 * MAX_CONCEALED_MS) as usize;
        let filled = missing.min(most) / self.grain() * self.grain();
        let copy = loss.next.filter(|_| hole == Some(filled) && filled >= self.last_in);
        let (made_up, copied) =
            if copy.is_some() { (filled - self.last_in, self.last_in) } else { (filled, 0) };
        self.expected = Some(expected.wrapping_add(self.ticks(filled)));
        self.make_up(made_up, out)?;
        if let Some((next, _)) = copy {
            let fec = |decoder: &mut dyn Decoder, pcm: &mut [i16]| {
                decoder.decode_fec(next, &mut pcm[..copied]).map(|()| copied)
            };
            if self.take_in(out, fec).is_err() {
                self.make_up(copied, out)?;
            }
        }
        Ok(())
    }

    /// Makes the stream that goes out longer, by concealment: what comes in takes longer from now on.
    pub fn stretch(&mut self, length: Duration, out: &mut dyn FnMut(Frame<'_>)) -> Result<(), CodecError> {
        if self.last_in == 0 {
            return Ok(()); // nothing has gone out yet
        }
        let milliseconds = length.as_millis() as usize;
        self.make_up(self.decoder.rate() as usize / 1000 * milliseconds, out)
    }

    /// The source began anew: the next packet in follows the last one out, whatever its timestamp.
    pub fn restart(&mut self) {
        self.expected = None;
        self.noise = None;
        self.marker = true;
    }

    /// Of what goes out from now on, about so many percent will be lost on the way.
    pub fn expect_loss(&mut self, percent: u8) {
        self.encoder.expect_loss(percent);
    }

    /// Duration of one outgoing packet in the target's RTP clock.
    pub fn timestamp_step(&self) -> u32 {
        self.ticks_out(self.packet)
    }

    /// Compares the timestamp with the one expected; a step forward becomes the same step in the output.
    fn keep_time(&mut self, timestamp: u32, out: &mut dyn FnMut(Frame<'_>)) -> Result<(), CodecError> {
        let Some(expected) = self.expected else {
            return Ok(());
        };
        let ahead = timestamp.wrapping_sub(expected).cast_signed();
        let idled = std::mem::take(&mut self.idled);
        if self.is_silent() {
            return self.keep_silence(ahead, idled, out);
        }
        let jitter = (self.from.clock_rate / 1000 * TIMESTAMP_JITTER_MS).cast_signed();
        if ahead.abs() < jitter {
            return Ok(()); // a sender with a rough clock: samples count, not its timestamps
        }
        if ahead < 0 {
            self.marker = true;
            return Ok(()); // went back: nothing to catch up with
        }
        self.skip(ahead, out)
    }

    /// Steps forward in the output as far as the input does.
    fn skip(&mut self, ahead: i32, out: &mut dyn FnMut(Frame<'_>)) -> Result<(), CodecError> {
        let rate_out = u64::from(self.encoder.rate());
        let gap = (u64::from(ahead.unsigned_abs()) * rate_out / u64::from(self.from.clock_rate)) as usize;
        let padding = if self.filled == 0 { 0 } else { gap.min(self.packet - self.filled) };
        self.pcm[self.filled..self.filled + padding].fill(0);
        self.filled += padding;
        self.send(out)?;
        self.marker = true;
        self.timestamp = self.timestamp.wrapping_add(self.ticks_out(gap - padding));
        Ok(())
    }

    /// libopus conceals in steps of 2.5 ms.
    fn grain(&self) -> usize {
        self.decoder.rate() as usize / 400
    }

    /// Conceals `samples` at the decoder's rate, or makes noise of them in an announced silence.
    fn make_up(&mut self, samples: usize, out: &mut dyn FnMut(Frame<'_>)) -> Result<(), CodecError> {
        let mut noise = self.noise.take();
        let mut left = samples;
        // A packet's length at a time, as libopus wants it.
        let most = if self.last_in == 0 { self.decoder.rate() as usize / 50 } else { self.last_in };
        let mut result = Ok(());
        while left > 0 && result.is_ok() {
            let now = left.min(most);
            let made = self.take_in(out, |decoder, pcm| match &mut noise {
                Some(noise) => {
                    noise.fill(&mut pcm[..now]);
                    Ok(now)
                }
                None => decoder.conceal(&mut pcm[..now]).map(|()| now),
            });
            self.concealed += if noise.is_none() { now as u64 } else { 0 };
            result = made.map(drop);
            left -= now;
        }
        self.noise = noise;
        result
    }

    /// Lets the decoder write behind what waits (through the resampler if there is one) and sends full packets.
    fn take_in(
        &mut self,
        out: &mut dyn FnMut(Frame<'_>),
        decode: impl FnOnce(&mut dyn Decoder, &mut [i16]) -> Result<usize, CodecError>,
    ) -> Result<usize, CodecError> {
        let room = &mut self.pcm[self.filled..];
        let samples = match &mut self.resampler {
            None => {
                let samples = decode(self.decoder.as_mut(), room)?;
                self.filled += samples;
                samples
            }
            Some((resampler, decoded)) => {
                let samples = decode(self.decoder.as_mut(), decoded)?;
                self.filled += resampler.resample(&decoded[..samples], room)?;
                samples
            }
        };
        self.send(out)?;
        Ok(samples)
    }

    /// Encodes what makes full packets; the rest moves to the front.
    fn send(&mut self, out: &mut dyn FnMut(Frame<'_>)) -> Result<(), CodecError> {
        let step = self.timestamp_step();
        let mut sent = 0;
        let mut result = Ok(());
        while self.filled - sent >= self.packet {
            match self.encoder.encode(&self.pcm[sent..sent + self.packet], &mut self.payload) {
                Ok(0) => self.marker = true, // the encoder has nothing to say (DTX)
                Ok(length) => {
                    let payload = &self.payload[..length];
                    out(Frame { payload, timestamp: self.timestamp, marker: self.marker });
                    self.marker = false;
                }
                Err(error) => result = Err(error),
            }
            self.timestamp = self.timestamp.wrapping_add(step);
            sent += self.packet;
        }
        self.pcm.copy_within(sent..self.filled, 0);
        self.filled -= sent;
        result
    }

    /// Samples in, at the decoder's rate, as ticks of the source's RTP clock.
    fn ticks(&self, samples: usize) -> u32 {
        scale(samples, self.from.clock_rate, self.decoder.rate())
    }

    /// Samples out, at the encoder's rate, as ticks of the target's RTP clock.
    fn ticks_out(&self, samples: usize) -> u32 {
        scale(samples, self.to.clock_rate, self.encoder.rate())
    }

    /// Ticks of the source's RTP clock as samples at the decoder's rate; 0 if they go back.
    fn samples(&self, ticks: i32) -> usize {
        let ticks = u64::from(ticks.max(0).unsigned_abs());
        (ticks * u64::from(self.decoder.rate()) / u64::from(self.from.clock_rate)) as usize
    }
}

/// The path in one line, for logs: `opus/48000/2 → 8 kHz → PCMU/8000`.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let khz = |rate: u32| f64::from(rate) / 1000.0;
        write!(f, "{} → {} kHz → ", self.from, khz(self.decoder.rate()))?;
        if let Some((resampler, _)) = &self.resampler {
            write!(f, "{} kHz → ", khz(resampler.to()))?;
        }
        write!(f, "{}", self.to)
    }
}

/// The rates at which to decode and to encode: the lowest that both know and that keeps the narrower band, so that no
/// resampler is needed; else each side's own.
pub fn rates(from: &CodecSpec, to: &CodecSpec) -> (u32, u32) {
    let band = from.full_rate().min(to.full_rate());
    let lowest = |spec: &CodecSpec| spec.sample_rates.iter().copied().find(|rate| *rate >= band);
    let shared = |rate: &&u32| **rate >= band && to.sample_rates.contains(rate);
    match from.sample_rates.iter().find(shared) {
        Some(rate) => (*rate, *rate),
        None => (lowest(from).unwrap_or(from.full_rate()), lowest(to).unwrap_or(to.full_rate())),
    }
}

/// Digital silence: a level line but for what a decoder rounds. A-law's is not at zero.
fn is_flat(pcm: &[i16]) -> bool {
    pcm.iter().all(|sample| sample.abs_diff(pcm[0]) <= 1)
}

/// `count` at `rate` per second, as ticks at `clock` per second. Wraps as RTP timestamps do.
fn scale(count: usize, clock: u32, rate: u32) -> u32 {
    (count as u64 * u64::from(clock) / u64::from(rate)) as u32
}

/// Longer holes are left as gaps: G.711's concealment is silent after 60 ms, Opus' soon after.
pub const MAX_CONCEALED_MS: u32 = 120;

/// Quiet enough to be left out unheard: about -42 dBFS.
const QUIET: u16 = 256;

/// Timestamps that are off by less than this are a sender's rounding, not a gap.
const TIMESTAMP_JITTER_MS: u32 = 5;
