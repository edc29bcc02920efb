//! An endpoint on loopback, and peers that speak plain bytes to it.
#![allow(dead_code, clippy::unwrap_used)]
pub mod dns;
pub mod owner;
pub mod peer;
pub mod switch;
pub mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use actors::sip::{IncomingRequest, Limits, Listening, Respond, Serve, SipEndpoint};
use actors::vocabulary::{HeaderRules, Meters, ReferPolicy, SipSettings, TlsSettings};
use sip::message::StatusCode;
use sip::resolve::AddressPolicy;
use sip::sdp::SrtpPolicy;

/// Settings for loopback: free ports, nothing denied.
pub fn settings() -> SipSettings {
    SipSettings {
        listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        advertised_address: None,
        user_agent: "tandem-test".into(),
        dns_servers: vec![],
        target_policy: AddressPolicy::allow_all(),
        register_expires: Duration::from_secs(3600),
        keep_alive: None,
        mailbox_subscribe: false,
        tls: TlsSettings::default(),
        srtp: SrtpPolicy::Off,
        refer_policy: ReferPolicy::InDialog,
        page_headers: HeaderRules::new(vec!["X-*".parse().unwrap()]),
    }
}

/// Short deadlines, so that tests of slow peers are quick.
pub fn short_limits() -> Limits {
    Limits {
        first_message: Duration::from_millis(300),
        stalled_message: Duration::from_millis(600),
        idle: Duration::from_millis(900),
        ..Limits::default()
    }
}

/// A running endpoint and where it listens over IPv4.
pub struct House {
    pub endpoint: Addr<SipEndpoint>,
    pub at: SocketAddr,
    pub at_v6: SocketAddr,
    pub meters: Meters,
}

/// Starts an endpoint; INVITEs hear `invite`.
pub async fn house(settings: SipSettings, limits: Limits, invite: StatusCode) -> House {
    let meters = Meters::new();
    let endpoint = SipEndpoint::bind(&settings, &meters).await.unwrap().with_limits(limits).start();
    let consumer = Consumer { endpoint: endpoint.clone(), invite }.start();
    endpoint.send(Serve(consumer.clone().recipient())).await.unwrap();
    // The endpoint holds its consumer weakly, as the switch's: this one lives as long as the test.
    std::mem::forget(consumer);
    let listening = endpoint.send(Listening).await.unwrap();
    House { endpoint, at: listening[0], at_v6: listening[1], meters }
}

/// Answers every INVITE alike.
struct Consumer {
    endpoint: Addr<SipEndpoint>,
    invite: StatusCode,
}

impl Actor for Consumer {
    type Context = Context<Self>;
}

impl Handler<IncomingRequest> for Consumer {
    type Result = ();
    fn handle(&mut self, incoming: IncomingRequest, _: &mut Self::Context) {
        let response = incoming.request.stateless_response(self.invite);
        self.endpoint.do_send(Respond { key: incoming.key, response });
    }
}

/// The value of a metric, labels included in `name`.
pub fn metric(meters: &Meters, name: &str) -> f64 {
    let text = meters.text();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.split(' ').nth(1)).map_or(0.0, |value| value.parse().unwrap())
}
