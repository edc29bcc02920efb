//! Speex (RFC 5574) by Debian's libspeex; the only file that calls it. Narrow band is `speex/8000`, wide band `speex/16000`.
//!
//! A frame is 20 ms; a packet holds one or more and ends in padding bits. Loss is concealed by libspeex. What the network sends is walked
//! through before libspeex sees it ([`frames_in`]): it prints a line on standard error for each frame that it does not know.
//!
//! Facts from <https://www.speex.org/docs/manual/speex-manual/> and the library's headers.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

use crate::codec::{CodecId, Decoder, Encoder, MAX_PAYLOAD, Settings};
use crate::error::CodecError;

/// For the table.
pub(crate) fn narrow_decoder(rate: u32, _: &Settings) -> Result<Box<dyn Decoder>, CodecError> {
    CodecId::SpeexNarrow.spec().check_rate(rate)?;
    Ok(Box::new(SpeexDecoder::new(&NARROW)?))
}

/// For the table.
pub(crate) fn narrow_encoder(rate: u32, _: &Settings) -> Result<Box<dyn Encoder>, CodecError> {
    CodecId::SpeexNarrow.spec().check_rate(rate)?;
    Ok(Box::new(SpeexEncoder::new(&NARROW)?))
}

/// For the table.
pub(crate) fn wide_decoder(rate: u32, _: &Settings) -> Result<Box<dyn Decoder>, CodecError> {
    CodecId::SpeexWide.spec().check_rate(rate)?;
    Ok(Box::new(SpeexDecoder::new(&WIDE)?))
}

/// For the table.
pub(crate) fn wide_encoder(rate: u32, _: &Settings) -> Result<Box<dyn Encoder>, CodecError> {
    CodecId::SpeexWide.spec().check_rate(rate)?;
    Ok(Box::new(SpeexEncoder::new(&WIDE)?))
}

/// One of Speex' two bands.
#[derive(Debug)]
struct Band {
    rate: u32,
    /// As `speex_lib_get_mode` counts.
    mode: c_int,
}

const NARROW: Band = Band { rate: 8_000, mode: 0 };
const WIDE: Band = Band { rate: 16_000, mode: 1 };

impl Band {
    /// Samples of 20 ms.
    fn frame(&self) -> usize {
        self.rate as usize / 50
    }

    fn mode(&self) -> *const Mode {
        // SAFETY: takes a number, gives a pointer to static data of the library.
        unsafe { speex_lib_get_mode(self.mode) }
    }
}

struct SpeexDecoder {
    state: NonNull<State>,
    bits: Bits,
    band: &'static Band,
}

impl SpeexDecoder {
    fn new(band: &'static Band) -> Result<Self, CodecError> {
        // SAFETY: the mode is the library's own; the state is checked and freed once, in `drop`.
        let state = NonNull::new(unsafe { speex_decoder_init(band.mode()) }).ok_or(OUT_OF_MEMORY)?;
        Ok(Self { state, bits: Bits::new(), band })
    }

    /// Decodes the next frame of `bits`, or makes one up if they are null.
    fn frame(&mut self, bits: *mut SpeexBits, pcm: &mut [i16]) -> Result<(), CodecError> {
        assert_eq!(pcm.len(), self.band.frame());
        // SAFETY: the state is alive, the bits are null or ours, and `pcm` holds the one frame that is written.
        match unsafe { speex_decode_int(self.state.as_ptr(), bits, pcm.as_mut_ptr()) } {
            0 => Ok(()),
            _ => Err(CodecError::Malformed { codec: NAME, reason: "a frame that libspeex refuses" }),
        }
    }
}

