//! Each row of the table.
use std::time::Duration;

use actors::handle::{Cause, EndReason, FarSides, Side};
use serde_json::json;

use super::*;

/// Actions in short: the names of frames sent, and what else is to be done.
fn short(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .filter(|action| !matches!(action, Action::Count(_)))
        .map(|action| match action {
            Action::Send(text) => {
                let frame: Value = serde_json::from_str(text).unwrap();
                let status = frame["data"][0]["status"].as_str().unwrap_or_default();
                format!("{} {status}", frame["message"].as_str().unwrap()).trim().to_owned()
            }
            Action::Open(account) => {
                format!("open {}", account.as_ref().map_or("-", |account| &account.login))
            }
            Action::Tell(_) => "tell".into(),
            Action::Note(_) => "note".into(),
            Action::Count(_) => unreachable!("filtered"),
            Action::Close(farewell) => format!("close {}", farewell.code()),
        })
        .collect()
}

/// `socket` gets `message` and does `wanted`.
fn check(socket: &mut Socket, message: &str, payload: Value, wanted: &[&str]) {
    let text = json!({"message": message, "data": [payload]}).to_string();
    assert_eq!(short(&socket.text(&text, Instant::now())), wanted, "{message} {payload}");
}

fn account() -> Value {
    json!({"appKey": "defaultApp", "sipLogin": "1001", "sipDomain": "pbx", "sipPassword": "pw"})
}

fn open() -> Socket {
    let mut socket = Socket::new(3);
    check(&mut socket, "connection", account(), &["open 1001"]);
    assert_eq!(short(&socket.opened("token", "id")), ["getUserData ESTABLISHED"]);
    socket
}

fn view(id: &str) -> CallView {
    CallView {
        callee: "1002".into(),
        caller: "1001".into(),
        has_audio: true,
        ..CallView::unknown(CallId::parse(id).unwrap())
    }
}

fn call(id: &str) -> Value {
    json!({"callId": id, "callee": "1002", "sdp": "v=0"})
}

#[test]
fn a_page_introduces_itself_and_gets_its_session() {
    let mut socket = Socket::new(3);
    assert!(socket.is_waiting());
    check(&mut socket, "connection", json!({"appKey": "x"}), &["open -"]);
    assert!(!socket.is_waiting());
    assert_eq!(short(&socket.opened("token", "id")), ["getUserData ESTABLISHED"]);
    assert!(socket.waited_long_enough().is_empty());
}

