//! The running timers of one machine: at most one that repeats something and one that ends something.

use std::time::{Duration, Instant};

use super::timers::{Repeat, Timer, Timers};

#[derive(Debug, Clone)]
pub(crate) struct Clock {
    timers: Timers,
    reliable: bool,
    repeating: Option<Running>,
    ending: Option<Running>,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    timer: Timer,
    at: Instant,
    interval: Duration,
    repeat: Repeat,
}

impl Clock {
    pub(crate) fn new(timers: Timers, reliable: bool) -> Self {
        Self { timers, reliable, repeating: None, ending: None }
    }

    /// Starts a timer, if this transport needs it.
    pub(crate) fn start(&mut self, timer: Timer, now: Instant) {
        let Some((interval, repeat)) = self.timers.row(timer, self.reliable) else {
            return;
        };
        let running = Some(Running { timer, at: now + interval, interval, repeat });
        // The 100 of an INVITE server is a repetition of nothing, but it may run beside a timer that ends.
        if repeat == Repeat::No && timer != Timer::Trying {
            self.ending = running
        } else {
            self.repeating = running
        }
    }

    /// Stops all timers, as a change of state does.
    pub(crate) fn stop(&mut self) {
        (self.repeating, self.ending) = (None, None);
    }

    /// Stops what repeats.
    pub(crate) fn stop_repeating(&mut self) {
        self.repeating = None;
    }

    /// From the next firing on, repeats every T2 (RFC 3261 17.1.2.2, Proceeding).
    pub(crate) fn slow_down(&mut self) {
        if let Some(running) = &mut self.repeating {
            running.interval = self.timers.t2;
        }
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        [self.repeating, self.ending].into_iter().flatten().map(|running| running.at).min()
    }

    /// A timer that has fired by `now`; one that repeats is running again, one that ends is gone. An end goes before a repetition.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Timer> {
        if let Some(running) = self.ending.take_if(|running| running.at <= now) {
            return Some(running.timer);
        }
        let running = self.repeating.as_mut().filter(|running| running.at <= now)?;
        let timer = running.timer;
        let interval = match running.repeat {
            Repeat::No => {
                self.repeating = None;
                return Some(timer);
            }
            Repeat::Doubled => running.interval * 2,
            Repeat::UpToT2 => (running.interval * 2).min(self.timers.t2),
        };
        // Counted from now, so that a caller that was late does not send a burst.
        *running = Running { at: now + interval, interval, ..*running };
        Some(timer)
    }
}
