//! Somebody takes the far end's place: an INVITE from outside with a Replaces that names this dialog (RFC 3891). A dialog of its own answers it,
//! as a leg of the same call; this one is ended when the other stands.
//!
//! | dialog | answer |
//! |---|---|
//! | another remote tag; early, and theirs; not begun | 481 |
//! | over, or being ended | 603 |
//! | answered, and the INVITE wants an early one alone | 486 |
//! | a transfer is under way | 491 |
//! | answered, or early and ours | 200 at once, then BYE or CANCEL for this one |
//!
//! Whoever knows both tags of a dialog may replace it: they are random, and only the two ends and those between them have seen them.
use actix::Actor;
use sip::dialog::Replaces;
use sip::message::{HeaderName, Request, StatusCode};
use sip::transaction::ServerKey;
use tracing::info;

use super::messages::{DialogOrder, IncomingInvite};
use super::state::State;
use super::transferor::Transferor;
use super::{Dialog, Place, Respond};
use crate::leg::{Leg, LegEvent, Successor, fresh_branch};
use crate::sip::Hop;

/// Whether a dialog in this state may be replaced.
fn judge(state: State, early_only: bool) -> Result<(), StatusCode> {
    match state {
        State::Up(_) | State::AwaitingAck { leaves: false, .. } if early_only => Err(StatusCode::BUSY_HERE),
        State::Up(_) | State::AwaitingAck { leaves: false, .. } | State::Inviting => Ok(()),
        State::Idle | State::Locating | State::Invited => Err(StatusCode::CALL_DOES_NOT_EXIST),
        State::AwaitingAck { .. } | State::Cancelling | State::Leaving | State::Over => {
            Err(StatusCode::DECLINE)
        }
    }
}

impl Dialog {
    /// An INVITE that is to replace this dialog.
    pub(super) fn replacing(&mut self, key: ServerKey, request: Request, hop: Hop) {
        if let Err(code) = self.may_be_replaced(&request) {
            let response = request.stateless_response(code);
            return self.sip.endpoint.do_send(Respond { key, response });
        }
        info!(call_id = %self.call_id, "somebody takes the far end's place");
        let (branch, call) = (fresh_branch(), self.call.clone());
        let transfers = self.transfers.saturating_add(1);
        let place = Place { branch, far: self.far, call_id: self.call_id.clone(), call, transfers };
        let order = IncomingInvite {
            key,
            request,
            hop,
            way: self.home.way.clone(),
            contact_user: self.home.contact_user.clone(),
            codecs: self.home.codecs.clone(),
            video: self.home.video.clone(),
            telephone_events: self.home.telephone_events,
        };
        let dialog = Dialog::new(DialogOrder::Incoming(Box::new(order)), place, self.sip.clone()).start();
        let leg = Leg { commands: dialog.clone().recipient(), packets: dialog.recipient() };
        self.report(LegEvent::SuccessorOffered(Successor { branch, leg, comes_in: true }));
    }

    fn may_be_replaced(&mut self, request: &Request) -> Result<(), StatusCode> {
        let replaces =
            request.headers.get(&HeaderName::Replaces).and_then(|text| text.parse::<Replaces>().ok());
        let Replaces { from_tag, early_only, .. } = replaces.ok_or(StatusCode::BAD_REQUEST)?;
        let known = self.signalling.as_mut().and_then(|signalling| signalling.dialog_with(&from_tag));
        known.ok_or(StatusCode::CALL_DOES_NOT_EXIST)?;
        judge(self.state, early_only)?;
        match self.transferor == Transferor::Idle && !self.transferee.follows() {
            true => Ok(()),
            false => Err(StatusCode::REQUEST_PENDING),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::Progress;
    use super::*;

    #[test]
    fn a_dialog_may_be_replaced_as_the_rfc_says() {
        let up = State::Up(Progress::None);
        let awaits = |leaves| State::AwaitingAck { leaves, next: None };
        for (state, early_only, expected) in [
            (up, false, 200),
            (up, true, 486),
            (awaits(false), false, 200),
            (awaits(true), false, 603),
            (State::Inviting, false, 200),
            (State::Inviting, true, 200),
            (State::Invited, false, 481),
            (State::Idle, false, 481),
            (State::Leaving, false, 603),
            (State::Over, true, 603),
        ] {
            let code = judge(state, early_only).err().unwrap_or(StatusCode::OK);
            assert_eq!(code.as_u16(), expected, "{state:?} {early_only}");
        }
    }
}
