//! One endpoint and many runs beside each other.
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use actors::dialog::SipSide;
use actors::rtp::ports::PortPool;
use actors::sip::{Close, IncomingRequest, Listening, Respond, Serve, SipEndpoint, UsageNow};
use actors::vocabulary::{
    ActivityLimits, AnswerTiming, CodecId, HeaderRules, MediaSettings, Meters, ReferPolicy, SipSettings,
    SwitchSettings, TlsSettings,
};
use futures_util::future::join_all;
use sip::message::StatusCode;
use sip::resolve::AddressPolicy;
use sip::sdp::SrtpPolicy;
use tokio::time::sleep;

use super::board::Board;
use super::{LIFE, run};

/// Plays the switchboard for calls from outside: finds the page by its number.
#[derive(Default)]
pub struct Exchange {
    pub boards: HashMap<String, Addr<Board>>,
    endpoint: Option<Addr<SipEndpoint>>,
}

#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Enter(pub String, pub Addr<Board>);

impl Actor for Exchange {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(4096);
    }
}

impl Handler<Enter> for Exchange {
    type Result = ();
    fn handle(&mut self, Enter(user, board): Enter, _: &mut Self::Context) {
        self.boards.insert(user, board);
    }
}

impl Handler<IncomingRequest> for Exchange {
    type Result = ();
    fn handle(&mut self, incoming: IncomingRequest, _: &mut Self::Context) {
        let user = incoming.request.uri.user().unwrap_or_default().into_owned();
        match (self.boards.get(&user), &self.endpoint) {
            (Some(board), _) => board.do_send(incoming),
            (None, Some(endpoint)) => {
                let response = incoming.request.stateless_response(StatusCode::NOT_FOUND);
                endpoint.do_send(Respond { key: incoming.key, response });
            }
            _ => {}
        }
    }
}

const PAIRS: u16 = 1_000;

/// Runs these seeds in one house; how each call ended.
pub async fn runs(seeds: Range<u64>) -> Vec<String> {
    tokio::time::pause();
    // Stopped time jumps to the next timer without a look at the sockets: small steps let what has arrived be read.
    let pulse = actix_rt::spawn(async {
        loop {
            sleep(Duration::from_millis(5)).await;
        }
    });
    let (meters, settings) = (Meters::new(), Arc::new(settings()));
    let endpoint = SipEndpoint::bind(&settings.sip, &meters).await.unwrap().start();
    let exchange = Exchange { boards: HashMap::new(), endpoint: Some(endpoint.clone()) }.start();
    endpoint.send(Serve(exchange.clone().recipient())).await.unwrap();
    let at = endpoint.send(Listening).await.unwrap()[0];
    let ports = PortPool::new(settings.media.rtp_ports, Duration::ZERO, &meters);
    let sip = SipSide { endpoint: endpoint.clone(), ports: ports.clone(), settings, meters: meters.clone() };

    let ends = join_all(seeds.clone().map(|seed| run::run(seed, at, sip.clone(), exchange.clone()))).await;

    // The longest tail: a CANCEL that waited for a provisional response, its own life, and Timer D after a late refusal.
    sleep(LIFE * 3).await;
    let usage = endpoint.send(UsageNow).await.unwrap();
    assert_eq!(usage, Default::default(), "{seeds:?}: transactions or dialogs are left");
    assert_eq!(ports.free(std::time::Instant::now()), usize::from(PAIRS), "{seeds:?}: ports are left");
    let text = meters.text();
    let alive = text.lines().filter(|line| line.starts_with("tandem_actors_alive") && !line.ends_with(" 0"));
    let alive: Vec<_> = alive.filter(|line| !line.contains("sip_endpoint")).collect();
    assert!(alive.is_empty(), "{seeds:?}: {alive:?}");
    endpoint.do_send(Close);
    pulse.abort();
    ends
}

fn settings() -> SwitchSettings {
    let first = 40_000;
    SwitchSettings {
        sip: SipSettings {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
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
            page_headers: HeaderRules::default(),
        },
        media: MediaSettings {
            lanes: 1,
            webrtc_port: 0,
            webrtc_addresses: vec![],
            rtp_ports: (first, first + 2 * PAIRS - 1),
            port_rest: Duration::ZERO,
            advertised_address: None,
            audio_codecs: vec![CodecId::Pcmu],
            page_codecs: vec![CodecId::Opus, CodecId::Pcmu],
            telephone_events: true,
            allow_outside_codecs: true,
            answer_audio: AnswerTiming::AtOnce,
            video: Default::default(),
            encoding: Default::default(),
            hold_music: None,
            ring_back: None,
        },
        second_incoming_rings: true,
        no_answer: Duration::from_secs(180),
        max_duration: None,
        activity: ActivityLimits::never(),
    }
}
