//! Pictures over networks that lose packets, on either side of the house: how long they stand still, and what goes over the wire for that.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::collections::BTreeSet;
use support::cinema::{Cinema, PASSED, TRANSCODED, first, frozen, pictures};
use support::pattern::{self, PAGE_MARK, PHONE_MARK};
use support::rtp::{self, Rtp};
use support::{Page, Wiretap, fairly, now_ms, secs, wait_for};

/// Seconds of a call.
fn length() -> u64 {
    if std::env::var_os("TANDEM_SOAK").is_some() { 60 } else { 15 }
}

/// A call over losses: how long the page and the phone saw a picture that stood still, in ms.
fn freezes(cinema: &Cinema, page: &Page, codecs: &str, cable: u32, phone: u32) -> (f64, f64) {
    cinema.cable.set(cable, 0);
    cinema.phone.habits(json!({ "loss": phone }));
    let nth = cinema.phone.all("over").len();
    let call = page.call_with("2001", pictures(codecs));
    let answered = cinema.phone.answered(nth);
    wait_for("a picture at the page", secs(10), || first(&page.seen(&call), PHONE_MARK));
    cinema.phone.wait_since("shown", answered, secs(10));
    let from = now_ms();
    std::thread::sleep(secs(length()));
    let to = now_ms();
    cinema.cable.set(0, 0);
    let seen = page.seen(&call);
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(5));
    let shown = cinema.phone.shown(nth);
    pattern::assert_moving(&seen, PHONE_MARK, 20);
    pattern::assert_moving(&shown, PAGE_MARK, 20);
    (frozen(&seen, from, to), frozen(&shown, from, to))
}

/// Every packet of a capture that one port sent, or one got.
fn between(packets: &[support::pcap::Packet], from: Option<u16>, to: Option<u16>) -> Vec<Rtp> {
    let mine = packets.iter().filter(|packet| {
        from.is_none_or(|port| packet.from.port() == port) && to.is_none_or(|port| packet.to.port() == port)
    });
    mine.filter_map(rtp::parse).collect()
}

#[test]
fn rq18_pictures_hardly_stand_still_while_the_pages_network_loses_two_percent() {
    fairly(|| {
        let cinema = Cinema::new();
        let page = cinema.page();
        let wire = Wiretap::on(&cinema.bench, "lan0", Some(&cinema.cable.there));
        // The phone cannot repeat anything.
        let frozen = freezes(&cinema, &page, PASSED, 2, 0);
        println!(
            "{} s with 2 % lost at the page: it saw {:.0} ms of still pictures, the phone {:.0} ms",
            length(),
            frozen.0,
            frozen.1
        );
        let packets = wire.stop().packets;
        let to_page = between(&packets, Some(cinema.house.webrtc), None);
        let told = page.received().into_iter().map(|(_, event)| event.body["frame"]["data"].to_string());
        let told: String = told.collect();
        let declared: BTreeSet<u32> =
            told.split("a=ssrc:").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok()).collect();
        let sent: BTreeSet<u32> = to_page.iter().map(|packet| packet.ssrc).collect();
        println!("SSRCs told {declared:?}, sent {sent:?}");
        assert!(sent.is_subset(&declared), "{sent:?} beside {declared:?}");
        assert_eq!(sent.len(), 3, "sound, pictures, and those that were sent again");
        assert!(cinema.phone.all("repeats").is_empty());
        assert!(frozen.0 < 1000.0 && frozen.1 < 1000.0, "{frozen:?}");
    });
}

#[test]
fn rq18_pictures_hardly_stand_still_while_the_phones_network_loses_two_percent() {
    fairly(|| {
        let cinema = Cinema::new();
        let page = cinema.page();
        cinema.phone.habits(json!({ "nack": true }));
        for codecs in [PASSED, TRANSCODED] {
            let frozen = freezes(&cinema, &page, codecs, 0, 2);
            println!(
                "{} s with 2 % lost at the phone, {codecs}: the page saw {:.0} ms of still pictures, the phone {:.0} ms",
                length(),
                frozen.0,
                frozen.1
            );
            assert!(frozen.0 < 1000.0 && frozen.1 < 1000.0, "{frozen:?}");
        }
        // What a phone that repeats nothing costs is printed alone: each loss is paid with a key frame, once a second.
        cinema.phone.habits(json!({ "nack": false }));
        let frozen = freezes(&cinema, &page, PASSED, 0, 2);
        println!("the same without NACK: the page {:.0} ms, the phone {:.0} ms", frozen.0, frozen.1);
    });
}

#[test]
fn rq18_a_page_sends_no_more_than_the_phone_takes_and_extensions_and_numbers_stay_on_their_side() {
    fairly(|| {
        let cinema = Cinema::new();
        let page = cinema.grainy_page();
        let wire = Wiretap::on(&cinema.bench, "lo", Some(&cinema.cable.there));
        for (codecs, number) in [(PASSED, 0), (TRANSCODED, 96)] {
            cinema.phone.habits(json!({ "limit": 150, "number": number }));
            let nth = cinema.phone.all("over").len();
            let call = page.call_with("2001", pictures(codecs));
            cinema.phone.answered(nth);
            wait_for("a picture at the page", secs(10), || first(&page.seen(&call), PHONE_MARK));
            std::thread::sleep(secs(10));
            page.hang_up(&call);
            page.wait_call(&call, "FINISH", secs(5));
            pattern::assert_moving(&page.seen(&call), PHONE_MARK, 20);
            pattern::assert_moving(&cinema.phone.shown(nth), PAGE_MARK, 20);
        }
        assert!(cinema.phone.all("extension").is_empty() && cinema.phone.all("foreign").is_empty());
        let packets = wire.stop().packets;
        let video = between(&packets, None, Some(cinema.phone.rtp + 2));
        assert!(
            packets.iter().filter(|p| p.to.port() == cinema.phone.rtp + 2).all(|p| p.payload[0] & 0x10 == 0)
        );
        let calls: Vec<Vec<&Rtp>> = {
            let sources: Vec<u32> = video.iter().map(|p| p.ssrc).fold(vec![], |mut all, ssrc| {
                if !all.contains(&ssrc) {
                    all.push(ssrc);
                }
                all
            });
            sources.iter().map(|ssrc| video.iter().filter(|p| p.ssrc == *ssrc).collect()).collect()
        };
        assert_eq!(calls.len(), 2);
        for (call, how) in calls.iter().zip(["passed", "transcoded"]) {
            let end = call.last().unwrap().at;
            let last: Vec<_> = call.iter().filter(|p| p.at > end - 6000.0).collect();
            // What goes over the wire with its headers of RTP, UDP and IP is what b=AS counts (RFC 3556 §2).
            let bits: usize = last.iter().map(|p| (p.payload.len() + 40) * 8).sum();
            let kbits = bits as f64 / 6000.0;
            println!("{how}: {kbits:.0} kbit/s of 150, number {}", call[0].kind);
            assert!((50.0..=150.0 * 1.1).contains(&kbits), "{how}: {kbits:.0} kbit/s");
        }
        assert_eq!(calls[1][0].kind, 96, "the very number that the page's VP8 has");
        let of_page = page
            .received()
            .into_iter()
            .any(|(_, event)| event.body.to_string().contains("rtpmap:96 VP8/90000"));
        assert!(of_page);
    });
}
