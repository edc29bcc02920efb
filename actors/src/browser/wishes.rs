//! What a page asks of our pictures: no oftener than it can be granted.
use std::time::{Duration, Instant};

/// Wishes passed on so far. A page repeats both until it has what it wants.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    key_frame: Option<Instant>,
    limit: Option<(u32, Instant)>,
}

/// Browsers ask five times a second at most while they see nothing.
const KEY_FRAME_PAUSE: Duration = Duration::from_millis(200);
/// Browsers say their limit once a second, and at once when it falls.
const LIMIT_PAUSE: Duration = Duration::from_millis(200);
/// A limit that differs by less than one part in this is no news.
const LIMIT_STEP: u32 = 16;

impl Wishes {
    /// Whether to pass on that the page wants a key frame.
    pub(super) fn key_frame(&mut self, now: Instant) -> bool {
        let due = self.key_frame.is_none_or(|last| now.saturating_duration_since(last) >= KEY_FRAME_PAUSE);
        if due {
            self.key_frame = Some(now);
        }
        due
    }

    /// Whether to pass on how many bits per second the page takes.
    pub(super) fn limit(&mut self, bits: u32, now: Instant) -> bool {
        let news = self.limit.is_none_or(|(last, at)| {
            let old = now.saturating_duration_since(at) >= LIMIT_PAUSE;
            old && bits.abs_diff(last) > last / LIMIT_STEP
        });
        if news {
            self.limit = Some((bits, now));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_passed_on_as_often_as_they_can_be_granted() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut wishes = Wishes::default();
        let times: Vec<u64> = (0..1000).filter(|ms| wishes.key_frame(at(*ms))).collect();
        assert_eq!(times, [0, 200, 400, 600, 800]);
        assert!(wishes.limit(1_600_000, at(0)));
        assert!(!wishes.limit(300_000, at(100)), "too soon: it will be said again");
        assert!(wishes.limit(300_000, at(1_000)));
        assert!(!wishes.limit(310_000, at(2_000)), "nearly the same");
        assert!(wishes.limit(330_000, at(3_000)));
    }
}
