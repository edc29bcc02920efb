//! What a page's socket may do now. Pure: events in, actions out, time is an argument.
//!
//! | phase | event | actions | next |
//! |---|---|---|---|
//! | waiting | `connection` | open a session | opening |
//! | waiting | `connection` with a token | `fail`, close 1000: no session outlives its socket yet | over |
//! | waiting | `connection` that cannot be used | `fail`, close 1000 | over |
//! | waiting | a message about a call | `fail` | |
//! | waiting | ten seconds passed | close 1008 | over |
//! | opening | session opened | `getUserData` | open |
//! | opening | session refused | `fail`, close 1000 (full: 1013) | over |
//! | open | `connection` | `fail` | |
//! | open | `call`, `answer`, `hangup`, `hold`, ... | tell the switch | |
//! | open | the switch tells | its frames; credentials refused: close 1000 | (over) |
//! | open | the switch let go of the session | close 1013 | over |
//! | any | `ping` | `pong` | |
//! | any | not a message, too large, a bad field | `fail`; a call that cannot begin: `finish` too; a transfer: where the call stands | |
//! | any | ping is due, probes left | `ping` | |
//! | any | ping is due, no probe left | close 1008 | over |
//! | opening, open | Tandem stops | | its end is what the switch says last |
//! | opening, open, Tandem stops | the switch let go of the session | close 1001 | over |
//! | waiting | Tandem stops | close 1001 | over |
use std::collections::HashMap;
use std::time::Instant;

use actors::handle::{
    Account, ActivityWish, CallId, CallStatus, CallView, FromPage, PlaceCall, SoundNews, StandInWish, ToPage,
};
use serde_json::{Map, Value};

use super::limit::Limit;
use crate::wire::{self, Incoming, Refusal, StreamAsk};

/// Largest message; an audio+video `call` has 8 KB.
const MAX_MESSAGE: usize = 256 * 1024;
/// Largest message of those that carry logs.
const MAX_LOGS: usize = 1024 * 1024;
/// How much of one frame of logs is written down.
const MAX_NOTE: usize = 4096;

/// One socket.
#[derive(Debug)]
pub(super) struct Socket {
    phase: Phase,
    /// Tandem stops: the switch ends the calls, tells how, and lets go of the session.
    stopping: bool,
    probes: u32,
    unanswered: u32,
    logs: Limit,
    /// What the page asked to hear of.
    wants: wire::Wants,
    /// When the page wants its calls to count as dead.
    activity: ActivityWish,
    /// For whom it wants still pictures to stand in.
    stand_in: StandInWish,
    /// The calls that the page knows, as it was last told of them. Bounded by the switch's limit per session.
    calls: HashMap<CallId, (CallView, CallStatus)>,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Opening(Map<String, Value>),
    Open,
    Over,
}

/// What the task must do.
#[derive(Debug)]
pub(super) enum Action {
    /// Send a frame.
    Send(String),
    /// Open a session with this account.
    Open(Option<Account>),
    /// Tell the switch.
    Tell(FromPage),
    /// Write down what the page reports.
    Note(String),
    /// Count a message that was refused, or dropped.
    Count(&'static str),
    /// Close the socket; nothing follows.
    Close(Farewell),
}

/// Why a socket closes, as its close code says it (RFC 6455 §7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// 1000: told all there is to tell.
    Normal,
    /// 1001: Tandem stops.
    GoingAway,
    /// 1002: not WebSocket.
    Protocol,
    /// 1007: a text that is none.
    NotText,
    /// 1008: no `connection`, or no sign of life.
    Policy,
    /// 1009: larger than anything that is read.
    TooLarge,
    /// 1013: the page does not keep up, or the switch is full.
    TryAgainLater,
}

impl Socket {
    /// A fresh socket whose page may leave `probes` pings unanswered.
    pub(super) fn new(probes: u32) -> Self {
        Self {
            phase: Phase::Waiting,
            wants: wire::Wants::default(),
            activity: ActivityWish::default(),
            stand_in: StandInWish::default(),
            stopping: false,
            probes,
            unanswered: 0,
            logs: Limit::new(),
            calls: HashMap::new(),
        }
    }

