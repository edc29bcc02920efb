//! A registration seen from outside: a registrar that the test plays, in virtual time.
#![allow(clippy::unwrap_used)]
#[path = "registration/lost_and_found.rs"]
mod lost_and_found;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use actors::registration::{
    Registration, RegistrationCommand, RegistrationEvent, RegistrationOrder, RegistrationReport,
};
use actors::sip::{Hop, KeepAlive, Locate, LocateError, SendRequest, SipEvent, Transport};
use actors::vocabulary::{Account, Meters, Secret};
use sip::message::{HeaderName, Request, Response, StatusCode, Uri};
use tokio::time::sleep;

/// What the registrar does with the next REGISTER.
type Script = Box<dyn Fn(&Request) -> Option<Response>>;

/// Plays the endpoint and the registrar behind it, and keeps what it saw.
struct Registrar {
    script: Rc<RefCell<Script>>,
    seen: Rc<RefCell<Vec<Request>>>,
    hops: Result<Vec<Hop>, LocateError>,
    network: Rc<Cell<bool>>,
    kept: Rc<Cell<usize>>,
}

/// Keeps what the registration tells.
struct Owner(Rc<RefCell<Vec<RegistrationEvent>>>);

/// A registration between the two.
struct Stage {
    registration: Option<Addr<Registration>>,
    script: Rc<RefCell<Script>>,
    seen: Rc<RefCell<Vec<Request>>>,
    told: Rc<RefCell<Vec<RegistrationEvent>>>,
    /// Whether requests reach anybody.
    network: Rc<Cell<bool>>,
    /// Keep-alives asked for so far.
    kept: Rc<Cell<usize>>,
    meters: Meters,
    owner: Option<Addr<Owner>>,
}

impl Actor for Registrar {
    type Context = Context<Self>;
}

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Handler<Locate> for Registrar {
    type Result = Result<Vec<Hop>, LocateError>;
    fn handle(&mut self, _: Locate, _: &mut Self::Context) -> Self::Result {
        self.hops.clone()
    }
}

impl Handler<SendRequest> for Registrar {
    type Result = ();
    fn handle(&mut self, ask: SendRequest, _: &mut Self::Context) {
        let event = match self.network.get() {
            false => Some(SipEvent::TransportFailed(ask.id)),
            true => {
                let response = (self.script.borrow())(&ask.request);
                response.map(|response| SipEvent::Response { id: ask.id, response })
            }
        };
        self.seen.borrow_mut().push(ask.request);
        if let (Some(event), Some(owner)) = (event, ask.owner.upgrade()) {
            owner.do_send(event);
        }
    }
}

impl Handler<KeepAlive> for Registrar {
    type Result = bool;
    fn handle(&mut self, ask: KeepAlive, _: &mut Self::Context) -> bool {
        assert_eq!(ask.every, KEEP_ALIVE);
        self.kept.set(self.kept.get() + 1);
        self.network.get()
    }
}

impl Handler<RegistrationReport> for Owner {
    type Result = ();
    fn handle(&mut self, report: RegistrationReport, _: &mut Self::Context) {
        assert_eq!(report.contact_user, "c0ffee");
        self.0.borrow_mut().push(report.event);
    }
}

const KEEP_ALIVE: Duration = Duration::from_secs(25);

fn hop() -> Hop {
    Hop {
        transport: Transport::Udp,
        remote: "192.0.2.1:5060".parse().unwrap(),
        contact: "192.0.2.9:5060".parse().unwrap(),
        local_ip: "192.0.2.9".parse().unwrap(),
        server_name: None,
        flow: None,
    }
}

fn stage(
    hops: Result<Vec<Hop>, LocateError>,
    script: impl Fn(&Request) -> Option<Response> + 'static,
) -> Stage {
    stage_of(account(None), hops, script)
}

fn account(outbound_proxy: Option<&str>) -> Account {
    Account {
        login: "1001".into(),
        auth_name: "1001".into(),
        password: Secret::new("secret"),
        domain: "pbx.example.org".into(),
        outbound_proxy: outbound_proxy.map(str::to_owned),
        port: None,
        register: true,
    }
}

fn stage_of(
    account: Account,
    hops: Result<Vec<Hop>, LocateError>,
    script: impl Fn(&Request) -> Option<Response> + 'static,
) -> Stage {
    tokio::time::pause();
    let script: Rc<RefCell<Script>> = Rc::new(RefCell::new(Box::new(script)));
    let (seen, told, meters) = (Rc::default(), Rc::default(), Meters::new());
    let (network, kept) = (Rc::new(Cell::new(true)), Rc::<Cell<usize>>::default());
    let registrar = Registrar {
        script: script.clone(),
        seen: Rc::clone(&seen),
        hops,
        network: network.clone(),
        kept: kept.clone(),
    }
    .start();
    let owner = Owner(Rc::clone(&told)).start();
    let order = RegistrationOrder {
        account,
        contact_user: "c0ffee".into(),
        expires: Duration::from_secs(3600),
        locate: registrar.clone().recipient(),
        send: registrar.clone().recipient(),
        keep: registrar.recipient(),
        keep_alive: Some(KEEP_ALIVE),
        owner: owner.downgrade().recipient(),
        meters: meters.clone(),
    };
    let registration = Some(Registration::new(order).unwrap().start());
    Stage { registration, script, seen, told, network, kept, meters, owner: Some(owner) }
}

