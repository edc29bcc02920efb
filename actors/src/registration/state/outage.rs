//! A thousand accounts lose their registrar and find it again, in virtual time.
use std::collections::BinaryHeap;

use super::*;

const ACCOUNTS: usize = 1000;
/// The network is away for so long.
const CUT: Duration = Duration::from_secs(120);

/// How a network fails.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// The host refuses at once.
    Refuses,
    /// Nothing comes back: the request is repeated (T1, T2) and given up after Timer F.
    Silent,
}

/// What waits: when, whose, and the event, `None` for the account's own timer.
type Waiting = (std::cmp::Reverse<Instant>, usize, Option<bool>);

/// Accounts that were registered for a minute each when the cut begins, or that all begin in it. Gives when after the end of the cut each
/// REGISTER reached the registrar, and when the last account was back.
fn returns(cut: Cut, all_at_once: bool) -> (Vec<Duration>, Duration) {
    let start = Instant::now();
    let end = start + CUT;
    let mut machines: Vec<Machine> =
        (0..ACCOUNTS).map(|n| Machine::new(Duration::from_secs(60), n as f64 / ACCOUNTS as f64)).collect();
    let mut queue: BinaryHeap<Waiting> = BinaryHeap::new();
    for (n, machine) in machines.iter_mut().enumerate() {
        // Spread like 48 s of refreshes, in an order that has nothing to do with the jitter.
        let before = Duration::from_millis((n as u64 * 7919) % 48_000);
        let at = if all_at_once { start } else { start - before };
        machine.on(Event::Start, at);
        machine.on(Event::Located(1), at);
        if all_at_once {
            queue.push((std::cmp::Reverse(start), n, Some(false)));
        } else {
            machine.on(Event::Answer(Answer::Granted(Duration::from_secs(60))), at);
            queue.push((std::cmp::Reverse(machine.deadline().unwrap()), n, None));
        }
    }
    let (mut arrived, mut last) = (vec![], end);
    while let Some((std::cmp::Reverse(now), n, answered)) = queue.pop() {
        if now > end + Duration::from_secs(30) {
            break;
        }
        let machine = &mut machines[n];
        let event = match answered {
            None if machine.deadline().is_none_or(|at| at > now) => continue, // an older timer
            None => Event::Timer,
            Some(true) => Event::Answer(Answer::Granted(Duration::from_secs(60))),
            Some(false) => Event::TransportFailed,
        };
        if answered == Some(true) && machine.told != Some(Told::Registered) {
            last = last.max(now);
        }
        let mut actions = machine.on(event, now);
        if actions.contains(&Action::Locate) {
            actions = machine.on(Event::Located(1), now);
        }
        if actions.iter().any(|action| matches!(action, Action::Send { .. })) {
            let reaches = copies(cut).map(|after| now + after).find(|at| *at >= end);
            if let Some(at) = reaches {
                arrived.push(at - end);
            }
            let answer = match reaches {
                Some(at) => (at, true),
                None if cut == Cut::Refuses => (now, false),
                None => (now + Duration::from_secs(32), false),
            };
            queue.push((std::cmp::Reverse(answer.0), n, Some(answer.1)));
        }
        if let Some(at) = machines[n].deadline() {
            queue.push((std::cmp::Reverse(at), n, None));
        }
    }
    assert!(machines.iter().all(|machine| machine.told == Some(Told::Registered)), "all are back");
    (arrived, last - end)
}

/// When after the first a request goes out again (RFC 3261 §17.1.2.2).
fn copies(cut: Cut) -> impl Iterator<Item = Duration> {
    let repeats = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    let count = if cut == Cut::Silent { repeats.len() } else { 1 };
    repeats.into_iter().take(count).map(Duration::from_millis)
}

/// The most that came within `window`, of what came in the first five seconds.
fn peak(arrived: &[Duration], window: Duration) -> usize {
    let mut arrived = arrived.to_vec();
    arrived.sort_unstable();
    arrived.retain(|at| *at < Duration::from_secs(5));
    (0..arrived.len())
        .map(|n| arrived[n..].partition_point(|at| *at < arrived[n] + window))
        .max()
        .unwrap_or(0)
}

#[test]
fn rq24_a_thousand_accounts_are_back_within_five_seconds_and_not_in_one_burst() {
    for (cut, all_at_once) in
        [(Cut::Refuses, false), (Cut::Refuses, true), (Cut::Silent, false), (Cut::Silent, true)]
    {
        let (arrived, last) = returns(cut, all_at_once);
        let (second, tenth) =
            (peak(&arrived, Duration::from_secs(1)), peak(&arrived, Duration::from_millis(100)));
        println!(
            "silent {}, together {all_at_once}: last after {last:?}, {second}/s, {tenth} in 100 ms",
            cut == Cut::Silent
        );
        assert!(last <= Duration::from_secs(5), "the last was back after {last:?}");
        assert!(second <= 500 && tenth <= 100, "{second} in a second, {tenth} in 100 ms");
    }
}
