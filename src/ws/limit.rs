//! How much a page may write into our log: a bucket that fills slowly.
use std::time::Instant;

/// Frames at once: `startDebug` sends the page's whole history, a frame per line.
const BURST: f64 = 500.0;
/// Frames a second after that.
const PER_SECOND: f64 = 50.0;

/// A token bucket.
#[derive(Debug)]
pub(super) struct Limit {
    tokens: f64,
    at: Option<Instant>,
}

impl Limit {
    pub(super) fn new() -> Self {
        Self { tokens: BURST, at: None }
    }

    /// Whether one more may pass at `now`.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.tokens = (self.tokens + passed * PER_SECOND).min(BURST);
        let passes = self.tokens >= 1.0;
        if passes {
            self.tokens -= 1.0;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_so_many_a_second() {
        let (mut limit, start) = (Limit::new(), Instant::now());
        let passed = |limit: &mut Limit, now| (0..1000).filter(|_| limit.take(now)).count();
        assert_eq!(passed(&mut limit, start), 500);
        assert_eq!(passed(&mut limit, start + Duration::from_secs(1)), 50);
        assert_eq!(passed(&mut limit, start + Duration::from_secs(3600)), 500);
    }
}
