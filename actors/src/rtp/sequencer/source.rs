//! The source behind an outgoing stream: which of its packets has which place there.
use std::collections::VecDeque;

/// The source that speaks; its sequence numbers extended.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: u64,
    pub(super) newest: i64,
    /// From which number on which offset holds, oldest first; the first one is where the source began.
    offsets: VecDeque<(i64, i64)>,
    pub(super) timestamp_offset: u32,
}

impl Source {
    /// One that begins with packet `number`, whose place in the outgoing stream is `place`.
    pub(super) fn beginning(id: u64, (number, place): (i64, i64), timestamp_offset: u32) -> Self {
        let offsets = VecDeque::from([(number, place - number)]);
        Self { id, newest: number - 1, offsets, timestamp_offset }
    }

    /// The number nearest to the newest (RFC 3711 §3.3.1 has the idea).
    pub(super) fn extend(&self, sequence: Option<u16>) -> i64 {
        let Some(sequence) = sequence else {
            return self.newest + 1;
        };
        self.newest + i64::from(sequence.wrapping_sub(self.newest as u16).cast_signed())
    }

    /// Its place in the outgoing stream, unless that is forgotten.
    pub(super) fn place(&self, number: i64) -> Option<i64> {
        let holds = self.offsets.iter().rev().find(|(from, _)| *from <= number);
        holds.map(|(_, offset)| number + offset)
    }

    /// Moves all that comes after the newest.
    pub(super) fn shift(&mut self, by: i64) {
        let from = self.newest + 1;
        match self.offsets.back_mut() {
            Some((last, offset)) if *last == from => *offset += by,
            Some((_, offset)) => {
                let offset = *offset + by;
                if self.offsets.len() == MAX_OFFSETS {
                    self.offsets.pop_front();
                }
                self.offsets.push_back((from, offset));
            }
            None => {}
        }
    }
}

/// Changes that are remembered for late packets: a digit of 160 ms makes 10.
const MAX_OFFSETS: usize = 16;
