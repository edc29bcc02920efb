//! Bad input of every kind: a clear answer or a counted drop; the session, the other calls and the process go on.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::net::UdpSocket;
use std::time::Duration;
use support::scene::{PAGE_TONE, PHONE_TONE, Scene};
use support::sound::moment;
use support::websocket::{Frame, WebSocket, offer};
use support::{Bench, House, Sipp, fairly, secs, sipp};

/// A house, a phone that answers, a session that does not register.
fn session(scenario: &str) -> (Bench, Sipp, House, WebSocket) {
    let bench = Bench::new();
    let phone = sipp::Plan::new(scenario).start(&bench);
    let house = House::start(&bench);
    let socket = WebSocket::session(house.web, "2009", "127.0.0.1", phone.port);
    (bench, phone, house, socket)
}

/// The `call` frame, changed by `change`.
fn call(id: &str, change: Value) -> Value {
    let mut frame = json!({
        "callId": id, "incoming": false, "hasVideo": false, "hasAudio": true, "status": "PENDING", "mediaProvider": "WebRTC",
        "sdp": offer(), "callee": "2001", "caller": "2009", "visibleName": "2009",
    });
    frame.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    frame
}

#[test]
fn frames_that_make_no_sense_leave_the_session_alive() {
    let (_bench, _phone, mut house, mut socket) = session("uas_answer");
    for text in [
        "",
        "{",
        "[]",
        "null",
        "42",
        "\"text\"",
        "{}",
        "{\"message\":7}",
        "{\"message\":\"call\"}",
        "{\"message\":\"call\",\"data\":{}}",
        "{\"message\":\"call\",\"data\":[]}",
        "{\"message\":\"call\",\"data\":[7]}",
        "{\"message\":\"call\",\"data\":[{}]}",
        "{\"message\":\"call\",\"data\":[{\"callId\":7}]}",
        "{\"message\":\"answer\",\"data\":[{\"callId\":\"x\",\"sdp\":[]}]}",
        "{\"message\":\"hangup\",\"data\":[{}]}",
        "{\"message\":\"hold\",\"data\":[null]}",
        "{\"message\":\"sendDtmf\",\"data\":[{\"callId\":\"x\",\"dtmf\":{}}]}",
        "{\"message\":\"noSuchMessage\",\"data\":[{}]}",
        "{\"message\":\"pong\"}",
        "{\"message\":\"ping\"}",
        "{\"message\":\"publishStream\",\"data\":[{\"mediaSessionId\":\"x\"}]}",
        "{\"message\":\"connection\",\"data\":[{}]}",
    ] {
        socket.send_text(text);
    }
    socket.try_send(0x82, &[0, 1, 2, 255]).unwrap(); // a binary frame
    socket.assert_alive();
    house.assert_well();
}

#[test]
fn json_nested_without_end_leaves_the_process_alive() {
    let (_bench, _phone, mut house, mut socket) = session("uas_answer");
    socket.send_text(&"[".repeat(100_000));
    socket.send_text(&format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000)));
    socket.assert_alive();
    house.assert_well();
}

#[test]
fn oversized_frames_are_refused_and_huge_ones_close() {
    let (_bench, phone, mut house, mut socket) = session("uas_answer");
    socket.send("sendData", json!({ "operationId": "1", "payload": "x".repeat(300 * 1024) }));
    socket.expect("fail", secs(2)); // over 256 KiB
    socket.send("pushLogs", json!({ "logs": "x".repeat(900 * 1024) }));
    socket.assert_alive(); // under its 1 MiB
    socket.send("pushLogs", json!({ "logs": "x".repeat(1100 * 1024) }));
    socket.expect("fail", secs(2));
    socket.assert_alive();

    let mut huge = WebSocket::session(house.web, "2008", "127.0.0.1", phone.port);
    huge.send("pushLogs", json!({ "logs": "x".repeat(5 << 20) }));
    let closed = std::iter::from_fn(|| huge.next(secs(3))).find(|frame| matches!(frame, Frame::Close(_)));
    // The server may cut the connection before all of it was written: then the code is lost.
    assert!(matches!(closed, Some(Frame::Close(1009 | 1006))), "{closed:?}");
    socket.assert_alive();
    house.assert_well();
}

/// A `call` that cannot be: the page gets an end with a reason, the session lives.
fn refused(change: Value) {
    let (_bench, _phone, mut house, mut socket) = session("uas_answer");
    socket.send("call", call("11111111-0000-11f1-8df6-5df796382668", change.clone()));
    let finish = socket.expect("finish", secs(3));
    assert!(finish["status"] == "FAILED" || finish["status"] == "FINISH", "{change}: {finish}");
    socket.assert_alive();
    house.assert_well();
    house.wait_metric("tandem_calls_active", 0.0, secs(5));
}

#[test]
fn an_offer_that_is_no_sdp_ends_the_call() {
    refused(json!({ "sdp": "hello" }));
}

#[test]
fn an_offer_without_codecs_ends_the_call() {
    refused(json!({ "sdp": offer().replace(" 111 63 9 0 8 13 110 126", "") }));
}

#[test]
fn an_offer_with_unknown_codecs_only_ends_the_call() {
    let lines = offer().lines().filter(|line| !line.starts_with("a=rtpmap") && !line.starts_with("a=fmtp"));
    let sdp = lines.map(|line| line.replace(" 111 63 9 0 8 13 110 126", " 100") + "\r\n").collect::<String>();
    refused(json!({ "sdp": sdp + "a=rtpmap:100 magic/8000\r\n" }));
}

#[test]
fn an_offer_without_fingerprint_ends_the_call() {
    let lines = offer().lines().filter(|line| !line.starts_with("a=fingerprint"));
    refused(json!({ "sdp": lines.map(|line| format!("{line}\r\n")).collect::<String>() }));
}

