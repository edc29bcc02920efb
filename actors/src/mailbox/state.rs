//! What a subscription to an account's mailbox does next (RFC 6665 §4.1, RFC 3842). Pure: no message, no socket; told the time.
//!
//! | in | on | becomes | does |
//! |---|---|---|---|
//! | Locating | Located | Asking | send to the first hop |
//! | Locating | Located (nowhere), NotLocated | Waiting, a minute | forget the dialog |
//! | Asking | Accepted | Subscribed, until three quarters of the time are over | |
//! | Asking | Challenged | Asking | send again |
//! | Asking | TooBrief with more than was asked for | Asking | send again, for that long |
//! | Asking | Gone: the PBX knows no such subscription (any more) | Locating | forget the dialog, locate |
//! | Asking | Unanswered, more hops | Asking | send to the next hop |
//! | Asking | Unanswered | Waiting, a minute or as long as they say | forget the dialog |
//! | Asking | Refused | Over | finish: this PBX has no mailbox for the account |
//! | Asking, Subscribed | Terminated, may be asked again | Waiting, as long as they say | forget the dialog |
//! | any but Leaving | Terminated for good | Over | finish |
//! | Subscribed, Waiting | Timer | Locating | locate |
//! | with a dialog | Stop | Leaving, two seconds | locate |
//! | without one | Stop | Over | finish |
//! | Leaving | Located | Leaving | send, for no time |
//! | Leaving | Challenged | Leaving | send again |
//! | Leaving | Accepted | Leaving: the last NOTIFY follows (RFC 6665 §4.1.2.3) | |
//! | Leaving | Terminated, Timer, anything else | Over | finish |
//!
//! Every other pair is ignored.
use std::time::{Duration, Instant};

/// How long is asked for; PBXs grant what they like.
pub(super) const ASKED: Duration = Duration::from_secs(3600);
/// After trouble. The mailbox is a convenience: it may be told of a minute late.
const PAUSE: Duration = Duration::from_secs(60);
/// Most that a PBX may put us off.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// The last SUBSCRIBE and its NOTIFY may take so long.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// Whoever grants less would have us ask all the time.
const SHORTEST: Duration = Duration::from_secs(4);

/// The whole memory of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    state: State,
    asked: Duration,
    /// Whether the PBX has accepted, so that there is a dialog to refresh or to end.
    has_dialog: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Locating,
    Asking { hop: usize, hops: usize },
    Subscribed { refresh_at: Instant },
    Waiting { at: Instant },
    Leaving { until: Instant },
    Over,
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// So many hops lead there.
    Located(usize),
    /// None does.
    NotLocated,
    /// A challenge that was taken in.
    Challenged,
    /// A 2xx, for so long.
    Accepted(Duration),
    /// 423: no less than this.
    TooBrief(Duration),
    /// 481.
    Gone,
    /// Nobody answered, or 5xx: perhaps later.
    Unanswered(Option<Duration>),
    /// Any other final response.
    Refused,
    /// A NOTIFY that is the last; after how long it may be asked again, `None`: never.
    Terminated(Option<Duration>),
    /// The deadline has passed.
    Timer,
    /// The account is no longer registered.
    Stop,
}

/// What the shell must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Look up where the next SUBSCRIBE goes: into the dialog, if there is one.
    Locate,
    /// Send SUBSCRIBE to this hop, for so long; `again`: the last one once more.
    Send { hop: usize, expires: Duration, again: bool },
    /// The dialog is no more.
    Forget,
    /// Stop.
    Finish,
}

impl Machine {
    /// A subscription that begins, and what to do first.
    pub(super) fn begin() -> (Self, Action) {
        (Self { state: State::Locating, asked: ASKED, has_dialog: false }, Action::Locate)
    }

