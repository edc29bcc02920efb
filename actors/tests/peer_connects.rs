//! A page and our peer find each other, whoever offers, whenever the answer comes, whatever is lost on the way.
#![allow(clippy::unwrap_used)]

mod page;

use std::time::Duration;

use actors::browser::rtc::{DTLS_LIMIT, ICE_LIMIT, Lost, Outgoing, SendError};
use actors::vocabulary::Payload;
use bytes::Bytes;
use codecs::CodecId::{self, G722, Opus, Pcma, Pcmu};
use page::{ADVERTISED, Call, Kind, PAGE, address, kind};
use str0m::config::DtlsVersion;

const AT_ONCE: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

fn same(text: String) -> String {
    text
}

fn outgoing(kind: Payload, sequence: u32, timestamp: u32, text: &'static str) -> Outgoing {
    let sequence = u64::from(sequence);
    Outgoing { kind, sequence, timestamp, marker: false, payload: Bytes::from_static(text.as_bytes()) }
}

/// Five packets each way, then that all of them came as they were sent.
fn sound_flows_both_ways(call: &mut Call, codec: CodecId) {
    let kind = Payload::Audio(codec);
    let number = call.peer.agreed().payload_type(kind).unwrap();
    let step = codec.spec().clock_rate / 50;
    for count in 0..5 {
        call.peer.send(outgoing(kind, count, 1_000 + count * step, "to the page"), call.now).unwrap();
        call.page_sends(number, 5_000 + count * step, b"from the page");
        call.run(Duration::from_millis(20));
    }
    let heard: Vec<_> = call.heard.iter().map(|packet| (packet.payload_kind, packet.timestamp)).collect();
    let expected: Vec<_> = (0..5).map(|count| (kind, 5_000 + count * step)).collect();
    assert_eq!(heard, expected);
    assert!(call.heard.iter().all(|packet| packet.payload == "from the page"));
    assert!(call.heard.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
    assert_eq!(
        call.heard.iter().map(|packet| packet.marker).collect::<Vec<_>>(),
        [true, false, false, false, false]
    );
    let page: Vec<_> =
        call.page_heard.iter().map(|packet| (packet.header.timestamp, *packet.seq_no)).collect();
    assert_eq!(
        page.iter().map(|(time, _)| *time).collect::<Vec<_>>(),
        (0..5).map(|n| 1_000 + n * step).collect::<Vec<_>>()
    );
    assert!(page.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1));
    assert!(page[0].1 < 1 << 15, "the first sequence number leaves room before the roll-over");
    assert!(
        call.page_heard
            .iter()
            .all(|packet| &*packet.payload == b"to the page" && *packet.header.payload_type == number)
    );
}

#[test]
fn sound_flows_both_ways_whoever_offers_and_whatever_the_codec() {
    for codec in [Opus, Pcmu, Pcma, G722] {
        let mut call = Call::page_offers(&[codec], AT_ONCE, same);
        call.connect();
        sound_flows_both_ways(&mut call, codec);
        let mut call = Call::we_offer(&[codec, Pcmu], AT_ONCE, same);
        call.connect();
        sound_flows_both_ways(&mut call, codec);
        assert_eq!(call.learnt, [address(PAGE)]);
    }
}

#[test]
fn a_late_answer_connects_as_fast_as_an_early_one() {
    for seconds in [0, 1, 8, 30, 60, 120] {
        let delay = Duration::from_secs(seconds);
        let took = Call::page_offers(&[Opus], delay, same).connect();
        assert!(took < SECOND, "we answer after {delay:?}: {took:?}");
        let took = Call::we_offer(&[Opus], delay, same).connect();
        assert!(took < SECOND, "the page answers after {delay:?}: {took:?}");
    }
}

#[test]
fn lost_first_flights_are_repeated() {
    // The page here repeats after 1, 2, 4 s; browsers after 50, 100, 200 ms.
    let check = |of_page: usize, of_ours: usize, limit: Duration| {
        let mut call = Call::page_offers(&[Opus], AT_ONCE, same);
        let (mut page, mut ours) = (of_page, of_ours);
        call.loss = Box::new(move |from_page, datagram| {
            let left = if from_page { &mut page } else { &mut ours };
            let lost = kind(datagram) == Kind::Dtls && *left > 0;
            *left -= usize::from(lost);
            lost
        });
        let took = call.connect();
        assert!(took < limit, "{of_page} of the page's and {of_ours} of ours lost: {took:?}");
        sound_flows_both_ways(&mut call, Opus);
    };
    check(1, 0, 2 * SECOND);
    check(0, 1, 2 * SECOND);
    check(1, 1, 4 * SECOND);
    check(2, 2, DTLS_LIMIT);
}

