//! Text messages to and from pages, and what their PBX says of their mailboxes: the shell round `texts`, as part of the switchboard.
use std::time::Instant;

use ::sip::message::{Request, Response, StatusCode};
use actix::{Actor, Addr};

use super::book::Entry;
use super::{MAX_RINGING, Switchboard, texts};
use crate::courier::{Courier, CourierEvent, CourierOrder, Outcome};
use crate::mailbox;
use crate::page::{SendText, TextStatus, ToPage};
use crate::session::Session;
use crate::sip::{IncomingRequest, Respond};
use crate::vocabulary::{FieldError, SessionId};

impl Switchboard {
    /// A text message for one of our accounts came in. It is accepted once it is in a page's queue; how it gets from there to a person, nobody
    /// can promise.
    pub(super) fn text_came(&mut self, incoming: &IncomingRequest) {
        self.hand_over(incoming, |request, login| {
            Ok(ToPage::Text(texts::read(request, login)?, TextStatus::Received))
        });
    }

    /// A PBX tells of an account's mailbox, unasked as they do. Only pages that want it are told; the PBX hears 200 in either case.
    pub(super) fn mail_came(&mut self, incoming: &IncomingRequest) {
        self.hand_over(incoming, |request, _| Ok(ToPage::MailWaiting(mailbox::read(request)?)));
    }

    fn hand_over(
        &mut self,
        incoming: &IncomingRequest,
        read: impl FnOnce(&Request, &str) -> Result<ToPage, Response>,
    ) {
        let taken = self.tell_account(&incoming.request, read);
        let response = taken.err().unwrap_or_else(|| incoming.request.stateless_response(StatusCode::OK));
        self.sip.endpoint.do_send(Respond { key: incoming.key, response });
    }

    /// Tells the pages of the account that a request names what `read` makes of it for its login.
    fn tell_account(
        &mut self,
        request: &Request,
        read: impl FnOnce(&Request, &str) -> Result<ToPage, Response>,
    ) -> Result<(), Response> {
        let refuse = |code| Err(request.stateless_response(code));
        let user = request.uri.user().map(|user| user.into_owned()).unwrap_or_default();
        let found = self.accounts.find_user(&user).map(|shared| shared.contact.clone());
        let Some(shared) = found.and_then(|contact| self.accounts.get_mut(&contact)) else {
            return refuse(StatusCode::NOT_FOUND);
        };
        if shared.pages.is_empty() || self.stopping {
            return refuse(StatusCode::TEMPORARILY_UNAVAILABLE);
        }
        if !shared.texts.take(now()) {
            return Err(texts::too_many(request));
        }
        let word = read(request, &shared.account.login)?;
        let pages = shared.pages.iter().rev().take(MAX_RINGING).filter_map(|id| self.book.session(*id));
        let taken = pages.filter(|entry| entry.session.try_send(word.clone()).is_ok()).count();
        if taken > 0 { Ok(()) } else { Err(texts::too_many(request)) }
    }

    /// A page sends a text message.
    pub(super) fn send_text(&self, id: SessionId, text: SendText) {
        let Some(entry) = self.book.session(id) else { return };
        let text_id = text.id.clone();
        if let Err(error) = self.courier(entry, text).map(Courier::start) {
            let outcome = Outcome::Failed { info: error.to_string(), sip_status: None };
            entry.session.do_send(CourierEvent { id: text_id, outcome });
        }
    }

    fn courier(&self, entry: &Entry<Addr<Session>>, text: SendText) -> Result<Courier, FieldError> {
        let way = self.way_of(&entry.contact)?;
        Courier::new(CourierOrder {
            id: text.id,
            display_name: text.visible_name,
            target: way.account.address_named("to", &text.to)?,
            way,
            body: text.body,
            user_agent: self.settings.sip.user_agent.clone(),
            locate: self.sip.endpoint.clone().recipient(),
            send: self.sip.endpoint.clone().recipient(),
            owner: entry.session.downgrade().recipient(),
            meters: self.sip.meters.clone(),
        })
    }
}

/// The clock that tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
