//! The VP8 payload format (RFC 7741): a descriptor before each piece of a frame.

use super::picture::{self, Assembly};
use crate::error::CodecError;
use crate::video::picture::check_size;

/// Puts frames together.
pub type Depacketiser = picture::Depacketiser<Frames>;

/// What stands before a piece of a frame (RFC 7741 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// N: no other frame needs this one.
    pub non_reference: bool,
    /// S: a partition begins here.
    pub start: bool,
    /// PID, 0 to 7: which partition.
    pub partition: u8,
    /// PictureID, where there is one.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX, where there is one.
    pub base_layer: Option<u8>,
    /// TID, Y and KEYIDX as they stand in their byte; which of them count.
    pub layer: Option<Layer>,
}

/// PictureID in one of its two lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureId {
    /// 7 bits.
    Short(u8),
    /// 15 bits.
    Long(u16),
}

/// The byte that T and K share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// TID and Y: the temporal layer, and whether the frame needs the base layer alone.
    pub temporal: Option<(u8, bool)>,
    /// KEYIDX.
    pub key_index: Option<u8>,
}

impl Descriptor {
    /// Longest descriptor in bytes.
    pub const LONGEST: usize = 6;

    /// Reads it, returns what stands behind it.
    pub fn parse(payload: &[u8]) -> Result<(Self, &[u8]), CodecError> {
        Self::read(payload).ok_or(malformed("descriptor cut off"))
    }

    fn read(payload: &[u8]) -> Option<(Self, &[u8])> {
        let mut rest = payload;
        let mut byte = || {
            let (first, behind) = rest.split_first()?;
            rest = behind;
            Some(*first)
        };
        let first = byte()?;
        let mut descriptor = Self {
            non_reference: first & NON_REFERENCE != 0,
            start: first & START != 0,
            partition: first & PARTITION,
            ..Self::default()
        };
        let extension = if first & EXTENDED != 0 { byte()? } else { 0 };
        if extension & PICTURE_ID != 0 {
            let high = byte()?;
            descriptor.picture_id = Some(match high & LONG {
                0 => PictureId::Short(high),
                _ => PictureId::Long(u16::from_be_bytes([high & !LONG, byte()?])),
            });
        }
        if extension & BASE_LAYER != 0 {
            descriptor.base_layer = Some(byte()?);
        }
        if extension & (TEMPORAL | KEY_INDEX) != 0 {
            let layer = byte()?;
            let temporal = (extension & TEMPORAL != 0).then_some((layer >> 6, layer & LAYER_SYNC != 0));
            let key_index = (extension & KEY_INDEX != 0).then_some(layer & 0x1f);
            descriptor.layer = Some(Layer { temporal, key_index });
        }
        Some((descriptor, rest))
    }

    /// Appends it.
    pub fn write(&self, payload: &mut Vec<u8>) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let temporal = self.layer.and_then(|layer| layer.temporal);
        let key_index = self.layer.and_then(|layer| layer.key_index);
        let extension = bit(self.picture_id.is_some(), PICTURE_ID)
            | bit(self.base_layer.is_some(), BASE_LAYER)
            | bit(temporal.is_some(), TEMPORAL)
            | bit(key_index.is_some(), KEY_INDEX);
        let flags = bit(self.non_reference, NON_REFERENCE) | bit(self.start, START);
        payload.push(bit(extension != 0, EXTENDED) | flags | self.partition & PARTITION);
        if extension != 0 {
            payload.push(extension);
        }
        match self.picture_id {
            Some(PictureId::Short(id)) => payload.push(id & !LONG),
            Some(PictureId::Long(id)) => {
                let [high, low] = id.to_be_bytes();
                payload.extend_from_slice(&[high | LONG, low]);
            }
            None => {}
        }
        payload.extend(self.base_layer);
        if temporal.is_some() || key_index.is_some() {
            let (layer, sync) = temporal.unwrap_or_default();
            payload.push(layer << 6 | bit(sync, LAYER_SYNC) | key_index.unwrap_or_default() & 0x1f);
        }
    }

    /// Whether a frame begins with this payload.
    fn begins_frame(&self) -> bool {
        self.start && self.partition == 0
    }
}

/// Whether a payload begins a key frame.
pub fn begins_key_picture(payload: &[u8]) -> bool {
    let Ok((descriptor, frame)) = Descriptor::parse(payload) else { return false };
    descriptor.begins_frame() && frame.first().is_some_and(|byte| byte & INTER == 0)
}

/// The frame at hand.
#[derive(Debug, Default)]
pub struct Frames {
    /// What the first payload was: whether a frame begins with it.
    begun: Option<bool>,
}

impl Assembly for Frames {
    fn begin(&mut self, _timestamp: u32) {
        self.begun = None;
    }

    fn add(&mut self, payload: &[u8], picture: &mut Vec<u8>) -> Result<(), CodecError> {
        let (descriptor, bytes) = Descriptor::parse(payload)?;
        if self.begun.is_some() && descriptor.begins_frame() {
            return Err(malformed("two frames of one timestamp"));
        }
        self.begun.get_or_insert(descriptor.begins_frame());
        picture.extend_from_slice(bytes);
        Ok(())
    }

