//! What a SIP dialog is doing as a leg of a call (RFC 3261 §12–15). Pure: no message, no socket, no clock;
//! `signalling` reads SIP into these events and writes these actions as SIP.
//!
//! Calling (we are the UAC):
//!
//! | in        | on              | becomes    | does                                        |
//! |-----------|-----------------|------------|---------------------------------------------|
//! | Idle      | Dial            | Locating   | locate                                      |
//! | Locating  | Located         | Inviting   | send INVITE                                 |
//! | Locating  | HangUp          | Over       | finish                                      |
//! | Inviting  | TryAgain        | Inviting   | send INVITE (credentials, next target)      |
//! | Inviting  | Rang, EarlyMedia | Inviting  | report it                                   |
//! | Inviting  | Accepted        | Up         | ACK, report Answered                        |
//! | Inviting  | AcceptedBadly   | Leaving    | ACK, BYE, report the end                    |
//! | Inviting  | Rejected        | Over       | report the end, finish                      |
//! | Inviting  | HangUp          | Cancelling | CANCEL, start the limit                     |
//! | Cancelling | Accepted, AcceptedBadly | Leaving | ACK, BYE                               |
//! | Cancelling | Rejected, LimitOver | Over   | finish                                      |
//!
//! Called (we are the UAS):
//!
//! | in        | on              | becomes     | does                                       |
//! |-----------|-----------------|-------------|--------------------------------------------|
//! | Invited   | Ring            | Invited     | 180                                        |
//! | Invited   | Answer          | AwaitingAck | 200, repeated until the ACK                |
//! | Invited   | AnswerFailed    | Over        | refuse, report the end, finish             |
//! | Invited   | HangUp          | Over        | refuse, finish                             |
//! | Invited   | Cancelled, ByeReceived | Over | 487, report the end, finish (§15.1.2)      |
//! | AwaitingAck | Acked         | Up, Leaving | BYE if hung up meanwhile; a waiting change  |
//! | AwaitingAck | AckMissing    | Leaving     | BYE, report the end                        |
//! | AwaitingAck | HangUp, Hold, Resume | AwaitingAck | remember: no BYE before the ACK (§15) |
//!
//! Answered:
//!
//! | in              | on              | becomes         | does                                |
//! |-----------------|-----------------|-----------------|-------------------------------------|
//! | Up              | AckMissing      | Leaving         | BYE, report the end                 |
//! | Up(None)        | Hold, Resume    | Up(Asked)       | re-INVITE                           |
//! | Up(Asked)       | TryAgain        | Up(Asked)       | re-INVITE (credentials)             |
//! | Up(Asked)       | Accepted        | Up(None)        | ACK, report Held or Resumed         |
//! | Up(Asked)       | AcceptedBadly   | Leaving         | ACK, BYE, report the end            |
//! | Up(Asked)       | Glare           | Up(Waiting)     | wait (§14.1)                        |
//! | Up(Waiting)     | GlareOver       | Up(Asked)       | re-INVITE                           |
//! | Up(Asked)       | ChangeRefused   | Up(None)        | report Refused                      |
//! | Up(Asked)       | Rejected (481, nobody answers) | Leaving | BYE, report the end          |
//! | Up(None)        | RefreshDue      | Up(Refreshing)  | UPDATE, or re-INVITE                |
//! | Up(Refreshing)  | Hold, Resume    | Up(Refreshing)  | remember                            |
//! | Up(Refreshing)  | TryAgain        | Up(Refreshing)  | UPDATE, or re-INVITE                |
//! | Up(Refreshing)  | Accepted, Refreshed, ChangeRefused | Up(None, Asked) | ACK (of a re-INVITE); what was remembered |
//! | Up(Refreshing)  | Glare           | Up(None, Waiting) | what was remembered, after a wait |
//! | Up(Refreshing)  | Rejected (481, nobody answers), AcceptedBadly | Leaving | BYE, report the end |
//! | Up              | SessionExpired  | Leaving         | BYE, report the end                 |
//! | Up              | RouteLost       | Leaving         | BYE, report the end                 |
//! | Up              | HangUp          | Leaving         | BYE, start the limit                |
//! | Up, AwaitingAck | ByeReceived     | Over            | report the end, finish              |
//! | Leaving         | ByeDone, ByeReceived, LimitOver | Over | finish                         |
//! | Leaving         | Accepted, AcceptedBadly | Leaving | ACK                                 |
//!
//! Every other pair is ignored: the network may say anything at any time.
use crate::leg::LegEvent;
use crate::vocabulary::{Cause, EndReason, Side};

