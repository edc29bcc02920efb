//! Hold and resume, by the page and by the far side.

mod support;

use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::{Bench, fairly, house, kamailio, secs, sipp};

/// Back within this time after the resume.
const BACK_MS: f64 = 500.0;

#[test]
fn the_page_holds_and_resumes() {
    fairly(|| {
        let scene = Scene::new();
        let phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(2));

        page.hold(&call);
        let held = page.wait_call(&call, "HOLD", secs(3));
        std::thread::sleep(secs(3));
        let resuming = moment();
        page.unhold(&call);
        let resumed = page.wait_call_nth(&call, "ESTABLISHED", 1, secs(3));
        std::thread::sleep(secs(3));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let at_phone = wire.stop().heard(phone.rtp);
        assert!(
            at_phone.between(held.at + 200.0, resuming).find(PAGE_TONE).is_none(),
            "the held phone hears the page"
        );
        at_phone.between(held.at + 500.0, resuming).assert_never_silent(); // music
        let back = at_phone.between(resumed.at, ended_at).assert_tone(PAGE_TONE);
        assert!(back.first_at - resumed.at < BACK_MS, "phone: {:.0} ms", back.first_at - resumed.at);
        let back = page.heard(&call).between(resumed.at, ended_at).assert_tone(PHONE_TONE);
        assert!(back.first_at - resumed.at < BACK_MS, "page: {:.0} ms", back.first_at - resumed.at);
    });
}

#[test]
fn the_phone_holds_and_resumes() {
    fairly(|| {
        let scene = Scene::new();
        let phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(2));

        phone.hold();
        std::thread::sleep(secs(3));
        let resuming = moment();
        phone.resume();
        std::thread::sleep(secs(3));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        // The page is not told: its button would disagree (reference, 9.3).
        let told = page.received().into_iter().filter(|(message, _)| message == "hold" || message == "talk");
        assert_eq!(told.count(), 1, "one talk for the answer, nothing for the hold");
        let held = page.heard(&call).between(resuming - 2000.0, resuming);
        assert!(held.find(PHONE_TONE).is_none(), "the held page hears the phone");
        let back = page.heard(&call).between(resuming, ended_at).assert_tone(PHONE_TONE);
        assert!(back.first_at - resuming < BACK_MS, "page: {:.0} ms", back.first_at - resuming);
        let back = wire.stop().heard(phone.rtp).between(resuming, ended_at).assert_tone(PAGE_TONE);
        assert!(back.first_at - resuming < BACK_MS, "phone: {:.0} ms", back.first_at - resuming);
    });
}

/// A scripted far side does something to the call; afterwards the page hears itself again.
fn the_far_side(scenario: &str, seconds: u64) {
    let bench = Bench::new();
    let mut phone = sipp::Sipp::start(&bench, scenario);
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(seconds));
    let ended_at = moment();
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    phone.assert_passed(secs(5));
    page.heard(&call).between(ended_at - 1000.0, ended_at).assert_tone(PAGE_TONE);
}

#[test]
fn a_hold_with_sendonly_ends_well() {
    fairly(|| the_far_side("uas_hold", 7));
}

#[test]
fn a_hold_with_inactive_and_no_address_ends_well() {
    fairly(|| the_far_side("uas_hold_inactive", 7));
}

#[test]
fn a_refresh_by_reinvite_or_update_changes_nothing() {
    fairly(|| the_far_side("uas_refresh", 5));
}

#[test]
fn a_reinvite_without_offer_is_answered_with_one() {
    fairly(|| the_far_side("uas_reinvite_without_offer", 4));
}

#[test]
fn a_refused_hold_leaves_the_call_as_it_was_and_says_so() {
    let bench = Bench::new();
    let mut phone = sipp::Sipp::start(&bench, "uas_refuse_hold");
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let page = scene.page();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(1));
    page.hold(&call);
    page.wait_call_nth(&call, "ESTABLISHED", 1, secs(3));
    std::thread::sleep(secs(2));
    let ended_at = moment();
    page.hang_up(&call);
    phone.assert_passed(secs(5));
    page.heard(&call).between(ended_at - 1000.0, ended_at).assert_tone(PAGE_TONE);
}
