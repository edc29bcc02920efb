//! SRTP on the SIP side, with keys in SDP (RFC 4568).

#![allow(clippy::unwrap_used)]

mod support;

use std::net::UdpSocket;
use std::time::Duration;

use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::sound::{Recording, moment};
use support::{Page, baresip, fairly, house, kamailio, secs};

/// Profile of the audio line and number of `a=crypto` lines in one description.
fn secured(message: &str) -> (String, usize) {
    let line = message.lines().find(|line| line.starts_with("m=audio")).expect("an audio line");
    let keys = message.lines().filter(|line| line.starts_with("a=crypto:")).count();
    (line.split_whitespace().nth(2).unwrap().to_owned(), keys)
}

fn scene(policy: &str) -> Scene {
    Scene::with(kamailio::Plan::new(), house::Plan::new().set("sip.srtp", &format!("\"{policy}\"")))
}

fn phone(scene: &Scene, encrypts: Option<&'static str>) -> baresip::Baresip {
    let plan = baresip::Plan::new("1002", PHONE_TONE).auto_answer();
    encrypts.into_iter().fold(plan, baresip::Plan::encrypts).start(&scene.bench, &scene.pbx)
}

/// Both hear each other, over hold and resume, and on the wire it is encrypted or not.
fn heard(policy: &'static str, encrypts: Option<&'static str>, encrypted: bool) {
    let mut scene = scene(policy);
    let phone = phone(&scene, encrypts);
    let page = scene.page();
    let wire = scene.wiretap();
    let call = page.call("1002");
    let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(3));
    page.hold(&call);
    page.wait_call(&call, "HOLD", secs(3));
    std::thread::sleep(secs(1));
    page.unhold(&call);
    let resumed = page.wait_call_nth(&call, "ESTABLISHED", 1, secs(3));
    std::thread::sleep(secs(3));
    let ended_at = moment();
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));

    let wire = wire.stop();
    page.heard(&call).between(answered.at + 500.0, answered.at + 2500.0).assert_tone(PHONE_TONE);
    page.heard(&call).between(resumed.at + 500.0, ended_at).assert_tone(PHONE_TONE);
    phone.decoded().find(PAGE_TONE).expect("the phone hears the page");
    let on_the_wire = wire.heard(phone.rtp).between(answered.at + 500.0, answered.at + 2500.0);
    assert_eq!(!tone_stands(&on_the_wire), encrypted, "what a listener on the wire hears");
    let invites = wire.sip_from(scene.house.sip).into_iter().filter(|(_, m)| m.starts_with("INVITE"));
    let offers: Vec<_> = invites.map(|(_, message)| secured(&message)).collect();
    let profile = if policy == "required" { "RTP/SAVP" } else { "RTP/AVP" };
    assert_eq!(offers[0], (profile.to_owned(), 2));
    assert!(scene.house.metric("tandem_packets_dropped_total", "srtp") < 5.0, "packets that were refused");
    assert!(!scene.house.log().contains("inline:"), "a key in the log");
    scene.assert_no_call_left();
}

/// Whether the page's tone is there for seconds without a gap. Encrypted packets are noise, in which any tone is strongest now and then.
fn tone_stands(recording: &Recording) -> bool {
    recording
        .find(PAGE_TONE)
        .is_some_and(|found| found.gap_ms <= 60.0 && found.last_at - found.first_at > 1000.0)
}

#[test]
fn optional_encrypts_with_a_phone_that_can() {
    fairly(|| heard("optional", Some("srtp"), true));
}

#[test]
fn optional_leaves_a_plain_phone_as_it_is() {
    fairly(|| heard("optional", None, false));
}

#[test]
fn required_encrypts_with_a_phone_that_can() {
    fairly(|| heard("required", Some("srtp-mand"), true));
}

#[test]
fn required_ends_a_call_to_a_plain_phone_cleanly() {
    let mut scene = scene("required");
    let _phone = phone(&scene, None);
    let page = scene.page();
    let call = page.call("1002");
    page.wait_call(&call, "FAILED", secs(5));
    scene.assert_no_call_left();
}

/// The phone calls the page, which answers if it rings.
fn called(page: &Page, phone: &baresip::Baresip) -> String {
    phone.dial("1001");
    let incoming = page.wait_incoming(0, secs(5));
    let call = incoming.body["callId"].as_str().unwrap().to_owned();
    page.answer(&call);
    page.wait_call(&call, "ESTABLISHED", secs(3));
    call
}

#[test]
fn a_phone_that_insists_on_srtp_is_answered_in_kind() {
    fairly(|| {
        for policy in ["optional", "required"] {
            let mut scene = scene(policy);
            let phone = phone(&scene, Some("srtp-mand"));
            let page = scene.page();
            let wire = scene.wiretap();
            let call = called(&page, &phone);
            std::thread::sleep(secs(3));
            let ended_at = moment();
            page.hang_up(&call);
            page.wait_call(&call, "FINISH", secs(3));
            page.heard(&call).between(ended_at - 2000.0, ended_at).assert_tone(PHONE_TONE);
            phone.decoded().find(PAGE_TONE).expect("the phone hears the page");
            let on_the_wire = wire.stop().heard(phone.rtp).between(ended_at - 2000.0, ended_at);
            assert!(!tone_stands(&on_the_wire), "in the clear on the wire");
            scene.assert_no_call_left();
        }
    });
}

#[test]
fn required_refuses_a_plain_caller_with_488_and_off_one_that_insists() {
    for (policy, encrypts) in [("required", None), ("off", Some("srtp-mand"))] {
        let mut scene = scene(policy);
        let phone = phone(&scene, encrypts);
        let _page = scene.page();
        let wire = scene.wiretap();
        phone.dial("1001");
        phone.wait("CALL_CLOSED", secs(5));
        let answers = wire.stop().sip_from(scene.house.sip);
        assert!(answers.iter().any(|(_, m)| m.starts_with("SIP/2.0 488")), "{policy}: no 488");
        scene.assert_no_call_left();
    }
}

/// Garbage to every RTP port of the house while a call is on.
#[test]
fn garbage_is_counted_and_neither_heard_nor_the_end_of_the_call() {
    fairly(|| {
        let mut scene = scene("required");
        let phone = phone(&scene, Some("srtp-mand"));
        let page = scene.page();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(1));
        let began_at = moment();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0..ROUNDS {
            let header = [0x80, 0, (n >> 8) as u8, n as u8, 0, 0, 0, 1];
            let packet = [&header[..], &n.wrapping_mul(0x9e37_79b9).to_be_bytes(), &[0x55; 170]].concat();
            for port in scene.house.rtp.0..=scene.house.rtp.1 {
                let _ = socket.send_to(&packet, ("127.0.0.1", port));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let ended_at = moment();
        let refused = scene.house.metric("tandem_packets_dropped_total", "sip_srtp_not_authentic");
        assert!(refused >= f64::from(ROUNDS) * 0.9, "{refused} of {ROUNDS} counted");
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        page.heard(&call).between(began_at, ended_at).assert_tone(PHONE_TONE);
        phone.decoded().find(PAGE_TONE).expect("the phone hears the page");
        scene.assert_no_call_left();
    });
}

/// Packets to each port, over some two seconds.
const ROUNDS: u32 = 1000;