/// Where the dialog stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// To be dialled.
    Idle,
    /// The next hop is being looked up.
    Locating,
    /// Our INVITE is out.
    Inviting,
    /// Our INVITE is out, and its CANCEL.
    Cancelling,
    /// An INVITE came in.
    Invited,
    /// Our 200 is out and waits for its ACK.
    AwaitingAck {
        /// Hung up meanwhile: BYE as soon as allowed.
        leaves: bool,
        /// A change asked for meanwhile.
        next: Option<Change>,
    },
    /// Answered and acknowledged.
    Up(Progress),
    /// Our BYE is out.
    Leaving,
    /// Over.
    Over,
}

/// A change of ours to a running dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Put the far end on hold.
    Hold,
    /// Take it back.
    Resume,
}

/// How far a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No change under way.
    None,
    /// Our re-INVITE is out.
    Asked(Change),
    /// It collided with the far end's; we wait before the next try.
    Waiting(Change),
    /// Our refresh of the session timer is out; it shuts others out, since it may be a re-INVITE.
    Refreshing {
        /// A change asked for meanwhile.
        next: Option<Change>,
    },
}

/// What may happen to a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The call: start.
    Dial,
    /// The call: the other side rings.
    Ring,
    /// The call: answered.
    Answer,
    /// The call: hold the far end, or take it back.
    Ask(Change),
    /// The call: end.
    HangUp(EndReason),
    /// There is a next hop.
    Located,
    /// A request of ours must be sent again: with credentials, or to the next target.
    TryAgain,
    /// A provisional response that means ringing.
    Rang,
    /// A provisional response with SDP.
    EarlyMedia,
    /// 2xx with SDP that works.
    Accepted,
    /// 2xx with SDP that does not.
    AcceptedBadly(EndReason),
    /// Our INVITE failed for good, or our re-INVITE told us that the dialog is gone.
    Rejected(EndReason),
    /// An ACK of ours has nowhere to go: the far end's Contact or route leads nowhere, or where nothing may go.
    RouteLost(EndReason),
    /// Our re-INVITE was refused; the dialog lives.
    ChangeRefused(EndReason),
    /// 491 to our re-INVITE.
    Glare,
    /// The wait after a 491 is over.
    GlareOver,
    /// The session timer wants a refresh (RFC 4028).
    RefreshDue,
    /// The far end has accepted our UPDATE.
    Refreshed,
    /// Nobody has refreshed the session.
    SessionExpired,
    /// The far end's SDP cannot be answered.
    AnswerFailed(EndReason),
    /// The ACK for our 200.
    Acked,
    /// No ACK within 64·T1.
    AckMissing,
    /// CANCEL for the INVITE that came in.
    Cancelled,
    /// BYE came in; it has been answered.
    ByeReceived,
    /// Our BYE has its final response, or will never have one.
    ByeDone,
    /// The limit on a goodbye is over.
    LimitOver,
}

impl Event {
    /// Why we end the dialog, if this event makes us.
    pub fn ends_for(&self) -> Option<&EndReason> {
        match self {
            Self::HangUp(why)
            | Self::AcceptedBadly(why)
            | Self::Rejected(why)
            | Self::RouteLost(why)
            | Self::AnswerFailed(why) => Some(why),
            _ => None,
        }
    }
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Look the next hop up.
    Locate,
    /// Send the INVITE.
    Invite,
    /// Send the re-INVITE for this change.
    Reinvite(Change),
    /// Send the refresh.
    Refresh,
    /// Acknowledge the 2xx.
    Ack,
    /// Cancel the INVITE.
    Cancel,
    /// Send 180.
    Respond180,
    /// Send the 200, and again until the ACK comes.
    Respond200,
    /// Refuse the INVITE.
    Refuse(EndReason),
    /// Send BYE.
    Bye,
    /// Start the time after which a CANCEL or BYE without an answer is given up.
    StartLimit,
    /// Start the wait after a 491.
    StartGlareWait,
    /// Tell the call.
    Report(LegEvent),
    /// Free everything and stop.
    Finish,
}

