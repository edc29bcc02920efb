//! What a page adds to SIP arrives at the phone, and what it takes out of its offer does not.

mod support;

use serde_json::json;
use support::kamailio::DOMAIN;
use support::scene::Scene;
use support::{Bench, house, kamailio, secs, sipp};

/// The `nth` message of a SIPp log that holds `start`.
fn message(log: &str, start: &str) -> String {
    let at = log.find(start).unwrap_or_else(|| panic!("no {start} in {log}"));
    log[at..].split("-----------").next().unwrap_or_default().replace("\r\n", "\n")
}

/// The m-line of the INVITE that a phone gets, for a house with these settings and a page that strips these codecs.
fn offered(settings: &[(&str, &str)], strips: &str) -> String {
    let bench = Bench::new();
    let phone = sipp::Sipp::start(&bench, "uas_answer");
    let house = settings.iter().fold(house::Plan::new(), |plan, (key, value)| plan.set(key, value));
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house);
    let page = scene.page();
    let call = page.call_with("2001", json!({ "stripCodecs": strips }));
    page.wait_call(&call, "ESTABLISHED", secs(5));
    page.hang_up(&call);
    let log = phone.messages();
    let line = log.lines().find(|line| line.starts_with("m=audio")).expect("an m-line");
    line.trim().split_once("RTP/AVP ").expect("plain RTP").1.to_owned()
}

#[test]
fn settings_and_stripped_codecs_shape_the_invite() {
    assert_eq!(offered(&[], "SILK"), "111 8 0 110 101");
    assert_eq!(offered(&[], "opus,PCMA"), "0 101");
    let settings = [("codecs", "[\"ulaw\", \"alaw\", \"opus\"]"), ("codecs_exclude_sip", "[\"opus\"]")];
    assert_eq!(offered(&settings, "telephone-event"), "0 8");
}

#[test]
fn lines_of_a_page_stand_in_the_invite() {
    let bench = Bench::new();
    let mut phone = sipp::Sipp::start(&bench, "uas_answer");
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let page = scene.page();
    let call = page.call_with("2001", json!({ "sipSDP": ["b=AS:3000", "b=TIAS:2500000"] }));
    page.wait_call(&call, "ESTABLISHED", secs(5));
    page.hang_up(&call);
    phone.assert_passed(secs(5));
    let invite = message(&phone.messages(), "INVITE sip:");
    assert!(invite.contains("\nc=IN IP4 127.0.0.1\nb=AS:3000\nb=TIAS:2500000\nt=0 0\n"), "{invite}");
}

#[test]
fn lines_of_a_page_that_answers_stand_in_the_200() {
    let scene = Scene::new();
    let page = scene.page();
    let to = scene.pbx.proxy();
    let mut caller = sipp::Plan::new("uac_call").calling("1001", DOMAIN, &to, "trunk").start(&scene.bench);
    let incoming = page.wait_incoming(0, secs(5));
    let call = incoming.body["callId"].as_str().unwrap().to_owned();
    page.run("answer", json!([call, { "sipSDP": ["b=AS:3000", "b=RS:1000"] }]));
    page.wait_call(&call, "ESTABLISHED", secs(3));
    page.hang_up(&call);
    caller.assert_passed(secs(5));
    let accepted = message(&caller.messages(), "SIP/2.0 200");
    assert!(accepted.contains("\nc=IN IP4 127.0.0.1\nb=AS:3000\nb=RS:1000\nt=0 0\n"), "{accepted}");
}
