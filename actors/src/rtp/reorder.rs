//! Packets of a stream in the order of their numbers, for whoever cannot use them otherwise. Pure; time is an argument.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Puts packets in order. What is missing is waited for, but neither long nor behind many others; then it is left out, and the hole
/// shows in the numbers.
#[derive(Debug)]
pub struct Reorder<T> {
    /// The number that is due.
    next: Option<u16>,
    /// What came too early, by number, each with its time.
    early: VecDeque<(u16, Instant, T)>,
    /// Packets in a row that came late.
    late: u8,
}

/// How long a hole is waited for: a packet that is asked for again comes within a round trip, or too late to be of use.
const PATIENCE: Duration = Duration::from_millis(100);
/// Most packets that wait behind a hole: a key frame of 640 × 480, and no more than 100 KiB for a stranger to fill.
const MOST: usize = 96;
/// A number so far behind the one that is due is late or a duplicate; farther, the source counts anew.
const LATE: u16 = 512;
/// So many late ones in a row are no late ones: one number was wrong, or the source has gone back a little.
const MOST_LATE: u8 = 16;

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { next: None, early: VecDeque::new(), late: 0 }
    }
}

impl<T> Reorder<T> {
    /// Takes one packet, and gives those whose turn it is.
    pub fn push(&mut self, sequence: u16, packet: T, now: Instant, out: &mut dyn FnMut(T)) {
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        let late = ahead.wrapping_neg() <= LATE && ahead != 0;
        self.late = if late { self.late + 1 } else { 0 };
        if late && self.late < MOST_LATE {
            return;
        }
        self.late = 0;
        if ahead > LATE {
            // It counts anew: what waited is all that will ever come of the old count.
            self.early.drain(..).for_each(|(_, _, packet)| out(packet));
            self.next = Some(sequence);
        }
        let place = |due: u16, number: u16| number.wrapping_sub(due);
        let due = self.next.unwrap_or(sequence);
        let at = self.early.partition_point(|(number, ..)| place(due, *number) < place(due, sequence));
        if self.early.get(at).is_some_and(|(number, ..)| *number == sequence) {
            return;
        }
        self.early.insert(at, (sequence, now, packet));
        self.release(now, out);
    }

    /// Gives what is due, over a hole that was waited for long enough.
    fn release(&mut self, now: Instant, out: &mut dyn FnMut(T)) {
        while let Some((number, since, _)) = self.early.front() {
            let oldest = self.early.iter().map(|(_, came, _)| *came).min().unwrap_or(*since);
            let in_order = self.next == Some(*number);
            let given_up = self.early.len() > MOST || now.saturating_duration_since(oldest) >= PATIENCE;
            if !in_order && !given_up {
                return;
            }
            self.next = Some(number.wrapping_add(1));
            if let Some((_, _, packet)) = self.early.pop_front() {
                out(packet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes numbers at times in ms; gives what came out.
    fn run(packets: &[(u16, u64)]) -> Vec<u16> {
        let (mut reorder, start, mut out) = (Reorder::default(), Instant::now(), vec![]);
        for (number, at) in packets {
            reorder
                .push(*number, *number, start + Duration::from_millis(*at), &mut |number| out.push(number));
        }
        out
    }

    #[test]
    fn what_is_in_order_passes_and_what_is_not_is_put_in_order() {
        assert_eq!(run(&[(65_535, 0), (0, 1), (1, 2)]), [65_535, 0, 1]);
        assert_eq!(run(&[(1, 0), (3, 1), (4, 2), (2, 3), (5, 4)]), [1, 2, 3, 4, 5]);
        assert_eq!(run(&[(1, 0), (1, 1), (3, 2), (3, 3), (2, 4), (2, 5)]), [1, 2, 3]);
    }

    #[test]
    fn a_hole_is_waited_for_and_then_left() {
        assert_eq!(run(&[(1, 0), (3, 10), (4, 109)]), [1]);
        assert_eq!(run(&[(1, 0), (3, 10), (4, 110)]), [1, 3, 4]);
        assert_eq!(run(&[(1, 0), (3, 10), (4, 110), (2, 111), (5, 112)]), [1, 3, 4, 5], "too late");
    }

    #[test]
    fn no_more_waits_than_is_of_use() {
        let flood: Vec<_> = (2..200).map(|number| (number, 1)).collect();
        let out = run(&[&[(0, 0)], &flood[..]].concat());
        assert_eq!(out.len(), 199, "once too many wait, the hole is left: {out:?}");
    }

    #[test]
    fn a_source_that_counts_anew_is_followed() {
        assert_eq!(run(&[(1, 0), (3, 1), (30_000, 2), (30_001, 3)]), [1, 3, 30_000, 30_001]);
    }

    #[test]
    fn one_wrong_number_does_not_stop_all_that_follow() {
        let wrong = [(1, 0), (2, 1), (402, 2), (403, 150)];
        let right = (3..40).map(|number| (number, 151));
        let out = run(&wrong.into_iter().chain(right).collect::<Vec<_>>());
        assert_eq!(out[..4], [1, 2, 402, 403]);
        assert_eq!(out[4..], (18..40).collect::<Vec<u16>>());
    }
}
