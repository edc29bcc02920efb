//! What a page is told. Every frame is `{"message": name, "data": [arguments]}`; the WebSDK reads `data[0]` before
//! it looks at the name, so `data` is always there.
use actors::handle::{CallId, CallStatus, CallView, EndReason, MailWaiting, Text, TextStatus, ToPage};
use serde_json::{Map, Value, json};

use super::ended::{info, is_busy};
use super::incoming::Refusal;
use super::sound;

/// Which of the call messages a status travels in. The WebSDK looks at the status alone, 1.0 clients at the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallFrame {
    message: &'static str,
    status: &'static str,
}

impl CallFrame {
    /// The frame for `status`.
    pub fn of(status: &CallStatus) -> Self {
        let (message, status) = match status {
            CallStatus::Trying => ("notifyTryingResponse", "TRYING"),
            CallStatus::Ring => ("ring", "RING"),
            CallStatus::RingMedia => ("ring", "RING_MEDIA"),
            CallStatus::Established => ("talk", "ESTABLISHED"),
            CallStatus::Hold => ("hold", "HOLD"),
            CallStatus::Finish(_) => ("finish", "FINISH"),
            CallStatus::Failed(_) => ("finish", "FAILED"),
        };
        Self { message, status }
    }
}

/// `ping`: are you there?
pub fn ping() -> String {
    frame("ping", json!([null]))
}

/// `pong`: I am.
pub fn pong() -> String {
    frame("pong", json!([null]))
}

/// `getUserData`: the session stands. `echo` is what the page said of itself.
pub fn user_data(echo: &Map<String, Value>, token: &str, session_id: &str) -> String {
    let mut data = echo.clone();
    data.insert("authToken".into(), token.into());
    data.insert("sessionId".into(), session_id.into());
    data.insert("status".into(), "ESTABLISHED".into());
    frame("getUserData", json!([data]))
}

/// `fail`: `what` did not work, because of `info`.
pub fn fail(api_method: &str, what: Option<&str>, info: &str) -> String {
    let mut data = json!({"apiMethod": api_method, "status": "FAILED", "info": info});
    if let Some(id) = what {
        data["id"] = id.into();
        data["callId"] = id.into();
    }
    frame("fail", json!([data]))
}

/// `fail` for a message that cannot be used.
pub fn refusal(refusal: &Refusal) -> String {
    fail(refusal.api_method(), refusal.call_id.as_ref().map(CallId::as_str), &refusal.info)
}

/// `DataStatusEvent`: without it the page's `sendData` promise never settles.
pub fn data_status(operation_id: &Value) -> String {
    frame("DataStatusEvent", json!([{"operationId": operation_id, "status": "ACCEPTED"}]))
}

/// `notifySessionDebugEvent`.
pub fn debug_status(started: bool) -> String {
    frame("notifySessionDebugEvent", json!([{"status": if started { "STARTED" } else { "STOPPED" }}]))
}

/// A stream that was asked for and will not come.
pub fn stream_failed(id: &str) -> String {
    let data = json!([{"mediaSessionId": id, "status": "FAILED", "info": "Failed by error"}]);
    frame("notifyStreamStatusEvent", data)
}

/// A stream that was looked for and is not there.
pub fn available_stream(id: &str) -> String {
    frame("availableStream", json!([{"id": id, "status": "false", "info": "Stream not found"}]))
}

/// `finish` for a call that could not even begin. A `fail` alone would leave it in PENDING for ever.
pub fn failed_call(call_id: &CallId, detail: &str) -> String {
    let data = json!([{"callId": call_id.as_str(), "status": "FAILED", "info": "Failed by error", "detail": detail}]);
    frame("finish", data)
}

