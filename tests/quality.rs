//! How the sound of a call fared, told in figures, and what is done where none comes.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::pcap::Packet;
use support::record::{Record, figure};
use support::scene::Scene;
use support::websocket::{Frame, WebSocket, offer};
use support::{Bench, fairly, house, rtp, secs, sipp};

/// Packet types of an RTCP compound (RFC 3550 §12.1).
fn rtcp_types(packet: &Packet) -> Vec<u8> {
    let (mut rest, mut types) = (&packet.payload[..], vec![]);
    while let [first, kind, high, low, ..] = rest
        && first >> 6 == 2
        && (200..=206).contains(kind)
    {
        types.push(*kind);
        let length = (usize::from(u16::from_be_bytes([*high, *low])) + 1) * 4;
        rest = rest.get(length..).unwrap_or_default();
    }
    types
}

#[test]
fn the_figures_of_both_legs_are_those_of_the_wire() {
    fairly(|| {
        let scene = Scene::new();
        let phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        page.mute(&call);
        std::thread::sleep(secs(18)); // a report of ours within 6.2 s, and one of theirs within 7.5 s of it
        let mute = |line: &&str| line.contains("no sound") && line.contains("muted_microphone");
        let log = scene.house.log();
        let told: Vec<&str> = log.lines().filter(mute).collect();
        assert!(told.len() == 1 && told[0].contains("browser") && !log.contains("WARN no sound"), "{told:?}");
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        let record = Record::of_first_call(&scene.house);
        let (browser, sip) = (record.text("caller"), record.text("callee"));
        println!("caller: {browser}\ncallee: {sip}");
        let wire = wire.stop();

        assert!(browser.starts_with("browser opus/48000/2") && sip.starts_with("sip PCM"), "{browser} {sip}");
        let is_phone = |port: u16| (phone.rtp.0..=phone.rtp.1).contains(&port);
        let count = |from: &dyn Fn(&Packet) -> bool| {
            wire.packets.iter().filter(|p| from(p)).filter_map(rtp::parse).count() as f64
        };
        let house = scene.house.webrtc;
        for (what, record, word, seen) in [
            ("phone to us", sip, "; received", count(&|p| is_phone(p.from.port()))),
            ("us to phone", sip, "; sent", count(&|p| is_phone(p.to.port()))),
            ("page to us", browser, "; received", count(&|p| p.to.port() == house)),
            ("us to page", browser, "; sent", count(&|p| p.from.port() == house)),
        ] {
            let told = figure(record, word);
            assert!(seen > 400.0 && (told - seen).abs() <= 25.0, "{what}: {told} packets instead of {seen}");
        }
        for leg in [browser, sip] {
            assert!(
                figure(leg, "round trip") < 50.0 && figure(leg, "lost") <= 2.0 && figure(leg, "MOS") > 4.3,
                "{leg}"
            );
        }
        for leg in ["browser", "sip"] {
            let label = format!("leg=\"{leg}\"");
            assert_eq!(scene.house.metric("tandem_mos_count", &label), 1.0, "{leg}");
            assert!(scene.house.metric("tandem_mos_sum", &label) > 4.3, "{leg}");
        }

        // RFC 3550 §6.1: each report begins with SR or RR and names its source; the last says BYE.
        let ours: Vec<_> =
            wire.packets.iter().filter(|p| is_phone(p.to.port()) && p.to.port() % 2 == 1).collect();
        let types: Vec<_> = ours.iter().map(|p| rtcp_types(p)).collect();
        assert!(types.len() >= 2 && types.iter().all(|types| types.starts_with(&[200, 202])), "{types:?}");
        assert_eq!(types.iter().filter(|types| types.contains(&203)).count(), 1, "{types:?}");
    });
}

/// What a session that asks for these events is told of a call in which no media come either way, until it is over.
fn told(house: &support::House, phone_port: u16, events: Value) -> Vec<Value> {
    let mut socket = WebSocket::open(house.web);
    socket.send(
        "connection",
        json!({
            "clientVersion": "2.0", "sipLogin": "2009", "sipDomain": "127.0.0.1", "sipPort": phone_port,
            "sipRegisterRequired": false, "tandemEvents": events,
        }),
    );
    socket.expect("getUserData", secs(5));
    let id = format!("call-for-{}", events.as_array().unwrap().len());
    socket.send("call", json!({ "callId": id, "callee": "2001", "hasAudio": true, "sdp": offer() }));
    let mut frames = vec![];
    while let Some(Frame::Text(frame)) = socket.next(secs(12)) {
        let over = frame["message"] == "finish";
        frames.push(frame);
        if over {
            break;
        }
    }
    frames
}

#[test]
fn a_page_that_asks_hears_why_there_is_no_sound_and_no_other_page_does() {
    let bench = Bench::new();
    let phone = sipp::Plan::new("uas_answer").key("media_port", "9").calls(2, 10).start(&bench);
    let house = house::Plan::new().start(&bench);
    let asks = told(&house, phone.port, json!(["call-quality", "media-trouble"]));
    let named = |frames: &[Value], name: &str| -> Vec<Value> {
        frames.iter().filter(|frame| frame["message"] == name).map(|frame| frame["data"][0].clone()).collect()
    };
    let mut troubles: Vec<_> = named(&asks, "notifyMediaTrouble")
        .iter()
        .map(|it| {
            format!("{} {} {} {} {}", it["leg"], it["direction"], it["cause"], it["active"], it["seconds"])
        })
        .collect();
    troubles.sort();
    let expected = [
        r#""browser" "received" "ice_not_connected" true 3"#,
        r#""sip" "received" "no_packets_from_far_side" true 3"#,
    ];
    assert_eq!(troubles, expected, "{asks:#?}");
    let quality = named(&asks, "notifyCallQuality");
    assert_eq!(quality.len(), 1, "{asks:#?}");
    assert_eq!(quality[0]["legs"][1]["leg"], "sip", "{quality:#?}");
    let silent = told(&house, phone.port, json!([]));
    assert!(
        named(&silent, "finish").len() == 1 && named(&silent, "notifyCallQuality").is_empty(),
        "{silent:#?}"
    );
    assert!(named(&silent, "notifyMediaTrouble").is_empty(), "{silent:#?}");
    for leg in ["browser", "sip"] {
        assert_eq!(house.metric("tandem_no_media_calls_total", &format!("leg=\"{leg}\"")), 2.0, "{leg}");
    }
    assert_eq!(house.metric("tandem_one_way_calls_total", ""), 0.0, "neither way is not one way");
}

#[test]
fn a_phone_that_falls_silent_is_named_and_so_is_its_return() {
    fairly(|| {
        let scene = Scene::new();
        let mut phone = scene.ready_phone();
        let page = scene.page();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(2));
        phone.freeze();
        std::thread::sleep(secs(10));
        phone.thaw();
        std::thread::sleep(secs(2));
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(5));
        Record::of_first_call(&scene.house);
        let log = scene.house.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("sound")).collect();
        let [began, ended] =
            [" no sound ", " sound again "].map(|words| lines.iter().any(|line| line.contains(words)));
        assert!(began && ended, "{lines:#?}");
        let told = "sip received: no_packets_from_far_side, ";
        assert!(log.lines().any(|line| line.contains("call ended") && line.contains(told)), "{lines:#?}");
        assert_eq!(scene.house.metric("tandem_one_way_calls_total", ""), 1.0);
        let label = "cause=\"no_packets_from_far_side\"";
        assert_eq!(scene.house.metric("tandem_media_troubles_total", label), 1.0);
        assert_eq!(scene.house.metric("tandem_no_media_calls_total", ""), 0.0);
    });
}
