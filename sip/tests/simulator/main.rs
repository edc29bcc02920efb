//! Two layers, a bad network between them, thousands of requests, in virtual time.
//!
//! Whatever the network and the users do: each request is seen once, each transaction ends in its time, nothing is left.
#![allow(clippy::unwrap_used)]

mod network;
mod user;

use std::time::{Duration, Instant};

use network::{Dice, Network, Weather};
use sip::transaction::{Layer, Limits, Output, Timers};
use sip::transport::{Flow, Transport};
use user::{PATIENCE, T1, User, check_wire};

const CALM: Weather =
    Weather { transport: Transport::Udp, loss: 0, duplication: 0, delay: 20, breaks_after: None };

#[test]
fn on_a_calm_network_every_request_is_answered_or_ended_by_its_user() {
    for seed in 0..20 {
        let world = run(seed, CALM);
        let failures: usize =
            world.users.iter().flat_map(|user| user.sent.values()).map(|sent| sent.failures).sum();
        let ignored = world
            .users
            .iter()
            .flat_map(|user| user.received.values())
            .filter(|r| r.answered.is_none())
            .count();
        assert_eq!(failures, ignored, "seed {seed}: only what a user ignored times out");
    }
}

#[test]
fn loss_of_a_fifth_duplicates_and_overtaking_leave_nothing_behind() {
    for seed in 100..140 {
        run(seed, Weather { loss: 20, duplication: 20, delay: 900, ..CALM });
    }
}

/// Delays stay under 500 ms: INVITE is sent for the last time 31.5 s after the first, and RFC 3261 lets the server forget it after 32.
#[test]
fn a_network_that_loses_most_leaves_nothing_behind() {
    for seed in 200..220 {
        run(seed, Weather { loss: 70, duplication: 5, delay: 450, ..CALM });
    }
}

#[test]
fn streams_and_streams_that_break_leave_nothing_behind() {
    for seed in 300..320 {
        let breaks_after = (seed % 2 == 1).then(|| Duration::from_secs(seed - 290));
        run(seed, Weather { transport: Transport::Tcp, breaks_after, ..CALM });
    }
}

struct World {
    now: Instant,
    dice: Dice,
    network: Network,
    users: [User; 2],
}

/// Sends 60 requests within a minute, half from each side, and goes on until nothing happens any more.
fn run(seed: u64, weather: Weather) -> World {
    let start = Instant::now();
    let addresses = ["192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap()];
    let mut dice = Dice::new(seed);
    let users = [0, 1].map(|side: usize| {
        let (local, remote) = (addresses[side], addresses[1 - side]);
        let layer = Layer::new(Timers::default(), Limits::default());
        let mut user = User::new(layer, Flow { transport: weather.transport, local, remote });
        user.plan_requests(start, &mut dice, 30);
        user
    });
    let mut world = World { now: start, dice, network: Network::new(weather, start), users };
    while let Some(next) = world.next() {
        world.now = next.max(world.now);
        world.step();
    }
    world.check(seed);
    world
}

impl World {
    /// When something happens next.
    fn next(&self) -> Option<Instant> {
        let users = self.users.iter().flat_map(|user| [user.layer.next_deadline(), user.next_plan()]);
        users.chain([self.network.next_arrival()]).flatten().min()
    }

    fn step(&mut self) {
        while let Some((bytes, flow)) = self.network.arrive(self.now) {
            if !self.network.is_broken(self.now) {
                let user =
                    self.users.iter_mut().find(|user| user.is_at(flow.local)).expect("sent to someone");
                user.layer.receive(self.now, &bytes, flow);
            }
        }
        for side in 0..2 {
            self.users[side].act(self.now, &mut self.dice);
            self.users[side].layer.handle_timeout(self.now);
            self.drain(side);
        }
    }

    fn drain(&mut self, side: usize) {
        let user = &mut self.users[side];
        while let Some(output) = user.layer.poll() {
            match output {
                Output::Transmit { flow, .. } if self.network.is_broken(self.now) => {
                    user.layer.transport_failed(self.now, &flow);
                }
                Output::Transmit { bytes, flow } => {
                    check_wire(&bytes);
                    self.network.send(self.now, &mut self.dice, bytes, flow);
                }
                output => user.hear(self.now, &mut self.dice, output),
            }
        }
    }

    fn check(&self, seed: u64) {
        let life = T1 * 64;
        for user in &self.users {
            assert_eq!(user.layer.running(), (0, 0), "seed {seed}: transactions are left");
            assert_eq!(user.layer.next_deadline(), None, "seed {seed}: timers are left");
            for (key, sent) in &user.sent {
                let took = sent.ended.unwrap_or_else(|| panic!("seed {seed}: {key:?} never ended"))
                    - sent.begun.unwrap();
                // Patience, then the wait after CANCEL, then the tail (D or M).
                let limit = if sent.is_invite { PATIENCE + life * 2 } else { life + Timers::default().t4 };
                assert!(took <= limit, "seed {seed}: {key:?} took {took:?}");
                let outcomes = sent.refusals + sent.failures + sent.successes.min(1);
                assert!((1..=2).contains(&outcomes), "seed {seed}: {key:?} {sent:?}");
                assert!(
                    sent.refusals <= 1 && (sent.successes <= 1 || sent.is_invite),
                    "seed {seed}: {key:?} {sent:?}"
                );
            }
            for (key, received) in &user.received {
                let ended = received.ended.unwrap_or_else(|| panic!("seed {seed}: {key:?} never ended"));
                let tail = ended - received.answered.unwrap_or(received.begun);
                assert!(
                    tail <= life + Timers::default().t4,
                    "seed {seed}: {key:?} took {tail:?} after its answer"
                );
            }
        }
    }
}
