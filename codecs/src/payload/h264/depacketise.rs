//! Payloads to Annex B pictures.

use super::bits::Bits;
use super::nal::{Fragment, Payload, kind, kind_of, malformed};
use super::parameter_sets::ParameterSets;
use super::sequence::SequenceParameters;
use crate::error::CodecError;
use crate::payload::picture::{self, Assembly};

/// Puts Annex B pictures together. Every IDR picture has its parameter sets before it, if they are known at all.
pub type Depacketiser = picture::Depacketiser<AnnexB>;

/// The picture at hand.
#[derive(Debug, Default)]
pub struct AnnexB {
    sets: ParameterSets,
    timestamp: u32,
    /// Where the NAL unit begins of which fragments have come, and its header.
    fragment: Option<(usize, u8)>,
    /// Whether the first slice begins with the first macroblock.
    from_the_top: Option<bool>,
    idr: bool,
}

impl Depacketiser {
    /// What the stream's newest sequence parameter set says.
    pub fn parameters(&self) -> Option<SequenceParameters> {
        self.assembly().sets.current()
    }
}

impl AnnexB {
    /// With the parameter sets that SDP told.
    pub fn new(sets: ParameterSets) -> Self {
        Self { sets, ..Self::default() }
    }

    fn unit(&mut self, unit: &[u8], picture: &mut Vec<u8>) -> Result<(), CodecError> {
        self.open(unit[0], picture);
        picture.extend_from_slice(&unit[1..]);
        self.look_at(unit)
    }

    /// Begins a NAL unit, behind the parameter sets that it lacks.
    fn open(&mut self, header: u8, picture: &mut Vec<u8>) {
        if self.sets.are_lacking(header, self.timestamp) {
            for set in self.sets.units() {
                picture.extend_from_slice(&START_CODE);
                picture.extend_from_slice(set);
            }
        }
        picture.extend_from_slice(&START_CODE);
        picture.push(header);
    }

    fn fragment(&mut self, fragment: Fragment<'_>, picture: &mut Vec<u8>) -> Result<(), CodecError> {
        let Fragment { header, start, end, bytes } = fragment;
        match (start, self.fragment) {
            (true, None) => {
                self.open(header, picture);
                self.fragment = Some((picture.len() - 1, header));
            }
            (false, Some((_, begun))) if kind_of(begun) == kind_of(header) => {}
            _ => return Err(malformed("FU-A out of order")),
        }
        picture.extend_from_slice(bytes);
        match self.fragment {
            Some((place, _)) if end => {
                self.fragment = None;
                self.look_at(&picture[place..])
            }
            _ => Ok(()),
        }
    }

    /// Learns from a whole NAL unit.
    fn look_at(&mut self, unit: &[u8]) -> Result<(), CodecError> {
        match kind_of(unit[0]) {
            kind::SPS | kind::PPS => return self.sets.add(unit),
            kind @ kind::SLICE..=kind::IDR => {
                self.idr |= kind == kind::IDR;
                let first_macroblock = || Bits::new(&unit[1..]).unsigned();
                self.from_the_top.get_or_insert_with(|| first_macroblock() == Some(0));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Assembly for AnnexB {
    fn begin(&mut self, timestamp: u32) {
        self.timestamp = timestamp;
        (self.fragment, self.from_the_top, self.idr) = (None, None, false);
    }

    fn add(&mut self, payload: &[u8], picture: &mut Vec<u8>) -> Result<(), CodecError> {
        match Payload::parse(payload)? {
            Payload::Fragment(fragment) => self.fragment(fragment, picture),
            _ if self.fragment.is_some() => Err(malformed("FU-A without an end")),
            Payload::Single(unit) => self.unit(unit, picture),
            Payload::Aggregate(mut units) => units.try_for_each(|unit| self.unit(unit?, picture)),
        }
    }

    /// Parameter sets may be missing all the same; but they are kept, and seldom change.
    fn begins_whole(&self) -> bool {
        self.from_the_top != Some(false)
    }

    fn finish(&mut self, _picture: &[u8]) -> Result<Option<bool>, CodecError> {
        match self.fragment {
            Some(_) => Err(malformed("FU-A without an end")),
            // Parameter sets in a packet of their own are kept, and are no picture.
            None => Ok(self.from_the_top.map(|_| self.idr)),
        }
    }
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];
