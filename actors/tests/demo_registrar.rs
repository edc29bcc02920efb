//! The demo's registrar and proxy, with real registrations and a phone that speaks digest.
#![allow(clippy::unwrap_used)]
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use actix::{Actor, Addr};
use actors::demo::machine::Service;
use actors::demo::registrar::{self, DemoCall, DemoTarget, Registrar};
use actors::registration::{
    Registration, RegistrationCommand, RegistrationEvent, RegistrationOrder, RegistrationReport,
};
use actors::sip::{Listening, SipEndpoint};
use actors::vocabulary::{Account, Meters, Secret};
use sip::auth::{Client, SentTo, Tries};
use sip::message::{
    CSeq, HeaderName, Message, Method, NameAddr, Request, Response, SipUri, StatusCode, parse,
};
use support::owner::Kept;
use support::peer::{UdpPeer, request, response};
use support::{House, house, settings};
use tokio::time::sleep;

/// A demo on a free port.
struct Demo {
    at: SocketAddr,
    calls: Kept<DemoCall>,
    _registrar: Addr<Registrar>,
}

/// A registration at the demo.
struct Registered {
    registration: Addr<Registration>,
    told: Kept<RegistrationReport>,
}

const WAIT: Duration = Duration::from_millis(500);

async fn demo() -> Demo {
    demo_at(0).await
}

async fn demo_at(port: u16) -> Demo {
    let meters = Meters::new();
    let endpoint = registrar::open(port, &meters).await.unwrap();
    let calls = Kept::start();
    let registrar = Registrar::serve(endpoint.clone(), calls.address.clone().recipient(), &meters);
    let at = endpoint.send(Listening).await.unwrap()[0];
    Demo { at, calls, _registrar: registrar }
}

async fn gateway() -> House {
    house(settings(), Default::default(), StatusCode::BUSY_HERE).await
}

fn register(endpoint: &Addr<SipEndpoint>, at: SocketAddr, login: &str, password: &str) -> Registered {
    let told = Kept::start();
    let order = RegistrationOrder {
        account: Account {
            login: login.into(),
            auth_name: login.into(),
            password: Secret::new(password),
            domain: "127.0.0.1".into(),
            outbound_proxy: None,
            port: Some(at.port()),
            register: true,
        },
        contact_user: format!("c{login}"),
        expires: Duration::from_secs(3600),
        locate: endpoint.clone().recipient(),
        send: endpoint.clone().recipient(),
        keep: endpoint.clone().recipient(),
        keep_alive: None,
        owner: told.address.downgrade().recipient(),
        meters: Meters::new(),
    };
    Registered { registration: Registration::new(order).unwrap().start(), told }
}

/// A phone of account `login` calls `callee`; the answer, after one challenge if there is one.
async fn call(demo: &Demo, login: &str, from: &str, callee: &str) -> Option<Response> {
    let peer = UdpPeer::any(demo.at).await;
    let bytes = request("INVITE", "UDP", peer.socket.local_addr().unwrap(), "");
    let Message::Request(mut invite) = parse(&bytes).unwrap() else { panic!("a request") };
    let home = SipUri::new("127.0.0.1".parse().unwrap());
    invite.uri = home.clone().with_user(callee).unwrap().into();
    let from = NameAddr::new(home.with_user(from).unwrap()).with_tag("phone").unwrap();
    invite.headers.set(HeaderName::From, from);
    let first = ask(&peer, &invite).await?;
    let mut client = Client::new(login, format!("demo{login}").as_str().into()).unwrap();
    if client.challenged(&mut Tries::default(), &invite, &first, SentTo::Home).is_err() {
        return Some(first);
    }
    let mut via = invite.headers.top_via().unwrap();
    via.params.set("branch", &sip::message::random_branch()).unwrap();
    invite.headers.set(HeaderName::Via, via);
    invite.headers.set(HeaderName::CSeq, CSeq::new(2, Method::Invite));
    client.authorize(&mut invite);
    ask(&peer, &invite).await
}

async fn ask(peer: &UdpPeer, request: &Request) -> Option<Response> {
    peer.send(&request.to_bytes()).await;
    loop {
        let response = response(&peer.bytes(WAIT).await?);
        let is_ours = response.headers.cseq().unwrap() == request.headers.cseq().unwrap();
        if is_ours && response.code.is_final() {
            return Some(response);
        }
    }
}

#[actix::test]
async fn an_account_registers_is_called_and_leaves() {
    let (demo, gateway) = (demo().await, gateway().await);
    let account = register(&gateway.endpoint, demo.at, "1001", "demo1001");
    assert_eq!(account.told.next().await.event, RegistrationEvent::Realm("tandem-demo".into()));
    assert_eq!(account.told.next().await.event, RegistrationEvent::Registered);
    assert!(call(&demo, "1002", "1002", "1001").await.is_none(), "the call waits for its taker");
    let DemoCall { caller, target, .. } = demo.calls.next().await;
    let contact = format!("sip:c1001@{}", gateway.at).parse().unwrap();
    assert_eq!((caller.as_str(), target), ("1002", DemoTarget::Account(contact)));
    account.registration.send(RegistrationCommand::Unregister).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    let gone = call(&demo, "1002", "1002", "1001").await.unwrap();
    assert_eq!(gone.code, StatusCode::TEMPORARILY_UNAVAILABLE);
}

#[actix::test]
async fn a_wrong_password_and_a_strange_account_fail_for_good_and_alike() {
    let (demo, gateway) = (demo().await, gateway().await);
    for (login, password) in [("1001", "demo1002"), ("2001", "demo2001")] {
        let told = register(&gateway.endpoint, demo.at, login, password).told.next().await.event;
        assert!(
            matches!(told, RegistrationEvent::Failed { sip_status: Some(401), last: true, .. }),
            "{told:?}"
        );
    }
}

#[actix::test]
async fn services_can_be_called_by_whoever_proves_who_he_is() {
    let demo = demo().await;
    assert!(call(&demo, "1003", "1003", "echo").await.is_none());
    assert_eq!(demo.calls.next().await.target, DemoTarget::Service(Service::Echo));
    let refused = |response: Option<Response>| response.map(|response| response.code.as_u16());
    assert_eq!(refused(call(&demo, "1003", "1004", "echo").await), Some(403));
    assert_eq!(refused(call(&demo, "1003", "1003", "nobody").await), Some(404));
    assert_eq!(refused(call(&demo, "2003", "2003", "echo").await), Some(407));
    assert!(demo.calls.is_empty());
}

#[actix::test]
async fn an_account_is_registered_within_five_seconds_of_its_registrar_coming_up() {
    let gateway = gateway().await;
    let at = demo().await.at; // a port that was free; nobody is there any more
    sleep(Duration::from_millis(100)).await;
    let account = register(&gateway.endpoint, at, "1001", "demo1001");
    sleep(Duration::from_secs(4)).await;
    let away = account.told.next().await.event;
    assert!(matches!(away, RegistrationEvent::Failed { sip_status: None, last: false, .. }), "{away:?}");
    let _demo = demo_at(at.port()).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(account.told.next().await.event, RegistrationEvent::Realm("tandem-demo".into()));
    assert_eq!(account.told.next().await.event, RegistrationEvent::Registered);
}
