//! Our requests: the INVITE and its retries, requests inside the dialog, and what is answered to them.
//!
//! Requests inside the dialog go where its route set says, which may need a look-up: until that is done they wait in
//! order in the outbox.
use actix::fut::WrapFuture;
use actix::{ActorFutureExt, AsyncContext, Context};
use sip::auth::SentTo;
use sip::dialog::Provisional;
use sip::message::{HeaderName, Method, Request, Response, SipUri, StatusCode, Uri};
use tracing::{info, warn};

use super::signalling::Heard;
use super::state::{Change, Event, State};
use super::{Dialog, LIMIT};
use crate::sip::{CancelRequest, DialogKey, Hop, JoinDialog, Locate, RequestId, SendAck, SendRequest};
use crate::vocabulary::{Cause, EndReason};

/// A message that goes where the dialog's route set says.
pub(super) enum Outbound {
    Ack(Request),
    Request(Purpose, Request),
}

impl Outbound {
    /// Where it goes, by its own headers: several early dialogs have several routes (RFC 3261 §8.1.2).
    fn next_hop(&self) -> Uri {
        let (Self::Ack(request) | Self::Request(_, request)) = self;
        let first = request.headers.routes().ok().and_then(|routes| routes.into_iter().next());
        first
            .map(|route| route.uri)
            .filter(|uri| uri.as_sip().is_some_and(SipUri::is_loose_router))
            .unwrap_or_else(|| request.uri.clone())
    }

    fn without_credentials(mut self) -> Self {
        let (Self::Ack(request) | Self::Request(_, request)) = &mut self;
        for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
            request.headers.remove(&name);
        }
        self
    }
}

/// What a request of ours was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Invite,
    Reinvite,
    /// A refresh.
    Update,
    /// The acknowledgement of a reliable provisional response.
    Prack,
    Bye,
    /// A digit.
    Info,
    /// A key frame.
    KeyFrame,
    /// A transfer of the far end.
    Refer,
    /// How the transfer fares that the far end asked for.
    Notify,
    /// The BYE of a fork that lost.
    Aside,
}

/// Messages that wait for a look-up: an ACK, a BYE, a re-INVITE, a fork's ACK and BYE.
const MAX_OUTBOX: usize = 16;

impl Dialog {
    pub(super) fn locate_first(&mut self, ctx: &mut Context<Self>) {
        let Some(target) = self.first_hop.clone() else { return };
        let located = self.sip.endpoint.send(Locate { target });
        ctx.spawn(located.into_actor(self).map(|found, dialog, ctx| match found {
            Ok(Ok(hops)) if !hops.is_empty() => {
                let address = hops[0].local_ip;
                dialog.hops = hops;
                match dialog.bind_media(address, ctx) {
                    Ok(()) => dialog.step(Event::Located, ctx),
                    Err(why) => dialog.step(Event::Rejected(why), ctx),
                }
            }
            Ok(Ok(_)) => dialog.step(Event::Rejected(unreachable("no address")), ctx),
            Ok(Err(error)) => dialog.step(Event::Rejected(unreachable(&error.to_string())), ctx),
            Err(_) => dialog.step(Event::Rejected(unreachable("the SIP endpoint is busy")), ctx),
        }));
    }

    pub(super) fn send_invite(&mut self, ctx: &mut Context<Self>) {
        let (Some(hop), Some(signalling)) = (self.hops.get(self.hop).cloned(), &mut self.signalling) else {
            return;
        };
        match signalling.invite(&hop) {
            Ok(request) => {
                self.join(&request, ctx);
                self.send(Purpose::Invite, request, hop, ctx);
            }
            Err(error) => {
                let why = EndReason::new(None, Cause::BadRequest).with_detail(error.to_string());
                self.step(Event::Rejected(why), ctx);
            }
        }
    }

    pub(super) fn send_reinvite(&mut self, change: Change, ctx: &mut Context<Self>) {
        match self.signalling.as_mut().and_then(|signalling| signalling.reinvite(change)) {
            Some(request) => self.send_inside(Outbound::Request(Purpose::Reinvite, request), ctx),
            None => self.step(Event::ChangeRefused(EndReason::from_sip(self.far, 491, "")), ctx),
        }
    }

    fn send(&mut self, purpose: Purpose, request: Request, hop: Hop, ctx: &mut Context<Self>) {
        let id = RequestId::fresh();
        if purpose == Purpose::Reinvite {
            self.waiting.retain(|(_, earlier)| *earlier != Purpose::Reinvite);
            // A far side that said 100 and no more: no timer of the transaction's ends that (RFC 3261 §17.1.1.2).
            ctx.run_later(LIMIT, move |dialog, _| dialog.take_back(id));
        }
        self.waiting.push((id, purpose));
        let owner = ctx.address().downgrade().recipient();
        self.sip.endpoint.do_send(SendRequest { id, request, hop, owner });
    }