impl Decoder for SpeexDecoder {
    fn rate(&self) -> u32 {
        self.band.rate
    }

    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError> {
        match payload.len() {
            0 => Err(CodecError::EmptyPayload),
            1..=MAX_PAYLOAD => Ok(frames_in(payload)? * self.band.frame()),
            length => Err(CodecError::PayloadLength { length, least: 1, most: MAX_PAYLOAD }),
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let need = self.samples_in(payload)?;
        let have = pcm.len();
        let room = pcm.get_mut(..need).ok_or(CodecError::BufferTooSmall { have, need })?;
        self.bits.read(payload);
        let bits = self.bits.as_mut_ptr();
        room.chunks_exact_mut(self.band.frame()).try_for_each(|frame| self.frame(bits, frame))?;
        Ok(need)
    }

    fn conceal(&mut self, pcm: &mut [i16]) -> Result<(), CodecError> {
        let mut whole = [0; WIDE_FRAME];
        let whole = &mut whole[..self.band.frame()];
        for part in pcm.chunks_mut(self.band.frame()) {
            self.frame(ptr::null_mut(), whole)?;
            part.copy_from_slice(&whole[..part.len()]);
        }
        Ok(())
    }
}

impl Drop for SpeexDecoder {
    fn drop(&mut self) {
        // SAFETY: made by `speex_decoder_init`, freed nowhere else.
        unsafe { speex_decoder_destroy(self.state.as_ptr()) }
    }
}

struct SpeexEncoder {
    state: NonNull<State>,
    bits: Bits,
    band: &'static Band,
}

impl SpeexEncoder {
    fn new(band: &'static Band) -> Result<Self, CodecError> {
        // SAFETY: as for the decoder.
        let state = NonNull::new(unsafe { speex_encoder_init(band.mode()) }).ok_or(OUT_OF_MEMORY)?;
        let encoder = Self { state, bits: Bits::new(), band };
        let mut quality = QUALITY;
        // SAFETY: the state is alive; this request reads one `int`.
        unsafe { speex_encoder_ctl(encoder.state.as_ptr(), SET_QUALITY, (&raw mut quality).cast()) };
        Ok(encoder)
    }
}

impl Encoder for SpeexEncoder {
    fn rate(&self) -> u32 {
        self.band.rate
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        self.bits.reset();
        let mut scratch = [0; WIDE_FRAME]; // libspeex may overwrite what it is given
        for frame in pcm.chunks_exact(self.band.frame()) {
            let scratch = &mut scratch[..frame.len()];
            scratch.copy_from_slice(frame);
            // SAFETY: the state and the bits are alive, and `scratch` holds one frame.
            unsafe { speex_encode_int(self.state.as_ptr(), scratch.as_mut_ptr(), self.bits.as_mut_ptr()) };
        }
        let (have, need) = (payload.len(), self.bits.bytes());
        if have < need {
            return Err(CodecError::BufferTooSmall { have, need });
        }
        Ok(self.bits.write(payload))
    }
}

impl Drop for SpeexEncoder {
    fn drop(&mut self) {
        // SAFETY: made by `speex_encoder_init`, freed nowhere else.
        unsafe { speex_encoder_destroy(self.state.as_ptr()) }
    }
}

// SAFETY: libspeex ties a state and its bits to no thread; each has one owner.
unsafe impl Send for SpeexDecoder {}
// SAFETY: as above.
unsafe impl Send for SpeexEncoder {}

/// A packet's bits, in the library's own memory (2,000 bytes, above [`MAX_PAYLOAD`]).
struct Bits(Box<SpeexBits>);

impl Bits {
    fn new() -> Self {
        let mut bits =
            Box::new(SpeexBits { chars: ptr::null_mut(), numbers: [0; 7], reserved: ptr::null_mut() });
        // SAFETY: fills the struct, which the header shows, and allocates its buffer, which `drop` frees.
        unsafe { speex_bits_init(&raw mut *bits) };
        Self(bits)
    }

    fn as_mut_ptr(&mut self) -> *mut SpeexBits {
        &raw mut *self.0
    }

    fn reset(&mut self) {
        // SAFETY: initialised in `new`.
        unsafe { speex_bits_reset(self.as_mut_ptr()) }
    }

    fn read(&mut self, payload: &[u8]) {
        // SAFETY: initialised in `new`; copies `payload`, whose length (at most 1,500) fits an `int`.
        unsafe {
            speex_bits_read_from(self.as_mut_ptr(), payload.as_ptr().cast(), payload.len() as c_int);
        }
    }

    /// Bytes that [`write`](Self::write) needs, with the padding.
    fn bytes(&mut self) -> usize {
        // SAFETY: initialised in `new`.
        unsafe { speex_bits_nbytes(self.as_mut_ptr()) as usize }
    }

