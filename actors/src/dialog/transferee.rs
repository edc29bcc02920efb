//! The far end asks that we call somebody else: REFER within the dialog (RFC 3515). A dialog of its own calls there, as a leg of the same call
//! (`LegEvent::SuccessorOffered`); this one tells by NOTIFY how it fares, and ends when the other has taken its place.
//!
//! | REFER | answer |
//! |---|---|
//! | `sip.refer_policy = "off"` | 405, by the endpoint |
//! | without one Refer-To that can be read | 400 |
//! | to an address that is no telephone's | 416 |
//! | for another method, out of the account's domain where the policy wants it inside, after [`MAX_TRANSFERS`], without an account | 603 |
//! | while another transfer is under way, ours or theirs | 491 |
//! | on a dialog that is over or not answered | 481 |
//! | any other | 202, then NOTIFY 100 |
//!
//! One NOTIFY is out at a time, so that none overtakes another: what happens meanwhile is told by the next, the last word wins. A far end that
//! does not take a NOTIFY gets no more; the transfer goes on. The subscription outlives a BYE (RFC 5057 §4.2): the dialog stays until the
//! last NOTIFY is answered.
use std::time::Duration;

use actix::{Actor, AsyncContext, Context};
use sip::dialog::{Refer, sipfrag};
use sip::message::{HeaderName, Method, Request, StatusCode};
use sip::transaction::ServerKey;
use tracing::{info, warn};

use super::messages::{DialogOrder, OutgoingInvite};
use super::outbound::{Outbound, Purpose};
use super::signalling::Signalling;
use super::state::{Event, State};
use super::transferor::Transferor;
use super::{Dialog, Place, Respond};
use crate::leg::{Fared, Leg, LegEvent, Successor, fresh_branch};
use crate::vocabulary::{EndReason, FieldError, ReferPolicy};

/// Times that the far side of one call is moved: far above what people do, few enough to end a loop.
const MAX_TRANSFERS: u8 = 8;

/// Who has been moved on usually says BYE by itself; after this time we do.
const BYE_WAIT: Duration = Duration::from_secs(1);

/// Following a REFER, and telling of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Transferee {
    /// REFERs so far: from the second on a NOTIFY must say which it means (RFC 3515 §2.4.6).
    count: u32,
    number: u32,
    /// No last word yet.
    follows: bool,
    /// The last word was that somebody else has answered.
    moved: bool,
    /// Nobody wants to hear of it.
    silent: bool,
    /// A NOTIFY is out.
    out: bool,
    /// What the next one will say.
    next: Option<StatusCode>,
}

/// A NOTIFY to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Notify {
    /// How far the call is.
    status: StatusCode,
    /// The REFER that is meant, if there was more than one.
    id: Option<u32>,
}

impl Transferee {
    /// A REFER with this CSeq number is followed.
    fn begin(&mut self, number: u32, silent: bool) -> Option<Notify> {
        *self = Self { count: self.count + 1, number, follows: true, silent, ..Self::default() };
        self.fared(StatusCode::TRYING)
    }

    /// How the call fares.
    fn fared(&mut self, status: StatusCode) -> Option<Notify> {
        if !self.follows {
            return None;
        }
        self.follows = !status.is_final();
        self.moved = status.is_success();
        self.next = (!self.silent).then_some(status);
        self.due()
    }

    /// The NOTIFY that was out has its final response, or will have none.
    fn concluded(&mut self, taken: bool) -> Option<Notify> {
        self.out = false;
        self.silent |= !taken;
        self.next = self.next.filter(|_| taken);
        self.due()
    }

    fn due(&mut self) -> Option<Notify> {
        if self.out {
            return None;
        }
        let status = self.next.take()?;
        self.out = true;
        Some(Notify { status, id: (self.count > 1).then_some(self.number) })
    }

    /// Whether a transfer is under way.
    pub(super) fn follows(&self) -> bool {
        self.follows
    }

