//! How much of our pictures a far end gets through its network, by what its reports say is lost. Pure; time is an argument.
use std::time::{Duration, Instant};

/// The limit of one stream of ours.
///
/// | a report says lost | the limit becomes |
/// |---|---|
/// | more than 10 % | what was sent of late, less half of what was lost; never more than before |
/// | 2 to 10 % | as it was |
/// | less | a quarter more; beyond [`HIGHEST`](Self::HIGHEST) there is none |
///
/// The bounds are those of browsers: below 2 % lies what radio loses in any case.
#[derive(Debug, Default)]
pub struct LossLimit {
    limit: Option<u32>,
    /// When a report was last looked at, and what was sent by then.
    last: Option<(Instant, u64)>,
}

impl LossLimit {
    /// What is sent at least: a slow picture is better than none.
    pub const LOWEST: u32 = 64_000;
    /// Nobody is sent more in any case.
    pub const HIGHEST: u32 = 8_000_000;

    /// A report says that so many 256ths are lost; we have sent so many bytes in all.
    pub fn on_report(&mut self, now: Instant, fraction_lost: u8, sent: u64) {
        let Some((then, before)) = self.last else {
            self.last = Some((now, sent));
            return;
        };
        let passed = now.saturating_duration_since(then);
        if passed < SHORTEST {
            return; // too short to say what was sent
        }
        self.last = Some((now, sent));
        let (lost, limit) = (u64::from(fraction_lost), self.limit.map(u64::from));
        self.limit = match fraction_lost {
            26.. => {
                let rate =
                    sent.saturating_sub(before).saturating_mul(8_000) / passed.as_millis().max(1) as u64;
                let rate = rate.min(limit.unwrap_or(u64::MAX));
                let less = rate - rate * lost / 512;
                Some(less.clamp(Self::LOWEST.into(), Self::HIGHEST.into()) as u32)
            }
            5.. => self.limit,
            _ => limit
                .map(|limit| limit + limit / 4)
                .and_then(|more| u32::try_from(more).ok())
                .filter(|more| *more < Self::HIGHEST),
        };
    }

    /// What stands now; none: all may be sent.
    pub fn limit(&self) -> Option<u32> {
        self.limit
    }
}

/// Between two reports: they come every five seconds, or every one.
const SHORTEST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_lowers_what_was_sent_and_its_end_raises_it_again() {
        let start = Instant::now();
        let mut limit = LossLimit::default();
        let (mut second, mut sent) = (0, 0);
        let mut report = |lost: u8, rate: u64| {
            second += 1;
            sent += rate / 8;
            limit.on_report(start + Duration::from_secs(second), lost, sent);
            limit.limit()
        };
        assert_eq!(report(255, 800_000), None, "nobody knows yet how much was sent");
        assert_eq!(report(0, 800_000), None);
        assert_eq!(report(25, 800_000), None);
        assert_eq!(report(128, 800_000), Some(600_000));
        assert_eq!(report(10, 600_000), Some(600_000));
        assert_eq!(report(128, 900_000), Some(450_000), "never more than before");
        assert_eq!(report(0, 450_000), Some(562_500));
        for _ in 0..20 {
            report(255, 0);
        }
        assert_eq!(report(255, 0), Some(LossLimit::LOWEST));
        let rises: Vec<_> = (0..30).map_while(|_| report(0, 100_000)).collect();
        assert!(rises.is_sorted() && rises.len() > 10 && *rises.last().unwrap() > 6_000_000, "{rises:?}");
        assert_eq!(report(0, 100_000), None, "gone");
    }

    #[test]
    fn reports_too_close_together_say_nothing() {
        let start = Instant::now();
        let mut limit = LossLimit::default();
        for n in 0..100 {
            limit.on_report(start + Duration::from_millis(n), 255, n * 1000);
        }
        assert_eq!(limit.limit(), None);
    }
}
