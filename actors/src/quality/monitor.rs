//! The sound of an answered call, second by second: who is silent and why, who is gone, how good it is.
use std::time::{Duration, Instant};

use super::LegRecord;
use super::activity::{Silent, Watch};
use super::trouble::{Listener, Trouble, Way};
use crate::vocabulary::{ActivityLimits, Both, LegKind, Measured, Playout, Side};

/// What there is to say of an answered call's sound.
#[derive(Debug, Default)]
pub struct Monitor {
    answered: Option<Instant>,
    ends: Both<Option<End>>,
    /// Troubles that are over.
    past: Vec<Told>,
    one_way: bool,
    scored: Option<Instant>,
    shown: Option<Scores>,
}

/// What is known of one end.
#[derive(Debug)]
struct End {
    watch: Watch,
    listener: Listener,
    troubles: [Option<Trouble>; 2],
    latest: Option<Measured>,
    /// As of the last score.
    before: Option<Measured>,
}

/// The scores of both legs, received and sent, in tenths.
type Scores = [Option<u64>; 4];

/// A change that is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// A direction of a leg is without sound, or is so for another reason than was told.
    Trouble(Trouble),
    /// It has sound again.
    Well(Trouble),
    /// The far end of a leg is gone.
    Gone(LegKind, Silent, Option<Trouble>),
}

/// A trouble as the record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it was.
    pub trouble: Trouble,
    /// How long after the answer it began.
    pub after: Duration,
    /// How long it lasted.
    pub lasted: Duration,
}

/// What is left at the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The first troubles, in order.
    pub troubles: Vec<Told>,
    /// For some time sound was missing one way and not the other.
    pub one_way: bool,
    /// Legs whose far ends never sent a packet that they owed.
    pub mute: Vec<LegKind>,
}

/// How often a score is made.
const SCORE_EVERY: Duration = Duration::from_secs(5);
/// Troubles that a record keeps: more would be the same again and again.
const MAX_TOLD: usize = 8;

impl Monitor {
    /// The call has been answered.
    pub fn answered(&mut self, now: Instant) {
        self.answered = Some(now);
        self.scored = Some(now);
        self.anew(Side::Caller, now);
        self.anew(Side::Callee, now);
    }

    /// Another leg has taken its place on this side.
    pub fn anew(&mut self, side: Side, now: Instant) {
        if self.answered.is_none() {
            return;
        }
        let (watch, listener) = (Watch::new(now), Listener::new(now));
        let end = End { watch, listener, troubles: [None; 2], latest: None, before: None };
        if let Some(old) = self.ends[side].replace(end) {
            old.troubles.into_iter().flatten().for_each(|trouble| self.keep(trouble, now));
        }
    }

    /// A leg says how it fares.
    pub fn on(&mut self, now: Instant, side: Side, leg: &Measured, limits: &ActivityLimits) -> Vec<News> {
        let Some(end) = &mut self.ends[side] else { return vec![] };
        let (mut news, mut over) = (vec![], vec![]);
        for (known, found) in end.troubles.iter_mut().zip(end.listener.on(now, leg)) {
            match (*known, found) {
                (Some(was), Some(is)) if was.cause == is.cause => continue,
                (was, Some(is)) => {
                    news.push(News::Trouble(is));
                    over.extend(was);
                }
                (Some(was), None) => {
                    news.push(News::Well(was));
                    over.push(was);
                }
                (None, None) => {}
            }
            *known = found;
        }
        if let Some(silent) = end.watch.on(now, &leg.ear, limits) {
            news.push(News::Gone(leg.kind, silent, end.troubles[0]));
        }
        end.latest = Some(leg.clone());
        over.into_iter().for_each(|trouble| self.keep(trouble, now));
        news
    }

    /// Both legs have been heard: looks at them together. The scores of both since the last ones, if they are others.
    pub fn look(&mut self, now: Instant) -> Option<Vec<LegRecord>> {
        let [there, back] = [Side::Caller, Side::Callee].map(|from| self.is_broken(from));
        self.one_way |= there != back;
        if self.scored.is_none_or(|at| now < at + SCORE_EVERY) {
            return None;
        }
        self.scored = Some(now);
        let legs = [Side::Caller, Side::Callee].map(|side| self.ends[side].as_mut().and_then(End::score));
        let tenths = |leg: &Option<LegRecord>| {
            let score = |mos: Option<super::Mos>| Some((mos?.as_f64() * 10.0).round() as u64);
            leg.as_ref().map_or([None; 2], |leg| [score(leg.mos_received), score(leg.mos_sent)])
        };
        let ([a, b], [c, d]) = (tenths(&legs[0]), tenths(&legs[1]));
        let scores = [a, b, c, d];
        (self.shown.replace(scores) != Some(scores)).then(|| legs.into_iter().flatten().collect())
    }

    /// The call is over.
    pub fn close(&mut self, now: Instant) -> Verdict {
        let mut mute = vec![];
        for side in [Side::Caller, Side::Callee] {
            let Some(end) = self.ends[side].take() else { continue };
            let silent = end.troubles[0].is_some_and(|trouble| trouble.is_fault());
            mute.extend(end.latest.filter(|leg| silent && leg.received.packets == 0).map(|leg| leg.kind));
            end.troubles.into_iter().flatten().for_each(|trouble| self.keep(trouble, now));
        }
        Verdict { troubles: std::mem::take(&mut self.past), one_way: self.one_way, mute }
    }

    /// Whether sound from this side does not reach the other.
    fn is_broken(&self, from: Side) -> bool {
        let has = |side: Side, way: Way| {
            let troubles = self.ends[side].iter().flat_map(|end| end.troubles.into_iter().flatten());
            troubles.filter(|trouble| trouble.way == way).any(|trouble| trouble.is_fault())
        };
        has(from, Way::Received) || has(from.other(), Way::Sent)
    }

    fn keep(&mut self, trouble: Trouble, now: Instant) {
        let Some(answered) = self.answered else { return };
        if self.past.len() < MAX_TOLD {
            let after = trouble.since.saturating_duration_since(answered);
            let lasted = now.saturating_duration_since(trouble.since);
            self.past.push(Told { trouble, after, lasted });
        }
    }
}

impl End {
    /// How the leg fared since it was scored last.
    fn score(&mut self) -> Option<LegRecord> {
        let latest = self.latest.clone()?;
        let since = match &self.before {
            Some(before) => latest.since(before),
            None => latest.clone(),
        };
        self.before = Some(latest);
        Some(LegRecord::of(since, Playout::default()))
    }
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