/// The frames, in order, for what the switch tells.
pub fn to_page(told: &ToPage) -> Vec<String> {
    match told {
        ToPage::Registered => vec![frame("registered", json!([{"status": "REGISTERED"}]))],
        ToPage::RegistrationFailed { info, sip_status, last: _ } => {
            let mut data = json!({"apiMethod": "RegistrationStatusEvent", "status": "FAILED", "info": info});
            if let Some(status) = sip_status {
                data["sipStatus"] = (*status).into();
            }
            vec![frame("fail", json!([data]))]
        }
        ToPage::Refused { call_id, info } => vec![fail("CallStatusEvent", Some(call_id.as_str()), info)],
        ToPage::BadTransfer { call_id, info } => {
            vec![fail("TransferStatusEvent", Some(call_id.as_str()), info)]
        }
        ToPage::TransferRefused { call, held, why } => vec![transfer_refused(call, *held, why)],
        ToPage::RemoteDescription { call_id, sdp } => {
            vec![frame("setRemoteSDP", json!([call_id.as_str(), sdp]))]
        }
        ToPage::IncomingCall(view, headers) => incoming_call(view, headers),
        ToPage::Text(text, status) => vec![text_message(text, status)],
        ToPage::MailWaiting(mail) => vec![mail_waiting(mail)],
        ToPage::Digits(call_id, digits) => {
            vec![frame("notifyDtmf", json!([{"callId": call_id.as_str(), "dtmf": digits}]))]
        }
        ToPage::RemoteHold(call_id, held) => {
            vec![frame("remoteHold", json!([{"callId": call_id.as_str(), "held": held}]))]
        }
        ToPage::Sound(call_id, news) => vec![sound::frame_of(call_id, news)],
        ToPage::CallStatus(view, status) => call_status(view, status),
    }
}

/// 1.0's `notifyMessage`, which the WebSDK 2.0 does not know and ignores; the second argument, a notification of delivery, is never there.
fn text_message(text: &Text, status: &TextStatus) -> String {
    let word = match status {
        TextStatus::Received => "RECEIVED",
        TextStatus::Sent => "SENT",
        TextStatus::Accepted => "ACCEPTED",
        TextStatus::Failed { .. } => "FAILED",
    };
    let mut data = json!({
        "id": text.id,
        "from": text.from,
        "to": text.to,
        "visibleName": text.visible_name.as_ref().unwrap_or(&text.from),
        "body": text.body,
        "contentType": "text/plain",
        "status": word,
    });
    if let TextStatus::Failed { info, sip_status } = status {
        data["info"] = info.as_str().into();
        if let Some(code) = sip_status {
            data["sipStatus"] = (*code).into();
        }
    }
    frame("notifyMessage", json!([data, null]))
}

/// `notifyMessageSummary`, ours alone.
fn mail_waiting(mail: &MailWaiting) -> String {
    let mut data = json!({"waiting": mail.waiting, "newMessages": mail.new, "oldMessages": mail.old});
    if let Some(account) = &mail.account {
        data["account"] = account.as_str().into();
    }
    frame("notifyMessageSummary", json!([data]))
}

/// The frames for a call that comes in. What the INVITE said besides stands in `inviteParameters`, as in WCS's call object. The WebSDK 2.0 keeps
/// that from its app; so a page that listens for `APP_DATA` is told it too, before the call.
fn incoming_call(view: &CallView, headers: &[(String, String)]) -> Vec<String> {
    let mut call = object(view, "RING");
    let mut frames = Vec::new();
    if !headers.is_empty() {
        let fields = headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        let (id, parameters) = (view.call_id.as_str(), Value::Object(fields.collect()));
        let payload = json!({"callId": id, "inviteParameters": parameters});
        frames.push(frame("OnDataEvent", json!([{"operationId": id, "payload": payload}])));
        call["inviteParameters"] = parameters;
    }
    frames.push(frame("notifyIncomingCall", json!([call])));
    frames
}

/// The frames for a call's status: one, or `busy` and `finish`.
pub fn call_status(view: &CallView, status: &CallStatus) -> Vec<String> {
    let CallFrame { message, status: word } = CallFrame::of(status);
    let mut data = object(view, word);
    let mut frames = Vec::new();
    if let CallStatus::Finish(reason) | CallStatus::Failed(reason) = status {
        explain(&mut data, reason);
        if !view.incoming && is_busy(reason) {
            let mut busy = data.clone();
            busy["status"] = "BUSY".into();
            frames.push(frame("busy", json!([busy])));
        }
    }
    frames.push(frame(message, json!([data])));
    frames
}

