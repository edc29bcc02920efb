//! The task behind a socket: waits for the page, the switch and the clock, asks `state`, and does what it says.
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::time::{Duration, Instant};

use actix_web::web;
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, ProtocolError, Session};
use actors::handle::{SessionError, SessionHandle, ToPage};
use futures_util::Sink;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval_at, sleep, timeout};
use tracing::{Instrument, debug, info, info_span};

use super::assembler::{Assembler, BadMessage};
use super::link::Link;
use super::outbox::Outbox;
use super::state::{Action, Farewell, Socket};
use crate::front::Front;

/// How long a page may take to introduce itself.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How long the last frames, and then the page's own close frame, may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// What the switch may have waiting for the page; above, the switch gives the session up.
const EVENTS: usize = 256;

/// Serves one socket until it is closed. Dropping the session handle in the end ends the page's calls.
pub(super) async fn run(front: web::Data<Front>, link: Link, out: Session, frames: MessageStream) {
    let _counted = front.counters.socket();
    let span = info_span!("socket", link = link.name());
    let task = Task {
        state: Socket::new(front.web.ping_probes),
        out,
        frames,
        assembler: Assembler::default(),
        outbox: Outbox::default(),
        session: None,
        link,
        front,
    };
    task.run().instrument(span).await;
}

struct Task {
    front: web::Data<Front>,
    link: Link,
    out: Session,
    frames: MessageStream,
    assembler: Assembler,
    outbox: Outbox,
    state: Socket,
    session: Option<(SessionHandle, mpsc::Receiver<ToPage>)>,
}

/// Something happened at the socket.
enum Happened {
    /// There is room for a frame.
    Room,
    /// A frame came.
    Frame(Message),
    /// What came is no frame.
    Bad(ProtocolError),
    /// The connection is gone.
    Gone,
    /// The switch tells something.
    Told(ToPage),
    /// The switch let go of the session.
    Abandoned,
    /// The page had its time to introduce itself.
    WaitedLongEnough,
    /// A ping is due.
    PingDue,
    /// Tandem stops.
    Stopping,
}

impl Task {
    async fn run(mut self) {
        let farewell = self.serve().await;
        drop(self.session.take()); // ends the calls before the goodbye, which may take its time
        if let Some(farewell) = farewell {
            self.front.counters.closed(farewell.code());
            info!(code = farewell.code(), "socket closed by us");
            let (code, out) = (CloseCode::from(farewell.code()), self.out);
            let _ = timeout(GOODBYE, say_goodbye(out, self.outbox, code)).await;
        }
        // The last frame is on its way; a page that does not take it is cut off.
        let taken = timeout(GOODBYE, drain(self.frames)).await;
        self.link.cut(taken.is_err());
    }

    /// Serves until the socket must close, and says how; `None` if it is closed already.
    async fn serve(&mut self) -> Option<Farewell> {
        let period = self.front.web.ping_interval;
        let mut pings = (!period.is_zero()).then(|| {
            let mut pings = interval_at(tokio::time::Instant::now() + period, period);
            pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pings
        });
        let mut introduction = Box::pin(sleep(INTRODUCTION));
        let mut stopping = self.front.stopping.clone();
        loop {
            let happened = tokio::select! {
                room = room(&mut self.out), if !self.outbox.is_empty() => if room { Happened::Room } else { Happened::Gone },
                frame = self.frames.recv() => match frame {
                    Some(Ok(frame)) => Happened::Frame(frame),
                    Some(Err(error)) => Happened::Bad(error),
                    None => Happened::Gone,
                },
                told = next(&mut self.session) => told.map_or(Happened::Abandoned, Happened::Told),
                () = &mut introduction, if self.state.is_waiting() => Happened::WaitedLongEnough,
                () = tick(&mut pings) => Happened::PingDue,
                _ = stopping.wait_for(|stopping| *stopping), if !self.state.is_stopping() => Happened::Stopping,
            };
            let actions = match happened {
                Happened::Gone => return None,
                Happened::Room => {
                    self.send_one();
                    continue;
                }
                Happened::Frame(Message::Close(reason)) => {
                    info!(
                        code = reason.as_ref().map(|reason| u16::from(reason.code)),
                        "socket closed by the page"
                    );
                    let _ = timeout(GOODBYE, self.out.clone().close(reason)).await;
                    return None;
                }
                Happened::Frame(frame) => self.frame(frame),
                Happened::Bad(error) => self.state.end(fault(&error)?),
                Happened::Told(told) => self.state.told(&told),
                Happened::Abandoned => self.state.abandoned(),
                Happened::WaitedLongEnough => self.state.waited_long_enough(),
                Happened::PingDue => self.state.ping_due(),
                Happened::Stopping => self.state.stopping(),
            };
            if let Some(farewell) = self.perform(actions).await {
                return Some(farewell);
            }
        }
    }

