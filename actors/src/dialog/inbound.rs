//! The far end's requests: the INVITE that began the dialog, and those inside it.
use actix::{AsyncContext, Context};
use sip::dialog::{AckStep, AckWait, SessionTimer};
use sip::message::{HeaderName, Method, Request, Response, StatusCode};
use sip::transaction::ServerKey;
use tracing::info;

use super::messages::{IncomingInvite, OutgoingInvite};
use super::signalling::Signalling;
use super::state::Event;
use super::{Dialog, T1, T2, now, reasons};
use crate::sip::{DialogKey, JoinDialog, Respond};
use crate::vocabulary::{Cause, EndReason};

impl Dialog {
    /// A call of ours: remember what it is to be; it is dialled by command.
    pub(super) fn begin_call(&mut self, order: Box<OutgoingInvite>, ctx: &mut Context<Self>) {
        self.first_hop = Some(order.next_hop.clone().into());
        match Signalling::caller(order, self.far, &self.sip.settings.sip) {
            Ok(signalling) => self.signalling = Some(signalling),
            Err(error) => {
                let why = EndReason::new(None, Cause::BadRequest).with_detail(error.to_string());
                self.step(Event::Dial, ctx);
                self.step(Event::Rejected(why), ctx);
            }
        }
    }

    /// A call to us: look at the offer at once, so that one that cannot be answered never rings.
    pub(super) fn begin_called(&mut self, order: Box<IncomingInvite>, ctx: &mut Context<Self>) {
        let (key, hop, invite) = (order.key, order.hop.clone(), order.request.clone());
        self.invite_key = Some(key);
        self.came_by = hop.flow;
        self.look_at_software(&invite.headers);
        match Signalling::called(order, self.far, &self.sip.settings.sip) {
            Ok(signalling) => self.signalling = Some(signalling),
            Err(code) => {
                self.sip.endpoint.do_send(Respond { key, response: invite.stateless_response(code) });
                self.invite_key = None;
                let why = EndReason::new(Some(self.far), Cause::BadDescription)
                    .with_detail("INVITE without Contact");
                return self.step(Event::AnswerFailed(why), ctx);
            }
        }
        self.join_as_callee(key, ctx);
        if SessionTimer::too_small(&invite) {
            let why = EndReason { sip_code: Some(422), ..EndReason::new(Some(self.far), Cause::Refused) };
            return self.step(Event::AnswerFailed(why.with_detail("session interval below 90 s")), ctx);
        }
        if let Err(why) = self.bind_media(hop.local_ip, ctx) {
            return self.step(Event::AnswerFailed(why), ctx);
        }
        let Some(signalling) = self.signalling.as_mut().filter(|_| !invite.body.is_empty()) else { return };
        let usable = match signalling.take_offer(&invite.body) {
            Ok(()) => signalling.check_offer(),
            Err((code, why)) => Err(EndReason { sip_code: Some(code.as_u16()), ..why }),
        };
        if let Err(why) = usable {
            self.step(Event::AnswerFailed(why), ctx);
        }
    }

    fn join_as_callee(&mut self, invite: ServerKey, ctx: &mut Context<Self>) {
        let Some(dialog) = self.signalling.as_mut().and_then(Signalling::dialog) else { return };
        let id = dialog.id();
        let dialog = DialogKey { call_id: id.call_id.clone(), local_tag: id.local_tag.clone() };
        let owner = ctx.address().downgrade().recipient();
        self.sip.endpoint.do_send(JoinDialog { dialog: dialog.clone(), owner, invite: Some(invite) });
        self.key = Some(dialog);
    }

    /// The call is answered: as callee we say 200, if our SDP can be made.
    pub(super) fn answer(&mut self, ctx: &mut Context<Self>) {
        if self.state != super::State::Invited {
            return;
        }
        let Some(signalling) = &mut self.signalling else { return };
        match signalling.describe() {
            Ok((sdp, agreed)) => {
                self.description = Some(sdp);
                if let Some(agreed) = agreed {
                    self.follow(&agreed, ctx);
                }
                self.step(Event::Answer, ctx);
            }
            Err(why) => self.step(Event::AnswerFailed(why), ctx),
        }
    }

