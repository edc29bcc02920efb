//! All server transactions of a layer.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::invite_server::InviteServer;
use super::matching::{MergeKey, ServerMatch};
use super::non_invite_server::NonInviteServer;
use super::output::{Output, ServerFailure, ServerKey};
use super::schedule::Schedule;
use super::server::{Server, ServerAction, ServerEvent, ServerMachine};
use super::timers::Timers;
use crate::message::{Method, Request, Response, StatusCode, Via, random_tag};
use crate::transport::{Flow, response_address};

#[derive(Debug)]
pub(crate) struct Servers {
    timers: Timers,
    by_id: HashMap<u64, Server>,
    index: HashMap<ServerMatch, u64>,
    merges: HashMap<MergeKey, u64>,
    schedule: Schedule,
    next_id: u64,
    pub(crate) retransmissions: u64,
}

/// What a request turned out to be.
pub(crate) enum Found {
    /// The request of a running transaction, or its ACK.
    Known(u64),
    /// An ACK outside transactions.
    StrayAck,
    /// Takes back an INVITE, which may not exist (any more).
    Cancel(Option<u64>),
    /// Came before by another way.
    Merged,
    /// None of these.
    New,
}

impl Servers {
    pub(crate) fn new(timers: Timers) -> Self {
        Self {
            timers,
            by_id: HashMap::new(),
            index: HashMap::new(),
            merges: HashMap::new(),
            schedule: Schedule::default(),
            next_id: 0,
            retransmissions: 0,
        }
    }

    /// Says what a request is, without changing anything.
    pub(crate) fn find(&self, request: &Request, matched_by: &ServerMatch) -> Found {
        let known = self.index.get(matched_by).copied();
        match (known, &request.method) {
            (Some(id), Method::Ack) if !self.owns_ack(id, request, matched_by) => Found::StrayAck,
            (Some(id), _) => Found::Known(id),
            (None, Method::Ack) => Found::StrayAck,
            (None, Method::Cancel) => Found::Cancel(self.index.get(&matched_by.cancelled_invite()).copied()),
            (None, _) if MergeKey::of(request).is_some_and(|key| self.merges.contains_key(&key)) => {
                Found::Merged
            }
            (None, _) => Found::New,
        }
    }