impl State {
    /// The whole life of a dialog. `far`: which end of the call the far end is.
    pub fn on(&mut self, event: Event, far: Side) -> Vec<Action> {
        let (next, actions) = match *self {
            Self::Over => return vec![],
            Self::Idle | Self::Locating | Self::Inviting | Self::Cancelling => self.calling(event),
            Self::Invited | Self::AwaitingAck { .. } => self.called(event, far),
            Self::Up(progress) => Self::answered(progress, event, far),
            Self::Leaving => match event {
                Event::ByeDone | Event::ByeReceived | Event::LimitOver => (Self::Over, vec![Action::Finish]),
                Event::Accepted | Event::AcceptedBadly(_) => (Self::Leaving, vec![Action::Ack]),
                _ => return vec![],
            },
        };
        *self = next;
        actions
    }

    fn calling(self, event: Event) -> (Self, Vec<Action>) {
        use Action::*;
        use State::*;
        match (self, event) {
            (Idle, Event::Dial) => (Locating, vec![Locate]),
            (Idle | Locating, Event::HangUp(_)) => (Over, vec![Finish]),
            (Locating, Event::Located) => (Inviting, vec![Invite]),
            (Locating | Inviting, Event::Rejected(why)) => (Over, vec![Report(LegEvent::Ended(why)), Finish]),

            (Inviting, Event::TryAgain) => (Inviting, vec![Invite]),
            (Inviting, Event::Rang) => (Inviting, vec![Report(LegEvent::Rang)]),
            (Inviting, Event::EarlyMedia) => (Inviting, vec![Report(LegEvent::SentEarlyMedia)]),
            (Inviting, Event::Accepted) => (Up(Progress::None), vec![Ack, Report(LegEvent::Answered)]),
            (Inviting, Event::AcceptedBadly(why)) => {
                (Leaving, vec![Ack, Bye, StartLimit, Report(LegEvent::Ended(why))])
            }
            (Inviting, Event::HangUp(_)) => (Cancelling, vec![Cancel, StartLimit]),

            (Cancelling, Event::Accepted | Event::AcceptedBadly(_)) => (Leaving, vec![Ack, Bye, StartLimit]),
            (Cancelling, Event::Rejected(_) | Event::TryAgain | Event::LimitOver) => (Over, vec![Finish]),
            (now, _) => (now, vec![]),
        }
    }

    fn called(self, event: Event, far: Side) -> (Self, Vec<Action>) {
        use Action::*;
        use State::*;
        match (self, event) {
            (Invited, Event::Ring) => (Invited, vec![Respond180]),
            (Invited, Event::Answer) => (AwaitingAck { leaves: false, next: None }, vec![Respond200]),
            (Invited, Event::AnswerFailed(why)) => {
                (Over, vec![Refuse(why.clone()), Report(LegEvent::Ended(why)), Finish])
            }
            (Invited, Event::HangUp(why)) => (Over, vec![Refuse(why), Finish]),
            (Invited, Event::Cancelled | Event::ByeReceived) => {
                let why = EndReason { sip_code: Some(487), ..EndReason::new(Some(far), Cause::Cancelled) };
                (Over, vec![Refuse(why.clone()), Report(LegEvent::Ended(why)), Finish])
            }

            (AwaitingAck { leaves: true, .. }, Event::Acked) => (Leaving, vec![Bye, StartLimit]),
            (AwaitingAck { next: Some(change), .. }, Event::Acked) => {
                (Up(Progress::Asked(change)), vec![Reinvite(change)])
            }
            (AwaitingAck { .. }, Event::Acked) => (Up(Progress::None), vec![]),
            // Only the delayed offer's answer, which comes with the ACK, can fail here.
            (AwaitingAck { leaves, .. }, Event::AckMissing) => (
                Leaving,
                leave(leaves, EndReason::new(Some(far), Cause::SignallingTimeout).with_detail("no ACK")),
            ),
            (AwaitingAck { leaves, .. }, Event::AnswerFailed(why)) => (Leaving, leave(leaves, why)),
            (AwaitingAck { next, .. }, Event::HangUp(_)) => (AwaitingAck { leaves: true, next }, vec![]),
            (AwaitingAck { leaves, .. }, Event::Ask(change)) => {
                (AwaitingAck { leaves, next: Some(change) }, vec![])
            }
            (AwaitingAck { .. }, Event::ByeReceived) => (Over, vec![Report(hung_up(far)), Finish]),
            (now, _) => (now, vec![]),
        }
    }

