//! Hold and resume, by the page and by the far side.

mod support;

use std::time::Duration;
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
        let words = ["hold", "talk", "remoteHold"];
        let told = page.received().into_iter().filter(|(message, _)| words.contains(&message.as_str()));
        assert_eq!(told.count(), 1, "one talk for the answer, nothing for the hold");
        let held = page.heard(&call).between(resuming - 2000.0, resuming);
        assert!(held.find(PHONE_TONE).is_none(), "the held page hears the phone");
        let back = page.heard(&call).between(resuming, ended_at).assert_tone(PHONE_TONE);
        assert!(back.first_at - resuming < BACK_MS, "page: {:.0} ms", back.first_at - resuming);
        let back = wire.stop().heard(phone.rtp).between(resuming, ended_at).assert_tone(PAGE_TONE);
        assert!(back.first_at - resuming < BACK_MS, "phone: {:.0} ms", back.first_at - resuming);
    });
}

fn is_soak() -> bool {
    std::env::var_os("TANDEM_SOAK").is_some()
}

/// A scripted far side does something to the call; afterwards the page hears itself again.
fn the_far_side(plan: sipp::Plan, seconds: u64) {
    let bench = Bench::new();
    let mut phone = plan.start(&bench);
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let page = scene.page();
    let wire = scene.wiretap();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(seconds));
    let ended_at = moment();
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    phone.assert_passed(secs(5));
    page.heard(&call).between(ended_at - 1000.0, ended_at).assert_tone(PAGE_TONE);
    wire.stop().assert_one_stream(scene.house.webrtc);
}

#[test]
fn rq12_every_style_of_hold_ends_well() {
    for (direction, held_at) in [
        ("sendonly", "127.0.0.1"),
        ("inactive", "127.0.0.1"),
        ("sendonly", "0.0.0.0"),
        ("inactive", "0.0.0.0"),
    ] {
        let long = if is_soak() { 60 } else { 1 };
        // Two seconds before the hold, half a second to be back, one to be heard.
        fairly(|| the_far_side(sipp::Plan::holding(direction, held_at, long * 1000), 2 + long + 2));
    }
}

/// Who holds.
#[derive(Debug, Clone, Copy)]
enum Holder {
    Page,
    Phone,
    Both,
}

#[test]
fn rq12_sound_is_back_after_every_hold_of_either_side_and_of_both() {
    let (repeats, long): (u32, &[u64]) = if is_soak() { (10, &[60, 900]) } else { (2, &[]) };
    let short =
        [Holder::Page, Holder::Phone, Holder::Both].map(|holder| (holder, 1)).repeat(repeats as usize);
    let long = long.iter().map(|seconds| (Holder::Page, *seconds));
    let holds: Vec<_> = short.into_iter().chain(long).collect();
    fairly(|| {
        let scene = Scene::new();
        let phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        let (mut talks, mut held, mut back) = (0, 0, vec![]);
        for (holder, seconds) in &holds {
            std::thread::sleep(secs(1));
            if matches!(holder, Holder::Phone | Holder::Both) {
                phone.hold();
                std::thread::sleep(Duration::from_millis(300));
            }
            if matches!(holder, Holder::Page | Holder::Both) {
                page.hold(&call);
                page.wait_call_nth(&call, "HOLD", held, secs(3));
                held += 1;
            }
            std::thread::sleep(secs(*seconds));
            let mut resumed = moment();
            if matches!(holder, Holder::Phone | Holder::Both) {
                phone.resume();
                std::thread::sleep(Duration::from_millis(300));
            }
            if matches!(holder, Holder::Page | Holder::Both) {
                page.unhold(&call);
                talks += 1;
                resumed = page.wait_call_nth(&call, "ESTABLISHED", talks, secs(3)).at;
            }
            std::thread::sleep(secs(1));
            // The page remembers only so much.
            back.push((*holder, resumed, moment(), page.heard(&call).between(resumed, moment())));
        }
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        let wire = wire.stop();
        let at_phone = wire.heard(phone.rtp);
        for (holder, from, to, at_page) in back {
            let at_phone = at_phone.between(from, to);
            for (who, heard, tone) in [("page", at_page, PHONE_TONE), ("phone", at_phone, PAGE_TONE)] {
                let first = heard.find(tone).map(|found| found.first_at - from);
                assert!(
                    first.is_some_and(|ms| ms < BACK_MS),
                    "{holder:?} held: {who} hears after {first:?} ms"
                );
            }
        }
        wire.assert_one_stream(scene.house.webrtc);
    });
}

#[test]
fn rq23_a_refresh_by_reinvite_or_update_changes_nothing() {
    fairly(|| the_far_side(sipp::Plan::new("uas_refresh"), 5));
}

#[test]
fn rq34_a_reinvite_without_offer_is_answered_with_one() {
    fairly(|| the_far_side(sipp::Plan::new("uas_reinvite_without_offer"), 4));
}

#[test]
fn rq13_a_refused_hold_leaves_the_call_as_it_was_and_says_so() {
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