    /// Takes back a re-INVITE that waits still: its transaction ends by 487, or 64·T1 after the CANCEL.
    fn take_back(&self, id: RequestId) {
        if self.waiting.contains(&(id, Purpose::Reinvite)) {
            self.sip.endpoint.do_send(CancelRequest { id, reason: None });
        }
    }

    /// Nobody will hear of our re-INVITE any more.
    pub(super) fn abandon_reinvite(&self) {
        for (id, _) in &self.waiting {
            self.take_back(*id);
        }
    }

    /// Sends where the route set says, after those that wait already.
    pub(super) fn send_inside(&mut self, message: Outbound, ctx: &mut Context<Self>) {
        if self.outbox.len() < MAX_OUTBOX {
            self.outbox.push_back(message);
        }
        self.flush(ctx);
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.locating || self.outbox.is_empty() {
            return;
        }
        let Some(target) = self.outbox.front().map(Outbound::next_hop) else { return };
        if let Some((known, hop)) = &self.route
            && *known == target
        {
            let hop = hop.clone();
            // A phone that is reached past the account's servers gets no hash to guess the password from.
            let home = self.hops.iter().any(|known| known.remote == hop.remote);
            while self.outbox.front().is_some_and(|message| message.next_hop() == target) {
                let Some(message) = self.outbox.pop_front() else { break };
                match if home { message } else { message.without_credentials() } {
                    Outbound::Ack(request) => {
                        self.sip.endpoint.do_send(SendAck { request, hop: hop.clone() })
                    }
                    Outbound::Request(purpose, request) => self.send(purpose, request, hop.clone(), ctx),
                }
            }
            return self.flush(ctx);
        }
        self.locating = true;
        let located = self.sip.endpoint.send(Locate { target: target.clone() });
        ctx.spawn(located.into_actor(self).map(|found, dialog, ctx| {
            dialog.locating = false;
            match found {
                Ok(Ok(hops)) if !hops.is_empty() => {
                    let hop = hops.into_iter().next().map(|hop| hop.as_known(&dialog.hops, dialog.came_by));
                    dialog.route = hop.map(|hop| (target, hop));
                    dialog.flush(ctx);
                }
                other => {
                    warn!(call_id = %dialog.call_id, ?other, "the far end's route leads nowhere");
                    dialog.outbox_failed(ctx);
                }
            }
        }));
    }

    fn outbox_failed(&mut self, ctx: &mut Context<Self>) {
        for message in std::mem::take(&mut self.outbox) {
            match message {
                Outbound::Request(Purpose::Bye, _) => self.step(Event::ByeDone, ctx),
                Outbound::Request(Purpose::Reinvite, _) => self.reinvite_failed(unreachable("route"), ctx),
                Outbound::Request(Purpose::Update, _) => {
                    self.step(Event::Rejected(unreachable("route")), ctx);
                }
                Outbound::Request(Purpose::Info, _) => self.info_concluded(None, ctx),
                Outbound::Request(Purpose::KeyFrame, _) => self.key_frame_info_concluded(None),
                Outbound::Request(Purpose::Notify, _) => self.notify_concluded(false, ctx),
                Outbound::Request(Purpose::Refer, _) => self.refer_failed(unreachable("route"), ctx),
                Outbound::Ack(_) => self.step(Event::RouteLost(unreachable("route")), ctx),
                Outbound::Request(..) => {}
            }
        }
    }

    /// From now on, requests inside the dialog come to us.
    fn join(&mut self, request: &Request, ctx: &mut Context<Self>) {
        if self.key.is_some() {
            return;
        }
        let (Ok(call_id), Ok(from)) = (request.headers.call_id(), request.headers.from()) else { return };
        let local_tag = from.tag().unwrap_or_default().to_owned();
        let dialog = DialogKey { call_id: call_id.to_owned(), local_tag };
        let owner = ctx.address().downgrade().recipient();
        self.sip.endpoint.do_send(JoinDialog { dialog: dialog.clone(), owner, invite: None });
        self.key = Some(dialog);
    }

    pub(super) fn answered(&mut self, id: RequestId, response: &Response, ctx: &mut Context<Self>) {
        let Some(purpose) = self.purpose(id, Some(response.code)) else { return };
        if purpose == Purpose::Invite {
            self.look_at_software(&response.headers);
        }
        let sent_to = self.sent_to();
        let Some(signalling) = &mut self.signalling else { return };
        let provisional = signalling.provisional(purpose == Purpose::Invite, response);
        if provisional == Provisional::Again {
            return;
        }
        let heard = match purpose {
            Purpose::Invite => signalling.invite_answered(response),
            Purpose::Reinvite if response.code.is_final() => signalling.reinvite_answered(response, sent_to),
            Purpose::Update if response.code.is_final() => return self.update_answered(response, ctx),
            Purpose::Bye if response.code.is_final() => return self.step(Event::ByeDone, ctx),
            Purpose::Info if response.code.is_final() => {
                return self.info_concluded(Some(response.code), ctx);
            }
            Purpose::KeyFrame if response.code.is_final() => {
                return self.key_frame_info_concluded(Some(response.code));
            }
            Purpose::Notify if response.code.is_final() => {
                return self.notify_concluded(response.code.is_success(), ctx);
            }
            Purpose::Refer if response.code.is_final() => {
                return self.refer_answered(response, sent_to, ctx);
            }
            _ => return,
        };
        if let Provisional::Fresh(rack) = provisional
            && let Some(prack) = signalling.prack(response, rack)
        {
            self.send_inside(Outbound::Request(Purpose::Prack, prack), ctx);
        }
        if matches!(heard.event, Some(Event::Accepted)) {
            self.session_granted(response, ctx);
        }
        self.hear(heard, ctx);
    }

