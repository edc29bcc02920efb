//! A page calls a phone.

mod support;

use serde_json::json;
use support::kamailio;
use support::scene::{self, PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::wiretap::assert_even_steps;
use support::{baresip, fairly, house, secs, sipp};

#[test]
fn page_and_phone_hear_each_other() {
    fairly(|| {
        let mut scene = Scene::new();
        let phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();

        let call = page.call_with("1002", json!({ "visibleName": "Alice <&> \"Ä\"" }));
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(5));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        phone.wait("CALL_CLOSED", secs(3));

        let wire = wire.stop();
        scene::assert_both_heard(&page, &call, &phone, &wire, (answered.at, ended_at));
        assert_even_steps(&wire.rtp_to(phone.rtp));
        let invite =
            wire.sip_from(scene.house.sip).into_iter().find(|(_, m)| m.starts_with("INVITE")).unwrap().1;
        let from = invite.lines().find(|line| line.starts_with("From:")).unwrap();
        assert!(from.contains("Alice") && from.contains('Ä') && from.contains("<sip:1001@"), "{from}");
        assert!(scene.house.log().contains("opus/48000/2"), "the log shows the wired path");
        scene.assert_no_call_left();
    });
}

#[test]
fn frames_come_in_the_order_that_the_sdk_needs() {
    let scene = Scene::new();
    let phone = scene.phone();
    let page = scene.page();
    let call = page.call("1002");
    phone.wait("CALL_INCOMING", secs(5));
    page.wait_call(&call, "RING", secs(3));
    phone.answer();
    page.wait_call(&call, "ESTABLISHED", secs(3));

    let sent =
        page.events().into_iter().find(|e| e.kind == "sent" && e.body["frame"]["message"] == "call").unwrap();
    let frames = page.received();
    let place = |name: &str| {
        frames.iter().position(|(message, _)| message == name).unwrap_or_else(|| panic!("no {name}"))
    };
    assert!(place("notifyTryingResponse") < place("ring"));
    assert!(place("setRemoteSDP") < place("talk"));
    let trying_ms = frames[place("notifyTryingResponse")].1.at - sent.at;
    assert!(trying_ms <= 50.0, "TRYING came after {trying_ms} ms");
    assert_eq!(frames.iter().filter(|(message, _)| message == "setRemoteSDP").count(), 1);
    for (message, event) in &frames {
        assert!(event.body["frame"]["data"].is_array(), "{message} without data");
    }
}

/// A call to a phone with these codecs, in a house with these settings: both hear each other.
fn heard_with(codecs: &str, settings: &[(&str, &str)], transcoders: f64) {
    let plan = settings.iter().fold(house::Plan::new(), |plan, (key, value)| plan.set(key, value));
    let scene = Scene::with(kamailio::Plan::new(), plan);
    let phone =
        baresip::Plan::new("1002", PHONE_TONE).codecs(codecs).auto_answer().start(&scene.bench, &scene.pbx);
    let page = scene.page();
    let wire = scene.wiretap();
    let call = page.call("1002");
    let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(3));
    assert_eq!(scene.house.metric("tandem_transcoders_active", ""), transcoders);
    let ended_at = moment();
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    scene::assert_both_heard(&page, &call, &phone, &wire.stop(), (answered.at, ended_at));
}

#[test]
fn a_phone_with_a_law_only_is_heard_too() {
    fairly(|| heard_with("pcma", &[], 2.0));
}

#[test]
fn a_phone_with_g722_only_is_heard_too() {
    fairly(|| heard_with("g722", &[], 2.0));
}

#[test]
fn g711_passes_untouched_when_the_answer_waits_for_the_phone() {
    fairly(|| heard_with("pcmu", &[("media.answer_audio", "\"on_sip_sdp\"")], 0.0));
}

