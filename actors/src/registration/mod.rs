//! A registration: keeps one account bound to one Contact at its registrar.
//!
//! This file is the shell. It turns messages into events, asks `state` what to do, and does it. One Call-ID, one From tag, one Contact
//! user for its whole life, a growing CSeq. Owned by the switchboard, shared by all pages of the account.
//!
//! The Contact is what [`Hop::contact`](crate::sip::Hop) says: `sip.advertised_address`, or the address that reaches the registrar. Where the registrar sees another
//! (`received`, `rport`), the log says so and the Contact stays: a PBX that serves phones behind NAT uses what it sees (RFC 3581, RFC 5626), and one that
//! does not would be told a port that the NAT may change under a call. While registered, keep-alives hold that way open.
mod answer;
pub(crate) mod backoff;
mod messages;
pub(crate) mod state;

use std::time::Instant;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, SpawnHandle, WrapFuture,
};
use sip::auth::{Client, Secret, Tries};
use sip::message::{
    HeaderName, Host, Method, NameAddr, Request, Response, SipUri, random_call_id, random_tag,
};
use tracing::{info, warn};

use crate::sip::{Hop, KeepAlive, Locate, RequestId, SendRequest, SipEvent, Transport};
use crate::vocabulary::{Alive, FieldError};
pub use messages::{RegistrationCommand, RegistrationEvent, RegistrationOrder, RegistrationReport};
use state::{Action, Event, Machine};

/// The actor.
pub struct Registration {
    order: RegistrationOrder,
    address: SipUri,
    next_hop: SipUri,
    /// The outbound proxy, if it is another than the domain. A Service-Route is not for REGISTER (RFC 3608 §6.1).
    route: Vec<SipUri>,
    registrar: SipUri,
    /// The server that the registrar named instead of itself.
    moved_to: Option<SipUri>,
    machine: Machine,
    client: Client,
    tries: Tries,
    hops: Vec<Hop>,
    call_id: String,
    from_tag: String,
    cseq: u32,
    /// The REGISTER that is out, or was last.
    last: Option<(RequestId, Request, Transport)>,
    /// What the registrar said last about the way of further requests.
    service_route: Vec<SipUri>,
    /// What the registrar's realm was when it granted.
    realm: Option<String>,
    timer: Option<SpawnHandle>,
    /// Where the last REGISTER went.
    hop: Option<Hop>,
    /// The next keep-alive.
    keeper: Option<SpawnHandle>,
    /// Whether the log has said that the registrar sees us elsewhere.
    is_natted: bool,
    /// Keeps the actor alive while it un-registers and nobody holds it any more.
    own_address: Option<Addr<Self>>,
    is_counted: bool,
    _alive: Alive,
}

/// Responses and time-outs of one REGISTER, and what its owner says.
const MAILBOX: usize = 16;

impl Registration {
    /// A registration that begins when it is started as an actor.
    ///
    /// # Errors
    /// [`FieldError`] for an account that no URI can be made of.
    pub fn new(order: RegistrationOrder) -> Result<Self, FieldError> {
        let account = &order.account;
        let (address, (next_hop, route)) = (account.address_of_record()?, account.path(&[])?);
        // The domain, with its port where requests go there and not to a proxy (RFC 3261 §10.2).
        let registrar = match &account.outbound_proxy {
            Some(_) => SipUri::new(address.host().clone()),
            None => next_hop.clone(),
        };
        let client = Client::new(&account.auth_name, Secret::new(account.password.reveal()))?;
        let alive = order.meters.alive("registration");
        let machine = Machine::new(order.expires, random_fraction());
        Ok(Self {
            order,
            address,
            next_hop,
            route,
            registrar,
            moved_to: None,
            machine,
            client,
            tries: Tries::default(),
            hops: vec![],
            call_id: random_call_id(),
            from_tag: random_tag(),
            cseq: 0,
            last: None,
            service_route: vec![],
            realm: None,
            timer: None,
            hop: None,
            keeper: None,
            is_natted: false,
            own_address: None,
            is_counted: false,
            _alive: alive,
        })
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        let before = self.machine.state_name();
        for action in self.machine.on(event, now()) {
            self.perform(action, ctx);
        }
        let after = self.machine.state_name();
        if before != after {
            tracing::debug!(account = %self.order.account.address(), before, after, "registration");
        }
        self.arm(ctx);
    }

