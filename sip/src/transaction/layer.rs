//! The transaction layer: all transactions of one SIP endpoint behind one door.

use std::collections::VecDeque;
use std::time::Instant;

use super::clients::Clients;
use super::matching::ServerMatch;
use super::output::{ClientKey, Output, ServerKey};
use super::servers::{Found, Servers, answer_flow};
use super::timers::Timers;
use crate::message::{
    HeaderError, HeaderName, HostPort, Malformed, Message, Method, Reason, Request, Response, StatusCode,
    Via, parse, random_branch,
};
use crate::transport::{Flow, stamp_top_via};

/// How many transactions may run at once. Above, new requests hear 503 without any memory of them.
///
/// A transaction over UDP lives 32 s and holds one or two messages, some 2–4 KiB. The default of 16,384 each way lets 500 new
/// requests a second pass for ever, and caps a flood at about 60 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Server transactions; requests inside dialogs (To tag) may use a quarter more, so that calls can be ended during a flood.
    pub servers: usize,
    /// Client transactions.
    pub clients: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { servers: 16_384, clients: 16_384 }
    }
}

/// Why a request was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// [`Limits::clients`] transactions run.
    #[error("too many client transactions")]
    LimitReached,
    /// ACK starts no transaction: [`Layer::send_ack`]. CANCEL is the layer's: [`Layer::cancel`].
    #[error("ACK and CANCEL start no transaction of their own")]
    NotATransaction,
    /// A field is missing or malformed without which answers could not be matched.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// What the layer has seen, for metrics; only ever grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that could not be parsed, answered or not.
    pub broken: u64,
    /// Responses that no request waits for.
    pub stray_responses: u64,
    /// Requests that a running transaction absorbed.
    pub retransmissions_received: u64,
    /// Requests and answers that we sent again.
    pub retransmissions_sent: u64,
    /// Requests that came by a second way and heard 482.
    pub merged: u64,
    /// Requests that heard 503 because of [`Limits`].
    pub refused: u64,
}

/// Owns all running transactions of an endpoint. After each call, drain [`Layer::poll`] and arm a timer for
/// [`Layer::next_deadline`].
#[derive(Debug)]
pub struct Layer {
    limits: Limits,
    clients: Clients,
    servers: Servers,
    counters: Counters,
    out: VecDeque<Output>,
}

impl Layer {
    /// A layer without transactions.
    pub fn new(timers: Timers, limits: Limits) -> Self {
        let (clients, servers) = (Clients::new(timers), Servers::new(timers));
        Self { limits, clients, servers, counters: Counters::default(), out: VecDeque::new() }
    }

    /// Takes a datagram, or a message or broken header section that the framer cut from a stream.
    ///
    /// What cannot be parsed is answered statelessly where that is possible.
    pub fn receive(&mut self, now: Instant, bytes: &[u8], flow: Flow) {
        if bytes.iter().all(|b| b"\r\n".contains(b)) {
            return; // A keep-alive over UDP asks for nothing.
        }
        match parse(bytes) {
            Ok(message) => self.receive_message(now, message, flow),
            Err(failure) => {
                self.counters.broken += 1;
                if let Some(mut response) = failure.response {
                    stamp_top_via(&mut response.headers, flow.remote);
                    // Its Via may be the very thing that is broken, so the answer goes where the request came from.
                    self.out.push_back(Output::Transmit { bytes: response.to_bytes(), flow });
                }
            }
        }
    }

    /// Takes a message that was parsed elsewhere.
    pub fn receive_message(&mut self, now: Instant, message: Message, flow: Flow) {
        match message {
            Message::Request(request) => self.receive_request(now, request, flow),
            Message::Response(response) => {
                if !self.clients.on_response(now, response, flow, &mut self.out) {
                    self.counters.stray_responses += 1;
                }
            }
        }
    }

    /// Sends a request and cares for it until it is answered. Any Via in it is replaced by ours, with a random branch.
    ///
    /// `sent_by` is where we listen, as the far side should see it.
    pub fn send_request(
        &mut self,
        now: Instant,
        mut request: Request,
        flow: Flow,
        sent_by: HostPort,
    ) -> Result<ClientKey, SendError> {
        if matches!(request.method, Method::Ack | Method::Cancel) {
            return Err(SendError::NotATransaction);
        }
        if self.clients.len() >= self.limits.clients {
            return Err(SendError::LimitReached);
        }
        if request.headers.cseq()?.method != request.method {
            let problem = Malformed("CSeq: it names another method than the request").into();
            return Err(HeaderError { header: HeaderName::CSeq, problem }.into());
        }
        let branch = add_via(&mut request, flow, sent_by);
        Ok(self.clients.start(now, (request, &branch), flow, false, &mut self.out))
    }

    /// Sends the ACK for a 2xx. The first call gives it its Via; call again with the same `ack` for each 2xx that comes again.
    pub fn send_ack(&mut self, ack: &mut Request, flow: Flow, sent_by: HostPort) {
        if !ack.headers.has(&HeaderName::Via) {
            add_via(ack, flow, sent_by);
        }
        self.out.push_back(Output::Transmit { bytes: ack.to_bytes(), flow });
    }

