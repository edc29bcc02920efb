//! H.264 by Cisco's openh264, built from source; the only file that calls it.
//!
//! We encode constrained baseline without B pictures, which every phone and browser decodes, in slices that fit a packet. One thread; the
//! library's own frame skipping holds the bitrate. A picture of another size gets a new encoder: what the library does itself then would forget
//! the bitrate that was set meanwhile.
#![allow(unsafe_code)]

use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig, Flush};
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, Profile, RateControlMode,
};
use openh264::formats::YUVSource;
use std::ffi::c_int;

use super::codec::{BITRATES, Coded, MAX_CODED, VideoDecoder, VideoEncoder, VideoSettings};
use super::format::VIDEO_CLOCK;
use super::picture::View;
use crate::error::CodecError;
use crate::payload::h264::{SequenceParameters, annex_b, kind, kind_of};

pub(super) struct H264Decoder(Decoder);

impl H264Decoder {
    pub(super) fn new() -> Result<Self, CodecError> {
        // A picture is to come out as soon as it went in, also from profiles that might reorder: phones do not.
        let config = DecoderConfig::new().flush_after_decode(Flush::Flush);
        let decoder = Decoder::with_api_config(OpenH264API::from_source(), config);
        Ok(Self(decoder.map_err(|_| library("no decoder"))?))
    }
}

impl VideoDecoder for H264Decoder {
    fn decode(&mut self, coded: &[u8]) -> Result<Option<View<'_>>, CodecError> {
        match coded.len() {
            0 => return Err(CodecError::EmptyPayload),
            1..=MAX_CODED => {}
            length => return Err(CodecError::PayloadLength { length, least: 1, most: MAX_CODED }),
        }
        annex_b(coded).try_for_each(check_unit)?;
        let refused = |_| CodecError::Malformed { codec: NAME, reason: "a picture that openh264 refuses" };
        let Some(picture) = self.0.decode(coded).map_err(refused)? else { return Ok(None) };
        let ((width, height), strides) = (picture.dimensions(), picture.strides());
        // SAFETY: the planes are the library's and stay as they are until it decodes the next picture, for which this decoder must be borrowed
        // anew; the wrapper gives them the shorter life of its own struct.
        let lent = |plane: &[u8]| unsafe { std::slice::from_raw_parts(plane.as_ptr(), plane.len()) };
        let planes =
            [(lent(picture.y()), strides.0), (lent(picture.u()), strides.1), (lent(picture.v()), strides.2)];
        View::new(width, height, planes).map(Some)
    }
}

/// Refuses parameter sets that would have the library make room for absurd pictures.
fn check_unit(unit: &[u8]) -> Result<(), CodecError> {
    match kind_of(unit[0]) {
        kind::SPS => SequenceParameters::parse(&unit[1..]).map(drop),
        // The library would believe their sizes. They are for streams in layers (SVC), which nobody agreed to.
        kind::SUBSET_SPS => Err(CodecError::Malformed { codec: NAME, reason: "parameters of another layer" }),
        _ => Ok(()),
    }
}

pub(super) struct H264Encoder {
    settings: VideoSettings,
    /// Made for the size of the first picture, and again for each other size.
    encoder: Option<((usize, usize), Encoder)>,
}

impl H264Encoder {
    pub(super) fn new(settings: VideoSettings) -> Self {
        Self { settings, encoder: None }
    }

    fn make(&self) -> Result<Encoder, CodecError> {
        let VideoSettings { bitrate, max_fps, slice_bytes, .. } = self.settings;
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(bitrate))
            .max_frame_rate(FrameRate::from_hz(max_fps as f32))
            .rate_control_mode(RateControlMode::Bitrate)
            .profile(Profile::Baseline)
            .complexity(Complexity::Low)
            .scene_change_detect(false) // a key frame comes when it is asked for
            .skip_frames(true)
            .max_slice_len(slice_bytes)
            .num_threads(1);
        let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config)
            .map_err(|_| library("no encoder"))?;
        set_option(&mut encoder, TRACE_LEVEL, &mut 0)?; // it would write on standard error
        Ok(encoder)
    }
}

