//! The non-INVITE client transaction (RFC 3261 17.1.2).

use std::time::Instant;

use super::client::{ClientAction, ClientEvent};
use super::clock::Clock;
use super::timers::{Timer, Timers};

/// | state | event | actions | next state (its timers) |
/// |---|---|---|---|
/// | | start | (the layer sends the request) | Trying (E, F) |
/// | Trying, Proceeding | timer E | repeat the request | same |
/// | Trying, Proceeding | timer F | report time-out, end | Terminated |
/// | Trying, Proceeding | transport failed | report it, end | Terminated |
/// | Trying, Proceeding | 1xx | deliver | Proceeding (E every T2, F goes on) |
/// | Trying, Proceeding | 2xx–6xx | deliver | Completed (K) |
/// | Completed | timer K | end | Terminated |
///
/// Anything else changes nothing.
#[derive(Debug)]
pub(crate) struct NonInviteClient {
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

impl NonInviteClient {
    pub(crate) fn start(timers: Timers, reliable: bool, now: Instant) -> Self {
        let mut clock = Clock::new(timers, reliable);
        clock.start(Timer::E, now);
        clock.start(Timer::F, now);
        Self { state: State::Trying, clock }
    }

    pub(crate) fn on(&mut self, event: ClientEvent, now: Instant) -> &'static [ClientAction] {
        use ClientAction as Do;
        use ClientEvent as On;
        use State::{Completed, Proceeding, Terminated, Trying};
        let (next, actions): (State, &[ClientAction]) = match (self.state, event) {
            (state @ (Trying | Proceeding), On::Timer(Timer::E)) => (state, &[Do::Repeat]),
            (Trying | Proceeding, On::Timer(Timer::F)) => (Terminated, &[Do::ReportTimeout, Do::Terminate]),
            (Trying | Proceeding, On::TransportFailed) => {
                (Terminated, &[Do::ReportTransportFailure, Do::Terminate])
            }
            (Trying | Proceeding, On::Response(code)) if code.is_provisional() => {
                (Proceeding, &[Do::Deliver])
            }
            (Trying | Proceeding, On::Response(_)) => (Completed, &[Do::Deliver]),
            (Completed, On::Timer(Timer::K)) => (Terminated, &[Do::Terminate]),
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
            State::Proceeding => self.clock.slow_down(),
            State::Completed => {
                self.clock.stop();
                self.clock.start(Timer::K, now);
            }
            State::Trying | State::Terminated => self.clock.stop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ClientAction::{Deliver, Repeat, ReportTimeout, ReportTransportFailure, Terminate};
    use super::ClientEvent::TransportFailed;
    use super::State::{Completed, Proceeding, Terminated, Trying};
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
            (Trying, &[]),
            (Proceeding, &[response(100)]),
            (Completed, &[response(200)]),
            (Terminated, &[timer(Timer::F)]),
        ];
        for (from, event, actions, next) in [
            (Trying, timer(Timer::E), &[Repeat][..], Trying),
            (Trying, timer(Timer::F), &[ReportTimeout, Terminate], Terminated),
            (Trying, TransportFailed, &[ReportTransportFailure, Terminate], Terminated),
            (Trying, response(100), &[Deliver], Proceeding),
            (Trying, response(200), &[Deliver], Completed),
            (Trying, response(404), &[Deliver], Completed),
            (Proceeding, timer(Timer::E), &[Repeat], Proceeding),
            (Proceeding, timer(Timer::F), &[ReportTimeout, Terminate], Terminated),
            (Proceeding, TransportFailed, &[ReportTransportFailure, Terminate], Terminated),
            (Proceeding, response(100), &[Deliver], Proceeding),
            (Proceeding, response(503), &[Deliver], Completed),
            (Completed, response(200), &[], Completed),
            (Completed, TransportFailed, &[], Completed),
            (Completed, timer(Timer::K), &[Terminate], Terminated),
            (Terminated, response(200), &[], Terminated),
        ] {
            let now = Instant::now();
            let mut machine = NonInviteClient::start(Timers::default(), false, now);
            let (_, path) = in_state.iter().find(|(state, _)| *state == from).unwrap();
            for event in *path {
                machine.on(*event, now);
            }
            assert_eq!(machine.state, from);
            assert_eq!((machine.on(event, now), machine.state), (actions, next), "{from:?} {event:?}");
        }
    }

    /// When E and F fire, in ms, if a 1xx comes at `provisional_at`.
    fn firings(provisional_at: Option<u128>) -> Vec<u128> {
        let start = Instant::now();
        let mut machine = NonInviteClient::start(Timers::default(), false, start);
        let mut fired = Vec::new();
        while let Some(at) = machine.clock.next() {
            let ms = (at - start).as_millis();
            if provisional_at.is_some_and(|wanted| ms > wanted) {
                machine.on(response(100), at);
            }
            while let Some(timer) = machine.clock.due(at) {
                fired.push(ms);
                machine.on(ClientEvent::Timer(timer), at);
            }
        }
        fired
    }

    #[test]
    fn a_request_is_repeated_ever_more_slowly_up_to_t2() {
        let wanted = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500, 32_000];
        assert_eq!(firings(None), wanted);
    }

    #[test]
    fn after_a_provisional_answer_it_is_repeated_every_t2() {
        assert_eq!(
            firings(Some(600)),
            [500, 1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500, 32_000]
        );
    }
}
