//! How the sound of a call fared, told in figures, and what is done where none comes.

#![allow(clippy::unwrap_used)]

mod support;

use support::pcap::Packet;
use support::scene::Scene;
use support::{fairly, rtp, secs};

/// The figure behind `word` in the record of one leg.
#[track_caller]
fn figure(record: &str, word: &str) -> f64 {
    let (_, rest) = record.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {record}"));
    let number: String = rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    number.parse().unwrap_or_else(|_| panic!("no figure behind {word:?} in {record}"))
}

/// The record of the first call that ended: what the log says of its caller and its callee.
#[track_caller]
fn record(scene: &Scene) -> (String, String) {
    let log = support::wait_for("the call's record", secs(3), || {
        scene.house.log().lines().find(|line| line.contains("call ended")).map(str::to_owned)
    });
    let leg = |key: &str| {
        let (_, rest) = log.split_once(key).unwrap_or_else(|| panic!("no {key} in {log}"));
        rest.split('"').nth(1).unwrap().to_owned()
    };
    (leg("caller="), leg("callee="))
}

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
        std::thread::sleep(secs(12)); // a report of ours within 6.2 s, and one of theirs within 5 s of it
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        let (browser, sip) = record(&scene);
        println!("caller: {browser}\ncallee: {sip}");
        let wire = wire.stop();

        assert!(browser.starts_with("browser opus/48000/2") && sip.starts_with("sip PCM"), "{browser} {sip}");
        let is_phone = |port: u16| (phone.rtp.0..=phone.rtp.1).contains(&port);
        let count = |from: &dyn Fn(&Packet) -> bool| {
            wire.packets.iter().filter(|p| from(p)).filter_map(rtp::parse).count() as f64
        };
        let house = scene.house.webrtc;
        for (what, record, word, seen) in [
            ("phone to us", &sip, "; received", count(&|p| is_phone(p.from.port()))),
            ("us to phone", &sip, "; sent", count(&|p| is_phone(p.to.port()))),
            ("page to us", &browser, "; received", count(&|p| p.to.port() == house)),
            ("us to page", &browser, "; sent", count(&|p| p.from.port() == house)),
        ] {
            let told = figure(record, word);
            assert!(seen > 400.0 && (told - seen).abs() <= 25.0, "{what}: {told} packets instead of {seen}");
        }
        for leg in [&browser, &sip] {
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
