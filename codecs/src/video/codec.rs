//! What a video codec can do: two traits that all share, and the settings.

use super::format::VideoCodec;
use super::libvpx::{Vp8Decoder, Vp8Encoder};
use super::openh264::{H264Decoder, H264Encoder};
use super::picture::View;
use crate::error::CodecError;
use crate::payload::h264::{annex_b, kind, kind_of};
use crate::payload::{LONGEST, h264, vp8};

impl VideoCodec {
    /// A decoder of one stream.
    pub fn decoder(self) -> Result<Box<dyn VideoDecoder>, CodecError> {
        Ok(match self {
            Self::H264 => Box::new(H264Decoder::new()?),
            Self::Vp8 => Box::new(Vp8Decoder::new()?),
        })
    }

    /// An encoder of one stream.
    pub fn encoder(self, settings: &VideoSettings) -> Result<Box<dyn VideoEncoder>, CodecError> {
        let settings = settings.checked(self)?;
        Ok(match self {
            Self::H264 => Box::new(H264Encoder::new(settings)),
            Self::Vp8 => Box::new(Vp8Encoder::new(settings)),
        })
    }

    /// Whether a decoder can start with this coded picture: a key frame of VP8 (RFC 6386 §9.1), an IDR picture or a sequence parameter set of
    /// H.264.
    pub fn is_key(self, coded: &[u8]) -> bool {
        match self {
            Self::H264 => annex_b(coded).any(|unit| matches!(kind_of(unit[0]), kind::IDR | kind::SPS)),
            Self::Vp8 => coded.first().is_some_and(|first| first & 1 == 0),
        }
    }

    /// Whether this RTP payload brings, or begins to bring, such a picture.
    pub fn begins_key_picture(self, payload: &[u8]) -> bool {
        match self {
            Self::H264 => h264::begins_key_picture(payload),
            Self::Vp8 => vp8::begins_key_picture(payload),
        }
    }
}

/// Coded pictures to pictures. Holds the state of one stream.
pub trait VideoDecoder: Send {
    /// Decodes one coded picture. `None`: it was understood and shows nothing (parameter sets alone). After an error the stream is broken until
    /// a picture comes that [`VideoCodec::is_key`].
    fn decode(&mut self, coded: &[u8]) -> Result<Option<View<'_>>, CodecError>;
}

/// Pictures to coded pictures. Holds the state of one stream.
pub trait VideoEncoder: Send {
    /// Encodes one picture into `coded`, whose content goes. `key`: as a key frame, this very one. `at`: when it is to be seen, in the 90 kHz of
    /// RTP, later each time. A picture of another size than the last starts anew with a key frame.
    fn encode(
        &mut self,
        picture: View<'_>,
        key: bool,
        at: u64,
        coded: &mut Vec<u8>,
    ) -> Result<Coded, CodecError>;

    /// Aims at another bitrate from the next picture on, in bit/s.
    fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError>;
}

/// What became of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coded {
    /// Left out, to hold the bitrate.
    Nothing,
    /// A decoder can start here.
    Key,
    /// The difference to what came before.
    Delta,
}

/// How we encode video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSettings {
    /// Bit/s that an encoder aims at.
    pub bitrate: u32,
    /// Box into which larger pictures are scaled: its long and its short side, for portrait pictures turned.
    pub max_size: (u32, u32),
    /// Pictures a second; of more, some are left out.
    pub max_fps: u32,
    /// libvpx's fixed speed, 1 (best picture) to 16 (least work). Its adaptive speeds follow the wall clock and hunt on a busy machine.
    pub vp8_speed: u32,
    /// Most bytes of an H.264 slice: [`LONGEST`], so that packetization mode 0 can send it (RFC 6184 §6.2).
    pub slice_bytes: u32,
}

impl Default for VideoSettings {
    fn default() -> Self {
        let slice_bytes = LONGEST as u32;
        Self { bitrate: 800_000, max_size: (640, 480), max_fps: 30, vp8_speed: 8, slice_bytes }
    }
}

impl VideoSettings {
    /// The settings, or which of them an encoder cannot have.
    fn checked(&self, codec: VideoCodec) -> Result<Self, CodecError> {
        let refused = |name, value| CodecError::Setting { codec: codec.name(), name, value };
        let check = |name, value, range: std::ops::RangeInclusive<u32>| {
            range.contains(&value).then_some(()).ok_or(refused(name, value))
        };
        check("bitrate", self.bitrate, BITRATES)?;
        check("max_fps", self.max_fps, 1..=60)?;
        check("vp8_speed", self.vp8_speed, 1..=16)?;
        check("slice_bytes", self.slice_bytes, 400..=60_000)?;
        let (width, height) = self.max_size;
        super::picture::check_size(width as usize, height as usize)?;
        Ok(self.clone())
    }
}

/// What an encoder may be asked for, in bit/s: what is asked beyond is brought to the nearer end.
pub const BITRATES: std::ops::RangeInclusive<u32> = 20_000..=8_000_000;

/// Longest coded picture that we take: a key frame of [`MAX_PIXELS`](super::picture::MAX_PIXELS) at a bit and a half per pixel.
pub const MAX_CODED: usize = 400_000;
