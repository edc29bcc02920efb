//! A greeting that begins with the answer is heard from its first word, and a codec that changes in a call costs nothing.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;
use support::rtp::pcmu;
use support::scene::{PAGE_TONE, Scene};
use support::sound::{Recording, moment};
use support::{Bench, Tone, fairly, house, kamailio, pcap, secs, sipp};

/// The words of the greeting: "1 2 3 4 5".
const WORDS: [Tone; 5] = [Tone::of(400), Tone::of(560), Tone::of(760), Tone::of(1000), Tone::of(1300)];
const WORD_MS: f64 = 300.0;

/// Every word is there, one after the other without a gap. Chromium may play what it got in a burst a little faster, and a
/// window that looks for a word needs 20 ms of it.
#[track_caller]
fn assert_greeted(heard: &Recording) {
    let mut before: Option<f64> = None;
    for word in WORDS {
        let found = heard.find(word).unwrap_or_else(|| panic!("no {} Hz: {heard}", word.hz));
        let length = found.last_at - found.first_at;
        assert!(length >= WORD_MS * 0.6, "{length:.0} ms of {} Hz: {heard}", word.hz);
        let gap = before.map_or(0.0, |end| found.first_at - end);
        assert!((-60.0..=60.0).contains(&gap), "{gap:.0} ms before {} Hz: {heard}", word.hz);
        before = Some(found.last_at);
    }
}

#[test]
fn rq07_the_first_word_of_a_greeting_is_heard_in_every_call() {
    let calls = if std::env::var_os("TANDEM_SOAK").is_some() { 50 } else { 3 };
    for answered in ["at_once", "on_sip_sdp"] {
        fairly(|| {
            let bench = Bench::new();
            let greeting = bench.path("greeting.pcap");
            let words: Vec<f32> =
                WORDS.iter().flat_map(|word| word.samples(8000, WORD_MS / 1000.0)).collect();
            pcap::write_played(&greeting, &pcmu(&words));
            let phone = sipp::Plan::new("uas_answer_at_once").greeting_with(&greeting);
            let phone = phone.calls(calls, 10).limit(secs(600)).start(&bench);
            let house = house::Plan::new().set("media.answer_audio", &format!("\"{answered}\""));
            let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house);
            let page = scene.page();
            for _ in 0..calls {
                let call = page.call("2001");
                let talk = page.wait_call(&call, "ESTABLISHED", secs(5));
                std::thread::sleep(Duration::from_millis(2700));
                let heard = page.heard(&call);
                page.hang_up(&call);
                page.wait_call(&call, "FINISH", secs(3));
                let first = heard.find(WORDS[0]).map(|found| found.first_at - talk.at);
                println!("{answered}: first word {first:.0?} ms after the answer");
                assert_greeted(&heard);
            }
        });
    }
}

#[test]
fn rq08_a_codec_changed_in_a_call_costs_less_than_100_ms_and_the_page_sees_one_stream() {
    fairly(|| {
        let bench = Bench::new();
        let mut phone = sipp::Plan::new("uas_changes_codec").start(&bench);
        let scene =
            Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("2001");
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        // PCMU, PCMA, Opus, PCMU again: two seconds each, looked at in their middle.
        let mut transcoders = vec![];
        for place in 0..4 {
            let wait = answered.at + 1000.0 + f64::from(place) * 2000.0 - moment();
            std::thread::sleep(Duration::from_secs_f64(wait.max(0.0) / 1000.0));
            transcoders.push(scene.house.metric("tandem_transcoders_active", ""));
        }
        assert_eq!(transcoders, [2.0, 2.0, 0.0, 2.0]);
        std::thread::sleep(secs(1));
        let ended_at = moment();
        page.hang_up(&call);
        phone.assert_passed(secs(5));
        let heard = page.heard(&call).between(answered.at + 500.0, ended_at);
        let found = heard.find(PAGE_TONE).unwrap();
        println!("longest gap {:.0} ms", found.gap_ms);
        assert!(found.gap_ms < 100.0, "{heard}");
        assert!(ended_at - found.last_at < 200.0, "{heard}");
        wire.stop().assert_one_stream(scene.house.webrtc);
    });
}
