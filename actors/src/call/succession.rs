//! A leg that is to take the place of another one: the far side of a call is moved, and the other side keeps its call.
//!
//! The old leg offers its successor (its far end was referred to somebody else, or somebody takes its place) and hears how the successor
//! fares. Until it is decided the old leg is the call's, unless its far end hangs up: then the call waits for the successor alone.
//!
//! | in              | on                  | becomes       | does                                          |
//! |-----------------|---------------------|---------------|-----------------------------------------------|
//! | None            | Offered             | Pending       | start it, start the limit                     |
//! | Pending         | Rang                | Pending, rings | tell the old leg; if it left, ring at the other side |
//! | Pending         | Ready               | None          | stop the limit, tell the old leg, be quiet, take over |
//! | Pending         | OldEnded            | Pending, left | unplug; if the successor rings, ring at the other side |
//! | Pending         | Failed              | None          | stop the limit, tell the old leg; if it left, end the call |
//! | Pending         | Late                | None          | turn it away; as Failed                       |
//! | Pending         | Over                | None          | stop the limit, turn it away                  |
//!
//! Every other pair is ignored; a second offer is turned away by the shell.
use actix::{AsyncContext, Context, SpawnHandle};
use tracing::info;

use super::Call;
use super::state::Event as CallEvent;
use crate::leg::{Fared, Leg, LegCommand, LegEvent, Successor};
use crate::vocabulary::{Cause, EndReason, MediaFormat, Side};

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Succession {
    /// Nobody is to be replaced.
    #[default]
    None,
    /// A successor is on its way.
    Pending {
        /// The far end of the old leg has hung up.
        left: bool,
        /// The successor's far end rings.
        rings: bool,
    },
}

/// What may happen to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// A successor is there.
    Offered,
    /// Its far end rings.
    Rang,
    /// Its far end has answered.
    Ready,
    /// It came to nothing.
    Failed(EndReason),
    /// The old leg is over.
    OldEnded,
    /// The limit is over.
    Late,
    /// The call is over.
    Over,
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Let the successor start.
    Begin,
    /// Start the limit after which it counts as not answered.
    StartLimit,
    /// It is decided.
    StopLimit,
    /// Tell the old leg.
    Tell(Fared),
    /// Put the successor in the old leg's place.
    TakeOver,
    /// Nothing passes: the old leg hears no more.
    Unplug,
    /// The other side, which waits, is to hear that somebody rings.
    Ring,
    /// It has waited long enough.
    Quiet,
    /// Hang the successor up.
    TurnAway(EndReason),
    /// End the call.
    End(EndReason),
}

impl Succession {
    /// The whole life of a succession.
    pub(super) fn on(&mut self, event: Event) -> Vec<Action> {
        use Action::*;
        use Succession::{None, Pending};
        let (next, actions) = match (*self, event) {
            (None, Event::Offered) => (Pending { left: false, rings: false }, vec![StartLimit, Begin]),
            (Pending { left, rings }, Event::Rang) => {
                let mut actions = vec![Tell(Fared::Rang)];
                actions.extend((left && !rings).then_some(Ring));
                (Pending { left, rings: true }, actions)
            }
            (Pending { .. }, Event::Ready) => (None, vec![StopLimit, Tell(Fared::Answered), Quiet, TakeOver]),
            (Pending { left: false, rings }, Event::OldEnded) => {
                let mut actions = vec![Unplug];
                actions.extend(rings.then_some(Ring));
                (Pending { left: true, rings }, actions)
            }
            (Pending { left, .. }, Event::Failed(why)) => (None, failed(left, why)),
            (Pending { left, .. }, Event::Late) => {
                let why = EndReason::new(Option::None, Cause::NoAnswer);
                let mut actions = vec![TurnAway(why.clone())];
                actions.extend(failed(left, why));
                (None, actions)
            }
            (Pending { .. }, Event::Over) => {
                let why = EndReason::new(Option::None, Cause::Cancelled);
                (None, vec![StopLimit, TurnAway(why)])
            }
            _ => return vec![],
        };
        *self = next;
        actions
    }
}

fn failed(left: bool, why: EndReason) -> Vec<Action> {
    let mut actions = vec![Action::StopLimit, Action::Tell(Fared::Failed(why.clone()))];
    if left {
        actions.push(Action::End(why));
    }
    actions
}