    /// Writes the bits and fills the last byte up with a 0 and 1s (RFC 5574 §3.3).
    fn write(&mut self, payload: &mut [u8]) -> usize {
        let most = payload.len().min(MAX_PAYLOAD) as c_int;
        // SAFETY: initialised in `new`; writes `most` bytes at most.
        unsafe { speex_bits_write(self.as_mut_ptr(), payload.as_mut_ptr().cast(), most) as usize }
    }
}

impl Drop for Bits {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed nowhere else.
        unsafe { speex_bits_destroy(self.as_mut_ptr()) }
    }
}

/// Frames of a packet, by their headers alone: a frame is a narrow-band part and, in wide band, a layer on top of it, each behind the number of
/// its sub-mode, which tells its length; in-band messages may stand between them (manual §7.2, §9).
fn frames_in(payload: &[u8]) -> Result<usize, CodecError> {
    let refused = |reason| CodecError::Malformed { codec: NAME, reason };
    let total = payload.len() * 8;
    let number = |at: usize, bits: usize| {
        (at..at + bits).fold(0, |sum, bit| sum << 1 | usize::from(payload[bit / 8] >> (7 - bit % 8) & 1))
    };
    let (mut at, mut frames, mut layers) = (0, 0, 0);
    while total - at >= 5 {
        let length = if number(at, 1) == 1 {
            layers += 1;
            *LAYER_BITS.get(number(at + 1, 3)).ok_or(refused("a layer of no known mode"))?
        } else {
            match number(at + 1, 4) {
                mode @ 0..=8 => {
                    (frames, layers) = (frames + 1, 0);
                    FRAME_BITS[mode]
                }
                USER_MESSAGE if total - at >= 9 => 10 + 8 * number(at + 5, 4),
                MESSAGE if total - at >= 9 => 9 + MESSAGE_BITS[number(at + 5, 4) / 2],
                USER_MESSAGE | MESSAGE | TERMINATOR => break,
                _ => return Err(refused("a frame of no known mode")),
            }
        };
        if layers > 1 || layers == 1 && frames == 0 {
            return Err(refused("a layer without its frame"));
        }
        at += length;
        if at > total {
            return Err(refused("cut short"));
        }
    }
    match frames {
        0 => Err(refused("no frame")),
        1..=MAX_FRAMES => Ok(frames),
        _ => Err(refused("more frames than a packet may hold")),
    }
}

/// Bits of a narrow-band frame by its mode, header included (manual §9.3).
const FRAME_BITS: [usize; 9] = [5, 43, 119, 160, 220, 300, 364, 492, 79];
/// Bits of a wide-band layer by its mode, header included (manual §10.3).
const LAYER_BITS: [usize; 5] = [4, 36, 112, 192, 352];
/// Bits of an in-band message by its number, two and two (manual §5.5).
const MESSAGE_BITS: [usize; 8] = [1, 4, 4, 4, 8, 16, 32, 64];
const USER_MESSAGE: usize = 13;
const MESSAGE: usize = 14;
const TERMINATOR: usize = 15;
/// 180 ms.
const MAX_FRAMES: usize = crate::codec::MAX_FRAME_MS as usize / 20;

const NAME: &str = "speex";
const OUT_OF_MEMORY: CodecError = CodecError::Library { codec: NAME, reason: "out of memory" };
const WIDE_FRAME: usize = 320;
/// Of 10: 15 kbit/s in narrow band, 27.8 in wide band.
const QUALITY: c_int = 8;
const SET_QUALITY: c_int = 4;

#[repr(C)]
struct Mode {
    _private: [u8; 0],
}

#[repr(C)]
struct State {
    _private: c_void,
}

/// As the header shows it.
#[repr(C)]
struct SpeexBits {
    chars: *mut c_char,
    numbers: [c_int; 7],
    reserved: *mut c_void,
}

