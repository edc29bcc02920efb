//! A bad network with a seed: what it does to a run can be repeated exactly.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::transport::{Flow, Transport};

/// SplitMix64: small, seeded, good enough to make weather.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn ms(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}

/// What a network does to messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) transport: Transport,
    /// Of 100 datagrams, so many are lost.
    pub(crate) loss: u64,
    /// Of 100 datagrams, so many come twice.
    pub(crate) duplication: u64,
    /// Delays spread up to here, in ms; datagrams overtake each other.
    pub(crate) delay: u64,
    /// When the connection of a stream breaks.
    pub(crate) breaks_after: Option<Duration>,
}

/// Messages under way, by arrival.
pub(crate) struct Network {
    weather: Weather,
    under_way: BTreeMap<(Instant, u64), (Bytes, Flow)>,
    count: u64,
    pub(crate) born: Instant,
}

impl Network {
    pub(crate) fn new(weather: Weather, born: Instant) -> Self {
        Self { weather, under_way: BTreeMap::new(), count: 0, born }
    }

    pub(crate) fn is_broken(&self, now: Instant) -> bool {
        self.weather.breaks_after.is_some_and(|after| now >= self.born + after)
    }

    /// Takes a message as its sender sees it; it arrives, if it does, as the receiver sees it.
    pub(crate) fn send(&mut self, now: Instant, dice: &mut Dice, bytes: Bytes, flow: Flow) {
        let seen = Flow { local: flow.remote, remote: flow.local, ..flow };
        let (mut copies, mut delay) = (1, Duration::from_millis(10));
        if self.weather.transport == Transport::Udp {
            copies = u64::from(!dice.percent(self.weather.loss));
            copies += u64::from(dice.percent(self.weather.duplication));
        }
        for _ in 0..copies {
            if self.weather.transport == Transport::Udp {
                delay = Duration::from_millis(1) + dice.ms(self.weather.delay);
            }
            self.count += 1;
            self.under_way.insert((now + delay, self.count), (bytes.clone(), seen));
        }
    }

    pub(crate) fn next_arrival(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn arrive(&mut self, now: Instant) -> Option<(Bytes, Flow)> {
        self.next_arrival().filter(|at| *at <= now)?;
        self.under_way.pop_first().map(|(_, message)| message)
    }
}
