//! How requests travel: UDP, TCP for size or by wish, back to UDP; and what connections may cost.
#![allow(clippy::unwrap_used)]
mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actors::sip::{KeepAlive, Locate, RequestId, SendRequest, SipEvent, UsageNow};
use sip::message::{Message, Method, NameAddr, Request, SipUri, StatusCode, Uri};
use support::owner::Kept;
use support::peer::{TcpPeer, UdpPeer, request};
use support::{House, house, metric, settings, short_limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(2);

async fn gateway() -> House {
    house(settings(), Default::default(), StatusCode::BUSY_HERE).await
}

/// Sends a MESSAGE with a body of `size` to `to`; `param`: of the URI, for instance `;transport=tcp`.
async fn send(house: &House, owner: &Kept<SipEvent>, to: SocketAddr, param: &str, size: usize) -> RequestId {
    let target: Uri = format!("sip:{to}{param}").parse().unwrap();
    let hop = house.endpoint.send(Locate { target: target.clone() }).await.unwrap().unwrap().remove(0);
    let me = NameAddr::new(SipUri::new("127.0.0.1".parse().unwrap()));
    let from = me.clone().with_tag("us").unwrap();
    let request =
        Request::new(Method::Message, target, from, me, &sip::message::random_call_id(), 1).unwrap();
    let request = request.with_body("text/plain", vec![b'x'; size]);
    let id = RequestId::fresh();
    house.endpoint.send(SendRequest { id, request, hop, owner: owner.owner() }).await.unwrap();
    id
}

fn answer(request: &[u8]) -> Vec<u8> {
    match sip::message::parse(request).unwrap() {
        Message::Request(request) => request.response(StatusCode::OK).to_bytes().to_vec(),
        Message::Response(_) => panic!("a request was expected"),
    }
}

async fn expect_answer(owner: &Kept<SipEvent>, wanted: RequestId) {
    match owner.next().await {
        SipEvent::Response { id, response } => assert_eq!((id, response.code), (wanted, StatusCode::OK)),
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn a_small_request_goes_by_udp_and_its_answer_finds_its_owner() {
    let (house, owner) = (gateway().await, Kept::start());
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let peer = UdpPeer::new(at.parse().unwrap(), house.at).await;
        let id = send(&house, &owner, peer.socket.local_addr().unwrap(), "", 10).await;
        let (mut buffer, ours) = (vec![0; 65_535], if at.starts_with('[') { house.at_v6 } else { house.at });
        let (length, from) = timeout(WAIT, peer.socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(from, ours);
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(text.contains(&format!("Via: SIP/2.0/UDP {ours};")), "{text}");
        assert!(text.contains("User-Agent: tandem-test"), "{text}");
        peer.socket.send_to(&answer(&buffer[..length]), from).await.unwrap();
        expect_answer(&owner, id).await;
    }
}

#[actix::test]
async fn a_large_request_takes_tcp_and_the_next_one_the_same_connection() {
    let (house, owner) = (gateway().await, Kept::start());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let id = send(&house, &owner, to, "", 2000).await;
    let (stream, _) = timeout(WAIT, listener.accept()).await.unwrap().unwrap();
    let mut peer = TcpPeer::over(stream);
    let head = peer.bytes(WAIT).await.unwrap();
    assert!(String::from_utf8_lossy(&head).contains("Via: SIP/2.0/TCP "));
    peer.send(&answer(&with_body(head, 2000))).await;
    expect_answer(&owner, id).await;
    assert_eq!(metric(&house.meters, "tandem_sip_oversize_requests_total"), 1.0);

    peer.skip(2000).await;
    let id = send(&house, &owner, to, ";transport=tcp", 0).await;
    let head = peer.bytes(WAIT).await.unwrap();
    peer.send(&answer(&head)).await;
    expect_answer(&owner, id).await;
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err(), "a second connection");
}

/// The header section again with a body, for the parser.
fn with_body(mut head: Vec<u8>, length: usize) -> Vec<u8> {
    head.resize(head.len() + length, b'x');
    head
}

#[actix::test]
async fn a_large_request_goes_by_udp_all_the_same_when_tcp_is_refused() {
    let (house, owner) = (gateway().await, Kept::start());
    let peer = UdpPeer::any(house.at).await;
    let started = Instant::now();
    let id = send(&house, &owner, peer.socket.local_addr().unwrap(), "", 2000).await;
    let bytes = peer.bytes(WAIT).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(600));
    peer.send(&answer(&bytes)).await;
    expect_answer(&owner, id).await;
}

#[actix::test]
async fn a_refused_connection_is_told_at_once() {
    let (house, owner) = (gateway().await, Kept::start());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let wanted = send(&house, &owner, free, ";transport=tcp", 0).await;
    assert!(matches!(owner.next().await, SipEvent::TransportFailed(id) if id == wanted));
}

#[actix::test]
async fn a_request_over_a_connection_that_breaks_fails_at_once() {
    let (house, owner) = (gateway().await, Kept::start());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wanted = send(&house, &owner, listener.local_addr().unwrap(), ";transport=tcp", 0).await;
    let (stream, _) = listener.accept().await.unwrap();
    drop(stream);
    assert!(matches!(owner.next().await, SipEvent::TransportFailed(id) if id == wanted));
}

#[actix::test]
async fn one_address_cannot_take_all_connections() {
    let house = gateway().await;
    let mut peers = vec![];
    for _ in 0..40 {
        peers.push(TcpPeer::new(house.at).await);
    }
    let mut answered = 0;
    for peer in &mut peers {
        let from = peer.stream.local_addr().unwrap();
        // A connection that was closed at once may refuse the bytes.
        let _ =
            tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &request("OPTIONS", "TCP", from, "")).await;
    }
    for peer in &mut peers {
        answered += usize::from(peer.code(Duration::from_millis(300)).await == Some(200));
    }
    assert_eq!(answered, 32);
    assert!(UdpPeer::any(house.at).await.probe(WAIT).await);
}

