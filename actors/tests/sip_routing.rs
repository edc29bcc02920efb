//! Who hears of what: consumer, owners of dialogs, nobody.
#![allow(clippy::unwrap_used)]
mod support;

use std::collections::HashSet;
use std::time::Duration;

use actix::{Actor, Addr};
use actors::sip::{
    Close, DialogKey, IncomingRequest, JoinDialog, LeaveDialog, Listening, Locate, LocateError, Respond,
    Serve, SipEndpoint, SipEvent, UsageNow,
};
use actors::vocabulary::Meters;
use sip::message::{HeaderName, Message, Method, Request, StatusCode, parse};
use sip::resolve::AddressPolicy;
use support::owner::Kept;
use support::peer::{UdpPeer, request, response};
use support::{house, settings};

const WAIT: Duration = Duration::from_millis(500);

/// An endpoint whose consumer only listens, and a phone that talks to it.
struct Scene {
    endpoint: Addr<SipEndpoint>,
    consumer: Kept<IncomingRequest>,
    phone: UdpPeer,
}

async fn scene() -> Scene {
    let endpoint = SipEndpoint::bind(&settings(), &Meters::new()).await.unwrap().start();
    let consumer: Kept<IncomingRequest> = Kept::start();
    endpoint.send(Serve(consumer.address.clone().recipient())).await.unwrap();
    let at = endpoint.send(Listening).await.unwrap()[0];
    Scene { endpoint, consumer, phone: UdpPeer::any(at).await }
}

impl Scene {
    /// The phone's INVITE, sent and taken by the consumer.
    async fn invite(&self) -> (Request, IncomingRequest) {
        let bytes = request("INVITE", "UDP", self.phone.socket.local_addr().unwrap(), "");
        self.phone.send(&bytes).await;
        let Ok(Message::Request(invite)) = parse(&bytes) else { panic!("a request") };
        (invite, self.consumer.next().await)
    }

    /// The phone sends `method` like `invite`, with this To tag and CSeq number.
    async fn send(&self, invite: &Request, method: Method, tag: Option<&str>, cseq: u32) {
        let mut request = invite.clone();
        if let Some(tag) = tag {
            request.headers.set(HeaderName::To, invite.headers.to().unwrap().with_tag(tag).unwrap());
        }
        if method != Method::Cancel {
            let mut via = invite.headers.top_via().unwrap();
            via.params.set("branch", &sip::message::random_branch()).unwrap();
            request.headers.set(HeaderName::Via, via);
        }
        request.headers.set(HeaderName::CSeq, sip::message::CSeq::new(cseq, method.clone()));
        request.method = method;
        self.phone.send(&request.to_bytes()).await;
    }

    async fn answer(&self) -> (u16, Method) {
        let response = response(&self.phone.bytes(WAIT).await.expect("an answer"));
        (response.code.as_u16(), response.headers.cseq().unwrap().method)
    }

    /// The consumer makes a dialog of an INVITE.
    async fn join(&self, incoming: &IncomingRequest, owner: &Kept<SipEvent>) -> DialogKey {
        let call_id = incoming.request.headers.call_id().unwrap().to_owned();
        let dialog = DialogKey { call_id, local_tag: "ours".into() };
        let join = JoinDialog { dialog: dialog.clone(), owner: owner.owner(), invite: Some(incoming.key) };
        self.endpoint.send(join).await.unwrap();
        dialog
    }

    async fn respond(&self, incoming: &IncomingRequest, code: StatusCode) {
        let response = incoming.request.response(code).with_to_tag("ours").unwrap();
        self.endpoint.send(Respond { key: incoming.key, response }).await.unwrap();
    }
}

#[actix::test]
async fn a_call_goes_from_the_consumer_to_its_owner_and_ends_with_481_for_the_rest() {
    let (scene, owner) = (scene().await, Kept::start());
    let (invite, incoming) = scene.invite().await;
    assert_eq!(incoming.hop.remote, scene.phone.socket.local_addr().unwrap());
    let dialog = scene.join(&incoming, &owner).await;
    scene.respond(&incoming, StatusCode::OK).await;
    assert_eq!(scene.answer().await, (200, Method::Invite));

    scene.send(&invite, Method::Ack, Some("ours"), 1).await;
    assert!(matches!(owner.next().await, SipEvent::Ack(_)));
    scene.send(&invite, Method::Bye, Some("ours"), 2).await;
    let SipEvent::Request { key, request } = owner.next().await else { panic!("a BYE") };
    scene.endpoint.send(Respond { key, response: request.response(StatusCode::OK) }).await.unwrap();
    assert_eq!(scene.answer().await, (200, Method::Bye));

    scene.endpoint.send(LeaveDialog(dialog)).await.unwrap();
    scene.send(&invite, Method::Bye, Some("ours"), 3).await;
    assert_eq!(scene.answer().await, (481, Method::Bye));
    assert_eq!(scene.endpoint.send(UsageNow).await.unwrap().dialogs, 0);
}

