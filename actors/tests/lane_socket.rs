//! A lane's port tells peers apart: by user name fragment, then by the addresses that they proved.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, Context, Handler, Message};
use actors::lanes::{Datagram, Join, Lane, LaneError, LaneSettings, Lanes, Learnt, Leave, Sizes, stun};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A leg that shows what it gets.
struct Leg(Sender<Datagram>);

impl Actor for Leg {
    type Context = Context<Self>;
}

impl Handler<Datagram> for Leg {
    type Result = ();

    fn handle(&mut self, datagram: Datagram, _: &mut Self::Context) {
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

fn settings(lanes: usize, port: u16) -> LaneSettings {
    LaneSettings {
        lanes,
        port,
        addresses: vec![IpAddr::from([127, 0, 0, 1])],
        advertised: None,
    }
}

fn join(lane: &Lane, ufrag: &str) -> (Addr<Leg>, Receiver<Datagram>) {
    let (sender, receiver) = channel(1_000);
    let leg = Leg::start_in_arbiter(&lane.arbiter, |_| Leg(sender));
    lane.socket.do_send(Join {
        ufrag: ufrag.to_owned(),
        peer: leg.clone().recipient(),
    });
    (leg, receiver)
}

fn page() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

/// A binding request for `ufrag`, unsigned.
fn check(ufrag: &str) -> Vec<u8> {
    let name = format!("{ufrag}:page");
    let mut message = vec![
        0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];
    message.extend([0, 6, 0, name.len() as u8]);
    message.extend(name.as_bytes());
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

const RTP: &[u8] = &[0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3];

async fn next(receiver: &mut Receiver<Datagram>) -> Option<Datagram> {
    tokio::time::timeout(Duration::from_secs(5), receiver.recv())
        .await
        .ok()
        .flatten()
}

async fn none(receiver: &mut Receiver<Datagram>) -> bool {
    tokio::time::timeout(Duration::from_millis(100), receiver.recv())
        .await
        .is_err()
}

fn reached(lane: &Lane) -> SocketAddr {
    lane.port.addresses()[0].advertised
}

#[actix::test]
async fn two_peers_on_one_port_get_each_their_own() {
    let lanes = Lanes::start(&settings(1, 0)).unwrap();
    let lane = lanes.pick();
    let (_one, mut first) = join(&lane, "first");
    let (_two, mut second) = join(&lane, "second");
    let (page, other) = (page(), page());
    page.send_to(&check("first"), reached(&lane)).unwrap();
    other.send_to(&check("second"), reached(&lane)).unwrap();
    let got = next(&mut first).await.unwrap();
    assert_eq!(
        (got.from, got.to),
        (page.local_addr().unwrap(), lane.port.addresses()[0].bound)
    );
    assert_eq!(stun::username(&got.bytes), Some(&b"first"[..]));
    assert_eq!(next(&mut second).await.unwrap().from, other.local_addr().unwrap());

    page.send_to(RTP, reached(&lane)).unwrap();
    assert!(none(&mut first).await, "the address is not proved yet");
    lane.socket.do_send(Learnt {
        ufrag: "first".to_owned(),
        from: page.local_addr().unwrap(),
    });
    page.send_to(RTP, reached(&lane)).unwrap();
    assert_eq!(next(&mut first).await.unwrap().bytes, RTP);
    assert!(none(&mut second).await);

    assert!(lane.port.send(
        lane.port.addresses()[0].bound,
        page.local_addr().unwrap(),
        b"back"
    ));
    let mut buffer = [0; 100];
    let (length, from) = page.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from), (&b"back"[..], reached(&lane)));

    assert_eq!(lane.socket.send(Sizes).await.unwrap(), (2, 1));
    lane.socket.do_send(Leave {
        ufrag: "first".to_owned(),
    });
    page.send_to(RTP, reached(&lane)).unwrap();
    page.send_to(&check("first"), reached(&lane)).unwrap();
    assert!(none(&mut first).await);
    assert_eq!(lane.socket.send(Sizes).await.unwrap(), (1, 0));
    assert_eq!(lane.port.counts().unowned, 3);
    drop(lane);
    lanes.stop();
}

#[actix::test]
async fn a_peer_whose_actor_ended_is_struck_out_by_its_next_datagram() {
    let lanes = Lanes::start(&settings(1, 0)).unwrap();
    let lane = lanes.pick();
    let (leg, mut received) = join(&lane, "gone");
    leg.send(End).await.unwrap();
    drop(leg);
    assert!(received.recv().await.is_none(), "the actor is gone");
    page().send_to(&check("gone"), reached(&lane)).unwrap();
    for _ in 0..100 {
        if lane.socket.send(Sizes).await.unwrap() == (0, 0) {
            drop(lane);
            return lanes.stop();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still entered");
}

#[actix::test]
async fn a_flood_is_bounded_and_what_follows_is_still_delivered() {
    let lanes = Lanes::start(&settings(1, 0)).unwrap();
    let lane = lanes.pick();
    let (_leg, mut received) = join(&lane, "first");
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
            page.send_to(&datagram, reached(&lane)).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    page.send_to(&check("first"), reached(&lane)).unwrap();
    assert!(next(&mut received).await.is_some());
    assert_eq!(lane.socket.send(Sizes).await.unwrap(), (1, 0));
    let counts = lane.port.counts();
    assert_eq!(
        (counts.unowned, counts.unreadable, counts.received),
        (800, 200, 801)
    );
    drop(lane);
    lanes.stop();
}

#[actix::test]
async fn each_lane_has_its_port_and_calls_go_to_the_emptiest() {
    let two_free_ports = || {
        let free = page().local_addr().unwrap().port();
        Lanes::start(&settings(2, free)).ok().map(|lanes| (free, lanes))
    };
    let (free, lanes) = (0..20)
        .find_map(|_| two_free_ports())
        .expect("two free ports in a row");
    let ports: Vec<u16> = lanes.iter().map(|lane| reached(lane).port()).collect();
    assert_eq!(ports, [free, free + 1]);
    let (one, two, three) = (lanes.pick(), lanes.pick(), lanes.pick());
    assert_eq!([one.number, two.number, three.number], [0, 1, 0]);
    drop(one);
    drop(three);
    assert_eq!(lanes.pick().number, 0);
    assert!(
        matches!(Lanes::start(&settings(1, free)), Err(LaneError::Bind { .. })),
        "the port is taken"
    );
    drop(two);
    lanes.stop();
    Lanes::start(&settings(1, free))
        .expect("ports are free after stop")
        .stop();
}
