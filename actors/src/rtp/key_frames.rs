//! When to ask a source of pictures for a key frame: once per second at most, and again while none has come. Pure; time is an argument.
use std::time::{Duration, Instant};

/// Wishes for key frames of one source.
///
/// | in | on | becomes | says |
/// |---|---|---|---|
/// | content | `wish`, the last question is a second old | waiting | ask |
/// | content | `wish`, it is younger | waiting | – |
/// | waiting | `due`, the last question is a second old | waiting | ask |
/// | waiting | `came` | content | – |
///
/// A source that never makes one is asked [`MOST`](Self::MOST) times in a row; then only a new wish asks again.
#[derive(Debug, Default)]
pub struct KeyFrames {
    waiting: bool,
    asked: Option<Instant>,
    unanswered: u8,
}

impl KeyFrames {
    /// The least time between two questions: a key frame costs the source as much as a second of other pictures.
    pub const PAUSE: Duration = Duration::from_secs(1);
    /// Questions in a row to a source that does not answer.
    pub const MOST: u8 = 5;

    /// Somebody cannot go on without one. True: ask now.
    pub fn wish(&mut self, now: Instant) -> bool {
        (self.waiting, self.unanswered) = (true, 0);
        self.due(now)
    }

    /// One came.
    pub fn came(&mut self) {
        (self.waiting, self.unanswered) = (false, 0);
    }

    /// Time has passed. True: ask now.
    pub fn due(&mut self, now: Instant) -> bool {
        let ask = self.deadline().is_some_and(|at| at <= now) || self.waiting && self.asked.is_none();
        if ask {
            self.asked = Some(now);
            self.unanswered += 1;
        }
        ask
    }

    /// When to look again; `None`: nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        let asked = self.asked.filter(|_| self.waiting && self.unanswered < Self::MOST)?;
        Some(asked + Self::PAUSE)
    }

    /// Whether a key frame is waited for.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_asked_once_per_second_until_a_key_frame_comes() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut frames = KeyFrames::default();
        assert!(!frames.due(at(0)), "nobody wants any");
        assert!(frames.wish(at(0)));
        assert!(!frames.wish(at(10)) && !frames.due(at(999)));
        assert_eq!(frames.deadline(), Some(at(1000)));
        assert!(frames.due(at(1000)));
        frames.came();
        assert_eq!((frames.deadline(), frames.is_waiting()), (None, false));
        assert!(!frames.due(at(5000)));
        assert!(frames.wish(at(5000)));
    }

    #[test]
    fn a_wish_soon_after_a_key_frame_waits_for_its_second() {
        let start = Instant::now();
        let mut frames = KeyFrames::default();
        assert!(frames.wish(start));
        frames.came();
        assert!(!frames.wish(start + Duration::from_millis(300)));
        assert!(frames.due(start + Duration::from_millis(1000)));
    }

    #[test]
    fn a_source_that_never_answers_is_left_alone_until_the_next_wish() {
        let start = Instant::now();
        let mut frames = KeyFrames::default();
        let second = |n: u64| start + Duration::from_secs(n);
        assert!(frames.wish(start));
        assert_eq!((1..100).filter(|n| frames.due(second(*n))).count(), usize::from(KeyFrames::MOST) - 1);
        assert_eq!(frames.deadline(), None);
        assert!(frames.wish(second(200)));
    }
}
