//! How many bits of pictures a second may go each way between a SIP leg and its far end. Pure; time is an argument.
use std::time::Instant;

use crate::rtp::loss_limit::LossLimit;
use crate::rtp::rtcp::{ReportBlock, Rtcp};

/// What each end said.
#[derive(Debug, Default)]
pub struct Limits {
    /// The far end by TMMBR.
    asked: Option<u32>,
    /// What its reports tell of the way there.
    losses: LossLimit,
    /// What the call has been told last.
    told: Option<u32>,
    /// Ours, for what the far end sends.
    pub ours: Option<u32>,
}

/// A TMMBR to be noted: what it says, in its own words.
pub type Noted = (u32, u32);

impl Limits {
    /// Takes a report about our stream `own`, of which so many bytes have been sent; gives who asked by TMMBR, and what.
    pub fn hear(&mut self, now: Instant, report: &Rtcp, own: u32, sent: u64) -> Option<Noted> {
        let blocks: &[ReportBlock] = match report {
            Rtcp::SenderReport { blocks, .. } | Rtcp::ReceiverReport { blocks, .. } => blocks,
            Rtcp::RateLimited { by, limits } => {
                let limit = limits.iter().find(|limit| limit.ssrc == own)?;
                self.asked = Some(limit.bits);
                return Some((*by, limit.bits));
            }
            _ => &[],
        };
        if let Some(block) = blocks.iter().find(|block| block.ssrc == own) {
            self.losses.on_report(now, block.fraction_lost, sent);
        }
        None
    }

    /// What the far end takes now, if that is news: changes of less than a sixteenth are none.
    pub fn news(&mut self) -> Option<u32> {
        let now = [self.asked, self.losses.limit()].into_iter().flatten().min();
        let now = match (now, self.told) {
            (None, None) => return None,
            (now, _) => now.unwrap_or(LossLimit::HIGHEST).max(LOWEST),
        };
        let same = self.told.is_some_and(|told| told.abs_diff(now) <= told / 16);
        (!same).then(|| *self.told.insert(now))
    }
}

/// Who asks for less gets this: it must not be understood as a wish for none.
const LOWEST: u32 = 20_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rtp::rate_limits::RateLimit;

    #[test]
    fn the_lower_of_wish_and_loss_is_told_when_it_changes() {
        let start = Instant::now();
        let mut limits = Limits::default();
        let asks = |bits| Rtcp::RateLimited { by: 9, limits: vec![RateLimit::new(1, bits)] };
        let loses = |fraction_lost| {
            let block = ReportBlock {
                ssrc: 1,
                fraction_lost,
                lost: 0,
                highest_sequence: 0,
                jitter: 0,
                last_sr: 0,
                delay_since_last_sr: 0,
            };
            Rtcp::ReceiverReport { ssrc: 9, blocks: vec![block] }
        };
        let mut check = |second: u64, report: &Rtcp, noted: Option<Noted>, news: Option<u32>| {
            let now = start + Duration::from_secs(second);
            assert_eq!(limits.hear(now, report, 1, second * 100_000), noted, "{second}");
            assert_eq!(limits.news(), news, "{second}");
        };
        check(1, &loses(0), None, None);
        check(2, &asks(500_000), Some((9, 500_000)), Some(500_000));
        check(3, &asks(510_000), Some((9, 510_000)), None);
        check(4, &loses(128), None, None);
        check(5, &asks(2_000_000), Some((9, 2_000_000)), Some(600_000));
        check(6, &asks(1), Some((9, 1)), Some(LOWEST));
        let of_others = Rtcp::RateLimited { by: 9, limits: vec![RateLimit::new(2, 77_000)] };
        check(7, &of_others, None, None);
    }
}