#[link(name = "speex")]
unsafe extern "C" {
    fn speex_lib_get_mode(mode: c_int) -> *const Mode;
    fn speex_encoder_init(mode: *const Mode) -> *mut State;
    fn speex_encoder_destroy(state: *mut State);
    fn speex_encoder_ctl(state: *mut State, request: c_int, value: *mut c_void) -> c_int;
    fn speex_encode_int(state: *mut State, pcm: *mut i16, bits: *mut SpeexBits) -> c_int;
    fn speex_decoder_init(mode: *const Mode) -> *mut State;
    fn speex_decoder_destroy(state: *mut State);
    fn speex_decode_int(state: *mut State, bits: *mut SpeexBits, pcm: *mut i16) -> c_int;
    fn speex_bits_init(bits: *mut SpeexBits);
    fn speex_bits_destroy(bits: *mut SpeexBits);
    fn speex_bits_reset(bits: *mut SpeexBits);
    fn speex_bits_read_from(bits: *mut SpeexBits, bytes: *const c_char, length: c_int);
    fn speex_bits_nbytes(bits: *mut SpeexBits) -> c_int;
    fn speex_bits_write(bits: *mut SpeexBits, bytes: *mut c_char, most: c_int) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Voice;

    fn packet(id: CodecId, frames: usize) -> Vec<u8> {
        let rate = id.spec().full_rate();
        let mut pcm = vec![0; rate as usize / 50 * frames];
        Voice::new(rate).fill(&mut pcm);
        let mut payload = vec![0; MAX_PAYLOAD];
        let length = (id.spec().encoder)(rate, &Settings::default()).unwrap().encode(&pcm, &mut payload);
        payload.truncate(length.unwrap());
        payload
    }

    #[test]
    fn the_walk_counts_the_frames_of_a_packet() {
        for (id, bytes) in [(CodecId::SpeexNarrow, 38), (CodecId::SpeexWide, 70)] {
            for frames in 1..=3 {
                let packet = packet(id, frames);
                assert_eq!(frames_in(&packet), Ok(frames), "{id}");
                assert!(packet.len().abs_diff(bytes * frames) <= frames, "{id}: {} bytes", packet.len());
            }
        }
    }

    #[test]
    fn padding_is_a_zero_and_ones() {
        let packet = packet(CodecId::SpeexNarrow, 1); // 300 bits: 4 are left of the last byte
        assert_eq!(packet.last().unwrap() & 0xf, 0b0111);
    }

    #[test]
    fn a_packet_that_is_no_speex_is_refused_with_the_reason() {
        let check = |payload: &[u8], word: &str| {
            let error = frames_in(payload).unwrap_err().to_string();
            assert!(error.contains(word), "{error} should speak of {word}");
        };
        let narrow = packet(CodecId::SpeexNarrow, 1);
        check(&narrow[..20], "cut short");
        check(&[0b0100_1000, 0], "no known mode"); // mode 9
        check(&[0b0111_1000, 0], "no frame"); // the terminator alone
        check(&[0b1001_0000; 6], "without its frame");
        check(&[0b0000_0110, 0b1000_0000], "no known mode"); // a silent frame, then layer 5
        check(&[0; 20], "more frames"); // 32 silent ones
    }

    #[test]
    fn silent_frames_and_messages_between_frames_are_understood() {
        assert_eq!(frames_in(&[0b0000_0011, 0b1100_0000]), Ok(1)); // silence, terminator
        // Message 2 (4 bits) before a silent frame and the terminator.
        assert_eq!(frames_in(&[0b0111_0001, 0b0101_0000, 0b0001_1111]), Ok(1));
    }

    #[test]
    fn a_loss_is_made_up_by_the_library() {
        for id in [CodecId::SpeexNarrow, CodecId::SpeexWide] {
            let rate = id.spec().full_rate();
            let mut decoder = (id.spec().decoder)(rate, &Settings::default()).unwrap();
            let packet = packet(id, 3);
            let mut pcm = vec![0; rate as usize / 50 * 3];
            assert_eq!(decoder.decode(&packet, &mut pcm), Ok(pcm.len()));
            decoder.conceal(&mut pcm[..rate as usize / 400]).unwrap(); // 2.5 ms
            decoder.conceal(&mut pcm).unwrap();
            assert!(pcm.iter().any(|sample| sample.unsigned_abs() > 100), "{id}");
        }
    }
}
