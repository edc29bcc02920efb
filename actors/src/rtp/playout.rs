//! When packets are due: a playout delay learnt from how long the last ones were on their way.
//!
//! A packet's *transit* is its arrival less its RTP timestamp, both in time since the first packet. Only differences of
//! transits mean anything: the shortest of the last [`WINDOW`] packets is the network at its best, the longest (but one,
//! so that a single straggler changes nothing) is its worst.
//!
//! | the last packets' transits | a packet is due |
//! |---|---|
//! | lie within [`CALM`] | at once: no pace but the sender's |
//! | are spread wider | at its timestamp + the longest transit + [`MARGIN`], but at most [`MOST`] after the quickest way |
//!
//! The window forgets: within 64 packets of calm (1.3 s at 20 ms) the delay is gone. It also follows the far clock, which
//! runs a little faster or slower than ours, for no transit is older than the window.
//!
//! The stream that is made of the packets has a *lag*: the transit at which its listener must play so as to play all.
//! When the delay grows beyond it, the stream is stretched by made-up sound, so that a listener with a small buffer misses
//! nothing; when less would do, the lag is a surplus that quiet packets may be left out from.

use std::time::{Duration, Instant};

/// Of one incoming stream.
#[derive(Debug)]
pub(super) struct Playout {
    clock_rate: i64,
    origin: Option<Origin>,
    /// In microseconds, as all transits here; the oldest is overwritten.
    transits: [i64; WINDOW],
    learnt: usize,
    shortest: i64,
    longest: i64,
    lag: i64,
}

#[derive(Debug, Clone, Copy)]
struct Origin {
    at: Instant,
    /// The newest timestamp, and the same in ticks since the first.
    timestamp: u32,
    ticks: i64,
}

impl Playout {
    /// For timestamps that count `clock_rate` ticks a second.
    pub(super) fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate: i64::from(clock_rate),
            origin: None,
            transits: [0; WINDOW],
            learnt: 0,
            shortest: 0,
            longest: 0,
            lag: 0,
        }
    }

    /// Forgets the stream: the next packet begins one.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.clock_rate as u32);
    }

    /// A packet came, for the first time.
    pub(super) fn learn(&mut self, now: Instant, timestamp: u32) {
        let origin = self.origin.get_or_insert(Origin { at: now, timestamp, ticks: 0 });
        let step = i64::from(timestamp.wrapping_sub(origin.timestamp).cast_signed());
        if step > 0 {
            (origin.timestamp, origin.ticks) = (timestamp, origin.ticks + step);
        }
        let came = now.saturating_duration_since(origin.at).as_micros() as i64;
        let transit = came - self.media_time(timestamp);
        if self.learnt > 0 && (transit - self.longest).abs() > ANOTHER_CLOCK {
            // The far clock stood still or jumped: what was learnt says nothing any more.
            self.restart();
            return self.learn(now, timestamp);
        }
        self.transits[self.learnt % WINDOW] = transit;
        self.learnt += 1;
        self.look();
        if self.learnt == 1 || self.is_calm() {
            // Nothing is held: the listener sees the network as it is.
            self.lag = if self.learnt == 1 { transit } else { self.lag.max(self.longest) };
        }
    }

    /// When this packet is due; `None`: at once.
    pub(super) fn due(&self, timestamp: u32) -> Option<Instant> {
        if self.is_calm() { None } else { self.deadline(timestamp) }
    }

    /// When a packet with this timestamp will not come any more; `None`: it will not.
    pub(super) fn deadline(&self, timestamp: u32) -> Option<Instant> {
        let origin = self.origin?;
        let newest = self.media_time(origin.timestamp);
        let sent = self.media_time(timestamp);
        if !(0..ANOTHER_CLOCK).contains(&(newest - sent)) {
            return None; // from before the far clock jumped
        }
        Some(origin.at + Duration::from_micros((sent + self.delay()).max(0).unsigned_abs()))
    }

    /// How much longer the stream must become now, in steps of [`STEP`]; zero mostly. It counts as done.
    pub(super) fn stretch(&mut self) -> Duration {
        let short = self.delay() - self.lag;
        if self.is_calm() || short <= 0 {
            return Duration::ZERO;
        }
        let stretch = (short as u64).div_ceil(STEP.as_micros() as u64) as u32 * STEP;
        self.lag += us(stretch);
        stretch
    }

    /// How much shorter the stream may become, once there is enough to be worth it.
    pub(super) fn surplus(&self) -> Duration {
        let needed = if self.is_calm() { self.longest } else { self.delay() };
        let surplus = self.lag - needed;
        if surplus < us(SURPLUS) { Duration::ZERO } else { Duration::from_micros(surplus.unsigned_abs()) }
    }

    /// So much was left out.
    pub(super) fn shortened(&mut self, by: Duration) {
        self.lag -= us(by);
    }

    /// The delay above the quickest way at which packets are passed on at present.
    pub(super) fn held(&self) -> Duration {
        if self.is_calm() {
            return Duration::ZERO;
        }
        Duration::from_micros((self.delay() - self.shortest).max(0).unsigned_abs())
    }

    fn is_calm(&self) -> bool {
        self.longest - self.shortest < us(CALM)
    }

    /// The transit by which all are expected.
    fn delay(&self) -> i64 {
        (self.longest + us(MARGIN)).min(self.shortest + us(MOST))
    }

    fn look(&mut self) {
        let known = &self.transits[..self.learnt.min(WINDOW)];
        let (mut least, mut most, mut second) = (i64::MAX, i64::MIN, i64::MIN);
        for transit in known {
            least = least.min(*transit);
            second = second.max((*transit).min(most));
            most = most.max(*transit);
        }
        // Of few packets the longest is no straggler.
        (self.shortest, self.longest) = (least, if known.len() < WINDOW / 2 { most } else { second });
    }

    /// Time since the first timestamp.
    fn media_time(&self, timestamp: u32) -> i64 {
        let Some(origin) = self.origin else { return 0 };
        let ahead = i64::from(timestamp.wrapping_sub(origin.timestamp).cast_signed());
        (origin.ticks + ahead) * 1_000_000 / self.clock_rate
    }
}

