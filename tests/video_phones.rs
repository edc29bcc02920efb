//! Pictures with phones as they are: such as know packetization-mode 0 of H.264 alone.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::baresip;
use support::browser::Account;
use support::pattern::{self, PAGE_MARK, PHONE_MARK};
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::{fairly, house, kamailio, secs, wait_for};

const SIZE: (usize, usize) = (320, 240);

/// A page calls a phone of mode 0. `answered`: when the page learns what becomes of its pictures; `modes`: what it is told, and
/// what becomes of them on their way.
fn a_page_calls_a_phone_of_mode_0(answered: &str, mode: u8, transcoders: f64) {
    fairly(|| {
        let house = house::Plan::new().set("media.answer_video", &format!("\"{answered}\""));
        let scene = Scene::with(kamailio::Plan::new(), house);
        let file = scene.bench.path("phone-sees.y4m");
        pattern::write_y4m(&file, PHONE_MARK, SIZE, 15, 60);
        let phone = baresip::Plan::new("1002", PHONE_TONE).camera("h264", &file).single_units().auto_answer();
        let phone = phone.start(&scene.bench, &scene.pbx);
        let page = scene.web.page_with_grainy_camera("1001", PAGE_TONE, PAGE_MARK, SIZE);
        page.connect_and_wait(&scene.house, &Account::at(&scene.pbx, "1001"));
        let wiretap = scene.wiretap();
        let video = json!({ "width": SIZE.0, "height": SIZE.1, "frameRate": 15 });
        let call = page.call_with("1002", json!({ "video": video, "stripCodecs": "SILK,VP8,VP9,AV1" }));
        page.wait_call(&call, "ESTABLISHED", secs(5));
        wait_for("the page's pictures at the phone", secs(10), || {
            phone.sees().says.filter(|(mark, _)| *mark == PAGE_MARK)
        });
        std::thread::sleep(secs(2));
        pattern::assert_moving(&page.seen(&call), PHONE_MARK, 10);
        pattern::assert_moving(&[phone.sees()], PAGE_MARK, 1);
        assert_eq!(scene.house.metric("tandem_transcoders_active", "from=\"H264\""), transcoders);
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let wire = wiretap.stop();
        let answer =
            wire.sip_from(phone.port).into_iter().find(|(_, text)| text.contains("m=video")).unwrap().1;
        assert!(!answer.contains("packetization-mode=1"), "{answer}");
        let pictures = wire.rtp_to(phone.rtp).into_iter().filter(|packet| packet.kind >= 96);
        let payloads: Vec<Vec<u8>> = pictures.map(|packet| packet.payload).collect();
        let longest = payloads.iter().map(Vec::len).max().unwrap_or(0);
        println!(
            "{} packets of pictures, the longest of {longest} bytes, the page at mode {mode}",
            payloads.len()
        );
        assert!(payloads.len() > 30 && (500..=1_400).contains(&longest));
        // Single NAL units alone (RFC 6184 §6.2): no STAP-A, no FU-A.
        assert!(payloads.iter().all(|payload| matches!(payload[0] & 0x1f, 1..=23)));
    });
}

#[test]
fn a_page_that_waits_for_the_phone_is_told_its_mode_and_nothing_is_transcoded() {
    a_page_calls_a_phone_of_mode_0("on_sip_sdp", 0, 0.0);
}

#[test]
fn a_page_that_was_answered_before_the_phone_sends_too_long_slices_which_are_made_anew() {
    a_page_calls_a_phone_of_mode_0("at_once", 1, 1.0);
}
