//! The subscription to an account's mailbox (RFC 3842): one SUBSCRIBE, refreshed in its dialog as long as the account is registered.
//!
//! This file is the shell; `state` decides, `summary` reads what a NOTIFY says. It travels as the account's calls do, answers challenges of the
//! account's own hop alone, and is quiet where a PBX has no mailboxes.
mod messages;
mod state;
mod summary;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, SpawnHandle, WrapFuture,
};
use sip::auth::{Client, SentTo, Tries};
use sip::dialog::{Dialog, Ids, Profile};
use sip::message::{
    HeaderName, InvalidField, Method, NameAddr, Request, Response, SipUri, StatusCode, Uri, random_call_id,
    random_tag,
};
use sip::transaction::ServerKey;
use tracing::{debug, info};

use crate::sip::{
    DialogKey, Hop, JoinDialog, LeaveDialog, Locate, RequestId, Respond, SendRequest, SipEvent, Transport,
};
use crate::vocabulary::{Alive, FieldError};
pub use messages::{MailboxEndpoint, MailboxOrder, MailboxReport, StopMailbox};
use state::{Action, Event, Machine};
pub use summary::{PACKAGE, read};

/// The actor.
pub struct Mailbox {
    order: MailboxOrder,
    machine: Machine,
    client: Client,
    tries: Tries,
    address: SipUri,
    /// Names the dialog to the endpoint; a new one for each try.
    key: DialogKey,
    dialog: Option<Dialog>,
    hops: Vec<Hop>,
    /// The account's own hops: who else challenges gets nothing.
    home: Vec<SocketAddr>,
    /// The SUBSCRIBE that is out, or was last.
    last: Option<(RequestId, Request, SocketAddr)>,
    timer: Option<SpawnHandle>,
    /// Keeps the actor alive while it takes its leave.
    own_address: Option<Addr<Self>>,
    _alive: Alive,
}

/// Responses and time-outs of one SUBSCRIBE, and NOTIFYs, which come one by one.
const MAILBOX: usize = 16;

impl Mailbox {
    /// A subscription that begins when it is started as an actor.
    ///
    /// # Errors
    /// [`FieldError`] for an account that no URI can be made of.
    pub fn new(order: MailboxOrder) -> Result<Self, FieldError> {
        let account = &order.way.account;
        let client = Client::new(&account.auth_name, account.password.clone())?;
        let client = client.with_realm(order.way.realm.clone());
        let (address, alive) = (account.address_of_record()?, order.meters.alive("mailbox"));
        let (machine, _) = Machine::begin();
        Ok(Self {
            order,
            machine,
            client,
            tries: Tries::default(),
            address,
            key: fresh_key(),
            dialog: None,
            hops: vec![],
            home: vec![],
            last: None,
            timer: None,
            own_address: None,
            _alive: alive,
        })
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        debug!(account = %self.order.way.account.address(), ?event, "mailbox");
        for action in self.machine.on(event, now()) {
            match action {
                Action::Locate => self.locate(ctx),
                Action::Send { hop, expires, again } => {
                    if let Err(error) = self.send(hop, expires, again, ctx) {
                        info!(account = %self.order.way.account.address(), %error, "no mailbox");
                        return self.finish(ctx);
                    }
                }
                Action::Forget => self.forget(),
                Action::Finish => return self.finish(ctx),
            }
        }
        self.arm(ctx);
    }

    fn locate(&mut self, ctx: &mut Context<Self>) {
        let target = match &self.dialog {
            Some(dialog) => dialog.next_hop().clone(),
            None => self.order.way.next_hop.clone().into(),
        };
        let located = self.order.endpoint.locate.send(Locate { target });
        ctx.spawn(located.into_actor(self).map(|located, mailbox, ctx| {
            mailbox.hops = located.ok().and_then(Result::ok).unwrap_or_default();
            if mailbox.dialog.is_none() {
                mailbox.home = mailbox.hops.iter().map(|hop| hop.remote).collect();
            }
            let event = match mailbox.hops.len() {
                0 => Event::NotLocated,
                hops => Event::Located(hops),
            };
            mailbox.step(event, ctx);
        }));
    }

    fn send(
        &mut self,
        hop: usize,
        expires: Duration,
        again: bool,
        ctx: &mut Context<Self>,
    ) -> Result<(), InvalidField> {
        let Some(hop) = self.hops.get(hop).cloned() else { return Ok(()) };
        if !again {
            self.tries = Tries::default();
        }
        let mut request = match (&mut self.dialog, &self.last) {
            (Some(dialog), _) => dialog.request(Method::Subscribe),
            (None, Some((_, last, _))) if last.headers.call_id().ok() == Some(&*self.key.call_id) => {
                last.again()
            }
            (None, _) => self.first(&hop)?,
        };
        request.headers.set(HeaderName::Event, PACKAGE);
        request.headers.set(HeaderName::Accept, summary::MEDIA_TYPE);
        request.headers.set(HeaderName::Expires, u32::try_from(expires.as_secs()).unwrap_or(u32::MAX));
        if self.home.contains(&hop.remote) {
            self.client.authorize(&mut request);
        }
        let id = RequestId::fresh();
        self.last = Some((id, request.clone(), hop.remote));
        let owner = ctx.address().downgrade().recipient();
        if self.dialog.is_none() {
            // A NOTIFY may come before the response (RFC 6665 §4.4.1).
            let join = JoinDialog { dialog: self.key.clone(), owner: owner.clone(), invite: None };
            self.order.endpoint.join.do_send(join);
        }
        self.order.endpoint.send.do_send(SendRequest { id, request, hop, owner }); // one at a time
        Ok(())
    }