/// `hold` or `talk`: where the call stands after a transfer that failed, and why it did.
fn transfer_refused(view: &CallView, held: bool, why: &EndReason) -> String {
    let CallFrame { message, status } =
        CallFrame::of(if held { &CallStatus::Hold } else { &CallStatus::Established });
    let mut data = object(view, status);
    explain(&mut data, why);
    data["info"] = "Transfer failed".into();
    frame(message, json!([data]))
}

/// WCS's call object, less what would only repeat. No key may be one of the WebSDK's own call options
/// (`constraints`, `stripCodecs`, ...): the object of an incoming call becomes that call's options.
fn object(view: &CallView, status: &str) -> Value {
    json!({
        "callId": view.call_id.as_str(),
        "status": status,
        "incoming": view.incoming,
        "caller": view.caller,
        "callee": view.callee,
        // Left out, the WebSDK shows the user's own login here.
        "visibleName": if view.visible_name.is_empty() { &view.caller } else { &view.visible_name },
        "hasAudio": view.has_audio,
        "hasVideo": view.has_video,
        "mediaProvider": "WebRTC",
    })
}

fn explain(data: &mut Value, reason: &EndReason) {
    data["info"] = info(reason).into();
    data["reason"] = reason.cause.as_str().into();
    if let Some(code) = reason.sip_code {
        data["sipStatus"] = code.into();
    }
    if let Some(by) = reason.by {
        data["by"] = by.as_str().into();
    }
    if let Some(detail) = &reason.detail {
        data["detail"] = detail.as_str().into();
    }
}

pub(super) fn frame(message: &str, data: Value) -> String {
    json!({"message": message, "data": data}).to_string()
}

#[cfg(test)]
mod tests {
    use actors::handle::{Cause, Side};

    use super::*;

    fn view() -> CallView {
        CallView {
            call_id: CallId::parse("c1").unwrap(),
            incoming: false,
            caller: "1001".into(),
            callee: "1002".into(),
            visible_name: String::new(),
            has_audio: true,
            has_video: false,
        }
    }

    /// The frames of `told`, as `name status`.
    fn check(told: &ToPage, wanted: &[&str]) -> Vec<Value> {
        let frames: Vec<Value> =
            to_page(told).iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        let line = |frame: &Value| {
            assert!(frame["data"].is_array());
            format!(
                "{} {}",
                frame["message"].as_str().unwrap(),
                frame["data"][0]["status"].as_str().unwrap_or("-")
            )
        };
        assert_eq!(frames.iter().map(line).collect::<Vec<_>>(), wanted);
        frames
    }

    #[test]
    fn each_status_has_its_message() {
        let ended = |cause| EndReason::new(Some(Side::Callee), cause);
        let check = |status, wanted| check(&ToPage::CallStatus(view(), status), wanted);
        check(CallStatus::Trying, &["notifyTryingResponse TRYING"]);
        check(CallStatus::Ring, &["ring RING"]);
        check(CallStatus::RingMedia, &["ring RING_MEDIA"]);
        check(CallStatus::Established, &["talk ESTABLISHED"]);
        check(CallStatus::Hold, &["hold HOLD"]);
        check(CallStatus::Finish(ended(Cause::HangUp)), &["finish FINISH"]);
        check(CallStatus::Failed(ended(Cause::IceFailed)), &["finish FAILED"]);
    }

    #[test]
    fn a_busy_callee_is_busy_for_old_pages_and_finish_for_all() {
        let busy = EndReason::from_sip(Side::Callee, 486, "Busy Here");
        let frames = check(
            &ToPage::CallStatus(view(), CallStatus::Finish(busy.clone())),
            &["busy BUSY", "finish FINISH"],
        );
        assert_eq!(frames[1]["data"][0]["sipStatus"], 486);
        assert_eq!(frames[1]["data"][0]["reason"], "busy");
        assert_eq!(frames[1]["data"][0]["detail"], "Busy Here");
        let incoming = CallView { incoming: true, ..view() };
        check(&ToPage::CallStatus(incoming, CallStatus::Finish(busy)), &["finish FINISH"]);
    }

