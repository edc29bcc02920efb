//! Frames as the WebSDK sent them, and frames as nobody should send them.
use serde_json::{Value, json};

use actors::handle::{ExtraLine, PageHeader};

use super::*;

/// The frames of single captures (`frame-*.json`) and those of whole sessions (`logs/`) that a page sent.
fn captured() -> Vec<(String, Value)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frames");
    let read = |path: &std::path::Path| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let mut all = Vec::new();
    for folder in [folder.clone(), folder.join("logs")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let (name, value) = (path.file_stem().unwrap().to_string_lossy().into_owned(), read(&path));
            match value.get("frames").and_then(Value::as_array) {
                None => all.push((name, value)),
                Some(frames) => all.extend(
                    frames
                        .iter()
                        .filter(|frame| frame["dir"] == "c2s")
                        .map(|frame| (name.clone(), frame["frame"].clone())),
                ),
            }
        }
    }
    all
}

fn frame(message: &str, payload: Value) -> String {
    json!({"message": message, "data": [payload]}).to_string()
}

/// `message` with `payload` is refused, naming `field`.
fn refused(message: &str, payload: Value, field: &str) {
    let refusal = decode(&frame(message, payload.clone())).expect_err(&payload.to_string());
    assert!(refusal.info.starts_with(field), "{refusal} should name {field}");
    assert_eq!(refusal.message, message);
}