    /// The SUBSCRIBE that makes the dialog.
    fn first(&self, hop: &Hop) -> Result<Request, InvalidField> {
        let contact = SipUri::new(hop.contact.host.clone())
            .with_user(&self.order.contact_user)?
            .with_port(hop.contact.port);
        let contact = match hop.transport {
            Transport::Udp => contact,
            other => contact.with_transport(other),
        };
        let profile = Profile {
            address: self.address.clone(),
            display_name: None,
            contact: NameAddr::new(contact),
            route: self.order.way.route.clone(),
            user_agent: self.order.user_agent.clone(),
            methods: vec![],
            extensions: vec![],
        };
        let ids = Ids { call_id: self.key.call_id.clone(), tag: self.key.local_tag.clone(), cseq: 1 };
        profile.subscribe(&Uri::from(self.address.clone()), &ids)
    }

    fn answered(&mut self, response: &Response, ctx: &mut Context<Self>) {
        let Some((_, request, remote)) = &self.last else { return };
        let sent_to = if self.home.contains(remote) { SentTo::Home } else { SentTo::Elsewhere };
        let seconds = |value: Option<u32>| value.map(|value| Duration::from_secs(value.into()));
        let event = match response.code.as_u16() {
            100..=199 => return,
            200..=299 => {
                let dialog = match &mut self.dialog {
                    Some(dialog) => dialog.concluded(&Method::Subscribe, Some(response)),
                    none => Dialog::uac(request, response).map(|dialog| *none = Some(dialog)),
                };
                match dialog {
                    Ok(()) => {
                        let granted = seconds(response.headers.expires().ok().flatten());
                        Event::Accepted(granted.unwrap_or(state::ASKED))
                    }
                    Err(_) => Event::Refused,
                }
            }
            401 | 407 => match self.client.challenged(&mut self.tries, request, response, sent_to) {
                Ok(()) => Event::Challenged,
                Err(_) => Event::Refused,
            },
            423 => {
                Event::TooBrief(seconds(response.headers.min_expires().ok().flatten()).unwrap_or_default())
            }
            481 => Event::Gone,
            408 | 480 | 500..=599 => {
                Event::Unanswered(seconds(response.headers.retry_after().ok().flatten()))
            }
            code => {
                info!(account = %self.order.way.account.address(), code, "the PBX has no mailbox");
                Event::Refused
            }
        };
        self.step(event, ctx);
    }

    /// A NOTIFY in the dialog, or another request there.
    fn asked(&mut self, key: ServerKey, request: &Request, ctx: &mut Context<Self>) {
        let checked = self.dialog.as_mut().map_or(Ok(()), |dialog| dialog.receive(request));
        let (answer, mail) = match (checked, &request.method) {
            (Err(error), _) => (request.stateless_response(error.status()), None),
            (Ok(()), Method::Notify) if !summary::is_summary(request) => {
                (request.stateless_response(StatusCode::BAD_EVENT), None)
            }
            // The first may be empty: the PBX does not know yet.
            (Ok(()), Method::Notify) if request.body.is_empty() => {
                (request.stateless_response(StatusCode::OK), None)
            }
            (Ok(()), Method::Notify) => match read(request) {
                Ok(mail) => (request.stateless_response(StatusCode::OK), Some(mail)),
                Err(refusal) => (refusal, None),
            },
            (Ok(()), _) => (request.stateless_response(StatusCode::METHOD_NOT_ALLOWED), None),
        };
        let is_taken = answer.code.is_success();
        self.order.endpoint.respond.do_send(Respond { key, response: answer });
        if let (Some(mail), Some(owner)) = (mail, self.order.owner.upgrade()) {
            let contact_user = self.order.contact_user.clone();
            owner.do_send(MailboxReport { contact_user, mail }); // as many as fit a mailbox of ours
        }
        if let Some(after) = summary::terminated(request).filter(|_| is_taken) {
            self.step(Event::Terminated(after), ctx);
        }
    }

    fn forget(&mut self) {
        self.order.endpoint.leave.do_send(LeaveDialog(self.key.clone()));
        (self.dialog, self.last, self.key) = (None, None, fresh_key());
    }

    fn finish(&mut self, ctx: &mut Context<Self>) {
        self.forget();
        self.own_address = None;
        ctx.stop();
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = self.machine.deadline().map(|at| {
            ctx.run_later(at.saturating_duration_since(now()), |mailbox, ctx| mailbox.step(Event::Timer, ctx))
        });
    }
}

impl Actor for Mailbox {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.locate(ctx);
    }
}

impl Handler<SipEvent> for Mailbox {
    type Result = ();
    fn handle(&mut self, event: SipEvent, ctx: &mut Self::Context) {
        let current = self.last.as_ref().map(|(id, ..)| *id);
        let mine = |id| Some(id) == current;
        match event {
            SipEvent::Response { id, response } if mine(id) => self.answered(&response, ctx),
            SipEvent::TimedOut(id) | SipEvent::TransportFailed(id) | SipEvent::TlsFailed { id, .. }
                if mine(id) =>
            {
                self.step(Event::Unanswered(None), ctx);
            }
            SipEvent::Request { key, request } => self.asked(key, &request, ctx),
            _ => {}
        }
    }
}

impl Handler<StopMailbox> for Mailbox {
    type Result = ();
    fn handle(&mut self, StopMailbox: StopMailbox, ctx: &mut Self::Context) {
        self.own_address = Some(ctx.address());
        self.step(Event::Stop, ctx);
    }
}

fn fresh_key() -> DialogKey {
    DialogKey { call_id: random_call_id(), local_tag: random_tag() }
}

/// The clock of tokio, which tests can turn.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
