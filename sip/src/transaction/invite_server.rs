//! The INVITE server transaction (RFC 3261 17.2.1, RFC 6026 7.1).

use std::time::Instant;

use super::clock::Clock;
use super::server::{ServerAction, ServerEvent};
use super::timers::{Timer, Timers};

/// | state | event | actions | next state (its timers) |
/// |---|---|---|---|
/// | | start | (the layer gives the INVITE to the TU) | Proceeding (Trying) |
/// | Proceeding | timer Trying | send 100 | Proceeding |
/// | Proceeding | INVITE | repeat the last answer | Proceeding |
/// | Proceeding | TU answers 1xx | send it | Proceeding (none) |
/// | Proceeding | TU answers 2xx | send it | Accepted (L) |
/// | Proceeding | TU answers 3xx–6xx | send it | Completed (G, H) |
/// | Proceeding, Completed | transport failed | report it, end | Terminated |
/// | Completed | INVITE, timer G | repeat the answer | Completed |
/// | Completed | ACK | | Confirmed (I) |
/// | Completed | timer H | report that no ACK came, end | Terminated |
/// | Confirmed | timer I | end | Terminated |
/// | Accepted | TU answers 2xx | send it | Accepted |
/// | Accepted | ACK | give it to the TU | Accepted |
/// | Accepted | transport failed | report it | Accepted |
/// | Accepted | timer L | end | Terminated |
///
/// Anything else changes nothing: INVITE in Accepted and Confirmed and ACK in Confirmed are absorbed. A 2xx is repeated by the TU,
/// until it sees the ACK (13.3.1.4). Proceeding has no limit: the TU must answer in the end.
#[derive(Debug)]
pub(crate) struct InviteServer {
    state: State,
    pub(crate) clock: Clock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Terminated,
}

impl InviteServer {
    pub(crate) fn start(timers: Timers, reliable: bool, now: Instant) -> Self {
        let mut clock = Clock::new(timers, reliable);
        clock.start(Timer::Trying, now);
        Self { state: State::Proceeding, clock }
    }

