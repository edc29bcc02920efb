//! How long a far end may give no sign of life before its call is ended.
use std::time::Duration;

/// The limits of one call. A limit of zero never ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivityLimits {
    /// Whether they hold at all.
    pub detecting: bool,
    /// From the answer to the first sign.
    pub first: Duration,
    /// From sign to sign.
    pub running: Duration,
    /// The same while one side holds the other: nobody sends then.
    pub hold: Duration,
}

/// What a page wants of them, for all of its calls or for one; what it leaves out is as before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ActivityWish {
    /// See [`ActivityLimits::detecting`].
    pub detecting: Option<bool>,
    /// See [`ActivityLimits::first`].
    pub first: Option<Duration>,
    /// See [`ActivityLimits::running`].
    pub running: Option<Duration>,
    /// See [`ActivityLimits::hold`].
    pub hold: Option<Duration>,
}

impl ActivityLimits {
    /// No limit at all.
    pub fn never() -> Self {
        let zero = Duration::ZERO;
        Self { detecting: false, first: zero, running: zero, hold: zero }
    }

    /// The same as a page wants them.
    pub fn with(self, wish: &ActivityWish) -> Self {
        Self {
            detecting: wish.detecting.unwrap_or(self.detecting),
            first: wish.first.unwrap_or(self.first),
            running: wish.running.unwrap_or(self.running),
            hold: wish.hold.unwrap_or(self.hold),
        }
    }
}

impl ActivityWish {
    /// This wish, and where it leaves something out the other.
    pub fn over(self, other: Self) -> Self {
        Self {
            detecting: self.detecting.or(other.detecting),
            first: self.first.or(other.first),
            running: self.running.or(other.running),
            hold: self.hold.or(other.hold),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_beats_its_account_and_an_account_the_server() {
        let seconds = Duration::from_secs;
        let server =
            ActivityLimits { detecting: true, first: seconds(30), running: seconds(60), hold: seconds(3600) };
        let account =
            ActivityWish { running: Some(seconds(20)), hold: Some(seconds(90)), ..ActivityWish::default() };
        let call = ActivityWish { running: Some(seconds(10)), ..ActivityWish::default() };
        let limits = server.with(&call.over(account));
        assert_eq!(limits, ActivityLimits { running: seconds(10), hold: seconds(90), ..server });
        let off = ActivityWish { detecting: Some(false), ..ActivityWish::default() };
        assert!(!server.with(&off).detecting && server.with(&off.over(account)).running == seconds(20));
        assert!(server.with(&ActivityWish { detecting: Some(true), ..call }.over(off)).detecting);
    }
}
