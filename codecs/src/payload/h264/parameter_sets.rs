//! Parameter sets: what a decoder must know before an IDR picture. Kept for those that come
//! without.

use super::bits::Bits;
use super::nal::{Payload, kind, kind_of, malformed};
use super::sequence::SequenceParameters;
use crate::error::CodecError;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Longest parameter set that we keep, in bytes. Encoders make them of 4 to 60; with all scaling lists it is some 400.
pub const MAX_PARAMETER_SET: usize = 512;

/// Sequence parameter sets that are kept: encoders use one, or count their ids up. The oldest makes room.
const MAX_SEQUENCE: usize = 4;
/// Picture parameter sets that are kept: encoders use one to four, or count their ids up. The oldest makes room.
const MAX_PICTURE: usize = 8;
/// The parameter sets of one stream.
#[derive(Debug, Clone, Default)]
pub struct ParameterSets {
    sequence: Vec<Set>,
    picture: Vec<Set>,
    current: Option<SequenceParameters>,
    /// A sequence and a picture parameter set came since the last slice.
    fresh: (bool, bool),
    /// Timestamp of the last IDR picture.
    idr: Option<u32>,
}

#[derive(Debug, Clone)]
struct Set {
    id: u32,
    unit: Vec<u8>,
}

impl ParameterSets {
    /// Takes those of `sprop-parameter-sets` in an `a=fmtp` (RFC 6184 §8.1). An error tells of one that makes no sense; the others
    /// are taken all the same.
    pub fn learn(&mut self, fmtp: &str) -> Result<(), CodecError> {
        let pairs = fmtp.split(';').filter_map(|pair| pair.trim().split_once('='));
        let sprop = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case("sprop-parameter-sets"));
        let mut result = Ok(());
        for text in sprop.flat_map(|(_, value)| value.split(',')).take(MAX_SEQUENCE + MAX_PICTURE) {
            let unit = BASE64.decode(text.trim()).map_err(|_| malformed("sprop-parameter-sets: base64"));
            result = result.and(unit.and_then(|unit| self.add(&unit)));
        }
        result
    }

    /// Takes a parameter set, or refuses one that no decoder should see. Other NAL units are ignored.
    pub fn add(&mut self, unit: &[u8]) -> Result<(), CodecError> {
        let Some((header, body)) = unit.split_first() else { return Ok(()) };
        if matches!(kind_of(*header), kind::SPS | kind::PPS) && unit.len() > MAX_PARAMETER_SET {
            return Err(CodecError::PayloadLength { length: unit.len(), least: 1, most: MAX_PARAMETER_SET });
        }
        let (kept, most, id) = match kind_of(*header) {
            kind::SPS => {
                let parameters = SequenceParameters::parse(body)?;
                self.current = Some(parameters);
                (&mut self.sequence, MAX_SEQUENCE, parameters.id)
            }
            kind::PPS => (&mut self.picture, MAX_PICTURE, picture_id(body)?),
            _ => return Ok(()),
        };
        if let Some(set) = kept.iter_mut().find(|set| set.id == id) {
            set.unit.clear();
            set.unit.extend_from_slice(unit);
        } else {
            if kept.len() == most {
                kept.remove(0);
            }
            kept.push(Set { id, unit: unit.to_vec() });
        }
        Ok(())
    }

    /// What the newest sequence parameter set says.
    pub fn current(&self) -> Option<SequenceParameters> {
        self.current
    }

    /// The NAL units, in the order in which a decoder wants them.
    pub fn units(&self) -> impl Iterator<Item = &[u8]> {
        self.sequence.iter().chain(&self.picture).map(|set| &set.unit[..])
    }

    /// Told of each NAL unit of the stream by its header, says whether our parameter sets should go before it: it is the first
    /// slice of an IDR picture, and since the slice before it not both kinds have come.
    pub fn are_lacking(&mut self, header: u8, timestamp: u32) -> bool {
        match kind_of(header) {
            kind::SPS => self.fresh.0 = true,
            kind::PPS => self.fresh.1 = true,
            kind::IDR if self.idr != Some(timestamp) => {
                self.idr = Some(timestamp);
                return std::mem::take(&mut self.fresh) != (true, true);
            }
            kind::SLICE..=kind::IDR => self.fresh = (false, false),
            _ => {}
        }
        false
    }
}

