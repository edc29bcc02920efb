//! What a registrar says holds for the account's calls: by which proxy they go (RFC 3608), and in which realm they have credentials.
#![allow(clippy::unwrap_used)]
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use actors::handle::{Account, Additions, CallId, CallStatus, FromPage, PlaceCall, SessionHandle, ToPage};
use sip::message::{HeaderName, Message, Method, Request, StatusCode};
use support::peer::UdpPeer;
use support::switch::House;
use tokio::sync::mpsc::{Receiver, channel};

const WAIT: Duration = Duration::from_secs(2);

/// A page of an account that registers at the house's phone, by way of `proxy` if there is one.
async fn page(house: &House, proxy: Option<SocketAddr>) -> (SessionHandle, Receiver<ToPage>) {
    let account = Account {
        register: true,
        domain: "pbx.test".into(),
        outbound_proxy: proxy.map(|proxy| proxy.ip().to_string()),
        ..house.account()
    };
    let account = if proxy.is_none() { Account { domain: "127.0.0.1".into(), ..account } } else { account };
    let (tell, told) = channel(256);
    (house.switch.open_session(Some(account), tell).await.unwrap(), told)
}

/// The next request at `peer`.
async fn asked(peer: &UdpPeer, method: Method) -> Request {
    loop {
        if let Some(Message::Request(request)) = peer.message(WAIT).await
            && request.method == method
        {
            return request;
        }
    }
}

/// The registrar grants, with these routers.
async fn grants(house: &House, routers: &str) {
    let register = asked(&house.phone, Method::Register).await;
    assert_eq!(register.headers.get(&HeaderName::Supported), Some("path"));
    let mut granted = register.response(StatusCode::OK).with_to_tag("r").unwrap();
    granted.headers.push_text(HeaderName::Expires, "60").unwrap();
    granted.headers.push_text(HeaderName::Path, "<sip:edge.test;lr>").unwrap();
    if !routers.is_empty() {
        granted.headers.push_text(HeaderName::ServiceRoute, routers).unwrap();
    }
    house.phone.send(&granted.to_bytes()).await;
}

async fn calls(session: &SessionHandle, told: &mut Receiver<ToPage>) {
    while !matches!(told.recv().await, Some(ToPage::Registered)) {}
    assert!(session.tell(FromPage::Call(PlaceCall {
        call_id: CallId::random(),
        callee: "1002".into(),
        visible_name: None,
        sdp: include_str!("sdp/offer-audio.sdp").to_owned(),
        additions: Additions::default(),
    })));
}

fn routes(invite: &Request) -> Vec<String> {
    invite.headers.all(&HeaderName::Route).map(str::to_owned).collect()
}

#[actix::test]
async fn calls_go_to_the_first_router_that_the_registrar_named() {
    let house = House::new().await;
    let edge = UdpPeer::any(house.phone.to).await;
    let at = edge.socket.local_addr().unwrap();
    let (session, mut told) = page(&house, None).await;
    grants(&house, &format!("<sip:orig@{at};lr>, <sip:core.test;lr>")).await;
    calls(&session, &mut told).await;
    let invite = asked(&edge, Method::Invite).await;
    assert_eq!(routes(&invite), [format!("<sip:orig@{at};lr>"), "<sip:core.test;lr>".to_owned()]);
    assert_eq!(invite.uri.to_string(), "sip:1002@127.0.0.1");
}

#[actix::test]
async fn calls_of_an_account_with_an_outbound_proxy_go_there_first() {
    let house = House::new().await;
    let proxy = house.phone.socket.local_addr().unwrap();
    let (session, mut told) = page(&house, Some(proxy)).await;
    grants(&house, "<sip:core.test;lr>").await;
    calls(&session, &mut told).await;
    let invite = asked(&house.phone, Method::Invite).await;
    assert_eq!(routes(&invite), [format!("<sip:{proxy};lr>"), "<sip:core.test;lr>".to_owned()]);
}

#[actix::test]
async fn a_strict_router_is_not_followed_and_calls_go_to_the_pbx() {
    let house = House::new().await;
    let (session, mut told) = page(&house, None).await;
    grants(&house, "<sip:core.test>").await;
    calls(&session, &mut told).await;
    assert_eq!(routes(&asked(&house.phone, Method::Invite).await), [""; 0]);
}

/// Challenges a request in this realm.
async fn challenges(house: &House, request: &Request, realm: &str) {
    let mut refused = request.response(StatusCode::UNAUTHORIZED).with_to_tag("c").unwrap();
    let value = format!("Digest realm=\"{realm}\", nonce=\"n-{realm}\", qop=\"auth\"");
    refused.headers.push_text(HeaderName::WwwAuthenticate, &value).unwrap();
    house.phone.send(&refused.to_bytes()).await;
}

/// A callee's challenge comes back through the PBX: whoever is called could so collect hashes to guess the password from.
#[actix::test]
async fn credentials_never_go_to_a_realm_that_is_not_the_registrars() {
    for realm in ["pbx", "evil"] {
        let house = House::new().await;
        let (session, mut told) = page(&house, None).await;
        let register = asked(&house.phone, Method::Register).await;
        challenges(&house, &register, "pbx").await;
        grants(&house, "").await;
        calls(&session, &mut told).await;
        let invite = asked(&house.phone, Method::Invite).await;
        challenges(&house, &invite, realm).await;
        if realm == "pbx" {
            let again = asked(&house.phone, Method::Invite).await;
            assert!(again.headers.get(&HeaderName::Authorization).unwrap().contains("realm=\"pbx\""));
        } else {
            while !matches!(told.recv().await, Some(ToPage::CallStatus(_, CallStatus::Failed(why))) if why.sip_code == Some(401))
            {
            }
            assert_eq!(
                asked(&house.phone, Method::Ack).await.headers.all(&HeaderName::Authorization).count(),
                0
            );
            let mut more = house.phone.message(Duration::from_millis(300)).await;
            while let Some(Message::Request(request)) = more {
                assert!(!request.headers.has(&HeaderName::Authorization), "{request:?}");
                more = house.phone.message(Duration::from_millis(300)).await;
            }
        }
    }
}
