//! The phone is called.
use std::time::Duration;

use sip::dialog::{AckStep, AckWait, Dialog};
use sip::message::{HeaderName, Method, Request, StatusCode, random_tag};
use sip::transaction::ServerKey;

use super::super::{T1, now, pick};
use super::talking::Deed;
use super::{Phone, Plan};

const T2: Duration = Duration::from_secs(4);

impl Phone {
    pub(super) fn consider(&mut self, key: ServerKey, request: Request) {
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

    pub(super) fn respond(&mut self, key: ServerKey, code: StatusCode, body: &'static str) {
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

    pub(super) fn repeat(&mut self, key: ServerKey) {
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
}