    fn frame(&mut self, frame: Message) -> Vec<Action> {
        match frame {
            Message::Text(text) => self.state.text(&text, Instant::now()),
            Message::Continuation(item) => match self.assembler.add(item) {
                Ok(Some(text)) => self.state.text(&text, Instant::now()),
                Ok(None) => Vec::new(),
                Err(BadMessage::TooLarge) => self.state.end(Farewell::TooLarge),
                Err(BadMessage::NotText) => self.state.end(Farewell::NotText),
            },
            Message::Ping(payload) => match self.outbox.pong(payload) {
                true => Vec::new(),
                false => self.state.end(Farewell::TryAgainLater),
            },
            // Nobody sends binary frames, and a control pong is the browser's word, not the page's.
            _ => Vec::new(),
        }
    }

    /// Does what the state says, and what the state says to that.
    async fn perform(&mut self, mut actions: Vec<Action>) -> Option<Farewell> {
        actions.reverse();
        while let Some(action) = actions.pop() {
            match action {
                Action::Send(text) => {
                    if !self.outbox.text(text) {
                        return Some(Farewell::TryAgainLater);
                    }
                }
                Action::Tell(ask) => {
                    let heard = self.session.as_ref().is_some_and(|(session, _)| session.tell(ask));
                    if !heard {
                        return Some(Farewell::TryAgainLater);
                    }
                }
                Action::Open(account) => {
                    let next = self.open(account).await;
                    actions.extend(next.into_iter().rev());
                }
                Action::Note(text) => debug!(target: "page", log = text, "the page reports"),
                Action::Count(reason) => self.front.counters.refused(reason),
                Action::Close(farewell) => return Some(farewell),
            }
        }
        None
    }

    async fn open(&mut self, account: Option<actors::handle::Account>) -> Vec<Action> {
        let (events, told) = mpsc::channel(EVENTS);
        let address = account.as_ref().map(actors::handle::Account::address);
        match self.front.switch.open_session(account, events).await {
            Ok(session) => {
                info!(session = %session.id(), account = address, "page connected");
                let session_id = format!("{}-{}", self.link.name(), crate::front::uuid());
                let actions = self.state.opened(session.token(), &session_id);
                self.session = Some((session, told));
                actions
            }
            Err(error @ SessionError::Field(_)) => self.state.refused(&error.to_string(), Farewell::Normal),
            Err(error) => self.state.refused(&error.to_string(), Farewell::TryAgainLater),
        }
    }

    fn send_one(&mut self) {
        if let Some(frame) = self.outbox.pop() {
            // A closed socket shows itself in the next `room` or `recv`.
            let _ = Pin::new(&mut self.out).start_send(frame);
        }
    }
}

/// Whether there is room for a frame; false: the socket is closed.
async fn room(out: &mut Session) -> bool {
    poll_fn(|cx| Pin::new(&mut *out).poll_ready(cx)).await.is_ok()
}

async fn next(session: &mut Option<(SessionHandle, mpsc::Receiver<ToPage>)>) -> Option<ToPage> {
    match session {
        Some((_, told)) => told.recv().await,
        None => pending().await,
    }
}

async fn tick(pings: &mut Option<tokio::time::Interval>) {
    match pings {
        Some(pings) => {
            pings.tick().await;
        }
        None => pending().await,
    }
}

async fn say_goodbye(mut out: Session, mut outbox: Outbox, code: CloseCode) {
    while let Some(frame) = outbox.pop() {
        if !room(&mut out).await || Pin::new(&mut out).start_send(frame).is_err() {
            return;
        }
    }
    let _ = out.close(Some(CloseReason { code, description: None })).await; // closed meanwhile: as wished
}

/// Reads on until the page has closed its side.
async fn drain(mut frames: MessageStream) {
    while let Some(Ok(frame)) = frames.recv().await {
        if matches!(frame, Message::Close(_)) {
            return;
        }
    }
}

/// How a socket that sent no proper frame is closed; `None` if the connection broke.
fn fault(error: &ProtocolError) -> Option<Farewell> {
    match error {
        ProtocolError::Overflow => Some(Farewell::TooLarge),
        ProtocolError::Io(io) if io.get_ref().is_some_and(|inner| inner.is::<std::str::Utf8Error>()) => {
            Some(Farewell::NotText)
        }
        ProtocolError::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => Some(Farewell::Protocol),
        ProtocolError::Io(_) => None,
        _ => Some(Farewell::Protocol),
    }
}
