//! The session timer of a dialog (RFC 4028): who asks for what, by which request a refresh goes out, and the clock.
//!
//! A refresh goes by UPDATE without SDP, if the far side allows UPDATE; else, and when UPDATE turns out not to work (a
//! proxy that challenges it, 405, 501), by a re-INVITE that repeats our last SDP under the same version. Neither touches
//! media, and the call hears of neither.
//!
//! | answer to our UPDATE | what follows |
//! |---|---|
//! | 2xx | the timer starts anew |
//! | 422 | again, with its Min-SE |
//! | 408, 481, none | the far side is gone: BYE (§10) |
//! | 491, 500, 503 | later again, as the timer says |
//! | others | again at once, by re-INVITE |
use std::time::Instant;

use actix::{AsyncContext, Context};
use sip::dialog::{SessionDue, SessionTimer};
use sip::message::{Headers, Method, Reason, Request, Response, StatusCode};
use tracing::info;

use super::outbound::{Outbound, Purpose};
use super::signalling::Signalling;
use super::state::Event;
use super::{Dialog, now};
use crate::vocabulary::{EndReason, Side};

/// What a dialog knows about refreshing.
#[derive(Debug, Default)]
pub(super) struct Refreshing {
    timer: SessionTimer,
    allows_update: bool,
    update_fails: bool,
}

impl Refreshing {
    /// Writes our wish into an INVITE or UPDATE of ours.
    pub(super) fn ask(&self, request: &mut Request) {
        self.timer.ask(request);
    }

    /// A 422. Whether to send the request again.
    pub(super) fn refused(&mut self, response: &Response) -> bool {
        self.timer.refused(response)
    }

    /// Notes whether the far side allows UPDATE, when a message of it says so.
    pub(super) fn note(&mut self, headers: &Headers) {
        if let Ok(Some(methods)) = headers.allow() {
            self.allows_update = methods.contains(&Method::Update);
        }
    }

    /// A 2xx to our INVITE or UPDATE.
    pub(super) fn granted(&mut self, response: &Response, now: Instant) {
        self.note(&response.headers);
        self.timer.granted(response, now);
    }

    /// Our 2xx to their INVITE or UPDATE.
    pub(super) fn answer(&mut self, request: &Request, response: &mut Response, now: Instant) {
        self.note(&request.headers);
        self.timer.answer(request, response, now);
    }

    /// By UPDATE, or else by re-INVITE.
    pub(super) fn by_update(&self) -> bool {
        self.allows_update && !self.update_fails
    }

    /// What the final response to our UPDATE means.
    fn update_answered(&mut self, response: &Response, far: Side, now: Instant) -> Event {
        let why = || EndReason::from_sip(far, response.code.as_u16(), response.reason());
        match response.code {
            code if code.is_success() => {
                self.granted(response, now);
                Event::Refreshed
            }
            StatusCode::SESSION_INTERVAL_TOO_SMALL if self.refused(response) => Event::TryAgain,
            StatusCode::REQUEST_TIMEOUT | StatusCode::CALL_DOES_NOT_EXIST => Event::Rejected(why()),
            StatusCode::REQUEST_PENDING
            | StatusCode::SERVER_INTERNAL_ERROR
            | StatusCode::SERVICE_UNAVAILABLE => Event::ChangeRefused(why()),
            _ => {
                self.update_fails = true;
                Event::TryAgain
            }
        }
    }
}

impl Dialog {
    /// Sends the refresh.
    pub(super) fn send_refresh(&mut self, ctx: &mut Context<Self>) {
        let Some(signalling) = &mut self.signalling else { return };
        let by_update = signalling.refreshing.by_update();
        let made = if by_update { signalling.update() } else { signalling.refresh_invite() };
        let purpose = if by_update { Purpose::Update } else { Purpose::Reinvite };
        match made {
            Some(request) => self.send_inside(Outbound::Request(purpose, request), ctx),
            None => self.step(Event::ChangeRefused(EndReason::from_sip(self.far, 491, "")), ctx),
        }
    }

    /// A final response to our UPDATE.
    pub(super) fn update_answered(&mut self, response: &Response, ctx: &mut Context<Self>) {
        let Some(signalling) = &mut self.signalling else { return };
        if let Some(dialog) = signalling.dialog() {
            // A Contact that cannot be read leaves the old target in place.
            let _ = dialog.concluded(&Method::Update, Some(response));
        }
        let event = signalling.refreshing.update_answered(response, self.far, now());
        self.arm_session_timer(ctx);
        self.step(event, ctx);
    }

