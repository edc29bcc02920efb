//! G.729 with annexes A and B by libbcg729, which is loaded when it is there; the only file that imports libloading.
//!
//! libbcg729 is under the GPL: nothing of it is in this repository or linked into the program. Whoever installs it (Debian: `libbcg729-0`) has
//! G.729, else nobody is offered it ([`missing`]). We send annex A alone (10 bytes for each 10 ms); a frame of 2 bytes at the end of a
//! payload (annex B: "silence from now on, with this noise") is decoded to comfort noise.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use libloading::Library;

use crate::codec::{CodecId, Decoder, Encoder, MAX_PAYLOAD, Settings};
use crate::error::CodecError;

/// For the table.
pub(crate) fn decoder(rate: u32, _: &Settings) -> Result<Box<dyn Decoder>, CodecError> {
    CodecId::G729.spec().check_rate(rate)?;
    let calls = bcg729().as_ref().map_err(|_| ABSENT)?;
    // SAFETY: takes nothing; the state is checked here and closed once, in `drop`.
    let state = NonNull::new(unsafe { (calls.decoder_init)() }).ok_or(OUT_OF_MEMORY)?;
    Ok(Box::new(G729Decoder { calls, state, silent: false }))
}

/// For the table.
pub(crate) fn encoder(rate: u32, _: &Settings) -> Result<Box<dyn Encoder>, CodecError> {
    CodecId::G729.spec().check_rate(rate)?;
    let calls = bcg729().as_ref().map_err(|_| ABSENT)?;
    // SAFETY: as above.
    let state = NonNull::new(unsafe { (calls.encoder_init)(WITHOUT_ANNEX_B) }).ok_or(OUT_OF_MEMORY)?;
    Ok(Box::new(G729Encoder { calls, state }))
}

/// For the table.
pub(crate) fn missing() -> Option<&'static str> {
    bcg729().as_ref().err().map(String::as_str)
}

struct G729Decoder {
    calls: &'static Bcg729,
    state: NonNull<State>,
    /// The last frame was one of silence: what follows without a packet is its noise.
    silent: bool,
}

impl G729Decoder {
    /// Decodes a frame of 10 bytes or 2, or makes one up where there is none.
    fn frame(&mut self, frame: Option<&[u8]>, pcm: &mut [i16; FRAME_SAMPLES]) {
        let (bytes, length) = frame.map_or((ptr::null(), 0), |frame| (frame.as_ptr(), frame.len()));
        self.silent = if length == 0 { self.silent } else { length == SILENCE_BYTES };
        let (erased, silence) = (u8::from(length == 0), u8::from(self.silent));
        // SAFETY: the state is alive, `bytes` is null or holds `length` (10 or 2) bytes, and `pcm` the 80 samples that are written.
        unsafe {
            let state = self.state.as_ptr();
            (self.calls.decode)(state, bytes, length as u8, erased, silence, 0, pcm.as_mut_ptr());
        }
    }
}

impl Decoder for G729Decoder {
    fn rate(&self) -> u32 {
        RATE
    }

    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError> {
        let length = payload.len();
        match (length, length % FRAME_BYTES) {
            (0, _) => Err(CodecError::EmptyPayload),
            (1..=MAX_BYTES, 0 | SILENCE_BYTES) => Ok(length.div_ceil(FRAME_BYTES) * FRAME_SAMPLES),
            (1..=MAX_BYTES, _) => Err(CodecError::Malformed {
                codec: NAME,
                reason: "not of 10-byte frames and one of 2 at most",
            }),
            _ => Err(CodecError::PayloadLength { length, least: SILENCE_BYTES, most: MAX_BYTES }),
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let need = self.samples_in(payload)?;
        let have = pcm.len();
        let room = pcm.get_mut(..need).ok_or(CodecError::BufferTooSmall { have, need })?;
        for (frame, room) in payload.chunks(FRAME_BYTES).zip(room.as_chunks_mut().0) {
            self.frame(Some(frame), room);
        }
        Ok(need)
    }

    fn conceal(&mut self, pcm: &mut [i16]) -> Result<(), CodecError> {
        for part in pcm.chunks_mut(FRAME_SAMPLES) {
            let mut whole = [0; FRAME_SAMPLES];
            self.frame(None, &mut whole);
            part.copy_from_slice(&whole[..part.len()]);
        }
        Ok(())
    }

    fn is_silent(&self) -> bool {
        self.silent
    }
}

impl Drop for G729Decoder {
    fn drop(&mut self) {
        // SAFETY: made by `decoder_init`, closed nowhere else.
        unsafe { (self.calls.decoder_close)(self.state.as_ptr()) }
    }
}

struct G729Encoder {
    calls: &'static Bcg729,
    state: NonNull<State>,
}

impl Encoder for G729Encoder {
    fn rate(&self) -> u32 {
        RATE
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let (have, need) = (payload.len(), pcm.len() / FRAME_SAMPLES * FRAME_BYTES);
        let room = payload.get_mut(..need).ok_or(CodecError::BufferTooSmall { have, need })?;
        for (pcm, frame) in pcm.chunks_exact(FRAME_SAMPLES).zip(room.chunks_exact_mut(FRAME_BYTES)) {
            let mut length = 0;
            // SAFETY: the state is alive, `pcm` holds the 80 samples that are read, `frame` the 10 bytes that are written.
            unsafe {
                (self.calls.encode)(self.state.as_ptr(), pcm.as_ptr(), frame.as_mut_ptr(), &raw mut length)
            };
        }
        Ok(need)
    }
}

impl Drop for G729Encoder {
    fn drop(&mut self) {
        // SAFETY: made by `encoder_init`, closed nowhere else.
        unsafe { (self.calls.encoder_close)(self.state.as_ptr()) }
    }
}

// SAFETY: libbcg729 ties a state to no thread, and each has one owner.
unsafe impl Send for G729Decoder {}
// SAFETY: as above.
unsafe impl Send for G729Encoder {}

/// The library's functions, by its public header.
struct Bcg729 {
    decoder_init: unsafe extern "C" fn() -> *mut State,
    decoder_close: unsafe extern "C" fn(*mut State),
    /// State, bytes and their count, whether the frame was lost, whether it is one of silence, whether it is RFC 3389's; 80 samples come out.
    decode: unsafe extern "C" fn(*mut State, *const u8, u8, u8, u8, u8, *mut i16),
    encoder_init: unsafe extern "C" fn(u8) -> *mut State,
    encoder_close: unsafe extern "C" fn(*mut State),
    /// State, 80 samples; bytes and their count come out.
    encode: unsafe extern "C" fn(*mut State, *const i16, *mut u8, *mut u8),
}

#[repr(C)]
struct State {
    _private: [u8; 0],
}

/// Looked for once; kept for good, because its functions are.
fn bcg729() -> &'static Result<Bcg729, String> {
    static LIBRARY: OnceLock<Result<Bcg729, String>> = OnceLock::new();
    LIBRARY.get_or_init(|| load(FILE))
}

