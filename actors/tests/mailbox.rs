//! An account that subscribes to its mailbox (RFC 3842, RFC 6665), at a PBX that the test plays.
#![allow(clippy::unwrap_used)]
mod support;

use std::time::Duration;

use actors::handle::{Account, MailWaiting, SessionHandle, SipSettings, ToPage};
use sip::message::{HeaderName, Message, Method, Request, StatusCode};
use support::peer::UdpPeer;
use support::settings;
use support::switch::House;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(5);

async fn house() -> House {
    House::of(SipSettings { mailbox_subscribe: true, ..settings() }, true).await
}

async fn page(house: &House) -> (SessionHandle, Receiver<ToPage>) {
    let (tell, told) = channel(256);
    let account = Account { register: true, ..house.account() };
    (house.switch.open_session(Some(account), tell).await.unwrap(), told)
}

/// The next request of this method; REGISTERs that come before are granted.
async fn asked(pbx: &UdpPeer, method: Method) -> Request {
    loop {
        let Some(Message::Request(request)) = pbx.message(WAIT).await else { continue };
        if request.method == method {
            return request;
        }
        if request.method == Method::Register {
            let granted = request.response(StatusCode::OK).with_to_tag("r").unwrap();
            pbx.send(&granted.with_header(HeaderName::Expires, 600_u32).to_bytes()).await;
        }
    }
}

/// Grants a SUBSCRIBE for so long.
async fn grants(pbx: &UdpPeer, subscribe: &Request, seconds: u32) {
    let at = pbx.socket.local_addr().unwrap();
    let granted = subscribe.response(StatusCode::OK).with_to_tag("mailbox").unwrap();
    let contact: sip::message::NameAddr = format!("<sip:mailbox@{at}>").parse().unwrap();
    let granted = granted.with_header(HeaderName::Contact, contact).with_header(HeaderName::Expires, seconds);
    pbx.send(&granted.to_bytes()).await;
}

