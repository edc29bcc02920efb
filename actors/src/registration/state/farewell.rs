//! The end of a binding: one last REGISTER, with Expires 0, when none is out any more.
use std::time::{Duration, Instant};

use super::{Action, Answer, Event, Machine, State};

/// The end of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Farewell {
    /// Whether the REGISTER that is out is the one with Expires 0.
    pub(super) own: bool,
    pub(super) until: Instant,
    /// Somebody wants the account again. Were both bindings one Contact and the two REGISTERs under way at once, the older one might
    /// take away what the newer one made: so the end comes first.
    pub(super) again: bool,
}

/// How long the end waits for the un-REGISTER.
pub(super) const UNREGISTER_WITHIN: Duration = Duration::from_secs(2);

impl Machine {
    pub(super) fn unregistering(&mut self, farewell: Farewell, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Timer if now >= farewell.until => self.gone(farewell, now),
            Event::Answer(Answer::Provisional) => vec![],
            // The REGISTER that was out when the end came is done: now the last one may go.
            Event::Answer(answer) if !farewell.own => {
                if let Answer::Granted(time) = answer {
                    self.bound_until = Some(now + time);
                }
                self.say_farewell(farewell, now)
            }
            Event::Answer(Answer::Challenged) => {
                vec![Action::Send { hop: self.hop, expires: 0, again: true }]
            }
            Event::TimedOut | Event::TransportFailed | Event::TlsFailed(_) if !farewell.own => {
                self.say_farewell(farewell, now)
            }
            Event::Answer(_) | Event::TimedOut | Event::TransportFailed | Event::TlsFailed(_) => {
                self.gone(farewell, now)
            }
            _ => vec![],
        }
    }

    pub(super) fn unregister(&mut self, now: Instant) -> Vec<Action> {
        self.say_farewell(Farewell { own: true, until: now + UNREGISTER_WITHIN, again: false }, now)
    }

    fn say_farewell(&mut self, farewell: Farewell, now: Instant) -> Vec<Action> {
        if self.bound_until.is_none_or(|bound| bound <= now) {
            return self.gone(farewell, now);
        }
        self.state = State::Unregistering(Farewell { own: true, ..farewell });
        vec![Action::Send { hop: self.hop, expires: 0, again: false }]
    }

    fn gone(&mut self, farewell: Farewell, now: Instant) -> Vec<Action> {
        self.bound_until = None;
        if farewell.again { self.locate(now) } else { self.finish() }
    }
}