fn ask(message: &str, payload: Value) -> FromPage {
    match decode(&frame(message, payload)).unwrap() {
        Incoming::Ask(ask) => ask,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_captured_frame_is_understood() {
    let frames = captured();
    assert!(frames.len() > 25, "{}", frames.len());
    for (name, frame) in frames {
        let message = frame["message"].as_str().unwrap().to_owned();
        match decode(&frame.to_string()).unwrap_or_else(|refusal| panic!("{name}: {refusal}")) {
            Incoming::Unknown(_) => panic!("{name}: {message} is unknown"),
            Incoming::Ask(FromPage::Call(call)) => {
                let sent = &frame["data"][0];
                assert_eq!(call.call_id.as_str(), sent["callId"]);
                assert_eq!(call.callee, sent["callee"]);
                assert_eq!(call.sdp, sent["sdp"]);
                let lines: Vec<&str> = call.additions.lines.iter().map(ExtraLine::as_str).collect();
                assert_eq!(json!(lines), *sent.get("sipSDP").unwrap_or(&json!([])));
            }
            Incoming::Ask(FromPage::Answer { call_id, sdp, .. }) => {
                assert_eq!(call_id.as_str(), frame["data"][0]["callId"]);
                assert_eq!(sdp, frame["data"][0]["sdp"]);
            }
            _ => {}
        }
    }
}

#[test]
fn data_may_be_missing_null_or_no_list() {
    for text in
        [r#"{"message":"ping"}"#, r#"{"message":"ping","data":null}"#, r#"{"message":"ping","data":[]}"#]
    {
        assert!(matches!(decode(text), Ok(Incoming::Ping)), "{text}");
    }
    let bare = r#"{"message":"hangup","data":{"callId":"c1"}}"#;
    assert!(matches!(decode(bare), Ok(Incoming::Ask(FromPage::HangUp(id))) if id.as_str() == "c1"));
}

#[test]
fn what_is_no_message_is_refused() {
    for text in
        ["", "null", "[]", "{", "{\"data\":[]}", r#"{"message":5}"#, "\u{0}", "{\"message\":\"ping\"}x"]
    {
        assert!(decode(text).is_err(), "{text}");
    }
    assert!(decode(&"[".repeat(100_000)).unwrap_err().info.contains("nested"));
}

#[test]
fn an_unknown_message_is_no_error() {
    assert!(
        matches!(decode(&frame("futureThing", json!({"a": 1}))), Ok(Incoming::Unknown(name)) if name == "futureThing")
    );
}

#[test]
fn digits_come_as_text_or_number_and_in_either_case() {
    let check = |payload: Value, wanted: &str, method| match ask("sendDtmf", payload) {
        FromPage::SendDigits(_, digits) => assert_eq!(digits, Digits { digits: wanted.into(), method }),
        other => panic!("{other:?}"),
    };
    check(json!({"callId": "c", "type": "RFC2833", "dtmf": "5"}), "5", DigitMethod::Rfc2833);
    check(json!({"callId": "c", "type": "INFO", "dtmf": 7}), "7", DigitMethod::Info);
    check(json!({"callId": "c", "type": "INFO_RELAY", "dtmf": "12#a"}), "12#A", DigitMethod::InfoRelay);
    check(json!({"callId": "c", "dtmf": 0}), "0", DigitMethod::Rfc2833);
    refused("sendDtmf", json!({"callId": "c", "dtmf": "5e"}), "dtmf");
    refused("sendDtmf", json!({"callId": "c", "dtmf": "5\r\n"}), "dtmf");
    refused("sendDtmf", json!({"callId": "c", "dtmf": "1".repeat(65)}), "dtmf");
    refused("sendDtmf", json!({"callId": "c", "dtmf": ""}), "dtmf");
    refused("sendDtmf", json!({"callId": "c", "dtmf": -1}), "dtmf");
    refused("sendDtmf", json!({"callId": "c", "dtmf": "1", "type": "SMOKE"}), "type");
}

#[test]
fn a_value_that_would_reach_sip_is_refused_by_field() {
    let with = |field: &str, value: Value| {
        let mut call = json!({"callId": "c", "callee": "1002", "sdp": "v=0"});
        call[field] = value;
        call
    };
    assert!(decode(&frame("call", with("visibleName", json!("Zoë \u{1f642}")))).is_ok());
    assert!(decode(&frame("call", with("callee", json!(1002)))).is_ok());
    for evil in ["a\r\nX: y", "a\nb", "a\u{0}", "a\u{7f}", "a\u{1b}[2J", "a\u{85}b"] {
        refused("call", with("callee", json!(evil)), "callee");
        refused("call", with("visibleName", json!(evil)), "visibleName");
        refused("call", with("callId", json!(evil)), "callId");
        refused("call", with("sipSDP", json!([format!("b={evil}")])), "sipSDP");
        refused("transfer", json!({"callId": "c", "target": evil}), "target");
    }
    refused("call", with("callee", json!("")), "callee");
    refused("call", with("callee", json!("x".repeat(257))), "callee");
    refused("call", with("callee", json!(["1002"])), "callee");
    refused("call", with("callId", json!("x".repeat(129))), "callId");
    refused("call", with("sdp", json!("")), "sdp");
    refused("call", with("sdp", json!({})), "sdp");
    refused("call", with("sdp", json!("a".repeat(65 * 1024))), "sdp");
    refused("call", with("sipSDP", json!("b=AS:1")), "sipSDP");
    refused("call", with("sipSDP", json!(["m=audio 1 RTP/AVP 0"])), "sipSDP");
    refused("call", with("sipSDP", json!(vec!["b=AS:1"; 17])), "sipSDP");
    refused("hangup", json!({}), "callId");
}

#[test]
fn headers_come_as_lines_or_pairs_and_through_custom() {
    let check = |field: &str, value: Value, want: &str| {
        let mut call = json!({"callId": "c", "callee": "1002", "sdp": "v=0"});
        call[field] = value;
        let FromPage::Call(call) = ask("call", call) else { panic!("a call") };
        let shown: Vec<String> = call.additions.headers.iter().map(|header| format!("{header:?}")).collect();
        let pairs: Vec<PageHeader> = want
            .split('|')
            .filter(|pair| !pair.is_empty())
            .map(|pair| PageHeader::from_line(pair).unwrap())
            .collect();
        assert_eq!(call.additions.headers, pairs, "{shown:?}");
    };
    check("sipHeaders", json!(["X-A: 1", "X-B:2"]), "X-A: 1|X-B: 2");
    check("sipHeaders", json!({"X-A": "1"}), "X-A: 1");
    check("inviteParameters", json!({"X-A": 1, "X-B": true}), "X-A: 1|X-B: true");
    check("custom", json!({"sipHeaders": {"X-A": "1"}, "else": []}), "X-A: 1");
    check("custom", json!({"inviteParameters": {"X-A": "1"}}), "X-A: 1");
    check("custom", json!("a text"), "");
    check("custom", json!([1]), "");
}

/// Every field of every message that could reach a header, an SDP line or a body, with a control character in it.
#[test]
fn no_field_of_any_message_takes_a_control_character() {
    let call = json!({"callId": "c", "callee": "1002", "visibleName": "n", "sdp": "v=0", "sipSDP": ["b=AS:1"],
        "sipHeaders": {"X-A": "1"}, "inviteParameters": {"X-B": "1"}});
    let account = json!({"sipLogin": "1001", "sipAuthenticationName": "1001", "sipPassword": "p", "sipDomain": "pbx",
        "sipOutboundProxy": "pbx", "sipProxy": "pbx", "sipPort": "5060"});
    let answer = json!({"callId": "c", "sdp": "v=0", "sipSDP": ["b=AS:1"], "sipHeaders": ["X-A: 1"], "inviteParameters": {"X-B": "1"}});
    let digits = json!({"callId": "c", "dtmf": "1", "type": "INFO"});
    let transfer = json!({"callId": "c", "target": "1003"});
    let named = json!({"callId": "c"});
    let text = json!({"id": "m", "to": "1002", "visibleName": "n", "contentType": "text/plain"});
    let messages = [
        ("call", &call),
        ("answer", &answer),
        ("connection", &account),
        ("sendDtmf", &digits),
        ("transfer", &transfer),
        ("sendMessage", &text),
        ("hangup", &named),
        ("hold", &named),
        ("unhold", &named),
    ];
    let mut tried = 0;
    for (message, good) in messages {
        assert!(decode(&frame(message, good.clone())).is_ok(), "{message}");
        for field in good.as_object().unwrap().keys().filter(|field| *field != "sdp") {
            for evil in ["\r\nX-Evil: 1", "\n", "\r", "\0", "\u{1b}", "\u{7f}", "\u{85}"] {
                let spoilt = spoil(&good[field], evil);
                for value in spoilt {
                    let mut bad = good.clone();
                    bad[field] = value;
                    refused(message, bad, field);
                    tried += 1;
                }
            }
        }
        let mut custom = good.clone();
        if message == "call" || message == "answer" {
            custom["custom"] = json!({"sipHeaders": {"X-A": "a\r\nFrom: b"}});
            refused(message, custom, "custom.sipHeaders");
        }
    }
    assert!(tried > 150, "{tried}");
}

/// The value with `evil` in each of its texts, one at a time; in names too.
fn spoil(value: &Value, evil: &str) -> Vec<Value> {
    match value {
        Value::Array(items) => {
            items.iter().flat_map(|item| spoil(item, evil)).map(|item| json!([item])).collect()
        }
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| {
                let values = spoil(value, evil).into_iter().map(|value| json!({ name: value }));
                values.chain([json!({ format!("{name}{evil}"): value })]).collect::<Vec<_>>()
            })
            .collect(),
        text => vec![json!(format!("{}{evil}a", text.as_str().unwrap()))],
    }
}

#[test]
fn a_text_message_is_a_text_of_a_datagram() {
    let FromPage::SendText(text) = ask(
        "sendMessage",
        json!({"id": "m1", "from": "x", "to": "1002", "body": "a\r\n\tü", "contentType": "text/plain; charset=utf-8", "isImdnRequired": true}),
    ) else {
        panic!("a text")
    };
    assert_eq!((text.id.as_str(), text.to.as_str(), text.body.as_str()), ("m1", "1002", "a\r\n\tü"));
    let with = |field: &str, value: Value| {
        let mut text = json!({"id": "m1", "to": "1002", "body": "hi"});
        text[field] = value;
        text
    };
    refused("sendMessage", with("contentType", json!("message/cpim")), "contentType");
    refused("sendMessage", with("body", json!("x".repeat(1301))), "body");
    refused("sendMessage", with("body", json!("a\u{0}b")), "body");
    refused("sendMessage", with("body", json!({})), "body");
    refused("sendMessage", with("to", json!("")), "to");
    refused("sendMessage", with("id", json!("")), "id");
}

#[test]
fn a_refusal_knows_its_call() {
    let refusal = decode(&frame("call", json!({"callId": "c9", "callee": "", "sdp": "v=0"}))).unwrap_err();
    assert_eq!(refusal.call_id.unwrap().as_str(), "c9");
}

#[test]
fn the_name_of_a_large_message_is_read_without_the_rest() {
    let large = frame("pushLogs", json!({"logs": "x".repeat(300_000)}));
    assert_eq!(name_of(&large).as_deref(), Some("pushLogs"));
    assert_eq!(name_of(&"x".repeat(300_000)), None);
}