    fn begins_whole(&self) -> bool {
        self.begun == Some(true)
    }

    fn finish(&mut self, picture: &[u8]) -> Result<Option<bool>, CodecError> {
        if self.begun != Some(true) {
            return Err(malformed("a frame without its beginning"));
        }
        FrameHead::parse(picture).map(|head| Some(head.size.is_some()))
    }
}

/// What the first bytes of a frame say (RFC 6386 §9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Width and height in pixels; a key frame has them, others have not.
    pub size: Option<(u16, u16)>,
}

impl FrameHead {
    /// Reads it, and refuses a frame that claims to be larger than any that we take, or than itself.
    pub fn parse(frame: &[u8]) -> Result<Self, CodecError> {
        let (tag, rest) = frame.split_first_chunk::<3>().ok_or(malformed("frame cut off"))?;
        let inter = tag[0] & INTER != 0;
        let first_partition = u32::from_le_bytes([tag[0], tag[1], tag[2], 0]) >> 5;
        let (size, rest) = if inter { (None, rest) } else { key_frame(rest)? };
        let whole = rest.len() as u64 >= u64::from(first_partition);
        whole.then_some(Self { size }).ok_or(malformed("first partition cut off"))
    }
}

/// Width and height in pixels, and what stands behind them.
type Sized<'a> = (Option<(u16, u16)>, &'a [u8]);

fn key_frame(bytes: &[u8]) -> Result<Sized<'_>, CodecError> {
    let (head, rest) = bytes.split_first_chunk::<7>().ok_or(malformed("key frame cut off"))?;
    let &[0x9d, 0x01, 0x2a, width, width_high, height, height_high] = head else {
        return Err(malformed("key frame without its start code"));
    };
    // The two highest bits are a wish for scaling, which nobody heeds.
    let pixels = |low, high| u16::from_le_bytes([low, high & 0x3f]);
    let (width, height) = (pixels(width, width_high), pixels(height, height_high));
    check_size(width.into(), height.into())?;
    Ok((Some((width, height)), rest))
}

/// Makes payloads of frames.
#[derive(Debug)]
pub struct Packetiser {
    longest: usize,
    picture_id: u16,
    scratch: Vec<u8>,
}

impl Packetiser {
    /// For payloads of at most `longest` bytes; picture ids count from `picture_id`, which should be random (RFC 7741 §4.2).
    pub fn new(longest: usize, picture_id: u16) -> Self {
        let longest = longest.clamp(SHORTEST, crate::MAX_PAYLOAD);
        Self { longest, picture_id: picture_id & PICTURE_IDS, scratch: Vec::with_capacity(longest) }
    }

    /// Gives the payloads of a frame, of about equal length, with their markers.
    pub fn packetise(&mut self, frame: &[u8], out: &mut dyn FnMut(&[u8], bool)) {
        if frame.is_empty() {
            return;
        }
        let pieces = frame.len().div_ceil(self.longest - Descriptor::LONGEST);
        let mut pieces = frame.chunks(frame.len().div_ceil(pieces)).peekable();
        let picture_id = Some(PictureId::Long(self.picture_id));
        let mut descriptor = Descriptor { start: true, picture_id, ..Descriptor::default() };
        while let Some(piece) = pieces.next() {
            self.scratch.clear();
            descriptor.write(&mut self.scratch);
            self.scratch.extend_from_slice(piece);
            out(&self.scratch, pieces.peek().is_none());
            descriptor.start = false;
        }
        self.picture_id = (self.picture_id + 1) & PICTURE_IDS;
    }
}

fn malformed(reason: &'static str) -> CodecError {
    CodecError::Malformed { codec: "VP8", reason }
}