    /// Whether there is something to tell yet.
    pub(super) fn is_open(&self) -> bool {
        self.follows || self.out
    }
}

impl Dialog {
    /// A REFER of the far end.
    pub(super) fn referred(&mut self, key: ServerKey, request: &Request, ctx: &mut Context<Self>) {
        let followed = self.judge(request).and_then(|refer| {
            let silent = refer.silent;
            let order = self.order_for(refer).map_err(|error| {
                info!(call_id = %self.call_id, %error, "a REFER cannot be followed");
                StatusCode::DECLINE
            })?;
            Ok((order, silent))
        });
        let (order, silent) = match followed {
            Ok(followed) => followed,
            Err(code) => return self.refuse(key, request, code),
        };
        info!(call_id = %self.call_id, to = %order.target, "referred");
        let Some(signalling) = &mut self.signalling else { return };
        let mut accepted = signalling.respond(request, StatusCode::ACCEPTED);
        if silent {
            accepted.headers.push(HeaderName::ReferSub, "false");
        }
        self.sip.endpoint.do_send(Respond { key, response: accepted });
        let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let notify = self.transferee.begin(number, silent);
        self.notify(notify, ctx);

        let (branch, call) = (fresh_branch(), self.call.clone());
        let place = Place {
            branch,
            far: self.far,
            call_id: self.call_id.clone(),
            call,
            transfers: self.transfers + 1,
        };
        let order = DialogOrder::Outgoing(Box::new(order));
        let dialog = Dialog::new(order, place, self.sip.clone()).start();
        let leg = Leg { commands: dialog.clone().recipient(), packets: dialog.recipient() };
        self.report(LegEvent::SuccessorOffered(Successor { branch, leg, comes_in: false }));
    }

    fn judge(&self, request: &Request) -> Result<Refer, StatusCode> {
        if !matches!(self.state, State::Up(_) | State::AwaitingAck { .. }) {
            return Err(StatusCode::CALL_DOES_NOT_EXIST);
        }
        let refer = Refer::read(request)?;
        if self.transferee.follows() || self.transferor != Transferor::Idle {
            return Err(StatusCode::REQUEST_PENDING);
        }
        if self.transfers >= MAX_TRANSFERS {
            warn!(call_id = %self.call_id, "transferred too often");
            return Err(StatusCode::DECLINE);
        }
        Ok(refer)
    }

    /// The call that a REFER asks for: by the account's own way, whatever the address says.
    fn order_for(&self, refer: Refer) -> Result<OutgoingInvite, FieldError> {
        let missing = || FieldError::new("account", "there is none to call by");
        let way = self.home.way.clone().ok_or_else(missing)?;
        let target = way.account.address_named("Refer-To", &refer.target.to_string())?;
        if self.sip.settings.sip.refer_policy == ReferPolicy::OwnDomain {
            let domain = way.account.address_of_record()?;
            if !target.as_sip().is_some_and(|uri| uri.host() == domain.host()) {
                return Err(FieldError::new("Refer-To", "is out of the account's domain"));
            }
        }
        let mut order = OutgoingInvite::by(way, self.home.contact_user.clone(), target)?;
        order.display_name.clone_from(&self.home.display_name);
        order.codecs.clone_from(&self.home.codecs);
        order.telephone_events = self.home.telephone_events;
        if let Some(signalling) = &self.signalling {
            order.additions = signalling.additions().clone();
        }
        let replaces = refer.replaces.map(|replaces| (HeaderName::Replaces, replaces.to_string()));
        let by = refer.referred_by.map(|by| (HeaderName::ReferredBy, by));
        order.headers = replaces.into_iter().chain(by).collect();
        Ok(order)
    }