    /// Sends the 200 to the first INVITE, and again until its ACK comes.
    pub(super) fn accept_invite(&mut self, ctx: &mut Context<Self>) {
        self.stop_ringing();
        let (Some(key), Some(sdp), Some(signalling)) =
            (self.invite_key.take(), self.description.take(), &mut self.signalling)
        else {
            return;
        };
        let Some(invite) = signalling.incoming_invite().cloned() else { return };
        let mut response = signalling.accept(&invite, sdp);
        if let Some(dialog) = signalling.dialog() {
            dialog.answered(StatusCode::OK);
        }
        self.grant_session(&invite, &mut response, ctx);
        self.send_200(key, &invite, response, ctx);
    }

    /// A response to the first INVITE that is no 200.
    pub(super) fn respond_to_invite(&mut self, code: StatusCode) {
        if code.is_final() {
            self.stop_ringing();
        }
        let (Some(key), Some(signalling)) = (self.invite_key, &mut self.signalling) else { return };
        let Some(invite) = signalling.incoming_invite().cloned() else { return };
        let response = signalling.respond(&invite, code);
        if code.is_final() {
            self.invite_key = None;
            if let Some(dialog) = signalling.dialog() {
                dialog.answered(code);
            }
        }
        self.sip.endpoint.do_send(Respond { key, response });
    }

    fn send_200(&mut self, key: ServerKey, invite: &Request, response: Response, ctx: &mut Context<Self>) {
        let number = invite.headers.cseq().map_or(0, |cseq| cseq.number);
        self.ack_answers = self.signalling.as_ref().is_some_and(Signalling::awaits_answer);
        self.ack_wait = Some((key, AckWait::new(response.clone(), number, T1, T2, now())));
        self.sip.endpoint.do_send(Respond { key, response });
        self.arm_ack_timer(ctx);
    }

