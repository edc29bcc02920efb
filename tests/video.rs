//! Pictures between a page and a phone: what is in front of one camera is seen at the other end.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use std::path::PathBuf;
use support::baresip;
use support::browser::Page;
use support::pattern::{self, PAGE_MARK, PHONE_MARK};
use support::record::{Record, figure};
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::{Baresip, fairly, secs};

const SIZE: (usize, usize) = (320, 240);

fn camera(scene: &Scene) -> PathBuf {
    let file = scene.bench.path("phone-sees.y4m");
    pattern::write_y4m(&file, PHONE_MARK, SIZE, 15, 60);
    file
}

fn page_with_camera(scene: &Scene) -> Page<'_> {
    let page = scene.web.page_with_camera("1001", PAGE_TONE, PAGE_MARK, SIZE);
    page.connect_and_wait(&scene.house, &support::browser::Account::at(&scene.pbx, "1001"));
    page
}

fn with_video() -> serde_json::Value {
    json!({ "video": { "width": SIZE.0, "height": SIZE.1, "frameRate": 15 } })
}

/// Both ends see and hear each other.
#[track_caller]
fn assert_both_see(page: &Page, call: &str, phone: &Baresip, answered_at: f64) {
    std::thread::sleep(secs(4));
    let seen = page.seen(call);
    let moving = pattern::assert_moving(&seen, PHONE_MARK, 20);
    let first = seen[0].at - answered_at;
    println!("{} pictures, {moving} different, the first {first:.0} ms after the answer", seen.len());
    assert!(first <= 1000.0, "{first} ms");
    assert_eq!(page.run("element", json!([call]))["muted"], false, "a muted element is heard by nobody");
    pattern::assert_moving(&[phone.sees()], PAGE_MARK, 1);
    page.heard(call).between(answered_at + 500.0, answered_at + 3500.0).assert_tone(PHONE_TONE);
    // Less its first half second too, in which a busy machine starts the page's encoders; first words are another test's.
    let heard = phone.decoded();
    heard.between(500.0, heard.length_ms()).assert_tone(PAGE_TONE);
}

/// The page leaves `stripped` out of its offer; its pictures and the phone's go there and back in these ways.
fn the_page_calls(codecs: &str, stripped: &str, there: &str, back: &str) {
    fairly(|| {
        let scene = Scene::new();
        let file = camera(&scene);
        let phone = baresip::Plan::new("1002", PHONE_TONE).camera(codecs, &file).auto_answer();
        let phone = phone.start(&scene.bench, &scene.pbx);
        let page = page_with_camera(&scene);
        let mut options = with_video();
        options["stripCodecs"] = stripped.into();
        let call = page.call_with("1002", options);
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        assert_both_see(&page, &call, &phone, answered.at);
        let active = scene.house.metric("tandem_transcoders_active", "from=\"VP8\"")
            + scene.house.metric("tandem_transcoders_active", "from=\"H264\"");
        let transcoded = f64::from(u32::from(there.contains(" to ")) + u32::from(back.contains(" to ")));
        assert_eq!(active, transcoded, "{codecs}");
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let record = Record::of_first_call(&scene.house);
        assert_eq!((record.text("caller_video"), record.text("callee_video")), (there, back));
        assert_eq!(scene.house.metric("tandem_video_transcode_avoided_total", ""), 2.0 - transcoded, "RQ17");
        assert_eq!(scene.house.metric("tandem_video_transcoded_total", ""), transcoded);
        assert_figures(&scene, &record);
    });
}

/// What both legs count of four seconds of pictures, in the call's record and in the metrics. Prometheus sorts the labels.
#[track_caller]
fn assert_figures(scene: &Scene, record: &Record) {
    for (leg, text) in [("browser", record.text("caller")), ("sip", record.text("callee"))] {
        println!("{text}");
        let video = text.split("; ").filter(|part| part.starts_with("video "));
        for ((part, way), dir) in video.zip(["received", "sent"]).zip(["in", "out"]) {
            let pictures = figure(part, "pictures ");
            assert!(figure(part, way) >= pictures && pictures >= 30.0, "{part}");
            assert!(figure(part, "key frames ") >= 1.0 && figure(part, "rate ") >= 5.0, "{part}");
            let labels = format!("dir=\"{dir}\",leg=\"{leg}\"");
            let metric = |name: &str| scene.house.metric(name, &labels);
            assert_eq!(metric("tandem_video_pictures_total"), pictures, "{part}");
            assert_eq!(metric("tandem_video_bits_per_second_count"), 1.0, "{part}");
        }
    }
}

#[test]
fn vp8_passes_when_the_page_calls() {
    the_page_calls("vp8", "SILK", "VP8 as it is", "VP8 as it is");
}

#[test]
fn h264_passes_when_the_page_calls() {
    the_page_calls("h264", "SILK", "H264 as it is", "H264 as it is");
}

