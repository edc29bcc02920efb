//! Whether a far end still lives, by the signs that its leg hears: RTP, RTCP, ICE consent.
//!
//! | phase | what the leg hears | becomes |
//! |---|---|---|
//! | first | nothing for `first` since the answer | over |
//! | first | a sign | running |
//! | running | a sign | the same, from now on |
//! | running | nothing for `running` | over |
//! | any | it owes nothing, for a hold | held, from now on |
//! | held | a sign | the same, from now on |
//! | held | nothing for `hold` | over |
//! | held | it owes sound again | running (first, if there never was a sign), from now on |
//!
//! A far end whose SDP never sends is not judged: a page's path ends without consent, and who else is silent by agreement lives by the
//! other side. What cannot be decrypted, or is somebody else's, is no sign.
use std::time::{Duration, Instant};

use crate::vocabulary::{ActivityLimits, Ear, Owes};

/// One far end of an answered call.
#[derive(Debug)]
pub struct Watch {
    held: bool,
    signs: u64,
    /// When the clock that runs now was set.
    since: Instant,
}

/// A far end has been silent for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent {
    /// Whether there ever was a sign.
    pub ever: bool,
    /// For how long there was none.
    pub lasted: Duration,
}

impl Watch {
    /// The call has been answered, or the leg has just taken its place in it.
    pub fn new(now: Instant) -> Self {
        Self { held: false, signs: 0, since: now }
    }

    /// What its leg hears now.
    pub fn on(&mut self, now: Instant, ear: &Ear, limits: &ActivityLimits) -> Option<Silent> {
        let held = ear.owes == Owes::NothingHeld;
        if ear.signs != self.signs || held != self.held {
            *self = Self { held, signs: ear.signs, since: now };
        }
        let limit = match (held, self.signs) {
            (true, _) => limits.hold,
            (false, 0) => limits.first,
            (false, _) => limits.running,
        };
        let lasted = now.saturating_duration_since(self.since);
        let judged = limits.detecting && !limit.is_zero() && ear.owes != Owes::NothingEver;
        (judged && lasted >= limit).then_some(Silent { ever: self.signs > 0, lasted })
    }
}

#[cfg(test)]
mod tests {
    use Owes::{NothingEver, NothingHeld, Sound};
    use proptest::prelude::*;

    use super::*;

    const LIMITS: ActivityLimits = ActivityLimits {
        detecting: true,
        first: Duration::from_secs(30),
        running: Duration::from_secs(60),
        hold: Duration::from_secs(3600),
    };

    /// When a far end is found dead, which is looked at each second for half an hour and a second more: its signs and what it owes at
    /// each second.
    fn dies(limits: ActivityLimits, hears: impl Fn(u64) -> (u64, Owes)) -> Option<(u64, Silent)> {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        (0..=1801).find_map(|second| {
            let (signs, owes) = hears(second);
            let ear = Ear { owes, signs, ..Ear::default() };
            let found = watch.on(start + Duration::from_secs(second), &ear, &limits);
            found.map(|silent| (second, silent))
        })
    }

    #[track_caller]
    fn check(hears: impl Fn(u64) -> (u64, Owes), expected: Option<(u64, bool)>) {
        let found = dies(LIMITS, hears);
        assert_eq!(found.map(|(second, silent)| (second, silent.ever)), expected);
    }

    #[test]
    fn rq30_whoever_gives_signs_lives() {
        check(|second| (second * 50, Sound), None);
        check(|second| (second * 5 / 2, Sound), None); // DTX: a packet in 400 ms
        check(|second| (second / 5, Sound), None); // silence suppressed: RTCP alone
        check(|second| (second / 59, Sound), Some((30, false))); // but the first one is awaited less long
        check(|second| (1 + second / 59, Sound), None);
    }

    #[test]
    fn rq30_whoever_owes_nothing_lives() {
        check(|_| (0, NothingEver), None);
        check(|_| (0, NothingHeld), None);
        check(|second| if second < 10 { (500, Sound) } else { (500, NothingHeld) }, None);
    }

    #[test]
    fn rq30_whoever_is_gone_is_found_within_the_limit() {
        check(|_| (0, Sound), Some((30, false)));
        check(|second| (second.min(100) * 50, Sound), Some((160, true)));
        // A hold ends: the clock begins anew.
        check(|second| (7, if (10..500).contains(&second) { NothingHeld } else { Sound }), Some((560, true)));
        check(|second| (0, if second < 500 { NothingHeld } else { Sound }), Some((530, false)));
        let short = ActivityLimits { hold: Duration::from_secs(90), ..LIMITS };
        assert_eq!(dies(short, |_| (3, NothingHeld)).map(|(second, _)| second), Some(90));
    }

    #[test]
    fn a_limit_of_zero_and_a_call_without_limits_end_nothing() {
        let zero = Duration::ZERO;
        assert_eq!(dies(ActivityLimits { first: zero, ..LIMITS }, |_| (0, Sound)), None);
        assert_eq!(dies(ActivityLimits { running: zero, ..LIMITS }, |_| (1, Sound)), None);
        assert_eq!(dies(ActivityLimits { detecting: false, ..LIMITS }, |_| (0, Sound)), None);
        assert_eq!(dies(ActivityLimits::never(), |_| (0, Sound)), None);
    }

    proptest! {
        #[test]
        fn nobody_dies_before_the_limit_and_nobody_later(signs in proptest::collection::vec((0u64..90, any::<bool>()), 0..40)) {
            let start = Instant::now();
            let (mut watch, mut at, mut last, mut count) = (Watch::new(start), 0, 0, 0);
            for (pause, held) in signs {
                let owes = if held { NothingHeld } else { Sound };
                for second in at..at + pause {
                    let ear = Ear { owes: Sound, signs: count, ..Ear::default() };
                    let limit = if count == 0 { 30 } else { 60 };
                    let dead = watch.on(start + Duration::from_secs(second), &ear, &LIMITS).is_some();
                    prop_assert_eq!(dead, second - last >= limit);
                }
                at += pause;
                count += 1;
                last = at;
                // Whatever it owes, a sign sets the clock; and so does what it owes next.
                let ear = Ear { owes, signs: count, ..Ear::default() };
                prop_assert_eq!(watch.on(start + Duration::from_secs(at), &ear, &LIMITS), None);
            }
        }
    }
}