    /// Takes an INVITE back: CANCEL goes out as soon as a provisional answer has come, or never if a final one is first.
    ///
    /// The INVITE still ends by [`Output::Response`] (487, or a 2xx that was under way: then the TU sends ACK and BYE) or by
    /// [`Output::TimedOut`]. No effect on anything but a pending INVITE.
    pub fn cancel(&mut self, now: Instant, key: ClientKey, reason: Option<&Reason>) {
        self.clients.cancel(now, key, reason, &mut self.out);
    }

    /// Answers a request. A To tag is added if there is none. `false` if the transaction is gone, so that nobody hears the answer.
    ///
    /// After a 2xx to INVITE, call again with the same answer to repeat it until the ACK comes (RFC 3261 13.3.1.4).
    pub fn respond(&mut self, now: Instant, key: ServerKey, response: Response) -> bool {
        self.servers.respond(now, key, response, &mut self.out)
    }

    /// A connection broke or could not be made, or a datagram was refused: all transactions that wait for this flow end.
    pub fn transport_failed(&mut self, now: Instant, flow: &Flow) {
        self.clients.transport_failed(now, flow, &mut self.out);
        self.servers.transport_failed(now, flow, &mut self.out);
    }

    /// Lets the timers fire that are due. Early or late calls do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clients.handle_timeout(now, &mut self.out);
        self.servers.handle_timeout(now, &mut self.out);
    }

    /// The next thing to do or to know.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Layer::handle_timeout`] must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.clients.next_deadline(), self.servers.next_deadline()].into_iter().flatten().min()
    }

    /// How many client and server transactions run.
    pub fn running(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        let retransmissions_sent = self.clients.retransmissions + self.servers.retransmissions;
        Counters { retransmissions_sent, ..self.counters }
    }

    fn receive_request(&mut self, now: Instant, mut request: Request, flow: Flow) {
        stamp_top_via(&mut request.headers, flow.remote);
        let Ok(via) = request.headers.top_via() else {
            return self.counters.broken += 1;
        };
        let Ok(matched_by) = ServerMatch::of(&request, &via) else {
            return self.counters.broken += 1;
        };
        let found = self.servers.find(&request, &matched_by);
        let id = (matched_by, &via);
        match found {
            Found::Known(known) => {
                self.counters.retransmissions_received += u64::from(request.method != Method::Ack);
                self.servers.on_request(now, known, request, flow, &mut self.out);
            }
            Found::StrayAck => self.out.push_back(Output::Ack { invite: None, request, flow }),
            _ if self.is_full(&request) => {
                self.counters.refused += 1;
                let response = request.stateless_response(StatusCode::SERVICE_UNAVAILABLE);
                let bytes = response.with_header(HeaderName::RetryAfter, RETRY_AFTER_S).to_bytes();
                self.out.push_back(Output::Transmit { bytes, flow: answer_flow(&via, flow) });
            }
            Found::Cancel(invite) => self.receive_cancel(now, request, id, flow, invite),
            Found::Merged => {
                self.counters.merged += 1;
                let response = request.stateless_response(StatusCode::LOOP_DETECTED);
                self.answer_ourselves(now, &request, id, flow, response);
            }
            Found::New => {
                let key = self.servers.start(now, &request, id, flow, false);
                self.out.push_back(Output::Request { key, request, flow });
            }
        }
    }

    /// RFC 3261 9.2.
    fn receive_cancel(
        &mut self,
        now: Instant,
        cancel: Request,
        id: (ServerMatch, &Via),
        flow: Flow,
        invite: Option<u64>,
    ) {
        let Some(invite) = invite else {
            let response = cancel.stateless_response(StatusCode::CALL_DOES_NOT_EXIST);
            return self.answer_ourselves(now, &cancel, id, flow, response);
        };
        let mut response = cancel.response(StatusCode::OK);
        if let Some(tag) = self.servers.to_tag(invite) {
            response = response.with_to_tag(tag).expect("the tag of an answer that we sent is a token");
        }
        self.answer_ourselves(now, &cancel, id, flow, response);
        if self.servers.is_undecided(invite) {
            self.out.push_back(Output::Cancelled { invite: ServerKey(invite), cancel });
        }
    }

    fn answer_ourselves(
        &mut self,
        now: Instant,
        request: &Request,
        id: (ServerMatch, &Via),
        flow: Flow,
        response: Response,
    ) {
        let key = self.servers.start(now, request, id, flow, true);
        self.servers.respond(now, key, response, &mut self.out);
    }

    fn is_full(&self, request: &Request) -> bool {
        let in_dialog =
            request.headers.to().is_ok_and(|to| to.tag().is_some()) || request.method == Method::Cancel;
        let extra = if in_dialog { self.limits.servers / 4 } else { 0 };
        self.servers.len() >= self.limits.servers + extra
    }
}

/// Replaces any Via by ours and tells its branch.
fn add_via(request: &mut Request, flow: Flow, sent_by: HostPort) -> String {
    let branch = random_branch();
    let via = Via::new(flow.transport, sent_by, &branch).expect("our branches are tokens");
    request.headers.remove(&HeaderName::Via);
    request.headers.prepend(HeaderName::Via, via);
    branch
}

/// What a refused sender should wait, in seconds: a flood is over or the sender part of it.
const RETRY_AFTER_S: u32 = 4;
