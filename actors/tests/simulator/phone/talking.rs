//! What the user of the phone does in a call.
use sip::message::{HeaderName, Method};

use super::super::{now, pick};
use super::{Phone, Plan};

/// What the user does in a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
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

impl Phone {
    /// Plans what the user does while he talks.
    pub(super) fn talk(&mut self) {
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

    pub(super) fn do_it(&mut self, deed: Deed) {
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
}
