//! Session timers (RFC 4028): a call whose far side is gone ends, although nobody said BYE.
//!
//! One [`SessionTimer`] per dialog. Every 2xx to an INVITE or UPDATE of either side starts it anew, or stops it:
//!
//! | message | what happens |
//! |---|---|
//! | our INVITE, UPDATE | [`ask`](SessionTimer::ask): Session-Expires, Min-SE once somebody wanted more; who refreshes stays as it is |
//! | 2xx to it | [`granted`](SessionTimer::granted): that interval; none: no timer any more (§7.2) |
//! | 422 to it | [`refused`](SessionTimer::refused): its Min-SE, then the request again; or give up |
//! | their INVITE, UPDATE asks for less than 90 s | [`too_small`](SessionTimer::too_small): 422 (§9) |
//! | our 2xx to it | [`answer`](SessionTimer::answer): what they asked; ours, if they know timers and asked nothing; none |
//!
//! While it runs:
//!
//! | at | if we refresh | if they do |
//! |---|---|---|
//! | half of the interval | `Refresh` (§7.2) | – |
//! | half of what is left after a refresh without success | `Refresh` | – |
//! | interval − min(32 s, interval / 3) | `Expired`: BYE (§10) | `Expired`: BYE |

use std::fmt;
use std::time::{Duration, Instant};

use crate::message::{HeaderName, Headers, Request, Response};

/// Whose task refreshing is, in the roles of the request that the header stands in or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// Who sent the request.
    Uac,
    /// Who answers it.
    Uas,
}

/// A Session-Expires header: `1800;refresher=uac`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionExpires {
    /// The interval, in seconds.
    pub seconds: u32,
    /// Who refreshes; none in a request leaves it to the other side.
    pub refresher: Option<Refresher>,
}

/// The timer of one dialog.
#[derive(Debug, Clone)]
pub struct SessionTimer {
    /// What we ask for, in seconds.
    asked: u32,
    /// The highest Min-SE that we have heard; ours if none.
    min: u32,
    refusals: u8,
    running: Option<Running>,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    seconds: u32,
    we_refresh: bool,
    refresh_at: Option<Instant>,
    expires_at: Instant,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionDue {
    /// Send a refresh: UPDATE, or re-INVITE.
    Refresh,
    /// Nobody refreshed: send BYE.
    Expired,
    /// Nothing.
    Nothing,
}

/// What RFC 4028 §4 recommends: long enough to cost nothing, short enough that a dead call does not cost a night.
const INTERVAL: u32 = 1800;
/// The least that RFC 4028 §4 allows anyone to ask for.
const MIN_SE: u32 = 90;
/// Answers that grant less than they may are kept to, since the far side will end the call at its own time; but nobody makes us
/// refresh more often than every two seconds.
const FLOOR: u32 = 4;
/// Nobody needs more than a day; it also keeps sums of instants far from their ends.
const CEILING: u32 = 86_400;
/// A 422 raises the interval; a chain of proxies may raise it again, a loop must end.
const MAX_REFUSALS: u8 = 3;
/// The option tag.
const TIMER: &str = "timer";

impl SessionExpires {
    /// The header of a message; one that cannot be read counts as none.
    pub fn of(headers: &Headers) -> Option<Self> {
        let text = headers.get(&HeaderName::SessionExpires)?;
        let mut parts = text.split(';').map(str::trim);
        let seconds = seconds(parts.next()?)?;
        let refresher = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = value.trim();
            match name.trim().eq_ignore_ascii_case("refresher") {
                true if value.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
                true if value.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
                _ => None,
            }
        });
        Some(Self { seconds, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(Refresher::Uac) => write!(f, ";refresher=uac"),
            Some(Refresher::Uas) => write!(f, ";refresher=uas"),
            None => Ok(()),
        }
    }
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self { asked: INTERVAL, min: MIN_SE, refusals: 0, running: None }
    }
}

impl SessionTimer {
    /// Writes what we want into a request of ours; `Supported: timer` is the profile's affair.
    pub fn ask(&self, request: &mut Request) {
        let refresher =
            self.running.map(|running| if running.we_refresh { Refresher::Uac } else { Refresher::Uas });
        let seconds = self.running.map_or(self.asked, |running| running.seconds.max(self.min));
        set(&mut request.headers, HeaderName::SessionExpires, &SessionExpires { seconds, refresher });
        if self.min > MIN_SE {
            set(&mut request.headers, HeaderName::MinSe, &self.min);
        }
    }

