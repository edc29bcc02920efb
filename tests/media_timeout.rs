//! RQ30 with real peers: a phone that loses its power is hung up within the limit, a held call is not; limits of one call.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Instant;

use serde_json::{Value, json};
use support::browser::Event;
use support::scene::Scene;
use support::{Bench, Page, fairly, house, kamailio, secs, sipp};

/// The frame that ended a call.
#[track_caller]
fn finish_frame(page: &Page, call: &str) -> Value {
    let ends = |e: &Event| {
        let frame = &e.body["frame"];
        e.kind == "received" && frame["message"] == "finish" && frame["data"][0]["callId"] == call
    };
    page.wait("finish", secs(10), ends, 0).body["frame"]["data"][0].clone()
}

#[test]
fn rq30_a_phone_without_power_is_hung_up_within_the_limit() {
    fairly(|| {
        let scene = Scene::with(kamailio::Plan::new(), house::Plan::new().set("media.timeout_s", "4"));
        let mut phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(2));
        phone.kill();
        let killed = Instant::now();
        let finish = finish_frame(&page, &call);
        let took = killed.elapsed();
        assert_eq!(finish["reason"], "media_timeout", "{finish}");
        assert_eq!((&finish["by"], &finish["status"]), (&"callee".into(), &"FAILED".into()), "{finish}");
        assert_eq!(finish["info"], "Failed by RTP activity", "{finish}");
        assert!(finish["detail"].as_str().unwrap().starts_with("sip leg: nothing received for "), "{finish}");
        assert!((secs(3)..secs(6)).contains(&took), "{took:?}");
        let sip = wire.stop().sip_from(scene.house.sip);
        let bye = sip.iter().find(|(_, text)| text.starts_with("BYE ")).expect("a BYE");
        assert!(bye.1.contains("text=\"media timeout\""), "{}", bye.1);
        assert_eq!(scene.house.metric("tandem_calls_total", "result=\"media_timeout\""), 1.0);
    });
}

/// A house, and a phone that sends no media whatever: SIPp would echo ours, but they go to the discard port.
fn silent_phone(scenario: &str, house: house::Plan) -> (Scene, sipp::Sipp) {
    let bench = Bench::new();
    let phone = sipp::Plan::new(scenario).key("media_port", "9").start(&bench);
    let pbx = kamailio::Plan::new().route("2001", &phone.target());
    (Scene::on(bench, pbx, house), phone)
}

#[test]
fn rq30_a_held_call_is_not_hung_up() {
    let limits = house::Plan::new().set("media.timeout_first_s", "3").set("media.timeout_s", "3");
    let (scene, mut phone) = silent_phone("uas_held_by_caller", limits);
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    page.hold(&call);
    page.wait_call(&call, "HOLD", secs(3));
    std::thread::sleep(secs(6));
    page.hang_up(&call);
    assert_eq!(finish_frame(&page, &call)["reason"], "hangup");
    phone.assert_passed(secs(5));
}

#[test]
fn rq30_a_page_sets_the_limits_of_its_call() {
    let (scene, mut phone) = silent_phone("uas_answer", house::Plan::new());
    let page = scene.page();
    let limits = json!({ "custom": { "rtpActivityDetecting": { "first": 3 } } });
    let call = page.call_with("2001", limits);
    page.wait_call(&call, "ESTABLISHED", secs(5));
    let answered = Instant::now();
    let finish = finish_frame(&page, &call);
    assert!((secs(2)..secs(5)).contains(&answered.elapsed()), "{:?}", answered.elapsed());
    assert_eq!(
        finish["detail"], "sip leg: nothing ever received, 3 s after the answer (no_packets_from_far_side)",
        "{finish}"
    );
    phone.assert_passed(secs(5));
}
