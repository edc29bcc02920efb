//! One account, several pages: they share one registration, all ring, and reloads leave no binding behind.
//!
//! The names RQ25 and RQ33 are those of the requirements.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::browser::Account;
use support::kamailio::{DOMAIN, password};
use support::scene::{OTHER_TONE, PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::websocket::{Frame, WebSocket};
use support::{Bench, House, Kamailio, Page, fairly, house, kamailio, secs, sipp};

fn socket(house: &House, pbx: &Kamailio) -> WebSocket {
    WebSocket::account(house.web, pbx, "1001", &password("1001"))
}

#[test]
fn rq25_a_hundred_reloads_leave_one_binding_at_every_moment() {
    let bench = Bench::new();
    let pbx = kamailio::Plan::new().max_expires(3600).start(&bench);
    let house = House::start(&bench);
    let mut page = socket(&house, &pbx);
    page.expect("registered", secs(5));
    let first = pbx.contacts("1001");
    assert_eq!(first.len(), 1, "{first:?}");

    let (done, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(pbx.contacts("1001"), first, "at every moment the same");
                looks.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let page = &mut page;
        for reload in 0..100 {
            // The new page comes after the old one has gone, or a moment before.
            if reload % 2 == 0 {
                page.close();
                *page = socket(&house, &pbx);
            } else {
                let next = socket(&house, &pbx);
                drop(std::mem::replace(page, next));
            }
            page.expect("registered", secs(5));
            std::thread::sleep(Duration::from_millis(50));
        }
        done.store(true, Ordering::Relaxed);
    });
    println!("{} looks, {} REGISTERs", looks.load(Ordering::Relaxed), pbx.count("REGISTER"));
    assert!(looks.load(Ordering::Relaxed) > 50);
    assert_eq!(pbx.count("REGISTER"), 2, "one registration for all of them, challenged once");

    // A page that comes back late finds its account un-registered, and the same Contact.
    drop(page);
    support::wait_for("an empty location table", secs(6), || pbx.contacts("1001").is_empty().then_some(()));
    let mut page = socket(&house, &pbx);
    page.expect("registered", secs(5));
    assert_eq!(pbx.contacts("1001"), first);
    drop(page);

    // So does one that comes while its account is being un-registered.
    let registers = pbx.count("REGISTER");
    support::wait_for("the un-REGISTER", secs(6), || (pbx.count("REGISTER") > registers).then_some(()));
    let mut page = socket(&house, &pbx);
    page.expect("registered", secs(5));
    assert_eq!(pbx.contacts("1001"), first);
}

#[test]
fn rq25_a_restart_of_tandem_finds_its_binding_again() {
    let bench = Bench::new();
    let pbx = kamailio::Plan::new().max_expires(3600).start(&bench);
    let at = bench.port();
    let plan = || house::Plan::new().set("listen.sip", &format!("\"127.0.0.1:{at}\""));
    let mut house = plan().start(&bench);
    let mut page = socket(&house, &pbx);
    page.expect("registered", secs(5));
    let first = pbx.contacts("1001");
    house.process().signal("KILL"); // it says no goodbye
    drop(house);
    assert_eq!(pbx.contacts("1001"), first, "the binding is left over");
    let house = plan().start(&bench);
    let mut page = socket(&house, &pbx);
    page.expect("registered", secs(5));
    assert_eq!(pbx.contacts("1001"), first, "and found again");
}

#[test]
fn rq25_a_wrong_password_does_not_ride_on_the_registration_of_another_page() {
    let bench = Bench::new();
    let pbx = Kamailio::start(&bench);
    let house = House::start(&bench);
    let mut page = socket(&house, &pbx);
    page.expect("registered", secs(5));
    let contacts = pbx.contacts("1001");
    let mut stranger = WebSocket::account(house.web, &pbx, "1001", "guessed");
    let fail = stranger.expect_where("fail", secs(5), |data| data["apiMethod"] == "RegistrationStatusEvent");
    assert_eq!(fail["sipStatus"], 401);
    let closed = support::wait_for("the close", secs(3), || match stranger.next(secs(1)) {
        Some(Frame::Close(code)) => Some(code),
        _ => None,
    });
    assert_eq!(closed, 1000);
    page.assert_alive();
    assert_eq!(pbx.contacts("1001"), contacts);
    house.wait_metric("tandem_registrations_active", 1.0, secs(1));
}

