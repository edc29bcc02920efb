//! What strangers may say to the SIP ports: refused by the right code, framed or closed in time, and no page hears of it.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use support::sip_probe::{code, datagram};
use support::websocket::{Frame, WebSocket};
use support::{Bench, House, secs};

fn sip(house: &House) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], house.sip))
}

/// A request to the account 2009 outside any dialog, with these header lines more.
fn request(method: &str, more: &str) -> String {
    format!(
        "{method} sip:2009@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:stranger@127.0.0.9>;tag=1\r\nTo: <sip:2009@127.0.0.1>\r\nCall-ID: {method}{}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:stranger@127.0.0.9>\r\n{more}Content-Length: 0\r\n\r\n",
        more.len(),
        more.len(),
    )
}

#[test]
fn requests_outside_dialogs_that_nobody_asked_for_hear_what_the_docs_say() {
    let bench = Bench::new();
    let mut house = House::start(&bench);
    let mut page = WebSocket::session(house.web, "2009", "127.0.0.1", 5999);
    for (method, more, want) in [
        ("REFER", "Refer-To: <sip:premium@127.0.0.9>\r\n", 403),
        ("SUBSCRIBE", "Event: presence\r\n", 489),
        ("SUBSCRIBE", "Event: message-summary\r\n", 489),
        ("NOTIFY", "Event: presence\r\nSubscription-State: active\r\n", 481),
        ("NOTIFY", "Event: refer\r\nSubscription-State: active\r\n", 481),
        ("NOTIFY", "", 481),
        ("BYE", "", 481),
        ("CANCEL", "", 481),
        ("UPDATE", "", 481),
        ("INFO", "", 481),
        ("PRACK", "RAck: 1 1 INVITE\r\n", 481),
        ("REGISTER", "", 405),
        ("PUBLISH", "Event: presence\r\n", 405),
        ("DANCE", "", 501),
    ] {
        let answers = datagram(sip(&house), request(method, more).as_bytes(), Duration::from_millis(150));
        let codes: Vec<_> = answers.iter().filter_map(|answer| code(answer)).collect();
        assert_eq!(codes, [want], "{method} {more}");
    }
    page.send("ping", json!(null));
    let next = page.next(secs(2));
    assert!(matches!(&next, Some(Frame::Text(frame)) if frame["message"] == "pong"), "{next:?}");
    house.assert_no_call_left(secs(1));
    house.assert_well();
}

/// How long the house keeps a stream that begins like this, and what it says.
fn closed_after(house: &House, parts: &[&str]) -> (Duration, Vec<u16>) {
    let mut stream = TcpStream::connect(sip(house)).unwrap();
    for part in parts {
        stream.write_all(part.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    let began = Instant::now();
    stream.set_read_timeout(Some(secs(40))).unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said); // closed, or reset
    let said = String::from_utf8_lossy(&said).into_owned();
    (began.elapsed(), said.split("\r\n\r\n").filter_map(code).collect())
}

#[test]
fn a_stream_whose_framing_is_broken_is_closed_within_five_seconds() {
    let bench = Bench::new();
    let mut house = House::start(&bench);
    let good = request("OPTIONS", "");
    let cases = [
        ("a length that is no number", good.replace("Content-Length: 0", "Content-Length: many")),
        ("a length below nothing", good.replace("Content-Length: 0", "Content-Length: -1")),
        ("two lengths", good.replace("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 9")),
        ("a length beyond all bounds", good.replace("Content-Length: 0", "Content-Length: 99999999")),
        ("no SIP", "\u{1}\u{2}\u{3}\u{4}".repeat(20_000)),
    ];
    std::thread::scope(|scope| {
        for (what, text) in &cases {
            let house = &house;
            scope.spawn(move || {
                let (after, _) = closed_after(house, &[text]);
                assert!(after <= secs(5), "{what}: {after:?}");
            });
        }
    });
    assert_eq!(closed_after(&house, &[&cases[0].1]).1, [400], "it is told, too");
    house.assert_well();
}

/// Ten seconds for a connection's first message, thirty for a later one.
#[test]
fn a_stream_whose_body_stalls_is_closed_within_thirty_seconds() {
    let is_soak = std::env::var_os("TANDEM_SOAK").is_some();
    let bench = Bench::new();
    let mut house = House::start(&bench);
    let stalled = request("OPTIONS", "").replace("Content-Length: 0", "Content-Length: 100");
    let (after, _) = closed_after(&house, &[&stalled]);
    assert!((secs(9)..=secs(11)).contains(&after), "{after:?}");
    if is_soak {
        let (after, codes) = closed_after(&house, &[&request("OPTIONS", ""), &stalled]);
        assert!((secs(28)..=secs(31)).contains(&after), "{after:?}");
        assert_eq!(codes, [200]);
    }
    house.assert_well();
}
