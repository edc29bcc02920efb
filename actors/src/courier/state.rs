//! What a text message on its way does next. Pure: no message, no socket, no clock.
//!
//! | in       | on                                    | becomes  | does                        |
//! |----------|---------------------------------------|----------|-----------------------------|
//! | Locating | Located                               | Asking   | send to the first hop, tell Sent |
//! | Locating | Located (nowhere), NotLocated         | Over     | tell Failed, finish         |
//! | Asking   | Challenged                            | Asking   | send to the same hop again  |
//! | Asking   | Accepted                              | Over     | tell Accepted, finish       |
//! | Asking   | Unanswered, Refused (503), more hops  | Asking   | send to the next hop        |
//! | Asking   | Unanswered, Refused                   | Over     | tell Failed, finish         |
//! | any      | Unsendable                            | Over     | tell Failed, finish         |
//!
//! Every other pair is ignored.

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The next hop is being looked up.
    Locating,
    /// It was sent to this hop of so many.
    Asking {
        /// Which.
        hop: usize,
        /// Of how many.
        hops: usize,
    },
    /// Delivered, or not.
    Over,
}

/// What may happen to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There are so many hops.
    Located(usize),
    /// There is none.
    NotLocated(String),
    /// It cannot be sent like this.
    Unsendable(String),
    /// Wants credentials, which we have.
    Challenged,
    /// A 2xx.
    Accepted,
    /// A final response that is no 2xx.
    Refused(u16, String),
    /// No response, or no way.
    Unanswered(u16, String),
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send to this hop.
    Send(usize),
    /// Tell the owner.
    Tell(Outcome),
    /// Stop.
    Finish,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is on its way.
    Sent,
    /// The far side, or a server that keeps it for the far side, has it.
    Accepted,
    /// It has not.
    Failed {
        /// For a person.
        info: String,
        /// The SIP code, if there was a response.
        sip_status: Option<u16>,
    },
}

impl State {
    /// The whole life of a message.
    pub fn on(&mut self, event: Event) -> Vec<Action> {
        use State::*;
        let failed = |info, sip_status| {
            (Over, vec![Action::Tell(Outcome::Failed { info, sip_status }), Action::Finish])
        };
        let (next, actions) = match (*self, event) {
            (Over, _) => return vec![],
            (_, Event::Unsendable(info)) => failed(info, None),
            (Locating, Event::Located(0)) => failed("no address".to_owned(), None),
            (Locating, Event::Located(hops)) => {
                (Asking { hop: 0, hops }, vec![Action::Send(0), Action::Tell(Outcome::Sent)])
            }
            (Locating, Event::NotLocated(info)) => failed(info, None),
            (Asking { hop, .. }, Event::Challenged) => (*self, vec![Action::Send(hop)]),
            (Asking { .. }, Event::Accepted) => (Over, vec![Action::Tell(Outcome::Accepted), Action::Finish]),
            (Asking { hop, hops }, Event::Refused(503, _) | Event::Unanswered(..)) if hop + 1 < hops => {
                (Asking { hop: hop + 1, hops }, vec![Action::Send(hop + 1)]) // RFC 3263 §4.3
            }
            (Asking { .. }, Event::Refused(code, info) | Event::Unanswered(code, info)) => {
                failed(info, Some(code))
            }
            _ => return vec![],
        };
        *self = next;
        actions
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(start: State, event: Event, end: State, does: &str) {
        let mut state = start;
        let actions = state.on(event);
        assert_eq!(state, end);
        assert_eq!(format!("{actions:?}"), does);
    }

    const LAST: State = State::Asking { hop: 1, hops: 2 };
    const FIRST: State = State::Asking { hop: 0, hops: 2 };

    fn text() -> String {
        "x".to_owned()
    }

    #[test]
    fn a_message_is_sent_and_accepted() {
        check(State::Locating, Event::Located(2), FIRST, "[Send(0), Tell(Sent)]");
        check(FIRST, Event::Challenged, FIRST, "[Send(0)]");
        check(LAST, Event::Challenged, LAST, "[Send(1)]");
        check(FIRST, Event::Accepted, State::Over, "[Tell(Accepted), Finish]");
    }

    #[test]
    fn a_hop_that_is_busy_or_away_is_followed_by_the_next() {
        check(FIRST, Event::Refused(503, text()), LAST, "[Send(1)]");
        check(FIRST, Event::Unanswered(408, text()), LAST, "[Send(1)]");
        let failed = |code| format!("[Tell(Failed {{ info: \"x\", sip_status: {code} }}), Finish]");
        check(LAST, Event::Refused(503, text()), State::Over, &failed("Some(503)"));
        check(LAST, Event::Unanswered(408, text()), State::Over, &failed("Some(408)"));
        check(FIRST, Event::Refused(404, text()), State::Over, &failed("Some(404)"));
        check(State::Locating, Event::NotLocated(text()), State::Over, &failed("None"));
        check(FIRST, Event::Unsendable(text()), State::Over, &failed("None"));
        let nowhere = "[Tell(Failed { info: \"no address\", sip_status: None }), Finish]";
        check(State::Locating, Event::Located(0), State::Over, nowhere);
    }

    #[test]
    fn what_comes_out_of_turn_changes_nothing() {
        for event in [Event::Accepted, Event::Challenged, Event::Refused(404, text())] {
            check(State::Locating, event.clone(), State::Locating, "[]");
            check(State::Over, event, State::Over, "[]");
        }
        check(FIRST, Event::Located(3), FIRST, "[]");
    }

    proptest! {
        #[test]
        fn the_last_word_is_said_once(picks in proptest::collection::vec(0usize..7, 0..40)) {
            let events = [
                Event::Located(2), Event::NotLocated(text()), Event::Unsendable(text()), Event::Challenged,
                Event::Accepted, Event::Refused(503, text()), Event::Unanswered(408, text()),
            ];
            let mut state = State::Locating;
            let last = (0..4).map(|_| Event::Unsendable(text()));
            let actions: Vec<Action> =
                picks.into_iter().map(|pick| events[pick].clone()).chain(last).flat_map(|event| state.on(event)).collect();
            let told = |action: &&Action| matches!(action, Action::Tell(Outcome::Accepted | Outcome::Failed { .. }));
            prop_assert_eq!(actions.iter().filter(told).count(), 1);
            prop_assert_eq!(actions.last(), Some(&Action::Finish));
        }
    }
}