#[actix::test]
async fn silent_connections_are_closed_and_keep_alives_keep_one() {
    let house = house(settings(), short_limits(), StatusCode::BUSY_HERE).await;
    let mut silent = TcpPeer::new(house.at).await;
    let mut alive = TcpPeer::new(house.at).await;
    for _ in 0..6 {
        alive.send(b"\r\n\r\n").await;
        let mut pong = [0; 2];
        timeout(WAIT, tokio::io::AsyncReadExt::read_exact(&mut alive.stream, &mut pong))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&pong, b"\r\n");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(silent.closes(Duration::from_millis(10)).await, "300 ms are long over");
    assert!(!alive.closes(Duration::from_millis(10)).await);
    assert!(alive.closes(WAIT).await);
    let usage = house.endpoint.send(UsageNow).await.unwrap();
    assert_eq!(usage.connections, 0);
}

#[actix::test]
async fn a_thousand_connections_that_come_and_go_leave_nothing() {
    let house = gateway().await;
    for _ in 0..1000 {
        let stream = TcpStream::connect(house.at).await.unwrap();
        stream.set_zero_linger().unwrap();
        drop(stream);
    }
    let mut peer = TcpPeer::new(house.at).await;
    peer.send(&request("OPTIONS", "TCP", peer.stream.local_addr().unwrap(), "")).await;
    assert_eq!(peer.code(WAIT).await, Some(200));
    drop(peer);
    for _ in 0..100 {
        if house.endpoint.send(UsageNow).await.unwrap().connections == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", house.endpoint.send(UsageNow).await);
}

/// Asks to keep the way to `to` open, every 200 ms.
async fn keep(house: &House, to: SocketAddr, param: &str) -> bool {
    let target: Uri = format!("sip:{to}{param}").parse().unwrap();
    let hop = house.endpoint.send(Locate { target }).await.unwrap().unwrap().remove(0);
    house.endpoint.send(KeepAlive { hop, every: Duration::from_millis(200) }).await.unwrap()
}

#[actix::test]
async fn keep_alives_go_by_the_way_of_the_requests_and_are_shared() {
    let (house, owner) = (gateway().await, Kept::start());
    let peer = UdpPeer::any(house.at).await;
    let at = peer.socket.local_addr().unwrap();
    assert!(keep(&house, at, "").await && keep(&house, at, "").await);
    assert_eq!(peer.bytes(WAIT).await.unwrap(), b"\r\n\r\n");
    assert_eq!(peer.bytes(Duration::from_millis(50)).await, None, "one for all accounts of the hop");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(keep(&house, at, "").await);
    assert_eq!(peer.bytes(WAIT).await.unwrap(), b"\r\n\r\n");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    assert!(!keep(&house, to, ";transport=tcp").await, "no connection is opened for it");
    let id = send(&house, &owner, to, ";transport=tcp", 0).await;
    let (stream, _) = timeout(WAIT, listener.accept()).await.unwrap().unwrap();
    let mut peer = TcpPeer::over(stream);
    let head = peer.bytes(WAIT).await.unwrap();
    peer.send(&answer(&head)).await;
    expect_answer(&owner, id).await;
    for _ in 0..2 {
        assert!(keep(&house, to, ";transport=tcp").await);
        let mut ping = [0; 4];
        timeout(WAIT, peer.stream.read_exact(&mut ping)).await.unwrap().unwrap();
        assert_eq!(&ping, b"\r\n\r\n");
        peer.stream.write_all(b"\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    drop(peer);
    for _ in 0..100 {
        if !keep(&house, to, ";transport=tcp").await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a closed connection counts as kept");
}