#[test]
fn keys_of_the_page_reach_the_phone_once_each() {
    let scene = Scene::new();
    let phone = scene.ready_phone();
    let page = scene.page();
    let wire = scene.wiretap();
    let call = page.call("1002");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(1));
    page.press(&call, json!("1"), "RFC2833");
    page.press(&call, json!(7), "RFC2833");
    page.press(&call, json!("0*#"), "RFC2833");
    std::thread::sleep(secs(4));
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));

    let keys = wire.stop().keys_to(phone.rtp, 101);
    assert_eq!(keys.iter().map(|key| key.digit).collect::<String>(), "170*#");
    for key in &keys {
        assert!(key.duration >= 320 && key.ends >= 1, "{key:?}"); // RFC 4733 2.5.2.3: 40 ms is the least
    }
    let received = phone.events().into_iter().filter(|e| e.name == "CALL_DTMF_START");
    assert_eq!(received.map(|e| e.body["param"].as_str().unwrap().to_owned()).collect::<String>(), "170*#");
}

#[test]
fn rq21_a_180_stops_no_announcement_and_a_refusal_only_ends_it() {
    fairly(|| {
        let bench = support::Bench::new();
        let mut announcer = sipp::Plan::new("uas_announcement_refused").start(&bench);
        let pbx = kamailio::Plan::new().route("2001", &announcer.target());
        let scene = Scene::on(bench, pbx, house::Plan::new());
        let page = scene.page();
        let call = page.call("2001");
        let early = page.wait_call(&call, "RING_MEDIA", secs(3));
        let refused = page.wait_call(&call, "FINISH", secs(5));
        announcer.assert_passed(secs(5));
        // The SDK would play a ring tone of its own over it.
        assert!(page.received().iter().all(|(_, event)| event.body["frame"]["data"][0]["status"] != "RING"));
        let found = page.heard(&call).between(early.at + 500.0, refused.at).assert_tone(PAGE_TONE);
        println!("heard for {:.0} ms, {found:?}", refused.at - early.at - 500.0);
    });
}

#[test]
fn rq22_of_many_forks_the_one_that_answers_is_heard_and_the_late_one_is_sent_away() {
    fairly(|| {
        let bench = support::Bench::new();
        let mut phones = sipp::Sipp::start(&bench, "uas_forks");
        let house = house::House::start(&bench);
        let web = support::Web::start(&bench);
        let page = web.page("alone", PAGE_TONE);
        page.connect_and_wait(&house, &support::browser::Account::direct("2009", "127.0.0.1", phones.port));
        let call = page.call("2001");
        page.wait_call(&call, "RING_MEDIA", secs(3));
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(3));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        phones.assert_passed(secs(5));
        // Only the fourth phone sends back what it hears.
        page.heard(&call).between(answered.at + 500.0, ended_at).assert_tone(PAGE_TONE);
        let descriptions = page.received().iter().filter(|(message, _)| message == "setRemoteSDP").count();
        assert_eq!(descriptions, 1, "the browser leg is negotiated once");
        house.wait_metric("tandem_calls_active", 0.0, secs(5));
    });
}

#[test]
fn an_announcement_before_the_answer_is_heard() {
    let bench = support::Bench::new();
    let mut announcer = sipp::Plan::new("uas_early_media").start(&bench);
    let scene =
        Scene::on(bench, kamailio::Plan::new().route("2001", &announcer.target()), house::Plan::new());
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "RING_MEDIA", secs(3));
    let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(1));
    page.hang_up(&call);
    announcer.assert_passed(secs(5));
    let found = page.heard(&call).find(PAGE_TONE).expect("the announcer sends the sound back");
    assert!(
        found.first_at < answered.at - 500.0,
        "first sound {:.0} ms after the answer",
        found.first_at - answered.at
    );
}

#[test]
fn a_page_that_does_not_register_calls_a_phone_without_pbx() {
    let bench = support::Bench::new();
    let mut phone = sipp::Sipp::start(&bench, "uas_answer");
    let house = house::House::start(&bench);
    let web = support::Web::start(&bench);
    let page = web.page("alone", PAGE_TONE);
    page.connect_and_wait(&house, &support::browser::Account::direct("2009", "127.0.0.1", phone.port));
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(2));
    page.hang_up(&call);
    phone.assert_passed(secs(5));
    page.heard(&call).find(PAGE_TONE).expect("the phone sends the sound back");
    assert!(page.received().iter().all(|(message, _)| message != "registered"));
}