impl Stage {
    fn told(&self) -> Vec<RegistrationEvent> {
        self.told.borrow().clone()
    }

    fn sent(&self) -> usize {
        self.seen.borrow().len()
    }

    fn now_plays(&self, script: impl Fn(&Request) -> Option<Response> + 'static) {
        *self.script.borrow_mut() = Box::new(script);
    }

    fn alive(&self) -> bool {
        self.meters.text().contains("tandem_actors_alive{actor=\"registration\"} 1")
    }
}

fn ok(request: &Request) -> Option<Response> {
    let mut response = request.response(StatusCode::OK);
    response.headers.copy_from(&request.headers, &HeaderName::Contact);
    response.headers.copy_from(&request.headers, &HeaderName::Expires);
    Some(response)
}

fn says(code: u16) -> impl Fn(&Request) -> Option<Response> {
    move |request| Some(request.response(StatusCode::try_from(code).unwrap()))
}

/// 401 for REGISTERs without credentials, else what `then` says.
fn challenges(then: fn(&Request) -> Option<Response>) -> impl Fn(&Request) -> Option<Response> {
    move |request| match request.headers.has(&HeaderName::Authorization) {
        true => then(request),
        false => challenge(request),
    }
}

fn challenge(request: &Request) -> Option<Response> {
    let mut response = request.response(StatusCode::UNAUTHORIZED);
    response
        .headers
        .push_text(HeaderName::WwwAuthenticate, "Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"")
        .unwrap();
    Some(response)
}

/// Long enough for what needs no timer.
const MOMENT: Duration = Duration::from_millis(10);

#[actix::test]
async fn an_account_keeps_its_call_id_and_contact_and_counts_its_cseq() {
    let stage = stage(Ok(vec![hop()]), challenges(ok));
    sleep(MOMENT).await;
    assert_eq!(stage.told(), [RegistrationEvent::Realm("pbx".into()), RegistrationEvent::Registered]);
    sleep(Duration::from_secs(3600)).await; // at least one refresh
    let seen = stage.seen.borrow();
    assert!(seen.len() >= 3, "{}", seen.len());
    let first = &seen[0];
    assert_eq!(first.uri, "sip:pbx.example.org".parse::<Uri>().unwrap());
    let contact = first.headers.get(&HeaderName::Contact).unwrap();
    assert!(contact.starts_with("<sip:c0ffee@192.0.2.9:5060>;+sip.instance=\"<urn:uuid:"), "{contact}");
    for (number, request) in (1..).zip(seen.iter()) {
        assert_eq!(request.headers.cseq().unwrap().number, number);
        for name in [HeaderName::CallId, HeaderName::From, HeaderName::Contact] {
            assert_eq!(request.headers.get(&name), first.headers.get(&name));
        }
    }
    // The refresh carries the credentials at once.
    assert!(seen[2].headers.has(&HeaderName::Authorization));
}

#[actix::test]
async fn a_register_by_way_of_an_outbound_proxy_names_it_in_a_route() {
    for (proxy, route, uri) in [
        (Some("edge.example.org"), Some("<sip:edge.example.org;lr>"), "sip:pbx.example.org"),
        (Some("pbx.example.org"), None, "sip:pbx.example.org"),
        (None, None, "sip:pbx.example.org"),
    ] {
        let stage = stage_of(account(proxy), Ok(vec![hop()]), challenges(ok));
        sleep(MOMENT).await;
        let seen = stage.seen.borrow();
        assert_eq!(seen.len(), 2);
        tokio::time::resume();
        for request in seen.iter() {
            assert_eq!(
                (request.headers.get(&HeaderName::Route), &*request.uri.to_string()),
                (route, uri),
                "{proxy:?}"
            );
        }
    }
}

#[actix::test]
async fn a_refresh_comes_before_the_granted_time_ends() {
    let stage = stage(Ok(vec![hop()]), |request| {
        Some(ok(request)?.with_header(HeaderName::Server, "x")).map(|mut response| {
            response.headers.remove(&HeaderName::Contact);
            response.headers.set(HeaderName::Expires, 50_u32);
            response
        })
    });
    sleep(Duration::from_secs(34)).await;
    assert_eq!(stage.sent(), 1);
    sleep(Duration::from_secs(7)).await;
    assert_eq!(stage.sent(), 2);
}

#[actix::test]
async fn a_second_challenge_is_the_last_word() {
    let stage = stage(Ok(vec![hop()]), challenge);
    sleep(MOMENT).await;
    let told = stage.told();
    assert!(
        matches!(&told[..], [RegistrationEvent::Failed { sip_status: Some(401), last: true, .. }]),
        "{told:?}"
    );
    sleep(Duration::from_secs(100)).await;
    assert_eq!((stage.sent(), stage.told().len()), (2, 1));
}

#[actix::test]
async fn a_silent_registrar_is_told_within_five_seconds_and_tried_again() {
    let stage = stage(Ok(vec![hop()]), |_| None);
    sleep(Duration::from_secs(5)).await;
    let told = stage.told();
    assert!(
        matches!(&told[..], [RegistrationEvent::Failed { sip_status: None, last: false, .. }]),
        "{told:?}"
    );
    stage.now_plays(ok);
    sleep(Duration::from_secs(60)).await; // the lost time-out of Timer F is made up for
    assert_eq!(stage.told().last(), Some(&RegistrationEvent::Registered));
}

#[actix::test]
async fn a_registrar_that_is_back_has_its_account_back_within_five_seconds() {
    let stage = stage(Ok(vec![hop()]), says(500));
    sleep(Duration::from_secs(120)).await;
    assert_eq!(stage.told().len(), 1);
    stage.now_plays(challenges(ok));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(stage.told().last(), Some(&RegistrationEvent::Registered));
    assert!(stage.meters.text().contains("tandem_registrations_active 1"));
}

#[actix::test]
async fn a_host_that_does_not_exist_is_told_and_tried_again() {
    let stage = stage(Err(LocateError::NoSuchHost("pbx.example.org".into())), ok);
    sleep(Duration::from_secs(5)).await;
    let told = stage.told();
    assert!(
        matches!(&told[..], [RegistrationEvent::Failed { sip_status: None, last: false, .. }]),
        "{told:?}"
    );
    assert!(stage.meters.text().contains("tandem_registration_failures_total{code=\"dns\"}"));
}

#[actix::test]
async fn the_end_unregisters_with_credentials_and_leaves_nothing() {
    let mut stage = stage(Ok(vec![hop()]), challenges(ok));
    sleep(MOMENT).await;
    let registration = stage.registration.take().unwrap();
    registration.do_send(RegistrationCommand::Unregister);
    drop(registration);
    sleep(MOMENT).await;
    let seen = stage.seen.borrow();
    let last = seen.last().unwrap();
    assert_eq!(last.headers.get(&HeaderName::Expires), Some("0"));
    assert!(last.headers.has(&HeaderName::Authorization));
    assert!(!stage.alive());
    assert!(stage.meters.text().contains("tandem_registrations_active 0"));
}

#[actix::test]
async fn the_end_does_not_wait_for_a_silent_registrar() {
    let mut stage = stage(Ok(vec![hop()]), ok);
    sleep(MOMENT).await;
    stage.now_plays(|_| None);
    let registration = stage.registration.take().unwrap();
    registration.do_send(RegistrationCommand::Unregister);
    drop(registration);
    sleep(Duration::from_millis(1900)).await;
    assert!(stage.alive());
    sleep(Duration::from_millis(200)).await;
    assert!(!stage.alive());
}

#[actix::test]
async fn an_account_whose_session_fell_without_a_word_is_unregistered_in_time() {
    let mut stage = stage(Ok(vec![hop()]), ok);
    sleep(MOMENT).await;
    (stage.owner, stage.registration) = (None, None);
    sleep(Duration::from_secs(3600)).await;
    assert!(!stage.alive());
    assert_eq!(stage.seen.borrow().last().unwrap().headers.get(&HeaderName::Expires), Some("0"));
}

#[actix::test]
async fn the_way_to_the_registrar_is_kept_open_while_the_account_is_registered() {
    let stage = stage(Ok(vec![hop()]), says(500));
    sleep(Duration::from_secs(100)).await;
    assert_eq!(stage.kept.get(), 0, "nothing is registered yet");
    stage.now_plays(ok);
    sleep(Duration::from_secs(110)).await;
    assert_eq!((stage.kept.get(), stage.told().len()), (4, 2));
    let sent = stage.sent();
    stage.network.set(false);
    sleep(Duration::from_secs(26)).await;
    assert!(stage.sent() > sent, "a lost way is opened again at once, an hour before the refresh");
    let kept = stage.kept.get();
    sleep(Duration::from_secs(100)).await;
    assert_eq!(stage.kept.get(), kept, "nothing to keep");
    stage.registration.as_ref().unwrap().do_send(RegistrationCommand::Unregister);
    sleep(Duration::from_secs(100)).await;
    assert!(!stage.alive());
}