#[test]
fn a_page_with_h264_and_a_phone_with_vp8_see_each_other() {
    the_page_calls("vp8", "SILK,VP8,VP9,AV1", "H264 to VP8", "VP8 to H264");
}

#[test]
fn a_page_with_vp8_and_a_phone_with_h264_see_each_other() {
    the_page_calls("h264", "SILK,H264,VP9,AV1", "VP8 to H264", "H264 to VP8");
}

#[test]
fn rq15_a_video_call_to_a_phone_without_pictures_is_heard() {
    fairly(|| {
        let scene = Scene::new();
        let phone = scene.ready_phone();
        let page = page_with_camera(&scene);
        let call = page.call_with("1002", with_video());
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(3));
        let heard = page.heard(&call).between(answered.at, answered.at + 2500.0).assert_tone(PHONE_TONE);
        assert!(heard.first_at - answered.at < 1000.0, "{heard:?}");
        assert_eq!(page.run("element", json!([call]))["muted"], false);
        phone.decoded().assert_tone(PAGE_TONE);
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
    });
}

fn the_phone_calls(codecs: &str) {
    fairly(|| {
        let scene = Scene::new();
        let file = camera(&scene);
        let phone = baresip::Plan::new("1002", PHONE_TONE).camera(codecs, &file);
        let phone = phone.start(&scene.bench, &scene.pbx);
        let page = page_with_camera(&scene);
        phone.dial("1001");
        let incoming = page.wait_incoming(0, secs(5));
        let call = incoming.body["callId"].as_str().unwrap().to_owned();
        page.run("answer", json!([call, with_video()]));
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        assert_both_see(&page, &call, &phone, answered.at);
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
    });
}

#[test]
fn vp8_passes_when_the_phone_calls() {
    the_phone_calls("vp8");
}

#[test]
fn h264_passes_when_the_phone_calls() {
    the_phone_calls("h264");
}

/// What a page with a camera full of noise sends in the first five seconds: a browser that is told nothing begins at 300 kbit/s. What a busy machine
/// encodes is another matter, so this is one of the long figures.
#[test]
fn a_page_begins_with_a_good_bitrate() {
    if std::env::var_os("TANDEM_SOAK").is_none() {
        return println!("only with TANDEM_SOAK=1");
    }
    let scene = Scene::new();
    let (file, noise, size) = (camera(&scene), scene.bench.path("noise.y4m"), (640, 480));
    pattern::write_noisy_y4m(&noise, size, 15, 30);
    let phone = baresip::Plan::new("1002", PHONE_TONE).camera("vp8", &file).auto_answer();
    let _phone = phone.start(&scene.bench, &scene.pbx);
    let page = scene.web.page_with("1001", PAGE_TONE, json!({ "camera": noise }));
    page.connect_and_wait(&scene.house, &support::browser::Account::at(&scene.pbx, "1001"));
    let video = json!({ "width": size.0, "height": size.1, "frameRate": 15 });
    let call = page.call_with("1002", json!({ "video": video }));
    page.wait_call(&call, "ESTABLISHED", secs(5));
    std::thread::sleep(secs(5));
    page.hang_up(&call);
    page.wait_call(&call, "FINISH", secs(3));
    let record = Record::of_first_call(&scene.house);
    let (_, video) = record.text("caller").split_once("; video ").unwrap();
    println!("{video}");
    assert!(figure(video, "rate ") > 450.0, "{video}");
}

/// Both legs speak H.264, each as it likes: what one page encodes the other decodes.
#[test]
fn rq17_two_pages_with_h264_see_each_other_without_a_transcoder() {
    fairly(|| {
        let scene = Scene::new();
        let caller = page_with_camera(&scene);
        let called = scene.web.page_with_camera("1003", PHONE_TONE, PHONE_MARK, SIZE);
        called.connect_and_wait(&scene.house, &support::browser::Account::at(&scene.pbx, "1003"));
        let mut options = with_video();
        options["stripCodecs"] = "SILK,VP8,VP9,AV1".into();
        let call = caller.call_with("1003", options.clone());
        let incoming = called.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
        called.run("answer", json!([incoming, options]));
        let answered = caller.wait_call(&call, "ESTABLISHED", secs(5));
        for (page, call, mark) in [(&caller, &call, PHONE_MARK), (&called, &incoming, PAGE_MARK)] {
            let enough = || Some(page.seen(call)).filter(|seen| seen.len() >= 40);
            let seen = support::wait_for("40 pictures", secs(10), enough);
            let moving = pattern::assert_moving(&seen, mark, 20);
            println!(
                "{moving} different pictures, the first {:.0} ms after the answer",
                seen[0].at - answered.at
            );
        }
        let transcoders = scene.house.metric("tandem_transcoders_active", "");
        assert_eq!(transcoders, 0.0, "neither for pictures nor for sound");
        caller.hang_up(&call);
        called.wait_call(&incoming, "FINISH", secs(3));
    });
}
