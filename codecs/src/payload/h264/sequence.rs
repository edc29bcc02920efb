//! Sequence parameter sets, read far enough to know what a decoder would have to bear.

use super::bits::Bits;
use super::nal::malformed;
use crate::error::CodecError;
use crate::video::picture::check_size;
use crate::video::{Profile, ProfileLevel};

/// Pixels of all pictures that a decoder must keep: MaxDpbMbs of level 4 (H.264 table A-1), 12 MiB. Four pictures of the largest
/// size, nine of 1280x720: more than anybody uses for a live picture.
const MAX_KEPT: usize = 32_768 * 256;

/// What a sequence parameter set says of the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceParameters {
    /// `seq_parameter_set_id`.
    pub id: u32,
    /// What the stream really is, whatever SDP said.
    pub profile_level: ProfileLevel,
    /// In pixels, without what is cropped.
    pub width: usize,
    /// In pixels, without what is cropped.
    pub height: usize,
}

impl SequenceParameters {
    /// Reads one behind its NAL unit header (H.264 §7.3.2.1.1).
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let read = Self::read(body).ok_or(malformed("sequence parameter set"))?;
        read.check()
    }

    fn read(body: &[u8]) -> Option<Claims> {
        let (&[idc, constraints, level], rest) = body.split_first_chunk()?;
        let profile_level = ProfileLevel { profile: idc, constraints, level };
        let profile = profile_level.profile()?; // others have other fields, and no decoder here
        let mut bits = Bits::new(rest);
        let id = bits.at_most(31)?;
        // Half a chroma sample is a pixel; without colours a pixel is a pixel.
        let crop_unit = match profile {
            Profile::High | Profile::ConstrainedHigh => high_fields(&mut bits)?,
            _ => 2,
        };
        bits.at_most(12)?; // log2_max_frame_num_minus4
        picture_order(&mut bits)?;
        let kept = bits.at_most(16)?;
        bits.flag()?; // gaps_in_frame_num_value_allowed_flag
        let columns = bits.at_most(65_535)? + 1;
        let rows = bits.at_most(65_535)? + 1;
        let fields = if bits.flag()? { 1 } else { 2 };
        if fields == 2 {
            bits.flag()?; // mb_adaptive_frame_field_flag
        }
        bits.flag()?; // direct_8x8_inference_flag
        let mut crop = [0; 4];
        if bits.flag()? {
            for side in &mut crop {
                *side = bits.at_most(65_535)?;
            }
        }
        let [left, right, top, bottom] = crop.map(|side| side as usize * crop_unit);
        let coded = (columns as usize * 16, rows as usize * 16 * fields);
        let width = coded.0.checked_sub(left + right)?;
        let height = coded.1.checked_sub((top + bottom) * fields)?;
        Some(Claims { says: Self { id, profile_level, width, height }, coded, kept: kept as usize })
    }
}

/// What a parameter set claims, not yet believed.
struct Claims {
    says: SequenceParameters,
    /// Width and height with what is cropped.
    coded: (usize, usize),
    /// Pictures that a decoder must keep.
    kept: usize,
}

impl Claims {
    fn check(self) -> Result<SequenceParameters, CodecError> {
        let (width, height) = self.coded;
        check_size(width, height)?;
        check_size(self.says.width, self.says.height)?;
        let fits = width * height * self.kept <= MAX_KEPT;
        fits.then_some(self.says).ok_or(malformed("sequence parameter set: too many pictures to keep"))
    }
}

