//! What responses to our INVITE and re-INVITE mean.
use sip::auth::SentTo;
use sip::dialog::{Dialog, ForkEvent};
use sip::message::{Method, Request, Response, StatusCode};
use sip::sdp::Agreed;

use super::{Role, Signalling};
use crate::dialog::state::Event;
use crate::vocabulary::EndReason;

/// Re-INVITEs that may collide one after the other; a far side that always says 491 does not want the change.
const MAX_GLARES: u8 = 3;

/// What a response to an INVITE of ours means.
pub struct Heard {
    /// For the state machine; none: nothing new.
    pub event: Option<Event>,
    /// What offer and answer settled now.
    pub agreed: Option<Agreed>,
    /// A dialog that lost the race of forks: ACK and BYE for it.
    pub lost: Option<Box<Dialog>>,
    /// A 2xx that came again: its ACK, to go out again.
    pub ack_again: Option<Box<Request>>,
    /// The same hop will not do; the next one may.
    pub next_hop: bool,
}

impl Heard {
    fn event(event: Event) -> Self {
        Self { event: Some(event), ..Self::nothing() }
    }

    fn nothing() -> Self {
        Self { event: None, agreed: None, lost: None, ack_again: None, next_hop: false }
    }
}

impl Signalling {
    /// A response to our first INVITE.
    pub fn invite_answered(&mut self, response: &Response) -> Heard {
        let code = response.code;
        if code.is_provisional() || code.is_success() {
            return self.invite_goes_on(response);
        }
        if let Some(again) = self.challenged(SentTo::Home, response).or_else(|| self.too_brief(response)) {
            return again;
        }
        let why = EndReason::from_sip(self.far, code.as_u16(), response.reason());
        let next_hop = code == StatusCode::SERVICE_UNAVAILABLE; // RFC 3263 §4.3
        Heard { next_hop, ..Heard::event(Event::Rejected(why)) }
    }

    fn invite_goes_on(&mut self, response: &Response) -> Heard {
        let Role::Caller { forks: Some(forks), .. } = &mut self.role else { return Heard::nothing() };
        match forks.receive(response) {
            Ok(ForkEvent::Progress | ForkEvent::Early(_)) => {
                let agreed = self.take_answer(&response.body).ok().flatten();
                let event = match &agreed {
                    Some(_) => Some(Event::EarlyMedia),
                    None => (response.code == StatusCode::RINGING).then_some(Event::Rang),
                };
                Heard { agreed, event, ..Heard::nothing() }
            }
            Ok(ForkEvent::Won(dialog)) => {
                self.dialog = Some(*dialog);
                self.accepted(response)
            }
            Ok(ForkEvent::Lost(dialog)) => Heard { lost: Some(dialog), ..Heard::nothing() },
            Ok(ForkEvent::AckAgain(ack)) => Heard { ack_again: Some(ack), ..Heard::nothing() },
            Ok(_) => Heard::nothing(),
            Err(_) if response.code.is_success() && self.dialog.is_none() => {
                Heard::event(Event::AcceptedBadly(self.bad("a 200 without Contact")))
            }
            Err(_) => Heard::nothing(),
        }
    }

    /// A final response to our re-INVITE.
    ///
    /// `sent_to`: a phone that is reached past the account's servers gets no credentials.
    pub fn reinvite_answered(&mut self, response: &Response, sent_to: SentTo) -> Heard {
        if let Some(ack) = self.dialog.as_ref().and_then(|dialog| dialog.repeated_ack(response)) {
            return Heard { ack_again: Some(Box::new(ack.clone())), ..Heard::nothing() };
        }
        if let Some(dialog) = &mut self.dialog {
            // A Contact that cannot be read leaves the old target in place.
            let _ = dialog.concluded(&Method::Invite, Some(response));
        }
        let code = response.code;
        if code.is_success() {
            self.glares = 0;
            return self.accepted(response);
        }
        if let Some(again) = self.challenged(sent_to, response).or_else(|| self.too_brief(response)) {
            return again;
        }
        self.negotiation.drop_offer();
        self.negotiation.set_held(self.held_before);
        let collided = code == StatusCode::REQUEST_PENDING && self.glares < MAX_GLARES;
        self.glares = if collided { self.glares + 1 } else { 0 };
        let why = EndReason::from_sip(self.far, code.as_u16(), response.reason());
        Heard::event(match code {
            _ if collided => Event::Glare,
            // Not 408, though RFC 3261 §12.2.1.2 would end the call on it too: a phone that rang a proxy's timer out still talks, and
            // one that is gone ends by the session timer.
            StatusCode::CALL_DOES_NOT_EXIST => Event::Rejected(why),
            _ => Event::ChangeRefused(why),
        })
    }

    /// Nobody answered our re-INVITE.
    pub fn reinvite_failed(&mut self) {
        if let Some(dialog) = &mut self.dialog {
            let _ = dialog.concluded(&Method::Invite, None);
        }
        self.negotiation.drop_offer();
    }

    fn accepted(&mut self, response: &Response) -> Heard {
        let answer =
            self.take_answer(&response.body).and_then(|agreed| match (&agreed, self.negotiation.agreed()) {
                (None, None) => Err(self.bad("a 200 without SDP")),
                // What an earlier 18x said holds, if it may hold.
                (None, Some(earlier)) => self.checked(earlier).map(|()| None),
                (Some(_), _) => Ok(agreed),
            });
        self.negotiation.drop_offer();
        match answer {
            Ok(agreed) => Heard { agreed, ..Heard::event(Event::Accepted) },
            Err(why) => Heard::event(Event::AcceptedBadly(why)),
        }
    }

    /// A 401 or 407 that we may answer: then the request goes out again.
    fn challenged(&mut self, sent_to: SentTo, response: &Response) -> Option<Heard> {
        let (credentials, invite) = (self.credentials.as_mut()?, self.invite.as_ref()?);
        if !matches!(response.code, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
            return None;
        }
        credentials.challenged(&mut self.tries, invite, response, sent_to).ok()?;
        self.again = true;
        Some(Heard::event(Event::TryAgain))
    }

    /// A 422 that we can do justice to: then the request goes out again (RFC 4028 §7.3).
    fn too_brief(&mut self, response: &Response) -> Option<Heard> {
        let again =
            response.code == StatusCode::SESSION_INTERVAL_TOO_SMALL && self.refreshing.refused(response);
        self.again |= again;
        again.then(|| Heard::event(Event::TryAgain))
    }
}
