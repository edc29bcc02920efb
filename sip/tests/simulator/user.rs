//! A transaction user that does what it likes within the rules, and notes what the layer does to it.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use sip::message::{
    HeaderName, HostPort, Message, Method, NameAddr, Request, Response, StatusCode, Uri, parse,
    random_call_id, random_tag,
};
use sip::transaction::{ClientKey, Layer, Output, ServerKey};
use sip::transport::Flow;

use crate::network::Dice;

/// What the user means to do later.
enum Plan {
    Send(Method),
    Cancel(ClientKey),
    Answer(ServerKey, StatusCode),
    /// Repeats a 2xx until its ACK has come (RFC 3261 13.3.1.4).
    RepeatSuccess(ServerKey, Duration),
}

/// What became of a request that we sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) is_invite: bool,
    pub(crate) begun: Option<Instant>,
    pub(crate) ended: Option<Instant>,
    pub(crate) successes: usize,
    pub(crate) refusals: usize,
    pub(crate) failures: usize,
}

/// What became of a request that came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) request: Request,
    pub(crate) begun: Instant,
    pub(crate) answered: Option<Instant>,
    pub(crate) ended: Option<Instant>,
    success: Option<Response>,
    is_acknowledged: bool,
}

pub(crate) struct User {
    pub(crate) layer: Layer,
    flow: Flow,
    plans: BTreeMap<(Instant, u64), Plan>,
    count: u64,
    pub(crate) sent: HashMap<ClientKey, Sent>,
    pub(crate) received: HashMap<ServerKey, Received>,
}

impl User {
    pub(crate) fn new(layer: Layer, flow: Flow) -> Self {
        Self { layer, flow, plans: BTreeMap::new(), count: 0, sent: HashMap::new(), received: HashMap::new() }
    }

    /// Means to send `count` requests within the next minute.
    pub(crate) fn plan_requests(&mut self, now: Instant, dice: &mut Dice, count: usize) {
        const METHODS: [Method; 5] =
            [Method::Invite, Method::Invite, Method::Bye, Method::Register, Method::Options];
        for _ in 0..count {
            let method = METHODS[usize::try_from(dice.below(5)).unwrap()].clone();
            let at = now + dice.ms(60_000);
            self.plan(at, Plan::Send(method));
        }
    }

    /// Whether this user listens there.
    pub(crate) fn is_at(&self, address: std::net::SocketAddr) -> bool {
        self.flow.local == address
    }

    pub(crate) fn next_plan(&self) -> Option<Instant> {
        self.plans.first_key_value().map(|((at, _), _)| *at)
    }

    /// Carries out what is due.
    pub(crate) fn act(&mut self, now: Instant, dice: &mut Dice) {
        while self.next_plan().is_some_and(|at| at <= now) {
            let (_, plan) = self.plans.pop_first().unwrap();
            match plan {
                Plan::Send(method) => self.send(now, dice, method),
                Plan::Cancel(key) => self.layer.cancel(now, key, None),
                Plan::Answer(key, code) => self.answer(now, key, code),
                Plan::RepeatSuccess(key, interval) => self.repeat_success(now, key, interval),
            }
        }
    }

    /// Takes what the layer says; messages to transmit are the caller's.
    pub(crate) fn hear(&mut self, now: Instant, dice: &mut Dice, output: Output) {
        match output {
            Output::Transmit { .. } => unreachable!("the world transmits"),
            Output::Request { key, request, .. } => self.consider(now, dice, key, request),
            Output::Ack { request, .. } => self.acknowledged(&request),
            Output::Cancelled { invite, .. } => self.answer(now, invite, StatusCode::REQUEST_TERMINATED),
            Output::Response { key, response, .. } => self.answered(key, &response),
            Output::TimedOut { key } | Output::TransportFailed { key } => {
                self.sent.get_mut(&key).unwrap().failures += 1
            }
            Output::ClientEnded { key } => {
                let sent = self.sent.get_mut(&key).expect("only what was sent ends");
                assert!(sent.ended.replace(now).is_none(), "{key:?} ended twice");
            }
            Output::ServerFailed { .. } => {}
            Output::ServerEnded { key } => {
                let received = self.received.get_mut(&key).expect("only what came ends");
                assert!(received.ended.replace(now).is_none(), "{key:?} ended twice");
            }
        }
    }