#[test]
fn every_dtls_role_and_version_of_the_page_connects() {
    let check = |what: &str, mut call: Call| {
        let took = call.connect();
        assert!(took < SECOND, "{what}: {took:?}");
        sound_flows_both_ways(&mut call, Opus);
    };
    for version in [DtlsVersion::Dtls12, DtlsVersion::Dtls13, DtlsVersion::Auto] {
        check("version", Call::page_offers_with(&[Opus], AT_ONCE, version, same));
    }
    let as_role = |role: &'static str| move |sdp: String| sdp.replace("a=setup:actpass", role);
    check("offer actpass", Call::page_offers(&[Opus], AT_ONCE, same));
    check("offer active", Call::page_offers(&[Opus], AT_ONCE, as_role("a=setup:active")));
    check("offer passive", Call::page_offers(&[Opus], AT_ONCE, as_role("a=setup:passive")));
    check("offer without", Call::page_offers(&[Opus], AT_ONCE, as_role("a=unknown")));
}

#[test]
fn a_page_that_never_checks_fails_by_ice_within_ten_seconds() {
    for mut call in [Call::page_offers(&[Opus], AT_ONCE, same), Call::we_offer(&[Opus], 60 * SECOND, same)] {
        call.loss = Box::new(|_, _| true);
        let took = call.until(60 * SECOND, |call| call.lost.is_some()).unwrap();
        assert_eq!(call.lost, Some(Lost::Ice));
        assert!(took >= ICE_LIMIT && took < 10 * SECOND, "{took:?}");
        assert!(call.sent.is_empty(), "a lite agent does not check by itself");
    }
}

#[test]
fn a_handshake_that_does_not_end_fails_by_dtls() {
    let mut call = Call::page_offers(&[Opus], AT_ONCE, same);
    call.loss = Box::new(|_, datagram| kind(datagram) == Kind::Dtls);
    let took = call.until(60 * SECOND, |call| call.lost.is_some()).unwrap();
    assert!(matches!(call.lost, Some(Lost::Dtls(_))), "{:?}", call.lost);
    assert!(took <= DTLS_LIMIT + SECOND, "{took:?}");
}

#[test]
fn nothing_is_sent_before_the_connection_stands_or_beyond_what_was_agreed() {
    let mut call = Call::page_offers(&[Pcmu], AT_ONCE, same);
    let early = call.peer.send(outgoing(Payload::Audio(Pcmu), 0, 0, "early"), call.now);
    assert_eq!(early, Err(SendError::NotConnected));
    call.connect();
    let mut check = |kind, sequence, payload: Vec<u8>, expected| {
        let packet = Outgoing { kind, sequence, timestamp: 0, marker: false, payload: payload.into() };
        assert_eq!(call.peer.send(packet, call.now), expected);
    };
    check(Payload::Audio(Opus), 0, vec![1], Err(SendError::NotAgreed(Payload::Audio(Opus))));
    check(
        Payload::TelephoneEvent(8_000),
        0,
        vec![1],
        Err(SendError::NotAgreed(Payload::TelephoneEvent(8_000))),
    );
    check(Payload::Audio(Pcmu), 0, vec![0; 1_400], Ok(()));
    check(Payload::Audio(Pcmu), 1, vec![0; 1_401], Err(SendError::TooLong(1_401)));
    check(Payload::Audio(Pcmu), 1, Vec::new(), Ok(()));
    check(Payload::Audio(Pcmu), 1, vec![1], Err(SendError::Repeated(1)));
    check(Payload::Audio(Pcmu), 9, vec![1], Ok(()));
    check(Payload::Audio(Pcmu), 2, vec![1], Ok(()));
}

#[test]
fn rtcp_reports_come_each_second() {
    let mut call = Call::page_offers(&[Pcmu], AT_ONCE, same);
    call.connect();
    for count in 0..1_100 {
        let kind = Payload::Audio(Pcmu);
        call.peer.send(outgoing(kind, count, count * 160, "one of many"), call.now).unwrap();
        call.page_sends(0, count * 160, b"one of many");
        call.run(Duration::from_millis(20));
    }
    let report = call.reports.last().expect("reports in 22 s");
    assert!(report.round_trip.is_some() && report.lost == Some(0), "{report:?}");
    assert!((20..=22).contains(&call.reports.len()), "{}", call.reports.len());
    let rtcp = |datagram: &[u8]| matches!(datagram, [128..192, 200..=207, ..]);
    assert!(call.sent.iter().any(|(_, datagram)| rtcp(datagram)), "we report too");
}

#[test]
fn a_page_sees_only_the_advertised_address() {
    let config = page::config(&[Opus]);
    let (_, offer) = actors::browser::rtc::Peer::offer(&config, std::time::Instant::now());
    assert!(offer.contains("198.51.100.7 30000 typ host") && !offer.contains("10.0.0.5"), "{offer}");
    let mut call = Call::page_offers(&[Opus], AT_ONCE, same);
    call.connect();
    assert!(call.sent.iter().all(|(to, _)| *to == address(PAGE)));
    assert_ne!(address(ADVERTISED), address(page::BOUND));
}