    #[test]
    fn an_incoming_call_always_has_a_visible_name() {
        let incoming = CallView { incoming: true, ..view() };
        let frames = check(&ToPage::IncomingCall(incoming.clone(), vec![]), &["notifyIncomingCall RING"]);
        assert_eq!(frames[0]["data"][0]["visibleName"], "1001");
        assert_eq!(frames[0]["data"][0]["incoming"], true);
        assert_eq!(frames[0]["data"][0].get("inviteParameters"), None);
        let told = ToPage::IncomingCall(incoming, vec![("X-Queue".into(), "sales".into())]);
        let frames = check(&told, &["OnDataEvent -", "notifyIncomingCall RING"]);
        let payload = json!({"callId": "c1", "inviteParameters": {"X-Queue": "sales"}});
        assert_eq!(frames[0]["data"][0]["payload"], payload);
        assert_eq!(frames[1]["data"][0]["inviteParameters"], json!({"X-Queue": "sales"}));
    }

    #[test]
    fn a_text_message_has_the_shape_of_the_1_0_client() {
        let text = Text {
            id: "m1".into(),
            from: "1001".into(),
            to: "1002".into(),
            visible_name: None,
            body: "hi".into(),
        };
        let frames = check(&ToPage::Text(text.clone(), TextStatus::Received), &["notifyMessage RECEIVED"]);
        let wanted = json!({"id": "m1", "from": "1001", "to": "1002", "visibleName": "1001", "body": "hi",
            "contentType": "text/plain", "status": "RECEIVED"});
        assert_eq!(frames[0]["data"], json!([wanted, null]));
        let failed = TextStatus::Failed { info: "Not Found".into(), sip_status: Some(404) };
        let frames = check(&ToPage::Text(text, failed), &["notifyMessage FAILED"]);
        assert_eq!(
            (&frames[0]["data"][0]["info"], &frames[0]["data"][0]["sipStatus"]),
            (&json!("Not Found"), &json!(404))
        );
    }

    #[test]
    fn digits_are_told_as_they_would_be_sent() {
        let told = ToPage::Digits(CallId::parse("c1").unwrap(), "5".into());
        let frames = check(&told, &["notifyDtmf -"]);
        assert_eq!(frames[0]["data"], json!([{"callId": "c1", "dtmf": "5"}]));
    }

    #[test]
    fn a_hold_of_the_far_side_is_told_as_it_stands() {
        let told = ToPage::RemoteHold(CallId::parse("c1").unwrap(), true);
        let frames = check(&told, &["remoteHold -"]);
        assert_eq!(frames[0]["data"], json!([{"callId": "c1", "held": true}]));
    }

    #[test]
    fn a_mailbox_is_told_in_numbers() {
        let mail = MailWaiting { waiting: true, account: Some("sip:a@b".into()), new: 2, old: 8 };
        let frames = check(&ToPage::MailWaiting(mail), &["notifyMessageSummary -"]);
        let wanted = json!([{"waiting": true, "newMessages": 2, "oldMessages": 8, "account": "sip:a@b"}]);
        assert_eq!(frames[0]["data"], wanted);
    }

    #[test]
    fn sdp_and_registration_have_the_arguments_that_the_sdk_reads() {
        let sdp = ToPage::RemoteDescription { call_id: CallId::parse("c1").unwrap(), sdp: "v=0\r\n".into() };
        assert_eq!(check(&sdp, &["setRemoteSDP -"])[0]["data"], json!(["c1", "v=0\r\n"]));
        check(&ToPage::Registered, &["registered REGISTERED"]);
        let failed =
            ToPage::RegistrationFailed { info: "Forbidden".into(), sip_status: Some(403), last: true };
        let data = check(&failed, &["fail FAILED"])[0]["data"][0].clone();
        assert_eq!(
            (&data["apiMethod"], &data["sipStatus"]),
            (&json!("RegistrationStatusEvent"), &json!(403))
        );
    }

    #[test]
    fn user_data_repeats_the_page_and_adds_the_token() {
        let echo = json!({"sipLogin": "1001"}).as_object().unwrap().clone();
        let frame: Value = serde_json::from_str(&user_data(&echo, "t0", "/a/b")).unwrap();
        let wanted =
            json!([{"sipLogin": "1001", "authToken": "t0", "sessionId": "/a/b", "status": "ESTABLISHED"}]);
        assert_eq!(frame, json!({"message": "getUserData", "data": wanted}));
    }
}
