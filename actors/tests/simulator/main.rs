//! RQ28: whatever pages, phones and the network between do, and in whatever order, a call comes to one end that its
//! page hears of, in its time, and nothing of it is left.
//!
//! The real Session, Call, Dialog and SipEndpoint, with their real sockets, in virtual time; a page leg with the real state
//! machine and a made-up path; a phone with the real transaction layer behind a network that loses, doubles and delays. Dice with
//! a seed decide what all of them do. A run that fails tells its seed: `TANDEM_SEED=…` runs it alone,
//! `TANDEM_SEED=3500..3750` those of a house.
#![allow(clippy::unwrap_used)]
mod board;
mod house;
#[path = "../../../sip/tests/simulator/network.rs"]
#[allow(dead_code)]
mod network;
mod page;
mod phone;
mod run;
mod story;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use network::Dice;

const T1: Duration = Duration::from_millis(500);
/// What the house may take for an end after the last event (RQ28).
const LIFE: Duration = Duration::from_secs(32);

/// Runs beside each other: each has three sockets.
const AT_ONCE: u64 = 250;
/// Runs of one test, and of a soak.
const RUNS: u64 = 2_000;
const SOAK: u64 = 100_000;

/// The clock that tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn pick<T: Copy>(dice: &mut Dice, from: &[T]) -> T {
    from[usize::try_from(dice.below(from.len() as u64)).unwrap()]
}

#[test]
fn rq28_whatever_happens_each_call_ends_once_in_its_time_and_nothing_is_left() {
    let variable = |name| std::env::var(name).ok();
    let seeds = match (variable("TANDEM_SEED"), variable("TANDEM_SOAK")) {
        (Some(seed), _) => {
            let (first, last) = seed.split_once("..").unwrap_or((&seed, ""));
            let first: u64 = first.parse().expect("TANDEM_SEED is a number, or two with .. between");
            first..last.parse().unwrap_or(first + 1)
        }
        (None, Some(_)) => 0..SOAK,
        (None, None) => 0..RUNS,
    };
    let (many, mut ends) = (seeds.end - seeds.start, BTreeMap::<String, u64>::new());
    for first in seeds.clone().step_by(usize::try_from(AT_ONCE).unwrap()) {
        let batch = first..seeds.end.min(first + AT_ONCE);
        for end in actix::System::new().block_on(house::runs(batch)) {
            *ends.entry(end).or_default() += 1;
        }
    }
    println!("{many} calls ended: {ends:?}");
    // Dice that never throw a kind of end would prove nothing of it.
    for wanted in WANTED.iter().filter(|_| many >= RUNS) {
        assert!(ends.contains_key(*wanted), "no call ended as {wanted}: {ends:?}");
    }
}

/// Ends that must be among those of any thousands of runs.
const WANTED: [&str; 18] = [
    "hangup",
    "cancelled",
    "busy",
    "declined",
    "no_answer",
    "max_duration",
    "media_timeout",
    "not_found",
    "forbidden",
    "no_common_codec",
    "bad_description",
    "signalling_timeout",
    "unreachable",
    "refused",
    "ice_failed",
    "dtls_failed",
    "shutdown",
    "gone",
];
