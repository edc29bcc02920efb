//! Digits by SIP INFO, to the phone and from it.

mod support;

use serde_json::json;
use support::scene::Scene;
use support::{Bench, house, kamailio, secs, sipp};

/// A page presses 5 and # as `way` in a call to a phone whose SDP has these formats; the phone wants INFOs with bodies like these.
fn pressed(way: &str, formats: &str, media_type: &str, bodies: [&str; 2]) {
    let bench = Bench::new();
    let mut phone = sipp::Plan::new("uas_info_digits")
        .key("formats", formats)
        .key("type", media_type)
        .key("first", bodies[0])
        .key("second", bodies[1])
        .start(&bench);
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    page.press(&call, json!("5#"), way);
    std::thread::sleep(secs(2));
    page.hang_up(&call);
    phone.assert_passed(secs(5));
    assert_eq!(scene.house.metric("tandem_dtmf_total", "dir=\"out\",kind=\"info\""), 2.0);
    assert_eq!(scene.house.metric("tandem_dtmf_total", "kind=\"rfc4733\""), 0.0);
}

#[test]
fn a_phone_without_telephone_events_gets_digits_by_info() {
    pressed("RFC2833", "0", "application/dtmf-relay", ["Signal=5", "Signal=#"]);
}

#[test]
fn a_page_may_ask_for_info_relay() {
    pressed("INFO_RELAY", "0 101", "application/dtmf-relay", ["Signal=5", "Signal=#"]);
}

#[test]
fn a_page_may_ask_for_info() {
    pressed("INFO", "0 101", "application/dtmf", ["^5", "^#"]);
}

#[test]
fn infos_of_the_phone_are_answered_and_digits_told() {
    let bench = Bench::new();
    let mut phone = sipp::Sipp::start(&bench, "uas_info");
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(2));
    page.hang_up(&call);
    phone.assert_passed(secs(5));
    assert_eq!(scene.house.metric("tandem_dtmf_total", "dir=\"in\",kind=\"info\""), 2.0);
}