impl ParameterSets {
    /// Learns from a payload of the stream; whether our parameter sets should go before it. A set that we refuse to keep passes all the same:
    /// whether it is too much for the receiver is the receiver's to say.
    pub(super) fn are_lacking_before(
        &mut self,
        payload: &Payload<'_>,
        timestamp: u32,
    ) -> Result<bool, CodecError> {
        let mut look = |unit: &[u8]| {
            let _ = self.add(unit);
            self.are_lacking(unit[0], timestamp)
        };
        match payload {
            Payload::Single(unit) => Ok(look(unit)),
            Payload::Aggregate(units) => {
                let mut units = *units;
                units.try_fold(false, |lacking, unit| Ok(lacking | look(unit?)))
            }
            Payload::Fragment(fragment) => Ok(fragment.start && self.are_lacking(fragment.header, timestamp)),
        }
    }
}

/// The id of a picture parameter set (H.264 §7.3.2.2). Slice groups are refused: only baseline has them, its decoders mostly not,
/// and a stream that has none is what everybody calls baseline.
fn picture_id(body: &[u8]) -> Result<u32, CodecError> {
    let mut bits = Bits::new(body);
    let mut read = || {
        let id = bits.at_most(255)?;
        bits.at_most(31)?; // seq_parameter_set_id
        bits.number(2)?;
        Some((id, bits.unsigned()?))
    };
    match read() {
        Some((id, 0)) => Ok(id),
        Some(_) => Err(malformed("picture parameter set: slice groups")),
        None => Err(malformed("picture parameter set")),
    }
}

/// Senders pad or do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::super::bits::writer::Writer;
    use super::*;

    #[test]
    fn sets_come_from_sdp_and_bad_ones_leave_the_good() {
        let mut sets = ParameterSets::default();
        let fmtp =
            "profile-level-id=42e01f; Sprop-Parameter-Sets=Z0LADNkBQfsBEAAAAwAQAAADAeDxQqSA,aMuDyyA=;x=1";
        sets.learn(fmtp).unwrap();
        assert_eq!(sets.current().map(|current| current.width), Some(320));
        let units: Vec<u8> = sets.units().map(|unit| unit[0] & 0x1f).collect();
        assert_eq!(units, [kind::SPS, kind::PPS]);
        let mut sets = ParameterSets::default();
        assert!(sets.learn("sprop-parameter-sets=!,Z0I,aMuDyyA").is_err());
        assert_eq!(sets.units().count(), 1);
        assert_eq!(ParameterSets::default().learn("packetization-mode=1"), Ok(()));
    }

    #[test]
    fn what_is_kept_is_few_and_short_and_has_no_slice_groups() {
        let mut sets = ParameterSets::default();
        for id in 0..100 {
            let pps = Writer::default().codes(&[id, 0]).number(0, 2).codes(&[0, 0, 0]).body([1; 3]);
            sets.add(&[&[0x68], &pps[3..]].concat()).unwrap();
        }
        assert_eq!(sets.units().count(), MAX_PICTURE);
        let groups = Writer::default().codes(&[0, 0]).number(0, 2).codes(&[1]).body([1; 3]);
        let refused = sets.add(&[&[0x68], &groups[3..]].concat());
        assert_eq!(refused, Err(malformed("picture parameter set: slice groups")));
        let long = [&[0x67], &[0x42, 0xe0, 0x1f][..], &[0; 512]].concat();
        assert!(matches!(sets.add(&long), Err(CodecError::PayloadLength { most: 512, .. })));
        assert_eq!(sets.add(&[]), Ok(()));
        assert!(sets.add(&[0x67]).is_err());
    }

    #[test]
    fn sets_are_lacking_where_none_came_since_the_slice_before() {
        let mut sets = ParameterSets::default();
        let mut see = |kind: u8, timestamp| sets.are_lacking(0x60 | kind, timestamp);
        assert!(see(kind::IDR, 0));
        assert!(!see(kind::IDR, 0), "a second slice of the picture");
        assert!(!see(kind::SLICE, 1));
        assert!(!see(kind::SPS, 2));
        assert!(!see(kind::PPS, 2));
        assert!(!see(kind::IDR, 3), "a sender may give sets a timestamp of their own");
        assert!(!see(kind::SPS, 4));
        assert!(see(kind::IDR, 4), "the other kind is lacking");
        assert!(!see(kind::SPS, 5));
        assert!(!see(kind::PPS, 5));
        assert!(!see(kind::SLICE, 5));
        assert!(see(kind::IDR, 6));
    }
}
