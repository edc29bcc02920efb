//! Keeps one account registered (RFC 3261 §10.2): what happened in, what to do out. Pure: no actix, no clock.
//!
//! | in | on | becomes | does |
//! |---|---|---|---|
//! | Idle | Start | Registering | locate |
//! | Registering | Located | Registering | REGISTER to the first hop |
//! | Registering | NotLocated | Retrying | tell trouble |
//! | Registering | Granted | Registered | tell, if it is news |
//! | Registering | Challenged | Registering | the same REGISTER with credentials |
//! | Registering | GivenUp for good (a second 401), 403, 404 | Failed | tell the last failure |
//! | the same, lingering | the same | Gone | tell, finish |
//! | Registering | GivenUp for now (every nonce is stale) | Retrying | tell trouble |
//! | Registering | 423 with a longer Min-Expires | Registering | REGISTER with it |
//! | Registering | 301, 302 to another server, twice at most | Registering | look that server up |
//! | Registering | 503, TimedOut, TransportFailed, TlsFailed, a hop is left | Registering | REGISTER to the next hop (RFC 3263 §4.3) |
//! | Registering | any other final response; no hop left | Retrying | tell trouble |
//! | Registering | Timer: 4.5 s without a final response | Registering | tell trouble |
//! | Registering | Timer: 40 s without any event | Retrying | tell trouble |
//! | Registered | Timer | Registering | REGISTER to the hop that worked |
//! | Registered | FlowLost, twice in a row at most | Registering | the same |
//! | any | FlowKept | same | counts anew |
//! | Retrying | Timer | Registering | locate |
//! | Registered; Retrying with a live binding | Stop | Unregistering | REGISTER with Expires 0 |
//! | Registering, a REGISTER is out | Stop | Unregistering | waits for its response first |
//! | Unregistering, that response came | any final | Unregistering, or Gone without a binding | REGISTER with Expires 0 |
//! | Unregistering | Challenged | Unregistering | REGISTER with Expires 0 and credentials |
//! | Unregistering | any other final, TimedOut, TransportFailed, TlsFailed, Timer: 2 s | Gone | finish |
//! | Idle, Failed; Registering, Retrying without a binding | Stop | Gone | finish |
//! | Idle, Failed | LetGo | Gone | finish |
//! | Registering, Registered, Retrying | LetGo | same, lingering for 3 s | |
//! | the same, lingering | Keep | same | |
//! | the same, lingering | Timer: 3 s | as on Stop | |
//! | Unregistering | Keep, LetGo | Unregistering | remembers whether to register again |
//! | Unregistering, to register again | what else leads to Gone | Registering | locate |
//!
//! Every other pair is ignored. Whoever comes to Unregistering tells so. How often a challenge is answered is counted by [`sip::auth::Tries`], which the shell starts
//! anew with each `Send` that is not a repetition: `Challenged` comes at most four times in a row. At most one REGISTER is out at any time (RFC 3261 §10.2), whatever the order of events.
mod farewell;
mod words;

use std::time::{Duration, Instant};

use super::backoff::{Backoff, refresh_after};
use farewell::{Farewell, UNREGISTER_WITHIN};
pub(crate) use words::{Action, Answer, Event};

/// The account's registration.
#[derive(Debug)]
pub(crate) struct Machine {
    state: State,
    /// Expires that we ask for; a 423 raises it.
    asked: Duration,
    /// 0..1, this account's own: spreads the accounts of one house over time.
    jitter: f64,
    hops: usize,
    hop: usize,
    bound_until: Option<Instant>,
    backoff: Backoff,
    told: Option<Told>,
    /// How often in a row the way to the registrar was found lost.
    flows_lost: u8,
    /// Nobody uses the account; so long it stays registered all the same.
    lingers_until: Option<Instant>,
}

/// Where the registration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Idle,
    Registering(Round),
    Registered { refresh_at: Instant },
    Retrying { at: Instant },
    Unregistering(Farewell),
    Failed,
    Gone,
}

/// One attempt, from the first REGISTER to a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    started: Instant,
    /// Whether a REGISTER is out; else the hops are being looked up.
    sent: bool,
    report_at: Option<Instant>,
    give_up_at: Instant,
    too_brief: u8,
    moves: u8,
}

/// What the owner heard last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Registered,
    Trouble(Option<u16>),
}

/// What went wrong in a round.
struct Trouble {
    info: String,
    sip_status: Option<u16>,
    /// 503, time-out, transport: another server may do better (RFC 3263 §4.3).
    next_hop: bool,
    retry_after: Option<Duration>,
}

/// The page must hear of trouble within 5 s; Timer F is 32 s. The look-up's 4 s are included.
const REPORT_AFTER: Duration = Duration::from_millis(4500);
/// Longer than Timer F: only a lost event gets here.
const GIVE_UP_AFTER: Duration = Duration::from_secs(40);
/// How long an account stays registered that nobody uses: as long as a page takes to be loaded anew.
pub(crate) const LINGER: Duration = Duration::from_secs(3);
/// A registrar that closes each connection after its answer does not want it kept.
const MAX_FLOWS_LOST: u8 = 2;
/// 423s obeyed in one round.
const MAX_TOO_BRIEF: u8 = 2;
/// 301s and 302s obeyed in one round: to a cluster's front, to its member; what goes on leads in a circle.
const MAX_MOVES: u8 = 2;

