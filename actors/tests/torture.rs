//! The torture messages over the wire: each is answered as its index says, and the endpoint goes on.
#![allow(clippy::unwrap_used)]
mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sip::message::StatusCode;
use support::peer::{TcpPeer, UdpPeer, code_of, request, response};
use support::{House, house, settings, short_limits};

/// One row of the index.
struct Case {
    name: String,
    is_tcp: bool,
    strict: Vec<String>,
    tolerated: Vec<String>,
    bytes: Vec<u8>,
}

const ANSWER: Duration = Duration::from_millis(500);
/// How long a message that must hear nothing is given to hear something.
const SILENCE: Duration = Duration::from_millis(200);

#[actix::test]
async fn every_torture_message_is_answered_as_its_index_says() {
    let house = house(settings(), Default::default(), StatusCode::BUSY_HERE).await;
    let prober = UdpPeer::any(house.at).await;
    let (mut strict, mut wrong) = (0, vec![]);
    let cases: Vec<Case> = index().into_iter().chain(ipv6_cases()).collect();
    for case in &cases {
        // Answers to others are repeated for a while, so each case has an address of its own. Some share their branch: for the
        // endpoint they are one request that comes again, and hear its answer again at the address where it came from first.
        let first =
            cases.iter().position(|other| transaction(&other.bytes) == transaction(&case.bytes)).unwrap();
        let code = answer(&house, first as u8, case).await;
        let meets = |wanted: &[String]| wanted.iter().any(|wanted| fits(wanted, code));
        if meets(&case.strict) {
            strict += 1;
        } else if !meets(&case.tolerated) {
            wrong.push(format!("{}: {code:?}, wanted {:?}, or {:?}", case.name, case.strict, case.tolerated));
        }
        assert!(prober.probe(ANSWER).await, "no answer to OPTIONS after {}", case.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{strict} of {} strictly", cases.len());
    assert_eq!(cases.len(), 61);
    assert_eq!(strict, 61);
}

#[actix::test]
async fn two_messages_in_one_datagram_get_one_answer() {
    let house = house(settings(), Default::default(), StatusCode::BUSY_HERE).await;
    let peer = UdpPeer::new("127.0.1.201:5060".parse().unwrap(), house.at).await;
    peer.send(&file("valid/dblreq.dat")).await;
    assert_eq!(peer.code(ANSWER).await, Some(405));
    assert_eq!(peer.code(SILENCE).await, None);
}

#[actix::test]
async fn refusals_say_what_would_have_been_right() {
    let house = house(settings(), Default::default(), StatusCode::BUSY_HERE).await;
    for (name, header, value) in [
        ("valid/intmeth.dat", "Allow", "INVITE"),
        ("other/bext01.dat", "Unsupported", "nothingSupportsThis, nothingSupportsThisEither"),
        ("valid/transports.dat", "Via", "UNKNOWN"),
    ] {
        let mut peer = TcpPeer::new(house.at).await;
        peer.send(&file(name)).await;
        let answer = response(&peer.bytes(ANSWER).await.unwrap());
        let found = answer
            .headers
            .iter()
            .any(|field| field.name().as_str() == header && field.value().contains(value));
        assert!(found, "{name}: {header} with {value} in\n{}", answer.headers);
    }
}

#[actix::test]
async fn a_stream_that_cannot_be_framed_is_answered_and_closed() {
    let house = house(settings(), Default::default(), StatusCode::BUSY_HERE).await;
    for name in ["invalid/ncl.dat", "other/mcl01.dat"] {
        let mut peer = TcpPeer::new(house.at).await;
        peer.send(&file(name)).await;
        assert_eq!(peer.code(ANSWER).await, Some(400), "{name}");
        assert!(peer.closes(Duration::from_secs(5)).await, "{name}");
    }
}

#[actix::test]
async fn a_first_message_that_stalls_is_closed_and_slows_nobody() {
    check_stall(false, short_limits().first_message).await;
}

#[actix::test]
async fn a_later_message_that_stalls_is_closed_and_slows_nobody() {
    check_stall(true, short_limits().stalled_message).await;
}

async fn check_stall(proven: bool, deadline: Duration) {
    let house = house(settings(), short_limits(), StatusCode::BUSY_HERE).await;
    let mut stalled = TcpPeer::new(house.at).await;
    if proven {
        stalled.send(&request("OPTIONS", "TCP", stalled.stream.local_addr().unwrap(), "")).await;
        assert_eq!(stalled.code(ANSWER).await, Some(200));
    }
    let started = Instant::now();
    stalled.send(&file("invalid/clerr.dat")).await;
    let mut other = TcpPeer::new(house.at).await;
    other.send(&request("OPTIONS", "TCP", other.stream.local_addr().unwrap(), "")).await;
    assert_eq!(other.code(ANSWER).await, Some(200));
    assert!(stalled.closes(deadline * 3).await);
    let waited = started.elapsed();
    assert!(waited > deadline * 3 / 4, "closed before its deadline: {waited:?}");
}

/// Sends a case and takes the final answer to it.
async fn answer(house: &House, number: u8, case: &Case) -> Option<u16> {
    let wait = if case.strict == ["silent"] { SILENCE } else { ANSWER };
    if case.is_tcp {
        let mut peer = TcpPeer::new(house.at).await;
        peer.send(&case.bytes).await;
        return peer.code(wait).await;
    }
    // Answers go to the port that the Via names.
    let from = SocketAddr::from(([127, 0, 1, number], via_port(&case.bytes)));
    let peer = UdpPeer::new(from, house.at).await;
    peer.send(&case.bytes).await;
    peer.bytes(wait).await.map(|bytes| code_of(&bytes))
}

fn fits(wanted: &str, code: Option<u16>) -> bool {
    match (wanted, code) {
        ("silent", code) => code.is_none(),
        ("parse-ok", Some(code)) => code >= 200 && ![400, 416, 420, 500, 505, 513].contains(&code),
        (wanted, Some(code)) => wanted == code.to_string(),
        _ => false,
    }
}

/// What makes two requests one for the endpoint: method and top Via.
fn transaction(bytes: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(bytes);
    let method = text.split(' ').next().unwrap_or_default();
    let via = text.lines().find(|line| line.to_ascii_lowercase().starts_with("via:"));
    (method.to_owned(), via.unwrap_or(&text).to_owned())
}

fn via_port(bytes: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(bytes);
    let via = text.lines().find(|line| line.to_ascii_lowercase().starts_with("v")).unwrap_or_default();
    let sent_by = via.split(';').next().unwrap_or_default();
    let port = sent_by.rsplit([':', ']']).next().unwrap_or_default().trim();
    port.parse().ok().filter(|_| !sent_by.ends_with(']')).unwrap_or(5060)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/torture")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join("rfc4475").join(name)).unwrap()
}

/// The rows of RFC 4475.
fn index() -> Vec<Case> {
    let index = std::fs::read_to_string(folder().join("INDEX.md")).unwrap();
    let rows = index.lines().filter_map(|line| line.strip_prefix("| 4475 |"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let words = |cell: &str| cell.split(" / ").filter(|word| *word != "-").map(str::to_owned).collect();
        Case {
            name: cells[1].to_owned(),
            is_tcp: cells[3] == "tcp",
            strict: words(cells[4]),
            tolerated: words(cells[5]),
            bytes: file(cells[1]),
        }
    })
    .collect()
}

/// The cases of RFC 5118, by section; the index has them, the set has no files of them.
fn ipv6_cases() -> Vec<Case> {
    const VIA: &str = "SIP/2.0/UDP [2001:db8::9:1];branch=";
    const MIXED: &str = "SIP/2.0/UDP [2001:db8::9:1]:6050;branch=, SIP/2.0/UDP 192.0.2.1";
    const SDP: &str = "v=0\r\no=a 1 1 IN IP6 2001:db8::20\r\ns=-\r\nt=0 0\r\nc=IN IP6 2001:db8::20\r\nm=audio 6000 RTP/AVP 0\r\n";
    const TWO: &str = "v=0\r\no=a 1 1 IN IP6 2001:db8::20\r\ns=-\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n\
                       m=audio 6002 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n";
    const MAPPED: &str = "v=0\r\no=a 1 1 IN IP6 ::ffff:192.0.2.2\r\ns=-\r\nt=0 0\r\nc=IN IP6 ::ffff:192.0.2.2\r\nm=audio 6000 RTP/AVP 0\r\n";
    let rows = [
        ("4.1", "REGISTER", "sip:[2001:db8::10]", VIA, "", "parse-ok", "405"),
        ("4.2", "REGISTER", "sip:2001:db8::10", VIA, "", "400", "-"),
        ("4.3", "REGISTER", "sip:[2001:db8::10:5070]", VIA, "", "parse-ok", "405"),
        ("4.4", "REGISTER", "sip:[2001:db8::10]:5070", VIA, "", "parse-ok", "405"),
        (
            "4.5 with brackets",
            "BYE",
            "sip:[2001:db8::10]",
            "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=",
            "",
            "parse-ok",
            "481",
        ),
        (
            "4.5",
            "OPTIONS",
            "sip:[2001:db8::10]",
            "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=",
            "",
            "parse-ok",
            "-",
        ),
        ("4.6", "INVITE", "sip:user@[2001:db8::10]", VIA, SDP, "parse-ok", "488"),
        ("4.7", "BYE", "sip:user@[2001:db8::10]", MIXED, "", "parse-ok", "481"),
        ("4.8", "INVITE", "sip:user@[2001:db8::10]", VIA, TWO, "parse-ok", "488"),
        (
            "4.9",
            "INVITE",
            "sip:user@[2001:db8::10]",
            "SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=",
            MAPPED,
            "parse-ok",
            "488",
        ),
        (
            "4.10 three colons",
            "OPTIONS",
            "sip:user@[2001:db8::10]",
            "SIP/2.0/UDP [2001:db8:::192.0.2.1];branch=",
            "",
            "parse-ok",
            "400",
        ),
        (
            "4.10",
            "OPTIONS",
            "sip:user@[2001:db8::10]",
            "SIP/2.0/UDP [2001:db8::192.0.2.1];branch=",
            "",
            "parse-ok",
            "-",
        ),
    ];
    rows.map(|(section, method, uri, via, sdp, strict, tolerated)| {
        let (kind, length) = (if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" }, sdp.len());
        let call_id = section.replace(' ', "-");
        let via = via.replace("branch=", &format!("branch=z9hG4bK{call_id}"));
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: {via}\r\nTo: <sip:user@example.com>\r\nFrom: <sip:user@example.com>;tag=81x2\r\n\
             Call-ID: {call_id}@[2001:db8::1]\r\nMax-Forwards: 70\r\nCSeq: 98176 {method}\r\nContact: <sip:caller@[2001:db8::1]>\r\n\
             {kind}Content-Length: {length}\r\n\r\n{sdp}"
        );
        let words = |cell: &str| cell.split(" / ").filter(|word| *word != "-").map(str::to_owned).collect();
        Case {
            name: format!("RFC 5118 {section}"),
            is_tcp: false,
            strict: words(strict),
            tolerated: words(tolerated),
            bytes: text.into_bytes(),
        }
    })
    .into()
}
