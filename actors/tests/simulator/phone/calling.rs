//! The phone calls.
use sip::dialog::Dialog;
use sip::message::{HeaderName, Method, NameAddr, Request, Response, Uri, random_call_id};
use sip::transaction::ClientKey;

use super::super::{now, pick};
use super::{Phone, Plan};

impl Phone {
    /// Calls a user of the house.
    pub fn call(&mut self, user: &str) {
        let uri: Uri = format!("sip:{user}@{}", self.flow.remote).parse().unwrap();
        let from = NameAddr::new(format!("sip:phone@{}", self.flow.local).parse::<Uri>().unwrap());
        let to = NameAddr::new(uri.clone());
        let from = from.with_tag(&self.tag).unwrap();
        let mut invite = Request::new(Method::Invite, uri, from, to, &random_call_id(), 1).unwrap();
        invite.headers.push(HeaderName::Contact, self.contact());
        invite.headers.push_text(HeaderName::Supported, "timer, 100rel").unwrap();
        if !self.manner.session.is_empty() {
            let asks = pick(&mut self.dice, &["90", "1800", "20"]);
            invite.headers.push_text(HeaderName::SessionExpires, asks).unwrap();
        }
        if self.dice.percent(15) {
            invite.headers.push_text(HeaderName::Require, "100rel").unwrap();
        }
        if !self.dice.percent(15) {
            let kind = if self.dice.percent(95) { "good" } else { "bad" };
            invite = invite.with_body("application/sdp", self.sdp("sendrecv", kind));
        }
        self.manner.deaf = false;
        let sent_by = self.flow.local.into();
        let key = self.layer.send_request(now(), invite.clone(), self.flow, sent_by).unwrap();
        self.calling = Some((key, invite));
        self.story.acted("the phone calls");
        if self.dice.percent(35) {
            let span = pick(&mut self.dice, &[50, 2_000, 20_000]);
            let after = self.dice.ms(span);
            self.plan(after, Plan::Cancel);
        }
    }

    pub(super) fn heard(&mut self, key: ClientKey, response: &Response) {
        self.story.heard(&format!("{} at the phone", response.code.as_u16()));
        let reinvite = self.reinviting.as_ref().is_some_and(|(known, _)| *known == key);
        let Some((_, invite)) =
            [&self.calling, &self.reinviting].into_iter().flatten().find(|(known, _)| *known == key).cloned()
        else {
            return;
        };
        if !response.code.is_final() {
            return self.acknowledge_ringing(&invite, response);
        }
        if let Some(dialog) = self.dialog.as_mut().filter(|_| reinvite) {
            let _ = dialog.concluded(&Method::Invite, Some(response));
        }
        if !response.code.is_success() {
            if reinvite {
                self.reinviting = None;
            }
            return;
        }
        if !reinvite && self.dialog.is_none() {
            self.dialog = Dialog::uac(&invite, response).ok();
        }
        if !self.dice.percent(self.manner.acknowledges) {
            return; // lost, or never sent
        }
        let answer = match (invite.body.is_empty(), self.dice.percent(85)) {
            (true, true) => Some(self.sdp("sendrecv", "good").into()),
            _ => None,
        };
        let Some(dialog) = &mut self.dialog else { return };
        let mut ack = dialog.ack(&invite, answer);
        self.layer.send_ack(&mut ack, self.flow, self.flow.local.into());
        self.story.acted("the phone sends ACK");
        self.reinviting = self.reinviting.take().filter(|_| !reinvite);
        self.talk();
    }

    fn acknowledge_ringing(&mut self, invite: &Request, response: &Response) {
        let Some(rseq) = response.headers.get(&HeaderName::RSeq).map(str::to_owned) else { return };
        if !self.dice.percent(80) {
            return;
        }
        let Ok(mut early) = Dialog::uac(invite, response) else { return };
        let mut prack = early.request(Method::Prack);
        prack.headers.push_text(HeaderName::RAck, &format!("{rseq} 1 INVITE")).unwrap();
        let _ = self.layer.send_request(now(), prack, self.flow, self.flow.local.into());
    }
}
