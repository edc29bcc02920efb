//! How many bits per second of pictures a page is told to send (REMB). Pure; time is an argument.
//!
//! A browser that is told nothing begins at some 300 kbit/s and takes a quarter of a minute to reach 1 Mbit/s. In its first seconds it
//! believes what it is told, upwards too; from then on that is only a bound, and what it really sends goes by the losses that we report.
use std::time::{Duration, Instant};

/// What one page is told.
///
/// | its path is up | the other side takes | told |
/// |---|---|---|
/// | not yet | whatever | nothing |
/// | for less than [`START`] | anything, or nobody knows | [`AT_FIRST`] |
/// | for less than [`START`] | less | that |
/// | for longer | so much | that |
/// | for longer | nobody knows | [`MOST`] |
#[derive(Debug, Default)]
pub(super) struct Bandwidth {
    up: Option<Instant>,
    other: Option<u32>,
}

/// How long a page is held to what it begins with: browsers trust the word for two seconds from the first report, which comes after one.
const START: Duration = Duration::from_secs(4);
/// Good pictures of 640 × 480, and no flood on a thin line.
const AT_FIRST: u32 = 1_000_000;
/// A bound that binds nothing: browsers send no more than 2.5 Mbit/s by themselves.
const MOST: u32 = 10_000_000;

impl Bandwidth {
    /// The page's path is up.
    pub(super) fn begin(&mut self, now: Instant) {
        self.up = Some(now);
    }

    /// The other side takes no more than this.
    pub(super) fn limit(&mut self, bits: u32) {
        self.other = Some(bits);
    }

    /// What to tell the page now.
    pub(super) fn told(&self, now: Instant) -> Option<u32> {
        let most = match now.saturating_duration_since(self.up?) < START {
            true => AT_FIRST,
            false => MOST,
        };
        Some(self.other.map_or(most, |other| other.min(most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_with_a_good_rate_and_is_bound_by_the_other_side_alone() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut page = Bandwidth::default();
        assert_eq!(page.told(at(0)), None, "there is no way yet");
        page.begin(at(0));
        assert_eq!((page.told(at(0)), page.told(at(3_999))), (Some(1_000_000), Some(1_000_000)));
        assert_eq!(page.told(at(4_000)), Some(10_000_000));
        page.limit(512_000);
        assert_eq!((page.told(at(10)), page.told(at(60_000))), (Some(512_000), Some(512_000)));
        page.limit(2_000_000);
        assert_eq!((page.told(at(10)), page.told(at(60_000))), (Some(1_000_000), Some(2_000_000)));
    }
}