/// The `reason` of a page's `finish`.
fn reason(page: &Page, call: &str) -> String {
    page.wait_call(call, "FINISH", secs(3));
    let frames = page.received().into_iter().map(|(_, event)| event.body["frame"].clone());
    let mut finish =
        frames.filter(|frame| frame["message"] == "finish" && frame["data"][0]["callId"] == call);
    finish.next_back().unwrap()["data"][0]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn rq25_two_tabs_ring_together_and_the_first_that_answers_talks() {
    fairly(|| {
        let scene = Scene::new();
        let phone = scene.phone();
        let one = scene.page();
        let other = scene.web.page("other", OTHER_TONE);
        other.connect_and_wait(&scene.house, &Account::at(&scene.pbx, "1001"));
        assert_eq!(scene.pbx.contacts("1001").len(), 1);
        let tabs = [(&one, PAGE_TONE), (&other, OTHER_TONE)];
        for nth in 0..2 {
            let wire = scene.wiretap();
            let (taker, tone) = tabs[1 - nth];
            let loser = tabs[nth].0;
            phone.dial("1001");
            let call = taker.wait_incoming(nth, secs(5)).body["callId"].as_str().unwrap().to_owned();
            loser.wait_incoming(nth, secs(5));
            loser.wait_call(&call, "RING", secs(2));
            taker.answer(&call);
            let answered = taker.wait_call(&call, "ESTABLISHED", secs(3));
            assert_eq!(reason(loser, &call), "answered_elsewhere");
            std::thread::sleep(secs(3));
            let ended_at = moment();
            taker.hang_up(&call);
            taker.wait_call(&call, "FINISH", secs(3));
            phone.wait_nth("CALL_CLOSED", nth, secs(3));
            let heard = taker.heard(&call).between(answered.at - 500.0, ended_at);
            let at_phone = wire.stop().heard(phone.rtp).between(answered.at - 500.0, ended_at);
            let (page, phone) = (
                heard.assert_tone_since(PHONE_TONE, answered.at),
                at_phone.assert_tone_since(tone, answered.at),
            );
            println!("page: gap {:.0} ms; phone: gap {:.0} ms", page.gap_ms, phone.gap_ms);
        }
        scene.house.assert_no_call_left(secs(5));
        one.close();
        assert_eq!(scene.pbx.contacts("1001").len(), 1, "the other tab is there");
        other.close();
        support::wait_for("an empty table", secs(6), || scene.pbx.contacts("1001").is_empty().then_some(()));
    });
}

/// A page that talks is called a second time. Whether the second call rings there is the setting's word; the first goes on.
fn second_call(setting: &str) {
    let plan = house::Plan::new().set("calls.second_incoming", &format!("\"{setting}\""));
    let scene = Scene::with(kamailio::Plan::new(), plan);
    let _phone = scene.ready_phone();
    let page = scene.page();
    let first = page.call("1002");
    let answered = page.wait_call(&first, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(2));
    let to = scene.pbx.proxy();
    let mut caller = sipp::Plan::new("uac_refused").calling("1001", DOMAIN, &to, "trunk").start(&scene.bench);
    if setting == "ring" {
        let second = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
        std::thread::sleep(secs(2));
        page.hang_up(&second);
        assert_eq!(reason(&page, &second), "declined");
    }
    caller.assert_passed(secs(5));
    std::thread::sleep(secs(2));
    let ended_at = moment();
    assert_eq!(page.has(|event| event.kind == "incoming"), setting == "ring");
    page.hang_up(&first);
    page.wait_call(&first, "FINISH", secs(3));
    let heard = page.heard(&first).between(answered.at - 500.0, ended_at);
    let found = heard.assert_tone_since(PHONE_TONE, answered.at);
    println!("first call: gap {:.0} ms over the second", found.gap_ms);
}

#[test]
fn rq33_a_second_call_rings_at_a_page_that_talks_and_leaves_the_first_alone() {
    fairly(|| second_call("ring"));
}

#[test]
fn rq33_a_second_call_hears_busy_where_the_setting_says_so() {
    fairly(|| second_call("486"));
}
