//! Coded pictures to payloads, whatever the codec.

use super::{h264, vp8};
use crate::error::CodecError;
use crate::video::format::VideoFormat;

/// Makes payloads for a receiver of one format.
#[derive(Debug)]
pub enum Payloads {
    /// RFC 6184.
    H264(h264::Packetiser),
    /// RFC 7741.
    Vp8(vp8::Packetiser),
}

impl Payloads {
    /// Of at most `longest` bytes each; `random` is where VP8 begins to count its pictures.
    pub fn new(format: &VideoFormat, longest: usize, random: u16) -> Self {
        match format {
            VideoFormat::H264(format) => {
                Self::H264(h264::Packetiser::new(format.packetization_mode, longest))
            }
            VideoFormat::Vp8 => Self::Vp8(vp8::Packetiser::new(longest, random)),
        }
    }

    /// Gives the payloads of a picture with their markers. An error: it does not fit the format's packets, and nothing was given.
    pub fn packetise(&mut self, picture: &[u8], out: &mut dyn FnMut(&[u8], bool)) -> Result<(), CodecError> {
        match self {
            Self::H264(payloads) => payloads.packetise(picture, out),
            Self::Vp8(payloads) => {
                payloads.packetise(picture, out);
                Ok(())
            }
        }
    }
}