impl VideoEncoder for H264Encoder {
    fn encode(
        &mut self,
        picture: View<'_>,
        key: bool,
        at: u64,
        coded: &mut Vec<u8>,
    ) -> Result<Coded, CodecError> {
        coded.clear();
        let size = (picture.width(), picture.height());
        if self.encoder.as_ref().is_none_or(|(made, _)| *made != size) {
            self.encoder = Some((size, self.make()?));
        } else if let (true, Some((_, encoder))) = (key, &mut self.encoder) {
            encoder.force_intra_frame();
        }
        let Some((_, encoder)) = &mut self.encoder else { return Err(library("no encoder")) };
        let at = openh264::Timestamp::from_millis(at / u64::from(VIDEO_CLOCK / 1_000));
        let stream = encoder.encode_at(&Source(picture), at).map_err(|_| library("a picture not encoded"))?;
        stream.write_vec(coded);
        Ok(match stream.frame_type() {
            _ if coded.is_empty() => Coded::Nothing,
            FrameType::IDR => Coded::Key,
            _ => Coded::Delta,
        })
    }

    fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError> {
        let bitrate = bitrate.clamp(*BITRATES.start(), *BITRATES.end());
        let before = std::mem::replace(&mut self.settings.bitrate, bitrate);
        let Some((_, encoder)) = &mut self.encoder else { return Ok(()) };
        let mut set =
            |option, layer| set_option(encoder, option, &mut Bitrate { layer, bitrate: bitrate as c_int });
        // The library wants the aim below the most at all times, and keeps the most with the layer.
        if bitrate > before {
            set(MAX_BITRATE, FIRST_LAYER)?;
            set(BITRATE, ALL_LAYERS)
        } else {
            set(BITRATE, ALL_LAYERS)?;
            set(MAX_BITRATE, FIRST_LAYER)
        }
    }
}

/// Sets what the wrapper has no word for. `value` must be what `option` reads.
fn set_option<T>(encoder: &mut Encoder, option: c_int, value: &mut T) -> Result<(), CodecError> {
    // SAFETY: the encoder is alive; the callers pair each option with the type that the library's header names for it.
    match unsafe { encoder.raw_api().set_option(option, (&raw mut *value).cast()) } {
        0 => Ok(()),
        _ => Err(library("an option refused")),
    }
}

/// As the library's header shows it (`SBitrateInfo`).
#[repr(C)]
struct Bitrate {
    layer: c_int,
    bitrate: c_int,
}

/// A lent picture as the wrapper wants it.
struct Source<'a>(View<'a>);

impl YUVSource for Source<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.0.width(), self.0.height())
    }

    fn strides(&self) -> (usize, usize, usize) {
        let [y, u, v] = self.0.planes();
        (y.stride(), u.stride(), v.stride())
    }

    fn strides_i32(&self) -> (i32, i32, i32) {
        let (y, u, v) = self.strides();
        (y as i32, u as i32, v as i32)
    }

    fn y(&self) -> &[u8] {
        self.0.planes()[0].bytes()
    }

    fn u(&self) -> &[u8] {
        self.0.planes()[1].bytes()
    }

    fn v(&self) -> &[u8] {
        self.0.planes()[2].bytes()
    }
}

const fn library(reason: &'static str) -> CodecError {
    CodecError::Library { codec: NAME, reason }
}

const NAME: &str = "H264";
// Of `ENCODER_OPTION` and `LAYER_NUM` in the library's header.
const BITRATE: c_int = 5;
const MAX_BITRATE: c_int = 6;
const TRACE_LEVEL: c_int = 25;
const FIRST_LAYER: c_int = 0;
const ALL_LAYERS: c_int = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::pattern;

    #[test]
    fn a_picture_of_any_profile_comes_out_as_soon_as_it_went_in() {
        for profile in [Profile::Baseline, Profile::Main, Profile::High] {
            let config =
                EncoderConfig::new().profile(profile).num_threads(1).rate_control_mode(RateControlMode::Off);
            let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).unwrap();
            let mut decoder = H264Decoder::new().unwrap();
            for number in 0..20 {
                let picture = pattern::picture((176, 144), number);
                let at = openh264::Timestamp::from_millis(number as u64 * 33);
                let coded = encoder.encode_at(&Source(picture.view()), at).unwrap().to_vec();
                let ratio = pattern::psnr(decoder.decode(&coded).unwrap().unwrap(), picture.view());
                assert!(ratio > 27.0, "{profile:?}: picture {number}, {ratio:.1} dB");
            }
        }
    }

    #[test]
    fn a_size_that_is_no_whole_macroblocks_is_kept() {
        let (mut coded, mut decoder) = (vec![], H264Decoder::new().unwrap());
        let mut encoder = H264Encoder::new(VideoSettings::default());
        encoder.encode(pattern::picture((172, 140), 0).view(), true, 0, &mut coded).unwrap();
        let view = decoder.decode(&coded).unwrap().unwrap();
        assert_eq!((view.width(), view.height()), (172, 140));
    }
}