#[test]
fn what_a_page_wants_of_limits_goes_with_each_of_its_calls() {
    let mut socket = Socket::new(3);
    let mut page = account();
    page["custom"] = json!({"rtpActivityDetecting": {"first": 5, "running": 7}});
    check(&mut socket, "connection", page, &["open 1001"]);
    socket.opened("token", "id");
    let mut seconds = |message: &str, wish: Value| {
        let mut call = call("c1");
        call["rtpActivityDetecting"] = wish;
        let text = json!({"message": message, "data": [call]}).to_string();
        match &socket.text(&text, Instant::now())[..] {
            [
                Action::Tell(
                    FromPage::Call(PlaceCall { additions, .. }) | FromPage::Answer { additions, .. },
                ),
            ] => {
                let activity = additions.activity;
                [activity.first, activity.running].map(|limit| limit.unwrap_or_default().as_secs())
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(seconds("call", json!(null)), [5, 7]);
    assert_eq!(seconds("answer", json!({"first": 9})), [9, 7]);
}

#[test]
fn what_a_page_wants_of_still_pictures_goes_with_each_of_its_calls() {
    let mut socket = Socket::new(3);
    let mut page = account();
    page["custom"] = json!({"generateAvForUa": false, "rtpGeneratorStartTimeout": 300});
    check(&mut socket, "connection", page, &["open 1001"]);
    socket.opened("token", "id");
    for (wish, far_sides) in [(json!(null), FarSides::nobody()), (json!("all"), FarSides::All)] {
        let mut call = call("c1");
        call["generateAvForUa"] = wish;
        let text = json!({"message": "call", "data": [call]}).to_string();
        match &socket.text(&text, Instant::now())[..] {
            [Action::Tell(FromPage::Call(PlaceCall { additions, .. }))] => {
                let delay = Some(Duration::from_millis(300));
                assert_eq!(additions.stand_in, StandInWish { far_sides: Some(far_sides), delay });
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_password_does_not_come_back() {
    let mut socket = Socket::new(3);
    check(&mut socket, "connection", account(), &["open 1001"]);
    match &socket.opened("token", "id")[..] {
        [Action::Send(text)] => {
            assert!(text.contains("1001") && text.contains("token") && !text.contains("pw"))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_account_that_cannot_work_and_an_unknown_token_are_told_and_closed() {
    check(
        &mut Socket::new(3),
        "connection",
        json!({"sipLogin": "10 01", "sipDomain": "p"}),
        &["fail FAILED", "close 1000"],
    );
    check(
        &mut Socket::new(3),
        "connection",
        json!({"authToken": "t", "keepAlive": true}),
        &["fail FAILED", "close 1000"],
    );
    let mut socket = Socket::new(3);
    check(&mut socket, "connection", account(), &["open 1001"]);
    assert_eq!(short(&socket.refused("full", Farewell::TryAgainLater)), ["fail FAILED", "close 1013"]);
}

#[test]
fn before_connection_only_pings_are_served() {
    let mut socket = Socket::new(3);
    check(&mut socket, "ping", json!(null), &["pong"]);
    check(&mut socket, "call", call("c1"), &["fail FAILED"]);
    check(&mut socket, "hangup", json!({"callId": "c1"}), &["fail FAILED"]);
    assert_eq!(short(&socket.waited_long_enough()), ["close 1008"]);
    assert!(socket.stopping().is_empty());
}

#[test]
fn a_second_connection_is_refused_and_harms_nothing() {
    let mut socket = open();
    check(&mut socket, "connection", account(), &["fail FAILED"]);
    check(&mut socket, "connection", json!({"sipLogin": "a b"}), &["fail FAILED"]);
    check(&mut socket, "call", call("c1"), &["tell"]);
}

#[test]
fn what_a_page_asks_goes_to_the_switch() {
    let mut socket = open();
    check(&mut socket, "call", call("c1"), &["tell"]);
    check(&mut socket, "answer", json!({"callId": "c1", "sdp": "v=0"}), &["tell"]);
    for message in ["hangup", "hold", "unhold"] {
        check(&mut socket, message, json!({"callId": "c1"}), &["tell"]);
    }
    check(&mut socket, "sendDtmf", json!({"callId": "c1", "dtmf": 7}), &["tell"]);
}

#[test]
fn a_call_that_cannot_begin_fails_but_never_ends_another_of_its_name() {
    let mut socket = open();
    let bad = json!({"callId": "c1", "callee": "a\r\nb", "sdp": "v=0"});
    check(&mut socket, "call", bad.clone(), &["fail FAILED", "finish FAILED"]);
    socket.told(&ToPage::CallStatus(view("c1"), CallStatus::Established));
    check(&mut socket, "call", bad, &["fail FAILED"]);
    check(&mut socket, "hold", json!({"callId": ""}), &["fail FAILED"]);
}

#[test]
fn what_is_no_message_is_answered_and_the_socket_goes_on() {
    let mut socket = open();
    for text in ["", "{", "[1]", r#"{"message":7}"#, &"[".repeat(5000)] {
        assert_eq!(short(&socket.text(text, Instant::now())), ["fail FAILED"]);
    }
    check(&mut socket, "futureThing", json!({}), &[]);
    check(&mut socket, "call", call("c1"), &["tell"]);
}

#[test]
fn a_large_message_is_dropped_with_a_word_and_logs_may_be_larger() {
    let mut socket = open();
    let mut large = call("c1");
    large["custom"] = "x".repeat(MAX_MESSAGE).into();
    check(&mut socket, "call", large, &["fail FAILED"]);
    check(&mut socket, "pushLogs", json!({"logs": "x".repeat(MAX_MESSAGE)}), &["note"]);
    check(&mut socket, "pushLogs", json!({"logs": "x".repeat(MAX_LOGS)}), &["fail FAILED"]);
    check(&mut socket, "submitBugReport", json!({"text": "x".repeat(MAX_MESSAGE)}), &["note"]);
}

#[test]
fn logs_are_shortened_and_limited() {
    let mut socket = open();
    let text = json!({"message": "pushLogs", "data": [{"logs": "\u{e4}".repeat(MAX_NOTE)}]}).to_string();
    let now = Instant::now();
    match &socket.text(&text, now)[..] {
        [Action::Note(note)] => assert!(note.len() <= MAX_NOTE),
        other => panic!("{other:?}"),
    }
    let notes = (0..1000).filter(|_| matches!(socket.text(&text, now)[..], [Action::Note(_)])).count();
    assert!(notes < 1000);
    assert!(matches!(socket.text(&text, now + Duration::from_secs(1))[..], [Action::Note(_)]));
}

#[test]
fn questions_that_a_page_waits_for_are_answered() {
    let mut socket = open();
    check(
        &mut socket,
        "sendData",
        json!({"operationId": "o1", "payload": {}}),
        &["DataStatusEvent ACCEPTED"],
    );
    check(&mut socket, "sessionDebug", json!({"command": "start"}), &["notifySessionDebugEvent STARTED"]);
    check(&mut socket, "publishStream", json!({"mediaSessionId": "s1"}), &["notifyStreamStatusEvent FAILED"]);
    check(&mut socket, "availableStream", json!({"mediaSessionId": "s1"}), &["availableStream false"]);
}

#[test]
fn a_transfer_to_nobody_leaves_no_dead_button() {
    let mut socket = open();
    let transfer = json!({"callId": "c1", "target": ""});
    let nobody = ToPage::BadTransfer { call_id: view("c1").call_id, info: "target: is no address".into() };
    check(&mut socket, "transfer", transfer.clone(), &["fail FAILED"]);
    socket.told(&ToPage::CallStatus(view("c1"), CallStatus::Established));
    check(&mut socket, "transfer", transfer.clone(), &["fail FAILED", "talk ESTABLISHED"]);
    socket.told(&ToPage::CallStatus(view("c1"), CallStatus::Hold));
    check(&mut socket, "transfer", transfer.clone(), &["fail FAILED", "hold HOLD"]);
    assert_eq!(short(&socket.told(&nobody)), ["fail FAILED", "hold HOLD"]);
    let ended = EndReason::new(Some(Side::Callee), Cause::HangUp);
    assert_eq!(
        short(&socket.told(&ToPage::CallStatus(view("c1"), CallStatus::Finish(ended)))),
        ["finish FINISH"]
    );
    check(&mut socket, "transfer", transfer, &["fail FAILED"]);
}

#[test]
fn a_transfer_that_fails_shows_where_the_call_stands_and_why() {
    let mut socket = open();
    let why = EndReason::from_sip(Side::Callee, 486, "Busy Here");
    for (held, expected) in [(true, "hold HOLD"), (false, "talk ESTABLISHED")] {
        let told = ToPage::TransferRefused { call: view("c1"), held, why: why.clone() };
        let actions = socket.told(&told);
        assert_eq!(short(&actions), [expected]);
        let [Action::Send(frame)] = &actions[..] else { panic!("{actions:?}") };
        assert!(frame.contains("\"info\":\"Transfer failed\""), "{frame}");
        assert!(frame.contains("\"sipStatus\":486"), "{frame}");
    }
}

#[test]
fn refused_credentials_close_the_socket_and_an_outage_does_not() {
    let failed = |last| ToPage::RegistrationFailed { info: "Forbidden".into(), sip_status: Some(403), last };
    assert_eq!(short(&open().told(&failed(true))), ["fail FAILED", "close 1000"]);
    let mut socket = open();
    assert_eq!(short(&socket.told(&failed(false))), ["fail FAILED"]);
    assert_eq!(short(&socket.told(&ToPage::Registered)), ["registered REGISTERED"]);
}

#[test]
fn a_page_without_a_sign_of_life_is_closed() {
    let mut socket = open();
    for _ in 0..3 {
        assert_eq!(short(&socket.ping_due()), ["ping"]);
    }
    check(&mut socket, "pong", json!(null), &[]);
    for _ in 0..3 {
        assert_eq!(short(&socket.ping_due()), ["ping"]);
    }
    assert_eq!(short(&socket.ping_due()), ["close 1008"]);
    assert!(socket.abandoned().is_empty());
}

#[test]
fn a_session_that_the_switch_lets_go_closes_its_socket() {
    assert_eq!(short(&open().abandoned()), ["close 1013"]);
}

#[test]
fn a_page_hears_the_end_of_its_calls_before_tandem_stops() {
    let mut socket = open();
    assert!(socket.stopping().is_empty() && socket.is_stopping());
    check(&mut socket, "ping", json!(null), &["pong"]);
    assert_eq!(short(&socket.abandoned()), ["close 1001"]);
    assert_eq!(short(&Socket::new(3).stopping()), ["close 1001"]);
}

#[test]
fn only_a_page_that_asks_hears_of_its_mailbox_of_digits_and_of_holds() {
    let mail = ToPage::MailWaiting(actors::handle::MailWaiting::default());
    let digits = ToPage::Digits(CallId::parse("c1").unwrap(), "5".into());
    let hold = ToPage::RemoteHold(CallId::parse("c1").unwrap(), true);
    for news in [&mail, &digits, &hold] {
        assert_eq!(short(&open().told(news)), [""; 0]);
    }
    let mut socket = Socket::new(3);
    let mut asks = account();
    asks["tandemEvents"] = json!(["message-summary", "dtmf", "remote-hold"]);
    check(&mut socket, "connection", asks, &["open 1001"]);
    assert_eq!(short(&socket.opened("token", "id")), ["getUserData ESTABLISHED"]);
    assert_eq!(short(&socket.told(&mail)), ["notifyMessageSummary"]);
    assert_eq!(short(&socket.told(&digits)), ["notifyDtmf"]);
    assert_eq!(short(&socket.told(&hold)), ["remoteHold"]);
}

#[test]
fn a_page_hears_how_its_calls_sound_if_it_asks() {
    let quality = SoundNews::Quality(vec![]);
    let trouble = actors::handle::Trouble {
        leg: actors::handle::LegKind::Sip,
        way: actors::handle::Way::Received,
        cause: actors::handle::Silence::NoPackets,
        since: Instant::now(),
    };
    let told = |socket: &mut Socket| -> Vec<String> {
        let news = [quality.clone(), SoundNews::Trouble(trouble, Duration::ZERO), SoundNews::Well(trouble)];
        let id = CallId::parse("c1").unwrap();
        news.into_iter().flat_map(|news| short(&socket.told(&ToPage::Sound(id.clone(), news)))).collect()
    };
    assert_eq!(told(&mut open()), Vec::<String>::new());
    let asking = |events: Value| {
        let mut socket = Socket::new(3);
        let mut page = account();
        page["tandemEvents"] = events;
        check(&mut socket, "connection", page, &["open 1001"]);
        socket.opened("token", "id");
        told(&mut socket)
    };
    assert_eq!(asking(json!(["call-quality"])), ["notifyCallQuality"]);
    assert_eq!(asking(json!(["media-trouble"])), ["notifyMediaTrouble", "notifyMediaTrouble"]);
    assert_eq!(asking(json!(["call-quality", "media-trouble"])).len(), 3);
}
