//! The legs of a call, and which of them its sound passes to.
use super::fork::Fork;
use crate::leg::Leg;
use crate::vocabulary::Side;

/// The legs of a call.
pub(super) struct Legs {
    /// With its branch: 0, until another takes its place.
    pub(super) caller: (usize, Leg),
    pub(super) callees: Vec<(usize, Leg)>,
    pub(super) fork: Fork,
}

impl Legs {
    /// The legs of a side with their branches: one, or those that ring.
    pub(super) fn of(&self, side: Side) -> impl Iterator<Item = (usize, &Leg)> {
        let (caller, live) = match side {
            Side::Caller => (Some((self.caller.0, &self.caller.1)), &[][..]),
            Side::Callee => (None, self.fork.live()),
        };
        let callees = live.iter().filter_map(|branch| Some((*branch, self.callee(*branch)?)));
        caller.into_iter().chain(callees)
    }

    pub(super) fn callee(&self, branch: usize) -> Option<&Leg> {
        self.callees.iter().find(|(known, _)| *known == branch).map(|(_, leg)| leg)
    }

    /// Puts another leg in the place of a side's; gives those that stood there.
    pub(super) fn replace(&mut self, side: Side, branch: usize, leg: Leg) -> Vec<Leg> {
        match side {
            Side::Caller => vec![std::mem::replace(&mut self.caller, (branch, leg)).1],
            Side::Callee => {
                let old = self.of(side).map(|(_, leg)| leg.clone()).collect();
                (self.callees, self.fork) = (vec![(branch, leg)], Fork::of(branch));
                old
            }
        }
    }

    /// The leg whose sound passes; none while several ring.
    pub(super) fn talking(&self, side: Side) -> Option<&Leg> {
        match side {
            Side::Caller => Some(&self.caller.1),
            Side::Callee => self.callee(self.fork.only()?),
        }
    }

    pub(super) fn talking_branch(&self, side: Side) -> Option<usize> {
        match side {
            Side::Caller => Some(self.caller.0),
            Side::Callee => self.fork.only(),
        }
    }
}
