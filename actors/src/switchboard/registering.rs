//! The registrations of accounts: one each, as long as a page uses it and a little longer.
use actix::{Actor, Addr, AsyncContext, Context, Handler};

use super::Switchboard;
use crate::page::ToPage;
use crate::registration::{
    Registration, RegistrationCommand, RegistrationEvent, RegistrationOrder, RegistrationReport,
};
use crate::session::Session;
use crate::vocabulary::{Account, FieldError, SessionId};

impl Switchboard {
    /// A page uses `account`; gives the user part of its Contact.
    pub(super) fn join_account(
        &mut self,
        account: &Account,
        id: SessionId,
        session: &Addr<Session>,
        ctx: &mut Context<Self>,
    ) -> Result<String, FieldError> {
        let shared = self.accounts.enter(account, id);
        let contact = shared.contact.clone();
        if let Some(news) = shared.told.clone() {
            session.do_send(news);
        }
        if let Some(mail) = shared.mail.clone() {
            session.do_send(ToPage::MailWaiting(mail));
        }
        match &shared.registration {
            Some(registration) => registration.do_send(RegistrationCommand::Keep),
            None if account.register => {
                if let Err(error) = self.register(account.clone(), &contact, ctx) {
                    self.leave_account(&contact, id);
                    return Err(error);
                }
            }
            None => {}
        }
        Ok(contact)
    }

    /// A page uses its account no more.
    pub(super) fn leave_account(&mut self, contact: &str, id: SessionId) {
        let Some(shared) = self.accounts.leave(contact, id) else { return };
        match &shared.registration {
            _ if !shared.pages.is_empty() => {}
            Some(registration) if registration.connected() => {
                registration.do_send(RegistrationCommand::LetGo);
            }
            _ => self.accounts.remove(contact), // nothing to un-register, or nobody left to do it
        }
    }

    pub(super) fn unregister_all(&self) {
        for registration in self.accounts.all().filter_map(|shared| shared.registration.as_ref()) {
            registration.do_send(RegistrationCommand::Unregister);
        }
    }

    fn register(
        &mut self,
        account: Account,
        contact: &str,
        ctx: &mut Context<Self>,
    ) -> Result<(), FieldError> {
        let registration = Registration::new(RegistrationOrder {
            account,
            contact_user: contact.to_owned(),
            expires: self.settings.sip.register_expires,
            locate: self.sip.endpoint.clone().recipient(),
            send: self.sip.endpoint.clone().recipient(),
            keep: self.sip.endpoint.clone().recipient(),
            keep_alive: self.settings.sip.keep_alive,
            owner: ctx.address().downgrade().recipient(),
            meters: self.sip.meters.clone(),
        })?;
        if let Some(shared) = self.accounts.get_mut(contact) {
            shared.registration = Some(registration.start());
        }
        Ok(())
    }

    fn tell_pages(&mut self, contact: &str, news: &RegistrationEvent) {
        let Some(shared) = self.accounts.get_mut(contact) else { return };
        shared.told = Some(news.clone());
        for entry in shared.pages.iter().filter_map(|page| self.book.session(*page)) {
            entry.session.do_send(news.clone());
        }
    }

    fn registration_over(&mut self, contact: &str, ctx: &mut Context<Self>) {
        let Some(shared) = self.accounts.get_mut(contact) else { return };
        (shared.registration, shared.told, shared.mail) = (None, None, None);
        shared.service_route.clear();
        if shared.pages.is_empty() || self.stopping {
            return self.accounts.remove(contact);
        }
        // A page came while the registration took its leave.
        let account = shared.account.clone();
        if let Err(error) = self.register(account, contact, ctx) {
            let (info, last) = (error.to_string(), true);
            self.tell_pages(contact, &RegistrationEvent::Failed { info, sip_status: None, last });
        }
    }
}

impl Handler<RegistrationReport> for Switchboard {
    type Result = ();
    fn handle(&mut self, report: RegistrationReport, ctx: &mut Self::Context) {
        let RegistrationReport { contact_user: contact, event } = report;
        match event {
            RegistrationEvent::Registered => {
                self.tell_pages(&contact, &event);
                self.ask_for_mailbox(&contact, ctx);
            }
            RegistrationEvent::Failed { last, .. } => {
                self.tell_pages(&contact, &event);
                if last {
                    self.leave_mailbox(&contact);
                }
            }
            RegistrationEvent::Unregistering => {
                self.leave_mailbox(&contact);
                if let Some(shared) = self.accounts.get_mut(&contact) {
                    shared.told = None;
                    shared.service_route.clear();
                }
            }
            RegistrationEvent::ServiceRoute(route) => {
                if let Some(shared) = self.accounts.get_mut(&contact) {
                    shared.service_route = route;
                }
            }
            RegistrationEvent::Realm(realm) => {
                if let Some(shared) = self.accounts.get_mut(&contact) {
                    shared.realm = Some(realm);
                }
            }
            RegistrationEvent::Over => self.registration_over(&contact, ctx),
        }
    }
}