    fn arm_ack_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.ack_timer.take() {
            ctx.cancel_future(timer);
        }
        let deadline = self.ack_wait.as_ref().and_then(|(_, wait)| wait.deadline());
        self.ack_timer = deadline.map(|at| {
            ctx.run_later(at.saturating_duration_since(now()), |dialog, ctx| dialog.ack_is_late(ctx))
        });
    }

    fn ack_is_late(&mut self, ctx: &mut Context<Self>) {
        self.ack_timer = None;
        let Some((key, wait)) = &mut self.ack_wait else { return };
        match wait.on_deadline(now()) {
            AckStep::Send(response) => self.sip.endpoint.do_send(Respond { key: *key, response }),
            AckStep::GiveUp => {
                self.ack_wait = None;
                return self.step(Event::AckMissing, ctx);
            }
            AckStep::Wait => {}
        }
        self.arm_ack_timer(ctx);
    }

    /// An ACK: for our 200, perhaps with the answer to the offer that it carried.
    pub(super) fn acknowledged(&mut self, ack: &Request, ctx: &mut Context<Self>) {
        let Some((_, wait)) = &mut self.ack_wait else { return };
        if !wait.on_ack(ack) {
            return;
        }
        self.ack_wait = None;
        let Some(signalling) = &mut self.signalling else { return };
        // Not by what waits now: a re-INVITE of ours may have gone out meanwhile.
        if std::mem::take(&mut self.ack_answers) {
            let answer = signalling.take_answer(&ack.body).and_then(|agreed| {
                let missing = || EndReason::new(Some(self.far), Cause::BadDescription);
                agreed.ok_or_else(|| missing().with_detail("ACK without SDP"))
            });
            match answer {
                Ok(agreed) => self.follow(&agreed, ctx),
                Err(why) => {
                    // A re-INVITE that leads to nothing leaves the call as it was, and open for the next.
                    signalling.drop_offer();
                    return self.step(Event::AnswerFailed(why), ctx);
                }
            }
        }
        self.step(Event::Acked, ctx);
    }

    /// A request inside the dialog.
    pub(super) fn request(&mut self, key: ServerKey, request: &Request, ctx: &mut Context<Self>) {
        // A fork that lost shares our tag and Call-ID: its BYE is not the winner's (RFC 3261 §12.2.2).
        let from = request.headers.from().ok();
        let tag = from.as_ref().and_then(|from| from.tag()).unwrap_or_default();
        let Some(dialog) = self.signalling.as_mut().and_then(|signalling| signalling.dialog_with(tag)) else {
            return self.refuse(key, request, StatusCode::CALL_DOES_NOT_EXIST);
        };
        if !dialog.is_confirmed() && request.method == Method::Bye && self.first_hop.is_some() {
            // Who is called refuses by a final response (RFC 3261 §15).
            return self.refuse(key, request, StatusCode::CALL_DOES_NOT_EXIST);
        }
        if let Err(error) = dialog.receive(request) {
            return self.refuse(key, request, error.status());
        }
        match request.method {
            Method::Bye => {
                self.refuse(key, request, StatusCode::OK);
                self.their_reason = reasons::theirs(request);
                self.step(Event::ByeReceived, ctx);
            }
            Method::Invite | Method::Update => self.offered(key, request, ctx),
            Method::Prack => self.acknowledged_ringing(key, request),
            Method::Info => self.informed(key, request, ctx),
            Method::Notify => self.notified(key, request, ctx),
            Method::Refer => self.referred(key, request, ctx),
            Method::Options => self.refuse(key, request, StatusCode::OK),
            _ => self.refuse(key, request, StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// A re-INVITE or UPDATE: hold, resume, refresh, another codec or address. All of it is answered here; the other leg
    /// hears at most of another codec.
    fn offered(&mut self, key: ServerKey, request: &Request, ctx: &mut Context<Self>) {
        if self.media.is_none() || self.state.is_leaving() {
            return self.refuse(key, request, StatusCode::CALL_DOES_NOT_EXIST); // our BYE is on its way, or waits for an ACK alone
        }
        if SessionTimer::too_small(request) {
            return self.refuse(key, request, StatusCode::SESSION_INTERVAL_TOO_SMALL);
        }
        let Some(signalling) = &mut self.signalling else { return };
        if request.body.is_empty() && request.method == Method::Update {
            let mut response = signalling.respond(request, StatusCode::OK); // a refresh (RFC 3311 §5.2)
            self.grant_session(request, &mut response, ctx);
            return self.sip.endpoint.do_send(Respond { key, response });
        }
        if !request.body.is_empty()
            && let Err((code, why)) = signalling.take_offer(&request.body)
        {
            info!(call_id = %self.call_id, %why, "offer refused");
            return self.refuse(key, request, code);
        }
        match signalling.describe() {
            Ok((sdp, agreed)) => {
                let mut response = signalling.respond_with(request, sdp);
                if let Some(agreed) = agreed {
                    self.follow(&agreed, ctx);
                }
                self.grant_session(request, &mut response, ctx);
                if request.method == Method::Update {
                    self.sip.endpoint.do_send(Respond { key, response });
                    return;
                }
                if let Some(dialog) = self.signalling.as_mut().and_then(Signalling::dialog) {
                    dialog.answered(StatusCode::OK);
                }
                self.send_200(key, request, response, ctx);
            }
            Err(why) => {
                info!(call_id = %self.call_id, %why, "offer refused");
                self.refuse(key, request, StatusCode::NOT_ACCEPTABLE_HERE);
            }
        }
    }

    /// A final response without a body.
    pub(super) fn refuse(&mut self, key: ServerKey, request: &Request, code: StatusCode) {
        let Some(signalling) = &mut self.signalling else {
            return self.sip.endpoint.do_send(Respond { key, response: request.stateless_response(code) });
        };
        let mut response = signalling.respond(request, code);
        if code == StatusCode::SERVER_INTERNAL_ERROR {
            // An INVITE on top of an open one: come back in 0 to 10 s (RFC 3261 §14.2).
            response = response
                .with_header(HeaderName::RetryAfter, u32::from(now().elapsed().subsec_nanos() as u8) % 10);
        }
        if request.method == Method::Invite
            && let Some(dialog) = signalling.dialog()
        {
            dialog.answered(code);
        }
        self.sip.endpoint.do_send(Respond { key, response });
    }
}
