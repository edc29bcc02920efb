//! A courier: delivers one text message of a page by MESSAGE (RFC 3428), then is gone.
//!
//! This file is the shell; `state` decides. A MESSAGE goes where the account's calls go, answers the challenges of that hop alone, and has
//! no Contact, for it makes no dialog.
mod messages;
mod state;

use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use sip::auth::{Client, SentTo, Tries};
use sip::dialog::{Ids, MessageParams, Profile};
use sip::message::{NameAddr, Request, Response};
use tracing::debug;

use crate::sip::{Hop, Locate, RequestId, SendRequest, SipEvent};
use crate::vocabulary::{Alive, FieldError, Way};
pub use messages::{CourierEvent, CourierOrder};
pub use state::Outcome;
use state::{Action, Event, State};

/// The actor.
pub struct Courier {
    order: CourierOrder,
    state: State,
    client: Client,
    tries: Tries,
    /// The message, as it was sent last.
    request: Request,
    current: Option<RequestId>,
    hops: Vec<Hop>,
    /// Keeps the mailbox open until the last word: nobody holds a courier.
    own_address: Option<Addr<Self>>,
    _alive: Alive,
}

/// Longest MESSAGE in bytes: nobody knows whether every hop behind the first one is free of datagrams (RFC 3428 §8).
pub const MAX_MESSAGE: usize = 1300;
/// Room for the Via that the endpoint adds.
const VIA: usize = 120;
/// Responses and failures of one request.
const MAILBOX: usize = 16;

impl Courier {
    /// A courier that has not set out.
    ///
    /// # Errors
    /// The field that cannot be sent.
    pub fn new(order: CourierOrder) -> Result<Self, FieldError> {
        let Way { account, realm, route, .. } = &order.way;
        let address = account.address_of_record()?;
        let profile = Profile {
            contact: NameAddr::new(address.clone()),
            address,
            display_name: order.display_name.clone(),
            route: route.clone(),
            user_agent: order.user_agent.clone(),
            methods: vec![],
            extensions: vec![],
        };
        let params = MessageParams { to: &order.target, text: &order.body, ids: &Ids::random() };
        let request = profile.message(&params)?;
        let client = Client::new(&account.auth_name, account.password.clone())?.with_realm(realm.clone());
        let alive = order.meters.alive("courier");
        Ok(Self {
            order,
            state: State::Locating,
            client,
            tries: Tries::default(),
            request,
            current: None,
            hops: vec![],
            own_address: None,
            _alive: alive,
        })
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        debug!(id = %self.order.id, ?event, "text message");
        for action in self.state.on(event) {
            match action {
                Action::Send(hop) => {
                    if let Err(info) = self.send(hop, ctx) {
                        return self.step(Event::Unsendable(info), ctx);
                    }
                }
                Action::Tell(outcome) => self.tell(outcome),
                Action::Finish => {
                    self.own_address = None;
                    ctx.stop();
                }
            }
        }
    }

    fn tell(&self, outcome: Outcome) {
        if let Some(owner) = self.order.owner.upgrade() {
            owner.do_send(CourierEvent { id: self.order.id.clone(), outcome }); // twice at most
        }
    }

    fn locate(&mut self, ctx: &mut Context<Self>) {
        let located = self.order.locate.send(Locate { target: self.order.way.next_hop.clone().into() });
        ctx.spawn(located.into_actor(self).map(|located, courier, ctx| {
            let event = match located {
                Ok(Ok(hops)) => {
                    courier.hops = hops;
                    Event::Located(courier.hops.len())
                }
                Ok(Err(error)) => Event::NotLocated(error.to_string()),
                Err(error) => Event::NotLocated(error.to_string()),
            };
            courier.step(event, ctx);
        }));
    }

    fn send(&mut self, hop: usize, ctx: &mut Context<Self>) -> Result<(), String> {
        let hop = self.hops.get(hop).cloned().ok_or("no address")?;
        let mut request = if self.current.is_some() { self.request.again() } else { self.request.clone() };
        self.client.authorize(&mut request);
        let size = request.to_bytes().len() + VIA;
        self.request = request.clone();
        if size > MAX_MESSAGE {
            return Err(format!("body: too long, the message would have {size} bytes of {MAX_MESSAGE}"));
        }
        let id = RequestId::fresh();
        self.current = Some(id);
        let owner = ctx.address().downgrade().recipient();
        self.order.send.do_send(SendRequest { id, request, hop, owner }); // one at a time
        Ok(())
    }

    fn answered(&mut self, response: &Response, ctx: &mut Context<Self>) {
        let code = response.code.as_u16();
        let event = match code {
            100..=199 => return,
            200..=299 => Event::Accepted,
            401 | 407 => {
                match self.client.challenged(&mut self.tries, &self.request, response, SentTo::Home) {
                    Ok(()) => Event::Challenged,
                    Err(why) => Event::Refused(code, why.to_string()),
                }
            }
            _ => {
                let phrase = response.reason();
                Event::Refused(
                    code,
                    if phrase.is_empty() { response.code.reason() } else { phrase }.to_owned(),
                )
            }
        };
        self.step(event, ctx);
    }
}

impl Actor for Courier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.own_address = Some(ctx.address());
        self.locate(ctx);
    }
}

impl Handler<SipEvent> for Courier {
    type Result = ();
    fn handle(&mut self, event: SipEvent, ctx: &mut Self::Context) {
        let mine = |id| Some(id) == self.current;
        match event {
            SipEvent::Response { id, response } if mine(id) => self.answered(&response, ctx),
            SipEvent::TimedOut(id) if mine(id) => {
                self.step(Event::Unanswered(408, "nobody answers".to_owned()), ctx);
            }
            SipEvent::TransportFailed(id) if mine(id) => {
                self.step(Event::Unanswered(503, "the next hop cannot be reached".to_owned()), ctx);
            }
            SipEvent::TlsFailed { id, why } if mine(id) => self.step(Event::Unanswered(503, why), ctx),
            _ => {}
        }
    }
}
