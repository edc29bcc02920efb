//! NAL units: where they stand in a payload and in an Annex B picture.

use crate::error::CodecError;

/// `nal_unit_type` (H.264 table 7-1, RFC 6184 table 1).
pub(crate) mod kind {
    pub const SLICE: u8 = 1;
    pub const IDR: u8 = 5;
    pub const SEI: u8 = 6;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const DELIMITER: u8 = 9;
    pub const SUBSET_SPS: u8 = 15;
    pub const LAST: u8 = 23;
    pub const STAP_A: u8 = 24;
    pub const FU_A: u8 = 28;
}

/// Mask of `nal_ref_idc`, and of it with the forbidden bit.
pub(super) const REFERENCE: u8 = 0x60;
const FORBIDDEN: u8 = 0x80;
/// Bits of the FU header (RFC 6184 §5.8).
pub(super) const START: u8 = 0x80;
pub(super) const END: u8 = 0x40;

/// What a payload is.
pub(super) enum Payload<'a> {
    Single(&'a [u8]),
    Aggregate(Aggregate<'a>),
    Fragment(Fragment<'a>),
}

/// A piece of a NAL unit that has more than one packet.
pub(super) struct Fragment<'a> {
    /// The header of the NAL unit.
    pub header: u8,
    pub start: bool,
    pub end: bool,
    pub bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Self, CodecError> {
        let (&header, rest) = payload.split_first().ok_or(CodecError::EmptyPayload)?;
        if header & FORBIDDEN != 0 {
            return Err(malformed("forbidden bit"));
        }
        match kind_of(header) {
            1..=kind::LAST => Ok(Self::Single(payload)),
            kind::STAP_A => Ok(Self::Aggregate(Aggregate(rest))),
            kind::FU_A => Fragment::parse(header, rest).map(Self::Fragment),
            _ => Err(malformed("neither a NAL unit, STAP-A nor FU-A")),
        }
    }
}

impl<'a> Fragment<'a> {
    fn parse(indicator: u8, rest: &'a [u8]) -> Result<Self, CodecError> {
        let (&header, bytes) = rest.split_first().ok_or(malformed("FU-A without a header"))?;
        let (start, end) = (header & START != 0, header & END != 0);
        if bytes.is_empty() || !(1..=kind::LAST).contains(&kind_of(header)) {
            return Err(malformed("FU-A of no NAL unit"));
        }
        Ok(Self { header: indicator & REFERENCE | kind_of(header), start, end, bytes })
    }
}

/// The NAL units of a STAP-A.
#[derive(Clone, Copy)]
pub(super) struct Aggregate<'a>(&'a [u8]);

impl<'a> Iterator for Aggregate<'a> {
    type Item = Result<&'a [u8], CodecError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        if rest.is_empty() {
            return None;
        }
        let unit = rest.split_first_chunk().and_then(|(size, rest)| {
            let (unit, rest) = rest.split_at_checked(u16::from_be_bytes(*size).into())?;
            self.0 = rest;
            let header = *unit.first()?;
            let plain = header & FORBIDDEN == 0 && (1..=kind::LAST).contains(&kind_of(header));
            plain.then_some(unit)
        });
        if unit.is_none() {
            self.0 = &[];
        }
        Some(unit.ok_or(malformed("STAP-A with a bad NAL unit")))
    }
}

/// Whether a payload brings, or begins to bring, what a decoder can begin with: an IDR picture, or the sequence parameter
/// set before it.
pub fn begins_key_picture(payload: &[u8]) -> bool {
    let key = |header: u8| matches!(kind_of(header), kind::IDR | kind::SPS);
    match Payload::parse(payload) {
        Ok(Payload::Single(unit)) => key(unit[0]),
        Ok(Payload::Aggregate(units)) => units.map_while(Result::ok).any(|unit| key(unit[0])),
        Ok(Payload::Fragment(fragment)) => fragment.start && key(fragment.header),
        Err(_) => false,
    }
}

/// The NAL units of a picture in Annex B. Bytes before the first start code are none.
pub(crate) fn annex_b(picture: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(picture);
    std::iter::from_fn(move || {
        let unit = rest?;
        let next = after_start_code(unit);
        let end = next.map_or(unit.len(), |next| unit.len() - next.len() - START_CODE.len());
        rest = next;
        // A fourth byte of the next start code, and padding: no NAL unit ends with a zero (H.264 §7.4.1).
        let length = unit[..end].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&unit[..length])
    })
    .filter(|unit| !unit.is_empty())
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    let place = bytes.windows(START_CODE.len()).position(|window| window == START_CODE)?;
    Some(&bytes[place + START_CODE.len()..])
}

const START_CODE: [u8; 3] = [0, 0, 1];

pub(crate) fn kind_of(header: u8) -> u8 {
    header & 0x1f
}

pub(super) fn malformed(reason: &'static str) -> CodecError {
    CodecError::Malformed { codec: "H264", reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annex_b_is_cut_at_start_codes_of_three_and_four_bytes() {
        let check = |picture: &[u8], expected: &[&[u8]]| {
            assert_eq!(annex_b(picture).collect::<Vec<_>>(), expected, "{picture:?}");
        };
        check(
            &[0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 4],
            &[&[0x67, 1, 2], &[0x68, 3], &[0x65, 4]],
        );
        check(&[0, 0, 1, 0x65, 0, 0, 3, 1, 0x80, 0, 0], &[&[0x65, 0, 0, 3, 1, 0x80]]);
        check(&[9, 9, 0, 0, 1, 0, 0, 1, 0x41, 7], &[&[0x41, 7]]);
        check(&[], &[]);
        check(&[0, 0, 1], &[]);
        check(&[1, 2, 3], &[]);
    }

    #[test]
    fn a_key_picture_is_known_by_the_packet_that_begins_it() {
        let key: [&[u8]; 6] = [
            &[0x65, 1],
            &[0x67, 1],
            &[0x78, 0, 2, 0x68, 1, 0, 2, 0x65, 1],
            &[0x18, 0, 2, 0x27, 1, 0, 9],
            &[0x7c, 0x85, 1],
            &[0x7c, 0x87, 1],
        ];
        let other: [&[u8]; 9] = [
            &[],
            &[0x41, 1],
            &[0x68, 1],
            &[0x78, 0, 2, 0x68, 1],
            &[0x78, 0, 9, 0x67, 1],
            &[0x7c, 0x05, 1], // in the middle
            &[0x7c, 0x81, 1],
            &[0x7c],
            &[0xe5, 1], // forbidden bit
        ];
        assert!(key.iter().all(|payload| begins_key_picture(payload)));
        assert!(!other.iter().any(|payload| begins_key_picture(payload)));
    }
}
