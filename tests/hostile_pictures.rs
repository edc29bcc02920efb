//! A phone whose pictures are damaged, invented and absurd: nothing falls, nothing grows, another call hears nothing of it, and afterwards the page
//! sees again.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::net::UdpSocket;
use support::browser::Account;
use support::cinema::{first, pictures};
use support::device::{Speaker, Stream};
use support::pattern::{self, PAGE_MARK, PHONE_MARK};
use support::scene::{OTHER_TONE, PAGE_TONE};
use support::sound::moment;
use support::{Bench, Device, House, Videophone, Web, fairly, now_ms, secs, wait_for};

/// Damaged copies before each packet of the phone.
const SPOILED: u32 = 20;

fn attack_s() -> u64 {
    if std::env::var_os("TANDEM_SOAK").is_some() { 120 } else { 4 }
}

fn hostile(codec: &str, ways: [(&str, &str); 2]) {
    fairly(|| {
        let bench = Bench::new();
        let phone = Videophone::of(&bench, codec, None);
        let mouth = UdpSocket::bind("127.0.0.1:0").unwrap();
        let device = Device::start(mouth.local_addr().unwrap());
        let mut house = House::start(&bench);
        let web = Web::start(&bench);
        let listener = web.page("1003", OTHER_TONE);
        listener.connect_and_wait(&house, &Account::direct("1003", "127.0.0.1", device.port));
        let heard = listener.call("2002");
        let speaker = Speaker::start(&mouth, device.house_rtp(), PAGE_TONE, Stream::new(1));
        listener.wait_call(&heard, "ESTABLISHED", secs(5));
        let page = web.page_with_camera("1001", PAGE_TONE, PAGE_MARK, (320, 240));
        page.connect_and_wait(&house, &Account::direct("1001", "127.0.0.1", phone.port));

        let (mut began_at, mut size) = (0.0, 0);
        for (nth, (how, codecs)) in ways.into_iter().enumerate() {
            let call = page.call_with("2001", pictures(codecs));
            phone.answered(nth);
            wait_for("a picture at the page", secs(10), || first(&page.seen(&call), PHONE_MARK));
            if nth == 0 {
                (began_at, size) = (moment(), house.size().memory_kib);
            }
            let attack = now_ms();
            phone.habits(json!({ "spoils": SPOILED }));
            std::thread::sleep(secs(attack_s()));
            phone.habits(json!({ "spoils": 0 }));
            let over = now_ms();
            let asked = phone.since("asked", attack).len();
            let right = |seen: &&pattern::Seen| seen.at > over && matches!(seen.says, Some((PHONE_MARK, _)));
            let again = wait_for("pictures after the attack", secs(30), || {
                page.seen(&call).iter().filter(right).nth(10).map(|seen| seen.at)
            });
            println!(
                "{codec} {how}: asked {asked} times for a key frame, ten pictures {:.0} ms later",
                again - over
            );
            assert!(asked > 0 && asked <= attack_s() as usize * 3 + 3, "{asked} wishes");
            page.hang_up(&call);
            page.wait_call(&call, "FINISH", secs(5));
        }
        let (ended_at, grown) = (moment(), house.size().memory_kib.saturating_sub(size));
        speaker.stop();
        listener.hang_up(&heard);
        listener.wait_call(&heard, "FINISH", secs(5));
        let beside = listener.heard(&heard).between(began_at, ended_at).assert_tone(PAGE_TONE);
        println!("{codec}: {grown} KiB more, another call's longest gap {:.0} ms", beside.gap_ms);
        assert!(grown < 40 * 1024, "{grown} KiB more");
        house.assert_no_call_left(secs(5));
        house.assert_well();
    });
}

#[test]
fn damaged_h264_harms_nobody_passed_or_transcoded() {
    hostile("h264", [("passed", "SILK,VP8,VP9,AV1"), ("transcoded", "SILK,H264,VP9,AV1")]);
}

#[test]
fn damaged_vp8_harms_nobody_passed_or_transcoded() {
    hostile("vp8", [("passed", "SILK,H264,VP9,AV1"), ("transcoded", "SILK,VP8,VP9,AV1")]);
}
