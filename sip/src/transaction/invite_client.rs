//! The INVITE client transaction (RFC 3261 17.1.1, RFC 6026 7.2).

use std::time::Instant;

use super::client::{ClientAction, ClientEvent};
use super::clock::Clock;
use super::timers::{Timer, Timers};

/// | state | event | actions | next state (its timers) |
/// |---|---|---|---|
/// | | start | (the layer sends INVITE) | Calling (A, B) |
/// | Calling | timer A | repeat INVITE | Calling |
/// | Calling | timer B | report time-out, end | Terminated |
/// | Calling | transport failed | report it, end | Terminated |
/// | Calling, Proceeding | 1xx | deliver | Proceeding (none) |
/// | Calling, Proceeding | 2xx | deliver | Accepted (M) |
/// | Calling, Proceeding | 3xx–6xx | ACK, deliver | Completed (D) |
/// | Proceeding | cancelled | | Proceeding (Cancelled) |
/// | Proceeding | timer Cancelled | report time-out, end | Terminated |
/// | Completed | 3xx–6xx | ACK | Completed |
/// | Completed | transport failed | report it, end | Terminated |
/// | Completed | timer D | end | Terminated |
/// | Accepted | 2xx | deliver | Accepted |
/// | Accepted | timer M | end | Terminated |
///
/// Anything else changes nothing. Proceeding has no limit: how long it may ring is the TU's rule (it cancels). A transport failure
/// there changes nothing either, for the answer may come by another connection (18.2.2).
#[derive(Debug)]
pub(crate) struct InviteClient {
    state: State,
    pub(crate) clock: Clock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

impl InviteClient {
    pub(crate) fn start(timers: Timers, reliable: bool, now: Instant) -> Self {
        let mut clock = Clock::new(timers, reliable);
        clock.start(Timer::A, now);
        clock.start(Timer::B, now);
        Self { state: State::Calling, clock }
    }

    pub(crate) fn on(&mut self, event: ClientEvent, now: Instant) -> &'static [ClientAction] {
        use ClientAction as Do;
        use ClientEvent as On;
        use State::{Accepted, Calling, Completed, Proceeding, Terminated};
        let (next, actions): (State, &[ClientAction]) = match (self.state, event) {
            (Calling, On::Timer(Timer::A)) => (Calling, &[Do::Repeat]),
            (Calling, On::Timer(Timer::B)) => (Terminated, &[Do::ReportTimeout, Do::Terminate]),
            (Calling | Completed, On::TransportFailed) => {
                (Terminated, &[Do::ReportTransportFailure, Do::Terminate])
            }
            (Calling | Proceeding, On::Response(code)) if code.is_provisional() => {
                (Proceeding, &[Do::Deliver])
            }
            (Calling | Proceeding, On::Response(code)) if code.is_success() => (Accepted, &[Do::Deliver]),
            (Calling | Proceeding, On::Response(_)) => (Completed, &[Do::Acknowledge, Do::Deliver]),
            (Proceeding, On::Cancelled) => {
                self.clock.start(Timer::Cancelled, now);
                (Proceeding, &[])
            }
            (Proceeding, On::Timer(Timer::Cancelled)) => (Terminated, &[Do::ReportTimeout, Do::Terminate]),
            (Completed, On::Response(code)) if code.class() >= 3 => (Completed, &[Do::Acknowledge]),
            (Completed, On::Timer(Timer::D)) => (Terminated, &[Do::Terminate]),
            (Accepted, On::Response(code)) if code.is_success() => (Accepted, &[Do::Deliver]),
            (Accepted, On::Timer(Timer::M)) => (Terminated, &[Do::Terminate]),
            (state, _) => (state, &[]),
        };
        self.enter(next, now);
        actions
    }