    /// A 422 to our request. False: asking again is of no use.
    pub fn refused(&mut self, response: &Response) -> bool {
        let min = response.headers.get(&HeaderName::MinSe).and_then(seconds);
        let Some(min) = min.filter(|min| *min <= CEILING && self.refusals < MAX_REFUSALS) else {
            return false;
        };
        self.refusals += 1;
        self.min = self.min.max(min);
        self.asked = self.asked.max(min);
        true
    }

    /// A 2xx to our INVITE or UPDATE.
    pub fn granted(&mut self, response: &Response, now: Instant) {
        self.refusals = 0;
        self.running = SessionExpires::of(&response.headers).map(|granted| {
            // Without a word who refreshes (it must be there, §9) we do: twice is better than never.
            running(granted.seconds, granted.refresher != Some(Refresher::Uas), now)
        });
    }

    /// Whether their request asks for less than we grant: then the answer is 422 with [`say_min_se`](Self::say_min_se). A caller that
    /// knows no timers cannot be told (§9), since a proxy has asked in its place.
    pub fn too_small(request: &Request) -> bool {
        knows_timers(&request.headers)
            && SessionExpires::of(&request.headers).is_some_and(|asked| asked.seconds < MIN_SE)
    }

    /// Writes Min-SE into a 422.
    pub fn say_min_se(response: &mut Response) {
        response.headers.set(HeaderName::MinSe, MIN_SE);
    }

    /// Writes into our 2xx to their INVITE or UPDATE what holds from now on (§9, table 2).
    pub fn answer(&mut self, request: &Request, response: &mut Response, now: Instant) {
        let (knows, asked) = (knows_timers(&request.headers), SessionExpires::of(&request.headers));
        if !knows && asked.is_none() {
            self.running = None;
            return;
        }
        if let Some(min) = request.headers.get(&HeaderName::MinSe).and_then(seconds) {
            self.min = self.min.max(min.min(CEILING));
        }
        let seconds = asked.map_or(self.asked, |asked| asked.seconds).max(self.min).min(CEILING);
        let before =
            self.running.map(|running| if running.we_refresh { Refresher::Uas } else { Refresher::Uac });
        let refresher = match asked.and_then(|asked| asked.refresher) {
            _ if !knows => Refresher::Uas,
            Some(theirs) => theirs,
            None => before.unwrap_or(if asked.is_some() { Refresher::Uac } else { Refresher::Uas }),
        };
        let granted = SessionExpires { seconds, refresher: Some(refresher) };
        set(&mut response.headers, HeaderName::SessionExpires, &granted);
        if refresher == Refresher::Uac {
            set(&mut response.headers, HeaderName::Require, &TIMER);
        }
        self.running = Some(running(seconds, refresher == Refresher::Uas, now));
    }

    /// When to call [`on_deadline`](Self::on_deadline).
    pub fn deadline(&self) -> Option<Instant> {
        let running = self.running?;
        Some(running.refresh_at.map_or(running.expires_at, |at| at.min(running.expires_at)))
    }

    /// Time has come. A refresh that has no success by then is due again when half of what is left is over.
    pub fn on_deadline(&mut self, now: Instant) -> SessionDue {
        let Some(running) = &mut self.running else { return SessionDue::Nothing };
        if now >= running.expires_at {
            self.running = None;
            return SessionDue::Expired;
        }
        if running.refresh_at.is_none_or(|at| now < at) {
            return SessionDue::Nothing;
        }
        let wait = (running.expires_at - now) / 2;
        running.refresh_at = (wait > Duration::from_secs(1)).then(|| now + wait);
        SessionDue::Refresh
    }
}

fn running(seconds: u32, we_refresh: bool, now: Instant) -> Running {
    let seconds = seconds.clamp(FLOOR, CEILING);
    let interval = Duration::from_secs(u64::from(seconds));
    let margin = (interval / 3).min(Duration::from_secs(32));
    Running {
        seconds,
        we_refresh,
        refresh_at: we_refresh.then(|| now + interval / 2),
        expires_at: now + interval - margin,
    }
}

fn knows_timers(headers: &Headers) -> bool {
    let says = |tags: Vec<String>| tags.iter().any(|tag| tag.eq_ignore_ascii_case(TIMER));
    headers.supported().is_ok_and(says) || headers.require().is_ok_and(says)
}

/// The number before any parameter.
fn seconds(text: &str) -> Option<u32> {
    text.split(';').next()?.trim().parse().ok()
}

fn set(headers: &mut Headers, name: HeaderName, value: &dyn fmt::Display) {
    headers.set_text(name, &value.to_string()).expect("numbers and tokens hold no control characters");
}
