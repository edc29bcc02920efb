//! When to register again: before a binding expires, and after trouble. Pure.
//!
//! After trouble two wishes pull apart: an account should be back within 5 s of its PBX, and a PBX that comes back
//! must not drown in its accounts. The pauses are 1, 2, 4, 4 … s for the first ten minutes, so that anybody is back
//! in time after a restart; with 1,000 accounts that is at most some 500 REGISTERs a second, spread evenly by
//! jitter. After ten minutes the pause is 1/150 of the outage's age, up to 60 s (17 to 33 a second).
use std::time::{Duration, Instant};

/// Counts the failed rounds of one outage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    since: Option<Instant>,
    rounds: u32,
}

/// Longest pause in a young outage.
const YOUNG_PAUSE: Duration = Duration::from_secs(4);
/// Longest pause at all.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// An outage's age over this is its longest pause; with 4 s it makes "young" ten minutes.
const AGE_SHARE: u32 = 150;
/// Shortest pause after a round that took longer than its pause; the jitter draws it out to [`YOUNG_PAUSE`]. Accounts that a silent registrar
/// kept waiting for the same 32 s would else go on in step, and come back in one second.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
/// How long a registrar may silence us with Retry-After; a wrong header must not do so for a day.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);
/// Closest that two REGISTERs of a healthy account may follow each other.
const CLOSEST_REFRESH: Duration = Duration::from_secs(5);

impl Backoff {
    /// When the next round may begin, after one that began at `started` has failed `now`. `jitter` in 0..1 takes up to half of
    /// the pause away. Pauses count from a round's start; one that took longer is followed by 0.5 to 4 s.
    pub(crate) fn next(
        &mut self,
        started: Instant,
        now: Instant,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Instant {
        let since = *self.since.get_or_insert(started);
        let longest = ((now - since) / AGE_SHARE).clamp(YOUNG_PAUSE, LONGEST_PAUSE);
        let pause = Duration::from_secs(1 << self.rounds.min(6)).min(longest);
        self.rounds = self.rounds.saturating_add(1);
        let spread = 1.0 - 0.5 * jitter;
        let after_long = SHORTEST_PAUSE + (YOUNG_PAUSE - SHORTEST_PAUSE).mul_f64(1.0 - jitter);
        let from_start = started + pause.mul_f64(spread);
        let at = if from_start > now { from_start } else { now + after_long };
        match retry_after {
            Some(wait) => at.max(now + wait.min(LONGEST_RETRY_AFTER)),
            None => at,
        }
    }
}

/// How long after a grant of `granted` to refresh it: at 70 to 80 % of it, by `jitter` in 0..1. The rest is time for
/// a retransmitted REGISTER and a lost challenge; the jitter draws apart accounts that registered together. Never
/// under 5 s, whatever the registrar grants.
pub(crate) fn refresh_after(granted: Duration, jitter: f64) -> Duration {
    granted.mul_f64(0.8 - 0.1 * jitter).max(CLOSEST_REFRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(jitter: f64, rounds: usize) -> Vec<f64> {
        let start = Instant::now();
        let (mut backoff, mut now, mut pauses) = (Backoff::default(), start, vec![]);
        for _ in 0..rounds {
            let next = backoff.next(now, now, None, jitter);
            pauses.push((next - now).as_secs_f64());
            now = next;
        }
        pauses
    }

    #[test]
    fn a_young_outage_never_pauses_over_four_seconds() {
        assert_eq!(pauses(0.0, 6), [1.0, 2.0, 4.0, 4.0, 4.0, 4.0]);
        assert_eq!(pauses(1.0, 4), [0.5, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn an_old_outage_pauses_ever_longer_up_to_a_minute() {
        let pauses = pauses(0.0, 1500);
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&60.0));
    }

    #[test]
    fn accounts_that_waited_for_the_same_time_out_part_afterwards() {
        let start = Instant::now();
        let timer_f = start + Duration::from_secs(32);
        let pause = |jitter| (Backoff::default().next(start, timer_f, None, jitter) - timer_f).as_secs_f64();
        assert_eq!((pause(0.0), pause(1.0)), (4.0, 0.5));
    }

    #[test]
    fn retry_after_is_obeyed_up_to_ten_minutes() {
        let now = Instant::now();
        let pause =
            |s| (Backoff::default().next(now, now, Some(Duration::from_secs(s)), 0.5) - now).as_secs();
        assert_eq!((pause(30), pause(1_000_000)), (30, 600));
    }

    #[test]
    fn a_refresh_comes_before_the_grant_ends_but_never_too_close() {
        let after = |granted, jitter| refresh_after(Duration::from_secs(granted), jitter).as_secs_f64();
        assert_eq!((after(3600, 0.0), after(50, 1.0)), (2880.0, 35.0));
        assert_eq!((after(6, 0.0), after(1, 0.0)), (5.0, 5.0));
    }
}