impl Machine {
    /// A registration that asks for `asked`; `jitter` is a random number in 0..1, the account's own.
    pub(crate) fn new(asked: Duration, jitter: f64) -> Self {
        Self {
            state: State::Idle,
            asked,
            jitter: jitter.clamp(0.0, 1.0),
            hops: 0,
            hop: 0,
            bound_until: None,
            backoff: Backoff::default(),
            told: None,
            flows_lost: 0,
            lingers_until: None,
        }
    }

    /// Takes one event; returns what to do, in order.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Keep => self.keep(),
            Event::LetGo => self.let_go(now),
            Event::Timer if self.lingers_until.is_some_and(|at| now >= at) => self.stop(now),
            Event::Stop => self.stop(now),
            Event::FlowKept => {
                self.flows_lost = 0;
                vec![]
            }
            event => self.step(event, now),
        }
    }

    fn keep(&mut self) -> Vec<Action> {
        self.lingers_until = None;
        if let State::Unregistering(farewell) = &mut self.state {
            farewell.again = true;
        }
        vec![]
    }

    fn let_go(&mut self, now: Instant) -> Vec<Action> {
        match &mut self.state {
            State::Idle | State::Failed => return self.stop(now),
            State::Unregistering(farewell) => farewell.again = false,
            State::Registering(_) | State::Registered { .. } | State::Retrying { .. } => {
                self.lingers_until = Some(now + LINGER);
            }
            State::Gone => {}
        }
        vec![]
    }

    fn stop(&mut self, now: Instant) -> Vec<Action> {
        self.lingers_until = None;
        if let State::Unregistering(farewell) = &mut self.state {
            farewell.again = false;
            return vec![];
        }
        let mut actions = self.step(Event::Stop, now);
        if matches!(self.state, State::Unregistering(_)) {
            self.told = None;
            actions.insert(0, Action::TellUnregistering);
        }
        actions
    }

    fn step(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match (self.state.clone(), event) {
            (State::Idle, Event::Start) => self.locate(now),
            (State::Idle | State::Failed, Event::Stop) => self.finish(),
            (State::Registering(round), event) => self.registering(round, event, now),
            (State::Registered { refresh_at }, Event::Timer) if now >= refresh_at => self.refresh(now),
            (State::Registered { .. }, Event::FlowLost) if self.flows_lost < MAX_FLOWS_LOST => {
                self.flows_lost += 1;
                self.refresh(now)
            }
            (State::Retrying { at }, Event::Timer) if now >= at => self.locate(now),
            (State::Registered { .. } | State::Retrying { .. }, Event::Stop) => self.unregister(now),
            (State::Unregistering(farewell), event) => self.unregistering(farewell, event, now),
            _ => vec![],
        }
    }

    /// When to come back with [`Event::Timer`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.lingers_until, self.own_deadline()].into_iter().flatten().min()
    }

    fn own_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Registering(round) => Some(round.report_at.unwrap_or(round.give_up_at)),
            State::Registered { refresh_at } => Some(*refresh_at),
            State::Retrying { at } => Some(*at),
            State::Unregistering(farewell) => Some(farewell.until),
            State::Idle | State::Failed | State::Gone => None,
        }
    }

    /// Whether it has finished.
    pub(crate) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// For logs.
    pub(crate) fn state_name(&self) -> &'static str {
        match self.state {
            State::Idle => "idle",
            State::Registering(_) => "registering",
            State::Registered { .. } => "registered",
            State::Retrying { .. } => "retrying",
            State::Unregistering(_) => "unregistering",
            State::Failed => "failed",
            State::Gone => "gone",
        }
    }

    fn registering(&mut self, mut round: Round, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Located(hops) if !round.sent && hops > 0 => {
                (self.hops, self.hop) = (hops, 0);
                self.send(round, false, now)
            }
            Event::Located(_) if !round.sent => self.retry(&round, Trouble::of("no address found"), now),
            Event::NotLocated(why) if !round.sent => self.retry(&round, Trouble::of(why), now),
            Event::Answer(answer) if round.sent => self.answered(round, answer, now),
            Event::TimedOut if round.sent => self.trouble(round, Trouble::silence(), now),
            Event::TransportFailed if round.sent => {
                self.trouble(round, Trouble::of("the registrar cannot be reached").elsewhere(), now)
            }
            Event::TlsFailed(why) if round.sent => self.trouble(round, Trouble::of(why).elsewhere(), now),
            Event::Timer if round.report_at.is_some_and(|at| now >= at) => {
                round.report_at = None;
                self.state = State::Registering(round);
                self.tell_trouble(&Trouble::silence())
            }
            Event::Timer if now >= round.give_up_at => self.trouble(round, Trouble::silence(), now),
            Event::Stop if round.sent => {
                let until = now + UNREGISTER_WITHIN;
                self.state = State::Unregistering(Farewell { own: false, until, again: false });
                vec![]
            }
            Event::Stop => self.unregister(now),
            _ => vec![],
        }
    }

    fn answered(&mut self, mut round: Round, answer: Answer, now: Instant) -> Vec<Action> {
        match answer {
            Answer::Provisional => vec![],
            Answer::Granted(time) if time.is_zero() => {
                self.bound_until = None;
                self.trouble(round, Trouble::of("the registrar granted no time"), now)
            }
            Answer::Granted(time) => self.granted(time, now),
            Answer::Challenged => self.send(round, true, now),
            Answer::GivenUp { code, info, for_good: true } => self.fail(&info, code),
            Answer::GivenUp { code, info, .. } => self.trouble(round, Trouble::status(code, &info), now),
            Answer::TooBrief(min) if min > self.asked && round.too_brief < MAX_TOO_BRIEF => {
                round.too_brief += 1;
                self.asked = min;
                self.send(round, false, now)
            }
            Answer::Moved { to, .. } if round.moves < MAX_MOVES => {
                round.moves += 1;
                self.state =
                    State::Registering(Round { sent: false, give_up_at: now + GIVE_UP_AFTER, ..round });
                vec![Action::LocateMoved(to)]
            }
            Answer::Moved { code, .. } => {
                self.trouble(round, Trouble::status(code, "sent from server to server"), now)
            }
            Answer::TooBrief(_) => self.trouble(round, Trouble::status(423, "Interval Too Brief"), now),
            Answer::Refused { code: code @ (403 | 404), phrase, .. } => self.fail(&phrase, code),
            Answer::Refused { code, phrase, retry_after } => {
                let trouble =
                    Trouble { retry_after, next_hop: code == 503, ..Trouble::status(code, &phrase) };
                self.trouble(round, trouble, now)
            }
        }
    }

    fn locate(&mut self, now: Instant) -> Vec<Action> {
        self.state = State::Registering(self.round(now));
        vec![Action::Locate]
    }

    fn refresh(&mut self, now: Instant) -> Vec<Action> {
        let round = self.round(now);
        self.send(round, false, now)
    }

    fn round(&self, now: Instant) -> Round {
        let in_trouble = matches!(self.told, Some(Told::Trouble(_)));
        Round {
            started: now,
            sent: false,
            report_at: (!in_trouble).then(|| now + REPORT_AFTER),
            give_up_at: now + GIVE_UP_AFTER,
            too_brief: 0,
            moves: 0,
        }
    }

    fn send(&mut self, round: Round, again: bool, now: Instant) -> Vec<Action> {
        self.state = State::Registering(Round { sent: true, give_up_at: now + GIVE_UP_AFTER, ..round });
        vec![Action::Send { hop: self.hop, expires: self.asked.as_secs(), again }]
    }

    fn granted(&mut self, time: Duration, now: Instant) -> Vec<Action> {
        self.bound_until = Some(now + time);
        self.backoff = Backoff::default();
        self.state = State::Registered { refresh_at: now + refresh_after(time, self.jitter) };
        match self.told.replace(Told::Registered) {
            Some(Told::Registered) => vec![],
            _ => vec![Action::TellRegistered { expires: time }],
        }
    }

    /// Another hop if that can help, else a pause.
    fn trouble(&mut self, round: Round, trouble: Trouble, now: Instant) -> Vec<Action> {
        if trouble.next_hop && self.hop + 1 < self.hops {
            self.hop += 1;
            return self.send(round, false, now);
        }
        self.retry(&round, trouble, now)
    }

    fn retry(&mut self, round: &Round, trouble: Trouble, now: Instant) -> Vec<Action> {
        let at = self.backoff.next(round.started, now, trouble.retry_after, self.jitter);
        self.state = State::Retrying { at };
        self.tell_trouble(&trouble)
    }

    fn tell_trouble(&mut self, trouble: &Trouble) -> Vec<Action> {
        let news = Told::Trouble(trouble.sip_status);
        if self.told.replace(news) == Some(news) {
            return vec![];
        }
        vec![Action::TellFailed { info: trouble.info.clone(), sip_status: trouble.sip_status, last: false }]
    }

    fn fail(&mut self, info: &str, code: u16) -> Vec<Action> {
        let news = Action::TellFailed { info: info.to_owned(), sip_status: Some(code), last: true };
        if self.lingers_until.take().is_some() {
            self.state = State::Gone;
            return vec![news, Action::Finish];
        }
        self.state = State::Failed;
        vec![news]
    }

    fn finish(&mut self) -> Vec<Action> {
        self.state = State::Gone;
        vec![Action::Finish]
    }
}

impl Trouble {
    fn of(info: impl Into<String>) -> Self {
        Self { info: info.into(), sip_status: None, next_hop: false, retry_after: None }
    }

    fn silence() -> Self {
        Self::of("the registrar does not answer").elsewhere()
    }

    fn status(code: u16, phrase: &str) -> Self {
        Self { sip_status: Some(code), ..Self::of(phrase) }
    }

    fn elsewhere(self) -> Self {
        Self { next_hop: true, ..self }
    }
}

#[cfg(test)]
mod outage;
#[cfg(test)]
mod tests;
