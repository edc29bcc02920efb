//! The pool of RTP port pairs. A port comes back when its lease is dropped, and then rests.
//!
//! The one lock here is taken when a call begins and when it ends, never for a packet.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::vocabulary::Meters;

/// Even ports of a range, each with the odd one above it for RTCP (RFC 3550 §11). Clones share the pool.
#[derive(Debug, Clone)]
pub struct PortPool {
    pool: Arc<Mutex<Pool>>,
    rest: Duration,
    meters: Meters,
}

#[derive(Debug)]
struct Pool {
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
}

/// A pair of ports, ours until dropped.
#[derive(Debug)]
pub struct PortLease {
    rtp: u16,
    pool: PortPool,
}

impl PortPool {
    /// The pairs within `first..=last`. A used pair rests for `rest`, so that late packets of the old call
    /// never reach a new one.
    pub fn new((first, last): (u16, u16), rest: Duration, meters: &Meters) -> Self {
        let even = first.next_multiple_of(2);
        let free: VecDeque<u16> = (even..last).step_by(2).collect();
        let pool = Self {
            pool: Arc::new(Mutex::new(Pool { free, resting: VecDeque::new() })),
            rest,
            meters: meters.clone(),
        };
        pool.count(&pool.lock());
        pool
    }

    /// The pair that has been free longest; `None`: all are in use or resting.
    pub fn lease(&self, now: Instant) -> Option<PortLease> {
        let mut pool = self.lock();
        pool.wake(now, self.rest);
        let port = pool.free.pop_front();
        self.count(&pool);
        port.map(|rtp| PortLease { rtp, pool: self.clone() })
    }

    /// How many pairs could be leased now.
    pub fn free(&self, now: Instant) -> usize {
        let mut pool = self.lock();
        pool.wake(now, self.rest);
        self.count(&pool);
        pool.free.len()
    }

    fn give_back(&self, port: u16) {
        let mut pool = self.lock();
        pool.resting.push_back((Instant::now(), port));
        self.count(&pool);
    }

    fn count(&self, pool: &Pool) {
        self.meters.ports_free.set(i64::try_from(pool.free.len()).unwrap_or(i64::MAX));
    }

    /// A panic elsewhere cannot leave the two lists half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn wake(&mut self, now: Instant, rest: Duration) {
        while let Some((since, port)) = self.resting.front().copied() {
            if now.saturating_duration_since(since) < rest {
                break;
            }
            self.resting.pop_front();
            self.free.push_back(port);
        }
    }
}

impl PortLease {
    /// The even port, for RTP.
    pub fn rtp(&self) -> u16 {
        self.rtp
    }

    /// The odd port, for RTCP.
    pub fn rtcp(&self) -> u16 {
        self.rtp + 1
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.pool.give_back(self.rtp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    #[test]
    fn pairs_are_even_and_inside_the_range() {
        let pool = PortPool::new((20001, 20006), REST, &Meters::new());
        let now = Instant::now();
        let first = pool.lease(now).unwrap();
        let second = pool.lease(now).unwrap();
        assert_eq!((first.rtp(), first.rtcp(), second.rtp()), (20002, 20003, 20004));
        assert!(pool.lease(now).is_none(), "20006 has no RTCP port inside the range");
    }

    #[test]
    fn a_used_pair_rests_before_it_is_given_out_again() {
        let pool = PortPool::new((20000, 20001), REST, &Meters::new());
        let now = Instant::now();
        drop(pool.lease(now).unwrap());
        assert!(pool.lease(now + REST / 2).is_none());
        assert_eq!(pool.free(now + REST * 2), 1);
        assert!(pool.lease(now + REST * 2).is_some());
    }
}