/// Tells of so many new messages in the dialog of a SUBSCRIBE; the code of the answer.
async fn notifies(pbx: &UdpPeer, subscribe: &Request, number: u32, state: &str, body: &str) -> u16 {
    let at = pbx.socket.local_addr().unwrap();
    let uri = &subscribe.headers.contacts().unwrap()[0].uri;
    let (from, to) =
        (subscribe.headers.to().unwrap().with_tag("mailbox").unwrap(), subscribe.headers.from().unwrap());
    let (call_id, branch) = (subscribe.headers.call_id().unwrap(), sip::message::random_branch());
    let text = format!(
        "NOTIFY {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\n\
         Call-ID: {call_id}\r\nCSeq: {number} NOTIFY\r\nContact: <sip:mailbox@{at}>\r\nEvent: message-summary\r\n\
         Subscription-State: {state}\r\nContent-Type: application/simple-message-summary\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    pbx.send(text.as_bytes()).await;
    loop {
        match pbx.message(WAIT).await {
            Some(Message::Response(response)) => return response.code.as_u16(),
            Some(_) => {}
            None => panic!("no answer to a NOTIFY"),
        }
    }
}

async fn told(page: &mut Receiver<ToPage>) -> MailWaiting {
    loop {
        if let ToPage::MailWaiting(mail) = timeout(WAIT, page.recv()).await.expect("mail").unwrap() {
            return mail;
        }
    }
}

const TWO: &str = "Messages-Waiting: yes\r\nVoice-Message: 2/8\r\n";

#[actix::test]
async fn an_account_asks_for_its_mailbox_refreshes_it_in_its_dialog_and_leaves_it_when_it_unregisters() {
    let house = house().await;
    let pbx = &house.phone;
    let (session, mut one) = page(&house).await;
    let subscribe = asked(pbx, Method::Subscribe).await;
    assert_eq!(subscribe.uri.to_string(), "sip:1001@127.0.0.1");
    assert_eq!(subscribe.headers.get(&HeaderName::Event), Some("message-summary"));
    assert_eq!(subscribe.headers.expires().unwrap(), Some(3600));
    let mut refused = subscribe.response(StatusCode::UNAUTHORIZED).with_to_tag("c").unwrap();
    refused
        .headers
        .push_text(HeaderName::WwwAuthenticate, "Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"")
        .unwrap();
    pbx.send(&refused.to_bytes()).await;
    let subscribe = asked(pbx, Method::Subscribe).await;
    assert!(subscribe.headers.has(&HeaderName::Authorization));
    // Before the response, as may be.
    assert_eq!(notifies(pbx, &subscribe, 1, "active;expires=4", "").await, 200);
    grants(pbx, &subscribe, 4).await;
    assert_eq!(notifies(pbx, &subscribe, 2, "active;expires=4", TWO).await, 200);
    let two = MailWaiting { waiting: true, account: None, new: 2, old: 8 };
    assert_eq!(told(&mut one).await, two);
    let (other, mut late) = page(&house).await;
    assert_eq!(told(&mut late).await, two, "who comes later hears the same");
    assert_eq!(notifies(pbx, &subscribe, 1, "active", TWO).await, 500, "an old number");
    assert_eq!(notifies(pbx, &subscribe, 3, "active", "hello").await, 400);

    let refresh = asked(pbx, Method::Subscribe).await;
    assert_eq!(refresh.headers.to().unwrap().tag(), Some("mailbox"));
    assert_eq!(refresh.headers.call_id().unwrap(), subscribe.headers.call_id().unwrap());
    assert!(refresh.headers.cseq().unwrap().number > subscribe.headers.cseq().unwrap().number);
    grants(pbx, &refresh, 600).await;
    drop((session, one, other, late));
    let last = asked(pbx, Method::Subscribe).await;
    assert_eq!(last.headers.expires().unwrap(), Some(0));
    assert_eq!(last.headers.to().unwrap().tag(), Some("mailbox"));
    grants(pbx, &last, 0).await;
    assert_eq!(
        notifies(pbx, &last, 4, "terminated;reason=timeout", TWO).await,
        200,
        "the last one is waited for"
    );
    house.shows("tandem_actors_alive{actor=\"mailbox\"} 0").await;
}

#[actix::test]
async fn a_subscription_that_the_pbx_forgot_or_ended_is_begun_anew() {
    let house = house().await;
    let pbx = &house.phone;
    let (_session, mut page) = page(&house).await;
    let first = asked(pbx, Method::Subscribe).await;
    grants(pbx, &first, 4).await;
    let refresh = asked(pbx, Method::Subscribe).await;
    pbx.send(&refresh.response(StatusCode::CALL_DOES_NOT_EXIST).to_bytes()).await;
    let second = asked(pbx, Method::Subscribe).await;
    assert_ne!(second.headers.call_id().unwrap(), first.headers.call_id().unwrap());
    assert_eq!(second.headers.to().unwrap().tag(), None);
    grants(pbx, &second, 600).await;
    assert_eq!(notifies(pbx, &first, 9, "active", TWO).await, 481, "the old one is over");
    assert_eq!(notifies(pbx, &second, 1, "terminated;reason=deactivated", TWO).await, 200);
    told(&mut page).await;
    let third = asked(pbx, Method::Subscribe).await;
    assert_ne!(third.headers.call_id().unwrap(), second.headers.call_id().unwrap());
}

#[actix::test]
async fn a_pbx_without_mailboxes_is_asked_once() {
    let house = house().await;
    let pbx = &house.phone;
    let (_session, _page) = page(&house).await;
    let subscribe = asked(pbx, Method::Subscribe).await;
    pbx.send(&subscribe.response(StatusCode::BAD_EVENT).to_bytes()).await;
    house.shows("tandem_actors_alive{actor=\"mailbox\"} 0").await;
    assert!(pbx.message(Duration::from_millis(300)).await.is_none());
}
