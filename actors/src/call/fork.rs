//! Which callee a call has: those that ring, then the one that answers first. Pure.
//!
//! | in | on | does |
//! |---|---|---|
//! | several ring | Rang, SentEarlyMedia | pass it on |
//! | several ring | MediaAgreed, Answered | hang up the others: answered elsewhere; pass it on |
//! | several ring | Ended | hang that one up, the others ring on |
//! | several ring | anything else | nothing |
//! | one is left | Ended | pass on the end that says most about the callee |
//! | one is left | anything else | pass it on |
//! | any | what a branch says that is out of it | nothing |
use crate::leg::LegEvent;
use crate::vocabulary::{Cause, EndReason, Side};

/// The callees of a call. One alone is a fork with one branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// Branches that ring, or the one that has the call; never empty.
    live: Vec<usize>,
    /// How a branch ended that rang beside others: the end that says most.
    ended: Option<EndReason>,
}

/// What comes of a branch's report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// What the call hears of its callee.
    pub pass: Option<LegEvent>,
    /// Branches that are out of it, and why.
    pub hang_up: Vec<(usize, EndReason)>,
}

impl Fork {
    /// So many branches ring.
    pub fn new(branches: usize) -> Self {
        Self { live: (0..branches.max(1)).collect(), ended: None }
    }

    /// Branches that ring, or the one that has the call.
    pub fn live(&self) -> &[usize] {
        &self.live
    }

    /// This branch alone.
    pub fn of(branch: usize) -> Self {
        Self { live: vec![branch], ended: None }
    }

    /// The one branch that is left.
    pub fn only(&self) -> Option<usize> {
        match self.live[..] {
            [branch] => Some(branch),
            _ => None,
        }
    }

    /// A branch reports.
    pub fn hear(&mut self, branch: usize, event: LegEvent) -> Heard {
        if !self.live.contains(&branch) {
            return Heard::default();
        }
        let alone = self.live.len() == 1;
        match event {
            LegEvent::MediaAgreed(_) | LegEvent::Answered => {
                let lost = EndReason::new(Some(Side::Callee), Cause::AnsweredElsewhere);
                let others = self.live.iter().filter(|other| **other != branch);
                let hang_up = others.map(|other| (*other, lost.clone())).collect();
                self.live = vec![branch];
                self.ended = None;
                Heard { pass: Some(event), hang_up }
            }
            LegEvent::Ended(why) if alone => {
                let why = says_most(self.ended.take(), why);
                Heard { pass: Some(LegEvent::Ended(why)), hang_up: vec![] }
            }
            LegEvent::Ended(why) => {
                self.live.retain(|other| *other != branch);
                self.ended = Some(says_most(self.ended.take(), why.clone()));
                Heard { pass: None, hang_up: vec![(branch, why)] }
            }
            LegEvent::Rang | LegEvent::SentEarlyMedia => Heard { pass: Some(event), hang_up: vec![] },
            event => Heard { pass: alone.then_some(event), hang_up: vec![] },
        }
    }
}

/// A person's "no" says more than a page that was closed or could not be reached (RFC 3261 §16.7, step 6, in small).
fn says_most(before: Option<EndReason>, now: EndReason) -> EndReason {
    match before {
        Some(before) if rank(&before) <= rank(&now) => before,
        _ => now,
    }
}

fn rank(why: &EndReason) -> u8 {
    match why.cause {
        Cause::Declined | Cause::Busy => 0,
        Cause::NoAnswer | Cause::SessionClosed => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use codecs::CodecId;
    use proptest::prelude::*;

    use super::*;
    use crate::vocabulary::AudioFormat;

    fn agreed() -> LegEvent {
        let format = AudioFormat { codec: CodecId::Opus, ptime_ms: 20, telephone_event: false };
        LegEvent::MediaAgreed(format.into())
    }

    fn ended(cause: Cause) -> LegEvent {
        LegEvent::Ended(EndReason::new(Some(Side::Callee), cause))
    }

    /// After `script`, the last report has these effects: what is passed on, and who is hung up why.
    #[track_caller]
    fn check(
        branches: usize,
        script: &[(usize, LegEvent)],
        pass: Option<LegEvent>,
        hang_up: &[(usize, Cause)],
    ) {
        let mut fork = Fork::new(branches);
        let mut heard = Heard::default();
        for (branch, event) in script {
            heard = fork.hear(*branch, event.clone());
        }
        assert_eq!(heard.pass, pass);
        let hung_up: Vec<_> = heard.hang_up.iter().map(|(branch, why)| (*branch, why.cause)).collect();
        assert_eq!(hung_up, hang_up);
    }

    #[test]
    fn a_callee_alone_is_heard_in_everything() {
        for event in [LegEvent::Rang, agreed(), LegEvent::Answered, LegEvent::HoldAsked, ended(Cause::HangUp)]
        {
            check(1, &[(0, event.clone())], Some(event), &[]);
        }
    }

    #[test]
    fn the_first_that_answers_has_the_call() {
        let first = (1, agreed());
        check(3, &[(0, LegEvent::Rang)], Some(LegEvent::Rang), &[]);
        let lost = [(0, Cause::AnsweredElsewhere), (2, Cause::AnsweredElsewhere)];
        check(3, std::slice::from_ref(&first), Some(agreed()), &lost);
        check(3, &[first.clone(), (1, LegEvent::Answered)], Some(LegEvent::Answered), &[]);
        check(3, &[first.clone(), (2, agreed())], None, &[]);
        check(3, &[first.clone(), (0, ended(Cause::HangUp))], None, &[]);
        check(3, &[first, (1, ended(Cause::HangUp))], Some(ended(Cause::HangUp)), &[]);
        check(2, &[(0, LegEvent::HoldAsked)], None, &[]);
    }

    #[test]
    fn the_others_ring_on_until_the_last_has_refused() {
        let no = |branch| (branch, ended(Cause::Declined));
        check(3, &[no(1)], None, &[(1, Cause::Declined)]);
        check(3, &[no(1), no(1)], None, &[]);
        check(2, &[no(1), no(0)], Some(ended(Cause::Declined)), &[]);
        check(2, &[no(0), (1, ended(Cause::SessionClosed))], Some(ended(Cause::Declined)), &[]);
        check(2, &[(0, ended(Cause::IceFailed)), no(1)], Some(ended(Cause::Declined)), &[]);
        check(2, &[no(0), (1, agreed())], Some(agreed()), &[]);
        check(2, &[no(0), (1, agreed()), (1, ended(Cause::HangUp))], Some(ended(Cause::HangUp)), &[]);
    }

    proptest! {
        #[test]
        fn whatever_comes_one_branch_is_left_and_each_other_is_hung_up_once(
            branches in 1usize..6, script in proptest::collection::vec((0usize..6, 0usize..6), 0..60)
        ) {
            let events = [LegEvent::Rang, agreed(), LegEvent::Answered, LegEvent::HoldAsked, ended(Cause::Declined), ended(Cause::HangUp)];
            let (mut fork, mut out, mut has_call) = (Fork::new(branches), vec![], None);
            for (branch, event) in script {
                let answers = matches!(event, 1 | 2);
                let heard = fork.hear(branch, events[event].clone());
                out.extend(heard.hang_up.iter().map(|(branch, _)| *branch));
                if answers && heard.pass.is_some() {
                    prop_assert!(has_call.is_none_or(|first| first == branch), "two have the call");
                    has_call = Some(branch);
                }
                prop_assert!(!fork.live().is_empty());
            }
            let mut all = [&out[..], fork.live()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..branches).collect::<Vec<_>>());
        }
    }
}
