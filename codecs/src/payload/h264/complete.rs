//! The parameter sets that IDR pictures lack, in a stream that otherwise passes as it is.

use super::nal::Payload;
use super::parameter_sets::ParameterSets;
use crate::payload::numbers::{Arrival, Numbers};
use crate::payload::picture::Part;

/// One stream on its way. Phones that told their parameter sets in SDP, or once at its beginning, may never send them again; but who joins later
/// cannot begin without them. What they go before is not touched, only numbered anew.
#[derive(Debug, Default)]
pub struct Completer {
    sets: ParameterSets,
    numbers: Numbers,
}

impl Completer {
    /// The sender tells these parameter sets in an `a=fmtp`; such as make no sense are left out.
    pub fn learn(&mut self, fmtp: &str) {
        let _ = self.sets.learn(fmtp);
    }

    /// Takes a packet and gives the number with which it goes on; `before` gets the parameter sets that go before it, each for a packet of
    /// its own, with their numbers. One that makes no sense passes too: what to do with it is the receiver's to say.
    pub fn push(&mut self, part: Part<'_>, before: &mut dyn FnMut(&[u8], u16)) -> u16 {
        if let Arrival::Late(sequence) = self.numbers.arrive(part.sequence) {
            return sequence;
        }
        let lacking = Payload::parse(part.payload)
            .and_then(|payload| self.sets.are_lacking_before(&payload, part.timestamp));
        if lacking == Ok(true) {
            self.sets.units().for_each(|unit| before(unit, self.numbers.take()));
        }
        self.numbers.take()
    }
}
