//! What happened in one run, for the judge and for whoever must find a fault.
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::now;

pub struct Story {
    begun: Instant,
    last_event: Cell<Instant>,
    lines: RefCell<Vec<String>>,
}

impl Story {
    pub fn new() -> Self {
        Self { begun: now(), last_event: Cell::new(now()), lines: RefCell::default() }
    }

    /// Somebody outside did something: what the house owes an end counts from here.
    pub fn acted(&self, what: &str) {
        self.last_event.set(now());
        self.heard(what);
    }

    /// Something was seen that is no event of its own.
    pub fn heard(&self, what: &str) {
        let line = format!("{:9.3} {what}", (now() - self.begun).as_secs_f64());
        self.lines.borrow_mut().push(line);
    }

    pub fn last_event(&self) -> Instant {
        self.last_event.get()
    }

    pub fn begun(&self) -> Instant {
        self.begun
    }

    pub fn since_begin(&self) -> Duration {
        now() - self.begun
    }

    pub fn tell(&self) -> String {
        self.lines.borrow().join("\n")
    }
}
