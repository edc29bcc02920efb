//! Sequence numbers of a stream to which packets are added, or from which some are taken.

/// Gives numbers to what goes out so that holes stay holes and nothing else becomes one.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Newest number that came in.
    newest: Option<u16>,
    /// Next number to go out.
    next: u16,
    /// What the newest packet began with.
    first: u16,
    /// The last packet in place of which more or fewer went out, and how many more.
    shifted: Option<(u16, u16)>,
}

/// How a packet came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Next after the one before.
    Next,
    /// Packets before it are missing, or it is the first.
    AfterHole,
    /// Others came before it that should have come later; it goes out with this number.
    Late(u16),
}

impl Numbers {
    /// A packet comes in.
    pub fn arrive(&mut self, sequence: u16) -> Arrival {
        let Some(newest) = self.newest else {
            (self.newest, self.next, self.first) = (Some(sequence), sequence, sequence);
            return Arrival::AfterHole;
        };
        let grown = self.next.wrapping_sub(self.first).wrapping_sub(1);
        if grown != 0 {
            self.shifted = Some((newest, grown));
        }
        let missing = sequence.wrapping_sub(newest).wrapping_sub(1);
        let behind = newest.wrapping_sub(sequence);
        if behind <= LATE {
            self.first = self.next.wrapping_sub(1); // noted already
            return Arrival::Late(self.place_of(sequence, newest));
        }
        // Further on than that, the source has begun to count anew.
        self.next = self.next.wrapping_add(if missing <= LATE { missing } else { 1 });
        (self.newest, self.first) = (Some(sequence), self.next);
        if missing == 0 { Arrival::Next } else { Arrival::AfterHole }
    }

    /// The number of one more packet.
    pub fn take(&mut self) -> u16 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }

    /// Lets a number go by: what would have had it is lost.
    pub fn skip(&mut self) {
        self.take();
    }

    fn place_of(&self, sequence: u16, newest: u16) -> u16 {
        let place = self.next.wrapping_sub(1).wrapping_sub(newest.wrapping_sub(sequence));
        match self.shifted {
            Some((at, grown)) if (1..=LATE).contains(&at.wrapping_sub(sequence)) => place.wrapping_sub(grown),
            _ => place,
        }
    }
}

/// Packets at most this far behind come late or twice: at 2 Mbit/s some two seconds, more than any retransmission takes.
pub(crate) const LATE: u16 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_shifts_all_that_follows_and_holes_stay() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.arrive(65_534), Arrival::AfterHole);
        assert_eq!(numbers.take(), 65_534);
        assert_eq!(numbers.arrive(65_535), Arrival::Next);
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [65_535, 0, 1]);
        assert_eq!(numbers.arrive(0), Arrival::Next);
        assert_eq!(numbers.take(), 2);
        assert_eq!(numbers.arrive(3), Arrival::AfterHole);
        assert_eq!(numbers.take(), 5);
        assert_eq!(numbers.arrive(4), Arrival::Next);
        assert_eq!(numbers.arrive(5), Arrival::Next); // nothing went out for 4
        assert_eq!(numbers.take(), 6);
    }

    #[test]
    fn what_comes_late_goes_where_it_belongs() {
        let mut numbers = Numbers::default();
        let mut pass = |sequence, copies| match numbers.arrive(sequence) {
            Arrival::Late(number) => number,
            _ => (0..copies).map(|_| numbers.take()).last().unwrap(),
        };
        assert_eq!(pass(10, 1), 10);
        assert_eq!(pass(12, 1), 12);
        assert_eq!(pass(13, 3), 15);
        assert_eq!(pass(11, 1), 11, "before what was added");
        assert_eq!(pass(11, 1), 11, "and again");
        assert_eq!(pass(16, 1), 18);
        assert_eq!(pass(15, 1), 17, "behind what was added");
        assert_eq!(pass(12, 1), 12);
        assert_eq!(pass(17, 1), 19);
    }

    #[test]
    fn a_source_that_counts_anew_is_followed() {
        let mut numbers = Numbers::default();
        for (sequence, expected) in [(100, 100), (40_000, 102), (40_001, 103), (20_000, 105)] {
            assert_ne!(numbers.arrive(sequence), Arrival::Late(0));
            assert_eq!(numbers.take(), expected);
        }
    }
}