/// The successor of a leg, as its call holds it.
pub(super) struct Heir {
    side: Side,
    branch: usize,
    leg: Leg,
    /// It calls us: it is ready once its sound is agreed.
    comes_in: bool,
    format: Option<MediaFormat>,
    /// What its far end runs.
    software: Option<Box<str>>,
    limit: Option<SpawnHandle>,
}

impl Call {
    /// Whether a report comes from the successor.
    pub(super) fn is_heir(&self, side: Side, branch: usize) -> bool {
        self.heir.as_ref().is_some_and(|heir| heir.side == side && heir.branch == branch)
    }

    /// Whether the leg of this side has a successor on its way.
    pub(super) fn is_replaced(&self, side: Side) -> bool {
        self.heir.as_ref().is_some_and(|heir| heir.side == side)
    }

    /// A leg offers its successor.
    pub(super) fn succeed(&mut self, side: Side, successor: Successor, ctx: &mut Context<Self>) {
        let Successor { branch, leg: new, comes_in } = successor;
        let fits = self.state.is_answered() || comes_in && side == Side::Callee && self.state.is_asked();
        if self.heir.is_some() || !fits {
            let why = EndReason { sip_code: Some(491), ..EndReason::new(None, Cause::Refused) };
            new.commands.do_send(LegCommand::HangUp(why.clone()));
            return self.tell(side, LegCommand::SuccessorFared(Fared::Failed(why)));
        }
        info!(call_id = %self.order.call_id, side = side.as_str(), "a leg is to be replaced");
        self.heir =
            Some(Heir { side, branch, leg: new, comes_in, format: None, software: None, limit: None });
        self.succession_step(Event::Offered, ctx);
    }

    /// A report of the successor.
    pub(super) fn hear_heir(&mut self, event: LegEvent, ctx: &mut Context<Self>) {
        let Some(heir) = &mut self.heir else { return };
        let event = match event {
            LegEvent::Rang | LegEvent::SentEarlyMedia => Event::Rang,
            LegEvent::MediaAgreed(format) => {
                heir.format = Some(format);
                if !heir.comes_in {
                    return;
                }
                Event::Ready
            }
            LegEvent::SoftwareSeen(name) => {
                heir.software = Some(name);
                return;
            }
            LegEvent::Answered => Event::Ready,
            LegEvent::Ended(why) => Event::Failed(why),
            _ => return,
        };
        self.succession_step(event, ctx);
    }

    pub(super) fn succession_step(&mut self, event: Event, ctx: &mut Context<Self>) {
        for action in self.succession.on(event) {
            self.perform_succession(action, ctx);
        }
        if self.succession == Succession::None {
            self.heir = None;
        }
    }

    fn perform_succession(&mut self, action: Action, ctx: &mut Context<Self>) {
        let Some(heir) = &mut self.heir else { return };
        match action {
            Action::Begin => {
                let other = self.wiring.format(heir.side.other());
                let commands = &heir.leg.commands;
                if let Some(format) = other {
                    commands.do_send(LegCommand::Agree(format));
                }
                commands.do_send(if heir.comes_in { LegCommand::Answer } else { LegCommand::Dial });
            }
            Action::StartLimit => {
                let limit = self.order.no_answer;
                heir.limit = Some(ctx.run_later(limit, |call, ctx| call.succession_step(Event::Late, ctx)));
            }
            Action::StopLimit => {
                if let Some(limit) = heir.limit.take() {
                    ctx.cancel_future(limit);
                }
            }
            Action::Tell(fared) => {
                let side = heir.side;
                self.tell(side, LegCommand::SuccessorFared(fared));
            }
            Action::TakeOver => self.take_over(ctx),
            Action::Unplug => self.pause(),
            Action::Ring => {
                let waiting = heir.side.other();
                self.tell(waiting, LegCommand::Ring);
            }
            Action::Quiet => {
                let waiting = heir.side.other();
                self.tell(waiting, LegCommand::Quiet);
            }
            Action::TurnAway(why) => heir.leg.commands.do_send(LegCommand::HangUp(why)),
            Action::End(why) => self.step(CallEvent::LegEnded(why), ctx),
        }
    }

