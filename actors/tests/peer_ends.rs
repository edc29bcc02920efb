//! How a peer connection ends, and what does not end it.
#![allow(clippy::unwrap_used)]

mod page;

use std::net::SocketAddr;
use std::time::Duration;

use actors::browser::rtc::{CONSENT, Lost, MAX_SOURCES};
use codecs::CodecId::Opus;
use page::{BOUND, Call, Kind, PAGE, address, kind};

const SECOND: Duration = Duration::from_secs(1);

fn connected() -> Call {
    let mut call = Call::page_offers(&[Opus], Duration::ZERO, |sdp| sdp);
    call.connect();
    call
}

#[test]
fn a_page_that_stops_checking_is_lost_after_thirty_seconds_and_no_earlier() {
    let mut call = connected();
    call.run(120 * SECOND);
    assert_eq!(call.lost, None, "a silent page that still checks stays");
    call.loss = Box::new(|from_page, _| from_page);
    let took = call.until(60 * SECOND, |call| call.lost.is_some()).unwrap();
    assert_eq!(call.lost, Some(Lost::Consent));
    assert!(took <= CONSENT + SECOND && took >= CONSENT - 5 * SECOND, "{took:?}");
    call.sent.clear();
    call.loss = Box::new(|_, _| false);
    call.run(10 * SECOND);
    assert!(call.sent.is_empty(), "not even STUN is answered afterwards");
}

#[test]
fn a_page_cut_off_for_twelve_seconds_goes_on() {
    let mut call = connected();
    call.loss = Box::new(|_, _| true);
    call.run(12 * SECOND);
    call.loss = Box::new(|_, _| false);
    call.run(60 * SECOND);
    assert_eq!(call.lost, None);
    call.page_sends(111, 1, b"here again");
    assert_eq!(call.heard.len(), 1);
}

#[test]
fn closing_tells_the_other_side() {
    let mut call = connected();
    call.peer.close(call.now);
    call.until(5 * SECOND, |call| call.page_closed).expect("the page hears of it");
    assert_eq!(call.lost, None, "our own closing is no loss");

    let mut call = connected();
    call.page.close().unwrap();
    call.until(5 * SECOND, |call| call.lost.is_some()).expect("we hear of it");
    assert_eq!(call.lost, Some(Lost::Closed));
}

#[test]
fn another_certificate_than_announced_ends_it_before_any_sound() {
    let other = |sdp: String| {
        let at = sdp.find("a=fingerprint:sha-256 ").unwrap() + "a=fingerprint:sha-256 ".len();
        let digit = if &sdp[at..=at] == "0" { "1" } else { "0" };
        format!("{}{digit}{}", &sdp[..at], &sdp[at + 1..])
    };
    let mut call = Call::page_offers(&[Opus], Duration::ZERO, other);
    let took = call.until(10 * SECOND, |call| call.lost.is_some()).unwrap();
    assert_eq!((call.lost, call.connected), (Some(Lost::Fingerprint), None));
    assert!(took < 2 * SECOND);
}

#[test]
fn dtls_from_an_address_without_an_ice_check_is_dropped() {
    let mut call = Call::page_offers(&[Opus], Duration::ZERO, |sdp| sdp);
    let foreign: SocketAddr = "192.0.2.66:4444".parse().unwrap();
    let hello = [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1, 0, 0, 28][..], &[0; 36]].concat();
    for _ in 0..100 {
        call.peer.receive(call.now, foreign, address(BOUND), &hello);
        call.peer.receive(call.now, address(PAGE), address(BOUND), &hello);
    }
    assert_eq!(call.peer.counts().unproven, 200);
    assert!(call.connect() < SECOND);
    call.peer.receive(call.now, foreign, address(BOUND), &hello);
    assert_eq!(call.peer.counts().unproven, 201);
    assert!(call.sent.iter().all(|(to, _)| *to == address(PAGE)));
}

#[test]
fn rubbish_from_the_pages_own_address_does_not_end_the_call() {
    let mut call = Call::page_offers(&[Opus], Duration::ZERO, |sdp| sdp);
    call.until(SECOND, |call| !call.learnt.is_empty()).unwrap();
    let rubbish = |call: &mut Call| {
        for first in 0..=255_u8 {
            for length in [0, 1, 2, 11, 12, 13, 20, 60, 300, 1_999, 2_047] {
                let datagram: Vec<u8> = std::iter::once(first).chain((0..length).map(|n| n as u8)).collect();
                call.peer.receive(call.now, address(PAGE), address(BOUND), &datagram);
            }
        }
        call.peer.receive(call.now, address(PAGE), address(BOUND), &[]);
    };
    rubbish(&mut call);
    call.connect();
    rubbish(&mut call);
    call.run(SECOND);
    call.page_sends(111, 960, b"still heard");
    assert_eq!(call.lost, None);
    assert_eq!(call.heard.len(), 1);
}

#[test]
fn a_replayed_packet_is_heard_once() {
    let mut call = connected();
    call.page_sends(111, 960, b"once");
    let packet = call.page_sent.iter().rfind(|datagram| kind(datagram) == Kind::Media).unwrap().clone();
    for _ in 0..10 {
        call.peer.receive(call.now, address(PAGE), address(BOUND), &packet);
    }
    call.run(SECOND);
    assert_eq!(call.heard.len(), 1);
}

#[test]
fn stun_without_our_password_is_neither_answered_nor_learnt() {
    let mut call = Call::page_offers(&[Opus], Duration::ZERO, |sdp| sdp);
    call.loss = Box::new(|_, _| true);
    call.run(SECOND);
    let check = call.page_sent.iter().find(|datagram| kind(datagram) == Kind::Stun).unwrap().clone();
    for last in 0..200 {
        let mut forged = check.clone();
        let end = forged.len();
        // Inside MESSAGE-INTEGRITY, which stands before the eight bytes of FINGERPRINT.
        forged[end - 12] ^= 0x55;
        let from: SocketAddr = format!("192.0.2.66:{}", 1_000 + last).parse().unwrap();
        call.peer.receive(call.now, from, address(BOUND), &forged);
    }
    assert!(call.peer.poll().is_none());
    for last in 0..200 {
        let from: SocketAddr = format!("192.0.2.66:{}", 1_000 + last).parse().unwrap();
        call.peer.receive(call.now, from, address(BOUND), &check);
    }
    call.run(Duration::from_millis(1));
    assert_eq!(call.learnt.len(), MAX_SOURCES, "even the right password opens only so many addresses");
    assert_eq!(call.peer.counts().sources, 200 - MAX_SOURCES as u64);
}
