//! However a call ends, both sides learn it and nothing is left.

mod support;

use serde_json::Value;
use support::browser::Account;
use support::kamailio::DOMAIN;
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::{Bench, Page, Sipp, baresip, house, kamailio, secs, sipp};

/// A scene in which calls to 2001 reach the scripted phone.
fn scene_with(plan: sipp::Plan, house: house::Plan) -> (Scene, Sipp) {
    let bench = Bench::new();
    let phone = plan.start(&bench);
    let pbx = kamailio::Plan::new().route("2001", &phone.target());
    (Scene::on(bench, pbx, house), phone)
}

/// The last frame about a call that ended it.
#[track_caller]
fn finish_frame(page: &Page, call: &str) -> Value {
    let mine = |e: &support::browser::Event| {
        e.kind == "received"
            && e.body["frame"]["message"] == "finish"
            && e.body["frame"]["data"][0]["callId"] == call
    };
    page.wait("finish", secs(5), mine, 0).body["frame"]["data"][0].clone()
}

/// The phone refuses with a code: the page learns it within two seconds.
fn refused(scenario: &str, code: u16, reason: &str) {
    let plan = sipp::Plan::new(scenario).key("code", &code.to_string()).key("reason", reason);
    let (mut scene, mut phone) = scene_with(plan, house::Plan::new());
    let page = scene.page();
    let call = page.call("2001");
    let finish = finish_frame(&page, &call);
    assert_eq!(finish["sipStatus"], code, "{finish}");
    assert!(finish["status"] == "FINISH" || finish["status"] == "FAILED", "{finish}");
    phone.assert_passed(secs(5));
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn a_busy_phone() {
    refused("uas_reject", 486, "Busy Here");
}

#[test]
fn a_phone_that_declines_after_ringing() {
    refused("uas_ring_reject", 603, "Decline");
}

#[test]
fn a_number_that_nobody_has() {
    refused("uas_reject", 404, "Not Found");
}

#[test]
fn a_phone_that_is_away() {
    refused("uas_reject", 480, "Temporarily Unavailable");
}

#[test]
fn a_phone_with_no_common_codec() {
    refused("uas_reject", 488, "Not Acceptable Here");
}

#[test]
fn a_real_phone_refuses() {
    let mut scene = Scene::new();
    let phone = scene.phone();
    let page = scene.page();
    let call = page.call("1002");
    phone.wait("CALL_INCOMING", secs(5));
    page.wait_call(&call, "RING", secs(3));
    phone.hang_up();
    assert_eq!(finish_frame(&page, &call)["sipStatus"], 486);
    drop(page);
    scene.assert_no_call_left();
}

/// The page hangs up while its call has a state; the phone's script sees what must follow.
fn page_hangs_up(state: &str, scenario: &str) {
    let (mut scene, mut phone) = scene_with(sipp::Plan::new(scenario), house::Plan::new());
    let page = scene.page();
    let call = page.call("2001");
    match state {
        "HOLD" => {
            page.wait_call(&call, "ESTABLISHED", secs(5));
            page.hold(&call);
        }
        "TRYING" => {
            phone.wait_for_message("INVITE sip:", secs(5));
        }
        _ => {}
    }
    page.wait_call(&call, state, secs(5));
    std::thread::sleep(secs(1));
    page.hang_up(&call);
    finish_frame(&page, &call);
    phone.assert_passed(secs(8));
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn the_page_hangs_up_while_trying() {
    page_hangs_up("TRYING", "uas_trying");
}

#[test]
fn the_page_cancels_while_it_rings() {
    page_hangs_up("RING", "uas_ring");
}

#[test]
fn the_page_hangs_up_an_early_announcement() {
    page_hangs_up("RING_MEDIA", "uas_early_media_cancelled");
}

#[test]
fn the_page_hangs_up_in_the_call() {
    page_hangs_up("ESTABLISHED", "uas_answer");
}

#[test]
fn the_page_hangs_up_while_it_holds() {
    page_hangs_up("HOLD", "uas_held_by_caller");
}

#[test]
fn the_page_hangs_up_at_once() {
    let mut scene = Scene::new();
    let _phone = scene.phone();
    let page = scene.page();
    let call = page.call("1002");
    page.hang_up(&call);
    // Before TRYING the SDK ends the call itself and sends nothing; after it, it waits for `finish`.
    page.wait(
        "the end of the call",
        secs(5),
        |e| e.kind == "call" && (e.body["status"] == "FAILED" || e.body["status"] == "FINISH"),
        0,
    );
    page.disconnect();
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn nobody_answers() {
    let plan = house::Plan::new().set("sip.no_answer_s", "3");
    let (mut scene, mut phone) = scene_with(sipp::Plan::new("uas_ring"), plan);
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "RING", secs(5));
    finish_frame(&page, &call);
    phone.assert_passed(secs(8));
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn a_call_lasts_no_longer_than_it_may() {
    let plan = house::Plan::new().set("calls.max_duration_s", "3");
    let (mut scene, mut phone) = scene_with(sipp::Plan::new("uas_answer"), plan);
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    let answered = std::time::Instant::now();
    let finish = finish_frame(&page, &call);
    let lasted = answered.elapsed();
    assert!((secs(2)..secs(4)).contains(&lasted), "{lasted:?}");
    assert_eq!(
        (&finish["status"], &finish["reason"]),
        (&"FINISH".into(), &"max_duration".into()),
        "{finish}"
    );
    phone.assert_passed(secs(8));
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn the_phone_hangs_up() {
    let (mut scene, mut phone) = scene_with(sipp::Plan::new("uas_hang_up"), house::Plan::new());
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    finish_frame(&page, &call);
    phone.assert_passed(secs(5));
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn a_caller_cancels() {
    let mut scene = Scene::new();
    let page = scene.page();
    let to = scene.pbx.proxy();
    let mut caller = sipp::Plan::new("uac_cancel").calling("1001", DOMAIN, &to, "trunk").start(&scene.bench);
    let call = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
    finish_frame(&page, &call);
    caller.assert_passed(secs(5));
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn the_page_refuses_a_caller() {
    let mut scene = Scene::new();
    let page = scene.page();
    let to = scene.pbx.proxy();
    let mut caller = sipp::Plan::new("uac_refused").calling("1001", DOMAIN, &to, "trunk").start(&scene.bench);
    let call = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
    page.wait_call(&call, "RING", secs(3));
    page.hang_up(&call);
    finish_frame(&page, &call);
    caller.assert_passed(secs(5));
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn the_page_lets_a_caller_ring() {
    let mut scene = Scene::with(kamailio::Plan::new(), house::Plan::new().set("sip.no_answer_s", "3"));
    let phone = scene.phone();
    let page = scene.page();
    phone.dial("1001");
    let call = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
    finish_frame(&page, &call);
    phone.wait("CALL_CLOSED", secs(3));
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn a_caller_hangs_up_in_the_call() {
    let mut scene = Scene::new();
    let phone = scene.phone();
    let page = scene.page();
    phone.dial("1001");
    let call = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
    page.answer(&call);
    page.wait_call(&call, "ESTABLISHED", secs(3));
    std::thread::sleep(secs(1));
    phone.hang_up();
    finish_frame(&page, &call);
    drop(page);
    scene.assert_no_call_left();
}

#[test]
fn the_tab_is_closed_in_the_call() {
    let mut scene = Scene::new();
    let phone = scene.ready_phone();
    let page = scene.page();
    let call = page.call("1002");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(1));
    page.close();
    phone.wait("CALL_CLOSED", secs(5));
    scene.assert_no_call_left();
    scene.house.wait_metric("tandem_registrations_active", 0.0, secs(5));
}

#[test]
fn a_hangup_for_an_unknown_call_is_answered_by_finish() {
    let scene = Scene::new();
    let mut socket =
        support::websocket::WebSocket::session(scene.house.web, "2009", "127.0.0.1", scene.pbx.port);
    socket.send("hangup", serde_json::json!({ "callId": "00000000-0000-0000-0000-00000000beef" }));
    let finish = socket.expect("finish", secs(2));
    assert_eq!(
        (&finish["callId"], &finish["status"]),
        (&"00000000-0000-0000-0000-00000000beef".into(), &"FINISH".into())
    );
    socket.assert_alive();
}

#[test]
fn tandem_stops_and_both_sides_hear_of_it() {
    let Scene { bench, pbx, mut house, web } = Scene::new();
    let phone = baresip::Plan::new("1002", PHONE_TONE).auto_answer().start(&bench, &pbx);
    let page = web.page("1001", PAGE_TONE);
    page.connect_and_wait(&house, &Account::at(&pbx, "1001"));
    let call = page.call("1002");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    let ended = house.process().stop(secs(5));
    assert!(ended.success(), "{ended:?}");
    assert_eq!(finish_frame(&page, &call)["status"], "FAILED");
    phone.wait("CALL_CLOSED", secs(2));
}