    /// Whether requests inside the dialog go to a hop that the account itself named: only such a one may ask for credentials.
    fn sent_to(&self) -> SentTo {
        let home = |hop: &Hop| self.hops.iter().any(|known| known.remote == hop.remote);
        if self.route.as_ref().is_some_and(|(_, hop)| home(hop)) { SentTo::Home } else { SentTo::Elsewhere }
    }

    fn hear(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        let Heard { event, agreed, lost, ack_again, next_hop } = heard;
        if let Some(agreed) = agreed {
            self.follow(&agreed, ctx);
        }
        if let Some(mut lost) = lost {
            self.say_goodbye_to_fork(&mut lost, ctx);
        }
        if let Some(ack) = ack_again {
            self.send_inside(Outbound::Ack(*ack), ctx);
        }
        match event {
            Some(Event::Rejected(_)) if next_hop && self.try_next_hop(ctx) => {}
            Some(event) => self.step(event, ctx),
            None => {}
        }
    }

    pub(super) fn failed(&mut self, id: RequestId, why: EndReason, ctx: &mut Context<Self>) {
        let Some(purpose) = self.purpose(id, None) else { return };
        let code = if why.cause == Cause::SignallingTimeout { 408 } else { 503 };
        let why = EndReason { sip_code: Some(code), ..why };
        match purpose {
            Purpose::Invite if self.state == State::Inviting && self.try_next_hop(ctx) => {}
            Purpose::Invite => self.step(Event::Rejected(why), ctx),
            Purpose::Reinvite => self.reinvite_failed(why, ctx),
            Purpose::Update => self.step(Event::Rejected(why), ctx),
            Purpose::Bye => self.step(Event::ByeDone, ctx),
            Purpose::Info => self.info_concluded(None, ctx),
            Purpose::KeyFrame => self.key_frame_info_concluded(None),
            Purpose::Refer => self.refer_failed(why, ctx),
            Purpose::Notify => self.notify_concluded(false, ctx),
            // The far side repeats its response until a PRACK comes through, and gives up by itself.
            Purpose::Prack | Purpose::Aside => {}
        }
    }

    fn reinvite_failed(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        if let Some(signalling) = &mut self.signalling {
            signalling.reinvite_failed();
        }
        self.step(Event::Rejected(why), ctx);
    }

    /// Takes the next of several targets (RFC 3263 §4.3). False: there is none.
    fn try_next_hop(&mut self, ctx: &mut Context<Self>) -> bool {
        if self.state != State::Inviting || self.hop + 1 >= self.hops.len() {
            return false;
        }
        self.hop += 1;
        info!(call_id = %self.call_id, hop = %self.hops[self.hop].remote, "next SIP target");
        if let Some(signalling) = &mut self.signalling {
            signalling.try_next_hop();
        }
        self.step(Event::TryAgain, ctx);
        true
    }

    /// A fork that answered too late: it is acknowledged and ended (RFC 3261 §13.2.2.4).
    fn say_goodbye_to_fork(&mut self, fork: &mut sip::dialog::Dialog, ctx: &mut Context<Self>) {
        let ack = self.signalling.as_mut().and_then(|signalling| signalling.ack_of(fork));
        let (Some(hop), Some(ack)) = (self.hops.get(self.hop).cloned(), ack) else { return };
        self.sip.endpoint.do_send(SendAck { request: ack, hop: hop.clone() });
        let bye = fork.request(Method::Bye);
        self.send(Purpose::Aside, bye, hop, ctx);
    }

    /// What a request was for; one whose last response this was (`None`: it will never have one) is forgotten.
    fn purpose(&mut self, id: RequestId, code: Option<StatusCode>) -> Option<Purpose> {
        let index = self.waiting.iter().position(|(waiting, _)| *waiting == id)?;
        let purpose = self.waiting[index].1;
        // An accepted INVITE may bring further 2xx: from other forks, or again, when the ACK was lost. It stays until the dialog ends,
        // a re-INVITE until the next.
        let accepts = matches!(purpose, Purpose::Invite | Purpose::Reinvite);
        let goes_on = code.is_some_and(|code| code.is_provisional() || (accepts && code.is_success()));
        if !goes_on {
            self.waiting.swap_remove(index);
        }
        Some(purpose)
    }
}

fn unreachable(detail: &str) -> EndReason {
    EndReason { sip_code: Some(503), ..EndReason::new(None, Cause::Unreachable) }.with_detail(detail)
}
