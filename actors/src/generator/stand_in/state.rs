//! Who is shown to the far end of a leg: the other side, or a still picture in its place. Pure; time is an argument.
//!
//! | in | on | becomes | does |
//! |---|---|---|---|
//! | Shut | Opened | Waiting | – |
//! | Shut | Came | Shut | pass it |
//! | Shut, Waiting, Passing | Wanted | same | ask the source |
//! | Waiting | Due, and it has lasted for the delay | Showing | – |
//! | Waiting, Showing | Came, a key picture begins | Passing | pass it |
//! | Waiting, Showing | Came, something else | same | drop it, ask the source once a second |
//! | Showing | Wanted, the last time is a second ago | Showing | the still picture begins anew |
//! | Passing | Came | Passing | pass it |
//! | Passing | Due, and nothing has come for [`STOPPED`] | Showing | – |
//! | Passing | Stopped: the source has agreed to send none | Waiting | – |
//! | any | Shut | Shut | – |
//!
//! Every other pair changes nothing. A still picture is shown as long as the state is Showing.
use std::time::{Duration, Instant};

use crate::rtp::key_frames::KeyFrames;

/// Who is shown.
#[derive(Debug, Default)]
pub struct State {
    phase: Phase,
    /// How long nothing may come before a still picture does.
    delay: Duration,
    /// What the source is asked for.
    asks: KeyFrames,
    /// When the still picture last began anew.
    renewed: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Shut,
    /// Since then.
    Waiting(Instant),
    Showing,
    /// When the last packet came.
    Passing(Instant),
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The far end can be shown something, and shall see a still picture if the source is silent for so long.
    Opened(Duration),
    /// It cannot, or shall not.
    Shut,
    /// A packet of the source.
    Came {
        /// Whether a decoder can begin with it.
        key: bool,
    },
    /// The source has agreed to send no more pictures.
    Stopped,
    /// The far end cannot go on without a key frame.
    Wanted,
    /// Time has passed.
    Due,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing more.
    Nothing,
    /// The packet goes on to the far end.
    Pass,
    /// It does not.
    Drop,
    /// It does not, and the source is asked for a key frame.
    DropAndAsk,
    /// The source is asked for a key frame.
    AskSource,
    /// The still picture begins anew.
    Renew,
}

/// A source that sends nothing for so long has stopped. Shorter holes are common: the slowest phones send a picture a second, and networks stumble.
pub const STOPPED: Duration = Duration::from_secs(2);

impl State {
    /// The whole life of it.
    pub fn on(&mut self, event: Event, now: Instant) -> Action {
        use Phase::*;
        let (next, action) = match (self.phase, event) {
            (_, Event::Shut) => (Shut, Action::Nothing),
            (Shut, Event::Opened(delay)) => {
                self.delay = delay;
                (Waiting(now), Action::Nothing)
            }
            (Shut, Event::Came { .. }) => (Shut, Action::Pass),
            (Waiting(since), Event::Due) if now >= since + self.delay => (Showing, Action::Nothing),
            (Waiting(_) | Showing, Event::Came { key: true }) => {
                self.asks.came();
                (Passing(now), Action::Pass)
            }
            (same @ (Waiting(_) | Showing), Event::Came { key: false }) => {
                let ask = if self.asks.is_waiting() { self.asks.due(now) } else { self.asks.wish(now) };
                (same, if ask { Action::DropAndAsk } else { Action::Drop })
            }
            (Showing, Event::Wanted) => {
                let often = self.renewed.is_some_and(|last| now < last + KeyFrames::PAUSE);
                if often {
                    return Action::Nothing;
                }
                self.renewed = Some(now);
                (Showing, Action::Renew)
            }
            (same, Event::Wanted) => (same, Action::AskSource),
            (Passing(_), Event::Came { .. }) => (Passing(now), Action::Pass),
            (Passing(last), Event::Due) if now >= last + STOPPED => (Showing, Action::Nothing),
            (Passing(_), Event::Stopped) => (Waiting(now), Action::Nothing),
            _ => return Action::Nothing,
        };
        self.phase = next;
        action
    }

    /// Whether the far end is to see a still picture.
    pub fn shows(&self) -> bool {
        self.phase == Phase::Showing
    }

    /// When to come back with [`Event::Due`], if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting(since) => Some(since + self.delay),
            Phase::Passing(last) => Some(last + STOPPED),
            Phase::Shut | Phase::Showing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Action::*;
    use super::*;

    const KEY: Event = Event::Came { key: true };
    const OTHER: Event = Event::Came { key: false };
    const OPENED: Event = Event::Opened(Duration::from_millis(100));

    struct Told {
        state: State,
        start: Instant,
    }