    fn send(&mut self, now: Instant, dice: &mut Dice, method: Method) {
        let party = |user: &str| NameAddr::new(format!("sip:{user}@example.com").parse::<Uri>().unwrap());
        let from = party("caller").with_tag(&random_tag()).unwrap();
        let to =
            if method == Method::Bye { party("callee").with_tag("dialog").unwrap() } else { party("callee") };
        let uri = "sip:callee@example.com".parse().unwrap();
        let request = Request::new(method.clone(), uri, from, to, &random_call_id(), 1).unwrap();
        let key = self.layer.send_request(now, request, self.flow, self.sent_by()).unwrap();
        let is_invite = method == Method::Invite;
        self.sent.insert(key, Sent { is_invite, begun: Some(now), ..Sent::default() });
        if is_invite {
            // Nobody waits for ever; some lose patience early.
            let patience = if dice.percent(30) { dice.ms(8_000) } else { PATIENCE };
            self.plan(now + patience, Plan::Cancel(key));
            self.plan(now + PATIENCE, Plan::Cancel(key));
        }
    }

    fn consider(&mut self, now: Instant, dice: &mut Dice, key: ServerKey, request: Request) {
        let branch = |request: &Request| request.headers.top_via().unwrap().branch().unwrap().to_owned();
        let is_new = self.received.values().all(|known| branch(&known.request) != branch(&request));
        assert!(is_new, "the user sees each request once");
        let first = now + dice.ms(1_000);
        if request.method == Method::Invite {
            if dice.percent(60) {
                self.plan(first, Plan::Answer(key, StatusCode::RINGING));
            }
            let code = if dice.percent(60) { StatusCode::OK } else { StatusCode::BUSY_HERE };
            let at = first + dice.ms(10_000);
            self.plan(at, Plan::Answer(key, code));
        } else if dice.percent(95) {
            let code = if dice.percent(80) { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            self.plan(first, Plan::Answer(key, code));
        }
        let is_acknowledged = false;
        let received =
            Received { request, begun: now, answered: None, ended: None, success: None, is_acknowledged };
        assert!(self.received.insert(key, received).is_none(), "keys are never used twice");
    }

    fn answer(&mut self, now: Instant, key: ServerKey, code: StatusCode) {
        let received = self.received.get_mut(&key).unwrap();
        if received.answered.is_some() {
            return;
        }
        let response = received.request.response(code);
        if code.is_final() {
            received.answered = Some(now);
        }
        if code.is_success() && received.request.method == Method::Invite {
            received.success = Some(response.clone().with_to_tag(&random_tag()).unwrap());
            let response = received.success.clone().unwrap();
            self.layer.respond(now, key, response);
            self.plan(now + T1, Plan::RepeatSuccess(key, T1));
        } else {
            self.layer.respond(now, key, response);
        }
    }

    fn repeat_success(&mut self, now: Instant, key: ServerKey, interval: Duration) {
        let received = &self.received[&key];
        let since = received.answered.expect("a success was an answer");
        if received.is_acknowledged || now - since > T1 * 64 {
            return;
        }
        let response = received.success.clone().expect("only a success is repeated");
        self.layer.respond(now, key, response);
        let interval = (interval * 2).min(T1 * 8);
        self.plan(now + interval, Plan::RepeatSuccess(key, interval));
    }

    fn acknowledged(&mut self, ack: &Request) {
        let call = |request: &Request| request.headers.call_id().unwrap().to_owned();
        let invite = self.received.values_mut().find(|known| call(&known.request) == call(ack));
        let invite = invite.expect("an ACK follows an INVITE");
        if invite.success.is_none() {
            assert!(
                invite.ended.is_some(),
                "an ACK for a refusal stays in the layer while the INVITE lives there"
            );
            return;
        }
        invite.is_acknowledged = true;
    }

    fn answered(&mut self, key: ClientKey, response: &Response) {
        let sent = self.sent.get_mut(&key).expect("an answer belongs to what was sent");
        assert!(sent.ended.is_none(), "no answer after the end");
        if response.code.is_success() {
            sent.successes += 1;
        } else if response.code.is_final() {
            sent.refusals += 1;
        }
        if sent.is_invite && response.code.is_success() {
            let headers = &response.headers;
            let (from, to) = (headers.from().unwrap(), headers.to().unwrap());
            let uri = "sip:callee@example.com".parse().unwrap();
            let mut ack = Request::new(Method::Ack, uri, from, to, headers.call_id().unwrap(), 1).unwrap();
            let sent_by = self.sent_by();
            self.layer.send_ack(&mut ack, self.flow, sent_by);
        }
    }

    fn plan(&mut self, at: Instant, plan: Plan) {
        self.count += 1;
        self.plans.insert((at, self.count), plan);
    }

    fn sent_by(&self) -> HostPort {
        self.flow.local.into()
    }
}

/// What we transmit can be read, and no answer but 100 lacks a To tag.
pub(crate) fn check_wire(bytes: &[u8]) {
    if let Message::Response(response) = parse(bytes).expect("we send what can be read") {
        let to = response.headers.to().unwrap();
        assert!(response.code == StatusCode::TRYING || to.tag().is_some());
        assert!(response.headers.has(&HeaderName::Via));
    }
}

pub(crate) const T1: Duration = Duration::from_millis(500);
/// The longest that a user waits for the answer to an INVITE.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
