//! The far side of one call: the real transaction layer over a bad network, and a user who does what dice say.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sip::dialog::{AckStep, AckWait, Dialog};
use sip::message::{
    HeaderName, Method, NameAddr, Request, Response, StatusCode, Uri, random_call_id, random_tag,
};
use sip::transaction::{ClientKey, Layer, Limits, Output, ServerKey, Timers};
use sip::transport::Flow;
use tokio::net::UdpSocket;
use tokio::time::sleep_until;

use super::network::{Dice, Network};
use super::story::Story;
use super::{T1, now, pick};

const T2: Duration = Duration::from_secs(4);

/// What the user means to do.
enum Plan {
    Respond(ServerKey, StatusCode, &'static str),
    RepeatSuccess(ServerKey),
    Cancel,
    Deed(Deed),
}

/// What the user does in a call.
#[derive(Debug, Clone, Copy)]
enum Deed {
    HangUp,
    /// A re-INVITE with this direction; none: without SDP.
    ReInvite(Option<&'static str>),
    /// A re-INVITE that nobody can answer.
    BadOffer,
    Update,
    Ask(&'static str),
    /// Says nothing any more.
    Vanish,
}

/// What he is like; thrown once.
struct Manner {
    /// Of 100 requests inside the call, so many are answered as they should be.
    good: u64,
    /// Of 100 ACKs, so many are sent.
    acknowledges: u64,
    /// Hears nothing and says nothing.
    deaf: bool,
    forks: bool,
    session: &'static str,
}

pub struct Phone {
    socket: UdpSocket,
    flow: Flow,
    layer: Layer,
    network: Network,
    dice: Dice,
    manner: Manner,
    story: Rc<Story>,
    plans: BTreeMap<(Instant, u64), Plan>,
    count: u64,
    /// Requests that came and may still be answered.
    received: BTreeMap<ServerKey, Request>,
    waits: BTreeMap<ServerKey, AckWait>,
    /// Our first INVITE, if we call.
    calling: Option<(ClientKey, Request)>,
    /// Our re-INVITE that is out.
    reinviting: Option<(ClientKey, Request)>,
    dialog: Option<Dialog>,
    tag: String,
    talks: bool,
}

impl Phone {
    pub async fn new(house: SocketAddr, network: Network, mut dice: Dice, story: Rc<Story>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let flow = Flow {
            transport: sip::transport::Transport::Udp,
            local: socket.local_addr().unwrap(),
            remote: house,
        };
        let manner = Manner {
            good: pick(&mut dice, &[100, 100, 70, 20]),
            acknowledges: pick(&mut dice, &[100, 100, 100, 50, 0]),
            deaf: dice.percent(6),
            forks: dice.percent(10),
            session: pick(&mut dice, &["", "", "20;refresher=uac", "20;refresher=uas", "1800;refresher=uac"]),
        };
        Self {
            socket,
            flow,
            layer: Layer::new(Timers::default(), Limits::default()),
            network,
            dice,
            manner,
            story,
            plans: BTreeMap::new(),
            count: 0,
            received: BTreeMap::new(),
            waits: BTreeMap::new(),
            calling: None,
            reinviting: None,
            dialog: None,
            tag: random_tag(),
            talks: false,
        }
    }

    pub fn at(&self) -> SocketAddr {
        self.flow.local
    }

    /// Lives until it is dropped.
    pub async fn live(mut self) {
        let mut buffer = vec![0; 65_535];
        loop {
            self.act();
            let next = [self.network.next_arrival(), self.next_plan(), self.layer.next_deadline()];
            let until = next.into_iter().flatten().min().unwrap_or_else(|| now() + Duration::from_secs(3600));
            tokio::select! {
                got = self.socket.recv_from(&mut buffer) => {
                    // An error is the echo of a datagram that nobody took.
                    let Ok((length, _)) = got else { continue };
                    let sent = Flow { local: self.flow.remote, remote: self.flow.local, ..self.flow };
                    self.network.send(now(), &mut self.dice, buffer[..length].to_vec().into(), sent);
                }
                () = sleep_until(until.into()) => {}
            }
        }
    }

    fn act(&mut self) {
        let now = now();
        while let Some((bytes, flow)) = self.network.arrive(now) {
            if flow.local != self.flow.local {
                // The house may be gone at the end of a run.
                let _ = self.socket.try_send_to(&bytes, self.flow.remote);
            } else if !self.manner.deaf {
                self.layer.receive(now, &bytes, flow);
            }
        }
        self.drain();
        while self.next_plan().is_some_and(|at| at <= now) {
            let (_, plan) = self.plans.pop_first().unwrap();
            if !self.manner.deaf {
                self.carry_out(plan);
                self.drain();
            }
        }
        self.layer.handle_timeout(now);
        self.drain();
    }

    fn next_plan(&self) -> Option<Instant> {
        self.plans.first_key_value().map(|((at, _), _)| *at)
    }

    fn plan(&mut self, after: Duration, plan: Plan) {
        self.count += 1;
        self.plans.insert((now() + after, self.count), plan);
    }

    fn drain(&mut self) {
        while let Some(output) = self.layer.poll() {
            match output {
                Output::Transmit { .. } if self.manner.deaf => {}
                Output::Transmit { bytes, flow } => self.network.send(now(), &mut self.dice, bytes, flow),
                Output::Request { key, request, .. } => self.consider(key, request),
                Output::Ack { request, .. } => {
                    self.waits.values_mut().for_each(|wait| _ = wait.on_ack(&request));
                    self.talk();
                }
                Output::Cancelled { invite, .. } => {
                    let code = pick(
                        &mut self.dice,
                        &[StatusCode::REQUEST_TERMINATED, StatusCode::OK, StatusCode::OK],
                    );
                    let after = self.dice.ms(300);
                    if !self.dice.percent(10) {
                        self.plan(after, Plan::Respond(invite, code, "good"));
                    }
                }
                Output::Response { key, response, .. } => self.heard(key, &response),
                Output::ServerEnded { key } => {
                    self.received.remove(&key);
                }
                _ => {}
            }
        }
    }

    // --- called ---

    fn consider(&mut self, key: ServerKey, request: Request) {
        let inside = request.headers.to().is_ok_and(|to| to.tag().is_some());
        self.story.heard(&format!("{} at the phone", request.method));
        let good = self.dice.percent(self.manner.good);
        let silent = !good && self.dice.percent(30);
        let after = self.dice.ms(400);
        let (method, first) = (request.method.clone(), request.method == Method::Invite && !inside);
        if inside && method == Method::Invite && self.reinviting.is_some() {
            self.received.insert(key, request);
            return self.plan(Duration::ZERO, Plan::Respond(key, StatusCode::REQUEST_PENDING, ""));
        }
        self.received.insert(key, request);
        if first {
            return self.ring(key);
        }
        let code = match (good, &method) {
            (true, _) => 200,
            (false, &Method::Invite) => pick(&mut self.dice, &[403, 408, 481, 488, 491, 500, 422]),
            (false, &Method::Bye) => 481,
            (false, _) => pick(&mut self.dice, &[405, 415, 481, 491, 500, 503]),
        };
        if !silent {
            self.plan(after, Plan::Respond(key, StatusCode::try_from(code).unwrap(), "good"));
        }
    }

    /// The first INVITE.
    fn ring(&mut self, key: ServerKey) {
        let mut at = self.dice.ms(500);
        for _ in 0..self.dice.below(4) {
            let (code, body) = pick(
                &mut self.dice,
                &[
                    (StatusCode::RINGING, ""),
                    (StatusCode::SESSION_PROGRESS, "good"),
                    (StatusCode::QUEUED, ""),
                ],
            );
            self.plan(at, Plan::Respond(key, code, body));
            at += self.dice.ms(4_000);
        }
        let span = pick(&mut self.dice, &[100, 3_000, 30_000]);
        at += self.dice.ms(span);
        if self.dice.percent(12) {
            return; // rings for ever
        }
        let codes = [
            200, 200, 200, 302, 401, 403, 404, 407, 408, 415, 422, 480, 484, 486, 488, 491, 500, 503, 600,
            603,
        ];
        let code = if self.dice.percent(55) { 200 } else { pick(&mut self.dice, &codes) };
        let body =
            if self.dice.percent(85) { "good" } else { pick(&mut self.dice, &["", "bad", "no contact"]) };
        self.plan(at, Plan::Respond(key, StatusCode::try_from(code).unwrap(), body));
    }

    fn carry_out(&mut self, plan: Plan) {
        match plan {
            Plan::Respond(key, code, body) => self.respond(key, code, body),
            Plan::RepeatSuccess(key) => self.repeat(key),
            Plan::Cancel => {
                if let Some((key, _)) = &self.calling {
                    self.story.acted("the phone cancels");
                    self.layer.cancel(now(), *key, None);
                }
            }
            Plan::Deed(deed) => self.do_it(deed),
        }
    }

    fn respond(&mut self, key: ServerKey, code: StatusCode, body: &'static str) {
        let Some(request) = self.received.get(&key).cloned() else { return };
        if code.is_final() {
            self.received.remove(&key);
        }
        self.story.acted(&format!("the phone says {} to {}", code.as_u16(), request.method));
        let mut response = request.response(code).with_to_tag(&self.tag).unwrap();
        if body != "no contact" {
            response = response.with_header(HeaderName::Contact, self.contact());
        }
        if code == StatusCode::UNAUTHORIZED || code == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let name = if code == StatusCode::UNAUTHORIZED {
                HeaderName::WwwAuthenticate
            } else {
                HeaderName::ProxyAuthenticate
            };
            let nonce = random_tag();
            let challenge = format!("Digest realm=\"pbx\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"");
            response.headers.push_text(name, &challenge).unwrap();
        }
        if code == StatusCode::SESSION_INTERVAL_TOO_SMALL {
            response.headers.push_text(HeaderName::MinSe, "100").unwrap();
        }
        let invite = request.method == Method::Invite;
        if invite && (code.is_success() || (code.is_provisional() && body == "good")) {
            response = response.with_body("application/sdp", self.sdp("sendrecv", body));
        }
        let inside = request.headers.to().is_ok_and(|to| to.tag().is_some());
        if code.is_success() && invite {
            if !inside {
                if !self.manner.session.is_empty() {
                    response.headers.push_text(HeaderName::SessionExpires, self.manner.session).unwrap();
                }
                self.dialog = Dialog::uas(&request, &self.tag, self.contact()).ok();
            }
            if let Some(dialog) = &mut self.dialog {
                dialog.answered(code);
            }
            let number = request.headers.cseq().unwrap().number;
            self.waits.insert(key, AckWait::new(response.clone(), number, T1, T2, now()));
            self.plan(T1, Plan::RepeatSuccess(key));
        }
        if code.is_success() && invite && !inside && self.manner.forks {
            let mut other = response.clone();
            let to = other.headers.to().unwrap().with_tag("other").unwrap();
            other.headers.set(HeaderName::To, to);
            self.layer.respond(now(), key, response);
            self.layer.respond(now(), key, other);
        } else {
            self.layer.respond(now(), key, response);
        }
    }

    fn repeat(&mut self, key: ServerKey) {
        let Some(wait) = self.waits.get_mut(&key) else { return };
        match wait.on_deadline(now()) {
            AckStep::Send(response) => _ = self.layer.respond(now(), key, response),
            AckStep::GiveUp => {
                self.waits.remove(&key);
                return self.do_it(Deed::HangUp);
            }
            AckStep::Wait => {}
        }
        if let Some(at) = self.waits.get(&key).and_then(AckWait::deadline) {
            self.plan(at.saturating_duration_since(now()), Plan::RepeatSuccess(key));
        }
    }

    // --- calling ---

    /// Calls a user of the house.
    pub fn call(&mut self, user: &str) {
        let uri: Uri = format!("sip:{user}@{}", self.flow.remote).parse().unwrap();
        let from = NameAddr::new(format!("sip:phone@{}", self.flow.local).parse::<Uri>().unwrap());
        let to = NameAddr::new(uri.clone());
        let from = from.with_tag(&self.tag).unwrap();
        let mut invite = Request::new(Method::Invite, uri, from, to, &random_call_id(), 1).unwrap();
        invite.headers.push(HeaderName::Contact, self.contact());
        invite.headers.push_text(HeaderName::Supported, "timer, 100rel").unwrap();
        if !self.manner.session.is_empty() {
            let asks = pick(&mut self.dice, &["90", "1800", "20"]);
            invite.headers.push_text(HeaderName::SessionExpires, asks).unwrap();
        }
        if self.dice.percent(15) {
            invite.headers.push_text(HeaderName::Require, "100rel").unwrap();
        }
        if !self.dice.percent(15) {
            let kind = if self.dice.percent(95) { "good" } else { "bad" };
            invite = invite.with_body("application/sdp", self.sdp("sendrecv", kind));
        }
        self.manner.deaf = false;
        let sent_by = self.flow.local.into();
        let key = self.layer.send_request(now(), invite.clone(), self.flow, sent_by).unwrap();
        self.calling = Some((key, invite));
        self.story.acted("the phone calls");
        if self.dice.percent(35) {
            let span = pick(&mut self.dice, &[50, 2_000, 20_000]);
            let after = self.dice.ms(span);
            self.plan(after, Plan::Cancel);
        }
    }

    fn heard(&mut self, key: ClientKey, response: &Response) {
        self.story.heard(&format!("{} at the phone", response.code.as_u16()));
        let reinvite = self.reinviting.as_ref().is_some_and(|(known, _)| *known == key);
        let Some((_, invite)) =
            [&self.calling, &self.reinviting].into_iter().flatten().find(|(known, _)| *known == key).cloned()
        else {
            return;
        };
        if !response.code.is_final() {
            return self.acknowledge_ringing(&invite, response);
        }
        if let Some(dialog) = self.dialog.as_mut().filter(|_| reinvite) {
            let _ = dialog.concluded(&Method::Invite, Some(response));
        }
        if !response.code.is_success() {
            if reinvite {
                self.reinviting = None;
            }
            return;
        }
        if !reinvite && self.dialog.is_none() {
            self.dialog = Dialog::uac(&invite, response).ok();
        }
        if !self.dice.percent(self.manner.acknowledges) {
            return; // lost, or never sent
        }
        let answer = match (invite.body.is_empty(), self.dice.percent(85)) {
            (true, true) => Some(self.sdp("sendrecv", "good").into()),
            _ => None,
        };
        let Some(dialog) = &mut self.dialog else { return };
        let mut ack = dialog.ack(&invite, answer);
        self.layer.send_ack(&mut ack, self.flow, self.flow.local.into());
        self.story.acted("the phone sends ACK");
        self.reinviting = self.reinviting.take().filter(|_| !reinvite);
        self.talk();
    }

    fn acknowledge_ringing(&mut self, invite: &Request, response: &Response) {
        let Some(rseq) = response.headers.get(&HeaderName::RSeq).map(str::to_owned) else { return };
        if !self.dice.percent(80) {
            return;
        }
        let Ok(mut early) = Dialog::uac(invite, response) else { return };
        let mut prack = early.request(Method::Prack);
        prack.headers.push_text(HeaderName::RAck, &format!("{rseq} 1 INVITE")).unwrap();
        let _ = self.layer.send_request(now(), prack, self.flow, self.flow.local.into());
    }

    // --- in the call ---

    /// Plans what the user does while he talks.
    fn talk(&mut self) {
        if std::mem::replace(&mut self.talks, true) {
            return;
        }
        const DEEDS: [Deed; 13] = [
            Deed::HangUp,
            Deed::HangUp,
            Deed::ReInvite(Some("sendonly")),
            Deed::ReInvite(Some("inactive")),
            Deed::ReInvite(Some("sendrecv")),
            Deed::ReInvite(Some("sendrecv")),
            Deed::ReInvite(None),
            Deed::BadOffer,
            Deed::Update,
            Deed::Ask("INFO"),
            Deed::Ask("OPTIONS"),
            Deed::Ask("DANCE"),
            Deed::Vanish,
        ];
        let storm = self.dice.percent(10);
        for _ in 0..self.dice.below(if storm { 12 } else { 4 }) {
            let after = self.dice.ms(if storm { 500 } else { 20_000 });
            let deed = pick(&mut self.dice, &DEEDS);
            self.plan(after, Plan::Deed(deed));
        }
    }

    fn do_it(&mut self, deed: Deed) {
        self.story.acted(&format!("the phone: {deed:?}"));
        let (contact, sdp) = (self.contact(), |phone: &Self, direction| phone.sdp(direction, "good"));
        let body = match deed {
            Deed::ReInvite(Some(direction)) => sdp(self, direction),
            Deed::BadOffer => self.sdp("sendrecv", "bad"),
            _ => String::new(),
        };
        let Some(dialog) = &mut self.dialog else { return };
        let method = match deed {
            Deed::Vanish => return self.manner.deaf = true,
            Deed::HangUp => Method::Bye,
            Deed::Update => Method::Update,
            Deed::Ask(name) => name.parse().unwrap(),
            Deed::ReInvite(_) | Deed::BadOffer if dialog.invite_is_open() => return,
            Deed::ReInvite(_) | Deed::BadOffer => Method::Invite,
        };
        let mut request = dialog.request(method.clone());
        if !request.headers.has(&HeaderName::Contact) {
            request.headers.push(HeaderName::Contact, contact);
        }
        if !body.is_empty() {
            request = request.with_body("application/sdp", body);
        }
        if let Deed::Ask("INFO") = deed {
            request = request.with_body("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n");
        }
        let sent_by = self.flow.local.into();
        let key = self.layer.send_request(now(), request.clone(), self.flow, sent_by).unwrap();
        if method == Method::Invite {
            self.reinviting = Some((key, request));
        }
    }

    fn contact(&self) -> NameAddr {
        NameAddr::new(format!("sip:phone@{}", self.flow.local).parse::<Uri>().unwrap())
    }

    /// Media goes to the discard port: nobody listens.
    fn sdp(&self, direction: &str, kind: &str) -> String {
        let version = self.count;
        let format = if kind == "bad" {
            "18\r\na=rtpmap:18 G729/8000"
        } else {
            "0 101\r\na=rtpmap:101 telephone-event/8000"
        };
        match kind {
            "" => String::new(),
            _ => format!(
                "v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio 9 RTP/AVP {format}\r\na={direction}\r\n"
            ),
        }
    }
}