    impl Told {
        fn new() -> Self {
            Self { state: State::default(), start: Instant::now() }
        }

        /// At this ms this happens; then a still picture is shown, or not.
        #[track_caller]
        fn check(&mut self, ms: u64, event: Event, action: Action, shows: bool) {
            let got = self.state.on(event, self.start + Duration::from_millis(ms));
            assert_eq!((got, self.state.shows()), (action, shows), "{event:?} at {ms} ms");
        }

        fn deadline(&self) -> Option<u64> {
            self.state.deadline().map(|at| at.duration_since(self.start).as_millis() as u64)
        }
    }

    #[test]
    fn whoever_is_not_to_see_a_still_picture_gets_all_that_comes() {
        let mut told = Told::new();
        told.check(0, OTHER, Pass, false);
        told.check(0, Event::Wanted, AskSource, false);
        told.check(5000, Event::Due, Nothing, false);
        told.check(5000, Event::Stopped, Nothing, false);
        assert_eq!(told.deadline(), None);
    }

    #[test]
    fn a_source_that_sends_nothing_is_stood_in_for_after_the_delay() {
        let mut told = Told::new();
        told.check(1000, OPENED, Nothing, false);
        assert_eq!(told.deadline(), Some(1100));
        told.check(1050, OPENED, Nothing, false);
        told.check(1099, Event::Due, Nothing, false);
        told.check(1100, Event::Due, Nothing, true);
        assert_eq!(told.deadline(), None);
    }

    #[test]
    fn a_source_is_shown_from_its_first_key_picture_on() {
        let mut told = Told::new();
        told.check(0, OPENED, Nothing, false);
        told.check(10, OTHER, DropAndAsk, false);
        told.check(20, Event::Wanted, AskSource, false);
        told.check(100, Event::Due, Nothing, true);
        told.check(110, OTHER, Drop, true);
        told.check(1010, OTHER, DropAndAsk, true);
        told.check(1020, OTHER, Drop, true);
        told.check(1030, KEY, Pass, false);
        told.check(1040, OTHER, Pass, false);
        told.check(1050, Event::Wanted, AskSource, false);
    }

    #[test]
    fn a_source_that_never_makes_a_key_picture_is_left_alone_after_a_while() {
        let mut told = Told::new();
        told.check(0, OPENED, Nothing, false);
        let at = |ms| told.start + Duration::from_millis(ms);
        let asked = (0..1000).filter(|n| told.state.on(OTHER, at(n * 100)) == DropAndAsk).count();
        assert_eq!(asked, usize::from(KeyFrames::MOST));
    }

    #[test]
    fn who_stops_is_stood_in_for_again() {
        let mut told = Told::new();
        told.check(0, OPENED, Nothing, false);
        told.check(50, KEY, Pass, false);
        told.check(900, OTHER, Pass, false);
        assert_eq!(told.deadline(), Some(2900));
        told.check(2899, Event::Due, Nothing, false);
        told.check(2900, Event::Due, Nothing, true);
        told.check(3000, KEY, Pass, false);
        // Taken out of the call: no need to wait that long.
        told.check(4000, Event::Stopped, Nothing, false);
        told.check(4010, OTHER, DropAndAsk, false);
        told.check(4100, Event::Due, Nothing, true);
        told.check(4200, Event::Shut, Nothing, false);
        told.check(4300, OTHER, Pass, false);
    }

    #[test]
    fn a_still_picture_begins_anew_once_a_second_at_most() {
        let mut told = Told::new();
        told.check(0, OPENED, Nothing, false);
        told.check(100, Event::Due, Nothing, true);
        told.check(200, Event::Wanted, Renew, true);
        told.check(1199, Event::Wanted, Nothing, true);
        told.check(1200, Event::Wanted, Renew, true);
    }

    proptest! {
        #[test]
        fn while_a_still_picture_is_shown_nothing_passes_and_no_silence_lasts(
            events in proptest::collection::vec((0usize..7, 0u64..900), 0..200),
        ) {
            let all = [OPENED, Event::Shut, KEY, OTHER, Event::Stopped, Event::Wanted, Event::Due];
            let mut told = Told::new();
            let mut now = told.start;
            for (pick, ms) in events {
                now += Duration::from_millis(ms);
                let before = told.state.shows();
                let action = told.state.on(all[pick], now);
                prop_assert!(!(told.state.shows() && action == Pass));
                prop_assert!(!before || action != AskSource);
                if let Some(at) = told.state.deadline() {
                    prop_assert!(at <= now + STOPPED);
                    told.state.on(Event::Due, at.max(now));
                    prop_assert!(told.state.shows());
                    now = at.max(now);
                }
            }
        }
    }
}