    /// Whether the page has still to introduce itself.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting)
    }

    /// A text frame came.
    pub(super) fn text(&mut self, text: &str, now: Instant) -> Vec<Action> {
        self.unanswered = 0;
        if let Some(refusal) = too_large(text) {
            return vec![Action::Count("too_large"), Action::Send(wire::refusal(&refusal))];
        }
        match wire::decode(text) {
            Ok(message) => self.message(message, now),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    /// The session that was asked for stands.
    pub(super) fn opened(&mut self, token: &str, session_id: &str) -> Vec<Action> {
        match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Opening(echo) => vec![Action::Send(wire::user_data(&echo, token, session_id))],
            other => {
                self.phase = other;
                Vec::new()
            }
        }
    }

    /// The session that was asked for is refused.
    pub(super) fn refused(&mut self, info: &str, farewell: Farewell) -> Vec<Action> {
        let mut actions = vec![Action::Send(wire::fail("ConnectionStatusEvent", None, info))];
        actions.extend(self.end(farewell));
        actions
    }

    /// The switch tells the page something.
    pub(super) fn told(&mut self, told: &ToPage) -> Vec<Action> {
        match told {
            ToPage::MailWaiting(_) if !self.wants.mail => return Vec::new(),
            ToPage::Digits(..) if !self.wants.digits => return Vec::new(),
            ToPage::RemoteHold(..) if !self.wants.remote_hold => return Vec::new(),
            ToPage::Sound(_, SoundNews::Quality(_)) if !self.wants.quality => return Vec::new(),
            ToPage::Sound(_, SoundNews::Trouble(..) | SoundNews::Well(_)) if !self.wants.trouble => {
                return Vec::new();
            }
            ToPage::CallStatus(view, CallStatus::Finish(_) | CallStatus::Failed(_)) => {
                self.calls.remove(&view.call_id);
            }
            ToPage::CallStatus(view, status) => {
                self.calls.insert(view.call_id.clone(), (view.clone(), status.clone()));
            }
            _ => {}
        }
        let mut actions: Vec<_> = wire::to_page(told).into_iter().map(Action::Send).collect();
        match told {
            ToPage::RegistrationFailed { last: true, .. } => actions.extend(self.end(Farewell::Normal)),
            ToPage::BadTransfer { call_id, .. } => actions.extend(self.as_it_stands(call_id)),
            _ => {}
        }
        actions
    }

    /// The switch let go of the session.
    pub(super) fn abandoned(&mut self) -> Vec<Action> {
        self.end(if self.stopping { Farewell::GoingAway } else { Farewell::TryAgainLater })
    }

    /// Tandem stops. A page with a session still hears how its calls end.
    pub(super) fn stopping(&mut self) -> Vec<Action> {
        self.stopping = true;
        if self.is_waiting() { self.end(Farewell::GoingAway) } else { Vec::new() }
    }

    /// Whether it has heard that Tandem stops.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Ten seconds since the socket opened.
    pub(super) fn waited_long_enough(&mut self) -> Vec<Action> {
        if self.is_waiting() { self.end(Farewell::Policy) } else { Vec::new() }
    }

    /// It is time for a ping.
    pub(super) fn ping_due(&mut self) -> Vec<Action> {
        if self.unanswered >= self.probes {
            return self.end(Farewell::Policy);
        }
        self.unanswered += 1;
        vec![Action::Send(wire::ping())]
    }

    /// The socket must close.
    pub(super) fn end(&mut self, farewell: Farewell) -> Vec<Action> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Over => Vec::new(),
            _ => vec![Action::Close(farewell)],
        }
    }

    fn message(&mut self, message: Incoming, now: Instant) -> Vec<Action> {
        match message {
            Incoming::Ping => vec![Action::Send(wire::pong())],
            Incoming::Pong | Incoming::Unknown(_) => Vec::new(),
            Incoming::Connection(connection) => self.connection(*connection),
            Incoming::Ask(ask) => self.ask(ask),
            Incoming::SendData(operation_id) => vec![Action::Send(wire::data_status(&operation_id))],
            Incoming::SessionDebug(start) => vec![Action::Send(wire::debug_status(start))],
            Incoming::Logs(text) | Incoming::BugReport(text) => match self.logs.take(now) {
                true => vec![Action::Note(shortened(text))],
                false => vec![Action::Count("log_limit")],
            },
            Incoming::Stream(StreamAsk::Start, id) => vec![Action::Send(wire::stream_failed(&id))],
            Incoming::Stream(StreamAsk::Find, id) => vec![Action::Send(wire::available_stream(&id))],
        }
    }

    fn connection(&mut self, connection: wire::Connection) -> Vec<Action> {
        if !self.is_waiting() {
            return self.refuse(&Refusal::of("connection", "this socket has its session already"));
        }
        // A session without its socket must not be made up: the page would believe it is registered.
        if connection.auth_token.is_some() {
            return self.refused("Session does not exist", Farewell::Normal);
        }
        self.wants = connection.wants;
        (self.activity, self.stand_in) = (connection.activity, connection.stand_in);
        self.phase = Phase::Opening(connection.echo);
        vec![Action::Open(connection.account)]
    }

    fn ask(&mut self, mut ask: FromPage) -> Vec<Action> {
        if !matches!(self.phase, Phase::Open) {
            return self.refuse(&Refusal::of("call", "the first message must be `connection`"));
        }
        if let FromPage::Call(PlaceCall { additions, .. }) | FromPage::Answer { additions, .. } = &mut ask {
            additions.activity = additions.activity.over(self.activity);
            let stand_in = std::mem::take(&mut additions.stand_in);
            additions.stand_in = stand_in.over(self.stand_in.clone());
        }
        vec![Action::Tell(ask)]
    }

    /// Where an answered call stands. A page that asked for a transfer has disabled its button and waits for the call's status, so it
    /// is told what it knows already.
    fn as_it_stands(&self, call_id: &CallId) -> Vec<Action> {
        match self.calls.get(call_id) {
            Some((view, status @ (CallStatus::Established | CallStatus::Hold))) => {
                wire::call_status(view, status).into_iter().map(Action::Send).collect()
            }
            _ => Vec::new(),
        }
    }

    fn refuse(&mut self, refusal: &Refusal) -> Vec<Action> {
        let mut actions = vec![Action::Count("field"), Action::Send(wire::refusal(refusal))];
        match (refusal.message.as_str(), &refusal.call_id) {
            ("call", Some(call_id)) if !self.calls.contains_key(call_id) => {
                actions.push(Action::Send(wire::failed_call(call_id, &refusal.info)));
            }
            ("transfer", Some(call_id)) => actions.extend(self.as_it_stands(call_id)),
            ("connection", _) if self.is_waiting() => actions.extend(self.end(Farewell::Normal)),
            _ => {}
        }
        actions
    }
}

impl Farewell {
    /// The close code.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::Protocol => 1002,
            Self::NotText => 1007,
            Self::Policy => 1008,
            Self::TooLarge => 1009,
            Self::TryAgainLater => 1013,
        }
    }
}

/// The refusal of a text above its limit.
fn too_large(text: &str) -> Option<Refusal> {
    if text.len() <= MAX_MESSAGE {
        return None;
    }
    let name = wire::name_of(text).unwrap_or_default();
    let limit = if matches!(name.as_str(), "pushLogs" | "submitBugReport") { MAX_LOGS } else { MAX_MESSAGE };
    (text.len() > limit)
        .then(|| Refusal::of(name, format!("the message is larger than {} KiB", limit / 1024)))
}

/// At most [`MAX_NOTE`] bytes of `text`.
fn shortened(mut text: String) -> String {
    if text.len() > MAX_NOTE {
        text.truncate(text.floor_char_boundary(MAX_NOTE));
    }
    text
}

#[cfg(test)]
mod tests;