    /// Whether CANCEL may be sent now.
    pub(crate) fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    fn enter(&mut self, next: State, now: Instant) {
        if next == self.state {
            return;
        }
        self.state = next;
        self.clock.stop();
        match next {
            State::Completed => self.clock.start(Timer::D, now),
            State::Accepted => self.clock.start(Timer::M, now),
            State::Calling | State::Proceeding | State::Terminated => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ClientAction::{
        Acknowledge, Deliver, Repeat, ReportTimeout, ReportTransportFailure, Terminate,
    };
    use super::ClientEvent::{Cancelled, TransportFailed};
    use super::State::{Accepted, Calling, Completed, Proceeding, Terminated};
    use super::*;
    use crate::message::StatusCode;

    fn response(code: u16) -> ClientEvent {
        ClientEvent::Response(StatusCode::try_from(code).unwrap())
    }

    fn timer(timer: Timer) -> ClientEvent {
        ClientEvent::Timer(timer)
    }

    #[test]
    fn every_row_of_the_table_holds() {
        let in_state: &[(State, &[ClientEvent])] = &[
            (Calling, &[]),
            (Proceeding, &[response(180)]),
            (Completed, &[response(486)]),
            (Accepted, &[response(200)]),
            (Terminated, &[timer(Timer::B)]),
        ];
        for (from, event, actions, next) in [
            (Calling, timer(Timer::A), &[Repeat][..], Calling),
            (Calling, timer(Timer::B), &[ReportTimeout, Terminate], Terminated),
            (Calling, TransportFailed, &[ReportTransportFailure, Terminate], Terminated),
            (Calling, response(100), &[Deliver], Proceeding),
            (Calling, response(200), &[Deliver], Accepted),
            (Calling, response(302), &[Acknowledge, Deliver], Completed),
            (Calling, Cancelled, &[], Calling),
            (Proceeding, response(183), &[Deliver], Proceeding),
            (Proceeding, response(299), &[Deliver], Accepted),
            (Proceeding, response(600), &[Acknowledge, Deliver], Completed),
            (Proceeding, Cancelled, &[], Proceeding),
            (Proceeding, timer(Timer::Cancelled), &[ReportTimeout, Terminate], Terminated),
            (Proceeding, TransportFailed, &[], Proceeding),
            (Completed, response(486), &[Acknowledge], Completed),
            (Completed, response(180), &[], Completed),
            (Completed, response(200), &[], Completed),
            (Completed, TransportFailed, &[ReportTransportFailure, Terminate], Terminated),
            (Completed, timer(Timer::D), &[Terminate], Terminated),
            (Accepted, response(200), &[Deliver], Accepted),
            (Accepted, response(180), &[], Accepted),
            (Accepted, response(486), &[], Accepted),
            (Accepted, TransportFailed, &[], Accepted),
            (Accepted, timer(Timer::M), &[Terminate], Terminated),
            (Terminated, response(200), &[], Terminated),
        ] {
            let now = Instant::now();
            let mut machine = InviteClient::start(Timers::default(), false, now);
            let (_, path) = in_state.iter().find(|(state, _)| *state == from).unwrap();
            for event in *path {
                machine.on(*event, now);
            }
            assert_eq!(machine.state, from);
            assert_eq!((machine.on(event, now), machine.state), (actions, next), "{from:?} {event:?}");
        }
    }

    #[test]
    fn an_invite_is_sent_seven_times_in_32_seconds() {
        let start = Instant::now();
        let mut machine = InviteClient::start(Timers::default(), false, start);
        let mut fired = Vec::new();
        while let Some(at) = machine.clock.next() {
            while let Some(timer) = machine.clock.due(at) {
                fired.push((timer, (at - start).as_millis()));
                machine.on(ClientEvent::Timer(timer), at);
            }
        }
        let a = [500, 1_500, 3_500, 7_500, 15_500, 31_500].map(|at| (Timer::A, at));
        assert_eq!(fired, [&a[..], &[(Timer::B, 32_000)]].concat());
    }

    #[test]
    fn over_streams_nothing_is_repeated_and_completed_ends_at_once() {
        let start = Instant::now();
        let mut machine = InviteClient::start(Timers::default(), true, start);
        assert_eq!(machine.clock.next(), Some(start + Duration::from_secs(32)));
        machine.on(response(486), start);
        assert_eq!(machine.clock.due(start), Some(Timer::D));
    }
}
