//! How much of what we send will be lost on its way to a leg's far end: copies against loss (Opus FEC) cost work and bits, so they are
//! worth it only where something is lost.
//!
//! | in the last [`LOOKS`] looks, one a second | expected |
//! |---|---|
//! | nothing was lost | nothing |
//! | packets were lost, on either way | the greater of both ways' shares, but at least [`LEAST`] |
//!
//! So the answer rises with the first loss that is known, and 15 s after the last it is back at nothing. A far end reports every few seconds what it
//! missed; what is missing of its own packets is known at once, and mostly one bad network loses both.
use std::collections::VecDeque;

use crate::vocabulary::{Flow, Measured};

/// What is known of the network to one leg's far end.
#[derive(Debug, Default)]
pub struct Outlook {
    /// What was counted, received and sent, oldest first.
    looks: VecDeque<[Flow; 2]>,
}

/// How far back is looked: three of a browser's reports.
const LOOKS: usize = 15;

/// In percent. Opus makes its copies the coarser the less loss it expects, and below this they are hardly better than a guess.
const LEAST: u64 = 10;

impl Outlook {
    /// The leg says how it fares. The loss to expect, in percent.
    pub fn on(&mut self, leg: &Measured) -> u8 {
        let now = [leg.received, leg.sent];
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back(now);
        let before = self.looks.front().copied().unwrap_or_default();
        let [received, sent] = [0, 1].map(|way| now[way].since(&before[way]));
        let lost = |flow: &Flow| flow.reception.map_or(0, |reception| reception.lost);
        // What is lost on the way to us has not been counted as a packet, what is lost on the way there has.
        let shares =
            [share(lost(&received), received.packets + lost(&received)), share(lost(&sent), sent.packets)];
        shares.into_iter().max().unwrap_or_default()
    }
}

fn share(lost: u64, of: u64) -> u8 {
    if lost == 0 {
        return 0;
    }
    (lost * 100).div_ceil(of.max(1)).clamp(LEAST, 100) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::{LegKind, Reception};

    /// A leg with 50 packets a second each way.
    struct Bench {
        outlook: Outlook,
        leg: Measured,
    }

    impl Bench {
        fn new() -> Self {
            let mut leg = Measured::nothing(LegKind::Browser);
            leg.received.reception = Some(Reception::default());
            Self { outlook: Outlook::default(), leg }
        }

        /// Seconds in each of which so many packets from the far end are lost, and it says that it has missed so many.
        fn run(&mut self, seconds: usize, lost: u64, missed: Option<u64>) -> Vec<u8> {
            let second = |_| {
                self.leg.received.packets += 50 - lost;
                self.leg.sent.packets += 50;
                let add = |flow: &mut Flow, lost: u64| {
                    flow.reception.get_or_insert_default().lost += lost;
                };
                add(&mut self.leg.received, lost);
                if let Some(missed) = missed {
                    add(&mut self.leg.sent, missed);
                }
                self.outlook.on(&self.leg)
            };
            (0..seconds).map(second).collect()
        }
    }

    #[test]
    fn a_calm_network_needs_no_copies() {
        assert_eq!(Bench::new().run(40, 0, None), [0; 40]);
        assert_eq!(Bench::new().run(40, 0, Some(0)), [0; 40]);
    }

    #[test]
    fn it_rises_with_the_first_loss_and_is_gone_15_s_after_the_last() {
        for (lost, missed) in [(1, None), (0, Some(1))] {
            let mut bench = Bench::new();
            bench.run(60, 0, None);
            assert_eq!(bench.run(1, lost, missed), [10]);
            assert_eq!(bench.run(14, 0, None), [10; 14]);
            assert_eq!(bench.run(20, 0, None), [0; 20]);
        }
    }

    #[test]
    fn heavy_loss_is_expected_as_heavy_as_it_is_on_the_worse_way() {
        let mut bench = Bench::new();
        bench.run(60, 0, None);
        assert_eq!(bench.run(20, 15, Some(5)).last(), Some(&30));
        assert_eq!(bench.run(20, 1, Some(20)).last(), Some(&40));
        assert_eq!(bench.run(15, 0, Some(0)).last(), Some(&0));
    }

    #[test]
    fn numbers_that_run_back_are_no_loss() {
        let mut bench = Bench::new();
        bench.run(20, 5, Some(5));
        bench.run(15, 0, Some(0));
        bench.leg = Bench::new().leg; // another leg, another count
        bench.leg.sent.reception = Some(Reception::default());
        assert_eq!(bench.run(5, 0, Some(0)), [0; 5]);
    }
}
