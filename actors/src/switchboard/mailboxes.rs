//! The mailboxes of accounts (RFC 3842): asked for while the account is registered, where the settings want that, and told to its pages.
use actix::{Actor, AsyncContext, Context, Handler};
use tracing::warn;

use super::{MAX_RINGING, Switchboard};
use crate::mailbox::{Mailbox, MailboxEndpoint, MailboxOrder, MailboxReport, StopMailbox};
use crate::page::ToPage;

impl Switchboard {
    /// The account is registered: subscribes, unless a subscription lives that outlasted a short trouble.
    pub(super) fn ask_for_mailbox(&mut self, contact: &str, ctx: &mut Context<Self>) {
        let Some(shared) = self.accounts.get_mut(contact).filter(|_| self.settings.sip.mailbox_subscribe)
        else {
            return;
        };
        if shared.mailbox.as_ref().is_some_and(|mailbox| mailbox.connected()) {
            return;
        }
        let endpoint = &self.sip.endpoint;
        let mailbox = shared.way().and_then(|way| {
            Mailbox::new(MailboxOrder {
                way,
                contact_user: contact.to_owned(),
                user_agent: self.settings.sip.user_agent.clone(),
                endpoint: MailboxEndpoint {
                    locate: endpoint.clone().recipient(),
                    send: endpoint.clone().recipient(),
                    respond: endpoint.clone().recipient(),
                    join: endpoint.clone().recipient(),
                    leave: endpoint.clone().recipient(),
                },
                owner: ctx.address().downgrade().recipient(),
                meters: self.sip.meters.clone(),
            })
        });
        match mailbox {
            Ok(mailbox) => shared.mailbox = Some(mailbox.start().recipient()),
            Err(error) => warn!(account = %shared.account.address(), %error, "no mailbox"),
        }
    }

    /// The account is no longer registered, or will not be in a moment.
    pub(super) fn leave_mailbox(&mut self, contact: &str) {
        let Some(shared) = self.accounts.get_mut(contact) else { return };
        shared.mail = None;
        if let Some(mailbox) = shared.mailbox.take() {
            mailbox.do_send(StopMailbox); // its last word
        }
    }
}

impl Handler<MailboxReport> for Switchboard {
    type Result = ();
    fn handle(&mut self, MailboxReport { contact_user, mail }: MailboxReport, _: &mut Self::Context) {
        let Some(shared) = self.accounts.get_mut(&contact_user) else { return };
        shared.mail = Some(mail.clone());
        // Pages of a PBX that talks too much hear the next word, or when they come again.
        if !shared.texts.take(super::texting::now()) {
            return;
        }
        for entry in shared.pages.iter().rev().take(MAX_RINGING).filter_map(|page| self.book.session(*page)) {
            let _ = entry.session.try_send(ToPage::MailWaiting(mail.clone())); // a page that is behind is no reason to wait
        }
    }
}
