//! What those hear who wait: music on hold from a file, the ringing tone of a country, and who rings in place of somebody who has left.

mod support;

use support::scene::{OTHER_TONE, PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::{Baresip, Bench, Tone, fairly, house, kamailio, secs, sipp, wav};

/// The music of the operator's file.
const MUSIC: Tone = Tone::of(650);
/// The ringing tone of Germany: a second of 425 Hz, then four of silence.
const GERMAN: Tone = Tone { hz: 425.0, dbfs: -20.0 };

#[test]
fn a_held_phone_hears_the_operators_file() {
    fairly(|| {
        let bench = Bench::new();
        let file = bench.path("music.wav");
        wav::write(&file, 44_100, &MUSIC.samples(44_100, 2.0));
        let plan = house::Plan::new().set("media.hold_music_file", &format!("{:?}", file.to_string_lossy()));
        let mut scene = Scene::on(bench, kamailio::Plan::new(), plan);
        let phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(1));
        page.hold(&call);
        let held = page.wait_call(&call, "HOLD", secs(3));
        std::thread::sleep(secs(4)); // two rounds of the file
        let resuming = moment();
        page.unhold(&call);
        page.wait_call_nth(&call, "ESTABLISHED", 1, secs(3));
        std::thread::sleep(secs(1));
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let heard = wire.stop().heard(phone.rtp).between(held.at, resuming).assert_tone(MUSIC);
        println!(
            "music after {:.0} ms, {:.1} dBFS, gap {:.0} ms",
            heard.first_at - held.at,
            heard.dbfs,
            heard.gap_ms
        );
        assert!(heard.first_at - held.at < 700.0, "music after {:.0} ms", heard.first_at - held.at);
        scene.assert_no_call_left();
    });
}

#[test]
fn rq21_a_page_hears_the_tone_of_its_country_until_the_answer() {
    fairly(|| {
        let mut scene =
            Scene::with(kamailio::Plan::new(), house::Plan::new().set("media.ring_back", "\"de\""));
        let phone = scene.phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        let rang = page.wait_call(&call, "RING", secs(5));
        let first = page.wait_heard(&call, GERMAN, secs(4));
        // In the middle of the second burst.
        std::thread::sleep(std::time::Duration::from_millis((first + 5400.0 - moment()).max(0.0) as u64));
        phone.answer();
        let answered = page.wait_call(&call, "ESTABLISHED", secs(3));
        std::thread::sleep(secs(3));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let heard = page.heard(&call);
        println!("the tone began {:.0} ms after RING", first - rang.at);
        let one = heard.between(first - 200.0, first + 4500.0).find(GERMAN).unwrap();
        assert!((one.hz - 425.0).abs() < 5.0 && one.gap_ms < 60.0, "{one:?}");
        assert!((one.last_at - one.first_at - 1000.0).abs() < 100.0, "a second of tone: {one:?}");
        let two = heard.between(first + 4500.0, answered.at).find(GERMAN).unwrap();
        assert!((two.first_at - one.first_at - 5000.0).abs() < 100.0, "every five seconds: {one:?} {two:?}");
        let voice = heard.between(answered.at - 200.0, ended_at).assert_tone(PHONE_TONE);
        let last = heard.between(first + 4500.0, ended_at).find(GERMAN).unwrap().last_at;
        println!(
            "the voice {:.0} ms after the answer, {:.0} ms after the tone",
            voice.first_at - answered.at,
            voice.first_at - last
        );
        assert!(voice.first_at - answered.at < 500.0);
        assert!(last - voice.first_at < 60.0, "the tone goes on under the voice");
        wire.stop().assert_one_stream(scene.house.webrtc);
        scene.assert_no_call_left();
    });
}

#[test]
fn rq21_an_announcement_takes_the_place_of_the_tone() {
    fairly(|| {
        let bench = Bench::new();
        let phone = sipp::Plan::new("uas_ring_early_media").start(&bench);
        let plan = house::Plan::new().set("media.ring_back", "\"us\"");
        let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), plan);
        let page = scene.page();
        let call = page.call("2001");
        let early = page.wait_call(&call, "RING_MEDIA", secs(8));
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(1));
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        // The phone sends back what it hears.
        let heard = page.heard(&call);
        let rings = |from: f64, to: f64| {
            let looks = heard.between(from, to).looks();
            let tone = looks.iter().filter(|look| (430.0..490.0).contains(&look.hz)).count();
            tone as f64 / looks.len() as f64
        };
        let (before, after) = (rings(early.at - 1000.0, early.at), rings(early.at + 300.0, answered.at));
        println!("of the time before the announcement {before:.2} is tone, after {after:.2}");
        assert!(before > 0.6 && after < 0.02, "{before} {after}");
        heard.between(early.at + 300.0, answered.at).assert_tone(PAGE_TONE);
    });
}

/// A phone refers the page to another one and hangs up; what the page hears until that one answers.
fn while_another_rings(ring_back: &str, hears: impl Fn(&support::Recording)) {
    let bench = Bench::new();
    let target = format!("1003@{}", kamailio::DOMAIN);
    let phone = sipp::Plan::new("uas_transfers_and_leaves").key("target", &target);
    let mut phone = phone.key("domain", kamailio::DOMAIN).start(&bench);
    let plan = house::Plan::new().set("media.ring_back", &format!("{ring_back:?}"));
    let mut scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), plan);
    let other = Baresip::start(&scene.bench, &scene.pbx, "1003", OTHER_TONE);
    let page = scene.page();
    let wire = scene.wiretap();
    let call = page.call("2001");
    page.wait_call(&call, "ESTABLISHED", secs(5));
    let rings_at = other.wait("CALL_INCOMING", secs(8)).at;
    std::thread::sleep(secs(3));
    let answering = moment();
    other.answer();
    let answered_at = other.wait("CALL_ESTABLISHED", secs(3)).at;
    std::thread::sleep(secs(2));
    let ended_at = moment();
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    phone.assert_passed(secs(5));
    let heard = page.heard(&call);
    hears(&heard.between(rings_at + 500.0, answering));
    let voice = heard.between(answered_at - 100.0, ended_at).assert_tone(OTHER_TONE);
    assert!(voice.first_at - answered_at < 500.0);
    wire.stop().assert_one_stream(scene.house.webrtc);
    scene.assert_no_call_left();
}

#[test]
fn rq14_a_page_hears_that_somebody_rings_in_the_place_of_who_has_left() {
    fairly(|| {
        while_another_rings("gb", |heard| {
            let tone = heard.looks().iter().filter(|look| (370.0..480.0).contains(&look.hz)).count();
            let part = tone as f64 / heard.looks().len() as f64;
            println!("{part:.2} of the time is tone");
            assert!((0.08..0.5).contains(&part), "two bursts of 0.4 s in three seconds: {heard}");
        });
    });
}

#[test]
fn rq14_a_page_of_no_country_hears_music_meanwhile() {
    fairly(|| while_another_rings("", |heard| heard.assert_never_silent()));
}