fn load(file: &str) -> Result<Bcg729, String> {
    let load = || {
        // SAFETY: this name and version is libbcg729's, whose functions have these types; it runs nothing when it is loaded.
        unsafe {
            let library = std::mem::ManuallyDrop::new(Library::new(file)?);
            Ok(Bcg729 {
                decoder_init: *library.get(b"initBcg729DecoderChannel\0")?,
                decoder_close: *library.get(b"closeBcg729DecoderChannel\0")?,
                decode: *library.get(b"bcg729Decoder\0")?,
                encoder_init: *library.get(b"initBcg729EncoderChannel\0")?,
                encoder_close: *library.get(b"closeBcg729EncoderChannel\0")?,
                encode: *library.get(b"bcg729Encoder\0")?,
            })
        }
    };
    load()
        .map_err(|error: libloading::Error| format!("{file} cannot be loaded (Debian: libbcg729-0): {error}"))
}

const FILE: &str = "libbcg729.so.0";
const NAME: &str = "G729";
const RATE: u32 = 8_000;
const FRAME_SAMPLES: usize = 80;
const FRAME_BYTES: usize = 10;
const SILENCE_BYTES: usize = 2;
/// 190 ms.
const MAX_BYTES: usize = crate::codec::MAX_FRAME_MS as usize;
const WITHOUT_ANNEX_B: u8 = 0;
const _: () = assert!(MAX_BYTES <= MAX_PAYLOAD);
const ABSENT: CodecError = CodecError::Library { codec: NAME, reason: "libbcg729 is not there" };
const OUT_OF_MEMORY: CodecError = CodecError::Library { codec: NAME, reason: "out of memory" };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::level_dbfs;
    use crate::voice::Voice;

    fn noise_after(silence: &[u8]) -> Vec<i16> {
        let mut decoder = (CodecId::G729.spec().decoder)(RATE, &Settings::default()).unwrap();
        let mut pcm = vec![0; 160];
        assert_eq!(decoder.decode(silence, &mut pcm), Ok(FRAME_SAMPLES));
        let mut noise = vec![0; RATE as usize / 2];
        decoder.conceal(&mut noise).unwrap();
        noise
    }

    #[test]
    fn a_frame_of_silence_becomes_noise_of_its_level_that_goes_on() {
        // ITU-T G.729 annex B, table B.2: 1 + 5 + 4 bits of spectrum, then 5 bits of energy in steps from -12 to 66 dB.
        let noise = |energy: u8| {
            let noise = noise_after(&[0, energy << 1]);
            println!("energy {energy}: {:.1} dBFS", level_dbfs(&noise));
            level_dbfs(&noise[400..])
        };
        let (low, high) = (noise(8), noise(20));
        assert!((-80.0..-50.0).contains(&low), "{low}");
        assert!(high > low + 10.0, "{low} and {high}");
    }

    #[test]
    fn silence_may_follow_speech_in_one_payload_but_not_precede_it() {
        let decoder = (CodecId::G729.spec().decoder)(RATE, &Settings::default()).unwrap();
        for (length, samples) in
            [(2, Some(80)), (10, Some(80)), (12, Some(160)), (20, Some(160)), (11, None), (3, None)]
        {
            assert_eq!(decoder.samples_in(&vec![0; length]).ok(), samples, "{length} bytes");
        }
    }

    #[test]
    fn a_voice_is_ten_bytes_for_ten_milliseconds() {
        let mut encoder = (CodecId::G729.spec().encoder)(RATE, &Settings::default()).unwrap();
        let mut pcm = vec![0; 480];
        Voice::new(RATE).fill(&mut pcm);
        assert_eq!(encoder.encode(&pcm, &mut [0; MAX_PAYLOAD]), Ok(60));
        assert_eq!(
            encoder.encode(&pcm, &mut [0; 59]),
            Err(CodecError::BufferTooSmall { have: 59, need: 60 })
        );
    }

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let error = load("libnowhere.so.7").err().unwrap();
        assert!(error.starts_with("libnowhere.so.7 cannot be loaded (Debian: libbcg729-0)"), "{error}");
        assert_eq!(missing(), None, "scripts/setup.sh --tests installs it");
    }
}
