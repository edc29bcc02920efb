//! What a call is doing and what it does next. Pure: no actix, no socket, no clock.
//!
//! | in                     | on                       | becomes        | does                                   |
//! |------------------------|--------------------------|----------------|----------------------------------------|
//! | New                    | Begun                    | Dialing        | dial callee, start the no-answer limit |
//! | Dialing                | Rang (callee)            | Ringing        | ring caller                            |
//! | Dialing, Ringing       | SentEarlyMedia (callee)  | Ringing        | tell caller                            |
//! | Dialing, Ringing       | AdditionsGiven (callee)  | same           | pass them to the caller                |
//! | Dialing, Ringing       | Answered (callee)        | Talking        | start the duration limit, answer both, connect |
//! | Talking                | HoldAsked (side)         | Holding        | hold the other side, pause             |
//! | Holding                | Held                     | OnHold         | show hold to the asker, music to the other |
//! | Holding                | Refused                  | Talking        | show talk to the asker, connect        |
//! | OnHold                 | ResumeAsked (same side)  | Resuming       | resume the other side                  |
//! | Resuming               | Resumed                  | Talking        | show talk to the asker, connect        |
//! | Resuming               | Refused                  | OnHold         | show hold to the asker                 |
//! | OnHold                 | HoldAsked (same side)    | OnHold         | show hold to the asker                 |
//! | Talking                | ResumeAsked (side)       | Talking        | show talk to the asker                 |
//! | Talking, OnHold        | TransferAsked (side)     | Transferring   | ask the other side to call somebody else |
//! | Holding, Resuming      | TransferAsked (side)     | same           | postpone it until that is decided      |
//! | Transferring           | TransferRefused          | Talking, OnHold | show it to the asker                  |
//! | Transferring           | HoldAsked, ResumeAsked, TransferAsked (side) | same | show hold or talk to the asker |
//! | Dialing, Ringing       | Replaced (callee)        | Talking        | as if the callee had answered          |
//! | Talking, Transferring  | Replaced (side)          | Talking        | – (its sound is agreed next)           |
//! | Holding, OnHold, Transferring | Replaced (held side) | Holding      | hold it                                |
//! | Resuming               | Replaced (held side)     | Talking        | show talk to the asker                 |
//! | any hold               | Replaced (asker)         | Resuming       | resume the other side                  |
//! | any but New, Ended     | MediaAgreed (side)       | same           | tell the other side; connect unless held |
//! | any but New, Ended     | RemoteHeld (side)        | same           | tell the other side                    |
//! | Talking, any hold      | DigitsAsked (side)       | same           | send digits to the other side          |
//! | Dialing, Ringing       | NoAnswer                 | Ended          | hang up both, finish                   |
//! | Talking, any hold      | TooLong                  | Ended          | hang up both, finish                   |
//! | any but Ended          | LegEnded, HangUpAsked    | Ended          | hang up both, finish                   |
//!
//! Every other pair is ignored: it came from the network, too early or too late, and is not our bug.
//! A page's `hold`, `unhold` and `transfer` always end in a "show" of what is true, so that its button never dies.
use sip::message::Uri;

use crate::leg::{Digits, LegCommand};
use crate::vocabulary::{Additions, Cause, EndReason, MediaFormat, Side};

/// The life of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// Made, legs not yet plugged in.
    #[default]
    New,
    /// The callee has been asked.
    Dialing,
    /// The callee rings.
    Ringing,
    /// Answered.
    Talking,
    /// This side asked for hold; the other has not agreed yet.
    Holding(Side),
    /// Held at this side's wish.
    OnHold(Side),
    /// This side asked to go on; the other has not agreed yet.
    Resuming(Side),
    /// This side asked for the other to be transferred; nothing is known yet.
    Transferring {
        /// Who asked.
        by: Side,
        /// At whose wish the other is held meanwhile.
        held: Option<Side>,
    },
    /// Over.
    Ended(EndReason),
}

