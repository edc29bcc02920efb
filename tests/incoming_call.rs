//! A phone calls a page.

mod support;

use support::kamailio::DOMAIN;
use support::scene::{self, PAGE_TONE, Scene};
use support::sound::moment;
use support::{fairly, secs, sipp};

#[test]
fn phone_and_page_hear_each_other() {
    fairly(|| {
        let mut scene = Scene::new();
        let phone = scene.phone();
        let page = scene.page();
        let wire = scene.wiretap();

        phone.dial("1001");
        let incoming = page.wait_incoming(0, secs(5));
        let call = incoming.body["callId"].as_str().unwrap().to_owned();
        assert!(incoming.body["caller"].as_str().unwrap().contains("1002"), "{incoming:?}");
        assert!(!incoming.body["visibleName"].is_null());
        phone.wait("CALL_RINGING", secs(3));
        std::thread::sleep(secs(1));
        page.answer(&call);
        let answered = phone.wait("CALL_ESTABLISHED", secs(3));
        page.wait_call(&call, "ESTABLISHED", secs(3));
        std::thread::sleep(secs(4));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        phone.wait("CALL_CLOSED", secs(3));

        scene::assert_both_heard(&page, &call, &phone, &wire.stop(), (answered.at, ended_at));
        scene.assert_no_call_left();
    });
}

#[test]
fn frames_come_in_the_order_that_the_sdk_needs() {
    let scene = Scene::new();
    let phone = scene.phone();
    let page = scene.page();
    phone.dial("1001");
    page.wait_incoming(0, secs(5));
    std::thread::sleep(secs(1));
    let names: Vec<String> = page.received().into_iter().map(|(name, _)| name).collect();
    let place =
        |name: &str| names.iter().position(|n| n == name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
    assert!(place("setRemoteSDP") < place("notifyIncomingCall"), "{names:?}");
    assert!(place("notifyIncomingCall") < place("ring"), "{names:?}");
}

#[test]
fn rq34_an_invite_without_offer_gets_one() {
    let scene = Scene::new();
    let page = scene.page();
    let to = scene.pbx.proxy();
    let mut caller =
        sipp::Plan::new("uac_without_offer").calling("1001", DOMAIN, &to, "trunk").start(&scene.bench);
    let incoming = page.wait_incoming(0, secs(5));
    let call = incoming.body["callId"].as_str().unwrap().to_owned();
    page.answer(&call);
    page.wait_call(&call, "ESTABLISHED", secs(3));
    std::thread::sleep(secs(2));
    page.hang_up(&call);
    caller.assert_passed(secs(5));
    page.heard(&call).find(PAGE_TONE).expect("the caller sends the sound back");
}

#[test]
fn two_calls_one_after_the_other_are_both_heard() {
    fairly(|| {
        let scene = Scene::new();
        let phone = scene.phone();
        let page = scene.page();
        for nth in 0..2 {
            phone.dial("1001");
            let incoming = page.wait_incoming(nth, secs(5));
            let call = incoming.body["callId"].as_str().unwrap().to_owned();
            page.answer(&call);
            let answered = page.wait_call(&call, "ESTABLISHED", secs(3));
            std::thread::sleep(secs(2));
            let ended_at = moment();
            page.hang_up(&call);
            page.wait_call(&call, "FINISH", secs(3));
            phone.wait_nth("CALL_CLOSED", nth, secs(3));
            page.heard(&call)
                .between(answered.at - 500.0, ended_at)
                .assert_tone_since(scene::PHONE_TONE, answered.at);
            phone.decoded_nth(nth).assert_tone(PAGE_TONE);
        }
    });
}

#[test]
fn options_at_the_registered_contact_are_answered() {
    let scene = Scene::new();
    let _page = scene.page();
    let to = scene.pbx.proxy();
    sipp::Plan::new("uac_options")
        .calling("1001", DOMAIN, &to, "trunk")
        .start(&scene.bench)
        .assert_passed(secs(5));
}
