//! Annex B pictures to payloads.

use super::nal::{END, REFERENCE, START, annex_b, kind, kind_of};
use crate::error::CodecError;

/// Makes payloads of pictures, in packetization-mode 0 or 1.
#[derive(Debug)]
pub struct Packetiser {
    aggregates: bool,
    longest: usize,
    scratch: Vec<u8>,
}

impl Packetiser {
    /// For payloads of at most `longest` bytes.
    pub fn new(packetization_mode: u8, longest: usize) -> Self {
        let longest = longest.clamp(SHORTEST, crate::MAX_PAYLOAD);
        Self { aggregates: packetization_mode > 0, longest, scratch: Vec::with_capacity(longest) }
    }

    /// Gives the payloads of a picture with their markers. In mode 0 every NAL unit needs a payload of its own: where one is too
    /// long nothing is given, and the encoder has to make smaller slices.
    pub fn packetise(&mut self, picture: &[u8], out: &mut dyn FnMut(&[u8], bool)) -> Result<(), CodecError> {
        let mut units = annex_b(picture).peekable();
        if !self.aggregates {
            check(picture, self.longest)?;
            while let Some(unit) = units.next() {
                out(unit, units.peek().is_none());
            }
            return Ok(());
        }
        while let Some(unit) = units.next() {
            let small = |unit: &&[u8]| is_small(unit[0]);
            let mut aggregate = Aggregator::new(&mut self.scratch, self.longest);
            if small(&unit) && aggregate.take(unit) {
                while units.next_if(|unit| small(unit) && aggregate.take(unit)).is_some() {}
                out(aggregate.payload(), units.peek().is_none());
            } else {
                let last = units.peek().is_none();
                split(unit, self.longest, &mut self.scratch, &mut |payload, end| out(payload, end && last));
            }
        }
        Ok(())
    }
}

fn check(picture: &[u8], most: usize) -> Result<(), CodecError> {
    let too_long = annex_b(picture).map(<[u8]>::len).find(|length| *length > most);
    too_long.map_or(Ok(()), |length| Err(CodecError::PayloadLength { length, least: 1, most }))
}

/// What goes together in one STAP-A: what stands before the slices.
fn is_small(header: u8) -> bool {
    (kind::SEI..=kind::DELIMITER).contains(&kind_of(header))
}

/// Puts NAL units together in one payload: one as it is, several in a STAP-A.
pub(super) struct Aggregator<'a> {
    scratch: &'a mut Vec<u8>,
    longest: usize,
    units: usize,
}

impl<'a> Aggregator<'a> {
    pub fn new(scratch: &'a mut Vec<u8>, longest: usize) -> Self {
        scratch.clear();
        scratch.push(kind::STAP_A);
        Self { scratch, longest, units: 0 }
    }

    /// Whether there was room.
    pub fn take(&mut self, unit: &[u8]) -> bool {
        let Ok(size) = u16::try_from(unit.len()) else { return false };
        if self.scratch.len() + SIZE + unit.len() > self.longest {
            return false;
        }
        // The highest nal_ref_idc of all (RFC 6184 §5.7).
        self.scratch[0] = kind::STAP_A | (self.scratch[0] & REFERENCE).max(unit[0] & REFERENCE);
        self.scratch.extend_from_slice(&size.to_be_bytes());
        self.scratch.extend_from_slice(unit);
        self.units += 1;
        true
    }

    pub fn payload(&self) -> &[u8] {
        if self.units == 1 { &self.scratch[1 + SIZE..] } else { self.scratch }
    }
}

/// A NAL unit as it is, or in FU-A of about equal length; `out` is told which is the last.
pub(super) fn split(unit: &[u8], longest: usize, scratch: &mut Vec<u8>, out: &mut dyn FnMut(&[u8], bool)) {
    if unit.len() <= longest {
        return out(unit, true);
    }
    let (header, bytes) = (unit[0], &unit[1..]);
    let length = bytes.len().div_ceil(bytes.len().div_ceil(longest - FU_HEADERS));
    let last = bytes.len().div_ceil(length) - 1;
    for (place, piece) in bytes.chunks(length).enumerate() {
        let edge = if place == 0 { START } else { 0 } | if place == last { END } else { 0 };
        scratch.clear();
        scratch.extend_from_slice(&[header & REFERENCE | kind::FU_A, edge | kind_of(header)]);
        scratch.extend_from_slice(piece);
        out(scratch, place == last);
    }
}

/// Bytes before a unit in a STAP-A.
const SIZE: usize = 2;
/// FU indicator and FU header.
const FU_HEADERS: usize = 2;
/// Below this nothing sensible can be sent.
pub(super) const SHORTEST: usize = 64;