    /// The successor is the call's leg from now on; what the old one still says is nobody's business.
    fn take_over(&mut self, ctx: &mut Context<Self>) {
        let (Some(Heir { side, branch, leg, format, software, .. }), Some(legs)) =
            (self.heir.take(), &mut self.legs)
        else {
            return;
        };
        let why = EndReason::new(Some(side.other()), Cause::Transferred);
        for old in legs.replace(side, branch, leg) {
            old.commands.do_send(LegCommand::HangUp(why.clone()));
        }
        if let Some(name) = software {
            self.software_seen(name);
        }
        self.tell_stand_in();
        self.pause();
        self.watch_anew(side);
        info!(call_id = %self.order.call_id, side = side.as_str(), "a leg was replaced");
        self.step(CallEvent::Replaced(side), ctx);
        if let Some(format) = format {
            self.wiring.agree(side, format);
            self.step(CallEvent::MediaAgreed(side, format), ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use Succession::{None, Pending};
    use proptest::prelude::*;

    use super::*;

    const THERE: Succession = Pending { left: false, rings: false };
    const RINGS: Succession = Pending { left: false, rings: true };
    const LEFT: Succession = Pending { left: true, rings: false };
    const LEFT_RINGS: Succession = Pending { left: true, rings: true };

    #[track_caller]
    fn check(start: Succession, event: Event, end: Succession, does: &str) {
        let mut state = start;
        let actions: Vec<_> = state.on(event).iter().map(brief).collect();
        assert_eq!((state, actions.join(" ").as_str()), (end, does));
    }

    fn brief(action: &Action) -> String {
        match action {
            Action::Tell(Fared::Failed(why)) => format!("Tell[{}]", why.cause.as_str()),
            Action::Tell(fared) => format!("Tell[{fared:?}]"),
            Action::TurnAway(_) => "TurnAway".to_owned(),
            Action::End(why) => format!("End[{}]", why.cause.as_str()),
            other => format!("{other:?}"),
        }
    }

    fn busy() -> EndReason {
        EndReason::from_sip(Side::Callee, 486, "")
    }

    #[test]
    fn a_successor_rings_answers_and_takes_over() {
        check(None, Event::Offered, THERE, "StartLimit Begin");
        check(THERE, Event::Rang, RINGS, "Tell[Rang]");
        check(RINGS, Event::Rang, RINGS, "Tell[Rang]");
        check(RINGS, Event::Ready, None, "StopLimit Tell[Answered] Quiet TakeOver");
        check(THERE, Event::Offered, THERE, "");
    }

    #[test]
    fn a_successor_that_fails_leaves_the_call_to_the_old_leg() {
        check(THERE, Event::Failed(busy()), None, "StopLimit Tell[busy]");
        check(THERE, Event::Late, None, "TurnAway StopLimit Tell[no_answer]");
        check(THERE, Event::Over, None, "StopLimit TurnAway");
        check(None, Event::Failed(busy()), None, "");
    }

    #[test]
    fn a_call_whose_old_leg_has_left_lives_or_dies_with_the_successor() {
        check(THERE, Event::OldEnded, LEFT, "Unplug");
        check(LEFT, Event::OldEnded, LEFT, "");
        check(LEFT, Event::Rang, LEFT_RINGS, "Tell[Rang] Ring");
        check(LEFT_RINGS, Event::Rang, LEFT_RINGS, "Tell[Rang]");
        check(RINGS, Event::OldEnded, LEFT_RINGS, "Unplug Ring");
        check(LEFT, Event::Ready, None, "StopLimit Tell[Answered] Quiet TakeOver");
        check(LEFT, Event::Failed(busy()), None, "StopLimit Tell[busy] End[busy]");
        check(LEFT, Event::Late, None, "TurnAway StopLimit Tell[no_answer] End[no_answer]");
    }

    proptest! {
        #[test]
        fn whatever_comes_a_successor_takes_over_or_not_and_the_limit_stops(picks in proptest::collection::vec(0usize..6, 0..30)) {
            let events = [
                Event::Rang, Event::Ready, Event::Failed(busy()), Event::OldEnded, Event::Late, Event::Offered,
            ];
            let mut state = None;
            let mut open = 0;
            for event in picks.into_iter().map(|pick| events[pick].clone()).chain([Event::Over]) {
                for action in state.on(event) {
                    match action {
                        Action::StartLimit => open += 1,
                        Action::StopLimit => open -= 1,
                        _ => {}
                    }
                }
                prop_assert_eq!(open, i32::from(state != None));
            }
            prop_assert_eq!(state, None);
        }
    }
}
