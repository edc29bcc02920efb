//! A lane's port tells peers apart: by user name fragment, then by the addresses that they proved.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, Context, Handler, Message};
use actors::lanes::{Join, Lane, Lanes, Learnt, Leave, PeerDatagram, stun};
use actors::vocabulary::{AnswerTiming, MediaSettings, Meters};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A leg that shows what it gets.
struct Leg(Sender<PeerDatagram>);

impl Actor for Leg {
    type Context = Context<Self>;
}

impl Handler<PeerDatagram> for Leg {
    type Result = ();

    fn handle(&mut self, datagram: PeerDatagram, _: &mut Self::Context) {
        self.0.try_send(datagram).expect("the test takes what comes");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct End;

impl Handler<End> for Leg {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

fn settings(lanes: usize, port: u16) -> MediaSettings {
    MediaSettings {
        lanes,
        webrtc_port: port,
        webrtc_addresses: vec![IpAddr::from([127, 0, 0, 1])],
        rtp_ports: (20_000, 20_009),
        port_rest: Duration::ZERO,
        advertised_address: None,
        audio_codecs: vec![],
        page_codecs: vec![],
        telephone_events: true,
        allow_outside_codecs: true,
        answer_audio: AnswerTiming::AtOnce,
        video: Default::default(),
        encoding: Default::default(),
        hold_music: None,
        ring_back: None,
    }
}

fn join(lane: &Lane, ufrag: &str) -> (Addr<Leg>, Receiver<PeerDatagram>) {
    let (sender, receiver) = channel(1_000);
    let leg = Leg::start_in_arbiter(lane.arbiter(), |_| Leg(sender));
    lane.socket().do_send(Join { fragment: ufrag.to_owned(), peer: leg.clone().recipient() });
    (leg, receiver)
}

fn page() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

/// A binding request for `ufrag`, unsigned.
fn check(ufrag: &str) -> Vec<u8> {
    let name = format!("{ufrag}:page");
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    message.extend([0, 6, 0, name.len() as u8]);
    message.extend(name.as_bytes());
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

const RTP: &[u8] = &[0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3];

async fn next(receiver: &mut Receiver<PeerDatagram>) -> Option<PeerDatagram> {
    tokio::time::timeout(Duration::from_secs(5), receiver.recv()).await.ok().flatten()
}

async fn none(receiver: &mut Receiver<PeerDatagram>) -> bool {
    tokio::time::timeout(Duration::from_millis(100), receiver.recv()).await.is_err()
}

fn reached(lane: &Lane) -> SocketAddr {
    lane.addresses()[0].advertised
}

/// A port with a free one after it.
fn free_port() -> u16 {
    let free = |port: u16| UdpSocket::bind(("127.0.0.1", port)).is_ok();
    let two = || {
        let port = page().local_addr().unwrap().port();
        (port < u16::MAX && free(port) && free(port + 1)).then_some(port)
    };
    (0..50).find_map(|_| two()).expect("two free ports in a row")
}

fn dropped(meters: &Meters, place: &str) -> u64 {
    meters.packets_dropped_total.with_label_values(&[place]).get()
}

#[actix::test]
async fn two_peers_on_one_port_get_each_their_own() {
    let meters = Meters::new();
    let lanes = Lanes::start(&settings(1, free_port()), &meters).unwrap();
    let lane = lanes.pick();
    let (_one, mut first) = join(lane, "first");
    let (_two, mut second) = join(lane, "second");
    let (page, other) = (page(), page());
    page.send_to(&check("first"), reached(lane)).unwrap();
    other.send_to(&check("second"), reached(lane)).unwrap();
    let got = next(&mut first).await.unwrap();
    assert_eq!((got.from, got.to), (page.local_addr().unwrap(), lane.addresses()[0].bound));
    assert_eq!(stun::username(&got.bytes), Some(&b"first"[..]));
    assert_eq!(next(&mut second).await.unwrap().from, other.local_addr().unwrap());

    page.send_to(RTP, reached(lane)).unwrap();
    assert!(none(&mut first).await, "the address is not proved yet");
    lane.socket().do_send(Learnt { fragment: "first".to_owned(), from: page.local_addr().unwrap() });
    page.send_to(RTP, reached(lane)).unwrap();
    assert_eq!(next(&mut first).await.unwrap().bytes, RTP);
    assert!(none(&mut second).await);

    lane.sender().send(lane.addresses()[0].bound, page.local_addr().unwrap(), b"back");
    let mut buffer = [0; 100];
    let (length, from) = page.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from), (&b"back"[..], reached(lane)));
    assert_eq!(dropped(&meters, "webrtc_unknown_peer"), 1);

    lane.socket().send(Leave("first".to_owned())).await.unwrap();
    page.send_to(RTP, reached(lane)).unwrap();
    page.send_to(&check("first"), reached(lane)).unwrap();
    assert!(none(&mut first).await);
    assert_eq!(dropped(&meters, "webrtc_unknown_peer"), 3);
}

#[actix::test]
async fn a_peer_whose_actor_ended_is_struck_out() {
    let meters = Meters::new();
    let lanes = Lanes::start(&settings(1, free_port()), &meters).unwrap();
    let lane = lanes.pick();
    let (leg, mut received) = join(lane, "gone");
    leg.send(End).await.unwrap();
    drop(leg);
    assert!(received.recv().await.is_none(), "the actor is gone");
    page().send_to(&check("gone"), reached(lane)).unwrap();
    for _ in 0..100 {
        if dropped(&meters, "webrtc_unknown_peer") == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not counted");
}

#[actix::test]
async fn a_flood_is_dropped_and_what_follows_is_still_delivered() {
    let meters = Meters::new();
    let lanes = Lanes::start(&settings(1, free_port()), &meters).unwrap();
    let lane = lanes.pick();
    let (_leg, mut received) = join(lane, "first");
    let page = page();
    for round in 0..20 {
        for number in 0..50 {
            let datagram = match number % 5 {
                0 => check(&format!("nobody{number}")),
                1 => RTP.to_vec(),
                2 => vec![0; 3_000],
                3 => Vec::new(),
                _ => vec![22, 254, 255, round],
            };
            page.send_to(&datagram, reached(lane)).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    page.send_to(&check("first"), reached(lane)).unwrap();
    assert!(next(&mut received).await.is_some());
    assert_eq!(dropped(&meters, "webrtc_unknown_peer"), 1_000);
}

#[actix::test]
async fn each_lane_has_its_port_and_calls_go_round() {
    let (meters, first) = (Meters::new(), free_port());
    let lanes = Lanes::start(&settings(2, first), &meters).unwrap();
    let port = |lane: &Lane| reached(lane).port();
    let picked: Vec<u16> = (0..3).map(|_| port(lanes.pick())).collect();
    assert_eq!(picked, [first, first + 1, first]);
    let taken = Lanes::start(&settings(1, first), &meters);
    assert!(
        taken.err().is_some_and(|error| error.to_string().contains("127.0.0.1")),
        "the error names the address"
    );
}