    fn perform(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::Locate => {
                self.moved_to = None;
                self.locate(self.next_hop.clone(), ctx);
            }
            Action::LocateMoved(to) => {
                info!(account = %self.order.account.address(), %to, "registered elsewhere");
                self.moved_to = Some(to.clone());
                self.locate(to, ctx);
            }
            Action::Send { hop, expires, again } => self.send(hop, expires, again, ctx),
            Action::TellRegistered { expires } => {
                info!(account = %self.order.account.address(), seconds = expires.as_secs(), "registered");
                self.count(true);
                self.arm_keeper(ctx);
                self.tell(RegistrationEvent::Registered);
            }
            Action::TellFailed { info, sip_status, last } => {
                warn!(account = %self.order.account.address(), sip_status, last, %info, "not registered");
                self.count(false);
                self.tell(RegistrationEvent::Failed { info, sip_status, last });
            }
            Action::TellUnregistering => {
                self.count(false);
                self.service_route.clear();
                self.tell(RegistrationEvent::Unregistering);
            }
            Action::Finish => {
                self.tell(RegistrationEvent::Over);
                self.own_address = None;
                ctx.stop();
            }
        }
    }

    fn tell(&self, event: RegistrationEvent) {
        if let Some(owner) = self.order.owner.upgrade() {
            let contact_user = self.order.contact_user.clone();
            owner.do_send(RegistrationReport { contact_user, event }); // bounded by the machine: changes only
        }
    }

    fn locate(&mut self, target: SipUri, ctx: &mut Context<Self>) {
        let located = self.order.locate.send(Locate { target: target.into() });
        let event = located.into_actor(self).map(|located, registration, ctx| {
            let event = match located {
                Ok(Ok(hops)) => {
                    registration.hops = hops;
                    Event::Located(registration.hops.len())
                }
                Ok(Err(error)) => Event::NotLocated(error.to_string()),
                Err(error) => Event::NotLocated(error.to_string()),
            };
            if let Event::NotLocated(_) = event {
                registration.count_failure("dns");
            }
            registration.step(event, ctx);
        });
        ctx.spawn(event);
    }

    fn send(&mut self, hop: usize, expires: u64, again: bool, ctx: &mut Context<Self>) {
        let Some(hop) = self.hops.get(hop).cloned() else { return };
        if !again {
            self.tries = Tries::default();
        }
        let mut request = self.request(&hop, expires);
        self.client.authorize(&mut request);
        let id = RequestId::fresh();
        self.last = Some((id, request.clone(), hop.transport));
        self.hop = Some(hop.clone());
        let owner = ctx.address().downgrade().recipient();
        self.order.send.do_send(SendRequest { id, request, hop, owner }); // one at a time
    }

    fn request(&mut self, hop: &Hop, expires: u64) -> Request {
        self.cseq += 1;
        let checked = "the account's words were checked when the registration was made";
        let address = NameAddr::new(self.address.clone());
        let from = address.clone().with_tag(&self.from_tag).expect("a random tag is a token");
        let registrar = self.moved_to.as_ref().unwrap_or(&self.registrar).clone().into();
        let mut request = Request::new(Method::Register, registrar, from, address, &self.call_id, self.cseq)
            .expect(checked);
        // Where the registrar has sent us we go straight.
        for router in self.route.iter().filter(|_| self.moved_to.is_none()) {
            let mut router = router.clone();
            router.params.set_flag("lr").expect("lr is a token");
            request.headers.push(HeaderName::Route, NameAddr::new(router));
        }
        let mut contact = SipUri::new(hop.contact.host.clone())
            .with_user(&self.order.contact_user)
            .expect("the switchboard makes the Contact's user from letters and digits")
            .with_port(hop.contact.port);
        if hop.transport != Transport::Udp {
            contact = contact.with_transport(hop.transport);
        }
        let mut contact = NameAddr::new(contact);
        contact
            .params
            .set_quoted("+sip.instance", &format!("<{}>", self.order.account.instance()))
            .expect("a UUID can be quoted");
        request.headers.push(HeaderName::Contact, contact);
        // Proxies on the way may ask to be on the way back (RFC 3327); all that is theirs and the registrar's to do.
        request.headers.push(HeaderName::Supported, "path");
        request.headers.push(HeaderName::Expires, u32::try_from(expires).unwrap_or(u32::MAX));
        request
    }

    fn heard(&mut self, event: SipEvent, ctx: &mut Context<Self>) {
        let Some((current, request, transport)) = &self.last else { return };
        let event = match event {
            SipEvent::Response { id, response } if id == *current => {
                let user = &self.order.contact_user;
                let (client, tries) = (&mut self.client, &mut self.tries);
                let answer = answer::read(&response, request, user, *transport, client, tries);
                if let state::Answer::Granted(time) = answer
                    && !time.is_zero()
                {
                    let route = answer::service_route(&response, *transport);
                    self.route_by(route);
                    self.pin_realm();
                    self.notice_nat(&response);
                }
                Event::Answer(answer)
            }
            SipEvent::TimedOut(id) if id == *current => Event::TimedOut,
            SipEvent::TransportFailed(id) if id == *current => Event::TransportFailed,
            SipEvent::TlsFailed { id, why } if id == *current => Event::TlsFailed(why),
            _ => return,
        };
        match &event {
            Event::TimedOut => self.count_failure("timeout"),
            Event::TransportFailed => self.count_failure("transport"),
            Event::TlsFailed(_) => self.count_failure("tls"),
            Event::Answer(state::Answer::GivenUp { code, .. } | state::Answer::Refused { code, .. }) => {
                self.count_failure(&code.to_string());
            }
            _ => {}
        }
        self.step(event, ctx);
    }

    fn route_by(&mut self, route: Vec<SipUri>) {
        if self.service_route != route {
            self.service_route.clone_from(&route);
            self.tell(RegistrationEvent::ServiceRoute(route));
        }
    }

    fn pin_realm(&mut self) {
        let realm = self.client.realm().map(str::to_owned);
        if let Some(realm) = realm.filter(|realm| self.realm.as_ref() != Some(realm)) {
            self.realm = Some(realm.clone());
            self.tell(RegistrationEvent::Realm(realm));
        }
    }

    fn arm_keeper(&mut self, ctx: &mut Context<Self>) {
        if let (Some(every), None) = (self.order.keep_alive, self.keeper) {
            self.keeper = Some(ctx.run_later(every, Self::keep_way_open));
        }
    }

    /// Only while registered: after trouble the next success begins again.
    fn keep_way_open(&mut self, ctx: &mut Context<Self>) {
        self.keeper = None;
        let (Some(every), Some(hop), true) = (self.order.keep_alive, self.hop.clone(), self.is_counted)
        else {
            return;
        };
        let kept = self.order.keep.send(KeepAlive { hop, every }).into_actor(self);
        ctx.spawn(kept.map(|kept, registration, ctx| {
            let event = if kept.unwrap_or(true) { Event::FlowKept } else { Event::FlowLost };
            registration.step(event, ctx);
        }));
        self.arm_keeper(ctx);
    }

    fn notice_nat(&mut self, response: &Response) {
        let (Some(hop), Ok(via)) = (&self.hop, response.headers.top_via()) else { return };
        let Some(received) = via.received().filter(|ip| hop.contact.host != Host::from(*ip)) else { return };
        if !std::mem::replace(&mut self.is_natted, true) {
            let (account, contact) = (self.order.account.address(), &hop.contact);
            info!(%account, %received, %contact, "the registrar sees another address than the Contact's");
        }
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(at) = self.machine.deadline() {
            let wait = at.saturating_duration_since(now());
            self.timer = Some(ctx.run_later(wait, Self::woke));
        }
    }

    fn woke(&mut self, ctx: &mut Context<Self>) {
        let ending = self.own_address.is_some();
        if !ending && self.order.owner.upgrade().is_none() {
            return self.end(ctx); // the switchboard fell without a word
        }
        self.step(Event::Timer, ctx);
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        self.own_address = Some(ctx.address());
        self.step(Event::Stop, ctx);
    }

    fn count(&mut self, registered: bool) {
        match (self.is_counted, registered) {
            (false, true) => self.order.meters.registrations_active.inc(),
            (true, false) => self.order.meters.registrations_active.dec(),
            _ => {}
        }
        self.is_counted = registered;
    }

    fn count_failure(&self, code: &str) {
        self.order.meters.registration_failures_total.with_label_values(&[code]).inc();
    }
}

impl Actor for Registration {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.step(Event::Start, ctx);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.count(false);
        if !self.machine.is_gone() {
            // It fell: its pages must not wait for what it can no longer say.
            let info = "internal error".to_owned();
            self.tell(RegistrationEvent::Failed { info, sip_status: None, last: true });
        }
    }
}

impl Handler<SipEvent> for Registration {
    type Result = ();
    fn handle(&mut self, event: SipEvent, ctx: &mut Self::Context) {
        self.heard(event, ctx);
    }
}

impl Handler<RegistrationCommand> for Registration {
    type Result = ();
    fn handle(&mut self, command: RegistrationCommand, ctx: &mut Self::Context) {
        match command {
            RegistrationCommand::Keep => self.step(Event::Keep, ctx),
            RegistrationCommand::LetGo => self.step(Event::LetGo, ctx),
            RegistrationCommand::Unregister => self.end(ctx),
        }
    }
}

/// The clock of tokio, which tests can turn.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// 0..1, from the operating system's generator.
fn random_fraction() -> f64 {
    let number = getrandom::u32().expect("the operating system's generator does not fail after boot");
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}
