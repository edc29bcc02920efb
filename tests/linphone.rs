//! linphonec at the other end: TLS and SRTP of a third implementation, both ways, and its attended transfers.

mod support;

use support::kamailio::DOMAIN;
use support::scene::{OTHER_TONE, PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::tls::{Claim, certificate};
use support::wiretap::Capture;
use support::{Bench, Linphone, Page, fairly, house, kamailio, rtp, secs};

/// A PBX with TLS, and a house that encrypts its sound in any case.
fn scene() -> Scene {
    let bench = Bench::new();
    let (_, files) = certificate(&bench.subfolder("certificates"), Claim { names: &[DOMAIN], until: 2090 });
    Scene::on(bench, kamailio::Plan::new().tls(files), house::Plan::new().set("sip.srtp", "\"required\""))
}

/// Both heard each other from a second after `answered` to `ended`, and nobody on the wire heard them.
fn assert_heard(page: &Page, call: &str, phone: Linphone, wire: &Capture, (answered, ended): (f64, f64)) {
    page.heard(call).between(answered + 1000.0, ended).assert_tone(PHONE_TONE);
    let packets = wire.rtp_to(phone.rtp);
    assert!(packets.len() > 100, "{} packets", packets.len());
    let plain = rtp::play(&packets).and_then(|heard| heard.find(PAGE_TONE));
    assert!(plain.is_none_or(|found| found.last_at - found.first_at < 500.0), "{plain:?}");
    // In its first second it fits its jitter buffer, which may be heard.
    let found = phone.heard().between(1000.0, f64::MAX).find(PAGE_TONE).expect("linphone hears the page");
    assert!(found.last_at - found.first_at > 2000.0 && found.gap_ms <= 60.0, "{found:?}");
}

#[test]
fn rq31_the_page_calls_linphone_and_both_hear_each_other_encrypted() {
    fairly(|| {
        let scene = scene();
        let phone = Linphone::start(&scene.bench, &scene.pbx, "1002", PHONE_TONE, true);
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        let answered = page.wait_call(&call, "ESTABLISHED", secs(10));
        std::thread::sleep(secs(4));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        assert_heard(&page, &call, phone, &wire.stop(), (answered.at, ended_at));
    });
}

#[test]
fn rq31_linphone_calls_the_page_straight_over_tls_and_both_hear_each_other_encrypted() {
    fairly(|| {
        let scene = scene();
        let mut phone = Linphone::start(&scene.bench, &scene.pbx, "1002", PHONE_TONE, false);
        let page = scene.page();
        let wire = scene.wiretap();
        phone.dial(&format!("sip:1001@127.0.0.1:{};transport=tls", scene.house.sip_tls));
        let call = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
        page.answer(&call);
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(4));
        let ended_at = moment();
        page.hang_up(&call); // our BYE goes by its connection: there is no other
        page.wait_call(&call, "FINISH", secs(3));
        assert_heard(&page, &call, phone, &wire.stop(), (answered.at, ended_at));
        scene.house.assert_no_call_left(secs(5));
    });
}

/// linphonec talks to the page (its call 1), asks another linphonec back (its call 2) and joins the two: `referred` hears the REFER with Replaces.
/// The page keeps its call, and it and the other hear each other.
fn joined_by_linphone(referred: u32, target: u32) {
    let mut scene = scene();
    let other = Linphone::start(&scene.bench, &scene.pbx, "1003", OTHER_TONE, true);
    let mut phone = Linphone::start(&scene.bench, &scene.pbx, "1002", PHONE_TONE, false);
    let page = scene.page();
    // By its address: nobody but the PBX knows its domain.
    let at_pbx = |user: &str| format!("sip:{user}@127.0.0.1:{};transport=tls", scene.pbx.tls_port);
    phone.dial(&at_pbx("1001"));
    let call = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap_or_default().to_owned();
    page.answer(&call);
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(2));
    phone.hold(1);
    std::thread::sleep(secs(1));
    phone.dial(&at_pbx("1003"));
    std::thread::sleep(secs(3));
    let joined_at = moment();
    phone.join(referred, target);
    std::thread::sleep(secs(6));
    let ended_at = moment();
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    let at_page =
        page.heard(&call).between(joined_at, ended_at).find(OTHER_TONE).expect("the page hears the other");
    let at_other = other.heard().find(PAGE_TONE).expect("the other hears the page");
    println!(
        "page after {:.0} ms for {:.0} ms",
        at_page.first_at - joined_at,
        at_page.last_at - at_page.first_at
    );
    println!("other for {:.0} ms", at_other.last_at - at_other.first_at);
    assert!(at_page.last_at - at_page.first_at > 3000.0 && at_other.last_at - at_other.first_at > 3000.0);
    scene.assert_no_call_left();
}

#[test]
fn rq14_linphone_refers_the_page_to_the_far_side_of_its_other_call() {
    fairly(|| joined_by_linphone(1, 2));
}

#[test]
fn rq14_linphone_refers_the_far_side_of_its_other_call_to_the_page() {
    fairly(|| joined_by_linphone(2, 1));
}
