//! The registrar and proxy of `tandem demo`: a real SIP peer on loopback, for first steps and smoke tests.
//!
//! | request | answer |
//! |---|---|
//! | REGISTER without credentials of an account | 401 |
//! | REGISTER for another account than the credentials' | 403 |
//! | REGISTER for less than 10 s, more than 0 | 423 |
//! | any other REGISTER | 200 with the account's contacts |
//! | INVITE without credentials of an account | 407 |
//! | INVITE in another account's name | 403 |
//! | INVITE to a service, or to an account that is registered | handed over as [`DemoCall`] |
//! | INVITE to an account that is not registered; to anybody else | 480; 404 |
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler, Message, Recipient};
use sip::auth::{Secret, Verdict, Verifier};
use sip::message::{HeaderName, Method, NameAddr, Request, Response, StatusCode, Uri};
use sip::resolve::AddressPolicy;
use sip::sdp::SrtpPolicy;
use sip::transaction::ServerKey;

use super::bindings::{BindError, Bindings, MIN_EXPIRES, list};
use super::machine::Service;
use crate::sip::{Close, Hop, IncomingRequest, Respond, Serve, SipEndpoint};
use crate::vocabulary::{Alive, HeaderRules, Meters, ReferPolicy, SipSettings, TlsSettings};

/// An authenticated INVITE that is to become a call. Whoever takes it answers it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DemoCall {
    /// The INVITE's transaction at the demo's own endpoint.
    pub key: ServerKey,
    /// The INVITE.
    pub request: Request,
    /// How the demo looks from the caller.
    pub hop: Hop,
    /// The account that calls.
    pub caller: String,
    /// Whom.
    pub target: DemoTarget,
}

/// Who can be called at the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DemoTarget {
    /// An answering machine.
    Service(Service),
    /// An account, at the Contact that it registered last.
    Account(Uri),
}

/// The actor.
pub struct Registrar {
    endpoint: Addr<SipEndpoint>,
    calls: Recipient<DemoCall>,
    verifier: Verifier,
    bindings: Bindings,
    _alive: Alive,
}

/// The demo's accounts.
pub const ACCOUNTS: RangeInclusive<u16> = 1001..=1009;
/// Where the demo's registrar listens.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5070);
const REALM: &str = "tandem-demo";
/// How long a nonce lives: some refreshes long, so that a phone rarely needs a second try.
const NONCE_LIFE: Duration = Duration::from_secs(300);

/// Requests that wait while one is checked, which takes some 20 µs; more hear 503 from the endpoint.
const MAILBOX: usize = 1024;

/// The password of a demo account: `demo` and its number.
pub fn password(account: &str) -> Option<Secret> {
    let number: u16 = account.parse().ok().filter(|number| ACCOUNTS.contains(number))?;
    (number.to_string() == account).then(|| Secret::new(format!("demo{number}")))
}

/// Opens the demo's own endpoint, on loopback and nowhere else: `port` is 5070 but for tests.
///
/// # Errors
/// The system's word, with the address in front.
pub async fn open(port: u16, meters: &Meters) -> io::Result<Addr<SipEndpoint>> {
    let settings = SipSettings {
        listen: vec![SocketAddr::new(ADDRESS.ip(), port)],
        advertised_address: None,
        user_agent: concat!("Tandem-demo/", env!("CARGO_PKG_VERSION")).to_owned(),
        dns_servers: vec![],
        target_policy: AddressPolicy::allow_all(), // its phones are on loopback
        register_expires: Duration::from_secs(600),
        keep_alive: None,
        mailbox_subscribe: false,
        tls: TlsSettings::default(),
        refer_policy: ReferPolicy::Off,
        srtp: SrtpPolicy::Off, // the dialogs of its machines follow the house's
        page_headers: HeaderRules::default(),
    };
    Ok(SipEndpoint::bind(&settings, meters).await?.as_registrar().start())
}

impl Registrar {
    /// Starts the registrar at `endpoint`; calls go to `calls`. It must be kept: the endpoint holds it weakly.
    pub fn serve(endpoint: Addr<SipEndpoint>, calls: Recipient<DemoCall>, meters: &Meters) -> Addr<Self> {
        let registrar = Self {
            endpoint: endpoint.clone(),
            calls,
            verifier: Verifier::new(REALM, NONCE_LIFE),
            bindings: Bindings::default(),
            _alive: meters.alive("demo_registrar"),
        }
        .start();
        endpoint.do_send(Serve(registrar.clone().recipient()));
        registrar
    }

