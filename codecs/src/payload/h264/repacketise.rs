//! The same pictures in other packets, packet by packet: for a receiver of another packetization-mode, and with the parameter
//! sets that IDR pictures lack.

use super::nal::{Fragment, Payload, malformed};
use super::packetise::{Aggregator, SHORTEST, split};
use super::parameter_sets::ParameterSets;
use crate::error::CodecError;
use crate::payload::numbers::{Arrival, Numbers};
use crate::payload::picture::Part;

/// One direction of a call whose two ends both speak H.264. No picture waits here: only the NAL unit at hand is held, and only
/// where a receiver of mode 0 needs it whole.
///
/// Sequence numbers go out without holes but for those that came in and for what was dropped. A packet that comes late finds
/// its place towards mode 1; towards mode 0 it is dropped, for there each fragment shifts the places.
#[derive(Debug)]
pub struct Repacketiser {
    packing: Packing,
    sets: ParameterSets,
    numbers: Numbers,
    /// Towards mode 0: the NAL unit of which fragments have come; empty if there is none.
    gathered: Vec<u8>,
    dropped: u64,
}

#[derive(Debug)]
struct Packing {
    /// STAP-A and FU-A may go out.
    mode_1: bool,
    longest: usize,
    scratch: Vec<u8>,
}

/// Sends the packets of one timestamp.
struct Sender<'a> {
    numbers: &'a mut Numbers,
    timestamp: u32,
    out: &'a mut dyn FnMut(Part<'_>),
}

impl Repacketiser {
    /// Towards a receiver of a mode that takes payloads of `longest` bytes, with the parameter sets that the sender's SDP told.
    pub fn new(packetization_mode: u8, longest: usize, sets: ParameterSets) -> Self {
        let longest = longest.clamp(SHORTEST, crate::MAX_PAYLOAD);
        let (mode_1, scratch) = (packetization_mode > 0, Vec::with_capacity(longest));
        let packing = Packing { mode_1, longest, scratch };
        Self { packing, sets, numbers: Numbers::default(), gathered: Vec::new(), dropped: 0 }
    }

    /// What the stream's parameter sets say.
    pub fn parameter_sets(&self) -> &ParameterSets {
        &self.sets
    }

    /// NAL units and payloads that could not go on: longer than a packet for a receiver of mode 0, or without sense. If these become
    /// many, the picture must be encoded anew.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes a packet and gives those that go on. An error tells why one does not; the receiver sees it as lost.
    pub fn push(&mut self, part: Part<'_>, out: &mut dyn FnMut(Part<'_>)) -> Result<(), CodecError> {
        match self.numbers.arrive(part.sequence) {
            Arrival::Next => {}
            Arrival::AfterHole => self.gathered.clear(),
            Arrival::Late(sequence) => {
                if self.packing.mode_1 {
                    out(Part { sequence, ..part });
                }
                return Ok(());
            }
        }
        if part.payload.is_empty() {
            return Ok(()); // only padding
        }
        let result = self.pass(part, out);
        if result.is_err() {
            self.numbers.skip();
            self.dropped += 1;
        }
        result
    }

    fn pass(&mut self, part: Part<'_>, out: &mut dyn FnMut(Part<'_>)) -> Result<(), CodecError> {
        let Part { payload, marker, timestamp, .. } = part;
        let Self { packing, sets, numbers, gathered, .. } = self;
        let mut sender = Sender { numbers, timestamp, out };
        let parsed = Payload::parse(payload)?;
        if sets.are_lacking_before(&parsed, timestamp)? {
            packing.send_sets(sets, &mut sender);
        }
        match parsed {
            Payload::Single(unit) => return packing.send(unit, marker, &mut sender),
            _ if packing.mode_1 => sender.send(payload, marker),
            Payload::Aggregate(units) => {
                let mut units = units.map_while(Result::ok).peekable();
                while let Some(unit) = units.next() {
                    packing.send(unit, marker && units.peek().is_none(), &mut sender)?;
                }
            }
            Payload::Fragment(fragment) => {
                let end = fragment.end;
                packing.gather(fragment, gathered)?;
                if end {
                    let sent = packing.send(gathered, marker, &mut sender);
                    gathered.clear();
                    return sent;
                }
            }
        }
        Ok(())
    }
}

impl Packing {
    /// Sends a NAL unit, towards mode 1 in fragments if it is too long.
    fn send(&mut self, unit: &[u8], marker: bool, sender: &mut Sender<'_>) -> Result<(), CodecError> {
        if !self.mode_1 && unit.len() > self.longest {
            return Err(CodecError::PayloadLength { length: unit.len(), least: 1, most: self.longest });
        }
        split(unit, self.longest, &mut self.scratch, &mut |payload, end| sender.send(payload, marker && end));
        Ok(())
    }

    fn send_sets(&mut self, sets: &ParameterSets, sender: &mut Sender<'_>) {
        let mut units = sets.units().filter(|unit| unit.len() <= self.longest).peekable();
        while let Some(unit) = units.next() {
            let mut aggregate = Aggregator::new(&mut self.scratch, self.longest);
            if self.mode_1 && aggregate.take(unit) {
                while units.next_if(|unit| aggregate.take(unit)).is_some() {}
                sender.send(aggregate.payload(), false);
            } else {
                sender.send(unit, false);
            }
        }
    }

    /// Adds a fragment to what is gathered; what is too long anyhow is not gathered further.
    fn gather(&self, fragment: Fragment<'_>, gathered: &mut Vec<u8>) -> Result<(), CodecError> {
        let Fragment { header, start, bytes, .. } = fragment;
        if start {
            gathered.clear();
            gathered.push(header);
        } else if gathered.first() != Some(&header) {
            gathered.clear();
            return Err(malformed("FU-A out of order"));
        }
        if gathered.len() <= self.longest {
            gathered.extend_from_slice(bytes);
        }
        Ok(())
    }
}

impl Sender<'_> {
    fn send(&mut self, payload: &[u8], marker: bool) {
        (self.out)(Part { payload, sequence: self.numbers.take(), timestamp: self.timestamp, marker });
    }
}
