//! Transfers (RQ14): asked for by a page.

mod support;

use serde_json::{Value, json};
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::{Baresip, Bench, baresip, fairly, house, kamailio, secs, sipp};

/// The words that a page got about a call after its first `talk`, as `message STATUS`.
fn told(page: &support::browser::Page, call: &str) -> Vec<String> {
    let about = |event: &support::browser::Event| event.body["frame"]["data"][0].clone();
    let words = page.received().into_iter().filter(|(_, event)| about(event)["callId"] == call);
    let words =
        words.map(|(message, event)| format!("{message} {}", about(&event)["status"].as_str().unwrap_or("")));
    words.skip_while(|word| word != "talk ESTABLISHED").skip(1).collect()
}

/// The last frame of this name.
fn frame(page: &support::browser::Page, message: &str) -> Value {
    let mut frames = page.received().into_iter().filter(|(name, _)| name == message);
    frames.next_back().unwrap_or_else(|| panic!("no {message}")).1.body["frame"]["data"][0].clone()
}

#[test]
fn rq14_a_page_transfers_a_phone_to_another_phone() {
    fairly(|| {
        let mut scene = Scene::new();
        let phone = scene.ready_phone();
        let other = baresip::Plan::new("1003", support::scene::OTHER_TONE).auto_answer();
        let other: Baresip = other.start(&scene.bench, &scene.pbx);
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(1));
        page.hold(&call);
        page.wait_call(&call, "HOLD", secs(3));
        page.transfer(&call, "1003");
        let finished = page.wait_call(&call, "FINISH", secs(5));
        std::thread::sleep(secs(2));
        let ended_at = moment();
        assert_eq!(told(&page, &call), ["hold HOLD", "finish FINISH"]);
        assert_eq!(frame(&page, "finish")["reason"], "transferred");
        let at_other = wire.stop().heard(other.rtp).between(finished.at, ended_at);
        at_other.assert_tone(PHONE_TONE);
        phone.hang_up();
        scene.assert_no_call_left();
    });
}

/// A page transfers a scripted phone in vain; the call lives on, and its sound too, while another caller is turned away. The frame that told of
/// the failure.
fn refused(scenario: &str, words: (&str, &str)) -> Value {
    let bench = Bench::new();
    let mut phone = sipp::Plan::new(scenario).key("target", "1003").key(words.0, words.1).start(&bench);
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let caller = scene.phone();
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(1));
    page.transfer(&call, "1003");
    page.wait_call_nth(&call, "ESTABLISHED", 1, secs(5));
    let refusal = frame(&page, "talk");
    // A transfer that the page was told of by the WebSDK's own event would let this call take over the first one's sound.
    caller.dial("1001");
    let second = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap_or_default().to_owned();
    page.hang_up(&second);
    page.wait_call(&second, "FINISH", secs(3));
    assert!(page.received().iter().all(|(message, _)| message != "notifyTransferEvent"));
    std::thread::sleep(secs(2));
    let ended_at = moment();
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    phone.assert_passed(secs(5));
    page.heard(&call).between(ended_at - 1500.0, ended_at).assert_tone(PAGE_TONE);
    refusal
}

#[test]
fn rq14_a_refused_transfer_leaves_the_call_its_sound_whoever_calls_next() {
    fairly(|| {
        let told = refused("uas_refuse_refer", ("answer", "603 Decline"));
        assert_eq!((&told["info"], &told["sipStatus"]), (&json!("Transfer failed"), &json!(603)));
    });
}

#[test]
fn rq14_a_transfer_whose_target_is_busy_leaves_the_call_its_sound() {
    fairly(|| {
        let told = refused("uas_refer", ("outcome", "486 Busy Here"));
        assert_eq!((&told["info"], &told["sipStatus"]), (&json!("Transfer failed"), &json!(486)));
    });
}

#[test]
fn rq14_a_transfer_that_finds_nobody_returns_to_the_held_call() {
    fairly(|| {
        let mut scene = Scene::new();
        let _phone = scene.ready_phone();
        let page = scene.page();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(1));
        // As `phone-ui` does; a script that waits for nothing in between gets the same.
        page.eval(&format!("find('{call}').call.holdForTransfer()"));
        page.transfer(&call, "1009");
        page.wait_call_nth(&call, "HOLD", 1, secs(5));
        let told = frame(&page, "hold");
        assert_eq!((&told["info"], &told["sipStatus"]), (&json!("Transfer failed"), &json!(404)));
        page.unhold(&call);
        let resumed = page.wait_call_nth(&call, "ESTABLISHED", 1, secs(3));
        std::thread::sleep(secs(2));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        let back = page.heard(&call).between(resumed.at, ended_at).assert_tone(PHONE_TONE);
        assert!(back.first_at - resumed.at < 500.0, "{:.0} ms", back.first_at - resumed.at);
        scene.assert_no_call_left();
    });
}

#[test]
fn rq14_a_transfer_to_nobody_names_the_field_and_sends_nothing() {
    let scene = Scene::new();
    let _phone = scene.ready_phone();
    let page = scene.page();
    let call = page.call("1002");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    for (nth, target) in ["", "10\r\n03", "sip:@", "sip:a b@pbx"].into_iter().enumerate() {
        page.transfer(&call, target);
        page.wait_call_nth(&call, "ESTABLISHED", nth + 1, secs(3));
        let fail = frame(&page, "fail");
        assert_eq!(fail["apiMethod"], "TransferStatusEvent", "{target:?}");
        assert!(fail["info"].as_str().unwrap().starts_with("target: "), "{target:?}: {fail}");
    }
    assert_eq!(scene.house.metric("tandem_sip_requests_total", "direction=\"out\",method=\"REFER\""), 0.0);
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
}