#[actix::test]
async fn a_cancel_is_answered_and_told_to_the_owner_also_if_it_came_before_him() {
    for early in [false, true] {
        let (scene, owner) = (scene().await, Kept::start());
        let (invite, incoming) = scene.invite().await;
        if !early {
            scene.join(&incoming, &owner).await;
        }
        scene.send(&invite, Method::Cancel, None, 1).await;
        assert_eq!(scene.answer().await, (200, Method::Cancel));
        if early {
            scene.join(&incoming, &owner).await;
        }
        assert!(matches!(owner.next().await, SipEvent::Cancelled { invite, .. } if invite == incoming.key));
        scene.respond(&incoming, StatusCode::REQUEST_TERMINATED).await;
        assert_eq!(scene.answer().await, (487, Method::Invite));
    }
}

#[actix::test]
async fn a_cancel_without_an_invite_hears_481() {
    let scene = scene().await;
    let bytes = request("CANCEL", "UDP", scene.phone.socket.local_addr().unwrap(), "");
    scene.phone.send(&bytes).await;
    assert_eq!(scene.answer().await, (481, Method::Cancel));
}

#[actix::test]
async fn a_dialog_whose_owner_died_hears_481() {
    let (scene, owner) = (scene().await, Kept::start());
    let (invite, incoming) = scene.invite().await;
    scene.join(&incoming, &owner).await;
    scene.respond(&incoming, StatusCode::OK).await;
    assert_eq!(scene.answer().await, (200, Method::Invite));
    drop(owner);
    tokio::time::sleep(Duration::from_millis(50)).await;
    scene.send(&invite, Method::Bye, Some("ours"), 2).await;
    assert_eq!(scene.answer().await, (481, Method::Bye));
    assert_eq!(scene.endpoint.send(UsageNow).await.unwrap().dialogs, 0);
}

#[actix::test]
async fn without_a_consumer_a_call_is_asked_to_come_later() {
    let endpoint = SipEndpoint::bind(&settings(), &Meters::new()).await.unwrap().start();
    let phone = UdpPeer::any(endpoint.send(Listening).await.unwrap()[0]).await;
    phone.send(&request("INVITE", "UDP", phone.socket.local_addr().unwrap(), "")).await;
    let answer = response(&phone.bytes(WAIT).await.unwrap());
    assert_eq!(answer.code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.retry_after().unwrap().is_some());
}

#[actix::test]
async fn a_denied_address_is_refused_before_anything_is_sent() {
    let mut settings = settings();
    settings.target_policy = AddressPolicy::default();
    let house = house(settings, Default::default(), StatusCode::BUSY_HERE).await;
    for target in [
        "sip:127.0.0.1",
        "sips:127.0.0.1",
        "sip:[::1]:5070",
        "sip:169.254.169.254",
        "sip:localhost:5060",
        "sip:x@0.0.0.0",
    ] {
        let located = house.endpoint.send(Locate { target: target.parse().unwrap() }).await.unwrap();
        assert!(matches!(located, Err(LocateError::Denied(_))), "{target}: {located:?}");
    }
    for target in ["sip:127.0.0.1;transport=sctp", "urn:x"] {
        let located = house.endpoint.send(Locate { target: target.parse().unwrap() }).await.unwrap();
        assert!(matches!(located, Err(LocateError::Unsupported(_))), "{target}: {located:?}");
    }
}

#[actix::test]
async fn a_closed_endpoint_frees_its_port() {
    let meters = Meters::new();
    let endpoint = SipEndpoint::bind(&settings(), &meters).await.unwrap().start();
    let listening = endpoint.send(Listening).await.unwrap();
    endpoint.send(Close).await.unwrap();
    for _ in 0..50 {
        if meters.text().contains("tandem_actors_alive{actor=\"sip_endpoint\"} 0") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut again = settings();
    again.listen = listening;
    SipEndpoint::bind(&again, &meters).await.unwrap();
}

#[actix::test]
async fn a_consumer_that_is_behind_costs_the_caller_a_503_and_nobody_is_forgotten() {
    let scene = scene().await;
    let from = scene.phone.socket.local_addr().unwrap();
    for _ in 0..600 {
        scene.phone.send(&request("INVITE", "UDP", from, "")).await;
        tokio::task::yield_now().await;
    }
    let mut refused = HashSet::new();
    while refused.len() < 88 {
        let answer = response(&scene.phone.bytes(WAIT).await.expect("a refusal for each beyond 512"));
        // The rest hears 100: the layer's own word, while the consumer sleeps.
        if answer.code != StatusCode::TRYING {
            assert_eq!(answer.code, StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers.has(&HeaderName::RetryAfter));
            refused.insert(answer.headers.call_id().unwrap().to_owned());
        }
    }
    let mut taken = 0;
    while !scene.consumer.is_empty() {
        scene.consumer.next().await;
        taken += 1;
    }
    assert_eq!(taken, 512);
}
