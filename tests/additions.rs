//! What a page adds to SIP arrives at the phone, what the phone adds arrives at the page, and what a page takes out of its offer
//! is not offered.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::kamailio::DOMAIN;
use support::scene::Scene;
use support::websocket::{WebSocket, offer};
use support::{Bench, House, house, kamailio, secs, sipp};

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
    assert_eq!(offered(&[], "SILK"), "111 8 0 18 97 9 110 101");
    assert_eq!(offered(&[], "opus,PCMA"), "0 18 97 9 109 101"); // events at 16 kHz for wide Speex
    let settings = [("codecs", "[\"ulaw\", \"alaw\", \"opus\"]"), ("codecs_exclude_sip", "[\"opus\"]")];
    assert_eq!(offered(&settings, "telephone-event"), "0 8");
}

/// The WebSDK sends no `sipHeaders`; what it does send is `custom`.
#[test]
fn headers_and_lines_of_a_page_stand_in_the_invite() {
    let bench = Bench::new();
    let mut phone = sipp::Sipp::start(&bench, "uas_additions");
    let scene = Scene::on(bench, kamailio::Plan::new().route("2001", &phone.target()), house::Plan::new());
    let page = scene.page();
    let call = page.call_with(
        "2001",
        json!({ "sipSDP": ["b=AS:3000", "b=TIAS:2500000"], "custom": { "sipHeaders": { "X-Tenant": "blue", "X-Ticket": 42 } } }),
    );
    page.wait_call(&call, "ESTABLISHED", secs(5));
    page.hang_up(&call);
    phone.assert_passed(secs(5));
}

#[test]
fn a_page_is_shown_headers_of_the_invite_and_its_lines_stand_in_the_200() {
    let scene = Scene::new();
    let page = scene.page();
    let to = scene.pbx.proxy();
    let mut caller =
        sipp::Plan::new("uac_additions").calling("1001", DOMAIN, &to, "trunk").start(&scene.bench);
    let incoming = page.wait_incoming(0, secs(5));
    let call = incoming.body["callId"].as_str().unwrap().to_owned();
    // What the SDK hands to an app that listens for APP_DATA.
    let told = page.wait_session("APP_DATA", secs(1));
    let payload = &told.body["detail"]["payload"];
    assert!(told.at <= incoming.at && payload["callId"] == call.as_str(), "{told:?}");
    let wanted = json!({
        "X-Queue": "sales, vip",
        "P-Asserted-Identity": "\"Alice\" <sip:alice@pbx.test>",
        "Diversion": "<sip:1000@pbx.test>;reason=unconditional",
    });
    assert_eq!(payload["inviteParameters"], wanted);
    // The same in the call object, for clients that read it.
    let (_, frame) = page.received().into_iter().find(|(name, _)| name == "notifyIncomingCall").unwrap();
    assert_eq!(frame.body["frame"]["data"][0]["inviteParameters"], wanted);
    page.run("answer", json!([call, { "sipSDP": ["b=AS:3000", "b=RS:1000"] }]));
    page.wait_call(&call, "ESTABLISHED", secs(3));
    page.hang_up(&call);
    caller.assert_passed(secs(5));
}

/// The `call` frame with these fields more.
fn call(id: &str, more: &Value) -> Value {
    let mut frame = json!({ "callId": id, "incoming": false, "hasVideo": false, "hasAudio": true, "status": "PENDING",
        "mediaProvider": "WebRTC", "sdp": offer(), "callee": "2001" });
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    frame
}

#[test]
fn headers_that_a_page_may_not_add_end_the_call_before_anything_is_sent() {
    let bench = Bench::new();
    let phone = sipp::Sipp::start(&bench, "uas_answer");
    let mut house = House::start(&bench);
    let mut socket = WebSocket::session(house.web, "2009", "127.0.0.1", phone.port);
    for (nth, (more, field, word)) in [
        (json!({ "sipHeaders": { "Contact": "<sip:evil@x>" } }), "sipHeaders", "Contact"),
        (json!({ "sipHeaders": ["Route: <sip:evil@x>"] }), "sipHeaders", "Route"),
        (json!({ "inviteParameters": { "X-A": "a\r\nFrom: b" } }), "inviteParameters", "X-A"),
        (
            json!({ "custom": { "sipHeaders": { "Content-Length": "0" } } }),
            "custom.sipHeaders",
            "Content-Length",
        ),
        (json!({ "sipHeaders": { "Subject": "not in the settings" } }), "sipHeaders", "Subject"),
        (json!({ "sipHeaders": { "X-A": { "no": "text" } } }), "sipHeaders", "text"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("call-{nth}");
        socket.send("call", call(&id, &more));
        let fail = socket.expect_where("fail", secs(2), |data| data["callId"] == id.as_str());
        let info = fail["info"].as_str().unwrap();
        assert!(info.starts_with(field) && info.contains(word), "{more}: {info}");
        let finish = socket.expect_where("finish", secs(2), |data| data["callId"] == id.as_str());
        assert_eq!(finish["status"], "FAILED", "{more}");
    }
    assert_eq!(phone.messages(), "", "nothing was sent");
    socket.assert_alive();
    house.assert_well();
}
