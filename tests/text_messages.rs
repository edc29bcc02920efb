//! Text messages (RFC 3428) between pages and SIP, and what a PBX says of a mailbox (RFC 3842).

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::browser::Event;
use support::kamailio::DOMAIN;
use support::scene::Scene;
use support::websocket::{Frame, WebSocket};
use support::{Bench, House, secs, sipp};

#[test]
fn a_text_of_a_page_reaches_a_phone_that_wants_credentials() {
    let bench = Bench::new();
    let mut phone = sipp::Sipp::start(&bench, "uas_message");
    let mut house = House::start(&bench);
    let mut socket = WebSocket::session(house.web, "2009", "127.0.0.1", phone.port);
    let text = json!({ "id": "m1", "from": "2009", "to": "2001", "body": "I want you\r\nto see.", "contentType": "text/plain" });
    socket.send("sendMessage", text);
    for status in ["SENT", "ACCEPTED"] {
        let told = socket.expect("notifyMessage", secs(3));
        assert_eq!((&told["id"], &told["status"]), (&json!("m1"), &json!(status)));
    }
    phone.assert_passed(secs(5));
    socket.send("sendMessage", json!({ "id": "m2", "to": "2001\r\nX-Evil: 1", "body": "no" }));
    let fail = socket.expect("fail", secs(2));
    assert!(
        fail["info"].as_str().unwrap().starts_with("to: ") && fail["apiMethod"] == "MessageStatusEvent",
        "{fail}"
    );
    socket.assert_alive();
    house.assert_well();
}

/// The WebSDK 2.0 has no text messages: it must not mind one.
#[test]
fn a_text_for_a_page_is_told_and_leaves_the_unmodified_sdk_alone() {
    let scene = Scene::new();
    let page = scene.page();
    let to = scene.pbx.proxy();
    let mut sender = sipp::Plan::new("uac_message").calling("1001", DOMAIN, &to, "trunk").start(&scene.bench);
    sender.assert_passed(secs(5));
    let is_text = |event: &Event| event.body["frame"]["message"] == "notifyMessage";
    let told = page.wait("a text", secs(3), is_text, 0);
    let text = &told.body["frame"]["data"][0];
    assert_eq!((&text["status"], &text["body"]), (&json!("RECEIVED"), &json!("Watson, come here.")));
    assert_eq!((&text["from"], &text["visibleName"]), (&json!("trunk"), &json!("SIPp")));
    let call = page.call("1009");
    page.wait_call(&call, "FINISH", secs(5));
    assert!(!page.has(|event| event.kind == "page error"), "{:?}", page.events().last());
    assert_eq!(page.events().into_iter().filter(is_text).count(), 1, "the text, and not the HTML");
}

#[test]
fn a_page_that_asks_hears_of_its_mailbox_and_others_do_not() {
    let bench = Bench::new();
    let mut house = House::start(&bench);
    let mut socket = WebSocket::open(house.web);
    socket.send(
        "connection",
        json!({ "appKey": "defaultApp", "sipLogin": "1001", "sipDomain": "127.0.0.1", "sipPort": 5999,
        "sipRegisterRequired": false, "tandemEvents": ["message-summary"] }),
    );
    socket.expect("getUserData", secs(5));
    let mut other = WebSocket::session(house.web, "1002", "127.0.0.1", 5999);
    let tell = |user: &str| {
        let to = format!("127.0.0.1:{}", house.sip);
        let mut pbx = sipp::Plan::new("uac_mailbox").calling(user, "127.0.0.1", &to, "pbx").start(&bench);
        pbx.assert_passed(secs(5));
    };
    tell("1001");
    let told = socket.expect("notifyMessageSummary", secs(2));
    assert_eq!(
        told,
        json!({ "waiting": true, "account": "sip:1001@pbx.test", "newMessages": 2, "oldMessages": 8 })
    );
    tell("1002");
    other.send("ping", json!(null));
    let next = other.next(secs(2));
    assert!(matches!(&next, Some(Frame::Text(frame)) if frame["message"] == "pong"), "{next:?}");
    house.assert_well();
}