    pub(crate) fn on(&mut self, event: ServerEvent, now: Instant) -> &'static [ServerAction] {
        use ServerAction as Do;
        use ServerEvent as On;
        use State::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        let (next, actions): (State, &[ServerAction]) = match (self.state, event) {
            (Proceeding, On::Timer(Timer::Trying)) => (Proceeding, &[Do::TransmitTrying]),
            (Proceeding, On::Request) => (Proceeding, &[Do::Repeat]),
            (Proceeding, On::Answer(code)) if code.is_provisional() => {
                self.clock.stop_repeating();
                (Proceeding, &[Do::Transmit])
            }
            (Proceeding, On::Answer(code)) if code.is_success() => (Accepted, &[Do::Transmit]),
            (Proceeding, On::Answer(_)) => (Completed, &[Do::Transmit]),
            (Proceeding | Completed, On::TransportFailed) => {
                (Terminated, &[Do::ReportTransportFailure, Do::Terminate])
            }
            (Completed, On::Request | On::Timer(Timer::G)) => (Completed, &[Do::Repeat]),
            (Completed, On::Ack) => (Confirmed, &[]),
            (Completed, On::Timer(Timer::H)) => (Terminated, &[Do::ReportNoAck, Do::Terminate]),
            (Confirmed, On::Timer(Timer::I)) => (Terminated, &[Do::Terminate]),
            (Accepted, On::Answer(code)) if code.is_success() => (Accepted, &[Do::Transmit]),
            (Accepted, On::Ack) => (Accepted, &[Do::DeliverAck]),
            (Accepted, On::TransportFailed) => (Accepted, &[Do::ReportTransportFailure]),
            (Accepted, On::Timer(Timer::L)) => (Terminated, &[Do::Terminate]),
            (state, _) => (state, &[]),
        };
        self.enter(next, now);
        actions
    }

    /// Whether the TU may still decide, so that CANCEL has an effect (RFC 3261 9.2).
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
            State::Completed => {
                self.clock.start(Timer::G, now);
                self.clock.start(Timer::H, now);
            }
            State::Confirmed => self.clock.start(Timer::I, now),
            State::Accepted => self.clock.start(Timer::L, now),
            State::Proceeding | State::Terminated => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ServerAction::{
        DeliverAck, Repeat, ReportNoAck, ReportTransportFailure, Terminate, Transmit, TransmitTrying,
    };
    use super::ServerEvent::{Ack, Request, TransportFailed};
    use super::State::{Accepted, Completed, Confirmed, Proceeding, Terminated};
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
            (Proceeding, &[]),
            (Completed, &[answer(486)]),
            (Confirmed, &[answer(486), Ack]),
            (Accepted, &[answer(200)]),
            (Terminated, &[TransportFailed]),
        ];
        for (from, event, actions, next) in [
            (Proceeding, timer(Timer::Trying), &[TransmitTrying][..], Proceeding),
            (Proceeding, Request, &[Repeat], Proceeding),
            (Proceeding, Ack, &[], Proceeding),
            (Proceeding, answer(180), &[Transmit], Proceeding),
            (Proceeding, answer(200), &[Transmit], Accepted),
            (Proceeding, answer(487), &[Transmit], Completed),
            (Proceeding, TransportFailed, &[ReportTransportFailure, Terminate], Terminated),
            (Completed, Request, &[Repeat], Completed),
            (Completed, timer(Timer::G), &[Repeat], Completed),
            (Completed, answer(200), &[], Completed),
            (Completed, Ack, &[], Confirmed),
            (Completed, timer(Timer::H), &[ReportNoAck, Terminate], Terminated),
            (Completed, TransportFailed, &[ReportTransportFailure, Terminate], Terminated),
            (Confirmed, Request, &[], Confirmed),
            (Confirmed, Ack, &[], Confirmed),
            (Confirmed, TransportFailed, &[], Confirmed),
            (Confirmed, timer(Timer::I), &[Terminate], Terminated),
            (Accepted, Request, &[], Accepted),
            (Accepted, answer(200), &[Transmit], Accepted),
            (Accepted, answer(486), &[], Accepted),
            (Accepted, Ack, &[DeliverAck], Accepted),
            (Accepted, TransportFailed, &[ReportTransportFailure], Accepted),
            (Accepted, timer(Timer::L), &[Terminate], Terminated),
            (Terminated, Request, &[], Terminated),
        ] {
            let now = Instant::now();
            let mut machine = InviteServer::start(Timers::default(), false, now);
            let (_, path) = in_state.iter().find(|(state, _)| *state == from).unwrap();
            for event in *path {
                machine.on(*event, now);
            }
            assert_eq!(machine.state, from);
            assert_eq!((machine.on(event, now), machine.state), (actions, next), "{from:?} {event:?}");
        }
    }

    /// What fires after the TU answered 486 at once, in ms.
    fn firings(reliable: bool) -> Vec<(Timer, u128)> {
        let start = Instant::now();
        let mut machine = InviteServer::start(Timers::default(), reliable, start);
        machine.on(answer(486), start);
        let mut fired = Vec::new();
        while let Some(at) = machine.clock.next() {
            while let Some(timer) = machine.clock.due(at) {
                fired.push((timer, (at - start).as_millis()));
                machine.on(ServerEvent::Timer(timer), at);
            }
        }
        fired
    }

    #[test]
    fn a_refusal_is_repeated_for_32_seconds_and_no_100_follows_it() {
        let g = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
            .map(|at| (Timer::G, at));
        assert_eq!(firings(false), [&g[..], &[(Timer::H, 32_000)]].concat());
        assert_eq!(firings(true), [(Timer::H, 32_000)]);
    }

    #[test]
    fn over_streams_confirmed_ends_at_once() {
        let now = Instant::now();
        let mut machine = InviteServer::start(Timers::default(), true, now);
        machine.on(answer(486), now);
        machine.on(Ack, now);
        assert_eq!(machine.clock.due(now), Some(Timer::I));
    }
}