    /// When [`Event::Timer`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Subscribed { refresh_at: at } | State::Waiting { at } | State::Leaving { until: at } => {
                Some(at)
            }
            State::Locating | State::Asking { .. } | State::Over => None, // these hear of their end
        }
    }

    /// The whole life of a subscription.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let asked = self.asked;
        let send = |hop, again| Action::Send { hop, expires: asked, again };
        match (self.state, event) {
            (State::Over, _) => vec![],
            (State::Leaving { .. }, Event::Located(1..)) => {
                vec![Action::Send { hop: 0, expires: Duration::ZERO, again: false }]
            }
            (State::Leaving { .. }, Event::Challenged) => {
                vec![Action::Send { hop: 0, expires: Duration::ZERO, again: true }]
            }
            (State::Leaving { until }, Event::Timer) if now < until => vec![],
            (State::Leaving { .. }, Event::Stop | Event::Accepted(_)) => vec![],
            (State::Leaving { .. }, _) => self.finish(),
            (_, Event::Stop) if self.has_dialog => {
                self.state = State::Leaving { until: now + LEAVE_WITHIN };
                vec![Action::Locate]
            }
            (_, Event::Stop | Event::Terminated(None)) => self.finish(),
            (State::Locating, Event::Located(hops @ 1..)) => {
                self.state = State::Asking { hop: 0, hops };
                vec![send(0, false)]
            }
            (State::Locating, Event::Located(_) | Event::NotLocated) => self.wait(PAUSE, now),
            (State::Asking { .. }, Event::Accepted(time)) if time.is_zero() => self.finish(),
            (State::Asking { .. }, Event::Accepted(time)) => {
                self.has_dialog = true;
                self.state = State::Subscribed { refresh_at: now + time.max(SHORTEST) * 3 / 4 };
                vec![]
            }
            (State::Asking { hop, .. }, Event::Challenged) => vec![send(hop, true)],
            (State::Asking { hop, .. }, Event::TooBrief(least)) if least > self.asked => {
                self.asked = least;
                vec![Action::Send { hop, expires: least, again: false }]
            }
            (State::Asking { .. }, Event::Gone) if self.has_dialog => {
                self.has_dialog = false;
                self.state = State::Locating;
                vec![Action::Forget, Action::Locate]
            }
            (State::Asking { hop, hops }, Event::Unanswered(None)) if hop + 1 < hops => {
                self.state = State::Asking { hop: hop + 1, hops };
                vec![send(hop + 1, false)]
            }
            (State::Asking { .. }, Event::Unanswered(after)) => self.wait(after.unwrap_or(PAUSE), now),
            (State::Asking { .. }, Event::Refused | Event::TooBrief(_) | Event::Gone) => self.finish(),
            (State::Asking { .. } | State::Subscribed { .. }, Event::Terminated(Some(after))) => {
                self.wait(after, now)
            }
            (State::Subscribed { refresh_at: at } | State::Waiting { at }, Event::Timer) if now >= at => {
                self.state = State::Locating;
                vec![Action::Locate]
            }
            _ => vec![],
        }
    }

    /// Tries anew later, with a dialog of its own.
    fn wait(&mut self, pause: Duration, now: Instant) -> Vec<Action> {
        self.has_dialog = false;
        self.state = State::Waiting { at: now + pause.clamp(SHORTEST, LONGEST_PAUSE) };
        vec![Action::Forget]
    }

    fn finish(&mut self) -> Vec<Action> {
        self.state = State::Over;
        vec![Action::Finish]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    /// What a subscription does on each event; Timer comes when it is due, the others a second apart.
    #[track_caller]
    fn check(story: &[(&str, Event, &str)]) -> Machine {
        let (mut machine, first) = Machine::begin();
        assert_eq!(first, Action::Locate);
        let mut now = Instant::now();
        for (state, event, does) in story {
            now += if *event == Event::Timer {
                machine.deadline().unwrap().saturating_duration_since(now)
            } else {
                Duration::from_secs(1)
            };
            let actions = machine.on(*event, now);
            let words: Vec<String> = actions
                .iter()
                .map(|action| match action {
                    Action::Send { hop, expires, again } => {
                        format!("send {hop} {}{}", expires.as_secs(), if *again { " again" } else { "" })
                    }
                    other => format!("{other:?}").to_lowercase(),
                })
                .collect();
            let at = format!("{:?}", machine.state);
            assert!(at.starts_with(state) && words.join(", ") == *does, "{event:?}: {at}, {words:?}");
        }
        machine
    }

    #[test]
    fn it_is_asked_for_refreshed_and_ended() {
        check(&[
            ("Asking", Event::Located(1), "send 0 3600"),
            ("Asking", Event::Challenged, "send 0 3600 again"),
            ("Subscribed", Event::Accepted(HOUR), ""),
            ("Locating", Event::Timer, "locate"),
            ("Asking", Event::Located(1), "send 0 3600"),
            ("Subscribed", Event::Accepted(HOUR), ""),
            ("Leaving", Event::Stop, "locate"),
            ("Leaving", Event::Located(1), "send 0 0"),
            ("Leaving", Event::Challenged, "send 0 0 again"),
            ("Leaving", Event::Accepted(Duration::ZERO), ""),
            ("Over", Event::Terminated(Some(Duration::ZERO)), "finish"),
            ("Over", Event::Stop, ""),
        ]);
    }

    #[test]
    fn a_pbx_that_has_none_is_left_in_peace() {
        let asking = ("Asking", Event::Located(2), "send 0 3600");
        check(&[asking, ("Over", Event::Refused, "finish")]);
        check(&[asking, ("Over", Event::Gone, "finish")]);
        check(&[asking, ("Over", Event::Accepted(Duration::ZERO), "finish")]);
        check(&[asking, ("Over", Event::Terminated(None), "finish")]);
        check(&[asking, ("Over", Event::TooBrief(MINUTE), "finish")]);
        check(&[("Over", Event::Stop, "finish")]);
    }

    #[test]
    fn trouble_is_waited_out() {
        let asking = ("Asking", Event::Located(2), "send 0 3600");
        let next = ("Asking", Event::Unanswered(None), "send 1 3600");
        check(&[
            asking,
            next,
            ("Waiting", Event::Unanswered(None), "forget"),
            ("Locating", Event::Timer, "locate"),
        ]);
        check(&[asking, ("Waiting", Event::Unanswered(Some(MINUTE)), "forget")]);
        check(&[("Waiting", Event::NotLocated, "forget"), ("Locating", Event::Timer, "locate")]);
        check(&[("Waiting", Event::Located(0), "forget")]);
        check(&[asking, ("Asking", Event::TooBrief(2 * HOUR), "send 0 7200")]);
        let subscribed = ("Subscribed", Event::Accepted(HOUR), "");
        check(&[asking, subscribed, ("Waiting", Event::Terminated(Some(Duration::ZERO)), "forget")]);
        let refreshing = ("Locating", Event::Timer, "locate");
        check(&[asking, subscribed, refreshing, asking, ("Locating", Event::Gone, "forget, locate"), asking]);
    }

    #[test]
    fn the_end_waits_for_nobody() {
        let asking = ("Asking", Event::Located(1), "send 0 3600");
        let subscribed = ("Subscribed", Event::Accepted(HOUR), "");
        let leaving = ("Leaving", Event::Stop, "locate");
        check(&[asking, subscribed, leaving, ("Over", Event::Timer, "finish")]);
        check(&[asking, subscribed, leaving, ("Over", Event::NotLocated, "finish")]);
        check(&[asking, subscribed, leaving, ("Over", Event::Terminated(None), "finish")]);
        let accepted = ("Leaving", Event::Accepted(HOUR), "");
        check(&[asking, subscribed, leaving, accepted, ("Over", Event::Timer, "finish")]);
        check(&[asking, subscribed, leaving, ("Over", Event::Unanswered(None), "finish")]);
        check(&[asking, ("Over", Event::Stop, "finish")]);
    }

    proptest! {
        #[test]
        fn it_finishes_once_and_always(picks in proptest::collection::vec(0usize..11, 0..60)) {
            let events = [
                Event::Located(2), Event::Located(0), Event::NotLocated, Event::Challenged, Event::Accepted(HOUR),
                Event::TooBrief(HOUR), Event::Gone, Event::Unanswered(None), Event::Terminated(Some(MINUTE)),
                Event::Timer, Event::Stop,
            ];
            let (mut machine, _) = Machine::begin();
            let (mut now, mut finished) = (Instant::now(), 0);
            for event in picks.into_iter().map(|pick| events[pick]).chain([Event::Stop]) {
                now += MINUTE;
                finished += machine.on(event, now).iter().filter(|action| **action == Action::Finish).count();
            }
            if let Some(at) = machine.deadline() {
                prop_assert!(at - now <= LEAVE_WITHIN, "after Stop nothing waits longer");
                finished += machine.on(Event::Timer, at).len();
            }
            prop_assert_eq!(finished, 1);
        }
    }
}