#[test]
fn an_offer_without_ice_ends_the_call() {
    let lines = offer().lines().filter(|line| !line.starts_with("a=ice-"));
    refused(json!({ "sdp": lines.map(|line| format!("{line}\r\n")).collect::<String>() }));
}

#[test]
fn an_empty_offer_ends_the_call() {
    refused(json!({ "sdp": "" }));
}

#[test]
fn a_callee_that_is_no_user_ends_the_call() {
    refused(json!({ "callee": "20 01\r\nX-Evil: yes" }));
}

#[test]
fn a_callee_that_is_empty_ends_the_call() {
    refused(json!({ "callee": "" }));
}

#[test]
fn no_field_of_a_call_adds_a_header_or_an_sdp_line() {
    let (_bench, phone, mut house, mut socket) = session("uas_answer");
    let change = json!({ "visibleName": "A\"\r\nX-Evil: 1\r\n", "sipSDP": ["b=AS:64", "a=good\r\nm=video 9 RTP/AVP 96", "x"] });
    socket.send("call", call("11111111-0000-11f1-8df6-5df796382668", change));
    std::thread::sleep(secs(2));
    let messages = phone.messages();
    assert!(!messages.contains("\nX-Evil") && !messages.contains("\nm=video"), "{messages}");
    socket.assert_alive();
    house.assert_well();
}

#[test]
fn a_duplicate_call_id_is_refused_and_the_first_call_goes_on() {
    let (_bench, _phone, mut house, mut socket) = session("uas_answer");
    let id = "11111111-0000-11f1-8df6-5df796382668";
    socket.send("call", call(id, json!({})));
    socket.expect("talk", secs(5));
    socket.send("call", call(id, json!({})));
    let mut other = WebSocket::session(house.web, "2008", "127.0.0.1", 5999);
    other.send("call", call(id, json!({})));
    other.assert_alive();
    socket.assert_alive();
    assert!((house.metric("tandem_calls_active", "") - 1.0).abs() < 0.1);
    socket.send("hangup", json!({ "callId": id }));
    socket.expect("finish", secs(3));
    house.assert_well();
}

#[test]
fn messages_for_calls_that_do_not_exist_are_answered_or_ignored() {
    let (_bench, _phone, mut house, mut socket) = session("uas_answer");
    let id = "99999999-0000-11f1-8df6-5df796382668";
    for message in ["hold", "unhold", "transfer", "sendDtmf", "answer"] {
        socket.send(
            message,
            json!({ "callId": id, "dtmf": "1", "type": "RFC2833", "target": "2002", "sdp": offer() }),
        );
    }
    socket.send("hangup", json!({ "callId": id }));
    assert_eq!(socket.expect_where("finish", secs(2), |data| data["callId"] == id)["status"], "FINISH");
    socket.assert_alive();
    house.assert_well();
}

#[test]
fn a_socket_that_says_nothing_or_the_wrong_thing_first_does_no_harm() {
    let bench = Bench::new();
    let mut house = House::start(&bench);
    let _silent = WebSocket::open(house.web);
    let mut hasty = WebSocket::open(house.web);
    hasty.send("call", call("11111111-0000-11f1-8df6-5df796382668", json!({})));
    std::thread::sleep(Duration::from_millis(500));
    house.assert_well();
    house.wait_metric("tandem_calls_active", 0.0, secs(2));
}

/// A call that talks, and rubbish thrown at its ports meanwhile: the sound does not mind.
#[test]
fn rubbish_at_the_media_ports_does_not_disturb_the_sound() {
    fairly(|| {
        let mut scene = Scene::new();
        let phone = scene.ready_phone();
        let page = scene.page();
        let wire = scene.wiretap();
        let call = page.call("1002");
        page.wait_call(&call, "ESTABLISHED", secs(5));
        std::thread::sleep(secs(2));
        let begun = moment();
        throw_rubbish(scene.house.webrtc, scene.house.rtp);
        std::thread::sleep(secs(1));
        let ended_at = moment();
        page.hang_up(&call);
        page.wait_call(&call, "FINISH", secs(3));
        page.heard(&call).between(begun, ended_at).assert_tone(PHONE_TONE);
        wire.stop().heard(phone.rtp).between(begun, ended_at).assert_tone(PAGE_TONE);
        scene.house.assert_well();
    });
}

/// Truncated and made-up RTP, RTCP, STUN and DTLS, 500 a second for two seconds.
fn throw_rubbish(webrtc: u16, rtp: (u16, u16)) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let rtp_packet: Vec<u8> =
        [0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4].into_iter().chain([0xff; 160]).collect();
    let rtcp = [0x81, 200, 0, 12, 0, 0, 0, 1];
    let stun = [
        0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 4, b'a', b':',
        b'b', b'c',
    ];
    let dtls = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1, 0, 0, 28, 0, 0];
    let kinds: [&[u8]; 6] = [&rtp_packet, &rtcp, &stun, &dtls, &[0xff; 1400], &[]];
    for n in 0..1000usize {
        let kind = kinds[n % kinds.len()];
        let cut = &kind[..kind.len().min(1 + n % 200)];
        socket.send_to(cut, ("127.0.0.1", webrtc)).unwrap();
        socket.send_to(cut, ("127.0.0.1", rtp.0 + (n % 8) as u16)).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn requests_of_http_that_make_no_sense_are_refused() {
    use std::io::{Read, Write};
    let bench = Bench::new();
    let mut house = House::start(&bench);
    for request in [
        "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "\0\0\0\0",
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", house.web)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.set_read_timeout(Some(secs(2))).unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(!answer.contains("root:") && !answer.starts_with("HTTP/1.1 101"), "{answer}");
    }
    house.assert_well();
}