    /// A 2xx to our INVITE or re-INVITE.
    pub(super) fn session_granted(&mut self, response: &Response, ctx: &mut Context<Self>) {
        if let Some(signalling) = &mut self.signalling {
            signalling.refreshing.granted(response, now());
        }
        self.arm_session_timer(ctx);
    }

    /// Writes into our 2xx to an INVITE or UPDATE what holds from now on.
    pub(super) fn grant_session(
        &mut self,
        request: &Request,
        response: &mut Response,
        ctx: &mut Context<Self>,
    ) {
        if let Some(signalling) = &mut self.signalling {
            signalling.refreshing.answer(request, response, now());
        }
        self.arm_session_timer(ctx);
    }

    fn arm_session_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.session_timer.take() {
            ctx.cancel_future(timer);
        }
        let deadline = self.signalling.as_ref().and_then(|signalling| signalling.refreshing.timer.deadline());
        self.session_timer = deadline.map(|at| {
            ctx.run_later(at.saturating_duration_since(now()), |dialog, ctx| {
                dialog.session_timer = None;
                dialog.session_is_due(ctx);
            })
        });
    }

    fn session_is_due(&mut self, ctx: &mut Context<Self>) {
        let Some(signalling) = &mut self.signalling else { return };
        let due = signalling.refreshing.timer.on_deadline(now());
        self.arm_session_timer(ctx);
        match due {
            SessionDue::Refresh => self.step(Event::RefreshDue, ctx),
            SessionDue::Expired => {
                info!(call_id = %self.call_id, "the session was not refreshed");
                self.our_reason = Some(Reason::sip(408, "Session timer expired"));
                self.step(Event::SessionExpired, ctx);
            }
            SessionDue::Nothing => {}
        }
    }
}

impl Signalling {
    /// A refresh by UPDATE: without SDP it can neither collide nor change anything (RFC 4028 §7.4).
    fn update(&mut self) -> Option<Request> {
        let mut request = self.dialog()?.request(Method::Update);
        self.introduce(&mut request);
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sip::message::{Message, parse};

    use super::*;

    fn response(code: u16, more: &str) -> Response {
        let text = format!(
            "SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 UPDATE\r\n{more}\r\n"
        );
        match parse(text.as_bytes()) {
            Ok(Message::Response(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn update_is_used_only_where_the_far_side_allows_it() {
        let mut refreshing = Refreshing::default();
        assert!(!refreshing.by_update());
        refreshing.note(&response(200, "Allow: INVITE, UPDATE\r\n").headers);
        assert!(refreshing.by_update());
        refreshing.note(&response(200, "").headers);
        assert!(refreshing.by_update(), "a message without Allow says nothing new");
        refreshing.note(&response(200, "Allow: INVITE\r\n").headers);
        assert!(!refreshing.by_update());
    }

    #[test]
    fn an_answer_to_update_means_what_the_table_says() {
        for (code, more, expected, by_update) in [
            (200, "", "Refreshed", true),
            (422, "Min-SE: 2000\r\n", "TryAgain", true),
            (422, "", "TryAgain", false),
            (408, "", "Rejected", true),
            (481, "", "Rejected", true),
            (491, "", "ChangeRefused", true),
            (500, "", "ChangeRefused", true),
            (407, "", "TryAgain", false),
            (405, "", "TryAgain", false),
            (501, "", "TryAgain", false),
        ] {
            let mut refreshing = Refreshing { allows_update: true, ..Refreshing::default() };
            let event = refreshing.update_answered(&response(code, more), Side::Callee, Instant::now());
            assert!(format!("{event:?}").starts_with(expected), "{code}: {event:?}");
            assert_eq!(refreshing.by_update(), by_update, "{code}");
        }
    }

    #[test]
    fn a_success_starts_the_timer_anew() {
        let (mut refreshing, now) = (Refreshing::default(), Instant::now());
        let granted = response(200, "Session-Expires: 100;refresher=uac\r\n");
        refreshing.update_answered(&granted, Side::Callee, now);
        assert_eq!(refreshing.timer.deadline(), Some(now + Duration::from_secs(50)));
    }
}
