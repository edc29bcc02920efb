//! Packets that a stream of pictures lacks. Pure; time is an argument.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The numbers that are missing, oldest first.
///
/// | a packet | becomes |
/// |---|---|
/// | is the next | – |
/// | is farther on | those between are missing |
/// | is missing | is so no more |
/// | is far away | the source counts anew: nothing is missing, but something is lost |
///
/// What is missing for some time is lost, and all of it once it is more than [`LONGEST`].
#[derive(Debug)]
pub struct Holes {
    patience: Duration,
    next: Option<u16>,
    missing: VecDeque<Missing>,
}

#[derive(Debug)]
struct Missing {
    number: u16,
    since: Instant,
    asked: Option<Instant>,
}

/// How often a source is asked for a packet: a round trip of most networks.
const PAUSE: Duration = Duration::from_millis(80);
/// A longer hole is no hole: the source counts anew, or was away for a second.
const LONGEST: u16 = 96;
/// A number so far behind is late or a duplicate.
const LATE: u16 = 512;

impl Holes {
    /// For a source that is not asked again for what is lost: packets that took two ways through the network change places within this time.
    pub const UNASKED: Duration = Duration::from_millis(50);
    /// For a source that is: some round trips.
    pub const ASKED_AGAIN: Duration = Duration::from_millis(250);

    /// Waits so long.
    pub fn new(patience: Duration) -> Self {
        Self { patience, next: None, missing: VecDeque::new() }
    }

    /// Takes the number of a packet. True: something is lost.
    pub fn arrive(&mut self, sequence: u16, now: Instant) -> bool {
        let next = self.next.unwrap_or(sequence);
        let (ahead, behind) = (sequence.wrapping_sub(next), next.wrapping_sub(sequence));
        let anew = ahead > LONGEST && behind > LATE;
        let torn = anew || self.missing.len() > usize::from(LONGEST);
        if torn {
            self.missing.clear();
        }
        if ahead <= LONGEST {
            self.missing.extend((0..ahead).map(|place| {
                let number = next.wrapping_add(place);
                Missing { number, since: now, asked: None }
            }));
        } else {
            self.missing.retain(|missing| missing.number != sequence);
        }
        if anew || ahead <= LONGEST {
            self.next = Some(sequence.wrapping_add(1));
        }
        let lost = self
            .missing
            .partition_point(|missing| now.saturating_duration_since(missing.since) >= self.patience);
        self.missing.drain(..lost);
        torn || lost > 0
    }

    /// The numbers for which the source is to be asked now; empty, and nothing allocated, while nothing is missing.
    pub fn wanted(&mut self, now: Instant) -> Vec<u16> {
        let due = |missing: &&mut Missing| {
            missing.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= PAUSE)
        };
        let ask = |missing: &mut Missing| {
            missing.asked = Some(now);
            missing.number
        };
        self.missing.iter_mut().filter(due).map(ask).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The numbers at which something is said to be lost; packets are 10 ms apart.
    fn lost(numbers: &[u16]) -> Vec<u16> {
        let (mut holes, start) = (Holes::new(Holes::UNASKED), Instant::now());
        let at = |place: usize| start + Duration::from_millis(10) * place as u32;
        let mut lost = vec![];
        for (place, number) in numbers.iter().enumerate() {
            if holes.arrive(*number, at(place)) {
                lost.push(*number);
            }
        }
        lost
    }

    #[test]
    fn a_hole_is_lost_once_unless_its_packet_comes_soon() {
        assert_eq!(lost(&[65_534, 65_535, 0, 1, 2]), [0; 0]);
        assert_eq!(lost(&[10, 12, 13, 14, 15, 16, 17, 18, 19, 20]), [17]);
        assert_eq!(lost(&[10, 12, 13, 11, 14, 15, 16, 17, 18, 19]), [0; 0]);
        assert_eq!(lost(&[10, 12, 12, 10, 13, 14, 15, 16, 11, 17, 18]), [15], "too late is too late");
        assert_eq!(lost(&[10, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23]), [19, 21]);
    }

    #[test]
    fn what_is_missing_is_asked_for_again_and_again_until_it_comes_or_is_given_up() {
        let (mut holes, start) = (Holes::new(Holes::ASKED_AGAIN), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        holes.arrive(65_534, at(0));
        assert_eq!(holes.wanted(at(0)), [0; 0]);
        holes.arrive(1, at(10));
        assert_eq!(holes.wanted(at(10)), [65_535, 0]);
        assert_eq!(holes.wanted(at(50)), [0; 0]);
        holes.arrive(0, at(60));
        assert_eq!(holes.wanted(at(100)), [65_535]);
        assert!(!holes.arrive(2, at(250)) && holes.arrive(3, at(260)));
        assert_eq!(holes.wanted(at(300)), [0; 0]);
    }

    #[test]
    fn a_source_that_counts_anew_has_lost_something() {
        assert_eq!(lost(&[10, 11, 30_000, 30_001]), [30_000]);
        assert_eq!(lost(&[10, 11, 40_000, 40_001]), [40_000]);
        assert_eq!(lost(&[10, 11, 11 + 98, 11 + 99]), [11 + 98], "so many at once");
    }

    proptest! {
        #[test]
        fn holes_never_hold_much(numbers in proptest::collection::vec(any::<u16>(), 0..500), step in 0_u64..5) {
            let (mut holes, start) = (Holes::new(Holes::UNASKED), Instant::now());
            for (place, number) in numbers.iter().enumerate() {
                holes.arrive(*number, start + Duration::from_millis(step * place as u64));
                prop_assert!(holes.missing.len() <= 2 * usize::from(LONGEST));
            }
        }
    }
}