    /// Starts a transaction. One that the layer answers itself is hidden from the TU.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        request: &Request,
        (matched_by, via): (ServerMatch, &Via),
        flow: Flow,
        is_hidden: bool,
    ) -> ServerKey {
        let id = self.next_id;
        self.next_id += 1;
        let reliable = flow.transport.is_reliable();
        let (machine, trying) = if request.method == Method::Invite {
            let trying = request.response(StatusCode::TRYING).to_bytes();
            (ServerMachine::Invite(InviteServer::start(self.timers, reliable, now)), Some(trying))
        } else {
            (ServerMachine::NonInvite(NonInviteServer::start(self.timers, reliable, now)), None)
        };
        let merge_key = if is_hidden { None } else { MergeKey::of(request) };
        if let Some(key) = merge_key.clone() {
            self.merges.insert(key, id);
        }
        self.index.insert(matched_by.clone(), id);
        let flow = answer_flow(via, flow);
        let server = Server {
            machine,
            matched_by,
            merge_key,
            last: None,
            trying,
            to_tag: None,
            flow,
            is_hidden,
            scheduled: None,
        };
        self.by_id.insert(id, server);
        self.reschedule(id);
        ServerKey(id)
    }

    /// Takes a retransmission or an ACK of a known transaction.
    pub(crate) fn on_request(
        &mut self,
        now: Instant,
        id: u64,
        request: Request,
        flow: Flow,
        out: &mut VecDeque<Output>,
    ) {
        let event = if request.method == Method::Ack { ServerEvent::Ack } else { ServerEvent::Request };
        self.drive(id, event, Carried { ack: Some((request, flow)), answer: None }, now, out);
    }

    /// Takes an answer; `false` if the transaction is gone.
    pub(crate) fn respond(
        &mut self,
        now: Instant,
        key: ServerKey,
        response: Response,
        out: &mut VecDeque<Output>,
    ) -> bool {
        let known = self.by_id.contains_key(&key.0);
        let code = response.code;
        self.drive(key.0, ServerEvent::Answer(code), Carried { ack: None, answer: Some(response) }, now, out);
        known
    }

    pub(crate) fn transport_failed(&mut self, now: Instant, flow: &Flow, out: &mut VecDeque<Output>) {
        let mut ids: Vec<u64> =
            self.by_id.iter().filter(|(_, server)| server.flow == *flow).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        for id in ids {
            self.drive(id, ServerEvent::TransportFailed, Carried::default(), now, out);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<Output>) {
        while let Some(id) = self.schedule.due(now) {
            self.settle(id, now, out);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.schedule.next()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether the TU may still decide about the INVITE.
    pub(crate) fn is_undecided(&self, id: u64) -> bool {
        self.by_id.get(&id).is_some_and(|server| match &server.machine {
            ServerMachine::Invite(machine) => machine.is_proceeding(),
            ServerMachine::NonInvite(_) => false,
        })
    }

    /// The To tag of our answers so far; the answer to CANCEL should wear it too (RFC 3261 9.2).
    pub(crate) fn to_tag(&self, id: u64) -> Option<&str> {
        self.by_id.get(&id)?.to_tag.as_deref()
    }

    /// With an RFC 2543 branch, an ACK belongs to the INVITE only if it wears our tag (17.2.3).
    fn owns_ack(&self, id: u64, ack: &Request, matched_by: &ServerMatch) -> bool {
        !matched_by.is_legacy() || ack.headers.to().is_ok_and(|to| to.tag() == self.to_tag(id))
    }

    fn drive(
        &mut self,
        id: u64,
        event: ServerEvent,
        carried: Carried,
        now: Instant,
        out: &mut VecDeque<Output>,
    ) {
        let Some(server) = self.by_id.get_mut(&id) else {
            return;
        };
        let key = ServerKey(id);
        let actions = server.machine.on(event, now);
        let Carried { mut ack, mut answer } = carried;
        for action in actions {
            match action {
                ServerAction::Transmit => {
                    let answer = answer.take().expect("only the TU's answer makes a machine transmit");
                    server.last = Some(tagged(answer, &mut server.to_tag).to_bytes());
                    transmit(server, out);
                }
                ServerAction::TransmitTrying => {
                    server.last = server.trying.take();
                    transmit(server, out);
                }
                ServerAction::Repeat => {
                    self.retransmissions += u64::from(server.last.is_some());
                    transmit(server, out);
                }
                ServerAction::DeliverAck => {
                    let (request, flow) = ack.take().expect("only an ACK makes a machine deliver one");
                    out.push_back(Output::Ack { invite: Some(key), request, flow });
                }
                ServerAction::ReportNoAck => report(server, key, ServerFailure::NoAck, out),
                ServerAction::ReportUnanswered => report(server, key, ServerFailure::Unanswered, out),
                ServerAction::ReportTransportFailure => report(server, key, ServerFailure::Transport, out),
                ServerAction::Terminate => return self.forget(id, out),
            }
        }
        self.settle(id, now, out);
    }

    /// Fires what is due and plans the next waking.
    fn settle(&mut self, id: u64, now: Instant, out: &mut VecDeque<Output>) {
        let Some(server) = self.by_id.get_mut(&id) else {
            return;
        };
        match server.machine.clock().due(now) {
            Some(timer) => self.drive(id, ServerEvent::Timer(timer), Carried::default(), now, out),
            None => self.reschedule(id),
        }
    }

    fn reschedule(&mut self, id: u64) {
        if let Some(server) = self.by_id.get_mut(&id) {
            let next = server.machine.clock().next();
            self.schedule.set(id, &mut server.scheduled, next);
        }
    }

    fn forget(&mut self, id: u64, out: &mut VecDeque<Output>) {
        let mut server = self.by_id.remove(&id).expect("only a running transaction terminates");
        self.schedule.set(id, &mut server.scheduled, None);
        self.index.remove(&server.matched_by);
        if let Some(key) = &server.merge_key {
            self.merges.remove(key);
        }
        if !server.is_hidden {
            out.push_back(Output::ServerEnded { key: ServerKey(id) });
        }
    }
}

/// What comes with an event.
#[derive(Default)]
struct Carried {
    ack: Option<(Request, Flow)>,
    answer: Option<Response>,
}

/// The way of the answer to a request with this (stamped) top Via.
pub(crate) fn answer_flow(via: &Via, flow: Flow) -> Flow {
    match flow.transport.is_reliable() {
        true => flow,
        false => Flow { remote: response_address(via, &flow), ..flow },
    }
}

/// Every answer but 100 wears a To tag, and all the same one unless the TU forks (RFC 3261 8.2.6.2).
fn tagged(answer: Response, to_tag: &mut Option<Box<str>>) -> Response {
    if answer.code == StatusCode::TRYING {
        return answer;
    }
    let tag = to_tag.as_deref().map_or_else(random_tag, str::to_owned);
    let answer = answer.with_to_tag(&tag).expect("our tags are tokens");
    *to_tag = answer.headers.to().ok().and_then(|to| to.tag().map(Into::into));
    answer
}

fn transmit(server: &Server, out: &mut VecDeque<Output>) {
    if let Some(bytes) = server.last.clone() {
        out.push_back(Output::Transmit { bytes, flow: server.flow });
    }
}

fn report(server: &Server, key: ServerKey, why: ServerFailure, out: &mut VecDeque<Output>) {
    if !server.is_hidden {
        out.push_back(Output::ServerFailed { key, why });
    }
}
