//! Our 2xx to an INVITE, repeated until the ACK comes (RFC 3261 §13.3.1.4).

use std::time::{Duration, Instant};

use crate::message::{Method, Request, Response};

/// Repeats a 2xx: the transaction layer does not, because proxies forward 2xx end to end and even TCP may lose them on the way.
///
/// | in | on | does |
/// |---|---|---|
/// | waiting | deadline | `Send`; next after twice the time, at most T2 |
/// | waiting | 64·T1 since the first sending | `GiveUp`: send BYE |
/// | waiting | its ACK | `true`, over |
/// | over | anything | nothing |
#[derive(Debug)]
pub struct AckWait {
    response: Response,
    invite: u32,
    t2: Duration,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    next: Instant,
    interval: Duration,
    end: Instant,
}

/// What to do at a deadline.
#[derive(Debug, PartialEq, Eq)]
pub enum AckStep {
    /// Send the 2xx again.
    Send(Response),
    /// No ACK came: the dialog stands, but end it with BYE.
    GiveUp,
    /// Not due, or over.
    Wait,
}

impl AckWait {
    /// For a 2xx that went out at `now`, to the INVITE with this number. T1 is 500 ms and T2 4 s unless the transaction layer is told
    /// otherwise.
    pub fn new(response: Response, invite: u32, t1: Duration, t2: Duration, now: Instant) -> Self {
        let running = Running { next: now + t1, interval: t1, end: now + t1 * 64 };
        Self { response, invite, t2, running: Some(running) }
    }

    /// When to call [`on_deadline`](Self::on_deadline).
    pub fn deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.next.min(running.end))
    }

    /// Time has come.
    pub fn on_deadline(&mut self, now: Instant) -> AckStep {
        let Some(running) = &mut self.running else {
            return AckStep::Wait;
        };
        if now >= running.end {
            self.running = None;
            return AckStep::GiveUp;
        }
        if now < running.next {
            return AckStep::Wait;
        }
        running.interval = (running.interval * 2).min(self.t2);
        running.next = now + running.interval;
        AckStep::Send(self.response.clone())
    }

    /// Whether this ACK is the one; then the wait is over. False also for a repeated ACK.
    pub fn on_ack(&mut self, ack: &Request) -> bool {
        let ours =
            ack.headers.cseq().is_ok_and(|cseq| cseq.method == Method::Ack && cseq.number == self.invite);
        ours && self.running.take().is_some()
    }
}
