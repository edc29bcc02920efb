//! Pages that send no sound: without a microphone, or with one that sends no packets. The phone gets a steady stream all the same.

mod support;

use serde_json::{Value, json};
use support::rtp::{PCMA, PCMU, Rtp};
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::sound::{Recording, moment};
use support::wiretap::{Capture, assert_even_steps};
use support::{Bench, fairly, house, kamailio, rtp, secs, sipp};

/// What the WebSDK is given by an application that wants neither microphone nor camera.
fn listening() -> Value {
    json!({ "constraints": { "audio": false, "video": false }, "receiveVideo": true })
}

/// The sound that came to these ports in a span.
fn sound(wire: &Capture, ports: (u16, u16), (from, to): (f64, f64)) -> Vec<Rtp> {
    let mut sound = wire.rtp_to(ports);
    sound.retain(|p| (p.kind == PCMU || p.kind == PCMA) && p.at >= from && p.at <= to);
    sound
}

/// A packet every 20 ms, one stream, no step crooked.
#[track_caller]
fn assert_steady(wire: &Capture, ports: (u16, u16), span: (f64, f64)) -> Recording {
    let stream = sound(wire, ports, span);
    let expected = (span.1 - span.0) / 20.0;
    let gap = stream.windows(2).map(|pair| pair[1].at - pair[0].at).fold(0.0, f64::max);
    println!("{} packets of {expected:.0}, longest pause {gap:.0} ms", stream.len());
    assert!((stream.len() as f64 - expected).abs() < expected * 0.05, "{} of {expected}", stream.len());
    assert!(gap < 100.0, "no packet for {gap:.0} ms");
    assert_even_steps(&stream);
    rtp::play(&stream).expect("sound of G.711")
}

#[test]
fn a_page_without_microphone_and_camera_calls_and_hears_the_phone() {
    fairly(|| {
        let mut scene = Scene::new();
        let phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call_with("1002", listening());
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(4));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        page.heard(&call).between(answered.at - 500.0, ended_at).assert_tone_since(PHONE_TONE, answered.at);
        let at_phone = assert_steady(&wire.stop(), phone.rtp, (answered.at, ended_at));
        assert!(at_phone.samples.iter().all(|sample| sample.abs() < 0.001), "the phone hears {at_phone}");
        scene.assert_no_call_left();
    });
}

#[test]
fn a_page_without_microphone_and_camera_answers_and_hears_the_phone() {
    fairly(|| {
        let mut scene = Scene::new();
        let phone = scene.phone();
        let page = scene.page();
        let wire = scene.wiretap();
        phone.dial("1001");
        let call = page.wait_incoming(0, secs(5)).body["callId"].as_str().unwrap().to_owned();
        page.run("answer", json!([call, listening()]));
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(4));
        let ended_at = moment();
        phone.hang_up();
        page.wait_call(&call, "FINISH", secs(3));

        page.heard(&call).between(answered.at - 500.0, ended_at).assert_tone_since(PHONE_TONE, answered.at);
        assert_steady(&wire.stop(), phone.rtp, (answered.at + 200.0, ended_at));
        scene.assert_no_call_left();
    });
}

#[test]
fn an_announcement_before_the_answer_gets_the_steady_stream_too() {
    fairly(|| {
        let bench = Bench::new();
        let phone = sipp::Plan::new("uas_early_media").start(&bench);
        let scene =
            Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call_with("2001", listening());
        let early = page.wait_call(&call, "RING_MEDIA", secs(5));
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(1));
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        assert!(answered.at - early.at > 1500.0);
        assert_steady(&wire.stop(), (phone.rtp, phone.rtp), (early.at, answered.at));
    });
}

/// Keeps the page's peer connections, so that its microphone can be unplugged.
const KEEP_CONNECTIONS: &str = "(() => { window.kept = []; const set = RTCPeerConnection.prototype.setLocalDescription; \
     RTCPeerConnection.prototype.setLocalDescription = function (...args) { kept.push(this); return set.apply(this, args); }; })()";

#[test]
fn a_microphone_that_sends_no_packets_and_then_does_breaks_nothing_at_the_phone() {
    fairly(|| {
        let mut scene = Scene::new();
        let phone = scene.ready_phone();
        let page = scene.page();
        page.eval(KEEP_CONNECTIONS);
        let wire = scene.wiretap();
        let call = page.call("1002");
        let answered = page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(3));
        page.eval("window.sender = kept[0].getSenders().find(s => s.track); window.microphone = sender.track; sender.replaceTrack(null)");
        let unplugged = moment();
        std::thread::sleep(secs(3));
        let plugged = moment();
        page.eval("sender.replaceTrack(microphone)");
        std::thread::sleep(secs(3));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));

        let wire = wire.stop();
        let stream = sound(&wire, phone.rtp, (answered.at, ended_at));
        for pair in stream.windows(2) {
            assert_eq!(pair[0].ssrc, pair[1].ssrc, "another stream at {:.0} ms", pair[1].at - answered.at);
            let missing = pair[1].sequence.wrapping_sub(pair[0].sequence);
            assert_eq!(missing, 1, "a number is missing at {:.0} ms", pair[1].at - answered.at);
            assert!(pair[1].at - pair[0].at < 600.0, "no packet for {:.0} ms", pair[1].at - pair[0].at);
        }
        assert_steady(&wire, phone.rtp, (unplugged + 700.0, plugged));
        let at_phone = wire.heard(phone.rtp);
        at_phone.between(answered.at + 1000.0, unplugged).assert_tone(PAGE_TONE);
        assert!(at_phone.between(unplugged + 700.0, plugged).find(PAGE_TONE).is_none());
        let back = at_phone.between(plugged, ended_at).assert_tone(PAGE_TONE).first_at - plugged;
        println!("heard again after {back:.0} ms");
        assert!(back < 500.0, "heard again after {back:.0} ms");
        scene.assert_no_call_left();
    });
}