fn us(duration: Duration) -> i64 {
    duration.as_micros() as i64
}

/// Packets that are looked back at: 1.3 s of 20 ms ones.
const WINDOW: usize = 64;
/// Two ways through a local network, or a machine that is busy, are apart by less.
const CALM: Duration = Duration::from_millis(15);
/// Above the longest transit: the next one may be a little longer.
const MARGIN: Duration = Duration::from_millis(10);
/// 1.5 times the worst jitter that a call should bear (100 ms). Beyond that, lost sound disturbs less than delay.
pub(super) const MOST: Duration = Duration::from_millis(150);
const STEP: Duration = Duration::from_millis(10);
/// A packet and a step: less is the network's own restlessness.
const SURPLUS: Duration = Duration::from_millis(30);
/// Longer than any packet is on its way, in microseconds.
const ANOTHER_CLOCK: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// 20 ms packets of an 8 kHz clock with these ways in ms, the first sent at 0.
    fn learnt(ways: &[u64]) -> (Playout, Instant) {
        let (mut playout, start) = (Playout::new(8000), Instant::now());
        for (place, way) in ways.iter().enumerate() {
            let place = place as u32;
            playout.learn(start + 20 * MS * place + Duration::from_millis(*way), 160 * place);
        }
        (playout, start)
    }

    #[test]
    fn on_a_calm_network_packets_are_due_at_once_and_holes_known_soon() {
        let (mut playout, start) = learnt(&[0, 5, 0, 11, 3]);
        assert_eq!(
            (playout.due(160 * 4), playout.held(), playout.stretch()),
            (None, Duration::ZERO, Duration::ZERO)
        );
        assert_eq!(playout.deadline(160 * 4), Some(start + 80 * MS + 11 * MS + MARGIN));
    }

    #[test]
    fn a_restless_one_is_waited_for_and_the_stream_stretched_once() {
        let (mut playout, start) = learnt(&[0, 40, 10]);
        assert_eq!(playout.due(320), Some(start + 40 * MS + 50 * MS));
        assert_eq!(playout.held(), 50 * MS);
        assert_eq!((playout.stretch(), playout.stretch()), (50 * MS, Duration::ZERO));
        // A first packet that was late itself left its listener that much room.
        assert_eq!(learnt(&[40, 0, 10]).0.stretch(), 10 * MS);
    }

    #[test]
    fn one_straggler_changes_nothing_and_two_do() {
        let (mut ways, mut two) = ([0; 100], [0; 100]);
        ways[50] = 90;
        (two[50], two[70]) = (90, 80);
        assert_eq!(learnt(&ways).0.held(), Duration::ZERO);
        assert_eq!(learnt(&two).0.held(), 90 * MS);
    }

    #[test]
    fn calm_brings_it_back_and_leaves_a_surplus() {
        let (mut playout, start) = learnt(&[0, 40, 20, 40, 0, 40]);
        assert_eq!(playout.stretch(), 50 * MS);
        for place in 6..70u32 {
            playout.learn(start + 20 * MS * place, 160 * place);
        }
        assert_eq!((playout.held(), playout.surplus()), (Duration::ZERO, 50 * MS));
        playout.shortened(20 * MS);
        assert_eq!(playout.surplus(), 30 * MS);
        playout.shortened(20 * MS);
        assert_eq!(playout.surplus(), Duration::ZERO);
    }

    #[test]
    fn nothing_is_waited_for_longer_than_the_most() {
        assert_eq!(learnt(&[0, 400, 0, 300]).0.held(), MOST);
    }

    #[test]
    fn a_clock_that_stood_still_is_learnt_anew() {
        let (mut playout, start) = learnt(&[0, 40, 10]);
        playout.learn(start + Duration::from_secs(60), 480);
        assert_eq!((playout.due(480), playout.surplus()), (None, Duration::ZERO));
    }

    #[test]
    fn either_clock_may_run_faster_for_ten_minutes() {
        for ppm in [-200i64, 200] {
            let (mut playout, start) = (Playout::new(48_000), Instant::now());
            let mut changed = [Duration::ZERO; 2];
            for place in 0..30_000u32 {
                let sent = i64::from(place) * 20_000 * (1_000_000 + ppm) / 1_000_000;
                let way = i64::from(place.wrapping_mul(2_654_435_761) >> 22) * 40; // 0 to 40 ms
                let now = start + Duration::from_micros((sent + way).unsigned_abs());
                playout.learn(now, place * 960);
                changed[0] += playout.stretch();
                if playout.surplus() > Duration::ZERO {
                    playout.shortened(20 * MS);
                    changed[1] += 20 * MS;
                }
                assert!(playout.held() <= 60 * MS, "{ppm} ppm: {:?}", playout.held());
            }
            // 120 ms in ten minutes, and what was stretched at the start.
            let [longer, shorter] = changed;
            let drift = longer.as_millis() as i64 - shorter.as_millis() as i64 - 50;
            assert!(
                (drift - ppm * 600 / 1000).abs() <= 40,
                "{ppm} ppm: {longer:?} longer, {shorter:?} shorter"
            );
        }
    }
}