    /// How the dialog that is to take our place fares.
    pub(super) fn successor_fared(&mut self, fared: Fared, ctx: &mut Context<Self>) {
        let status = match fared {
            Fared::Rang => StatusCode::RINGING,
            Fared::Answered => StatusCode::OK,
            Fared::Failed(why) => {
                StatusCode::try_from(why.as_sip_code()).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR)
            }
        };
        let notify = self.transferee.fared(status);
        self.notify(notify, ctx);
    }

    /// The call hangs up. Whoever asked for a transfer hears what became of it first, and may say BYE by itself if it succeeded.
    pub(super) fn hang_up(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        let notify = self.transferee.fared(StatusCode::REQUEST_TERMINATED);
        self.notify(notify, ctx);
        if self.transferee.moved && matches!(self.state, State::Up(_)) {
            self.end_media(ctx);
            ctx.run_later(BYE_WAIT, |dialog, ctx| dialog.step(Event::HangUp(why), ctx));
        } else {
            self.step(Event::HangUp(why), ctx);
        }
    }

    fn notify(&mut self, notify: Option<Notify>, ctx: &mut Context<Self>) {
        let Some(Notify { status, id }) = notify else { return };
        let expires = self.sip.settings.no_answer.as_secs();
        let Some(dialog) = self.signalling.as_mut().and_then(Signalling::dialog) else { return };
        let mut request =
            dialog.request(Method::Notify).with_body("message/sipfrag;version=2.0", sipfrag(status));
        let event = id.map_or("refer".to_owned(), |id| format!("refer;id={id}"));
        let state = match status.is_final() {
            true => "terminated;reason=noresource".to_owned(),
            false => format!("active;expires={expires}"),
        };
        for (name, value) in [(HeaderName::Event, event), (HeaderName::SubscriptionState, state)] {
            request.headers.push_text(name, &value).expect("our own words hold no control characters");
        }
        self.send_inside(Outbound::Request(Purpose::Notify, request), ctx);
    }

    /// Our NOTIFY has its final response, or will have none.
    pub(super) fn notify_concluded(&mut self, taken: bool, ctx: &mut Context<Self>) {
        let notify = self.transferee.concluded(taken);
        self.notify(notify, ctx);
        if self.state == State::Over {
            self.finish(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was to be sent, as `code` or `code;id`.
    #[track_caller]
    fn sends(notify: Option<Notify>, expected: &str) {
        let said = notify.map_or("-".to_owned(), |Notify { status, id }| {
            format!("{status}{}", id.map_or(String::new(), |id| format!(";{id}")))
        });
        assert_eq!(said, expected);
    }

    #[test]
    fn one_notify_after_the_other_the_last_word_wins() {
        let mut transferee = Transferee::default();
        sends(transferee.begin(2, false), "100");
        sends(transferee.fared(StatusCode::RINGING), "-");
        sends(transferee.fared(StatusCode::OK), "-");
        assert!(!transferee.follows() && transferee.is_open() && transferee.moved);
        sends(transferee.concluded(true), "200");
        sends(transferee.fared(StatusCode::BUSY_HERE), "-");
        assert!(transferee.is_open());
        sends(transferee.concluded(true), "-");
        assert!(!transferee.is_open());
    }

    #[test]
    fn the_second_refer_is_told_apart_from_the_first() {
        let mut transferee = Transferee::default();
        sends(transferee.begin(2, false), "100");
        sends(transferee.concluded(true), "-");
        sends(transferee.fared(StatusCode::BUSY_HERE), "486");
        assert!(!transferee.moved);
        sends(transferee.concluded(true), "-");
        sends(transferee.begin(5, false), "100;5");
    }

    #[test]
    fn who_wants_no_notify_or_takes_none_gets_none() {
        let mut transferee = Transferee::default();
        sends(transferee.begin(2, true), "-");
        assert!(transferee.follows());
        sends(transferee.fared(StatusCode::OK), "-");
        assert!(!transferee.is_open() && transferee.moved);

        let mut transferee = Transferee::default();
        sends(transferee.begin(2, false), "100");
        sends(transferee.fared(StatusCode::RINGING), "-");
        sends(transferee.concluded(false), "-");
        assert!(transferee.follows());
        sends(transferee.fared(StatusCode::OK), "-");
        assert!(!transferee.is_open());
    }
}