/// What may happen to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Both legs are plugged in.
    Begun,
    /// The callee rings.
    Rang,
    /// The callee sends sound before it answers.
    SentEarlyMedia,
    /// A side wants something said to the other in the answer.
    AdditionsGiven(Side, Additions),
    /// The callee answered.
    Answered,
    /// A leg's sound is agreed, or agreed anew.
    MediaAgreed(Side, MediaFormat),
    /// Whether a side's far end holds the call itself.
    RemoteHeld(Side, bool),
    /// A side wants the other held.
    HoldAsked(Side),
    /// A side wants to go on.
    ResumeAsked(Side),
    /// The other side is held.
    Held,
    /// The other side is back.
    Resumed,
    /// The other side would not.
    Refused,
    /// A side wants the other to call this address instead.
    TransferAsked(Side, Uri),
    /// The other side would not, or could not.
    TransferRefused(EndReason),
    /// Another leg has taken the place of this side's, and its far end has answered.
    Replaced(Side),
    /// A side wants digits sent to the other.
    DigitsAsked(Side, Digits),
    /// The no-answer limit is over.
    NoAnswer,
    /// The duration limit is over.
    TooLong,
    /// A leg is over.
    LegEnded(EndReason),
    /// Somebody above wants the call over.
    HangUpAsked(EndReason),
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Pass a command to a leg.
    Tell(Side, LegCommand),
    /// Start the limit after which an unanswered call ends.
    StartNoAnswerLimit,
    /// Start the limit on answered calls, in its place.
    StartDurationLimit,
    /// Over.
    StopLimit,
    /// Plug each leg into the other, through transcoders if need be, as far as both formats are known.
    Connect,
    /// Unplug: on hold, nothing passes.
    Pause,
    /// Let it happen again once the state is another.
    Postpone(Event),
    /// Music for a side that is held, until it is plugged in again.
    PlayMusic(Side),
    /// Ask both legs for their last figures.
    Measure,
    /// Say goodbye and stop.
    Finish(EndReason),
}

impl State {
    /// The whole life of a call. Returns what to do, in order.
    pub fn on(&mut self, event: Event) -> Vec<Action> {
        use Action::*;
        use State::*;
        let (next, actions) = match (&*self, event) {
            (Ended(_), _) => return vec![],
            (_, Event::HangUpAsked(why) | Event::LegEnded(why)) => (Ended(why.clone()), goodbye(why)),
            (Dialing | Ringing, Event::NoAnswer) => {
                let why = EndReason::new(None, Cause::NoAnswer);
                (Ended(why.clone()), goodbye(why))
            }
            (now, Event::TooLong) if now.is_answered() => {
                let why = EndReason::new(None, Cause::MaxDuration);
                (Ended(why.clone()), goodbye(why))
            }

            (New, Event::Begun) => (Dialing, vec![Tell(Side::Callee, LegCommand::Dial), StartNoAnswerLimit]),
            (Dialing, Event::Rang) => (Ringing, vec![Tell(Side::Caller, LegCommand::Ring)]),
            (Dialing | Ringing, Event::SentEarlyMedia) => {
                (Ringing, vec![Tell(Side::Caller, LegCommand::RingMedia)])
            }
            (now @ (Dialing | Ringing), Event::AdditionsGiven(Side::Callee, additions)) => {
                (now.clone(), vec![Tell(Side::Caller, LegCommand::Add(additions))])
            }
            (Dialing | Ringing, Event::Answered | Event::Replaced(Side::Callee)) => (
                Talking,
                vec![
                    StartDurationLimit,
                    Tell(Side::Caller, LegCommand::Answer),
                    Tell(Side::Callee, LegCommand::Answer),
                    Connect,
                ],
            ),

            (Talking, Event::HoldAsked(by)) => (Holding(by), vec![Tell(by.other(), LegCommand::Hold), Pause]),
            (Holding(by), Event::Held) => {
                (OnHold(*by), vec![Tell(*by, LegCommand::ShowHold(true)), PlayMusic(by.other())])
            }
            (Holding(by), Event::Refused) => (Talking, vec![Tell(*by, LegCommand::ShowHold(false)), Connect]),
            (OnHold(by), Event::ResumeAsked(asker)) if *by == asker => {
                (Resuming(asker), vec![Tell(asker.other(), LegCommand::Resume)])
            }
            (Resuming(by), Event::Resumed) => {
                (Talking, vec![Tell(*by, LegCommand::ShowHold(false)), Connect])
            }
            (Resuming(by), Event::Refused) => (OnHold(*by), vec![Tell(*by, LegCommand::ShowHold(true))]),
            (OnHold(by), Event::HoldAsked(asker)) if *by == asker => {
                (OnHold(asker), vec![Tell(asker, LegCommand::ShowHold(true))])
            }
            (Talking, Event::ResumeAsked(asker)) => (Talking, vec![Tell(asker, LegCommand::ShowHold(false))]),

            (_, event @ (Event::TransferAsked(..) | Event::TransferRefused(_) | Event::Replaced(_)))
            | (Transferring { .. }, event @ (Event::HoldAsked(_) | Event::ResumeAsked(_))) => {
                match self.moves(event) {
                    Some(step) => step,
                    None => return vec![],
                }
            }

            (New, _) => return vec![],
            (now, Event::MediaAgreed(side, format)) => {
                let mut actions = vec![Tell(side.other(), LegCommand::Agree(format))];
                if !now.is_held() {
                    actions.push(Connect);
                }
                (now.clone(), actions)
            }
            (now, Event::RemoteHeld(side, held)) => {
                (now.clone(), vec![Tell(side.other(), LegCommand::ShowRemoteHold(held))])
            }
            (now, Event::DigitsAsked(side, digits)) if now.is_answered() => {
                (now.clone(), vec![Tell(side.other(), LegCommand::SendDigits(digits))])
            }
            _ => return vec![],
        };
        *self = next;
        actions
    }