    fn register(&mut self, request: &Request, now: Instant) -> Response {
        let user = match self.verifier.verify(request, password, now) {
            Verdict::Accepted(user) => user,
            verdict => return self.verifier.challenge(request, verdict == Verdict::Stale, now),
        };
        if !request.headers.to().is_ok_and(|to| is_account(&to, &user)) {
            return request.response(StatusCode::FORBIDDEN);
        }
        match self.bindings.register(&user, &request.headers, now) {
            Ok(()) => {
                let mut response = request.response(StatusCode::OK);
                list(&mut response.headers, self.bindings.contacts(&user, now));
                response
            }
            Err(BindError::TooBrief) => {
                let seconds = u32::try_from(MIN_EXPIRES.as_secs()).expect("a constant of some seconds");
                request.response(StatusCode::INTERVAL_TOO_BRIEF).with_header(HeaderName::MinExpires, seconds)
            }
            Err(BindError::Full) => request.response(StatusCode::SERVICE_UNAVAILABLE),
            Err(BindError::Malformed(why)) => {
                let response = request.response(StatusCode::BAD_REQUEST);
                response.clone().with_reason(why).unwrap_or(response)
            }
        }
    }

    /// Whom an INVITE is for and who calls, or the answer to it.
    fn route(&mut self, request: &Request, now: Instant) -> Result<(String, DemoTarget), Box<Response>> {
        let answer = |code| Err(Box::new(request.response(code)));
        let caller = match self.verifier.verify(&as_if_to_a_server(request), password, now) {
            Verdict::Accepted(user) => user,
            verdict => return Err(Box::new(self.proxy_challenge(request, verdict == Verdict::Stale, now))),
        };
        if !request.headers.from().is_ok_and(|from| is_account(&from, &caller)) {
            return answer(StatusCode::FORBIDDEN);
        }
        let callee = request.uri.user().unwrap_or_default();
        if let Some(service) = Service::named(&callee) {
            return Ok((caller, DemoTarget::Service(service)));
        }
        if password(&callee).is_none() {
            return answer(StatusCode::NOT_FOUND);
        }
        match self.bindings.newest(&callee, now) {
            Some(contact) => Ok((caller, DemoTarget::Account(contact))),
            None => answer(StatusCode::TEMPORARILY_UNAVAILABLE),
        }
    }

    /// The same challenge as a proxy's (RFC 3261 §22.3).
    fn proxy_challenge(&mut self, request: &Request, stale: bool, now: Instant) -> Response {
        let challenge = self.verifier.challenge(request, stale, now);
        let mut response = request.response(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        for value in challenge.headers.all(&HeaderName::WwwAuthenticate) {
            let copied = response.headers.push_text(HeaderName::ProxyAuthenticate, value);
            copied.expect("what stood in one header can stand in another");
        }
        response
    }
}

/// Credentials for a proxy, where the verifier looks for them.
fn as_if_to_a_server(request: &Request) -> Request {
    let mut request = request.clone();
    let credentials: Vec<String> =
        request.headers.all(&HeaderName::ProxyAuthorization).map(str::to_owned).collect();
    for value in credentials {
        let copied = request.headers.push_text(HeaderName::Authorization, &value);
        copied.expect("what stood in one header can stand in another");
    }
    request
}

fn is_account(address: &NameAddr, account: &str) -> bool {
    address.uri.user().as_deref() == Some(account)
}

impl Actor for Registrar {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.endpoint.do_send(Close); // it serves nobody else
    }
}

impl Handler<IncomingRequest> for Registrar {
    type Result = ();
    fn handle(&mut self, incoming: IncomingRequest, _: &mut Self::Context) {
        let IncomingRequest { key, request, hop, .. } = incoming;
        let now = tokio::time::Instant::now().into_std();
        let response = if request.method == Method::Register {
            self.register(&request, now)
        } else {
            match self.route(&request, now) {
                Ok((caller, target)) => {
                    return self.calls.do_send(DemoCall { key, request, hop, caller, target }); // as many as pass digest
                }
                Err(response) => *response,
            }
        };
        self.endpoint.do_send(Respond { key, response });
    }
}
