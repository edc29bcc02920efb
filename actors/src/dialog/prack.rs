//! Reliable ringing for callers that insist on it (`Require: 100rel`, RFC 3262); all others get a plain 180.
//!
//! | caller | ringing |
//! |---|---|
//! | does not insist | 180 |
//! | insists, with an offer | reliable 180 without SDP, once, repeated until its PRACK; none within 64·T1: 504 |
//! | insists, without an offer | none: a reliable 180 would have to carry our offer (§5), the 200 will do |
//!
//! A 200 need not wait for the PRACK, since the 180 has no SDP (§3).
use actix::{AsyncContext, Context};
use sip::dialog::{AckStep, PrackWait, requires_reliable};
use sip::message::{Request, StatusCode};
use sip::transaction::ServerKey;

use super::signalling::Signalling;
use super::state::Event;
use super::{Dialog, T1, now};
use crate::sip::Respond;
use crate::vocabulary::{Cause, EndReason};

impl Dialog {
    /// Tells the caller that it rings, in the way that it wants.
    pub(super) fn ring(&mut self, ctx: &mut Context<Self>) {
        let invite = self.signalling.as_ref().and_then(Signalling::incoming_invite);
        let Some(invite) = invite.filter(|invite| requires_reliable(invite)).cloned() else {
            return self.respond_to_invite(StatusCode::RINGING);
        };
        if invite.body.is_empty() || self.prack_wait.is_some() {
            return;
        }
        let (Some(key), Some(signalling)) = (self.invite_key, &self.signalling) else { return };
        let mut response = signalling.respond(&invite, StatusCode::RINGING);
        let rseq = getrandom::u32().unwrap_or(1) % 0x7fff_ffff + 1;
        let number = invite.headers.cseq().map_or(0, |cseq| cseq.number);
        self.prack_wait = Some((key, PrackWait::new(&mut response, rseq, number, T1, now())));
        self.sip.endpoint.do_send(Respond { key, response });
        self.arm_prack_timer(ctx);
    }

    /// The final response goes out: the ringing is not repeated any more.
    pub(super) fn stop_ringing(&mut self) {
        if let Some((_, wait)) = &mut self.prack_wait {
            wait.stop();
        }
    }

    /// A PRACK of the caller.
    pub(super) fn acknowledged_ringing(&mut self, key: ServerKey, request: &Request) {
        let ours = self.prack_wait.as_mut().is_some_and(|(_, wait)| wait.on_prack(request));
        self.refuse(key, request, if ours { StatusCode::OK } else { StatusCode::CALL_DOES_NOT_EXIST });
    }

    fn arm_prack_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(at) = self.prack_wait.as_ref().and_then(|(_, wait)| wait.deadline()) {
            ctx.run_later(at.saturating_duration_since(now()), Self::prack_is_late);
        }
    }

    fn prack_is_late(&mut self, ctx: &mut Context<Self>) {
        let Some((key, wait)) = &mut self.prack_wait else { return };
        match wait.on_deadline(now()) {
            AckStep::Send(response) => {
                self.sip.endpoint.do_send(Respond { key: *key, response });
                self.arm_prack_timer(ctx);
            }
            AckStep::GiveUp => {
                let why = EndReason::new(Some(self.far), Cause::SignallingTimeout).with_detail("no PRACK");
                self.step(Event::AnswerFailed(EndReason { sip_code: Some(504), ..why }), ctx);
            }
            AckStep::Wait => {}
        }
    }
}
