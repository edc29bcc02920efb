//! Which transaction wants to be woken next.

use std::collections::BTreeSet;
use std::time::Instant;

/// The deadlines of many transactions, in order.
#[derive(Debug, Default)]
pub(crate) struct Schedule(BTreeSet<(Instant, u64)>);

impl Schedule {
    /// Moves the deadline of `id` from `old` to `new`.
    pub(crate) fn set(&mut self, id: u64, old: &mut Option<Instant>, new: Option<Instant>) {
        if *old == new {
            return;
        }
        if let Some(at) = *old {
            self.0.remove(&(at, id));
        }
        if let Some(at) = new {
            self.0.insert((at, id));
        }
        *old = new;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Who is due first, if anyone is.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        self.0.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }
}