    fn answered(progress: Progress, event: Event, far: Side) -> (Self, Vec<Action>) {
        use Action::*;
        use Progress::{Asked, Refreshing, Waiting};
        use State::*;
        match (progress, event) {
            (_, Event::SessionExpired) => {
                let why =
                    EndReason { sip_code: Some(408), ..EndReason::new(Some(far), Cause::SignallingTimeout) };
                (Leaving, leave(false, why.with_detail("the session was not refreshed")))
            }
            (_, Event::HangUp(_)) => (Leaving, vec![Bye, StartLimit]),
            (_, Event::ByeReceived) => (Over, vec![Report(hung_up(far)), Finish]),
            (_, Event::RouteLost(why)) => (Leaving, leave(false, why)),
            (_, Event::AckMissing) => (
                Leaving,
                leave(false, EndReason::new(Some(far), Cause::SignallingTimeout).with_detail("no ACK")),
            ),
            (Progress::None, Event::Ask(change)) => (Up(Asked(change)), vec![Reinvite(change)]),
            (Asked(change), Event::TryAgain) => (Up(Asked(change)), vec![Reinvite(change)]),
            (Asked(change), Event::Accepted) => {
                let done = match change {
                    Change::Hold => LegEvent::Held,
                    Change::Resume => LegEvent::Resumed,
                };
                (Up(Progress::None), vec![Ack, Report(done)])
            }
            (Asked(_), Event::AcceptedBadly(why)) => {
                (Leaving, vec![Ack, Bye, StartLimit, Report(LegEvent::Ended(why))])
            }
            (Asked(change), Event::Glare) => (Up(Waiting(change)), vec![StartGlareWait]),
            (Waiting(change), Event::GlareOver) => (Up(Asked(change)), vec![Reinvite(change)]),
            (Asked(_), Event::ChangeRefused(why)) => {
                (Up(Progress::None), vec![Report(LegEvent::Refused(why))])
            }
            (Asked(_), Event::Rejected(why)) => (Leaving, leave(false, why)),
            (Progress::None, Event::RefreshDue) => (Up(Refreshing { next: None }), vec![Refresh]),
            (Refreshing { .. }, Event::Ask(change)) => (Up(Refreshing { next: Some(change) }), vec![]),
            (Refreshing { .. }, Event::TryAgain) => (Up(progress), vec![Refresh]),
            (Refreshing { next }, Event::Accepted) => Self::refreshed(next, vec![Ack]),
            (Refreshing { next }, Event::Refreshed | Event::ChangeRefused(_)) => {
                Self::refreshed(next, vec![])
            }
            // Their re-INVITE refreshes as well as ours; only what waits behind ours must be tried again.
            (Refreshing { next: Some(change) }, Event::Glare) => (Up(Waiting(change)), vec![StartGlareWait]),
            (Refreshing { next: None }, Event::Glare) => (Up(Progress::None), vec![]),
            (Refreshing { .. }, Event::Rejected(why)) => (Leaving, leave(false, why)),
            (Refreshing { .. }, Event::AcceptedBadly(why)) => {
                (Leaving, vec![Ack, Bye, StartLimit, Report(LegEvent::Ended(why))])
            }
            // A 2xx repeated: its ACK was lost (§13.2.2.4).
            (Progress::None, Event::Accepted) => (Up(progress), vec![Ack]),
            _ => (Up(progress), vec![]),
        }
    }
}

impl State {
    /// Whether the call has hung up: what the far end offers now would only put our BYE off.
    pub fn is_leaving(&self) -> bool {
        matches!(self, Self::AwaitingAck { leaves: true, .. } | Self::Leaving | Self::Over)
    }

    /// After a refresh: what was asked for meanwhile.
    fn refreshed(next: Option<Change>, mut actions: Vec<Action>) -> (Self, Vec<Action>) {
        let progress = next.map_or(Progress::None, Progress::Asked);
        actions.extend(next.map(Action::Reinvite));
        (Self::Up(progress), actions)
    }
}

/// BYE; and the end is news unless the call itself wanted it.
fn leave(known: bool, why: EndReason) -> Vec<Action> {
    let mut actions = vec![Action::Bye, Action::StartLimit];
    if !known {
        actions.push(Action::Report(LegEvent::Ended(why)));
    }
    actions
}

fn hung_up(far: Side) -> LegEvent {
    LegEvent::Ended(EndReason::new(Some(far), Cause::HangUp))
}

#[cfg(test)]
mod tests;