/// What only high profiles have (H.264 §7.3.2.1.1), 8 bits and 4:2:0 or grey as they must be; returns the unit of cropping.
fn high_fields(bits: &mut Bits<'_>) -> Option<usize> {
    let chroma_format = bits.at_most(1)?;
    bits.at_most(0)?; // bit_depth_luma_minus8
    bits.at_most(0)?; // bit_depth_chroma_minus8
    bits.flag()?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        for list in 0..8 {
            if bits.flag()? {
                scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(if chroma_format == 0 { 1 } else { 2 })
}

/// H.264 §7.3.2.1.1.1.
fn scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let mut last = 8;
    for _ in 0..size {
        let delta = bits.signed().filter(|delta| (-128..=127).contains(delta))?;
        let next = (last + delta).rem_euclid(256);
        if next == 0 {
            break;
        }
        last = next;
    }
    Some(())
}

fn picture_order(bits: &mut Bits<'_>) -> Option<()> {
    match bits.at_most(2)? {
        0 => drop(bits.at_most(12)?),
        1 => {
            bits.flag()?;
            bits.signed()?;
            bits.signed()?;
            for _ in 0..bits.at_most(255)? {
                bits.signed()?;
            }
        }
        _ => {}
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::bits::writer::Writer;
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// Baseline 3.1 of a size in macroblocks that keeps so many pictures, cropped by left, right, top and bottom.
    fn baseline(columns: u32, rows: u32, kept: u32, crop: [u32; 4]) -> Vec<u8> {
        let head = Writer::default().codes(&[0, 0, 2, kept]).number(0, 1);
        let size = head.codes(&[columns - 1, rows - 1]).number(0b111, 3);
        size.codes(&crop).number(0, 1).body([0x42, 0xe0, 0x1f])
    }

    #[test]
    fn sequence_parameter_sets_of_x264_tell_profile_level_and_size() {
        let check = |hex: &str, id: &str, width, height| {
            let set = SequenceParameters::parse(&bytes(hex)[1..]).unwrap();
            assert_eq!((&*set.profile_level.to_string(), set.width, set.height), (id, width, height));
        };
        check("6742c00ad902c4ec0440000003004000000783c48992", "42c00a", 176, 144);
        check("6742c00ad907279e230110000003001000000301e0f1226480", "42c00a", 100, 50);
        check("6742c00cd90141fb0110000003001000000301e0f142a480", "42c00c", 320, 240);
        check("674d4016eca0501ed80880000003008000000f078b16cb", "4d4016", 640, 480);
        check("6764001eacd940d83de6f0110000030001000003001e0f162d96", "64001e", 854, 480);
        check("6742c01fd9005005bb0110000003001000000301e0f1832480", "42c01f", 1280, 720);
        check("67640028acd940780227e5c044000003000400000300783c60c658", "640028", 1920, 1080);
        check("674d4028eca02201e3cbe0220000030002000003003c1e30632c", "4d4028", 1080, 1920);
        // interlaced, and grey
        check("674d4028eca03c0227ef011000000300100000030321f162d960", "4d4028", 1920, 1080);
        check("6764000df3650507ec05b2000003000200000300641e28532c", "64000d", 320, 240);
    }

    #[test]
    fn pictures_too_large_and_of_other_colours_are_refused() {
        let refused = |hex: &str| SequenceParameters::parse(&bytes(hex)[1..]).unwrap_err();
        let large = |width, height| CodecError::PictureSize { width, height };
        let larger = "67640032acd9402800b5b0110000030001000003001e0f183196";
        assert_eq!(refused(larger), large(2560, 1440));
        assert_eq!(refused("67640033acd9401000101b0110000003001000000301e0f1831960"), large(4096, 2048));
        for foreign in [
            "67f4000d919b28283f6022000003000200000300641e28532c", // 4:4:4
            "676e000da6cd94141fb011000003000100000300320f142996", // 10 bits
            "677a000dbcd94141fb011000000300100000030320f1429960", // 4:2:2
        ] {
            assert_eq!(refused(foreign), malformed("sequence parameter set"));
        }
    }

    #[test]
    fn claims_are_held_to_what_a_decoder_can_bear() {
        let size = |columns, rows, kept, crop| {
            let parameters = SequenceParameters::parse(&baseline(columns, rows, kept, crop));
            parameters.map(|parameters| (parameters.width, parameters.height))
        };
        let too_large = |width, height| Err(CodecError::PictureSize { width, height });
        assert_eq!(size(120, 68, 4, [0, 0, 0, 4]), Ok((1920, 1080)));
        assert_eq!(size(68, 120, 4, [0; 4]), Ok((1088, 1920)));
        assert_eq!(size(160, 51, 4, [0; 4]), Ok((2560, 816)));
        assert_eq!(size(161, 1, 1, [0; 4]), too_large(2576, 16));
        assert_eq!(size(1, 161, 1, [0; 4]), too_large(16, 2576));
        assert_eq!(size(121, 68, 1, [8, 0, 0, 0]), too_large(1936, 1088));
        assert_eq!(size(65_536, 65_536, 1, [0; 4]), too_large(1_048_576, 1_048_576));
        assert_eq!(size(1, 1, 1, [4, 4, 0, 0]), too_large(0, 16));
        assert_eq!(size(1, 1, 1, [9, 0, 0, 0]), Err(malformed("sequence parameter set")));
        assert_eq!(size(80, 45, 9, [0; 4]), Ok((1280, 720)));
        let kept = Err(malformed("sequence parameter set: too many pictures to keep"));
        assert_eq!(size(80, 45, 10, [0; 4]), kept);
        assert_eq!(size(1, 1, 17, [0; 4]), Err(malformed("sequence parameter set")));
    }

    #[test]
    fn scaling_lists_and_order_type_1_are_read_over() {
        // High, all eight lists present: each falls to 0 at its second number and so ends.
        let head = Writer::default().codes(&[3, 1, 0, 0]).number(0b01, 2);
        let lists = (0..8).fold(head, |writer, _| writer.number(1, 1).codes(&[1, 18]));
        let order = lists.codes(&[0, 1]).number(0, 1).codes(&[5, 6, 2, 1, 2, 4]).number(1, 1);
        let body = order.codes(&[19, 14]).number(0b1100, 4).body([100, 0, 31]);
        let parameters = SequenceParameters::parse(&body).unwrap();
        assert_eq!((parameters.id, parameters.width, parameters.height), (3, 320, 240));
        for length in 0..body.len() - 1 {
            assert!(SequenceParameters::parse(&body[..length]).is_err(), "{length}");
        }
    }
}