const EXTENDED: u8 = 0x80;
const NON_REFERENCE: u8 = 0x20;
const START: u8 = 0x10;
const PARTITION: u8 = 0x07;
const PICTURE_ID: u8 = 0x80;
const BASE_LAYER: u8 = 0x40;
const TEMPORAL: u8 = 0x20;
const KEY_INDEX: u8 = 0x10;
const LONG: u8 = 0x80;
const LAYER_SYNC: u8 = 0x20;
/// P of the frame tag.
const INTER: u8 = 0x01;
const PICTURE_IDS: u16 = 0x7fff;
/// Below this nothing sensible can be sent.
const SHORTEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(payload: &[u8]) -> (Descriptor, usize) {
        let (descriptor, rest) = Descriptor::parse(payload).unwrap();
        (descriptor, rest.len())
    }

    #[test]
    fn descriptors_read_as_the_rfc_draws_them() {
        let plain = Descriptor { start: true, ..Descriptor::default() };
        assert_eq!(read(&[0x10, 1, 2]), (plain, 2));
        let short = Descriptor { picture_id: Some(PictureId::Short(17)), ..plain };
        assert_eq!(read(&[0x90, 0x80, 17, 1]), (short, 1)); // RFC 7741 §4.5.1
        let long = Descriptor { picture_id: Some(PictureId::Long(4711)), ..plain };
        assert_eq!(read(&[0x90, 0x80, 0x92, 0x67]), (long, 0)); // RFC 7741 §4.5.5
        let layer = Layer { temporal: Some((2, true)), key_index: Some(9) };
        let full = Descriptor {
            non_reference: true,
            partition: 3,
            base_layer: Some(200),
            layer: Some(layer),
            ..long
        };
        assert_eq!(read(&[0xb3, 0xf0, 0x92, 0x67, 200, 0xa9, 5]), (full, 1));
        let key_index = Layer { temporal: None, key_index: Some(31) };
        let bare = Descriptor { layer: Some(key_index), ..Descriptor::default() };
        assert_eq!(read(&[0x80, 0x10, 0x1f]), (bare, 0));
        // Reserved bits say nothing.
        assert_eq!(read(&[0x58, 1]), (plain, 1));
        assert_eq!(read(&[0x90, 0x8f, 17]), (short, 0));
    }

    #[test]
    fn descriptors_cut_off_are_refused() {
        let full = [0xb3, 0xf0, 0x92, 0x67, 200, 0xa9];
        for length in 0..full.len() {
            assert!(Descriptor::parse(&full[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_key_frame_is_known_by_the_payload_that_begins_it() {
        for key in [&[0x10, 0x10][..], &[0x90, 0x80, 0x81, 0x02, 0x30]] {
            assert!(begins_key_picture(key));
        }
        for other in [&[][..], &[0x10], &[0x10, 0x11], &[0x00, 0x10], &[0x11, 0x10], &[0x90, 0x80]] {
            assert!(!begins_key_picture(other), "{other:?}");
        }
    }

    #[test]
    fn frames_of_absurd_sizes_are_refused() {
        let key = |width: u16, height: u16| {
            let ([w, wh], [h, hh]) = (width.to_le_bytes(), height.to_le_bytes());
            FrameHead::parse(&[0x10, 0, 0, 0x9d, 0x01, 0x2a, w, wh, h, hh])
        };
        let large = |width, height| Err(CodecError::PictureSize { width, height });
        assert_eq!(key(640, 480), Ok(FrameHead { size: Some((640, 480)) }));
        assert_eq!(key(1080 | 0x4000, 1920 | 0xc000), Ok(FrameHead { size: Some((1080, 1920)) }));
        assert_eq!(key(2560, 816), Ok(FrameHead { size: Some((2560, 816)) }));
        assert_eq!(key(2561, 16), large(2561, 16));
        assert_eq!(key(1920, 1089), large(1920, 1089));
        assert_eq!(key(16_383, 16_383), large(16_383, 16_383));
        assert_eq!(key(0, 480), large(0, 480));
        assert_eq!(key(640, 0), large(640, 0));
    }

    #[test]
    fn frames_shorter_than_they_say_are_refused() {
        assert_eq!(FrameHead::parse(&[0x31, 0, 0, 9]), Ok(FrameHead { size: None }));
        for cut in [&[][..], &[0x31, 0], &[0x31, 0, 0], &[0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64]] {
            assert!(FrameHead::parse(cut).is_err(), "{cut:?}");
        }
        assert!(FrameHead::parse(&[0x10, 0, 0, 0x9d, 0x01, 0x2b, 64, 0, 64, 0]).is_err());
    }

    prop_compose! {
        fn any_layer()(temporal in proptest::option::of((0u8..4, any::<bool>())), key_index in proptest::option::of(0u8..32))
            -> Option<Layer> {
            (temporal.is_some() || key_index.is_some()).then_some(Layer { temporal, key_index })
        }
    }

    prop_compose! {
        fn any_descriptor()(
            (non_reference, start, partition) in (any::<bool>(), any::<bool>(), 0u8..8),
            id in proptest::option::of(prop_oneof![
                (0u8..128).prop_map(PictureId::Short),
                (0u16..0x8000).prop_map(PictureId::Long),
            ]),
            base_layer in any::<Option<u8>>(),
            layer in any_layer(),
        ) -> Descriptor {
            Descriptor { non_reference, start, partition, picture_id: id, base_layer, layer }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(descriptor in any_descriptor()) {
            let mut payload = vec![];
            descriptor.write(&mut payload);
            prop_assert!(payload.len() <= Descriptor::LONGEST);
            payload.push(7);
            prop_assert_eq!(Descriptor::parse(&payload).unwrap(), (descriptor, &[7][..]));
        }

        #[test]
        fn any_bytes_read_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            let _ = FrameHead::parse(&bytes);
            if let Ok((_, rest)) = Descriptor::parse(&bytes) {
                prop_assert!(bytes.len() - rest.len() <= Descriptor::LONGEST);
            }
            begins_key_picture(&bytes);
        }
    }
}