    /// A side is moved, or is to be.
    fn moves(&self, event: Event) -> Option<(Self, Vec<Action>)> {
        use Action::*;
        use State::*;
        Some(match (self, event) {
            (Talking, Event::TransferAsked(by, to)) => transfer(by, None, to),
            (OnHold(holder), Event::TransferAsked(by, to)) => transfer(by, Some(*holder), to),
            (Holding(_) | Resuming(_), asked @ Event::TransferAsked(..)) => {
                (self.clone(), vec![Postpone(asked)])
            }
            (Transferring { by, held }, Event::TransferRefused(why)) => {
                let show = LegCommand::ShowTransferRefused { held: held.is_some(), why };
                (held.map_or(Talking, OnHold), vec![Tell(*by, show)])
            }
            (
                Transferring { held, .. },
                Event::HoldAsked(asker) | Event::ResumeAsked(asker) | Event::TransferAsked(asker, _),
            ) => (self.clone(), vec![Tell(asker, LegCommand::ShowHold(held.is_some()))]),

            (Talking | Transferring { held: None, .. }, Event::Replaced(_)) => (Talking, vec![]),
            (
                Holding(by) | OnHold(by) | Resuming(by) | Transferring { held: Some(by), .. },
                Event::Replaced(side),
            ) if *by == side => (Resuming(side), vec![Tell(side.other(), LegCommand::Resume)]),
            (Resuming(by), Event::Replaced(_)) => {
                (Talking, vec![Tell(*by, LegCommand::ShowHold(false)), Connect])
            }
            (Holding(by) | OnHold(by) | Transferring { held: Some(by), .. }, Event::Replaced(side)) => {
                (Holding(*by), vec![Tell(side, LegCommand::Hold)])
            }
            _ => return None,
        })
    }

    /// Whether the callee has answered and the call is not over.
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Talking | Self::Transferring { .. }) || self.is_held()
    }

    /// Whether the callee has been asked and has not answered.
    pub fn is_asked(&self) -> bool {
        matches!(self, Self::Dialing | Self::Ringing)
    }

    /// Whether nothing passes because a side holds the other, or is about to.
    fn is_held(&self) -> bool {
        matches!(
            self,
            Self::Holding(_) | Self::OnHold(_) | Self::Resuming(_) | Self::Transferring { held: Some(_), .. }
        )
    }
}

fn transfer(by: Side, held: Option<Side>, to: Uri) -> (State, Vec<Action>) {
    (State::Transferring { by, held }, vec![Action::Tell(by.other(), LegCommand::Transfer(to))])
}

fn goodbye(why: EndReason) -> Vec<Action> {
    vec![
        Action::StopLimit,
        Action::Pause,
        Action::Measure,
        Action::Tell(Side::Caller, LegCommand::HangUp(why.clone())),
        Action::Tell(Side::Callee, LegCommand::HangUp(why.clone())),
        Action::Finish(why),
    ]
}

#[cfg(test)]
mod tests;
