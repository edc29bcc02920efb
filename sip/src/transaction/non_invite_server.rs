//! The non-INVITE server transaction (RFC 3261 17.2.2, RFC 4320).

use std::time::Instant;

use super::clock::Clock;
use super::server::{ServerAction, ServerEvent};
use super::timers::{Timer, Timers};

/// | state | event | actions | next state (its timers) |
/// |---|---|---|---|
/// | | start | (the layer gives the request to the TU) | Trying (Unanswered) |
/// | Trying, Proceeding | TU answers 1xx | send it | Proceeding (Unanswered goes on) |
/// | Trying, Proceeding | TU answers 2xx–6xx | send it | Completed (J) |
/// | Trying, Proceeding | timer Unanswered | report it, end | Terminated |
/// | Proceeding, Completed | the request again | repeat the last answer | same |
/// | Proceeding, Completed | transport failed | report it, end | Terminated |
/// | Completed | timer J | end | Terminated |
///
/// Anything else changes nothing: a repeated request in Trying is absorbed.
#[derive(Debug)]
pub(crate) struct NonInviteServer {
    state: State,
    pub(crate) clock: Clock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

impl NonInviteServer {
    pub(crate) fn start(timers: Timers, reliable: bool, now: Instant) -> Self {
        let mut clock = Clock::new(timers, reliable);
        clock.start(Timer::Unanswered, now);
        Self { state: State::Trying, clock }
    }

    pub(crate) fn on(&mut self, event: ServerEvent, now: Instant) -> &'static [ServerAction] {
        use ServerAction as Do;
        use ServerEvent as On;
        use State::{Completed, Proceeding, Terminated, Trying};
        let (next, actions): (State, &[ServerAction]) = match (self.state, event) {
            (Trying | Proceeding, On::Answer(code)) if code.is_provisional() => (Proceeding, &[Do::Transmit]),
            (Trying | Proceeding, On::Answer(_)) => (Completed, &[Do::Transmit]),
            (Trying | Proceeding, On::Timer(Timer::Unanswered)) => {
                (Terminated, &[Do::ReportUnanswered, Do::Terminate])
            }
            (state @ (Proceeding | Completed), On::Request) => (state, &[Do::Repeat]),
            (Proceeding | Completed, On::TransportFailed) => {
                (Terminated, &[Do::ReportTransportFailure, Do::Terminate])
            }
            (Completed, On::Timer(Timer::J)) => (Terminated, &[Do::Terminate]),
            (state, _) => (state, &[]),
        };
        self.enter(next, now);
        actions
    }

    fn enter(&mut self, next: State, now: Instant) {
        if next == self.state {
            return;
        }
        self.state = next;
        match next {
            State::Trying | State::Proceeding => {}
            State::Completed => self.clock.start(Timer::J, now),
            State::Terminated => self.clock.stop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ServerAction::{Repeat, ReportTransportFailure, ReportUnanswered, Terminate, Transmit};
    use super::ServerEvent::{Ack, Request, TransportFailed};
    use super::State::{Completed, Proceeding, Terminated, Trying};
    use super::*;
    use crate::message::StatusCode;

    fn answer(code: u16) -> ServerEvent {
        ServerEvent::Answer(StatusCode::try_from(code).unwrap())
    }

    fn timer(timer: Timer) -> ServerEvent {
        ServerEvent::Timer(timer)
    }

    #[test]
    fn every_row_of_the_table_holds() {
        let in_state: &[(State, &[ServerEvent])] = &[
            (Trying, &[]),
            (Proceeding, &[answer(100)]),
            (Completed, &[answer(200)]),
            (Terminated, &[timer(Timer::Unanswered)]),
        ];
        for (from, event, actions, next) in [
            (Trying, Request, &[][..], Trying),
            (Trying, Ack, &[], Trying),
            (Trying, TransportFailed, &[], Trying),
            (Trying, answer(100), &[Transmit], Proceeding),
            (Trying, answer(200), &[Transmit], Completed),
            (Trying, timer(Timer::Unanswered), &[ReportUnanswered, Terminate], Terminated),
            (Proceeding, Request, &[Repeat], Proceeding),
            (Proceeding, answer(100), &[Transmit], Proceeding),
            (Proceeding, answer(404), &[Transmit], Completed),
            (Proceeding, TransportFailed, &[ReportTransportFailure, Terminate], Terminated),
            (Proceeding, timer(Timer::Unanswered), &[ReportUnanswered, Terminate], Terminated),
            (Completed, Request, &[Repeat], Completed),
            (Completed, answer(404), &[], Completed),
            (Completed, TransportFailed, &[ReportTransportFailure, Terminate], Terminated),
            (Completed, timer(Timer::J), &[Terminate], Terminated),
            (Terminated, Request, &[], Terminated),
        ] {
            let now = Instant::now();
            let mut machine = NonInviteServer::start(Timers::default(), false, now);
            let (_, path) = in_state.iter().find(|(state, _)| *state == from).unwrap();
            for event in *path {
                machine.on(*event, now);
            }
            assert_eq!(machine.state, from);
            assert_eq!((machine.on(event, now), machine.state), (actions, next), "{from:?} {event:?}");
        }
    }

    #[test]
    fn an_answer_is_kept_32_seconds_over_udp_and_not_at_all_over_streams() {
        for (reliable, ms) in [(false, 32_000), (true, 0)] {
            let now = Instant::now();
            let mut machine = NonInviteServer::start(Timers::default(), reliable, now);
            machine.on(answer(200), now);
            assert_eq!(machine.clock.next(), Some(now + std::time::Duration::from_millis(ms)));
        }
    }
}
